"""Figures are chosen by rule and have the same bytes every time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msroi.experiment import prepared_images
from msroi.report import figures


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
    assert figures.count_regions(saliency) == count


def item(name: str) -> prepared_images.TestImage:
    return prepared_images.TestImage("set", name, "")


def test_figures_show_the_first_image_with_the_wanted_number_of_regions() -> None:
    salient = [(item("a"), 2), (item("b"), 1), (item("c"), 1), (item("d"), 5)]
    chosen = figures.figure_images(salient, [item("t"), item("u")])
    assert [caption for _, caption in chosen] == [
        "b: one salient region",
        "a: two salient regions",
        "d: several salient regions",
        "t: without salient regions",
    ]


def test_a_stand_in_is_said_to_be_one() -> None:
    chosen = figures.figure_images([(item("a"), 1)], [item("t")])
    assert chosen[1][1] == "a: two salient regions (none left has; 1 here)"


def test_plots_of_images_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    maps = np.random.default_rng(1).random((5, 7, 7), np.float32)
    for name in ("one", "two"):
        figures.plot_passes(image, maps, tmp_path / f"{name}.png")
        figures.plot_pairs([image] * 2, [image] * 2, ["a", "b"], tmp_path / f"{name}-pairs.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one-pairs.png").read_bytes() == (tmp_path / "two-pairs.png").read_bytes()
    with Image.open(tmp_path / "one.png") as figure:
        assert figure.format == "PNG"
        assert "Software" not in figure.info


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    image = np.zeros((10, 12, 3), np.uint8)
    figures.plot_pairs([image], [image], ["%s{0}$x_{$"], tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()
