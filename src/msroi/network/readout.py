"""The readout: where people look, read from features of the pretrained VGG16.

Kümmerer et al. 2016 ("DeepGaze II: Reading fixations from deep features trained on object
recognition") train a few 1 × 1 convolutions on features that stay as they are. So does this
readout. It brings each of some layers to a few channels and to 1/8 of the input. Their sum goes
through a softplus and becomes one value a place. The readout blurs that and adds the centre. A
softmax over all places makes it the probability of the next fixation.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save

from msroi.errors import MissingError, TrainingError
from msroi.experiment.params import Readout as Parameters
from msroi.files import existing
from msroi.images import Pixels
from msroi.network import vgg
from msroi.xla import jax, jnp

Density = NDArray[np.float32]
# features of a batch by layer, `(B, h, w, C)` each
Features = Mapping[str, Any]

CELL = 8  # px of the input that are one place
MULTIPLE = 16  # of which the input's sides are multiples: block 5 comes after four pools
LOWEST_BLOCK = 3  # whose features are still brought to places by whole factors
RADIUS = 6  # places: how far the blur reaches
FIRST_BLUR = 1.0  # places: the standard deviation that training starts from
CENTRE_SHAPE = 24, 32  # of the density of the centre, in shares of the sides
CENTRE = "centre/log_density"  # its name in the file of weights


def input_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Return height and width in px of the network's input for an image.

    The longer side becomes `longest`, the other keeps the aspect. It rounds both to the nearest
    multiple of `MULTIPLE`, of which each side has one at least.
    """
    scale = longest / max(height, width)
    down, across = (max(round(side * scale / MULTIPLE), 1) * MULTIPLE for side in (height, width))
    return down, across


def shown(image: Pixels, longest: int) -> Pixels:
    """Bring an image `(H, W, 3) uint8` to its `input_size` (bilinear): `(h, w, 3) uint8`."""
    height, width = input_size(image.shape[0], image.shape[1], longest)
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def brought(x: jax.Array, layer: str) -> jax.Array:
    """Bring features of a layer of blocks 3 to 5 to places: `(B, H/8, W/8, C)`.

    It averages those of block 3 and interpolates those of block 5 bilinearly.
    """
    batch, height, width, channels = x.shape
    block = int(layer.removeprefix("conv")[0])
    if block == LOWEST_BLOCK:
        pairs = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
        return jnp.asarray(pairs.mean(axis=(2, 4)))
    times = 2 ** (block - 1) // CELL
    if times == 1:
        return x
    larger = batch, times * height, times * width, channels
    return jnp.asarray(jax.image.resize(x, larger, "bilinear"))


def blurred(x: jax.Array, sigma: jax.Array) -> jax.Array:
    """Blur `(B, h, w)` by a Gaussian of standard deviation `sigma`, with edges continued."""
    offsets = jnp.arange(-RADIUS, RADIUS + 1)
    weights = jax.nn.softmax(-0.5 * (offsets / sigma) ** 2)
    for axis in (1, 2):
        padding = [(RADIUS, RADIUS) if axis == of else (0, 0) for of in range(3)]
        padded = jnp.pad(x, padding, mode="edge")
        length = x.shape[axis]
        x = sum(
            weight * jax.lax.slice_in_dim(padded, start, start + length, axis=axis)
            for start, weight in enumerate(weights)
        )
    return x


class Readout(nn.Module):  # type: ignore[misc]  # Flax has no types here
    """The trained part.

    Attributes
    ----------
    layers
        Of VGG16, of blocks 3 to 5.
    channels
        To which each of them is brought.
    dropout
        Share of a layer's channels that are dropped, whole, in training.
    """

    layers: Sequence[str]
    channels: int
    dropout: float = 0.0

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, features: Features, centre: jax.Array) -> jax.Array:
        """Return the logarithm of the probability of each place, `(B, H/8, W/8)`.

        Parameters
        ----------
        features
            Those of `layers`.
        centre
            `(H/8, W/8)`, the logarithm of the density of the centre.
        """
        total: Any = 0.0
        for layer in self.layers:
            of = self.param(layer, _start, (features[layer].shape[-1], self.channels))
            kept = self.kept(features[layer].shape[0], features[layer].shape[-1])
            # channels are dropped from the kernel, which is smaller than what they hold
            kernels = kept[..., None] * of["kernel"][0, 0]
            x = jnp.einsum("bhwc,bcd->bhwd", jnp.asarray(features[layer], jnp.float32), kernels)
            total += brought(x + of["bias"], layer)
        # a bias would be the same at all places, which the softmax takes away
        value = nn.Conv(1, (1, 1), use_bias=False, name="value")(nn.softplus(total))[..., 0]
        log_sigma = self.param("blur", lambda _: {"log": jnp.log(FIRST_BLUR)})["log"]
        share = self.param("centre", lambda _: {"weight": jnp.ones(())})["weight"]
        logits = blurred(value, jnp.exp(log_sigma)) + share * centre
        flat = jax.nn.log_softmax(logits.reshape(len(logits), -1))
        return flat.reshape(logits.shape)

    def kept(self, batch: int, channels: int) -> jax.Array:
        """Return the factor of each image's channels: 0, or what makes up for the others."""
        if self.dropout == 0:
            return jnp.ones((batch, channels))
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.dropout, (batch, channels))
        return kept / (1 - self.dropout)


def _start(key: jax.Array, shape: tuple[int, int]) -> dict[str, jax.Array]:
    """Draw a kernel `(1, 1, C, D)`, and start the bias as 0."""
    kernel = nn.initializers.lecun_normal()(key, (1, 1, *shape))
    return {"kernel": kernel, "bias": jnp.zeros(shape[1])}


def centre_at(log_density: Density, shape: Sequence[int]) -> jax.Array:
    """Return the logarithm of the centre's density at places `shape`: it is as wide as they are.

    `log_density` is the logarithm of what `centre_density` returns.
    """
    logs = jax.image.resize(jnp.asarray(log_density), tuple(shape), "bilinear", antialias=False)
    return jnp.asarray(logs - jax.nn.logsumexp(logs))


class ReadoutNetwork:
    """A trained readout over the pretrained VGG16, ready to make densities."""

    def __init__(self, vgg16: vgg.Weights, weights: Path) -> None:
        """Load the readout from the file that stage readout writes, or that the package has.

        Raises
        ------
        MissingError
            If it is missing or unsound, does not say which readout it is, or does not fit.
        """
        file = existing(weights)
        flat = vgg.read_weights(file)
        self.params = described(file)
        log_centre = flat.pop(CENTRE, np.zeros((0, 0), np.float32))
        readout = Readout(self.params.layers, self.params.channels)
        insist_fits(file, readout, flat, log_centre)
        # arguments: as constants, weights would be a part of what is compiled, and cached with it
        trunk, own = jax.device_put([{"params": vgg.nested(of)} for of in (vgg16, flat)])
        scale = {name: vgg16[name] for name in ("input/mean", "input/std")}

        def density(trunk: Any, own: Any, pixels: jax.Array) -> jax.Array:
            x = vgg.normalise(pixels[None], scale)
            features = vgg.PRETRAINED.apply(trunk, x, self.params.layers, method="layers")
            shape = pixels.shape[0] // CELL, pixels.shape[1] // CELL
            return jnp.exp(readout.apply(own, features, centre_at(log_centre, shape))[0])

        self._density = functools.partial(jax.jit(density), trunk, own)

    def given(self, image: Pixels) -> Pixels:
        """Return the network's input for an image `(H, W, 3) uint8`, as `shown` makes it."""
        return shown(image, self.params.input_px)

    def density(self, given: Pixels) -> Density:
        """Return where people look in what `given` returns.

        Returns
        -------
        `(h/8, w/8) float32`: the probability that the next fixation is in each place; all
        are positive, and their sum is 1.
        """
        return np.asarray(self._density(given))


def to_file(flat: vgg.Weights, log_centre: Density, params: Parameters) -> bytes:
    """Return a safetensors file of float16 with a readout's weights and its parameters."""
    stored = {**flat, CENTRE: log_centre}
    half = {name: array.astype(np.float16) for name, array in sorted(stored.items())}
    for name, array in half.items():
        if not np.isfinite(array).all():
            raise TrainingError(
                f"{name} of the readout has weights that float16 does not hold, so the training "
                "has diverged; lower readout.learning_rate."
            )
    return bytes(save(half, {"readout": json.dumps(asdict(params))}))


def described(file: Path) -> Parameters:
    """Return the parameters that a file of weights says that it was trained by.

    Raises
    ------
    MissingError
        If it says none.
    """
    with safe_open(file, "numpy") as opened:
        metadata = opened.metadata() or {}
    try:
        values = json.loads(metadata["readout"])
        return Parameters(**values | {"layers": tuple(values["layers"])})
    except (KeyError, TypeError, json.JSONDecodeError):
        raise MissingError(
            f"{file} is not from this version's stage readout; run it again."
        ) from None


def insist_fits(file: Path, readout: Readout, flat: vgg.Weights, log_centre: Density) -> None:
    """Raise `MissingError` unless a file has just the weights of a readout."""
    expected = weight_shapes(readout)
    found = {name: array.shape for name, array in flat.items()} | {CENTRE: log_centre.shape}
    wrong = sorted(key for key in expected | found if expected.get(key) != found.get(key))
    if wrong:
        listed = "; ".join(
            f"{key}: expected {expected.get(key, 'none')}, got {found.get(key, 'none')}"
            for key in wrong
        )
        raise MissingError(f"{file} does not fit the readout: {listed}.")


def weight_shapes(readout: Readout) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array in a file of weights, by name.

    They are those of Flax's `init`, which would trace the network: a quarter of a second.
    """
    shapes: dict[str, tuple[int, ...]] = {
        "value/kernel": (1, 1, readout.channels, 1),
        "blur/log": (),
        "centre/weight": (),
        CENTRE: CENTRE_SHAPE,
    }
    for layer in readout.layers:
        width = vgg.WIDTHS[int(layer.removeprefix("conv")[0]) - 1]
        shapes[f"{layer}/kernel"] = (1, 1, width, readout.channels)
        shapes[f"{layer}/bias"] = (readout.channels,)
    return shapes
