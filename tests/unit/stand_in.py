"""A small model of random weights in place of the one that the package carries."""

import shutil
from pathlib import Path

from msroi.experiment import params
from msroi.photos import packaged


def carry(made, folder: Path, monkeypatch) -> None:
    """Let the package carry the model and the parameters of a project."""
    folder.mkdir()
    shutil.copyfile(made.layout.readout / "weights.safetensors", folder / "weights.safetensors")
    shutil.copyfile(params.config_path(made.experiment.name), folder / "parameters.yaml")
    monkeypatch.setattr(packaged, "FOLDER", folder)
