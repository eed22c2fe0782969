"""What an error counts: the stated weights, pixel by pixel."""

import numpy as np
import pytest
from encoder_cases import PHOTOS, TRELLIS, bell

from msroi.encoders import coefficients, visibility


def test_masking_falls_with_the_variance_of_the_neighbourhood():
    """Restated with explicit Gaussian windows, away from the edge."""
    luma = next(coefficients.planes(PHOTOS["coffee"][:60, :70]))
    found = visibility.masking(luma, TRELLIS)
    reach = np.arange(-12, 13)
    bell_1d = np.exp(-(reach**2) / (2 * 3.0**2))
    window = np.outer(bell_1d, bell_1d) / bell_1d.sum() ** 2
    for y, x in ((12, 12), (30, 40), (47, 57)):
        around = luma[y - 12 : y + 13, x - 12 : x + 13].astype(np.float64)
        mean = (window * around).sum()
        variance = (window * (around - mean) ** 2).sum()
        expected = (1300 / (1300 + variance)) ** 0.8
        assert found[y, x] == pytest.approx(expected, rel=1e-3)


def test_bands_change_nothing(monkeypatch):
    luma = next(coefficients.planes(PHOTOS["coffee"][:100, :70]))
    whole = visibility.masking(luma, TRELLIS)
    monkeypatch.setattr(visibility, "BAND_ROWS", 16)
    np.testing.assert_array_equal(visibility.masking(luma, TRELLIS), whole)


def test_nothing_masks_in_a_flat_image():
    flat = np.full((20, 30), 200.0, np.float32)
    np.testing.assert_allclose(visibility.masking(flat, TRELLIS), 1, rtol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_maps_factors_have_geometric_mean_1_and_the_stated_ratios(share):
    saliency = bell((32, 64))
    factors = visibility.of_map(saliency, 8, share)
    assert np.exp(np.log(factors).mean()) == pytest.approx(1, rel=1e-4)
    means = saliency.reshape(4, 8, 8, 8).mean(axis=(1, 3)).ravel()
    stated = 1 - share + share * means / saliency.mean()
    np.testing.assert_allclose(factors / factors[0], stated / stated[0], rtol=1e-4)


@pytest.mark.parametrize(
    "saliency", [None, np.zeros((40, 56), np.float32), np.full((40, 56), 0.5, np.float32)]
)
def test_a_map_without_a_say_changes_nothing(saliency):
    luma = next(coefficients.planes(PHOTOS["coffee"][:40, :56]))
    without = visibility.block_weights(luma, None, 2, TRELLIS, 0.5)
    found = visibility.block_weights(luma, saliency, 2, TRELLIS, 0.5)
    for one, expected in zip(found, without, strict=True):
        np.testing.assert_array_equal(one, expected)


def test_chromas_blocks_have_the_mean_of_lumas():
    luma = next(coefficients.planes(PHOTOS["coffee"][:48, :64]))
    of_luma, of_chroma = visibility.block_weights(luma, None, 2, TRELLIS, 0.0)
    four = of_luma.reshape(3, 2, 4, 2).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(of_chroma, four, rtol=1e-5)


def test_a_map_that_is_zero_in_places_gives_finite_weights():
    saliency = np.zeros((32, 32), np.float32)
    saliency[:8, :8] = 1
    factors = visibility.of_map(saliency, 8, 1.0)
    assert np.isfinite(factors).all()
    assert (factors >= 0).all()
