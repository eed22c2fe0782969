"""Winograd's convolution against XLA's."""

import numpy as np
import pytest

from msroi.network import winograd
from msroi.xla import jax, jnp

pytestmark = pytest.mark.numerics


def xlas(x, kernel):
    of = jax.lax.conv_general_dilated(
        x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return np.asarray(of[0])


@pytest.mark.parametrize(
    ("shape", "channels", "features"),
    [((1, 1), 3, 8), ((5, 7), 16, 5), ((33, 18), 32, 32), ((30, 641), 8, 8)],
)
def test_it_is_xlas_convolution(shape, channels, features):
    rng = np.random.default_rng(3)
    x = jnp.asarray(rng.standard_normal((*shape, channels)), jnp.float32)
    kernel = rng.standard_normal((3, 3, channels, features)).astype(np.float32)
    found = winograd.convolve(x, jnp.asarray(winograd.transformed(kernel)))
    expected = xlas(x, kernel)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_the_transforms_are_exact():
    """In exact arithmetic, F(4, 3) is the sums of products that it stands for."""
    rng = np.random.default_rng(4)
    tile, kernel = rng.standard_normal(6), rng.standard_normal(3)
    product = np.array(winograd.OF_KERNEL) @ kernel * (np.array(winograd.OF_TILE) @ tile)
    np.testing.assert_allclose(
        np.array(winograd.OF_PRODUCT) @ product, np.correlate(tile, kernel, "valid"), atol=1e-12
    )
