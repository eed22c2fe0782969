"""SSIMULACRA 2 in float32: against the stages', which has float64, and the package's own."""

import numpy as np
import pytest
import skimage.data
from PIL import Image
from threadpoolctl import threadpool_limits

from msroi.encoders import jpeg
from msroi.measures import ssimulacra2
from msroi.photos import likeness

pytestmark = pytest.mark.numerics

ASTRONAUT = skimage.data.astronaut()
CAT = skimage.data.chelsea()
WIDE = np.tile(CAT[:40], (1, 3, 1))  # more columns than a product takes at once
PHOTOS = {
    "astronaut": ASTRONAUT,
    "odd": CAT[:99, :121],
    "wide": WIDE,
    "one strip": CAT[:16, :200],
    "smallest": CAT[:8, :8],
    "narrow": CAT[:200, :9],
    "flat": np.full((64, 70, 3), 90, np.uint8),
}


def coded(image, quality):
    return jpeg.decode(jpeg.encode(image, quality))


@pytest.mark.parametrize("photo", PHOTOS)
def test_it_is_the_stages_but_for_rounding(photo):
    reference = PHOTOS[photo]
    ours, stages = likeness.against(reference), ssimulacra2.against(reference)
    for quality in (1, 20, 50, 85, 95, 100):
        other = coded(reference, quality)
        assert ours(other) == pytest.approx(stages(other), abs=2e-4)


def test_it_is_the_packages_on_files(tmp_path):
    from ssimulacra2 import compute_ssimulacra2

    other = coded(ASTRONAUT, 70)
    paths = tmp_path / "reference.png", tmp_path / "distorted.png"
    for path, pixels in zip(paths, (ASTRONAUT, other), strict=True):
        Image.fromarray(pixels).save(path)
    expected = compute_ssimulacra2(*map(str, paths))
    assert likeness.against(ASTRONAUT)(other) == pytest.approx(expected, abs=2e-4)


def test_other_distortions_than_jpegs():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, CAT.shape, dtype=np.uint8)
    inverted, shifted = 255 - CAT, np.roll(CAT, 3, axis=1)
    one_pixel = CAT.copy()
    one_pixel[100, 200] ^= 0x80
    ours, stages = likeness.against(CAT), ssimulacra2.against(CAT)
    for other in (noise, inverted, shifted, one_pixel):
        assert ours(other) == pytest.approx(stages(other), rel=1e-5, abs=2e-4)


def test_an_identical_image_has_100():
    assert likeness.against(CAT)(CAT) == 100


def test_it_is_finer_than_what_a_search_asks_for():
    """One step of a table more is told from the other, at the highest qualities too."""
    value = likeness.against(CAT)
    values = [value(coded(CAT, quality)) for quality in range(90, 101)]
    assert values == sorted(values)


def test_the_threads_of_a_product_change_no_bit():
    other = coded(WIDE, 80)
    found = set()
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            found.add(likeness.against(WIDE)(other))
    assert len(found) == 1
