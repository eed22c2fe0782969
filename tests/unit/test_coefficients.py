"""Planes and coefficients against SciPy, libjpeg-turbo's own decoder, and algebra."""

import io

import numpy as np
import pytest
import skimage.data
from encoder_cases import SIZES, photo_of
from PIL import Image
from scipy.fft import dctn

from msroi.encoders import coefficients, jpeg

RNG = np.random.default_rng(0)


def test_planes_are_pillows():
    """Pillow rounds to whole levels."""
    image = skimage.data.coffee()[:40, :60]
    expected = np.asarray(Image.fromarray(image).convert("YCbCr"), np.float32)
    got = np.stack(list(coefficients.planes(image)), axis=-1)
    np.testing.assert_allclose(got, expected, atol=1.01)
    assert abs((got - expected).mean()) < 0.5


def test_costs_are_those_of_the_colour_matrix():
    """An error in one plane, carried to RGB: the squared errors add up to the costs."""
    inverse = np.linalg.inv(
        np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    )
    costs = coefficients.LUMA_COST, coefficients.CB_COST, coefficients.CR_COST
    np.testing.assert_allclose((inverse**2).sum(axis=0), costs, rtol=1e-4)


def test_coefficients_are_scipys_and_come_back():
    plane = RNG.uniform(0, 255, (24, 40)).astype(np.float32)
    got = coefficients.transformed(plane)
    block = plane[8:16, 32:40] - 128  # the tenth of five a row
    np.testing.assert_allclose(got[:, 9], dctn(block, norm="ortho").ravel()[jpeg.ZIGZAG], atol=1e-3)
    np.testing.assert_allclose(coefficients.restored(got, plane.shape), plane, atol=1e-3)
    assert (got**2).sum() == pytest.approx(((plane - 128) ** 2).sum(), rel=1e-5)


def test_bands_of_rows_change_nothing(monkeypatch):
    plane = np.random.default_rng(0).uniform(0, 255, (72, 40)).astype(np.float32)
    whole = coefficients.transformed(plane)
    monkeypatch.setattr(coefficients, "BAND_ROWS", 16)
    np.testing.assert_array_equal(coefficients.transformed(plane), whole)


def test_enlarging_is_what_the_decoder_does():
    """A 4:2:0 JPEG of smooth chroma at quality 100, its planes decoded by libjpeg-turbo."""
    y, x = np.mgrid[:64, :96]
    chroma = 128 + 50 * np.sin(x / 9) * np.cos(y / 11)
    planes = np.stack([np.full((64, 96), 128), chroma, 255 - chroma], -1).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(planes, "YCbCr").save(buffer, "JPEG", quality=100, subsampling="4:2:0")
    decoded = Image.open(buffer)
    decoded.draft("YCbCr", decoded.size)
    got = np.asarray(decoded.convert("YCbCr"), np.float32)[..., 1]
    small = planes[..., 1].reshape(32, 2, 48, 2).mean(axis=(1, 3)).astype(np.float32)
    error = np.abs(got - coefficients.enlarged(small))
    assert error.max() < 2
    assert error.max() < np.abs(got - small.repeat(2, 0).repeat(2, 1)).max() / 2


@pytest.mark.parametrize("shape", [(2, 2), (6, 10), (16, 4)])
def test_the_fit_solves_the_normal_equations(shape):
    """Against a dense least squares solution."""
    plane = RNG.uniform(0, 255, shape).astype(np.float32)
    count = shape[0] * shape[1] // 4
    columns = [
        coefficients.enlarged(unit.reshape(shape[0] // 2, shape[1] // 2)).ravel()
        for unit in np.eye(count, dtype=np.float32)
    ]
    matrix = np.stack(columns, axis=1).astype(np.float64)
    best = np.linalg.lstsq(matrix, plane.ravel().astype(np.float64), rcond=None)[0]
    found = coefficients.halved(plane)
    np.testing.assert_allclose(found.ravel(), best, rtol=0, atol=2e-3)


def test_halving_undoes_enlarging():
    small = RNG.uniform(0, 255, (12, 9)).astype(np.float32)
    np.testing.assert_allclose(
        coefficients.halved(coefficients.enlarged(small)), small, rtol=0, atol=1e-3
    )


def test_energy_of_waves_through_the_enlargement():
    """Cosines along one axis, far from edges, measured: the formula holds to rounding."""
    energy = np.empty(64)
    energy[jpeg.ZIGZAG] = coefficients.enlargement_energy()
    assert energy[0] == pytest.approx(4)
    place = np.arange(800) + 0.5
    for frequency in range(8):
        wave = np.cos(np.pi * frequency * place / 8)[None].repeat(4, 0).astype(np.float32)
        gain = (coefficients.enlarged(wave) ** 2).sum() / (wave**2).sum()
        assert energy[frequency] == pytest.approx(gain, rel=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_planes_are_whole_blocks_that_cover_the_image(size):
    height, width = SIZES[size]
    for factor in (1, 2):
        shapes = [plane.shape for plane in coefficients.components(photo_of(size), factor)]
        covered = [8 * factor * -(-side // (8 * factor)) for side in (height, width)]
        assert shapes[0] == (8 * -(-height // 8), 8 * -(-width // 8))
        assert shapes[1:] == [(covered[0] // factor, covered[1] // factor)] * 2


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (16, 32), (37, 61)])
def test_block_means_against_a_loop(size, side):
    """What is beyond the edge counts as 0."""
    weights = np.random.default_rng(0).uniform(0, 3, size).astype(np.float32)
    expected = [
        weights[y : y + side, x : x + side].sum() / side**2
        for y in range(0, size[0], side)
        for x in range(0, size[1], side)
    ]
    found = coefficients.block_means(weights, side)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32
    assert found.sum() * side**2 == pytest.approx(weights.sum(), rel=1e-5)
