"""What it takes to add a check of the audit, a data set, a backbone or a stage."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import flax.linen as nn
import numpy as np
import pytest
import yaml
from PIL import Image
from project import Project, copy_of_project
from safetensors.numpy import save_file

from conftest import ROOT, texture
from msroi.audit import check
from msroi.audit.check import INTERNAL, Finding, Run, verdict_of
from msroi.audit.published import Claim, Paper, Sample
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import csv_rows
from msroi.network import saliency, vgg
from msroi.sources.table import TABLE
from msroi.stages import audit, download, prepare


@pytest.fixture
def demo() -> Experiment:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return params.load("demo")


@pytest.fixture
def even() -> Iterator[str]:
    """Add a check as one adds one: a function."""

    @check.check(INTERNAL, "the count is of things that come in pairs")
    def even(paper: Paper, run: Run, count: str) -> Iterator[Finding]:
        """A count is even."""
        odd = int(count) % 2
        verdict = verdict_of(consistent=not odd)
        yield Finding("text", count, odd, 0, 0, verdict, f"{count} leaves {odd} over")

    yield even.__name__
    del check.REGISTRY[even.__name__]


def test_a_check_is_a_function_that_claims_name(even: str) -> None:
    claims = [
        Claim(f"count-{count}", "page 1", "words", even, {"count": count}) for count in ("4", "5")
    ]
    paper = Paper("small", "Small", True, {"set": Sample(2, 3)}, {}, claims)
    nothing = Run("none", {}, [], [], {}, {}, {}, 0.5, 200, 1)
    rows = [audit.table_row(entry) for entry in audit.entries(paper, nothing)]
    assert [(row["claim"], row["check"], row["verdict"]) for row in rows] == [
        ("count-4", "even", "consistent"),
        ("count-5", "even", "inconsistent"),
    ]
    assert audit.summarise(rows)["small"][INTERNAL] == {"consistent": 1, "inconsistent": 1}


def test_a_data_set_is_a_row_and_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("workflow", "data/local/mine", "config"):
        Path(place).mkdir(parents=True)
    Path("workflow/schemas").symlink_to(ROOT / "workflow/schemas")
    for seed, name in enumerate(("a.png", "b.png", "c.png", "d.png")):
        Image.fromarray(texture("checks", 64, 80, seed)).save(Path("data/local/mine", name))
    row = "mine,local,data/local/mine,,,CC0-1.0,made by a test\n"
    TABLE.write_text((ROOT / TABLE).read_text(encoding="utf-8") + row, encoding="utf-8")
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    values["download"]["datasets"] = ["mine"]
    values["prepare"] |= {"training_set": "mine", "input_px": 32, "validate_last": 1}
    values["prepare"] |= {"classes": {"one": ["a.png"], "other": ["b.png"]}, "crops_per_class": 4}
    values["prepare"]["test_sets"] = {
        name: {"dataset": "mine", "include": [file], "split": "", "reduce": 1, "draw": 0}
        for name, file in (("salient", "c.png"), ("texture", "d.png"))
    }
    Path("config/own.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.setattr(download, "convert", lambda *_: None)  # 60 MB of weights

    experiment, layout = params.load("own"), Layout("own")
    download.run(experiment, layout)
    prepare.run(experiment, layout)
    rows = list(csv_rows(layout.index))
    assert [row["image"] for row in rows if row["split"] == "test"] == ["c", "d"]
    assert {row["class"] for row in rows if row["split"] == "train"} == {"one", "other"}


class Strided(nn.Module):  # type: ignore[misc]  # Flax has no types here
    """Another architecture: one convolution of stride 8, global average pooling, classes."""

    classes: int

    @nn.compact
    def __call__(self, x):  # type: ignore[no-untyped-def]
        """Classify; return also the features of the last layer."""
        grid = nn.relu(nn.Conv(5, (8, 8), strides=8, name="trunk")(x))
        logits = nn.Dense(self.classes, use_bias=False, name="gap")(grid.mean(axis=(1, 2)))
        return logits, {saliency.LAST_LAYER: grid}


def test_maps_come_of_another_backbone_with_the_same_names(
    demo: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what docs/backbone.md lists, maps use four names; three serve every architecture."""
    shared = {name: getattr(vgg, name) for name in ("merge", "normalise", "read_weights")}
    stand_in = SimpleNamespace(network=lambda train, classes, *_: Strided(classes), **shared)
    monkeypatch.setattr(saliency, "vgg", stand_in)
    described = {"classes": ["left", "right"], "train": dataclasses.asdict(demo.train)}
    gap = np.eye(5, 2, dtype=np.float32)
    file = tmp_path / "weights.safetensors"
    save_file({"gap/kernel": gap}, file, {"model": json.dumps(described)})
    kernel = np.zeros((8, 8, 3, 5), np.float32)
    kernel[..., 0] = 1  # the first class is that of bright places
    pretrained = {"trunk/kernel": kernel, "trunk/bias": np.zeros(5, np.float32)}
    statistics = {"input/mean": np.zeros(3, np.float32), "input/std": np.ones(3, np.float32)}
    made = saliency.MapMaker("paper", file, pretrained | statistics, demo.heatmap)
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48] = 255
    seen = made.saliency(image)
    assert seen.shape == (64, 96)
    assert seen[:24, :36].min() > 0.9
    assert seen[40:, 60:].max() < 0.1


STAGE = '''\
"""Stage hello: count the sources of data."""

from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import write_json
from msroi.sources.table import TABLE, read


def run(experiment: Experiment, layout: Layout) -> None:
    """Write how many there are."""
    write_json(layout.results / "hello.json", {"sources": len(read(TABLE)), "of": experiment.name})
'''
ENTRY = """\
  hello:
    desc: Count the sources of data.
    matrix:
      experiment: ${experiments}
    cmd: snakemake --allowed-rules hello -- results/${item.experiment}/hello.json
    deps:
      - workflow/code/hello.lock
      - data/sources.csv
    outs:
      - results/${item.experiment}/hello.json

  adopt:
"""
MADE = "results/tiny/hello.json"


@pytest.fixture
def with_stage(tmp_path: Path) -> Project:
    """A copy of the project with one stage more: a module, and two entries."""
    copy = copy_of_project(tmp_path / "project")
    module = copy.folder / "src/msroi/stages/hello.py"
    module.write_text(STAGE, encoding="utf-8")
    copy.edit("dvc.yaml", "  adopt:\n", ENTRY)
    copy.edit("src/msroi/cli/parser.py", "STAGES = {\n", 'STAGES = {\n    "hello": "count",\n')
    return copy


@pytest.mark.workflow
def test_a_stage_is_a_module_and_two_entries(with_stage: Project) -> None:
    msroi = ("python", "-m", "msroi", "stage")
    assert "hello becomes due: " in with_stage.run(*msroi, "locks")
    assert with_stage.planned(MADE) == {"hello"}
    with_stage.run(*msroi, "hello", "--experiment", "tiny")
    assert json.loads((with_stage.folder / MADE).read_bytes())["of"] == "tiny"
