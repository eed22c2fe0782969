"""The compiled steps of a training: the trainable part of the network, its loss and Adam."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optax
from numpy.typing import NDArray

from msroi.experiment.params import Train
from msroi.network import vgg
from msroi.network.backbones import BACKBONES
from msroi.network.devices import shardings
from msroi.network.features import Inputs, batches, padded
from msroi.xla import jax, jnp


@dataclass(frozen=True)
class Samples:
    """Inputs of the trainable part, by view and image, with the images' classes."""

    inputs: Inputs
    labels: NDArray[np.int32]
    views: int


def loss_and_hits(
    logits: jax.Array, labels: jax.Array, weights: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the mean cross entropy of a batch, and sums of loss, top-1 and top-5 hits.

    `logits` `(B, classes)`, `labels` `(B,)`, `weights` `(B,)`: 1, or 0 for padding.
    """
    # one entry a row, said to be so: else the gradient would be sums by scatter, which
    # come in no fixed order on a GPU
    entry = logits.at[jnp.arange(len(labels)), labels]
    true = entry.get(unique_indices=True, mode="promise_in_bounds")
    losses = (jax.nn.logsumexp(logits, axis=1) - true) * weights
    # the rank of the true class: how many classes are more probable
    rank = (logits > true[:, None]).sum(axis=1)
    sums = {
        "loss": losses.sum(),
        "top1": ((rank < 1) * weights).sum(),
        "top5": ((rank < 5) * weights).sum(),
        "count": weights.sum(),
    }
    return losses.sum() / weights.sum(), sums


def learning_rate(params: Train, images: int) -> optax.Schedule:
    """Return the learning rate by step: as it is, or falling in a line to 0 at the end."""
    if params.schedule == "constant":
        return optax.constant_schedule(params.learning_rate)
    steps = params.epochs * math.ceil(images / params.batch_size)
    return optax.linear_schedule(params.learning_rate, 0.0, steps)


def adjustment(counts: NDArray[np.intp], strength: float) -> NDArray[np.float32]:
    """Return what training, and it alone, adds to the logits: `(classes,) float32`.

    Logit adjustment (Menon et al. 2021, equation 10) is `strength` times the logarithm of each
    class's share of the training images. The network then need not learn how frequent a class is.
    So classes count alike where there are as many images of each, as among the paper's validation
    images. 0 adds nothing. Each class needs at least one image.
    """
    return np.asarray(strength * np.log(counts / counts.sum()), np.float32)


class Average(NamedTuple):
    """The running average of the weights, and over how many steps it goes."""

    steps: jax.Array
    weights: Any


def averaging(decay: float) -> optax.GradientTransformation:
    """Keep a running average of the weights, as the last transformation of a chain.

    Polyak and Juditsky 1992, with exponentially falling shares. After each step the average keeps
    `decay` of itself. At first it keeps less, (1 + step) / (10 + step), so that it soon forgets the
    start (as TensorFlow's ExponentialMovingAverage has it).
    """

    def init(weights: Any) -> Average:
        # copies, since a step gives the memory of both away
        return Average(jnp.zeros((), jnp.int32), jax.tree.map(jnp.copy, weights))

    def update(updates: Any, state: Average, weights: Any = None) -> tuple[Any, Average]:
        steps = state.steps + 1
        kept = jnp.minimum(decay, (1 + steps) / (10 + steps))
        now = optax.apply_updates(weights, updates)
        return updates, Average(steps, optax.incremental_update(now, state.weights, 1 - kept))

    return optax.GradientTransformation(init, update)


def mixing_share(key: jax.Array, strength: float) -> jax.Array:
    """Draw the share that each sample keeps of itself in a mixed batch, in [0.5, 1].

    Mixup (Zhang et al. 2018, equation 1) draws it from a beta distribution with both parameters
    `strength`. This takes the larger of a share and its complement. Batches come in random order,
    so that mixes the same pairs, and a sample's own class stays the first.
    """
    share = jax.random.beta(key, strength, strength)
    return jnp.maximum(share, 1 - share)


class Trainer:
    """The compiled steps of one training: the trainable part of the network and Adam.

    `counts` `(classes,)` says how many training images each class has. `devices` share every batch,
    and each holds all parameters.
    """

    def __init__(self, params: Train, counts: NDArray[np.intp], devices: int) -> None:
        self.batch_size = params.batch_size
        backbone = BACKBONES[params.backbone]
        self.first = backbone.FROZEN_BLOCKS[params.trainable]
        self.layers = backbone.trained_layers(params)
        self.model = backbone.network(params, len(counts), compute=params.compute)
        self.dropped = backbone.network(params, len(counts), params.dropout, params.compute)
        adam = optax.adam(learning_rate(params, int(counts.sum())))
        averages = [averaging(params.average)] if params.average else []
        self.optimizer = optax.chain(adam, *averages)
        self.adjustment = adjustment(counts, params.logit_adjustment)
        self.mixup = params.mixup
        self.whole, self.split = shardings(devices)
        batch = (self.split, self.split, self.split)
        self.step = jax.jit(
            self._step,
            in_shardings=(self.whole, self.whole, self.whole, *batch),
            out_shardings=self.whole,
            donate_argnums=(0, 1),
        )
        self.evaluate = jax.jit(
            self._evaluate, in_shardings=(self.whole, *batch), out_shardings=self.whole
        )

        self.classify = jax.jit(
            self._classify, in_shardings=(self.whole, self.split), out_shardings=self.whole
        )

    def init(self, seed: int, pretrained: vgg.Params, train: Samples) -> vgg.Params:
        """Start the trainable layers: pretrained where the backbone has them, else drawn."""
        sample = train.inputs(0, np.zeros(1, np.intp), 1)
        drawn = self.model.init(jax.random.key(seed), sample, self.first)["params"]
        return {name: dict(pretrained.get(name, drawn[name])) for name in self.layers}

    def placed(self, params: vgg.Params, state: optax.OptState) -> tuple[vgg.Params, Any]:
        """Put parameters and Adam's state on every device, as the steps leave them."""
        both: tuple[vgg.Params, Any] = jax.device_put((params, state), self.whole)
        return both

    def kept(self, params: vgg.Params, state: optax.OptState) -> vgg.Params:
        """Return the weights that the training has come to, or their average, if it keeps one."""
        last = state[-1]
        weights: vgg.Params = last.weights if isinstance(last, Average) else params
        return weights

    def _loss(
        self,
        params: vgg.Params,
        key: jax.Array,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        def logits_of(inputs: jax.Array) -> jax.Array:
            drop = {"dropout": key}
            logits, _ = self.dropped.apply({"params": params}, inputs, self.first, rngs=drop)
            adjusted: jax.Array = logits + self.adjustment
            return adjusted

        if self.mixup == 0:
            return loss_and_hits(logits_of(inputs), labels, weights)
        # each sample with the next one, the last with the first
        share = mixing_share(jax.random.fold_in(key, 1), self.mixup)
        logits = logits_of(share * inputs + (1 - share) * jnp.roll(inputs, 1, axis=0))
        own, sums = loss_and_hits(logits, labels, weights)
        other, others = loss_and_hits(logits, jnp.roll(labels, 1), weights)
        mixed = share * sums["loss"] + (1 - share) * others["loss"]
        return share * own + (1 - share) * other, sums | {"loss": mixed}

    def _step(
        self,
        params: vgg.Params,
        state: optax.OptState,
        key: jax.Array,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
    ) -> tuple[vgg.Params, optax.OptState, dict[str, jax.Array]]:
        gradient = jax.grad(self._loss, has_aux=True)
        gradients, sums = gradient(params, key, inputs, labels, weights)
        updates, state = self.optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, sums

    def _evaluate(
        self, params: vgg.Params, inputs: jax.Array, labels: jax.Array, weights: jax.Array
    ) -> dict[str, jax.Array]:
        logits, _ = self.model.apply({"params": params}, inputs, self.first)
        return loss_and_hits(logits, labels, weights)[1]

    def _classify(self, params: vgg.Params, inputs: jax.Array) -> jax.Array:
        logits, _ = self.model.apply({"params": params}, inputs, self.first)
        return jnp.argmax(logits, axis=1)

    def batch(self, samples: Samples, view: int, chosen: NDArray[np.intp]) -> tuple[Any, ...]:
        """Gather a batch `(inputs, labels, weights)`, padded, split among the devices."""
        weights = np.zeros(self.batch_size, np.float32)
        weights[: len(chosen)] = 1
        inputs = samples.inputs(view, chosen, self.batch_size)
        labels = padded(samples.labels[chosen], self.batch_size)
        batch: tuple[Any, ...] = jax.device_put((inputs, labels, weights), self.split)
        return batch

    def measure(self, params: vgg.Params, samples: Samples) -> dict[str, float]:
        """Return loss, top-1 and top-5 over all samples of view 0."""
        totals = Totals()
        everything = np.arange(len(samples.labels))
        for part in batches(len(everything), self.batch_size):
            totals.add(self.evaluate(params, *self.batch(samples, 0, everything[part])))
        return totals.means()

    def predict(self, params: vgg.Params, samples: Samples) -> NDArray[np.intp]:
        """Return the most probable class of every sample of view 0: `(N,)`."""
        predicted = np.zeros(len(samples.labels), np.intp)
        everything = np.arange(len(samples.labels))
        for part in batches(len(everything), self.batch_size):
            inputs, _, _ = self.batch(samples, 0, everything[part])
            predicted[part] = self.classify(params, inputs)[: part.stop - part.start]
        return predicted


class Totals:
    """Running sums of a pass over the data."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys(("loss", "top1", "top5", "count"), 0.0)

    def add(self, sums: dict[str, jax.Array]) -> None:
        """Add a batch's sums."""
        for key, value in sums.items():
            self.sums[key] += float(value)

    def means(self) -> dict[str, float]:
        """Return mean loss, top-1 and top-5."""
        return {key: self.sums[key] / self.sums["count"] for key in ("loss", "top1", "top5")}
