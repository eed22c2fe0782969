"""What it takes to add an encoder or a measure: one entry of a list."""

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml

from msroi.cli.parser import build_parser
from msroi.encoders import jpeg, methods
from msroi.encoders.matching import compress_image
from msroi.encoders.methods import Line, Method
from msroi.experiment import params
from msroi.photos.explain import explained
from msroi.report import charts

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import reference  # noqa: E402

IMAGE = skimage.data.chelsea()[:64, :80]
MAP = np.ones((64, 80), np.float32)


class Toy:
    """Plain JPEG under another name."""

    name = "toy"
    version = "toy 1"

    def prepare(self, image, saliency):
        return functools.partial(jpeg.encode, image)


@pytest.fixture
def demo():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return params.load("demo").compress


@pytest.fixture
def toy(monkeypatch):
    """Add the encoder as one adds one: a class and an entry."""
    entry = Method(
        name="toy",
        label="the toy",
        description="a toy for a test",
        colour="#123456",
        line=Line(7, {"color": "#123456"}),
        needs_map=False,
        in_gallery=True,
        encoder=lambda _: Toy(),
    )
    monkeypatch.setitem(methods.METHODS, "toy", entry)
    return entry


@pytest.mark.usefixtures("toy")
def test_the_program_offers_a_new_encoder():
    commands = next(action for action in build_parser()._actions if action.dest == "command")
    command = commands.choices["compress"]
    assert command.parse_args(["photo.png", "--method", "toy"]).method == "toy"
    assert "toy           a toy for a test" in command.format_help()


@pytest.mark.usefixtures("toy")
def test_an_experiment_may_name_a_new_encoder(tmp_path, monkeypatch):
    """The schema's list is written by the command that writes the reference pages."""
    monkeypatch.chdir(ROOT)
    schema = tmp_path / "schema.yaml"
    schema.write_text(reference.schema(), encoding="utf-8")
    monkeypatch.setattr(params, "SCHEMA", schema)
    values = params.read_yaml(params.config_path("demo"))
    values["compress"]["methods"] += ["toy"]
    params.check(values, Path("config/demo.yaml"))


def test_a_new_encoder_is_compared_at_matched_size(toy, demo):
    only = dataclasses.replace(demo, methods=("jpeg", "toy"), match_qualities=(50,))
    plain, made = (match for _, _, match in compress_image(IMAGE, {"toy": MAP}, only))
    assert made.data == plain.data


def test_charts_curves_and_gallery_show_a_new_encoder(toy, demo):
    scale = charts.colour()["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True))["toy"] == toy.colour
    assert list(methods.lines().items())[-1] == ("toy", {"color": "#123456"})
    (photograph,) = explained("a", IMAGE, MAP, demo, 50).photographs
    shown = photograph["qualities"]["50"]
    assert "toy" in shown["files"]
    assert shown["rows"][-1]["method"] == "toy"


ADDED = """
import dataclasses, json, sys
import numpy as np
from msroi.measures import distortion

entry = dataclasses.replace(
    distortion.METRICS["mse_rgb"],
    column="largest_error",
    label="largest error",
    unit="levels",
    function=lambda reference, distorted, _: float(np.max(np.subtract(reference, distorted))),
)
distortion.METRICS[entry.column] = entry

sys.path.insert(0, "docs")
import reference
from msroi.report import contents
from msroi.stages import metrics

image = np.zeros((16, 16, 3), np.uint8)
print(json.dumps({
    "columns": [*metrics.COLUMNS],
    "comparison": [*metrics.COMPARISON_COLUMNS],
    "measured": distortion.measure(image + np.uint8(7), image, None),
    "title": contents.TITLES["largest_error"],
    "schema": reference.schema(),
}))
"""


def test_tables_pages_and_schema_know_a_new_measure():
    """In a process of its own, as the columns of tables are fixed when a stage is imported."""
    done = subprocess.run(
        [sys.executable, "-c", ADDED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert "largest_error" in found["columns"]
    assert {"largest_error", "largest_error_sd"} <= set(found["comparison"])
    assert found["measured"]["largest_error"] == 7
    assert found["title"] == "largest error (levels)"
    schema = yaml.safe_load(found["schema"])
    offered = schema["properties"]["anova"]["properties"]["metrics"]["items"]["enum"]
    assert offered[-1] == "largest_error"
