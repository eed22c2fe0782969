"""Heads on the frozen trunk: how well they classify, and what their class activation maps show.

`python -m benchmarks.heads` trains the heads of `HEADS` and `LINEAR`, which differ in one thing
each, by the code of stage train. So that many fit into an hour, they are small ones, trained on
the first 10 of each class's 15 validation images of experiment paper-cpu; the other 5 measure
top-1 and top-5. The maps of their classes are measured by fixations (the validation photographs
of OSIE, which have to lie where stage download puts them) and by boxes (Caltech-101's airplanes
that validate). The rows go to `results/heads/heads.csv`, in place of those of the same heads.

`--weights NAME=FILE …` measures files of stage train instead, and their accuracy on all
validation images; `--sheet FILE` draws the maps of twelve photographs beside one another. Stages
download to augment of paper-cpu have to have been run.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import numpy as np
import optax
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import PackedImages
from msroi.experiment.params import Train
from msroi.files import read_csv, write_csv
from msroi.images import Pixels, enlarged, read_rgb, resize
from msroi.measures.saliency_quality import (
    Map,
    auc_judd,
    box_share,
    fixated_pixels,
    nss,
    pointing_hit,
)
from msroi.network import vgg
from msroi.network.checkpoints import Checkpoints
from msroi.network.features import (
    STORED,
    feature_files,
    feature_inputs,
    frozen_key,
    image_inputs,
)
from msroi.network.saliency import most_probable, rank_weights, scaled
from msroi.network.training_step import Samples, Trainer
from msroi.plots import overlay
from msroi.sources.annotations import BOXED_CLASS, BOXES, OSIE, read_boxes, read_fixations
from msroi.sources.splits import read_split
from msroi.stages.train import fit
from msroi.xla import jax, jnp

EXPERIMENT = "paper-cpu"
TABLE = Path("results/heads/heads.csv")
COLUMNS = (
    *("head", "filters", "images", "epochs", "n_classified", "top1", "top5"),
    *("map", "input_px", "measure", "n", "mean", "standard_error"),
)
INPUTS_PX = (224, 448)
FIRST = 10  # of the validation images of each class train a small head, the others measure it
EPOCHS = 8
FILTERS = 128
SEED = 20180927
SHEET_PHOTOGRAPHS, SHEET_PX = 12, 200

# what the paper says, with the layers of VGG16 frozen, fewer filters and fewer epochs
LETTER = replace(params.load("paper").train, trainable="head", epochs=EPOCHS, filters=FILTERS)
IDENTITY: dict[str, Any] = {"start": "identity", "init_std": 0.005}
# all that was chosen for top-1
ACCURATE: dict[str, Any] = {
    "learning_rate": 3e-4,
    "schedule": "linear",
    "logit_adjustment": 1.0,
    "dropout": 0.3,
    "mixup": 0.8,
    "average": 0.98,  # over as large a share of these few steps as 0.998 is of 2856
    "features": "rooted",
    **IDENTITY,
}
HEADS: dict[str, Train] = {
    "letter": LETTER,
    "letter, 3 times the epochs": replace(LETTER, epochs=3 * EPOCHS),
    "letter, std 0.02": replace(LETTER, init_std=0.02),
    "letter + identity": replace(LETTER, **IDENTITY),
    "letter + rooted": replace(LETTER, features="rooted"),
    "letter + mixup": replace(LETTER, mixup=0.8),
    "letter + dropout": replace(LETTER, dropout=0.3),
    "letter + rate 3e-4": replace(LETTER, learning_rate=3e-4),
    "accurate": replace(LETTER, **ACCURATE),
}
# class activation mapping as Zhou et al. 2016 have it, without a new convolution: the last pool,
# its mean and the classes; by Adam, and by plain gradients with momentum
LINEAR: dict[str, optax.GradientTransformation] = {
    "linear, Adam": optax.adam(1e-3),
    "linear, gradient descent": optax.sgd(0.1, momentum=0.9),
}
LINEAR_STEPS = 2000


class Photograph(NamedTuple):
    """A photograph whose maps are measured: name, pixels, and its measures of a map by name."""

    name: str
    image: Pixels
    measures: Mapping[str, Callable[[Map], float]]


Array = NDArray[np.float32]


class Head(NamedTuple):
    """A trained head.

    Attributes
    ----------
    described
        Its columns of the table.
    class_weights
        `(K, classes)`.
    apply
        Gives logits `(classes,)` and features `(h, w, K)` of a last pool `(h, w, 512)`.
    """

    described: dict[str, Any]
    class_weights: Array
    apply: Callable[[Array], tuple[Array, Array]]


class Data:
    """What heads are trained on and measured by."""

    def __init__(self, layout: Layout) -> None:
        """Open the prepared images of an experiment."""
        self.layout = layout
        self.index = {int(row["row"]): row for row in read_csv(layout.index)}
        self.classes = sorted({row["class"] for row in self.index.values() if row["class"]})
        self.weights = vgg.read_weights(layout.vgg16)

    @cached_property
    def validate(self) -> Samples:
        """The last pool of the validation images, as stage train has it, and their classes."""
        packed = PackedImages(self.layout.packed)
        stored_as = STORED["float32"]
        key = frozen_key(self.layout, vgg, "head", self.weights, packed.side, stored_as)
        rows = [row for row, item in self.index.items() if item["split"] == "validate"]
        files = feature_files(self.layout, key, np.array(rows), None)
        images = image_inputs(packed, np.array(rows), None, self.weights)
        blocks = vgg.FROZEN_BLOCKS["head"]
        shape = len(rows), packed.side
        inputs = feature_inputs(vgg, images, shape, self.weights, blocks, files, stored_as)
        labels = [self.classes.index(self.index[row]["class"]) for row in rows]
        return Samples(inputs, np.array(labels, np.int32), 1)

    @cached_property
    def small(self) -> tuple[Samples, Samples]:
        """The first `FIRST` validation images of each class, and the others."""
        labels = self.validate.labels
        place = np.array([(labels[:at] == label).sum() for at, label in enumerate(labels)])
        return self._part(place < FIRST), self._part(place >= FIRST)

    def _part(self, wanted: NDArray[np.bool_]) -> Samples:
        (chosen,) = np.nonzero(wanted)

        def inputs(view: int, indices: NDArray[np.intp], size: int) -> Any:
            return self.validate.inputs(view, chosen[indices], size)

        return Samples(inputs, self.validate.labels[chosen], 1)

    @cached_property
    def photographs(self) -> list[Photograph]:
        """OSIE's validation photographs and the boxed images of Caltech-101 that validate."""
        return [*self._fixated(), *self._boxed()]

    def _fixated(self) -> Iterator[Photograph]:
        fixated, _ = read_fixations(self.layout.downloaded)
        chosen = read_split(OSIE, "validation")
        folder = self.layout.downloaded / OSIE
        paths = sorted(path for path in folder.rglob("*.jpg") if path.name in chosen)
        points = {path.stem: fixated[path.stem].points for path in paths}
        for path in paths:
            here = points[path.stem]
            others = np.concatenate([of for name, of in points.items() if name != path.stem])
            measures = {
                "auc_judd": partial(auc_judd, fixations=here),
                "shuffled_auc": partial(shuffled_auc, fixations=here, others=others),
                "nss": partial(nss, fixations=here),
            }
            yield Photograph(path.stem, read_rgb(path), measures)

    def _boxed(self) -> Iterator[Photograph]:
        boxes, _ = read_boxes(self.layout.downloaded / BOXES)
        for row in self.index.values():
            name = row["image"].rsplit("__", 1)[-1]
            if row["split"] == "validate" and row["class"] == BOXED_CLASS and name in boxes:
                measures = {
                    "box_share": partial(box_share, box=boxes[name]),
                    "pointing_hit": partial(pointing_hit, box=boxes[name]),
                }
                yield Photograph(row["image"], read_rgb(Path(row["path"])), measures)

    @cached_property
    def pools(self) -> dict[int, NDArray[np.float32]]:
        """The last pool of every photograph, `(N, h, w, 512)`, by the side of the input."""
        return {side: self._pools(side) for side in INPUTS_PX}

    def _pools(self, side: int) -> NDArray[np.float32]:
        file = self.layout.scratch / "heads" / f"pool-{side}.npy"
        if not file.exists():
            part = jax.jit(vgg.frozen_part(self.weights, vgg.FROZEN_BLOCKS["head"]))
            given = (resize(of.image, side) for of in self.photographs)
            normalised = (vgg.normalise(jnp.asarray(of)[None], self.weights) for of in given)
            found = np.concatenate([np.asarray(part(of)) for of in normalised])
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, found)
        pools: NDArray[np.float32] = np.load(file)
        return pools


def shuffled_auc(saliency: Map, fixations: NDArray[np.intp], others: NDArray[np.intp]) -> float:
    """Return the area under the ROC curve of fixated pixels against those of other photographs.

    Zhang et al. 2008 ("SUN: a Bayesian framework for saliency using natural statistics"): a map
    of the centre alone has 0.5. A pixel counts once, on either side; ties count half.
    """
    here = fixated_pixels(saliency.shape, fixations)
    elsewhere = fixated_pixels(saliency.shape, others) & ~here
    negative, positive = np.sort(saliency[elsewhere]), saliency[here]
    below = np.searchsorted(negative, positive, "left")
    not_above = np.searchsorted(negative, positive, "right")
    return float((below + not_above).mean() / (2 * negative.size))


def convolutional(name: str, train: Train, layers: vgg.Params, classes: int, images: int) -> Head:
    """Return a head of three convolutions; its accuracy is not yet described."""
    model = vgg.network(train, classes)
    first = vgg.FROZEN_BLOCKS["head"]

    @jax.jit
    def passed(pool: Array) -> tuple[jax.Array, jax.Array]:
        (logits,), features = model.apply({"params": layers}, pool[None], first)
        return logits, features["conv6_3"][0]

    def apply(pool: Array) -> tuple[Array, Array]:
        logits, features = map(np.asarray, passed(pool))
        return logits, features

    described = {
        "head": name,
        "filters": train.filters,
        "images": images,
        "epochs": train.epochs,
    }
    return Head(described, np.asarray(layers["gap"]["kernel"]), apply)


def accuracy(train: Train, layers: vgg.Params, samples: Samples, classes: int) -> dict[str, Any]:
    """Return the columns of how well a head of three convolutions classifies."""
    trainer = Trainer(train, np.ones(classes, np.intp), 1)
    found = trainer.measure(layers, samples)
    shares = {name: f"{found[name]:.4f}" for name in ("top1", "top5")}
    return {"n_classified": len(samples.labels)} | shares


def trained(name: str, data: Data) -> Head:
    """Train a head of `HEADS` by the code of stage train."""
    settings, (train, test), classes = HEADS[name], data.small, len(data.classes)
    trainer = Trainer(settings, np.bincount(train.labels, minlength=classes), 1)
    start = trainer.init(SEED, vgg.nested(data.weights), train)
    checkpoints = Checkpoints(data.layout.scratch / "heads" / "checkpoints" / name)
    layers, _ = fit(trainer, start, train, test, settings.epochs, SEED, checkpoints)
    checkpoints.remove()
    head = convolutional(name, settings, layers, classes, len(train.labels))
    head.described.update(accuracy(settings, layers, test, classes))
    return head


def linear(name: str, data: Data) -> Head:
    """Train a head of `LINEAR`: the classes' weights of the mean of the last pool."""

    def means(samples: Samples) -> tuple[Array, NDArray[np.int32]]:
        everything = np.arange(len(samples.labels))
        pools: Array = samples.inputs(0, everything, len(everything))
        return pools.mean(axis=(1, 2)), samples.labels

    (given, labels), (unseen, expected) = map(means, data.small)
    optimizer = LINEAR[name]

    def loss(weights: jax.Array, chosen: jax.Array) -> jax.Array:
        logits = jnp.asarray(given)[chosen] @ weights
        true = jnp.asarray(labels)[chosen]
        losses: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits, true)
        return losses.mean()

    @jax.jit
    def step(weights: jax.Array, state: Any, chosen: jax.Array) -> tuple[jax.Array, Any]:
        updates, state = optimizer.update(jax.grad(loss)(weights, chosen), state)
        return optax.apply_updates(weights, updates), state

    rng = np.random.default_rng(SEED)
    shape = given.shape[1], len(data.classes)
    weights = jnp.asarray(rng.normal(0, LETTER.gap_init_std, shape), jnp.float32)
    state = optimizer.init(weights)
    for _ in range(LINEAR_STEPS):
        weights, state = step(weights, state, rng.integers(0, len(labels), LETTER.batch_size))
    kept = np.asarray(weights)
    logits = unseen @ kept
    rank = (logits > logits[np.arange(len(expected)), expected][:, None]).sum(axis=1)
    described = {
        "head": name,
        "filters": 0,
        "images": len(labels),
        "epochs": round(LINEAR_STEPS * LETTER.batch_size / len(labels)),
        "n_classified": len(expected),
        "top1": f"{(rank < 1).mean():.4f}",
        "top5": f"{(rank < 5).mean():.4f}",
    }
    return Head(described, kept, lambda pool: (pool.mean(axis=(0, 1)) @ kept, pool))


def read(name: str, file: Path, data: Data) -> Head:
    """Read a head that stage train kept, and measure it on all validation images."""
    with safe_open(file, "numpy") as opened:
        described = json.loads(opened.metadata()["model"])
    settings, classes = Train(**described["train"]), len(described["classes"])
    layers = vgg.nested(vgg.read_weights(file))
    images = sum(row["split"] == "train" for row in data.index.values())
    head = convolutional(name, settings, layers, classes, images)
    head.described.update(accuracy(settings, layers, data.validate, classes))
    return head


Maps = dict[str, NDArray[np.float64]]


def maps_of(features: Array, class_weights: Array, logits: Array) -> Maps:
    """Return the maps of one photograph by name, before they are scaled.

    Parameters
    ----------
    features, class_weights, logits
        `(h, w, K)`, `(K, classes)`, `(classes,)`.

    Returns
    -------
    `top-5`: the paper's rule; `top-1`: the most probable class alone. `top-5, no mean` and
    `top-1, no mean`: the same of weights less their mean over the classes, on which no
    probability depends. `mean`: what that mean shows. `energy`: the sum of the squares of all
    features, whatever the classes.
    """
    wide, weights = features.astype(np.float64), class_weights.astype(np.float64)
    shared = weights.mean(axis=1, keepdims=True)
    probabilities = np.asarray(jax.nn.softmax(logits))

    def of(kept: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        top = most_probable(probabilities, count)
        ranks = rank_weights(probabilities[top], "decay") if count > 1 else np.ones(1)
        activations = np.moveaxis(wide @ kept[:, top], -1, 0)
        return np.tensordot(ranks, np.stack([scaled(of) for of in activations]), axes=1)

    return {
        "top-5": of(weights, 5),
        "top-1": of(weights, 1),
        "top-5, no mean": of(weights - shared, 5),
        "top-1, no mean": of(weights - shared, 1),
        "mean": (wide @ shared)[..., 0],
        "energy": np.square(wide).sum(axis=2),
    }


def seen_by(head: Head, data: Data, side: int) -> Iterator[tuple[Photograph, Maps]]:
    """Yield every photograph with its maps by a head, of inputs of `side` px."""
    for photograph, pool in zip(data.photographs, data.pools[side], strict=True):
        logits, features = head.apply(pool)
        yield photograph, maps_of(features, head.class_weights, logits)


def rows(head: Head, data: Data) -> Iterator[dict[str, Any]]:
    """Yield a row for each map, side of the input and measure: mean and its standard error."""
    for side in INPUTS_PX:
        values: dict[tuple[str, str], list[float]] = {}
        for photograph, maps in seen_by(head, data, side):
            for name, small in maps.items():
                full = enlarged(scaled(small), *photograph.image.shape[:2])
                for measure, function in photograph.measures.items():
                    values.setdefault((name, measure), []).append(function(full))
        for (name, measure), found in values.items():
            yield head.described | {
                "map": name,
                "input_px": side,
                "measure": measure,
                "n": len(found),
                "mean": f"{fmean(found):.4f}",
                "standard_error": f"{stdev(found) / len(found) ** 0.5:.4f}",
            }


def sheet(heads: Sequence[Head], data: Data) -> Pixels:
    """Draw a row a photograph: itself, then top-5 and top-5 without the mean of every head."""
    side = max(INPUTS_PX)
    drawn = []
    for number in np.linspace(0, len(data.photographs) - 1, SHEET_PHOTOGRAPHS).astype(int):
        image = data.photographs[number].image
        cells = [image]
        for head in heads:
            logits, features = head.apply(data.pools[side][number])
            maps = maps_of(features, head.class_weights, logits)
            cells += [
                overlay(image, enlarged(scaled(maps[name]), *image.shape[:2]))
                for name in ("top-5", "top-5, no mean")
            ]
        size = SHEET_PX, SHEET_PX * 3 // 4
        drawn.append(np.hstack([np.asarray(Image.fromarray(of).resize(size)) for of in cells]))
    return np.vstack(drawn)


def main() -> None:
    """Train or read heads, measure them, and bring their rows into the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("heads", nargs="*", metavar="NAME", help="of HEADS and LINEAR; all if none")
    parser.add_argument("--weights", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--sheet", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    data = Data(Layout(EXPERIMENT))
    given = [one.partition("=") for one in arguments.weights]
    names = arguments.heads or ([] if given else [*HEADS, *LINEAR])
    heads = []
    for make in (
        *(partial(read, name, Path(file), data) for name, _, file in given),
        *(partial(linear if name in LINEAR else trained, name, data) for name in names),
    ):
        heads.append(make())
        keep([*rows(heads[-1], data)])
    if arguments.sheet:
        Image.fromarray(sheet(heads, data)).save(arguments.sheet)


def keep(found: Sequence[dict[str, Any]]) -> None:
    """Put a head's rows into the table, in place of what it has of that head."""
    before = read_csv(TABLE) if TABLE.exists() else []
    others = [row for row in before if row["head"] != found[0]["head"]]
    write_csv(TABLE, COLUMNS, [*others, *found])


if __name__ == "__main__":
    main()
