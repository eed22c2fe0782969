"""A small model of random weights in place of the one that the package carries."""

import shutil
from pathlib import Path

import numpy as np

from msroi.experiment import params
from msroi.photos import packaged


def carry(made, folder: Path, monkeypatch) -> None:
    """Let the package carry the model and the parameters of a project."""
    folder.mkdir()
    shutil.copyfile(made.layout.readout / "weights.safetensors", folder / "weights.safetensors")
    shutil.copyfile(params.config_path(made.experiment.name), folder / "parameters.yaml")
    monkeypatch.setattr(packaged, "FOLDER", folder)


def insist_alike(one, other) -> None:
    """Insist that maps in 256 levels are alike but for rounding, in a thousandth of the pixels."""
    levels = [np.rint(255 * of) for of in (one, other)]
    apart = np.abs(levels[0] - levels[1])
    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= apart.size / 1000
