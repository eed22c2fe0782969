"""The density of a photo by the readout, in NumPy: quick, and for a new size as quick as for any.

Stages take `readout.ReadoutNetwork`. Its densities are the same but for rounding.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import softmax

from msroi.files import existing
from msroi.images import Pixels
from msroi.network import vgg
from msroi.network.readout import (
    CELL,
    CENTRE,
    LOWEST_BLOCK,
    RADIUS,
    Density,
    Readout,
    described,
    insist_fits,
    shown,
)
from msroi.network.winograd import Trunk

Array = NDArray[np.float32]


class DensityMaker:
    """A trained readout over the pretrained VGG16, ready for photos of any size."""

    def __init__(self, vgg16: vgg.Weights, weights: Path) -> None:
        """Load the readout from the file that stage readout writes, or that the package has.

        Raises
        ------
        MissingError
            If it is missing or unsound, does not say which readout it is, or does not fit.
        """
        file = existing(weights)
        self._weights = vgg.read_weights(file)
        self.params = described(file)
        self._log_centre = self._weights.pop(CENTRE, np.zeros((0, 0), np.float32))
        readout = Readout(self.params.layers, self.params.channels)
        insist_fits(file, readout, self._weights, self._log_centre)
        self._trunk = Trunk(vgg16, last=max(self.params.layers))  # names sort as layers follow

    def density(self, image: Pixels) -> Density:
        """Return where people look in an image `(H, W, 3) uint8`.

        Returns
        -------
        `(h, w) float32`: the probability that the next fixation is in each place. A place has 8 px
        of the image as `readout.shown` brings it to size. All are positive, and their sum is 1.
        """
        given = shown(image, self.params.input_px)
        height, width = given.shape[0] // CELL, given.shape[1] // CELL
        total: Array | float = 0.0
        for layer, features in self._trunk.layers(given, self.params.layers).items():
            kernel, bias = self._weights[f"{layer}/kernel"][0, 0], self._weights[f"{layer}/bias"]
            total += _brought(features @ kernel + bias, layer, height, width)
        value = np.logaddexp(total, 0) @ self._weights["value/kernel"][0, 0, :, 0]
        logits = _blurred(value, self._weights["blur/log"])
        logits += self._weights["centre/weight"] * _centre(self._log_centre, height, width)
        return np.asarray(softmax(logits), np.float32)


def _brought(x: Array, layer: str, height: int, width: int) -> Array:
    """Bring what a layer gives to places, as `readout.brought` does."""
    block = int(layer.removeprefix("conv")[0])
    if block == LOWEST_BLOCK:
        return np.asarray(x.reshape(height, 2, width, 2, -1).mean(axis=(1, 3)))
    return x if x.shape[:2] == (height, width) else _interpolated(x, height, width)


def _interpolated(x: Array, height: int, width: int) -> Array:
    """Bring values `(h, w, C)` bilinearly to a size."""

    def shares(given: int, wanted: int) -> Array:
        """Return how much of each given place is in each wanted one, `(wanted, given)`."""
        middles = (np.arange(wanted) + 0.5) * given / wanted - 0.5
        near = np.maximum(1 - np.abs(middles[:, None] - np.arange(given)), 0)
        return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)

    down, across = shares(x.shape[0], height), shares(x.shape[1], width)
    return np.asarray(np.einsum("ih,hwc,jw->ijc", down, x, across, optimize=True))


def _blurred(value: Array, log_sigma: Array) -> Array:
    """Blur `(h, w)` as `readout.blurred` does."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    weights = softmax(-0.5 * (offsets / np.exp(log_sigma)) ** 2)
    down = correlate1d(value, weights, axis=0, mode="nearest")
    return np.asarray(correlate1d(down, weights, axis=1, mode="nearest"))


def _centre(log_density: Array, height: int, width: int) -> Array:
    """Return the logarithm of the centre's density, as `readout.centre_at` does.

    The softmax over all places makes up for a sum other than 1.
    """
    return _interpolated(log_density[..., None], height, width)[..., 0]
