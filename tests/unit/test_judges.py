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
from in_shards import move_into_shards

from msroi import images
from msroi.encoders import jpeg
from msroi.errors import ImageError, MissingError, ParameterError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import write_bytes, write_csv
from msroi.measures import perceptual
from msroi.stages import judges
from msroi.stages.compress import COLUMNS as COMPRESSED

pytestmark = pytest.mark.numerics

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
SHIFTS = {"jpeg": 0, "roi-trellis": 45, "jpegli": 25}


def tiny(**judges_parameters):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        demo = params.load("demo")
    return dataclasses.replace(demo, name="tiny", judges=params.Judges(**judges_parameters))


TWO_IMAGES = tiny(images=2, match_qualities=(50,))


def laid_out():
    """Lay out four photographs, three methods and two qualities as the stages before would."""
    layout = Layout("tiny")
    rows = []
    for (dataset, image), photo in PHOTOS.items():
        images.write_image(layout.test_image(dataset, image), photo)
        saliency = np.linspace(0, 255, photo.shape[0] * photo.shape[1]).reshape(photo.shape[:2])
        images.write_image(layout.saliency("readout", dataset, image), saliency.astype(np.uint8))
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
        "experiment,dataset,image,method,match_quality,bytes,size_error_pct,"
        "ssimulacra2,psnr_hvs_m_db,ms_ssim_luma,lpips,gmsd,"
        "ssimulacra2_composite,psnr_hvs_m_composite_db,ms_ssim_luma_composite,lpips_salient,"
        "psnr_salient_db,ssim_salient"
    )
    photographs = [("other", "cat"), ("set", "a"), ("set", "b")]
    assert [(row["dataset"], row["image"], row["method"]) for row in rows] == [
        (*photograph, method) for photograph in photographs for method in SHIFTS
    ]
    for row in rows:
        place = row["dataset"], row["image"]
        data = jpeg.encode(PHOTOS[place], 50 + SHIFTS[row["method"]])
        other = jpeg.decode(data)
        saliency = images.read_grey(finished.saliency("readout", *place))
        expected = perceptual.judge(PHOTOS[place], other, saliency)
        assert {name: float(row[name]) for name in judges.JUDGES} == pytest.approx(
            expected, rel=1e-7
        )
        assert (row["experiment"], row["match_quality"]) == ("tiny", "50")
        assert (int(row["bytes"]), row["size_error_pct"]) == (len(data), "0.1000")


def test_the_summary_is_that_of_the_table(finished):
    rows = written(finished, "per_image.csv")
    summary = json.loads((finished.judges / "summary.json").read_text())
    assert summary["roles"] == {name: one.role for name, one in judges.JUDGES.items()}
    assert {dataset: list(methods) for dataset, methods in summary["sets"].items()} == {
        "other": list(SHIFTS),
        "set": list(SHIFTS),
    }
    lpips = [
        float(row["lpips"])
        for row in rows
        if (row["dataset"], row["method"]) == ("set", "roi-trellis")
    ]
    cell = summary["sets"]["set"]["roi-trellis"]["q50"]
    assert (cell["n"], cell["n_missed"]) == (2, 0)
    assert tuple(cell["mean"]) == tuple(cell["sd"]) == tuple(judges.JUDGES)
    assert cell["mean"]["lpips"] == pytest.approx(statistics.mean(lpips), rel=1e-7)
    assert cell["sd"]["lpips"] == pytest.approx(statistics.stdev(lpips), rel=1e-6)
    missed = summary["sets"]["set"]["jpegli"]["q50"]
    assert (missed["n"], missed["n_missed"], missed["sd"]["lpips"]) == (1, 1, None)


def test_a_higher_quality_wins_by_every_judge(finished):
    rows = written(finished, "comparison.csv")
    assert ",".join(rows[0]) == (
        "dataset,match_quality,method,against,judge,role,n,difference,sd,won"
    )
    pairs = [(of, other) for of in sorted(SHIFTS) for other in ("jpeg", "jpegli") if of != other]
    assert [tuple(row.values())[:5] for row in rows] == [
        (dataset, "50", *pair, name)
        for dataset in ("all", "other", "set")
        for pair in pairs
        for name in judges.JUDGES
    ]
    # of image b jpegli's file missed the size
    both = {"all": ("3", "2"), "other": ("1", "1"), "set": ("2", "1")}
    for row in rows:
        judge = judges.JUDGES[row["judge"]]
        pair = row["method"], row["against"]
        assert row["n"] == both[row["dataset"]]["jpegli" in pair]
        assert row["role"] == judge.role
        better = SHIFTS[pair[0]] > SHIFTS[pair[1]]
        assert (float(row["difference"]) > 0) == (better == judge.higher_is_better)
        assert float(row["won"]) == better
        assert (row["sd"] == "") == (row["n"] == "1")


def test_the_pooled_difference_is_that_of_all_photographs(finished):
    values = {}
    for row in written(finished, "per_image.csv"):
        values.setdefault((row["dataset"], row["image"]), {})[row["method"]] = float(row["gmsd"])
    found = [of["roi-trellis"] - of["jpeg"] for of in values.values()]
    (row,) = (
        row
        for row in written(finished, "comparison.csv")
        if list(row.values())[:5] == ["all", "50", "roi-trellis", "jpeg", "gmsd"]
    )
    assert float(row["difference"]) == pytest.approx(statistics.mean(found), rel=1e-6)
    assert float(row["sd"]) == pytest.approx(statistics.stdev(found), rel=1e-6)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_second_run_gives_the_same_bytes_whatever_the_threads(finished, monkeypatch, workers):
    first = every_file(finished)
    monkeypatch.setattr(judges, "WORKERS", workers)
    judges.run(TWO_IMAGES, finished)
    assert every_file(finished) == first


def test_0_images_are_all_and_the_qualities_choose_the_files(layout):
    judges.run(tiny(images=0, match_qualities=(30, 50)), layout)
    rows = written(layout, "per_image.csv")
    assert {(row["dataset"], row["image"]) for row in rows} == set(PHOTOS)
    assert {row["match_quality"] for row in rows} == {"30", "50"}
    assert len(rows) == len(PHOTOS) * len(SHIFTS) * 2


def test_from_shards_the_same_tables(layout):
    judges.run(TWO_IMAGES, layout)
    whole = every_file(layout)
    move_into_shards(layout)
    judges.run(TWO_IMAGES, layout)
    assert every_file(layout) == whole


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
    for place in (path, layout.saliency("readout", "set", "a")):
        images.write_image(place, CAT[:30, :40])
    with pytest.raises(ImageError) as caught:
        judges.run(TWO_IMAGES, layout)
    assert str(caught.value) == (
        f"{path}: The image has 40x30 pixels; the judges need at least 31 a side."
    )


@pytest.mark.parametrize("section", ["judges", "gaze", "anova"])
def test_a_quality_that_no_file_has_is_refused(tmp_path, monkeypatch, section):
    values = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    values[section]["match_qualities"] = [50, 60]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "x.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(params, "SCHEMA", ROOT / params.SCHEMA)
    with pytest.raises(ParameterError) as caught:
        params.load("x")
    assert str(caught.value) == (
        f"config/x.yaml: {section}.match_qualities: 60 is not one of compress.match_qualities: "
        "30, 50, 70."
    )


# --- statistics by hand


def row(image, method, value, matched="true"):
    found = {"dataset": "set", "image": image, "method": method, "matched": matched}
    return found | {"match_quality": 50} | dict.fromkeys(judges.JUDGES, value)


def compared(table, method, against):
    return {
        line["judge"]: line
        for line in judges.compare(table)
        if (line["dataset"], line["method"], line["against"]) == ("set", method, against)
    }


def test_less_lpips_and_gmsd_is_better_and_a_tie_is_no_win():
    table = [row("a", "x", 3), row("a", "jpeg", 2), row("b", "x", 2), row("b", "jpeg", 2)]
    found = compared(table, "x", "jpeg")
    smaller = {name for name, one in judges.JUDGES.items() if not one.higher_is_better}
    assert smaller == {"lpips", "lpips_salient", "gmsd"}
    assert {name: line["won"] for name, line in found.items()} == {
        name: 0 if name in smaller else 0.5 for name in judges.JUDGES
    }


def test_differences_are_over_images_matched_in_both_and_finite():
    table = [
        *(row("a", "jpeg", 1), row("b", "jpeg", 2), row("c", "jpeg", 3), row("d", "jpeg", 4)),
        *(row("a", "msroi", 5), row("b", "msroi", 50, "false"), row("c", "msroi", math.inf)),
        row("d", "msroi", 6),
    ]
    cell = judges.summarise(table)["sets"]["set"]["msroi"]["q50"]
    assert (cell["n"], cell["n_missed"], cell["mean"]["lpips"]) == (3, 1, 5.5)
    line = compared(table, "msroi", "jpeg")["lpips"]
    assert (line["n"], line["difference"], line["won"]) == (2, 3, 0)  # of 5 - 1 and 6 - 4
    assert line["sd"] == pytest.approx(statistics.stdev([4, 2]))


def test_without_jpegli_there_is_nothing_against_it():
    found = judges.compare([row("a", "jpeg", 1), row("a", "msroi", 2)])
    assert {line["against"] for line in found if line["method"] == "msroi"} == {"jpeg"}
