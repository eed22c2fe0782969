"""Stage train: VGG16-GAP on the prepared images, by the augmentation plan.

Cross entropy, Adam, the paper's batch of 32. With frozen blocks their features are
computed once a planned view and kept as scratch; only what follows is trained.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray
from safetensors.numpy import save
from tqdm import tqdm

from msroi import vgg
from msroi.augment import read_plan
from msroi.errors import UserError
from msroi.files import read_csv, write_bytes, write_csv, write_json
from msroi.inputs import Inputs, batches, feature_inputs, image_inputs, padded, scratch_folder
from msroi.layout import Layout
from msroi.params import Experiment, Train
from msroi.plots import plot_history

COLUMNS = ("epoch", "train_loss", "train_top1", "val_loss", "val_top1", "val_top5")


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
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels) * weights
    # the rank of the true class: how many classes are more probable
    true = jnp.take_along_axis(logits, labels[:, None], axis=1)
    rank = (logits > true).sum(axis=1)
    sums = {
        "loss": losses.sum(),
        "top1": ((rank < 1) * weights).sum(),
        "top5": ((rank < 5) * weights).sum(),
        "count": weights.sum(),
    }
    return losses.sum() / weights.sum(), sums


class Trainer:
    """The compiled steps of one training: the trainable part of the network and Adam."""

    def __init__(self, params: Train, classes: int) -> None:
        self.batch_size = params.batch_size
        self.first = vgg.FROZEN_BLOCKS[params.trainable]
        self.model = vgg.network(params, classes)
        self.optimizer = optax.adam(params.learning_rate)
        self.step = jax.jit(self._step, donate_argnums=(0, 1))
        self.evaluate = jax.jit(self._evaluate)

    def init(self, seed: int, pretrained: vgg.Params, train: Samples) -> vgg.Params:
        """Start the trainable layers: pretrained where VGG16 has them, drawn where not."""
        sample = train.inputs(0, np.zeros(1, np.intp), 1)
        drawn = self.model.init(jax.random.key(seed), sample, self.first)["params"]
        names = vgg.layer_names(self.first)
        return {name: dict(pretrained.get(name, drawn[name])) for name in names}

    def _loss(
        self, params: vgg.Params, inputs: jax.Array, labels: jax.Array, weights: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        logits, _ = self.model.apply({"params": params}, inputs, self.first)
        return loss_and_hits(logits, labels, weights)

    def _step(
        self,
        params: vgg.Params,
        state: optax.OptState,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
    ) -> tuple[vgg.Params, optax.OptState, dict[str, jax.Array]]:
        gradient = jax.grad(self._loss, has_aux=True)
        gradients, sums = gradient(params, inputs, labels, weights)
        updates, state = self.optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, sums

    def _evaluate(
        self, params: vgg.Params, inputs: jax.Array, labels: jax.Array, weights: jax.Array
    ) -> dict[str, jax.Array]:
        return self._loss(params, inputs, labels, weights)[1]

    def batch(self, samples: Samples, view: int, chosen: NDArray[np.intp]) -> tuple[Any, ...]:
        """Gather a batch `(inputs, labels, weights)`, padded to the batch size."""
        weights = np.zeros(self.batch_size, np.float32)
        weights[: len(chosen)] = 1
        inputs = samples.inputs(view, chosen, self.batch_size)
        return inputs, padded(samples.labels[chosen], self.batch_size), weights

    def measure(self, params: vgg.Params, samples: Samples) -> dict[str, float]:
        """Return loss, top-1 and top-5 over all samples of view 0."""
        totals = Totals()
        everything = np.arange(len(samples.labels))
        for part in batches(len(everything), self.batch_size):
            totals.add(self.evaluate(params, *self.batch(samples, 0, everything[part])))
        return totals.means()


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


def fit(
    trainer: Trainer,
    params: vgg.Params,
    train: Samples,
    validate: Samples,
    epochs: int,
    seed: int,
) -> tuple[vgg.Params, list[dict[str, float]]]:
    """Train for `epochs`; epoch e shows view e modulo views in an order drawn for it.

    Returns the trained layers and one row of history an epoch.

    Raises
    ------
    UserError
        If the loss is no longer a number.
    """
    state = trainer.optimizer.init(params)
    history = []
    count = len(train.labels)
    with tqdm(total=epochs * count, desc="train", unit="image") as bar:
        for epoch in range(epochs):
            order = np.random.default_rng((seed, 3, epoch)).permutation(count)
            totals = Totals()
            for part in batches(count, trainer.batch_size):
                batch = trainer.batch(train, epoch % train.views, order[part])
                params, state, sums = trainer.step(params, state, *batch)
                totals.add(sums)
                means = totals.means()
                insist_finite("training", means["loss"], epoch + 1, epochs)
                bar.set_postfix(
                    epoch=epoch + 1, loss=f"{means['loss']:.3f}", accuracy=f"{means['top1']:.3f}"
                )
                bar.update(part.stop - part.start)
            validation = trainer.measure(params, validate)
            insist_finite("validation", validation["loss"], epoch + 1, epochs)
            history.append(history_row(epoch + 1, totals.means(), validation))
    return params, history


def insist_finite(kind: str, loss: float, epoch: int, epochs: int) -> None:
    """Stop a training that has diverged."""
    if not np.isfinite(loss):
        raise UserError(
            f"The {kind} loss is {loss} in epoch {epoch} of {epochs}; "
            "lower train.learning_rate or train.init_std."
        )


def history_row(
    epoch: int, train: dict[str, float], validate: dict[str, float]
) -> dict[str, float]:
    """Return one row of `history.csv`."""
    return {
        "epoch": epoch,
        "train_loss": round(train["loss"], 6),
        "train_top1": round(train["top1"], 6),
        "val_loss": round(validate["loss"], 6),
        "val_top1": round(validate["top1"], 6),
        "val_top5": round(validate["top5"], 6),
    }


def run(experiment: Experiment, layout: Layout) -> None:
    """Train on the prepared images; write the trained layers, history and summary."""
    params = experiment.train
    index = {int(row["row"]): row for row in read_csv(layout.index)}
    classes = sorted({row["class"] for row in index.values() if row["split"] == "train"})
    packed = np.load(layout.packed, mmap_mode="r")
    weights = vgg.read_weights(layout.vgg16)
    scratch = scratch_folder(layout, params.trainable)
    frozen = vgg.FROZEN_BLOCKS[params.trainable]

    def split(name: str, rows: NDArray[np.intp], draws: NDArray[np.float32] | None) -> Samples:
        views = 1 if draws is None else len(draws)
        inputs = image_inputs(packed, rows, draws, weights)
        if frozen:
            shape = (views, len(rows), packed.shape[1])
            inputs = feature_inputs(inputs, shape, weights, frozen, scratch / f"{name}.npy")
        labels = [classes.index(index[int(row)]["class"]) for row in rows]
        return Samples(inputs, np.array(labels, np.int32), views)

    planned, draws = read_plan(layout)
    validation = np.array([row for row, item in index.items() if item["split"] == "validate"])
    train = split("train", planned, draws)
    validate = split("validate", validation, None)

    trainer = Trainer(params, len(classes))
    start = trainer.init(experiment.seed, vgg.nested(weights), train)
    trained, history = fit(trainer, start, train, validate, params.epochs, experiment.seed)
    flat = vgg.flattened(trained)
    # one entry only: safetensors writes several in an order that varies
    metadata = {"model": json.dumps({"classes": classes, "train": asdict(params)})}
    write_bytes(layout.model / "weights.safetensors", save(flat, metadata))
    write_csv(layout.model / "history.csv", COLUMNS, history)
    plot_history(history, layout.model / "history.png")
    summary = {
        "train_images": len(train.labels),
        "val_images": len(validate.labels),
        "classes": len(classes),
        "trained_parameters": sum(value.size for value in flat.values()),
    }
    write_json(layout.model / "summary.json", history[-1] | summary)
