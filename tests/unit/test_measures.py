"""Each measure against a second implementation, and the properties that define it.

scikit-image is the reference for MSE, PSNR and SSIM. For MS-SSIM it is Wang's MATLAB
code restated below. sewar agrees on one scale; between scales its 2 x 2 mean takes the
pixel before instead of the pixel after, so there it is only close (0.002 at Q = 30; at
Q = 5, where the mean may straddle the edges of JPEG's blocks, 0.02).
"""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import sewar
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, signal
from skimage import metrics as reference

from msroi.errors import ImageError
from msroi.measures import distortion

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
FOLDER = Path(skimage.data.__file__).parent


def photo(name):
    return np.asarray(Image.open(FOLDER / name).convert("RGB"))


def jpeg(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def noisy(image, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(size=image.shape)
    return np.clip(np.rint(image + sigma * noise), 0, 255).astype(np.uint8)


def images():
    """Draw pairs of unrelated random images of one odd or even size."""
    side = st.integers(11, 40)

    def build(height, width, seed):
        draw = np.random.default_rng(seed).integers
        return draw(0, 256, (2, height, width, 3), dtype=np.uint8)

    return st.builds(build, side, side, st.integers(0, 2**32))


def wang_ms_ssim(x, y):
    """Restate msssim.m and ssim_index_new.m of Wang's MATLAB code, line by line."""
    weight = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    grid = np.arange(-5, 6)
    window = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * 1.5**2))  # fspecial
    window /= window.sum()

    def filter2(image):
        return signal.convolve2d(image, window, mode="valid")

    mssim, mcs = [], []
    for _ in range(5):
        mu1, mu2 = filter2(x), filter2(y)
        sigma1_sq = filter2(x * x) - mu1**2
        sigma2_sq = filter2(y * y) - mu2**2
        sigma12 = filter2(x * y) - mu1 * mu2
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        cs_map = (2 * sigma12 + c2) / (sigma1_sq + sigma2_sq + c2)
        ssim_map = (2 * mu1 * mu2 + c1) / (mu1**2 + mu2**2 + c1) * cs_map
        mssim.append(ssim_map.mean())
        mcs.append(cs_map.mean())
        # imfilter(..., ones(2) / 4, 'symmetric', 'same') and then im(1:2:end, 1:2:end)
        x, y = (
            ndimage.correlate(plane, np.full((2, 2), 0.25), mode="reflect", origin=-1)[::2, ::2]
            for plane in (x, y)
        )
    return np.prod(np.array(mcs[:-1]) ** weight[:-1]) * mssim[-1] ** weight[-1]


@pytest.mark.parametrize("quality", [5, 30, 70])
@pytest.mark.parametrize("name", PHOTOS)
def test_agree_with_scikit_image_on_photographs(name, quality):
    image = photo(name)
    other = jpeg(image, quality)
    assert distortion.mse_rgb(image, other) == pytest.approx(
        reference.mean_squared_error(image, other), rel=1e-12
    )
    assert distortion.psnr_rgb_db(image, other) == pytest.approx(
        reference.peak_signal_noise_ratio(image, other), rel=1e-12
    )
    assert distortion.ssim_luma(image, other) == pytest.approx(
        reference.structural_similarity(
            distortion.luma(image),
            distortion.luma(other),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        ),
        rel=1e-12,
    )


def test_the_map_of_ssim_has_one_value_a_window():
    image = photo("coffee.png")[:60, :90]
    other = jpeg(image, 30)
    values = distortion.ssim_map_luma(image, other)
    assert values.shape == (50, 80)
    assert values.mean() == distortion.ssim_luma(image, other)
    assert values[7, 20] == pytest.approx(
        distortion.ssim_luma(image[7:18, 20:31], other[7:18, 20:31]), rel=1e-9
    )


@pytest.mark.parametrize("quality", [5, 50])
@pytest.mark.parametrize("shape", [(512, 512), (161, 161), (163, 241), (300, 451)])
def test_ms_ssim_agrees_with_wang(shape, quality):
    image = photo("astronaut.png")[: shape[0], : shape[1]]
    other = jpeg(image, quality)
    expected = wang_ms_ssim(distortion.luma(image), distortion.luma(other))
    assert distortion.ms_ssim_luma(image, other) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", PHOTOS)
def test_ms_ssim_is_close_to_sewar(name):
    image = photo(name)
    other = jpeg(image, 30)
    expected = sewar.msssim(distortion.luma(image), distortion.luma(other), MAX=255)
    assert distortion.ms_ssim_luma(image, other) == pytest.approx(expected, abs=2e-3)


def test_one_scale_agrees_with_sewar():
    image = photo("chelsea.png")
    other = jpeg(image, 30)
    planes = distortion.luma(image), distortion.luma(other)
    assert distortion.ssim_luma(image, other) == pytest.approx(
        sewar.msssim(*planes, MAX=255, weights=[1.0]), rel=1e-9
    )


def test_by_hand():
    black = np.zeros((1, 2, 3), np.uint8)
    other = np.array([[[3, 0, 0], [0, 0, 6]]], np.uint8)
    assert distortion.mse_rgb(black, other) == (9 + 36) / 6
    assert distortion.psnr_db(7.5) == distortion.psnr_rgb_db(black, other)
    assert distortion.psnr_db(0.0) == math.inf
    assert distortion.psnr_rgb_db(black, other) == pytest.approx(10 * math.log10(65025 / 7.5))
    # per pixel the squared error is 3 and 12; weights 3 : 1 make it 5.25
    weighted = distortion.wpsnr_rgb_db(black, other, np.array([[0.75, 0.25]], np.float32))
    assert weighted == pytest.approx(10 * math.log10(65025 / 5.25))


def test_luma_is_full_range_and_not_rounded():
    colours = np.array([[[255, 255, 255], [255, 0, 0], [0, 1, 0], [0, 0, 0]]], np.uint8)
    np.testing.assert_allclose(distortion.luma(colours), [[255, 76.245, 0.587, 0]])


def test_squared_error_does_not_wrap_around():
    black, white = np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 255, np.uint8)
    assert distortion.mse_rgb(black, white) == distortion.mse_rgb(white, black) == 255**2
    assert distortion.psnr_rgb_db(black, white) == 0


@given(images())
@settings(max_examples=30)
def test_identity(pair):
    image = pair[0]
    uniform = np.ones(image.shape[:2], np.float32)
    assert distortion.mse_rgb(image, image) == 0
    assert distortion.psnr_rgb_db(image, image) == math.inf
    assert distortion.wpsnr_rgb_db(image, image, uniform) == math.inf
    assert distortion.ssim_luma(image, image) == 1
    assert distortion.ms_ssim_luma(image, image) == 1


@given(images())
@settings(max_examples=30)
def test_symmetry_and_range(pair):
    for measure in (
        distortion.mse_rgb,
        distortion.psnr_rgb_db,
        distortion.ssim_luma,
        distortion.ms_ssim_luma,
    ):
        assert measure(*pair) == measure(*pair[::-1])
    assert -1 <= distortion.ssim_luma(*pair) <= 1
    assert 0 <= distortion.ms_ssim_luma(*pair) <= 1


@given(images(), st.floats(1e-3, 1), st.integers(0, 2**32))
@settings(max_examples=30)
def test_weighted_psnr_knows_only_the_shape_of_the_map(pair, scale, seed):
    saliency = np.random.default_rng(seed).random(pair.shape[1:3]).astype(np.float32)
    expected = distortion.wpsnr_rgb_db(*pair, saliency)
    assert distortion.wpsnr_rgb_db(*pair, saliency * scale) == pytest.approx(expected, rel=1e-6)


@given(images(), st.floats(0, 1, width=32))
@settings(max_examples=30)
def test_uniform_map_is_plain_psnr(pair, level):
    uniform = np.full(pair.shape[1:3], level, np.float32)
    assert distortion.wpsnr_rgb_db(*pair, uniform) == pytest.approx(distortion.psnr_rgb_db(*pair))


def test_weighted_psnr_sees_only_where_the_map_is():
    image = photo("coffee.png")
    other = image.copy()
    other[:100] = noisy(image[:100], 20)
    saliency = np.zeros(image.shape[:2], np.float32)
    saliency[:100] = 0.5
    assert distortion.wpsnr_rgb_db(image, other, saliency) == pytest.approx(
        distortion.psnr_rgb_db(image[:100], other[:100])
    )
    assert distortion.wpsnr_rgb_db(image, other, saliency[::-1]) == math.inf


@pytest.mark.parametrize("name", PHOTOS)
def test_more_noise_is_worse(name):
    image = photo(name)[:200, :200]
    grades = [noisy(image, sigma) for sigma in (0, 2, 5, 12, 30, 80)]
    saliency = np.linspace(0, 1, 40000, dtype=np.float32).reshape(200, 200)
    for values in (
        [-distortion.mse_rgb(image, grade) for grade in grades],
        [distortion.psnr_rgb_db(image, grade) for grade in grades],
        [distortion.wpsnr_rgb_db(image, grade, saliency) for grade in grades],
        [distortion.ssim_luma(image, grade) for grade in grades],
        [distortion.ms_ssim_luma(image, grade) for grade in grades],
    ):
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == len(values)


def test_negative_structure_counts_as_zero():
    image = noisy(np.full((200, 200, 3), 128, np.uint8), 30)
    assert distortion.ssim_luma(image, 255 - image) < 0
    assert distortion.ms_ssim_luma(image, 255 - image) == 0


@pytest.mark.parametrize(
    ("side", "scales"),
    [(11, 1), (20, 1), (21, 2), (40, 2), (41, 3), (80, 3), (81, 4), (160, 4), (161, 5), (999, 5)],
)
def test_scales_follow_the_shorter_side(side, scales):
    assert distortion.ms_ssim_scales(side, 2000) == scales
    assert distortion.ms_ssim_scales(2000, side) == scales


def test_one_scale_left_is_ssim():
    image = photo("astronaut.png")[100:115, 100:180]
    other = jpeg(image, 40)
    assert distortion.ms_ssim_luma(image, other) == distortion.ssim_luma(image, other)


@pytest.mark.parametrize("shape", [(11, 11), (11, 64), (21, 35), (47, 160), (97, 161)])
def test_small_and_odd_sizes(shape):
    image = photo("chelsea.png")[: shape[0], : shape[1]]
    assert 0 < distortion.ms_ssim_luma(image, jpeg(image, 30)) < 1


@pytest.mark.parametrize(
    "measure", [distortion.ssim_luma, distortion.ms_ssim_luma, distortion.ssim_map_luma]
)
def test_smaller_than_the_window(measure):
    image = np.zeros((10, 300, 3), np.uint8)
    with pytest.raises(ImageError) as error:
        measure(image, image)
    assert str(error.value) == (
        "The image has 300x10 pixels; SSIM and MS-SSIM need at least 11 a side."
    )
