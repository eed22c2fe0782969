"""The network against a NumPy convolution stack, Flax's pooling and the paper's count."""

import re
from collections import Counter
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from PIL import Image

from msroi.errors import MissingError
from msroi.experiment.params import Train
from msroi.network import vgg

pytestmark = pytest.mark.numerics

HEAD = ("plain", 6, "normal", 0.1, 0.01)
TRAIN = Train("vgg16", "head", 1, 2, 1e-4, "constant", 0, 0, 0, 0, *HEAD, "float32")
CLASSES = 7


@pytest.fixture(scope="module")
def weights(vgg16):
    return vgg.read_weights(vgg16)


@pytest.fixture(scope="module")
def model():
    return vgg.network(TRAIN, CLASSES)


@pytest.fixture(scope="module")
def head(model):
    drawn = jax.jit(model.init, static_argnums=2)(jax.random.key(3), jnp.zeros((1, 2, 2, 512)), 5)
    return vgg.flattened(drawn["params"])


@pytest.fixture(scope="module")
def variables(model, weights, head):
    return {"params": vgg.merge(model, weights, head)}


@pytest.fixture(scope="module")
def photo():
    image = Image.fromarray(skimage.data.chelsea()).resize((64, 64), Image.Resampling.BILINEAR)
    return np.asarray(image)


@pytest.fixture(scope="module")
def normalised(photo, weights):
    return vgg.normalise(jnp.asarray(photo[None]), weights)


def primitives(jaxpr):
    """Yield every equation of a jaxpr, those of its inner functions among them."""
    for equation in jaxpr.eqns:
        inner = [value for value in equation.params.values() if hasattr(value, "jaxpr")]
        for closed in inner:
            yield from primitives(closed.jaxpr)
        if not inner:
            yield equation


def numpy_block(x, weights, block, count):
    """Convolve, add, rectify and pool in float64, without any framework."""
    for layer in range(1, count + 1):
        kernel = weights[f"conv{block}_{layer}/kernel"].astype(np.float64)
        bias = weights[f"conv{block}_{layer}/bias"]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1)
        )
        x = np.maximum(np.tensordot(windows, kernel, axes=([2, 3, 4], [2, 0, 1])) + bias, 0)
    corners = [x[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return np.max(corners, axis=0)


# the paper's count


def test_23_layers_as_the_paper_counts_them(model, variables):
    def classify(x):
        return jax.nn.softmax(model.apply(variables, x)[0])

    jaxpr = jax.make_jaxpr(classify)(jnp.zeros((1, 224, 224, 3)))
    count = Counter(equation.primitive.name for equation in primitives(jaxpr.jaxpr))
    pools = [
        equation
        for equation in primitives(jaxpr.jaxpr)
        if equation.primitive.name == "reduce_max" and equation.params["axes"] == (2, 4)
    ]
    gap = [
        equation
        for equation in primitives(jaxpr.jaxpr)
        if equation.primitive.name == "reduce_sum" and equation.params["axes"] == (1, 2)
    ]
    assert count["conv_general_dilated"] == 16
    assert len(pools) == 5
    assert len(gap) == 1
    assert count["exp"] == 1  # the softmax
    assert count["conv_general_dilated"] + len(pools) + len(gap) + count["exp"] == 23


def test_parameter_tree_has_16_convolutions_and_the_class_weights(variables):
    tree = variables["params"]
    assert sum(layer.startswith("conv") for layer in tree) == 16
    assert all(leaves["kernel"].shape[:2] == (3, 3) for leaves in tree.values() if "bias" in leaves)
    assert {name: leaf.shape for name, leaf in tree["gap"].items()} == {"kernel": (6, CLASSES)}


def test_last_features_of_the_papers_input_are_7x7(model, variables):
    _, features = jax.eval_shape(model.apply, variables, jnp.zeros((2, 224, 224, 3)))
    assert features["conv6_3"].shape == (2, 7, 7, 6)
    assert features["conv5_3"].shape == (2, 14, 14, 512)
    assert features["conv4_3"].shape == (2, 28, 28, 512)


# names and nesting


def test_layer_names():
    new = ["conv6_1", "conv6_2", "conv6_3", "gap"]
    assert vgg.layer_names(5) == new
    assert vgg.layer_names(4) == ["conv5_1", "conv5_2", "conv5_3", *new]
    everything = vgg.layer_names(0)
    assert len(everything) == 17
    assert everything[:4] == ["conv1_1", "conv1_2", "conv2_1", "conv2_2"]


def test_layer_names_are_those_of_the_parameters(variables):
    assert sorted(vgg.layer_names(0)) == sorted(variables["params"])


def test_flattened_and_nested_are_inverse(head):
    assert list(head) == sorted(head)
    again = vgg.flattened(vgg.nested(head))
    assert list(again) == list(head)
    assert all(np.array_equal(again[key], head[key]) for key in head)


def test_nested_leaves_out_what_is_no_layer(weights):
    assert "input/mean" in weights
    assert "input" not in vgg.nested(weights)


# values


def test_blocks_equal_a_second_implementation(photo, weights, normalised):
    x = (photo.astype(np.float64) - weights["input/mean"]) / weights["input/std"]
    np.testing.assert_allclose(normalised[0], x, rtol=1e-5, atol=1e-6)
    for block in (1, 2, 3):
        x = numpy_block(x, weights, block, vgg.CONVOLUTIONS[block - 1])
        got = np.asarray(vgg.frozen_part(weights, block)(normalised))[0]
        assert got.shape == x.shape == vgg.features_shape(64, block)
        assert x.std() > 0.1
        np.testing.assert_allclose(got, x, rtol=1e-3, atol=1e-4 * x.max())


def test_a_blocks_features_are_those_before_its_pool(model, variables, normalised):
    _, features = model.apply(variables, normalised)
    assert list(features) == ["conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "conv6_3"]
    for block in (1, 3):
        pooled = model.apply(variables, normalised, 0, block, method="blocks")
        before = features[f"conv{block}_{vgg.CONVOLUTIONS[block - 1]}"]
        np.testing.assert_allclose(vgg.max_pool(before), pooled, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("first", [1, 4, 5])
def test_the_network_can_start_after_any_block(model, variables, normalised, first):
    logits, features = model.apply(variables, normalised)
    part = model.apply(variables, normalised, 0, first, method="blocks")
    later_logits, later = model.apply(variables, part, first)
    np.testing.assert_allclose(later_logits, logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(later["conv6_3"], features["conv6_3"], rtol=1e-4, atol=1e-5)


def test_logits_are_mean_features_times_class_weights(model, variables, normalised):
    logits, features = model.apply(variables, normalised)
    mean = np.asarray(features["conv6_3"], np.float64).mean(axis=(1, 2))
    assert mean.max() > 0
    np.testing.assert_allclose(logits, mean @ variables["params"]["gap"]["kernel"], rtol=1e-4)


def test_max_pool_equals_flax():
    x = jax.random.normal(jax.random.key(1), (2, 6, 10, 3))
    np.testing.assert_array_equal(vgg.max_pool(x), nn.max_pool(x, (2, 2), (2, 2)))


@pytest.mark.usefixtures("quick_compiler")
def test_gradient_of_max_pool_goes_to_the_largest():
    x = jax.random.normal(jax.random.key(2), (2, 4, 6, 3))
    towards = jax.random.normal(jax.random.key(3), (2, 2, 3, 3))
    got = jax.grad(lambda x: (vgg.max_pool(x) * towards).sum())(x)
    flax = jax.grad(lambda x: (nn.max_pool(x, (2, 2), (2, 2)) * towards).sum())(x)
    np.testing.assert_array_equal(got, flax)
    assert np.count_nonzero(got) == towards.size


@pytest.mark.usefixtures("quick_compiler")
def test_dropout_changes_every_pass_and_nothing_when_0(variables, normalised):
    pair = jnp.repeat(normalised, 2, axis=0)
    key = {"dropout": jax.random.key(4)}
    dropped = jax.jit(vgg.network(TRAIN, CLASSES, 0.3).apply)
    logits, _ = dropped(variables, pair, rngs=key)
    assert not np.allclose(logits[0], logits[1])
    plain, _ = vgg.network(TRAIN, CLASSES, 0.0).apply(variables, pair)
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-5)


# initialisation


@pytest.mark.usefixtures("quick_compiler")
def test_new_convolutions_start_as_tensorflows_truncated_normal():
    """`init_std` is that of the normal before the cut at two std, as in TensorFlow.

    A standard normal cut at ±2 has std 0.8796 (Johnson, Kotz & Balakrishnan 1994, ch. 13).
    """
    wide = vgg.network(replace(TRAIN, filters=128), CLASSES)
    params = wide.init(jax.random.key(5), jnp.zeros((1, 1, 1, 512)), 5)["params"]
    for layer in ("conv6_1", "conv6_2", "conv6_3"):
        kernel = np.asarray(params[layer]["kernel"])
        assert np.abs(kernel).max() <= 0.2
        assert np.abs(kernel).max() > 0.195
        assert abs(kernel.mean()) < 0.001
        assert kernel.std() == pytest.approx(0.08796, rel=0.01)
        assert not params[layer]["bias"].any()
    gap = np.asarray(params["gap"]["kernel"])
    assert gap.std() == pytest.approx(0.01, rel=0.1)
    assert np.abs(gap).max() > 0.02  # not cut


# files


def test_merge_prefers_later_sources(model, weights, head):
    ones = {"gap/kernel": np.ones((6, CLASSES), np.float32)}
    merged = vgg.merge(model, weights, head, ones)
    assert (merged["gap"]["kernel"] == 1).all()
    assert merged["conv1_1"]["kernel"] is weights["conv1_1/kernel"]


def test_merge_lists_both_sides(model, weights, head):
    wrong = {key: value for key, value in head.items() if key != "conv6_2/bias"}
    wrong |= {"gap/kernel": np.ones((6, 3), np.float32), "conv9/kernel": np.ones(1, np.float32)}
    expected = (
        "The weights do not fit the network: "
        "conv6_2/bias: expected (6,), got none; "
        "conv9/kernel: expected none, got (1,); "
        "gap/kernel: expected (6, 7), got (6, 3)."
    )
    with pytest.raises(MissingError, match=f"^{re.escape(expected)}$"):
        vgg.merge(model, weights, wrong)


def test_missing_weights(tmp_path):
    with pytest.raises(MissingError, match=r"no\.safetensors is missing; run `snakemake`"):
        vgg.read_weights(tmp_path / "no.safetensors")


@pytest.mark.usefixtures("quick_compiler")
def test_an_identity_start_passes_the_input_on():
    """With no noise, non-negative input of as many channels as filters comes out as it is."""
    kernel = vgg.starting_kernel("identity", 1e-9)(jax.random.key(0), (3, 3, 6, 6))
    x = jnp.abs(jax.random.normal(jax.random.key(1), (2, 5, 4, 6)))
    np.testing.assert_allclose(flax_conv(x, kernel), x, atol=1e-6)
    wider = vgg.starting_kernel("identity", 1e-9)(jax.random.key(0), (3, 3, 6, 8))
    np.testing.assert_allclose(flax_conv(x, wider)[..., :6], x, atol=1e-6)
    np.testing.assert_allclose(flax_conv(x, wider)[..., 6:], 0, atol=1e-6)


def flax_conv(x, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions)


def test_rooted_features_are_roots_of_mean_square_1():
    features = np.random.default_rng(0).gamma(2, 4, (3, 7, 7, 16)).astype(np.float32)
    got = np.asarray(vgg.rooted(features))
    np.testing.assert_allclose((got**2).mean(axis=(1, 2, 3)), 1, rtol=1e-4)
    ratio = got**2 / features
    np.testing.assert_allclose(ratio / ratio[:, :1, :1, :1], 1, rtol=1e-3)
    np.testing.assert_allclose(vgg.rooted(1000 * features), got, rtol=1e-5)


def test_rooted_features_of_an_image_without_any_are_finite_with_their_gradient():
    nothing = jnp.zeros((1, 2, 2, 3))
    assert np.asarray(vgg.rooted(nothing)).max() <= 1e-3
    assert np.isfinite(jax.grad(lambda x: vgg.rooted(x).sum())(nothing)).all()


@pytest.mark.parametrize("shape", [(2, 6, 8, 3, 5), (1, 2, 2, 4, 1)])
@pytest.mark.parametrize("patches_bytes", [1, 2000, vgg.PATCHES_BYTES])
def test_the_gradient_of_a_kernel_is_xlas(shape, patches_bytes, monkeypatch):
    """Row by row, two rows or all at once as by XLA's convolution, and the same bits each time."""
    monkeypatch.setattr(vgg, "PATCHES_BYTES", patches_bytes)
    batch, height, width, given, filters = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, height, width, given)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, given, filters)).astype(np.float32)
    out = rng.normal(size=(batch, height, width, filters)).astype(np.float32)
    layout = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}

    def gradients(convolve):
        @jax.jit
        def both(x, kernel):
            value, backward = jax.vjp(
                lambda *of: convolve(*of, (1, 1), "SAME", **layout), x, kernel
            )
            return value, *backward(out)

        return both(x, kernel)

    ours, xlas = gradients(vgg.convolution), gradients(jax.lax.conv_general_dilated)
    for one, other in zip(ours, xlas, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    for one, again in zip(ours, gradients(vgg.convolution), strict=True):
        np.testing.assert_array_equal(one, again)
