"""Tables and figures say what was measured, and are chosen by rule."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msroi import index, report


def row(image: str, method: str, quality: int) -> dict[str, str]:
    return {
        "image": image,
        "method": method,
        "match_quality": str(quality),
        "mse_rgb": "35.13449",
        "psnr_rgb_db": "32.67351",
        "ssim_luma": "0.961649",
        "ms_ssim_luma": "0.99251",
        "bytes": "47436",
    }


@pytest.mark.parametrize(
    ("qualities", "middle"), [((30, 50, 70), 50), ((70, 30, 50), 50), ((40,), 40), ((10, 90), 90)]
)
def test_middle_quality(qualities: tuple[int, ...], middle: int) -> None:
    assert report.middle_quality(qualities) == middle


def test_image_table_keeps_the_papers_digits_and_the_order_of_the_images() -> None:
    rows = [row(i, m, q) for i in "ab" for m in ("jpeg", "msroi") for q in (30, 50)]
    table = report.image_table(rows, ["b", "a"], 50)
    assert [(line["image"], line["method"]) for line in table] == [
        ("b", "jpeg"),
        ("b", "msroi"),
        ("a", "jpeg"),
        ("a", "msroi"),
    ]
    # as in Table 1 of the paper: MSE and PSNR with 3 decimals, SSIM with 4
    assert table[0] == {
        "image": "b",
        "method": "jpeg",
        "mse_rgb": "35.134",
        "psnr_rgb_db": "32.674",
        "ssim_luma": "0.9616",
        "ms_ssim_luma": "0.9925",
        "bytes": "47436",
    }


def test_mean_table_shows_a_dash_where_there_is_no_mean() -> None:
    keys = ("psnr_rgb_db", "ssim_luma", "wpsnr_rgb_db", "q_final", "bytes")
    cell = {
        "n": 0,
        "size_error_pct_max": 2.5,
        "mean": dict.fromkeys(keys),
        "sd": dict.fromkeys(keys),
    }
    (line,) = report.mean_table({"msroi": {"q50": cell}}, [50])
    assert line["psnr_rgb_db"] == line["mean_bytes"] == "–"
    assert line["size_error_pct_max"] == "2.500"


def test_markdown_keeps_a_pipe_inside_its_cell() -> None:
    assert report.markdown(["a"], [{"a": "x|y"}]) == "| a |\n| --- |\n| x\\|y |\n"


def blobs(*corners: tuple[int, int]) -> np.ndarray:
    saliency = np.full((40, 60), 0.1, np.float32)
    for top, left in corners:
        saliency[top : top + 8, left : left + 8] = 1.0
    return saliency


@pytest.mark.parametrize(
    ("saliency", "count"),
    [
        (np.zeros((4, 4), np.float32), 0),
        (blobs((2, 2)), 1),
        (blobs((2, 2), (2, 40)), 2),
        (blobs((2, 2), (2, 40), (30, 20)), 3),
        # the level is relative to the maximum
        (blobs((2, 2), (2, 40)) * np.float32(0.1), 2),
    ],
)
def test_count_regions(saliency: np.ndarray, count: int) -> None:
    assert report.count_regions(saliency) == count


def item(name: str) -> index.TestImage:
    return index.TestImage("set", name, 0, "")


def test_figures_show_the_first_image_with_the_wanted_number_of_regions() -> None:
    salient = [(item("a"), 2), (item("b"), 1), (item("c"), 1), (item("d"), 5)]
    chosen = report.figure_images(salient, [item("t"), item("u")])
    assert [caption for _, caption in chosen] == [
        "b: one salient region",
        "a: two salient regions",
        "d: several salient regions",
        "t: without salient regions",
    ]


def test_a_stand_in_is_said_to_be_one() -> None:
    chosen = report.figure_images([(item("a"), 1)], [item("t")])
    assert chosen[1][1] == "a: two salient regions (none left has; 1 here)"


def test_plots_of_images_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    maps = np.random.default_rng(1).random((5, 7, 7), np.float32)
    for name in ("one", "two"):
        report.plot_passes(image, maps, tmp_path / f"{name}.png")
        report.plot_pairs([image] * 2, [image] * 2, ["a", "b"], tmp_path / f"{name}-pairs.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one-pairs.png").read_bytes() == (tmp_path / "two-pairs.png").read_bytes()
    with Image.open(tmp_path / "one.png") as figure:
        assert figure.format == "PNG"
        assert "Software" not in figure.info
