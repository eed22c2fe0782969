"""The levels and the first pass of the paper's method, against references."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import jpeg, two_pass
from msroi.experiment import params

CAT = skimage.data.chelsea()[40:140, 100:220]


@pytest.fixture(scope="module")
def paper():
    """The demo's parameters, which are the paper's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        compress = params.load("demo").compress
    assert (compress.levels, compress.quality_low, compress.quality_high) == (5, 30, 70)
    return compress


def pillows(photo, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def constant(value, photo=CAT):
    return np.full(photo.shape[:2], value, np.float32)


def bell(photo, width=0.3):
    """A centred Gaussian in [0, 1]."""
    y, x = np.mgrid[-1 : 1 : photo.shape[0] * 1j, -1 : 1 : photo.shape[1] * 1j]
    height = np.exp(-(x**2 + y**2) / width)
    return ((height - height.min()) / (height.max() - height.min())).astype(np.float32)


# --- levels


@pytest.mark.parametrize(
    ("value", "level"),
    [(0, 0), (0.1999, 0), (0.2, 1), (0.3999, 1), (0.4, 2), (0.6, 3), (0.8, 4), (0.9999, 4), (1, 4)],
)
def test_edges_of_five_levels(value, level):
    assert two_pass.saliency_levels(constant(value), 5).tolist() == constant(level).tolist()


@pytest.mark.parametrize("levels", range(1, 101))
def test_8_bit_values_fall_in_the_level_that_whole_numbers_say(levels):
    """No rounding of floats moves a value across a boundary."""
    codes = np.arange(256)
    expected = np.minimum(codes * levels // 255, levels - 1)
    saliency = codes.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(two_pass.saliency_levels(saliency, levels), expected)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=2), st.integers(1, 100))
def test_levels_are_whole_in_range_and_monotone(values, levels):
    found = two_pass.saliency_levels(np.sort(np.array(values, np.float32)), levels)
    assert found.min() >= 0
    assert found.max() < levels
    assert (np.diff(found) >= 0).all()


# --- first pass


@pytest.mark.parametrize(
    ("value", "quality"), [(0, 30), (0.1, 30), (0.3, 40), (0.5, 50), (0.7, 60), (0.9, 70), (1, 70)]
)
def test_a_constant_map_is_plain_jpeg_of_its_levels_quality(paper, value, quality):
    blended = two_pass.blend(CAT, constant(value), paper)
    np.testing.assert_array_equal(blended, pillows(CAT, quality))


def test_one_level_has_the_low_quality(paper):
    one = dataclasses.replace(paper, levels=1)
    np.testing.assert_array_equal(two_pass.blend(CAT, bell(CAT), one), pillows(CAT, 30))


def test_equal_qualities_make_the_map_irrelevant(paper):
    same = dataclasses.replace(paper, quality_low=45, quality_high=45)
    np.testing.assert_array_equal(two_pass.blend(CAT, bell(CAT), same), pillows(CAT, 45))


def test_two_halves_come_from_two_qualities(paper):
    saliency = constant(0)
    saliency[:, 50:] = 1
    blended = two_pass.blend(CAT, saliency, paper)
    np.testing.assert_array_equal(blended[:, :50], pillows(CAT, 30)[:, :50])
    np.testing.assert_array_equal(blended[:, 50:], pillows(CAT, 70)[:, 50:])


@pytest.mark.parametrize("seed", range(3))
def test_blend_against_a_pixel_by_pixel_reference(paper, seed):
    photo = CAT[: 31 + seed, : 45 - seed]
    saliency = np.random.default_rng(seed).random(photo.shape[:2]).astype(np.float32)
    saliency[0, :2] = [0, 1]
    decoded = {quality: pillows(photo, quality) for quality in (30, 40, 50, 60, 70)}
    expected = np.zeros_like(photo)
    for y in range(photo.shape[0]):
        for x in range(photo.shape[1]):
            level = min(int(float(saliency[y, x]) * 5), 4)
            expected[y, x] = decoded[30 + 10 * level][y, x]
    blended = two_pass.blend(photo, saliency, paper)
    np.testing.assert_array_equal(blended, expected)
    assert blended.dtype == np.uint8


def test_fractional_qualities_of_other_level_counts(paper):
    four = dataclasses.replace(paper, levels=4)
    blended = two_pass.blend(CAT, constant(0.3), four)
    np.testing.assert_array_equal(blended, jpeg.decode(jpeg.encode(CAT, 30 + 40 / 3)))


def test_more_saliency_never_means_more_error(paper):
    errors = [
        np.square(two_pass.blend(CAT, constant(v), paper) - CAT.astype(float)).mean()
        for v in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    assert errors == sorted(errors, reverse=True)


def test_blend_leaves_its_inputs_alone(paper):
    photo, saliency = CAT.copy(), bell(CAT)
    before = saliency.copy()
    two_pass.blend(photo, saliency, paper)
    np.testing.assert_array_equal(photo, CAT)
    np.testing.assert_array_equal(saliency, before)


# --- second pass


def test_the_second_pass_is_plain_jpeg_of_the_blend(paper):
    method = two_pass.MsRoi(paper)
    assert (method.name, method.version) == ("msroi", f"pillow {jpeg.encoder_version()}")
    encode = method.prepare(CAT, bell(CAT))
    blended = two_pass.blend(CAT, bell(CAT), paper)
    for quality in (1, 33.3, 70, 100):
        assert encode(quality) == jpeg.encode(blended, quality)


def test_without_a_map_it_is_plain_jpeg(paper):
    encode = two_pass.MsRoi(paper).prepare(CAT, None)
    assert encode(42.5) == jpeg.encode(CAT, 42.5)
