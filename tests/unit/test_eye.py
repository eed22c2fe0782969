"""The judges of benchmarks.eye: with programs that stand in for them, and Butteraugli itself."""

import dataclasses
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
import skimage.data

from benchmarks import eye
from msroi import images
from msroi.encoders import jpeg
from msroi.errors import MissingError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import read_csv, write_bytes, write_csv
from msroi.stages.compress import COLUMNS as COMPRESSED
from msroi.stages.judges import COMPARISON_COLUMNS

ROOT = Path(__file__).parents[2]
CAT = skimage.data.chelsea()
PHOTOS = {"a": CAT[60:108, 100:148], "b": CAT[60:108, 160:208], "c": CAT[100:148, 100:148]}
SHIFTS = {"jpeg": 0, "trellis": 30}

# prints the share of the distorted file's bytes, so that a smaller file has a smaller value
BUTTERAUGLI = """#!/bin/sh
test "$3 $4" = "--pnorm 3" || exit 1
echo "$(wc -c < "$2")"
echo "3-norm: 1.5"
echo "$2" >> "$CALLS"
"""
CVVDP = """
class cvvdp:
    def __init__(self, display_name):
        assert display_name == "standard_4k"
    def predict(self, distorted, reference, dim_order):
        assert distorted.shape == reference.shape == (48, 48, 3) and dim_order == "HWC"
        return 10 - abs(distorted.astype(float) - reference).mean(), None
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Lay out three photographs, two methods and two qualities, as the stages would."""
    monkeypatch.chdir(ROOT)
    paper = params.load("demo")
    judged = dataclasses.replace(paper.judges, images=2, match_qualities=(50,))
    monkeypatch.setattr(params, "load", lambda name: dataclasses.replace(paper, judges=judged))
    monkeypatch.chdir(tmp_path)
    layout = Layout("demo")
    rows = []
    for image, photo in PHOTOS.items():
        images.write_image(layout.test_image("set", image), photo)
        for quality in (30, 50):
            for method, shift in SHIFTS.items():
                data = jpeg.encode(photo, quality + shift)
                write_bytes(layout.jpeg_file("set", method, quality, image), data)
                row = {"dataset": "set", "image": image, "method": method}
                row |= {"match_quality": quality, "matched": "true"}
                rows.append(dict.fromkeys(COMPRESSED, "") | row)
    write_csv(layout.jpeg / "index.csv", COMPRESSED, rows)
    return tmp_path


@pytest.fixture
def programs(folder, monkeypatch):
    """Programs that stand in for Butteraugli and cvvdp; returns where calls are written."""
    program = folder / "bin" / eye.BUTTERAUGLI
    program.parent.mkdir()
    program.write_text(BUTTERAUGLI)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "bin/pycvvdp.py").write_text(CVVDP)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(program.parent))
    monkeypatch.setenv("CALLS", str(folder / "calls"))
    return folder / "calls"


def test_every_file_of_the_judges_photographs_has_a_row(programs):
    eye.main(["--experiment", "demo", "--cvvdp-python", sys.executable])
    expected = [("set", image, method, "50", "true") for image in "ab" for method in SHIFTS]
    for name, columns in (
        ("butteraugli", ("butteraugli_3norm", "butteraugli_max")),
        ("colorvideovdp", ("colorvideovdp_jod",)),
    ):
        rows = read_csv(eye.FOLDER / f"{name}.csv")
        assert tuple(rows[0]) == (*eye.PLACE, *columns)
        assert [tuple(row[key] for key in eye.PLACE) for row in rows] == expected
    for row in read_csv(eye.FOLDER / "colorvideovdp.csv"):
        file = Layout("demo").jpeg_file("set", row["method"], 50, row["image"])
        apart = jpeg.decode(file.read_bytes()).astype(float) - PHOTOS[row["image"]]
        assert float(row["colorvideovdp_jod"]) == pytest.approx(10 - abs(apart).mean())
    compared = read_csv(eye.FOLDER / "comparison.csv")
    assert tuple(compared[0]) == COMPARISON_COLUMNS
    (line,) = (
        row for row in compared if (row["dataset"], row["judge"]) == ("all", "colorvideovdp_jod")
    )
    assert (line["method"], line["against"], line["role"]) == ("trellis", "jpeg", "looked at")
    assert (line["n"], line["won"]) == ("2", "1.0")
    about = json.loads((eye.FOLDER / "about.json").read_text())
    assert (about["photographs"], about["files"], about["experiment"]) == (2, 4, "demo")


def test_a_second_run_judges_only_what_is_missing(programs):
    eye.main(["--experiment", "demo", "--images", "1"])
    assert len(programs.read_text().splitlines()) == 2
    eye.main(["--experiment", "demo"])
    assert len(programs.read_text().splitlines()) == 4
    assert [row["image"] for row in read_csv(eye.FOLDER / "butteraugli.csv")] == list("aabb")


def test_without_the_program_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(MissingError) as caught:
        eye.main(["--experiment", "demo"])
    assert str(caught.value) == (
        "butteraugli_main is not there; install it: apt-get install libjxl-devtools."
    )


def test_what_butteraugli_prints_is_read():
    found = eye.butteraugli_values("3.8945541382\n3-norm: 1.576597\n")
    assert found == {"butteraugli_3norm": 1.576597, "butteraugli_max": 3.8945541382}
    with pytest.raises(MissingError, match="printed 'nothing'; expected a number and its 3-norm"):
        eye.butteraugli_values("nothing")


@pytest.mark.skipif(shutil.which(eye.BUTTERAUGLI) is None, reason="libjxl-devtools is not there")
def test_butteraugli_itself_finds_the_higher_quality_better(folder):
    eye.main(["--experiment", "demo"])
    for row in read_csv(eye.FOLDER / "comparison.csv"):
        assert (row["judge"][:11], row["role"]) == ("butteraugli", "tuned to")
        assert (row["won"], float(row["difference"]) < 0) == ("1.0", True)
