"""What stands at the top of a run's page and in its viewer comes from the run's files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msroi.encoders import jpeg
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import write_csv
from msroi.images import save_image
from msroi.measures.distortion import HEADLINE
from msroi.report import contents, gallery
from msroi.report.gallery import Opening
from msroi.stages import gaze, judges, metrics

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(5)
METHODS = ("roi-trellis", "jpeg", "mozjpeg")  # in an order of its own
OPENING = Opening(50, "mozjpeg", "roi-trellis", 2)
GAINS = {"a": 2.0, "b": 1.0, "c": 4.0, "d": 3.0, "e": 0.5}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Make what the gallery reads of a run of five photographs, `b` alone with scores."""
    monkeypatch.chdir(ROOT)
    experiment = params.load("demo")
    compress = replace(experiment.compress, methods=METHODS, match_qualities=(50, 70))
    monkeypatch.chdir(tmp_path)
    layout = Layout("demo")
    rows = []
    for image, gain in GAINS.items():
        pixels = RNG.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        for path in (layout.test_image("s", image), layout.saliency("readout", "s", image)):
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, pixels)
        for quality in (50, 70):
            for method in sorted(METHODS):
                file = layout.jpeg_file("s", method, quality, image)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(jpeg.encode(pixels, quality - len(method)))
                value = 30 + gain * (method == "roi-trellis")
                row = {"dataset": "s", "image": image, "method": method, "bytes": "9"}
                row |= {"match_quality": str(quality), "size_error_pct": "0"}
                rows.append(row | dict.fromkeys(HEADLINE, str(value)))
    scores = [dict.fromkeys(judges.COLUMNS, "7") | row for row in rows if row["image"] == "b"]
    table = ({name: row[name] for name in judges.COLUMNS} for row in scores)
    write_csv(layout.judges / "per_image.csv", judges.COLUMNS, table)
    return replace(experiment, compress=compress), layout, rows


def test_the_viewer_has_every_method_and_quality_of_the_run_in_its_order(run):
    shown, _ = contents.photographs(*run, OPENING)
    _, layout, _ = run
    for photo in shown:
        assert list(photo["qualities"]) == ["50", "70"]
        for quality, of_quality in photo["qualities"].items():
            assert tuple(of_quality["files"]) == METHODS
            assert tuple(row["method"] for row in of_quality["rows"]) == METHODS
            for method, file in of_quality["files"].items():
                data = layout.jpeg_file("s", method, int(quality), photo["image"]).read_bytes()
                assert file["src"] == gallery.data_uri("image/jpeg", data)


def test_best_median_and_worst_are_marked_and_scores_stand_where_there_are_any(run):
    shown, note = contents.photographs(*run, OPENING)
    assert [photo["image"] for photo in shown] == ["e", "b", "a", "d", "c"]
    # the median is a, but b beside it has scores
    assert [photo["mark"] for photo in shown] == ["worst", "median", "", "", "best"]
    assert note.startswith("All 5 photographs.")
    for photo in shown:
        scores = {row["ssimulacra2"] for row in photo["qualities"]["50"]["rows"]}
        assert scores == ({7.0} if photo["image"] == "b" else {None})


def test_what_does_not_fit_is_left_out_and_the_note_says_so(run, monkeypatch):
    one = contents.picture_bytes(contents.photographs(*run, OPENING)[0][0])
    monkeypatch.setattr(gallery.fitting, "__defaults__", (int(3.5 * one),))
    shown, note = contents.photographs(*run, OPENING)
    assert [photo["mark"] for photo in shown] == ["worst", "median", "best"]
    assert note.startswith("3 of 5 photographs, from the worst to the best.")


@pytest.mark.parametrize("name", ["osie", "paper-cpu"])
def test_the_top_of_a_committed_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    top, opening = contents.said_first(params.load(name), Layout(name))
    assert opening == OPENING
    assert len(top["numbers"]) == 3
    # the table has what the sentence says, and whoever is behind by it
    table = top["evidence"]
    standings = {(row[0], row[1]): row[-1] for row in table.rows}
    assert standings["PSNR-HVS-M (dB)", "mozjpeg"] == "behind"
    assert "behind by PSNR-HVS-M" in top["verdict"]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert {row[1] for row in table.rows} == {"jpeg", "mozjpeg", "jpegli", "trellis"}


def test_a_run_without_fixations_scores_or_peers_has_a_page_too(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment = params.load("demo")
    monkeypatch.chdir(tmp_path)
    layout = Layout("demo")
    write_csv(layout.metrics / "comparison.csv", metrics.COMPARISON_COLUMNS, [])
    write_csv(layout.judges / "comparison.csv", judges.COMPARISON_COLUMNS, [])
    write_csv(layout.gaze / "comparison.csv", gaze.COMPARISON_COLUMNS, [])
    write_csv(layout.gaze / "bytes.csv", gaze.BYTES_COLUMNS, [])
    for methods, pair in ((("jpeg", "msroi"), ("jpeg", "msroi")), (("jpeg",), ("jpeg", "jpeg"))):
        compress = replace(experiment.compress, methods=methods)
        top, opening = contents.said_first(replace(experiment, compress=compress), layout)
        assert (opening.left, opening.right) == pair
        assert not any(top.get(name) for name in ("verdict", "verdict_note", "numbers"))
        assert not top.get("evidence")
