"""The readout: where people look, read from features of the pretrained VGG16.

Kümmerer et al. 2016 ("DeepGaze II: Reading fixations from deep features trained on object
recognition") train a few 1 × 1 convolutions on features that stay as they are. So does this
readout: each of some layers is brought to a few channels and to 1/8 of the input, their sum
goes through a softplus and becomes one value a place; that is blurred, the centre is added,
and a softmax over all places makes it the probability of the next fixation.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
import optax
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save
from scipy.ndimage import gaussian_filter

from msroi.errors import MissingError, TrainingError
from msroi.experiment.params import Readout as Parameters
from msroi.files import existing
from msroi.images import Pixels
from msroi.network import vgg
from msroi.network.training_step import averaging
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
CENTRE_BLUR = 1.5  # of its cells
CENTRE_FLOOR = 0.01  # the share of it that is uniform
CENTRE = "centre/log_density"  # its name in the file of weights


def input_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Return height and width in px of what the network is given of an image.

    The longer side becomes `longest`, the other keeps the aspect; both are rounded to the
    nearest multiple of `MULTIPLE`, of which each side has one at least.
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

    Block 3's are averaged, block 5's interpolated bilinearly.
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
    """Blur `(B, h, w)` by a Gaussian of standard deviation `sigma`; edges are continued."""
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
        """Return what is kept of each image's channels: 0, or what makes up for the others."""
        if self.dropout == 0:
            return jnp.ones((batch, channels))
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.dropout, (batch, channels))
        return kept / (1 - self.dropout)


def _start(key: jax.Array, shape: tuple[int, int]) -> dict[str, jax.Array]:
    """Draw a kernel `(1, 1, C, D)`; the bias starts as 0."""
    kernel = nn.initializers.lecun_normal()(key, (1, 1, *shape))
    return {"kernel": kernel, "bias": jnp.zeros(shape[1])}


def centre_density(relative: NDArray[np.float64]) -> Density:
    """Return how densely fixations lie on photographs as a whole, `CENTRE_SHAPE`, of sum 1.

    Parameters
    ----------
    relative
        `(N, 2)`: the places of all fixations in shares of height and width, in [0, 1).
        Left and right count alike.
    """
    rows, columns = CENTRE_SHAPE
    down, across = (relative * CENTRE_SHAPE).astype(np.intp).T
    counts = np.zeros(CENTRE_SHAPE)
    np.add.at(counts, (down, across), 1)
    np.add.at(counts, (down, columns - 1 - across), 1)
    smooth = gaussian_filter(counts, CENTRE_BLUR, mode="nearest")
    uniform = 1 / (rows * columns)
    density = (1 - CENTRE_FLOOR) * smooth / smooth.sum() + CENTRE_FLOOR * uniform
    return np.asarray(density, np.float32)


def centre_at(log_density: Density, shape: Sequence[int]) -> jax.Array:
    """Return the logarithm of the centre's density at places `shape`: it is as wide as they are.

    `log_density` is the logarithm of what `centre_density` returns.
    """
    logs = jax.image.resize(jnp.asarray(log_density), tuple(shape), "bilinear", antialias=False)
    return jnp.asarray(logs - jax.nn.logsumexp(logs))


def fixation_counts(relative: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Count fixations a place: `shape`; `relative` as for `centre_density`."""
    counts = np.zeros(shape, np.float32)
    np.add.at(counts, tuple((relative * shape).astype(np.intp).T), 1)
    return counts


def loss(log_density: jax.Array, counts: jax.Array) -> jax.Array:
    """Return the mean negative log-likelihood of a fixation, in nats; both `(B, h, w)`."""
    return -(log_density * counts).sum() / counts.sum()


@dataclass(frozen=True)
class Samples:
    """Photographs to train by, or to measure by.

    Attributes
    ----------
    features
        By layer, `(N, h, w, C)`, float16 or float32; may lie on disk.
    counts
        `(N, H/8, W/8) float32`: fixations a place.
    """

    features: Mapping[str, NDArray[Any]]
    counts: NDArray[np.float32]

    def batch(self, chosen: NDArray[np.intp]) -> tuple[dict[str, NDArray[Any]], Any]:
        """Return the features and counts of some of them."""
        rows = np.sort(chosen)  # in the order of the file
        return {name: of[rows] for name, of in self.features.items()}, self.counts[rows]


def joined(first: Samples, second: Samples) -> "Joined":
    """Return the photographs of both, without copying them."""
    return Joined(
        first.features, np.concatenate([first.counts, second.counts]), second, len(first.counts)
    )


@dataclass(frozen=True)
class Joined(Samples):
    """Samples and others after them; `features` are those of the first `count`."""

    others: Samples
    count: int

    def batch(self, chosen: NDArray[np.intp]) -> tuple[dict[str, NDArray[Any]], Any]:
        """Return the features and counts of some of both."""
        rows = np.sort(chosen)
        own, others = rows[rows < self.count], rows[rows >= self.count] - self.count
        theirs, _ = self.others.batch(others)
        features = {
            name: np.concatenate([of[own], theirs[name]]) for name, of in self.features.items()
        }
        return features, self.counts[rows]


def scales(features: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Return the root of the mean square of each layer's features."""
    return {
        name: float(np.sqrt(np.mean([np.mean(np.square(x, dtype=np.float32)) for x in of])))
        for name, of in features.items()
    }


class Trainer:
    """The compiled steps of a training: the readout, AdamW and the average of the weights.

    Parameters
    ----------
    params
        The section `readout` of an experiment.
    samples
        Those of the training.
    log_centre
        `CENTRE_SHAPE`: the logarithm of `centre_density`.
    """

    def __init__(self, params: Parameters, samples: Samples, log_centre: Density) -> None:
        self.samples = samples
        self.batch_size = params.batch_size
        self.scale = scales(samples.features)
        self.centre = centre_at(log_centre, samples.counts.shape[1:])
        self.plain = Readout(params.layers, params.channels)
        self.dropped = Readout(params.layers, params.channels, params.dropout)
        self.steps = math.ceil(len(samples.counts) / params.batch_size)
        rate = optax.cosine_decay_schedule(params.learning_rate, params.epochs * self.steps)
        adam = optax.adamw(rate, weight_decay=params.weight_decay, mask=_decays)
        self.optimizer = optax.chain(adam, averaging(params.average))
        self._step = jax.jit(self._stepped, donate_argnums=(0, 1))
        self._measure = jax.jit(self._measured)

    def start(self, seed: int) -> tuple[Any, Any]:
        """Draw the weights; return them and the optimizer's state."""
        features, _ = self.samples.batch(np.zeros(1, np.intp))
        weights = self.plain.init(jax.random.key(seed), features, self.centre)["params"]
        return weights, self.optimizer.init(weights)

    def epoch(self, weights: Any, state: Any, seed: int, number: int) -> tuple[Any, Any, float]:
        """Train an epoch; return the weights, the state and the mean loss in nats."""
        order = np.random.default_rng((seed, 5, number)).permutation(len(self.samples.counts))
        key = jax.random.fold_in(jax.random.key(seed), number)
        losses = []
        # the last batch is filled up from the first, so that one shape serves all
        order = np.resize(order, self.steps * self.batch_size)
        for step, chosen in enumerate(order.reshape(self.steps, self.batch_size)):
            batch = self.samples.batch(chosen)
            weights, state, of = self._step(weights, state, jax.random.fold_in(key, step), *batch)
            losses.append(of)
        return weights, state, float(np.mean(losses))

    def kept(self, state: Any) -> Any:
        """Return the average of the weights."""
        return state[-1].weights

    def measure(self, weights: Any, samples: Samples) -> float:
        """Return the mean loss of a fixation of the samples, in nats."""
        sums = np.zeros(2)
        for number in range(len(samples.counts)):
            features, counts = samples.batch(np.array([number]))
            sums += counts.sum() * float(self._measure(weights, features, counts)), counts.sum()
        return float(sums[0] / sums[1])

    def of_centre(self, samples: Samples) -> float:
        """Return the mean loss, in nats, of who knows the centre alone."""
        return float(loss(self.centre[None], jnp.asarray(samples.counts)))

    def folded(self, weights: Any) -> dict[str, NDArray[np.float32]]:
        """Return the weights for features as they are, by `layer/name`."""
        return vgg.flattened(self._scaled(weights))

    def _scaled(self, weights: Any) -> Any:
        """Return the weights for features as they are, of those for features of mean square 1."""
        scaled = {
            name: weights[name] | {"kernel": weights[name]["kernel"] / scale}
            for name, scale in self.scale.items()
        }
        return weights | scaled

    def _stepped(self, weights: Any, state: Any, key: Any, features: Any, counts: Any) -> Any:
        def of(weights: Any) -> jax.Array:
            own = {"params": self._scaled(weights)}
            found = self.dropped.apply(own, features, self.centre, rngs={"dropout": key})
            return loss(found, counts)

        value, gradients = jax.value_and_grad(of)(weights)
        updates, state = self.optimizer.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state, value

    def _measured(self, weights: Any, features: Any, counts: Any) -> jax.Array:
        found = self.plain.apply({"params": self._scaled(weights)}, features, self.centre)
        return loss(found, counts)


def _decays(weights: Any) -> Any:
    """Say which weights decay: the kernels."""
    return {layer: {name: name == "kernel" for name in of} for layer, of in weights.items()}


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
        trunk = {"params": vgg.nested(vgg16)}
        own = {"params": vgg.nested(flat)}

        def density(pixels: jax.Array) -> jax.Array:
            x = vgg.normalise(pixels[None], vgg16)
            features = vgg.PRETRAINED.apply(trunk, x, self.params.layers, method="layers")
            shape = pixels.shape[0] // CELL, pixels.shape[1] // CELL
            return jnp.exp(readout.apply(own, features, centre_at(log_centre, shape))[0])

        self._density = jax.jit(density)

    def given(self, image: Pixels) -> Pixels:
        """Return what the network is given of an image `(H, W, 3) uint8`: see `shown`."""
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
    features = {
        layer: jnp.zeros((1, *([32 >> int(layer[4])] * 2), vgg.WIDTHS[int(layer[4]) - 1]))
        for layer in readout.layers
    }
    start = jax.eval_shape(readout.init, jax.random.key(0), features, jnp.zeros((2, 2)))
    expected = {
        f"{layer}/{name}": leaf.shape
        for layer, leaves in start["params"].items()
        for name, leaf in leaves.items()
    } | {CENTRE: CENTRE_SHAPE}
    found = {name: array.shape for name, array in flat.items()} | {CENTRE: log_centre.shape}
    wrong = sorted(key for key in expected | found if expected.get(key) != found.get(key))
    if wrong:
        listed = "; ".join(
            f"{key}: expected {expected.get(key, 'none')}, got {found.get(key, 'none')}"
            for key in wrong
        )
        raise MissingError(f"{file} does not fit the readout: {listed}.")
