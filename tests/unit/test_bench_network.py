"""What the benchmarks of the network compute beside the timings."""

import numpy as np
import pytest

from benchmarks import training, trunk
from msroi.experiment.params import load
from msroi.network import vgg


def test_the_trunk_has_vgg16s_operations():
    """15.35 billion multiplications and additions an image, as published for its convolutions."""
    assert trunk.gigaflop(0, 5, 1) == pytest.approx(2 * 15.3466, rel=1e-4)
    assert sum(trunk.gigaflop(n, n + 1, 3) for n in range(5)) == pytest.approx(
        trunk.gigaflop(0, 5, 3)
    )


def test_results_that_differ_are_no_comparison():
    ours = np.ones((2, 3))
    trunk.agree(ours, ours * (1 + 1e-6))
    for wrong in (ours * 1.01, ours * np.nan):
        with pytest.raises(AssertionError, match="differ"):
            trunk.agree(ours, wrong)


def test_the_fastest_is_taken(monkeypatch):
    took = {"slow": [1, 9, 9], "fast": [9, 3, 2]}
    monkeypatch.setattr(trunk, "seconds", lambda name: took[name].pop(0))
    assert trunk.fastest(["slow", "fast"]) == "fast"


def test_our_steps_lower_the_loss_and_start_from_the_weights_given():
    train = load("paper").train
    weights = {
        f"conv6_{layer}/{name}": np.full(shape, 0.001, np.float32)
        for layer in (1, 2, 3)
        for name, shape in {"kernel": (3, 3, 512, 512), "bias": (512,)}.items()
    } | {"gap/kernel": np.zeros((512, training.CLASSES), np.float32)}
    frozen = training.replace(train, trainable="head", batch_size=2)
    features = np.random.default_rng(0).random((2, *vgg.features_shape(64, 5)), np.float32)
    problem = training.Problem(frozen, weights, features, np.array([3, 7], np.int32))
    steps = training.our_steps(problem)
    first, second = next(steps), next(steps)
    assert first == pytest.approx(np.log(training.CLASSES), rel=1e-5)
    assert second < first
