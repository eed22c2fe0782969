"""Tables say what was measured."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_shards import move_into_shards

from msroi.audit import published
from msroi.encoders import jpeg
from msroi.experiment import params, prepared_images
from msroi.experiment.layout import Layout
from msroi.experiment.streamed import CsvRows
from msroi.files import read_csv, write_bytes, write_csv, write_json
from msroi.images import write_image
from msroi.report import contents
from msroi.report.gallery import Opening
from msroi.stages import judges, report


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


def summary_cell() -> dict[str, Any]:
    keys = ("psnr_rgb_db", "ssim_luma", "wpsnr_rgb_db", "q_final", "bytes")
    return {
        "n": 0,
        "size_error_pct_max": 2.5,
        "mean": dict.fromkeys(keys),
        "sd": dict.fromkeys(keys),
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
    (line,) = report.mean_table({"msroi": {"q50": summary_cell()}})
    assert line["psnr_rgb_db"] == line["mean_bytes"] == "–"
    assert line["size_error_pct_max"] == "2.500"


def test_shown_are_the_first_of_each_set_by_name() -> None:
    experiment = params.load("demo")
    experiment = replace(experiment, report=replace(experiment.report, images=2))
    photographs = [("texture", "b"), ("salient", "c"), ("salient", "a"), ("other", "a")]
    photographs += [("salient", "b"), ("salient", "a")]
    assert report.shown_images(experiment, photographs) == {
        "salient": ["a", "b"],
        "texture": ["b"],
    }


def test_tables_1_and_3_are_of_the_salient_set_2_and_4_of_the_other() -> None:
    experiment = params.load("demo")
    # a photograph of another set may have the same name
    rows = [{**row("a", "jpeg", 50), "dataset": name} for name in ("salient", "texture", "other")]
    shown = {"salient": ["a"], "texture": []}
    cell = summary_cell()
    by_quality = {f"q{quality}": cell for quality in experiment.compress.match_qualities}
    summary = {"texture": {"jpeg": by_quality}, "salient": {"msroi": by_quality}}
    tables = report.tables(experiment, rows, shown, summary)
    assert {
        name: (columns, [line["method"] for line in lines])
        for name, (columns, lines) in tables.items()
    } == {
        "table1": (report.IMAGE_COLUMNS, ["jpeg"]),
        "table2": (report.IMAGE_COLUMNS, []),
        "table3": (report.MEAN_COLUMNS, ["msroi"] * len(by_quality)),
        "table4": (report.MEAN_COLUMNS, ["jpeg"] * len(by_quality)),
    }
    assert all(tuple(line) == columns for columns, lines in tables.values() for line in lines)


def test_a_paper_is_compared_with_where_one_is_named() -> None:
    summary = {"texture": {"jpeg": {"q50": {"mean": {"psnr_rgb_db": 30.0, "ssim_luma": 0.9}}}}}
    demo = params.load("demo")
    alone, beside = (
        report.beside_paper(replace(demo, report=replace(demo.report, published=paper)), summary)
        for paper in ("none", "selimovic-2018")
    )
    assert alone == {}
    ((name, (columns, lines)),) = beside.items()
    assert (name, columns) == ("comparison", published.COLUMNS)
    assert [(line["table"], line["measure"], line["this_run"]) for line in lines] == [
        ("4", "psnr_db", "30.000"),
        ("4", "ssim", "0.9000"),
    ]


@pytest.mark.parametrize("paper", ["none", "selimovic-2018"])
def test_files_and_report_hold_the_tables(
    paper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = params.load("paper-cpu")
    experiment = replace(experiment, report=replace(experiment.report, published=paper))
    committed = Path("results/paper-cpu").absolute()
    for name in ("metrics", "anova", "model"):
        shutil.copytree(committed / name, tmp_path / "results/paper-cpu" / name)
    if paper != "none":
        shutil.copytree("data/published", tmp_path / "data/published")
    monkeypatch.chdir(tmp_path)
    layout = Layout("paper-cpu")
    write_json(layout.audit / "summary.json", {})
    rows = read_csv(layout.metrics / "per_image.csv")
    photographs = sorted({(row["dataset"], row["image"]) for row in rows}, reverse=True)
    monkeypatch.setattr(
        report,
        "test_images",
        lambda _: (prepared_images.TestImage(*one, "") for one in photographs),
    )
    monkeypatch.setattr(report, "write_figures", lambda *_: {1: "a caption"})
    monkeypatch.setattr(report, "report_page", lambda *_: None)  # its photographs are not here
    monkeypatch.setattr(report, "render", lambda _: "a page")
    report.run(experiment, layout)
    names = [f"table{number}" for number in (1, 2, 3, 4)] + ["comparison"] * (paper != "none")
    assert sorted(path.name for path in layout.tables.iterdir()) == sorted(
        f"{name}{suffix}" for name in names for suffix in (".csv", ".md")
    )
    text = (layout.report / "report.md").read_text(encoding="utf-8")
    places = [
        text.index((layout.tables / f"{name}.md").read_text(encoding="utf-8")) for name in names
    ]
    assert places == sorted(places)


def test_markdown_keeps_a_pipe_inside_its_cell() -> None:
    assert report.markdown(["a"], [{"a": "x|y"}]) == "| a |\n| --- |\n| x\\|y |\n"


def test_markdown_shows_html_as_text() -> None:
    assert "| &lt;script> |" in report.markdown(["a"], [{"a": "<script>"}])


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


def test_the_headline_has_the_few_numbers_that_count() -> None:
    experiment = params.load("demo")
    compress = replace(experiment.compress, match_qualities=(30, 50, 70))
    gain = {"n": 7, "psnr_rgb_db": 1.5, "ssim_luma": 0.1, "wpsnr_rgb_db": 2.5}
    cells = {f"q{quality}": {"minus_jpeg": gain} for quality in (30, 50, 70)}
    metrics = {"salient": dict.fromkeys(experiment.compress.methods, cells)}
    made = report.headline(replace(experiment, compress=compress), {"val_top1": 0.75}, metrics)
    assert made == {
        "val_top1": 0.75,
        "gain_psnr_db": {"salient": {"msroi": 1.5, "roi-trellis": 1.5}},
        "gain_wpsnr_db": {"salient": {"msroi": 2.5, "roi-trellis": 2.5}},
    }


def test_the_page_shows_the_same_photographs_from_either_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With rows that only a loop reads, as they come from a file."""
    methods = ("jpeg", "msroi", "roi-trellis")
    experiment = params.load("demo")
    experiment = replace(experiment, compress=replace(experiment.compress, methods=methods))
    opening = Opening(50, "jpeg", "roi-trellis")
    monkeypatch.chdir(tmp_path)
    layout = Layout("demo")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    rows = []
    for image in ("a", "b"):
        write_image(layout.test_image("salient", image), pixels)
        write_image(layout.saliency("readout", "salient", image), pixels[..., 0])
        for method in methods:
            for quality in experiment.compress.match_qualities:
                data = jpeg.encode(pixels, quality + len(method))
                write_bytes(layout.jpeg_file("salient", method, quality, image), data)
                of_file = {"dataset": "salient", "size_error_pct": "0.1", "wpsnr_rgb_db": "31"}
                rows.append(row(image, method, quality) | of_file)
    path = tmp_path / "per_image.csv"
    write_csv(path, list(rows[0]), rows)
    write_csv(layout.judges / "per_image.csv", judges.COLUMNS, [])
    alone = contents.photographs(experiment, layout, CsvRows(path), opening)
    move_into_shards(layout)
    assert contents.photographs(experiment, layout, CsvRows(path), opening) == alone
    shown, _ = alone
    assert [one["image"] for one in shown] == ["a", "b"]
    for one in shown:
        for of_quality in one["qualities"].values():
            assert [line["method"] for line in of_quality["rows"]] == list(methods)
