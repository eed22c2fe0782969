"""One step of training, forward, backward and Adam: our JAX code beside PyTorch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks import torch_vgg
from benchmarks.comparison import Comparison, seconds, side_by_side, speed_ratios
from benchmarks.trunk import fastest, normalised, pretrained
from msroi.experiment import params
from msroi.experiment.params import Train
from msroi.network import vgg
from msroi.network.training_step import Trainer

EXPERIMENT = "paper"  # whose network and batch
CLASSES = 102  # of Caltech-101 with its background
# with all layers trained, a batch of 32 takes most of a minute on two cores
BATCHES = {"all": 8, "block5": 32, "head": 32}
STEPS = 3  # that must agree
TOLERANCE = 1e-3  # of the loss: Adam divides by the root of small sums of squares


@dataclass(frozen=True)
class Problem:
    """What both train on: parameters, all weights at the start, and one batch.

    `inputs` are images, or the features of the frozen blocks, which the pipeline caches.
    """

    train: Train
    start: vgg.Weights
    inputs: NDArray[np.float32]
    labels: NDArray[np.int32]

    @property
    def first(self) -> int:
        """The first block that is trained."""
        return vgg.FROZEN_BLOCKS[self.train.trainable]


def measure(repeats: int) -> list[Comparison]:
    """Time a step with all layers trained, block 5 and the head, and the head alone."""
    weights = pretrained()
    return [
        compared(problem(weights, trainable, batch), repeats)
        for trainable, batch in BATCHES.items()
    ]


def problem(weights: vgg.Weights, trainable: str, batch: int) -> Problem:
    """Make a batch of noise for a network that starts as stage train starts it."""
    train = replace(
        params.load(EXPERIMENT).train, trainable=trainable, batch_size=batch, init_std=0.02
    )
    images = normalised(weights, batch)
    drawn = vgg.network(train, CLASSES).init(jax.random.key(0), images[:1])["params"]
    frozen = jax.jit(vgg.frozen_part(weights, vgg.FROZEN_BLOCKS[trainable]))
    labels = np.random.default_rng(1).integers(0, CLASSES, batch)
    return Problem(
        train,
        {**vgg.flattened(drawn), **weights},
        np.asarray(frozen(images)),
        labels.astype(np.int32),
    )


def compared(problem: Problem, repeats: int) -> Comparison:
    """Time steps of ours and theirs in turn."""
    ours, (theirs, layout) = our_steps(problem), their_fastest(problem)
    ours_s, theirs_s = side_by_side(lambda: next(ours), lambda: next(theirs), repeats)
    trainable, batch = problem.train.trainable, problem.train.batch_size
    cached = "" if problem.first == 0 else ", from cached features"
    row = Comparison(
        job=f"training_{trainable}",
        ours=f"a step of `{trainable}`, batch {batch}, float32{cached}: JAX",
        against=f"PyTorch {torch_vgg.torch().__version__}, {layout}, fused Adam",
        ratios=speed_ratios(ours_s, theirs_s),
        unit="their time / our time",
        target=1.0,
        bound="at least",
        seconds={"ours": ours_s, "theirs": theirs_s},
    )
    return row if row.reached else replace(row, limit=by_part(problem, row))


def our_steps(problem: Problem) -> Iterator[float]:
    """Train on the batch with stage train's compiled step; yield the loss before each step."""
    trainer = Trainer(problem.train, np.ones(CLASSES, np.intp), devices=1)
    named = vgg.nested(problem.start)
    # copies, since a step gives their memory away
    weights = {
        name: jax.tree.map(jnp.array, named[name]) for name in vgg.layer_names(problem.first)
    }
    state = trainer.optimizer.init(weights)
    weights, state = trainer.placed(weights, state)
    inputs, counted = jnp.asarray(problem.inputs), np.ones(len(problem.labels), np.float32)
    while True:
        weights, state, sums = trainer.step(
            weights, state, jax.random.key(0), inputs, problem.labels, counted
        )
        loss = float(sums["loss"] / sums["count"])
        # the loss is known before the weights are
        jax.block_until_ready((weights, state))  # type: ignore[no-untyped-call]
        yield loss


def their_fastest(problem: Problem) -> tuple[Iterator[float], str]:
    """Return PyTorch's steps in its faster layout, and the layout's name.

    Each layout is first tried for as many steps as must agree with ours.
    """
    ours = torch_vgg.first(our_steps(problem), STEPS)
    took: dict[str, float] = {}
    for memory_format in torch_vgg.memory_formats():
        theirs = their_steps(problem, memory_format)
        losses = torch_vgg.first(theirs, STEPS)
        if not np.allclose(losses, ours, rtol=TOLERANCE):
            raise AssertionError(f"The losses differ: {ours} here, {losses} in PyTorch.")
        took[str(memory_format)] = seconds(lambda steps=theirs: next(steps))  # type: ignore[misc]
        del theirs
    layout = min(took, key=lambda name: took[name])
    chosen = next(of for of in torch_vgg.memory_formats() if str(of) == layout)
    return their_steps(problem, chosen), layout


def their_steps(problem: Problem, memory_format: Any) -> Iterator[float]:
    """Train on the batch in PyTorch; yield the loss before each step."""
    model = torch_vgg.classifier(problem.start, problem.first).to(memory_format=memory_format)
    inputs = torch_vgg.images(problem.inputs).to(memory_format=memory_format)
    labels = torch_vgg.torch().tensor(problem.labels.astype(np.int64))
    return torch_vgg.steps(model, inputs, labels, problem.train.learning_rate)


def by_part(problem: Problem, row: Comparison) -> str:
    """Say how long the forward part takes, ours and theirs, and what is left for the rest."""
    ours, theirs = forward_works(problem)
    forward = [min(took) for took in side_by_side(ours, theirs, 3)]
    whole = [min(row.seconds[side]) for side in ("ours", "theirs")]
    rest = [all_s - forward_s for all_s, forward_s in zip(whole, forward, strict=True)]
    return (
        f"s a step, ours and theirs: forward {forward[0]:.2f} and {forward[1]:.2f}, backward and "
        f"Adam {rest[0]:.2f} and {rest[1]:.2f}"
    )


def forward_works(problem: Problem) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the forward part alone: ours and, in the faster layout, theirs."""
    network = vgg.network(problem.train, CLASSES)
    named = vgg.nested(problem.start)
    weights = {name: named[name] for name in vgg.layer_names(problem.first)}
    apply = jax.jit(lambda weights, x: network.apply({"params": weights}, x, problem.first)[0])
    given = jnp.asarray(problem.inputs)
    torch = torch_vgg.torch()

    def theirs_in(memory_format: Any) -> Callable[[], object]:
        model = torch_vgg.classifier(problem.start, problem.first).to(memory_format=memory_format)
        inputs = torch_vgg.images(problem.inputs).to(memory_format=memory_format)

        def forward() -> object:
            with torch.inference_mode():
                return model(inputs)

        return forward

    theirs: Callable[[], object] = fastest([theirs_in(of) for of in torch_vgg.memory_formats()])
    return lambda: apply(weights, given).block_until_ready(), theirs
