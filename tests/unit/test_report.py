"""Tables say what was measured."""

from dataclasses import replace
from typing import Any

import pytest

from msroi import params, report
from msroi.layout import Layout


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


def test_summary_has_a_line_a_set_and_method_with_gains_by_quality() -> None:
    experiment = params.load("demo")
    methods = ("jpeg", "msroi", "roi-trellis")
    compress = replace(experiment.compress, methods=methods, match_qualities=(30, 70))

    def cell(n: int, psnr: float | None) -> dict[str, Any]:
        gain = {"n": n, "psnr_rgb_db": psnr, "ssim_luma": 0.0123, "wpsnr_rgb_db": -0.555}
        return {"minus_jpeg": gain}

    metrics = {
        "salient": {
            "jpeg": {},
            "msroi": {"q30": cell(7, -1.25), "q70": cell(6, None)},
            "roi-trellis": {"q30": cell(7, 2.0), "q70": cell(7, 1.999)},
        }
    }
    text = report.summary_text(replace(experiment, compress=compress), Layout("demo"), metrics)
    assert text.splitlines()[3:7] == [
        " " * 39 + "PSNR dB" + " " * 12 + "SSIM" + " " * 8 + "wPSNR dB",
        "set          method          n     Q30     Q70     Q30     Q70     Q30     Q70",
        "salient      msroi           6   -1.25       – +0.0123 +0.0123   -0.56   -0.56",
        "salient      roi-trellis     7   +2.00   +2.00 +0.0123 +0.0123   -0.56   -0.56",
    ]
