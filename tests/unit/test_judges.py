"""The stage judges, with its statistics by hand; the measures have tests of their own."""

import csv
import dataclasses
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml

from msroi import images
from msroi.encoders import jpeg
from msroi.errors import ImageError, MissingError, ParameterError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import write_bytes, write_csv
from msroi.measures import distortion, perceptual
from msroi.stages import judges
from msroi.stages.compress import COLUMNS as COMPRESSED

ROOT = Path(__file__).parents[2]
CAT, CUP, MAN = skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()
# of one shape, for which LPIPS is compiled once
PHOTOS = {
    ("set", "c"): MAN[:48, 100:148],
    ("set", "a"): CAT[60:108, 100:148],
    ("set", "b"): CUP[60:108, 100:148],
    ("other", "cat"): CAT[60:108, 160:208],
}
# plain JPEG's quality that stands for each method's file
SHIFTS = {"jpeg": 0, "roi-trellis": 30, "jpegli": 15}


def tiny(**judges_parameters):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        demo = params.load("demo")
    return dataclasses.replace(demo, name="tiny", judges=params.Judges(**judges_parameters))


TWO_IMAGES = tiny(images=2, match_quality=50)


def laid_out():
    """Lay out four photographs, three methods and two qualities as the stages before would."""
    layout = Layout("tiny")
    rows = []
    for (dataset, image), photo in PHOTOS.items():
        images.write_image(layout.test_image(dataset, image), photo)
        saliency = np.linspace(0, 255, photo.shape[0] * photo.shape[1]).reshape(photo.shape[:2])
        images.write_image(layout.heatmap("saliency", dataset, image), saliency.astype(np.uint8))
        for quality in (30, 50):
            for method, shift in SHIFTS.items():
                data = jpeg.encode(photo, quality + shift)
                write_bytes(layout.jpeg_file(dataset, method, quality, image), data)
                missed = (image, method, quality) == ("b", "jpegli", 50)
                row = {"dataset": dataset, "image": image, "method": method}
                row |= {"match_quality": quality, "bytes": len(data), "size_error_pct": "0.1000"}
                row |= {"matched": "false" if missed else "true"}
                rows.append(dict.fromkeys(COMPRESSED, "") | row)
    write_csv(layout.jpeg / "index.csv", COMPRESSED, rows)
    return layout


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A folder of a test's own, before the stage."""
    monkeypatch.chdir(tmp_path)
    return laid_out()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the stage has run; leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("finished"))
        layout = laid_out()
        judges.run(TWO_IMAGES, layout)
        yield layout


def written(layout, name):
    with (layout.judges / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def every_file(layout):
    return {path.name: path.read_bytes() for path in sorted(layout.judges.iterdir())}


# --- the stage


def test_the_stage_end_to_end(finished):
    assert set(every_file(finished)) == {"per_image.csv", "comparison.csv", "summary.json"}
    rows = written(finished, "per_image.csv")
    assert ",".join(rows[0]) == (
        "experiment,dataset,image,method,match_quality,bytes,size_error_pct,ms_ssim_luma,"
        "psnr_hvs_m_db,ssimulacra2,lpips,psnr_salient_db,ssim_salient,"
        "psnr_hvs_m_composite_db,ssimulacra2_composite,lpips_composite"
    )
    photographs = [("other", "cat"), ("set", "a"), ("set", "b")]
    assert [(row["dataset"], row["image"], row["method"]) for row in rows] == [
        (*photograph, method) for photograph in photographs for method in SHIFTS
    ]
    for row in rows:
        place = row["dataset"], row["image"]
        data = jpeg.encode(PHOTOS[place], 50 + SHIFTS[row["method"]])
        other = jpeg.decode(data)
        saliency = images.read_grey(finished.heatmap("saliency", *place))
        expected = perceptual.judge(PHOTOS[place], other, saliency)
        expected["ms_ssim_luma"] = distortion.ms_ssim_luma(PHOTOS[place], other)
        assert {name: float(row[name]) for name in judges.JUDGED} == pytest.approx(
            expected, rel=1e-7
        )
        assert (row["experiment"], row["match_quality"]) == ("tiny", "50")
        assert (int(row["bytes"]), row["size_error_pct"]) == (len(data), "0.1000")


def test_the_summary_is_that_of_the_table(finished):
    rows = written(finished, "per_image.csv")
    summary = json.loads((finished.judges / "summary.json").read_text())
    assert {dataset: list(methods) for dataset, methods in summary.items()} == {
        "other": list(SHIFTS),
        "set": list(SHIFTS),
    }

    def lpips(method):
        return [
            float(row["lpips"])
            for row in rows
            if (row["dataset"], row["method"]) == ("set", method)
        ]

    cell = summary["set"]["roi-trellis"]
    assert (cell["n"], cell["n_missed"]) == (2, 0)
    assert tuple(cell["mean"]) == tuple(cell["sd"]) == tuple(judges.JUDGED)
    assert cell["mean"]["lpips"] == pytest.approx(statistics.mean(lpips("roi-trellis")), rel=1e-7)
    assert cell["sd"]["lpips"] == pytest.approx(statistics.stdev(lpips("roi-trellis")), rel=1e-6)
    difference = statistics.mean(lpips("roi-trellis")) - statistics.mean(lpips("jpeg"))
    assert cell["minus_jpeg"]["n"] == 2
    assert cell["minus_jpeg"]["lpips"] == pytest.approx(difference, rel=1e-5)
    assert "minus_jpeg" not in summary["set"]["jpeg"]
    missed = summary["set"]["jpegli"]
    assert (missed["n"], missed["n_missed"], missed["sd"]["lpips"]) == (1, 1, None)
    assert missed["mean"]["lpips"] == lpips("jpegli")[0]
    assert missed["minus_jpeg"]["n"] == 1


def test_a_higher_quality_wins_by_every_judge(finished):
    rows = written(finished, "comparison.csv")
    assert ",".join(rows[0]) == (
        "dataset,method,judge,n,mean,minus_jpeg,n_against_jpegli,minus_jpegli,wins_against_jpegli"
    )
    assert [(row["dataset"], row["method"], row["judge"]) for row in rows] == [
        (dataset, method, name)
        for dataset in ("other", "set")
        for method in SHIFTS
        for name in judges.JUDGED
    ]
    for row in rows:
        if row["dataset"] == "set":
            # image b's file by jpegli missed the size
            n, wins = {"jpeg": ("2", "0"), "roi-trellis": ("2", "1"), "jpegli": ("1", "")}[
                row["method"]
            ]
            assert (row["n"], row["wins_against_jpegli"]) == (n, wins)
            assert row["n_against_jpegli"] == ("" if row["method"] == "jpegli" else "1")
            sign = -1 if row["judge"].startswith("lpips") else 1
            if row["method"] == "roi-trellis":
                assert sign * float(row["minus_jpeg"]) > 0
                assert sign * float(row["minus_jpegli"]) > 0
            assert (row["minus_jpeg"] == "") == (row["method"] == "jpeg")


@pytest.mark.parametrize("workers", [1, 4])
def test_a_second_run_gives_the_same_bytes_whatever_the_threads(finished, monkeypatch, workers):
    first = every_file(finished)
    monkeypatch.setattr(judges, "WORKERS", workers)
    judges.run(TWO_IMAGES, finished)
    assert every_file(finished) == first


def test_0_images_are_all_and_the_quality_chooses_the_files(layout):
    judges.run(tiny(images=0, match_quality=30), layout)
    rows = written(layout, "per_image.csv")
    assert {(row["dataset"], row["image"]) for row in rows} == set(PHOTOS)
    assert {row["match_quality"] for row in rows} == {"30"}
    assert len(rows) == len(PHOTOS) * len(SHIFTS)


def test_a_missing_index_says_what_to_run(layout):
    (layout.jpeg / "index.csv").unlink()
    with pytest.raises(MissingError) as caught:
        judges.run(TWO_IMAGES, layout)
    assert str(caught.value) == (
        "results/tiny/jpeg/index.csv is missing; run `snakemake` (or `dvc repro`) to make it."
    )


def test_a_missing_file_is_named(layout):
    path = layout.jpeg_file("set", "jpegli", 50, "b")
    path.unlink()
    with pytest.raises(ImageError) as caught:
        judges.run(TWO_IMAGES, layout)
    assert str(caught.value) == f"{path} is not there; check its name."
    assert not layout.judges.exists()


def test_a_photograph_that_is_too_small_is_named(layout):
    path = layout.test_image("set", "a")
    for place in (path, layout.heatmap("saliency", "set", "a")):
        images.write_image(place, CAT[:15, :40])
    with pytest.raises(ImageError) as caught:
        judges.run(TWO_IMAGES, layout)
    assert str(caught.value) == (
        f"{path}: The image has 40x15 pixels; the judges need at least 16 a side."
    )


def test_a_quality_that_no_file_has_is_refused(tmp_path, monkeypatch):
    values = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    values["judges"]["match_quality"] = 60
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "x.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(params, "SCHEMA", ROOT / params.SCHEMA)
    with pytest.raises(ParameterError) as caught:
        params.load("x")
    assert str(caught.value) == (
        "config/x.yaml: judges.match_quality: 60 is not one of compress.match_qualities: "
        "30, 50, 70."
    )


# --- statistics by hand


def row(image, method, value, matched="true"):
    found = {"dataset": "set", "image": image, "method": method, "matched": matched}
    return found | dict.fromkeys(judges.JUDGED, value)


def test_wins_know_that_less_lpips_is_better_and_that_a_tie_is_none():
    pairs = [(row("a", "x", 3), row("a", "y", 2)), (row("b", "x", 2), row("b", "y", 2))]
    pairs.append((row("c", "x", math.inf), row("c", "y", 9)))
    expected = dict.fromkeys(judges.JUDGED, 2) | {"lpips": 0, "lpips_composite": 0}
    assert {name: judges.wins(pairs, name) for name in judges.JUDGED} == expected
    assert {name for name, one in judges.JUDGED.items() if not one.higher_is_better} == {
        name for name in judges.JUDGED if "lpips" in name
    }


def test_differences_are_over_images_matched_in_both_and_finite():
    table = [
        *(row("a", "jpeg", 1), row("b", "jpeg", 2), row("c", "jpeg", 3), row("d", "jpeg", 4)),
        *(row("a", "msroi", 5), row("b", "msroi", 50, "false"), row("c", "msroi", math.inf)),
        row("d", "msroi", 6),
    ]
    cell = judges.summarise(table)["set"]["msroi"]
    assert (cell["n"], cell["n_missed"], cell["mean"]["lpips"]) == (3, 1, 5.5)
    assert cell["minus_jpeg"]["n"] == 3
    assert cell["minus_jpeg"]["lpips"] == 3  # of 5 - 1 and 6 - 4


def test_without_jpegli_there_is_nothing_against_it():
    found = judges.compare([row("a", "jpeg", 1), row("a", "msroi", 2)])
    of_msroi = [line for line in found if line["method"] == "msroi"]
    assert all(line["minus_jpeg"] == 1 for line in of_msroi)
    for name in ("n_against_jpegli", "minus_jpegli", "wins_against_jpegli"):
        assert {line[name] for line in found} == {None}
