"""Goals: sizes with and without metadata, and the smallest file that is good enough."""

import functools
import math
import re

import numpy as np
import pytest
import skimage.data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from msroi.encoders import jpeg, search
from msroi.encoders.peers import PEERS
from msroi.errors import ImageError
from msroi.photos.goals import PSNR, SSIM, MatchQuality, TargetBytes, TargetMeasure

PHOTO = skimage.data.chelsea()[:121, :170]
ADDED = bytes(700)


def same(data):
    return data


def with_metadata(data):
    return data + ADDED


def encode(quality):
    return jpeg.encode(PHOTO, quality)


def counted(function):
    """Count the calls of a function in `calls`."""

    @functools.wraps(function)
    def counting(*arguments):
        counting.calls += 1
        return function(*arguments)

    counting.calls = 0
    return counting


# sizes


@pytest.mark.parametrize("quality", [1, 50, 83, 100])
def test_plain_jpeg_matches_itself(quality):
    for finished in (same, with_metadata):
        encoder = counted(encode)
        found = MatchQuality(quality).search("x", PHOTO, encoder, finished)
        assert (found.quality, found.data) == (quality, encode(quality))
        assert found.target_bytes == len(finished(found.data))
        assert (found.values, encoder.calls) == ({}, 1)


def test_the_match_does_not_see_metadata():
    other = functools.partial(jpeg.encode, PHOTO[::-1, ::-1].copy())
    goal = MatchQuality(40)
    without, with_them = (goal.search("x", PHOTO, other, f) for f in (same, with_metadata))
    assert (without.quality, without.data) == (with_them.quality, with_them.data)
    assert with_them.target_bytes - without.target_bytes == len(ADDED)


@pytest.mark.parametrize("target", [2700, 2701, 5000, 12345, 10**9])
def test_target_bytes_is_never_exceeded_metadata_included(target):
    encoder = counted(encode)
    found = TargetBytes(target).search("x", PHOTO, encoder, with_metadata)
    size = len(with_metadata(found.data))
    assert size <= target == found.target_bytes
    assert size > 0.95 * target or found.quality == 100
    assert encoder.calls <= 12
    # the search is for what the metadata leave
    room = search.match_size(encode, target - len(ADDED), never_above=True)
    assert found.data == room.data


@pytest.mark.parametrize("target", [1, 699, 700, 701])
def test_metadata_alone_may_be_too_large(target):
    smallest = len(encode(1)) + len(ADDED)
    expected = (
        f"x.png can't be made as small as {target} bytes: the lowest quality needs {smallest}, "
        "700 of them for its metadata."
    )
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        TargetBytes(target).search("x.png", PHOTO, encode, with_metadata)


# values


@pytest.mark.parametrize("method", sorted(PEERS))
@pytest.mark.parametrize("least", [28, 31.5, 36])
def test_target_psnr(method, least):
    encoder = counted(PEERS[method].prepare(PHOTO, None))
    found = TargetMeasure(PSNR, least).search("x", PHOTO, encoder, same)
    psnr = peak_signal_noise_ratio(PHOTO, jpeg.decode(found.data), data_range=255)
    assert found.target_bytes is None
    assert found.values == {"psnr_rgb_db": pytest.approx(psnr)}
    assert psnr >= least
    assert encoder.calls <= 12
    if method != "jpegli":  # whose quality moves in steps
        assert psnr < least + 0.05


@pytest.mark.parametrize("method", sorted(PEERS))
@pytest.mark.parametrize("least", [0.8, 0.9, 0.97])
def test_target_ssim(method, least):
    encoder = counted(PEERS[method].prepare(PHOTO, None))
    found = TargetMeasure(SSIM, least).search("x", PHOTO, encoder, same)
    luma = [image @ np.array([0.299, 0.587, 0.114]) for image in (PHOTO, jpeg.decode(found.data))]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = structural_similarity(*luma, data_range=255, **options)
    assert found.values == {"ssim_luma": pytest.approx(ssim, abs=1e-3)}
    assert found.values["ssim_luma"] >= least
    assert encoder.calls <= 12


@pytest.mark.parametrize("method", ["jpeg", "mozjpeg"])
@pytest.mark.parametrize(("measure", "least"), [(PSNR, 33.0), (SSIM, 0.93)])
def test_no_whole_quality_gives_a_much_smaller_file(method, measure, least):
    encoder = PEERS[method].prepare(PHOTO, None)
    found = TargetMeasure(measure, least).search("x", PHOTO, encoder, same)
    files = [encoder(float(quality)) for quality in range(1, 101)]
    sizes = [len(data) for data in files if measure.against(PHOTO)(jpeg.decode(data)) >= least]
    assert len(found.data) <= 1.01 * min(sizes)


def test_an_unreachable_target():
    for measure, least, of_least in ((PSNR, 60.0, "60.00 dB"), (SSIM, 1.0, "1.0000")):
        encoder = counted(encode)
        best = measure.against(PHOTO)(jpeg.decode(encode(100)))
        expected = (
            f"x.png can't be made to reach {measure.text.format(least)}: "
            f"the highest quality gives {measure.text.format(best)}."
        )
        assert of_least in expected
        with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
            TargetMeasure(measure, least).search("x.png", PHOTO, encoder, same)
        assert encoder.calls <= 4


def test_an_easy_target_is_quality_1():
    found = TargetMeasure(PSNR, 0).search("x", PHOTO, encode, same)
    assert (found.quality, found.data) == (1, encode(1))


def test_an_image_without_detail_is_perfect():
    flat = np.full((20, 20, 3), 255, np.uint8)
    flat_encode = functools.partial(jpeg.encode, flat)
    for measure, least, best in ((PSNR, 100, math.inf), (SSIM, 1.0, 1.0)):
        found = TargetMeasure(measure, least).search("x", flat, flat_encode, same)
        assert found.values == {measure.name: best}


def test_ssim_of_a_tiny_image():
    expected = "x.png: The image has 5x5 pixels; SSIM and MS-SSIM need at least 11 a side."
    tiny = PHOTO[:5, :5]
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        TargetMeasure(SSIM, 0.9).search("x.png", tiny, functools.partial(jpeg.encode, tiny), same)


def test_few_encodes_are_enough():
    """Time matters: a PSNR takes 5 encodes or so, an SSIM, which jumps, some more."""
    photos = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]
    for measure, wanted, most in ((PSNR, (30, 34, 38), 6), (SSIM, (0.85, 0.92, 0.97), 9)):
        counts = []
        for photo in photos:
            encoder = functools.partial(jpeg.encode, photo)
            for least in wanted:
                encode_at = counted(encoder)
                TargetMeasure(measure, least).search("x", photo, encode_at, same)
                counts.append(encode_at.calls)
        assert np.mean(counts) <= most
