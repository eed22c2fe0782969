"""Stage train: VGG16-GAP on the prepared images, by the augmentation plan.

Cross entropy, Adam, the paper's batch of 32. The stage computes the features of frozen blocks once
a planned view, and keeps them as scratch. It trains only what follows. After a stop or a time
limit, a run goes on after its last complete epoch.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from tqdm import tqdm

from msroi.errors import TrainingError
from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import PackedImages
from msroi.experiment.params import Experiment
from msroi.files import digest, file_hash, read_csv, write_bytes, write_csv, write_json
from msroi.network import vgg
from msroi.network.augmentation import read_plan
from msroi.network.backbones import BACKBONES
from msroi.network.checkpoints import Checkpoints, Progress, checkpoint_folder
from msroi.network.devices import device_count
from msroi.network.features import (
    STORED,
    batches,
    feature_files,
    feature_inputs,
    frozen_key,
    image_inputs,
    remove_other_features,
)
from msroi.network.training_step import Samples, Totals, Trainer
from msroi.plots import plot_history
from msroi.xla import jax

WORST = 10
WORST_COLUMNS = ("class", "val_images", "val_top1", "confused_with", "confused")
COLUMNS = ("epoch", "train_loss", "train_top1", "val_loss", "val_top1", "val_top5")


def fit(
    trainer: Trainer,
    start: vgg.Params,
    train: Samples,
    validate: Samples,
    epochs: int,
    seed: int,
    checkpoints: Checkpoints,
    enough: Callable[[], bool] = lambda: False,
) -> tuple[vgg.Params, list[dict[str, float]]]:
    """Train up to `epochs`, where epoch e shows view e modulo views in an order drawn for it.

    Goes on after the last checkpoint, and leaves one after every epoch. An epoch depends only on
    its number and on what the one before has left. So the end has the same weights as without a
    stop.

    After each epoch but the last, `enough` says whether to stop there. The history then has fewer
    rows than `epochs`.

    Returns the trained layers, averaged if `train.average` says so, and one row of history
    an epoch.

    Raises
    ------
    TrainingError
        If the loss is no longer a number, or the disk is full.
    """
    progress = Progress(start, trainer.optimizer.init(start), [])
    params, state, history = checkpoints.resume(progress)
    params, state = trainer.placed(params, state)
    count = len(train.labels)
    done = len(history)
    with tqdm(total=epochs * count, initial=done * count, desc="train", unit="image") as bar:
        for epoch in range(done, epochs):
            order = np.random.default_rng((seed, 3, epoch)).permutation(count)
            epoch_key = jax.random.fold_in(jax.random.key(seed), epoch)
            totals = Totals()
            for number, part in enumerate(batches(count, trainer.batch_size)):
                batch = trainer.batch(train, epoch % train.views, order[part])
                dropout = jax.random.fold_in(epoch_key, number)
                params, state, sums = trainer.step(params, state, dropout, *batch)
                totals.add(sums)
                means = totals.means()
                insist_finite("training", means["loss"], epoch + 1, epochs, checkpoints)
                bar.set_postfix(
                    epoch=epoch + 1, loss=f"{means['loss']:.3f}", accuracy=f"{means['top1']:.3f}"
                )
                bar.update(part.stop - part.start)
            validation = trainer.measure(trainer.kept(params, state), validate)
            insist_finite("validation", validation["loss"], epoch + 1, epochs, checkpoints)
            history.append(history_row(epoch + 1, totals.means(), validation))
            checkpoints.save(Progress(params, state, history))
            if epoch + 1 < epochs and enough():
                break
    return trainer.kept(params, state), history


def insist_finite(
    kind: str, loss: float, epoch: int, epochs: int, checkpoints: Checkpoints
) -> None:
    """Stop a training that has diverged."""
    if not np.isfinite(loss):
        kept = checkpoints.last_good("; the last good state is")
        raise TrainingError(
            f"The {kind} loss is {loss} in epoch {epoch} of {epochs}; "
            f"lower train.learning_rate or train.init_std{kept}."
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


def worst_classes(
    labels: NDArray[np.int32], predicted: NDArray[np.intp], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the `WORST` classes with the lowest top-1, the worst first, then by name.

    Parameters
    ----------
    labels, predicted
        `(N,)`, the true and the most probable class of every validation image.
    classes
        Their names.

    Returns
    -------
    Rows of `WORST_COLUMNS`: with which other class most images were confused, and how many;
    both empty where none was.
    """
    rows = []
    for number in np.unique(labels):
        taken_for = Counter(predicted[labels == number].tolist())
        right, count = taken_for.pop(int(number), 0), int((labels == number).sum())
        other = min(taken_for, key=lambda c: (-taken_for[c], c), default=None)
        rows.append(
            {
                "class": classes[number],
                "val_images": count,
                "val_top1": round(right / count, 6),
                "confused_with": "" if other is None else classes[other],
                "confused": "" if other is None else taken_for[other],
            }
        )
    return sorted(rows, key=lambda row: (row["val_top1"], row["class"]))[:WORST]


def run(
    experiment: Experiment,
    layout: Layout,
    devices: int | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> str:
    """Train on the prepared images. Write the trained layers, history and summary.

    `devices` share the work. None takes as many as there are and as divide the batch. After each
    epoch but the last, `enough` says whether to stop there. On a stop the stage writes nothing but
    the checkpoint.

    Returns what to tell the user: how to go on after a stop, or nothing.
    """
    params = experiment.train
    count = device_count(devices, params.batch_size)
    index = {int(row["row"]): row for row in read_csv(layout.index)}
    classes = sorted({row["class"] for row in index.values() if row["split"] == "train"})
    packed = PackedImages(layout.packed)
    backbone = BACKBONES[params.backbone]
    weights = backbone.pretrained(vgg.read_weights(layout.vgg16))
    frozen = backbone.FROZEN_BLOCKS[params.trainable]
    stored_as = STORED[params.compute]
    key = frozen_key(layout, backbone, params.trainable, weights, packed.side, stored_as)
    planned, draws = read_plan(layout)
    validation = np.array([row for row, item in index.items() if item["split"] == "validate"])
    splits = {"train": (planned, draws), "validate": (validation, None)}
    files = {name: feature_files(layout, key, *split) for name, split in splits.items()}

    def samples(name: str) -> Samples:
        rows, draws = splits[name]
        inputs = image_inputs(packed, rows, draws, weights)
        if frozen:
            shape = len(rows), packed.side
            inputs = feature_inputs(
                backbone, inputs, shape, weights, frozen, files[name], stored_as
            )
        labels = [classes.index(index[int(row)]["class"]) for row in rows]
        return Samples(inputs, np.array(labels, np.int32), len(files[name]))

    remove_other_features(layout, list(chain(*files.values())) if frozen else [])
    train, validate = samples("train"), samples("validate")
    trainer = Trainer(params, np.bincount(train.labels, minlength=len(classes)), count)
    start = trainer.init(experiment.seed, vgg.nested(weights), train)
    inputs_key = digest(key, file_hash(layout.index), file_hash(layout.plan))
    checkpoints = Checkpoints(checkpoint_folder(experiment, layout, inputs_key))
    trained, history = fit(
        trainer, start, train, validate, params.epochs, experiment.seed, checkpoints, enough
    )
    if len(history) < params.epochs:
        return (
            f"The training stopped after epoch {len(history)} of {params.epochs}, as its time is "
            "up; run the same command again, and it goes on from there."
        )
    stored = to_half(trained)
    kept = vgg.nested({key: value.astype(np.float32) for key, value in stored.items()})
    # of the network as it is kept, which is the one that makes the maps
    quality = {f"val_{name}": round(v, 6) for name, v in trainer.measure(kept, validate).items()}
    worst = worst_classes(validate.labels, trainer.predict(kept, validate), classes)
    described = {"classes": classes, "train": asdict(params)}
    counts = {
        "train_images": len(train.labels),
        "val_images": len(validate.labels),
        "classes": len(classes),
        "trained_parameters": sum(value.size for value in stored.values()),
    }
    # one entry only: safetensors writes several in an order that varies
    metadata = {"model": json.dumps(described)}
    with checkpoints.room_for(f"the results in {layout.model}"):
        write_bytes(layout.model / "weights.safetensors", save(stored, metadata))
        write_csv(layout.model / "history.csv", COLUMNS, history)
        write_csv(layout.model / "worst_classes.csv", WORST_COLUMNS, worst)
        plot_history(history, layout.model / "history.png")
        write_json(layout.model / "summary.json", history[-1] | quality | counts)
    checkpoints.remove()
    return ""


def to_half(trained: vgg.Params) -> dict[str, NDArray[np.float16]]:
    """Return the trained layers by `layer/name`, rounded to float16 for the file.

    That halves the file and costs less than a change of seed: 11 bits of precision.

    Raises
    ------
    TrainingError
        If a weight is too large for float16, which is above 65504.
    """
    with np.errstate(over="ignore"):
        half = {key: value.astype(np.float16) for key, value in vgg.flattened(trained).items()}
    for key, value in half.items():
        if not np.isfinite(value).all():
            raise TrainingError(
                f"{key} has weights above {np.finfo(np.float16).max}, so the training has "
                "diverged; lower train.learning_rate or train.init_std."
            )
    return half
