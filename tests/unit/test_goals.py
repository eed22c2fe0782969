"""How good a photo is to be: as good as plain JPEG by SSIMULACRA 2, on a sample of large ones."""

import functools
import re

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from ssimulacra2 import compute_ssimulacra2

from msroi import compress
from msroi.encoders import jpeg, search
from msroi.encoders.peers import PEERS
from msroi.errors import ImageError
from msroi.photos import goals, sample
from msroi.photos.goals import SSIMULACRA2, AsGoodAs, EncoderQuality, MatchQuality, TargetMeasure
from msroi.photos.sample import Sample

pytestmark = pytest.mark.numerics

PHOTO = skimage.data.chelsea()[:121, :170]
TINY = PHOTO[:7, :40]


def same(data):
    return data


def judged(folder, reference, data):
    """SSIMULACRA 2 by the package, of files."""
    paths = [folder / name for name in ("reference.png", "distorted.png")]
    for path, pixels in zip(paths, (reference, jpeg.decode(data)), strict=True):
        Image.fromarray(pixels).save(path)
    return compute_ssimulacra2(*map(str, paths))


@functools.cache
def large():
    """A photo of 2.1 million pixels, of parts that differ."""
    names = ("astronaut", "coffee", "chelsea", "rocket")
    parts = [np.tile(getattr(skimage.data, name)(), (3, 3, 1))[:780, :660] for name in names]
    return np.concatenate(parts, axis=1)


# as good as plain JPEG


@pytest.mark.parametrize(("method", "quality"), [("mozjpeg", 50), ("mozjpeg", 85), ("jpegli", 70)])
def test_at_least_as_good_and_smaller(tmp_path, method, quality):
    photo = skimage.data.chelsea()
    tried = []
    encode = PEERS[method].prepare(photo, None)

    def counting(of):
        tried.append(of)
        return encode(of)

    found = AsGoodAs(quality).search("x", photo, counting, same)
    plain = jpeg.encode(photo, quality)
    wanted = judged(tmp_path, photo, plain)
    got = judged(tmp_path, photo, found.data)
    assert found.values == {"ssimulacra2": pytest.approx(got)}
    assert wanted - 1e-9 <= got <= wanted + 1
    assert len(found.data) < len(plain) == found.plain_bytes
    assert (found.plain_quality, found.target_bytes, found.sampled) == (quality, None, False)
    assert len(tried) <= 6


@pytest.mark.parametrize("level", ["low", "medium", "high", 33.5])
def test_plain_jpeg_is_as_good_as_itself(level):
    quality = {"low": 50, "medium": 70, "high": 85}.get(level, level)
    found = goals.of_level(level).search("x", PHOTO, functools.partial(jpeg.encode, PHOTO), same)
    plain = jpeg.encode(PHOTO, quality)
    assert (found.quality, found.data) == (quality, plain)


def test_metadata_count_on_both_sides():
    encode = functools.partial(jpeg.encode, PHOTO)
    found = AsGoodAs(70).search("x", PHOTO, encode, lambda data: data + bytes(700))
    assert found.plain_bytes == len(jpeg.encode(PHOTO, 70)) + 700


def test_visually_lossless_is_90():
    assert goals.of_level("visually-lossless") == TargetMeasure(
        SSIMULACRA2, 90, of_tiny=MatchQuality(95)
    )
    photo = skimage.data.chelsea()
    encode = PEERS["mozjpeg"].prepare(photo, None)
    found = goals.of_level("visually-lossless").search("x", photo, encode, same)
    assert 90 <= found.values["ssimulacra2"] < 90.5


def test_chroma_is_full_where_half_is_never_good_enough():
    """Coloured detail as fine as pixels: no quality of 4:2:0 brings it back."""
    photo = skimage.data.chelsea()[:160, :160].copy()
    photo[40:120:2, 40:120] = photo[40:120:2, 40:120, ::-1]
    half = functools.partial(jpeg.encode, photo)
    with pytest.raises(ImageError):
        TargetMeasure(SSIMULACRA2, 90).search("x", photo, half, same)
    data = compress(photo, method="trellis", quality="visually-lossless")
    assert SSIMULACRA2.against(photo)(jpeg.decode(data)) >= 90


def test_what_can_not_be_as_good():
    blurred = np.asarray(Image.fromarray(PHOTO).resize((40, 30)).resize(PHOTO.shape[1::-1]))
    value = SSIMULACRA2.against(PHOTO)
    wanted, best = (
        value(jpeg.decode(jpeg.encode(of, quality)))
        for of, quality in ((PHOTO, 85), (blurred, 100))
    )
    expected = (
        f"x.png can't be made as good as plain JPEG of quality 85 (SSIMULACRA 2 {wanted:.1f}): "
        f"the highest quality gives {best:.1f}. Ask for a lower quality, or for a size."
    )
    encode = functools.partial(jpeg.encode, blurred)
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        AsGoodAs(85).search("x.png", PHOTO, encode, same)


def test_what_no_one_tells_from_the_photo_will_do_where_plain_jpeg_is_all_but_perfect():
    flat = np.full((24, 32, 3), (200, 100, 50), np.uint8)
    value = SSIMULACRA2.against(flat)
    encode = functools.partial(jpeg.encode, flat + np.uint8(1))
    best = value(jpeg.decode(encode(100)))
    assert 90 <= best < value(jpeg.decode(jpeg.encode(flat, 85)))
    found = AsGoodAs(85).search("x", flat, encode, same)
    assert found.values == {"ssimulacra2": pytest.approx(best, abs=2)}
    assert found.plain_quality is found.plain_bytes is None


# too small to be judged


@pytest.mark.parametrize(("level", "quality"), [("low", 50), (33, 33), ("visually-lossless", 95)])
def test_a_tiny_image_gets_the_size_of_plain_jpeg(level, quality):
    encode = PEERS["mozjpeg"].prepare(TINY, None)
    found = goals.of_level(level).search("x", TINY, encode, same)
    assert found == MatchQuality(quality).search("x", TINY, encode, same)
    assert found.values == {}


def test_a_tiny_image_has_no_ssimulacra2():
    expected = "x.png: The image has 40x7 pixels; SSIMULACRA 2 needs at least 8 a side."
    goal, encode = TargetMeasure(SSIMULACRA2, 80), functools.partial(jpeg.encode, TINY)
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        goal.search("x.png", TINY, encode, same)


def test_the_encoders_own_quality():
    found = EncoderQuality(61.5).search("x", PHOTO, functools.partial(jpeg.encode, PHOTO), same)
    assert (found.quality, found.data) == (61.5, jpeg.encode(PHOTO, 61.5))


# samples of large photos


@settings(deadline=None)
@given(st.integers(1, 9000), st.integers(1, 9000))
def test_where_a_photo_is_sampled(height, width):
    places = sample.places(height, width)
    if height * width <= sample.LARGE_PX:
        assert places is None
        return
    for side, at in zip((height, width), places, strict=True):
        assert 0 <= at[0] < at[-1] < side
        assert (np.diff(at) > 0).all()  # nothing twice
        if at.size < side:
            starts = at[:: sample.TILE_PX]
            assert (starts % sample.UNIT_PX == 0).all()
            assert (at.reshape(-1, sample.TILE_PX) == starts[:, None] + np.arange(256)).all()
    across_both = places.rows.size * places.columns.size
    assert across_both <= 2 * sample.SAMPLE_PX or min(height, width) < sample.TILE_PX


def test_a_sample_is_of_the_photo():
    photo = large()
    places = sample.places(*photo.shape[:2])
    cut = places.cut(photo)
    assert cut.shape == (places.rows.size, places.columns.size, 3)
    assert (cut[300, 500] == photo[places.rows[300], places.columns[500]]).all()
    assert (places.cut(photo[..., 0]) == cut[..., 0]).all()


@functools.cache
def sampled_large():
    photo = large()
    cut = np.ascontiguousarray(sample.places(*photo.shape[:2]).cut(photo))
    whole = functools.partial(jpeg.encode, photo, optimise=True)
    return photo, whole, Sample(cut, functools.partial(jpeg.encode, cut, optimise=True))


def counted(encode, calls):
    def counting(quality):
        calls.append(quality)
        return encode(quality)

    return counting


def test_of_a_large_photo_one_file_is_made():
    photo, whole, of_sample = sampled_large()
    calls = []
    found = AsGoodAs(70).search("x", photo, counted(whole, calls), same, of_sample)
    assert (calls, found.sampled) == ([found.quality], True)
    assert found.data == whole(found.quality)
    assert found.plain_bytes == len(jpeg.encode(photo, 70))
    # what the sample reaches, the photo does nearly
    value = SSIMULACRA2.against(photo)
    plain = value(jpeg.decode(jpeg.encode(photo, 70)))
    assert value(jpeg.decode(found.data)) >= plain - 0.5


@pytest.mark.parametrize("quality", [20, 60, 90])
def test_sizes_of_a_large_photo(quality):
    photo, whole, of_sample = sampled_large()
    plain = len(jpeg.encode(photo, quality))
    calls = []
    found = MatchQuality(quality).search("x", photo, counted(whole, calls), same, of_sample)
    assert abs(search.size_error_pct(len(found.data), plain)) <= 0.5
    assert len(calls) <= 3


@pytest.mark.parametrize("target", [30_000, 200_001, 555_555])
def test_bytes_of_a_large_photo_are_never_exceeded(target):
    photo, whole, of_sample = sampled_large()
    found = goals.TargetBytes(target).search("x", photo, whole, same, of_sample)
    assert 0.98 * target < len(found.data) <= target


def test_a_sample_that_misleads_costs_no_promise():
    photo, whole, _ = sampled_large()
    flat = np.full((512, 512, 3), 90, np.uint8)
    misleading = Sample(flat, functools.partial(jpeg.encode, flat))
    found = goals.TargetBytes(150_000).search("x", photo, whole, same, misleading)
    assert len(found.data) <= 150_000
