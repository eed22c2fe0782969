"""Winograd's convolutions: against SciPy's correlation, and against the stages' own network."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate
from threadpoolctl import threadpool_info, threadpool_limits

from msroi.network import vgg, winograd
from msroi.xla import jax

pytestmark = pytest.mark.numerics

LAYERS = ["conv4_3", "conv5_1", "conv5_3", "conv3_2", "conv1_2"]
SIZES = st.integers(1, 23)


def features_of(height, width, channels=3):
    rng = np.random.default_rng(height * 100 + width)
    return rng.normal(size=(height, width, channels)).astype(np.float32)


@given(SIZES, SIZES)
@settings(max_examples=40, deadline=None)
def test_tiles_are_the_features_and_zeros_around_them(height, width):
    features = features_of(height, width)
    tiles = winograd.to_tiles(features)
    np.testing.assert_array_equal(winograd.from_tiles(tiles, height, width), features)
    assert np.count_nonzero(tiles) == np.count_nonzero(features)


@given(SIZES, SIZES)
@settings(max_examples=40, deadline=None)
def test_pooled_tiles_are_the_tiles_of_pooled_features(rows, columns):
    features = np.abs(features_of(2 * rows, 2 * columns))
    expected = features.reshape(rows, 2, columns, 2, -1).max(axis=(1, 3))
    got = winograd.pooled(winograd.to_tiles(features))
    np.testing.assert_array_equal(got, winograd.to_tiles(expected))


@pytest.fixture(scope="module")
def two_layers():
    """Weights of two layers, narrower than VGG16's, of an input that stays as it is."""
    rng = np.random.default_rng(0)
    widths = {"conv1_1": (3, 8), "conv1_2": (8, 7)}
    weights = {"input/mean": np.zeros(3, np.float32), "input/std": np.full(3, 255, np.float32)}
    for name, shape in widths.items():
        weights[f"{name}/kernel"] = rng.normal(size=(3, 3, *shape)).astype(np.float32)
        weights[f"{name}/bias"] = rng.normal(size=shape[1]).astype(np.float32)
    return weights


def correlated(x, kernel, bias):
    """Return a convolution with its ReLU in float64, as SciPy computes it."""
    outs = [
        sum(
            correlate(x[..., n], kernel[:, :, n, k].astype(np.float64), mode="constant")
            for n in range(x.shape[-1])
        )
        for k in range(kernel.shape[-1])
    ]
    return np.maximum(np.stack(outs, axis=-1) + bias, 0)


@pytest.mark.parametrize("size", [(1, 1), (3, 18), (16, 32), (29, 6), (130, 51)])
def test_convolutions_are_scipys_correlations(two_layers, size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    got = winograd.Trunk(two_layers, "conv1_2").layers(image, ["conv1_2", "conv1_1"])
    expected = image / 255
    for name in ("conv1_1", "conv1_2"):
        weights = (two_layers[f"{name}/{part}"] for part in ("kernel", "bias"))
        expected = correlated(expected, *weights)
        assert got[name].dtype == np.float32
        assert got[name].shape == expected.shape
        np.testing.assert_allclose(got[name], expected, atol=2e-6 * expected.max())


@pytest.fixture(scope="module")
def trunk(vgg16):
    return winograd.Trunk(vgg.read_weights(vgg16), "conv5_3")


def image_of(height, width):
    import skimage.data

    return skimage.data.coffee()[:height, :width]


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (176, 336)])
def test_features_are_those_of_the_stages_network_but_for_rounding(trunk, vgg16, size):
    weights, image = vgg.read_weights(vgg16), image_of(*size)
    variables = {"params": vgg.nested(weights)}
    x = vgg.normalise(jax.numpy.asarray(image)[None], weights)
    expected = vgg.PRETRAINED.apply(variables, x, LAYERS, method="layers")
    got = trunk.layers(image, LAYERS)
    assert got.keys() == expected.keys()
    for name, of in got.items():
        np.testing.assert_allclose(of, expected[name][0], atol=2e-5 * of.max(), err_msg=name)


@pytest.mark.parametrize("cores", [1, 3, 64, None])
def test_features_are_bit_identical_on_any_number_of_cores(trunk, vgg16, monkeypatch, cores):
    image = image_of(80, 112)
    expected = trunk.layers(image, LAYERS)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    other = winograd.Trunk(vgg.read_weights(vgg16), "conv5_3").layers(image, LAYERS)
    for name in LAYERS:
        np.testing.assert_array_equal(other[name], expected[name], err_msg=name)


def test_threads_that_ask_at_once_get_what_each_would_get_alone(trunk):
    images = [image_of(80, 16 * (1 + number % 5)) for number in range(12)]
    alone = [trunk.layers(image, LAYERS) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: trunk.layers(image, LAYERS), images))
    for one, other in zip(alone, together, strict=True):
        for name in LAYERS:
            np.testing.assert_array_equal(one[name], other[name])


def test_blas_has_as_many_threads_afterwards_as_before(trunk):
    with threadpool_limits(2, "blas"):
        trunk.layers(image_of(16, 16), ["conv1_1"])
        threads = [of["num_threads"] for of in threadpool_info() if of["user_api"] == "blas"]
    assert threads
    assert set(threads) == {2}
