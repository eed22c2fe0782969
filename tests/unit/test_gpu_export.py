"""The steps of training and heatmaps lowered for CUDA, which needs no card: only to run would."""

import re

import jax
import numpy as np
import pytest
from jax import export
from safetensors.numpy import load_file

from msroi.experiment.params import Train
from msroi.network import saliency, training_step, vgg

pytestmark = pytest.mark.numerics

SIDE, BATCH, CLASSES = 64, 4, 3

# what XLA may compute on a GPU in an order that varies; see docs/gpu.md
UNORDERED = ("select_and_scatter", "reduce_window", "rng", "rng_bit_generator", "all_reduce")


def shaped(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def operations(text):
    """Return the operations of a module, with their attributes."""
    return re.findall(r"(?:stablehlo|mhlo|chlo)\.(\w+)[\"( ]([^\n]*)", text)


def assert_deterministic(text):
    found = operations(text)
    names = {name for name, _ in found}
    assert "convolution" in names
    assert names.isdisjoint(UNORDERED)
    for name, rest in found:
        if name == "scatter" and "(" in rest:
            assert "unique_indices = true" in rest, rest
    targets = set(re.findall(r"custom_call @(\w+)", text))
    assert targets <= {"cu_threefry2x32_ffi", "Sharding"}, targets  # both give the same each time


def exported_step(trainable, compute):
    train = Train(
        trainable,
        1,
        BATCH,
        1e-4,
        "linear",
        1,
        0.3,
        0.8,
        0.9,
        "rooted",
        8,
        "identity",
        0.1,
        0.01,
        compute,
    )
    trainer = training_step.Trainer(train, np.ones(CLASSES, int), 1)
    shape = vgg.features_shape(SIDE, trainer.first) if trainer.first else (SIDE, SIDE, 3)
    inputs = jax.ShapeDtypeStruct((BATCH, *shape), np.float32)
    drawn = jax.eval_shape(
        lambda x: trainer.model.init(jax.random.key(0), x, trainer.first)["params"], inputs
    )
    params = {name: drawn[name] for name in vgg.layer_names(trainer.first)}
    state = jax.eval_shape(trainer.optimizer.init, params)
    labels = jax.ShapeDtypeStruct((BATCH,), np.int32)
    weights = jax.ShapeDtypeStruct((BATCH,), np.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    arguments = (params, state, key, inputs, labels, weights)
    return export.export(trainer.step, platforms=["cuda"])(*arguments).mlir_module()


@pytest.mark.parametrize(
    ("trainable", "compute"),
    [("all", "float32"), ("block5", "float32"), ("head", "float32"), ("all", "bfloat16")],
)
def test_the_training_step_lowers_for_cuda(trainable, compute):
    text = exported_step(trainable, compute)
    assert_deterministic(text)
    kind = {"float32": "f32", "bfloat16": "bf16"}[compute]
    types = re.findall(r"stablehlo\.convolution.*-> tensor<[^>]*x(\w+)>", text)
    layers = len(vgg.layer_names(vgg.FROZEN_BLOCKS[trainable])) - 1
    # forward, and backward to the weights and to the inputs, but for the first layer
    assert types == [kind] * (3 * layers - 1)


def test_the_heatmap_step_lowers_for_cuda(project, monkeypatch):
    made = project()
    made.write_model()
    # weights are constants of the compiled function; equal ones make its text short
    monkeypatch.setattr(
        vgg, "read_weights", lambda path: {k: 0 * v + 1 for k, v in load_file(path).items()}
    )
    model = saliency.TrainedNetwork(
        made.layout.model / "weights.safetensors",
        vgg.read_weights(made.layout.vgg16),
        made.experiment.heatmap,
    )
    pixels = jax.ShapeDtypeStruct((SIDE, SIDE, 3), np.uint8)
    assert made.experiment.heatmap.dropout > 0
    key = shaped(jax.random.key(0))
    for step, arguments in ((model._plain, (pixels,)), (model._repeated, (pixels, key))):
        text = export.export(step, platforms=["cuda"])(*arguments).mlir_module()
        assert_deterministic(text)
        types = re.findall(r"stablehlo\.convolution.*-> tensor<[^>]*x(\w+)>", text)
        assert types == ["f32"] * 16


def test_the_check_sees_what_it_should():
    def pooled(x):
        return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (2, 2), (2, 2), "VALID").sum()

    def gathered(x, chosen):
        return (x[chosen] @ x.T).sum()

    x, chosen = np.zeros((4, 4), np.float32), np.zeros(4, np.int32)
    window = export.export(jax.jit(jax.grad(pooled)), platforms=["cuda"])(x).mlir_module()
    assert "select_and_scatter" in {name for name, _ in operations(window)}
    added = export.export(jax.jit(jax.grad(gathered)), platforms=["cuda"])(x, chosen)
    scatters = [rest for name, rest in operations(added.mlir_module()) if name == "scatter"]
    assert any("unique_indices" not in rest and "(" in rest for rest in scatters)
