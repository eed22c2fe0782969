"""The training of a readout: its input, its loss, and its steps.

The loss is the negative log-likelihood of a fixation (`loss`), as of Kümmerer et al. 2016.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optax
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from msroi.experiment.params import Readout as Parameters
from msroi.network import vgg
from msroi.network.readout import CENTRE_SHAPE, Density, Readout, centre_at
from msroi.network.training_step import averaging
from msroi.xla import jax, jnp

CENTRE_BLUR = 1.5  # of its cells
CENTRE_FLOOR = 0.01  # the share of it that is uniform


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


def fixation_counts(relative: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Count fixations a place: `shape`, with `relative` as for `centre_density`."""
    counts = np.zeros(shape, np.float32)
    np.add.at(counts, tuple((relative * shape).astype(np.intp).T), 1)
    return counts


def loss(log_density: jax.Array, counts: jax.Array) -> jax.Array:
    """Return the mean negative log-likelihood of a fixation, in nats, from two `(b, h, w)`."""
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
    """Samples and others after them, with `features` of the first `count`."""

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
        """Draw the weights. Return them and the optimizer's state."""
        features, _ = self.samples.batch(np.zeros(1, np.intp))
        weights = self.plain.init(jax.random.key(seed), features, self.centre)["params"]
        return weights, self.optimizer.init(weights)

    def epoch(self, weights: Any, state: Any, seed: int, number: int) -> tuple[Any, Any, float]:
        """Train an epoch. Return the weights, the state and the mean loss in nats."""
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
