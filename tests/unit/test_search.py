"""The search for a size and that for a value: the best of at most 12 encodes."""

import math

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import jpeg, search
from msroi.encoders.search import CLOSE, Match, match_size

PHOTOS = {"colour": skimage.data.chelsea(), "odd": skimage.data.astronaut()[7:68, 9:46]}
ALL = range(1, 101)

# for a size


def counted(encode):
    calls = []

    def encode_at(quality):
        assert 1 <= quality <= 100
        calls.append(Match(quality, encode(quality), 0))
        return calls[-1].data

    return encode_at, calls


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 2000), min_size=101, max_size=101),
    target=st.integers(1, 2000),
    never_above=st.booleans(),
    start=st.floats(1, 100),
)
def test_the_best_seen_is_returned_whatever_the_size_function(sizes, target, never_above, start):
    encode_at, calls = counted(lambda q: bytes(sizes[round(q)]))
    found = match_size(encode_at, target, never_above=never_above, start=start)
    assert len(calls) <= 12
    assert any(call.quality == found.quality and call.data == found.data for call in calls)
    seen = [len(call.data) for call in calls]
    assert min(seen) <= target or not never_above or calls[-1].quality == 1
    if never_above and min(seen) <= target:
        assert len(found.data) == max(size for size in seen if size <= target)
    else:
        assert abs(len(found.data) - target) == min(abs(size - target) for size in seen)
    assert found.target_bytes == target


@settings(deadline=None)
@given(st.integers(1, 10_000))
def test_a_monotone_function_is_matched_to_the_resolution_of_the_search(target):
    found = match_size(lambda q: bytes(int(q * 100)), target)
    assert abs(len(found.data) - max(target, 100)) <= max(0.001 * target, 100 / 128) + 1


def curves():
    """Draw smooth sizes in bytes, rising with the quality: like an encoder's, or any bend."""

    def like_an_encoder(header, smallest, slope, linear_pct):
        def size(quality):
            scale_pct = 5000 / quality if quality < 50 else 200 - 2 * quality
            return header + smallest * (5000 / (scale_pct + linear_pct)) ** slope

        return size

    def bent(smallest, ratio, bend):
        def size(quality):
            share = (quality - 1) / 99
            return smallest * ratio ** (share + bend * share * (1 - share))

        return size

    first = st.floats(200, 20_000)
    encoders = st.builds(
        like_an_encoder, st.floats(300, 5000), first, st.floats(0.4, 1), st.floats(2, 20)
    )
    return encoders | st.builds(bent, first, st.floats(5, 200), st.floats(-0.7, 0.7))


@settings(deadline=None)
@given(curves(), st.floats(1, 97), st.floats(1, 100), st.booleans())
def test_smooth_sizes_are_matched_within_02_pct(size, wanted, start, never_above):
    target = int(size(wanted)) + 1
    encode_at, calls = counted(lambda q: bytes(round(size(q))))
    found = match_size(encode_at, target, never_above=never_above, start=start)
    assert abs(found.size_error_pct) <= max(0.2, 200 / target)
    assert not (never_above and len(found.data) > target)
    assert len(calls) <= 12


@settings(deadline=None)
@given(curves(), st.floats(5, 95), st.booleans())
def test_of_whole_qualities_a_nearest_one_is_found(size, wanted, never_above):
    """Encoders that know only whole qualities make steps of several percent."""
    target = int(size(wanted)) + 1
    encode_at, calls = counted(lambda q: bytes(round(size(round(q)))))
    found = match_size(encode_at, target, never_above=never_above)
    possible = [round(size(whole)) for whole in ALL]
    errors = sorted(abs(n - target) for n in possible if not never_above or n <= target)
    assert abs(len(found.data) - target) <= max(errors[1], 0.001 * target)
    assert len(calls) <= 12


@settings(deadline=None)
@given(curves(), st.floats(5, 95), st.integers(0, 2**32), st.booleans())
def test_noise_on_the_size_costs_no_more_than_itself(size, wanted, seed, never_above):
    def noisy(quality):
        draw = np.random.default_rng([seed, round(quality * 1e6)])
        return bytes(round(size(quality) * draw.uniform(0.999, 1.001)))

    target = int(size(wanted)) + 1
    encode_at, calls = counted(noisy)
    found = match_size(encode_at, target, never_above=never_above)
    allowed = max(0.4, 200 / target)
    assert found.size_error_pct >= -allowed
    assert len(found.data) <= (target if never_above else (1 + allowed / 100) * target)
    assert len(calls) <= 12


@settings(deadline=None)
@given(curves(), st.floats(1, 100), st.booleans())
def test_targets_out_of_reach_cost_few_encodes(size, start, never_above):
    for target, end in ((int(size(1) / 1.1), 1), (int(size(100) * 1.1), 100)):
        encode_at, calls = counted(lambda q: bytes(round(size(q))))
        found = match_size(encode_at, target, never_above=never_above, start=start)
        assert len(found.data) == round(size(end))
        assert len(calls) <= 4


def test_adversarial_function_whose_last_probe_is_the_worst():
    """Around the target the size jumps: the last probe is far, an early one was near."""
    near = (1 + 100) / 2
    found = match_size(lambda q: bytes(990 if q == near else 10 if q < near else 1800), 1000)
    assert found.quality == near
    assert found.size_error_pct == pytest.approx(-1.0)


@pytest.mark.parametrize(("target", "end"), [(1, 1.0), (10**9, 100.0)])
def test_targets_out_of_reach_give_the_nearest_end(target, end):
    photo = PHOTOS["odd"]
    found = match_size(lambda q: jpeg.encode(photo, q), target)
    assert len(found.data) == len(jpeg.encode(photo, end))
    assert not found.within(1.0)


def test_never_above_takes_the_smallest_file_if_none_is_small_enough():
    photo = PHOTOS["odd"]
    found = match_size(lambda q: jpeg.encode(photo, q), 10, never_above=True)
    assert len(found.data) == len(jpeg.encode(photo, 1))


@pytest.mark.parametrize("quality", [30, 50, 70])
def test_never_above_on_a_photo(quality):
    photo = skimage.data.coffee()
    target = len(jpeg.encode(photo, quality)) - 1
    found = match_size(lambda q: jpeg.encode(photo, q), target, never_above=True)
    assert len(found.data) <= target
    assert found.within(1.0)


def test_photos_are_matched_within_1_pct_and_typically_within_03():
    """Sizes that no whole quality has; what the second pass meets is in test_compress.py."""
    errors = []
    for name in ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "moon", "gravel"):
        photo = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"))
        for quality in (30, 50, 70):
            encode_at, calls = counted(lambda q, photo=photo: jpeg.encode(photo, q))
            found = match_size(encode_at, round(1.005 * len(jpeg.encode(photo, quality))))
            assert len(calls) <= 12
            errors.append(abs(found.size_error_pct))
    assert max(errors) <= 1.0
    assert np.median(errors) <= 0.1
    assert np.quantile(errors, 0.8) <= 0.3


def test_a_jpeg_of_its_own_size_is_found_again():
    photo = PHOTOS["colour"]
    for quality in (30, 50, 70):
        target = len(jpeg.encode(photo, quality))
        assert match_size(lambda q: jpeg.encode(photo, q), target).within(0.1)


@settings(deadline=None)
@given(st.floats(1, 100))
def test_positions_are_those_of_their_qualities_and_rise(quality):
    assert search.quality_at(search.position(quality)) == pytest.approx(quality, rel=1e-9)
    assert search.position(quality) <= search.position(min(quality + 0.001, 100))
    assert search.quality_at(search.position(1) - 1) == 1
    assert search.quality_at(search.position(100) + 1) == 100
    assert search.quality_at(10) == 100


def test_a_good_start_saves_encodes():
    photo = PHOTOS["colour"]
    spent = {}
    for start in (search.MIDDLE, 70.0):
        encode_at, calls = counted(lambda q: jpeg.encode(photo, q))
        match_size(encode_at, round(1.005 * len(jpeg.encode(photo, 70))), start=start)
        spent[start] = len(calls)
    assert spent[70.0] < spent[search.MIDDLE] <= 8


def test_size_error_is_signed_and_the_tolerance_two_sided():
    assert search.size_error_pct(995, 1000) == -0.5
    assert Match(50, bytes(99), 100).size_error_pct == -1.0
    assert Match(50, bytes(102), 100).size_error_pct == 2.0
    assert Match(50, bytes(99), 100).within(1.0)
    assert Match(50, bytes(101), 100).within(1.0)
    assert not Match(50, bytes(98), 100).within(1.0)
    assert not Match(50, bytes(102), 100).within(1.0)


# for a value, on encoders of which everything is known: a file is its size and its quality


def smooth(slope, start_bytes):
    """An encoder whose size and level rise along lines against the position of the quality."""

    def encode_at(quality):
        size = start_bytes * math.exp(0.65 * (search.position(quality) - search.position(1.0)))
        return f"{quality!r}".encode().ljust(int(size))

    def value_of(data):
        return slope * search.position(float(data))

    return encode_at, value_of


@settings(deadline=None)
@given(
    slope=st.floats(0.2, 2),
    start_bytes=st.integers(2000, 20_000),
    wanted=st.floats(1, 100),
)
def test_the_smallest_file_is_found(slope, start_bytes, wanted):
    encode_at, value_of = smooth(slope, start_bytes)
    encode_at, calls = counted(encode_at)
    least = slope * search.position(wanted)
    reached = search.smallest_reaching(encode_at, value_of, least)
    assert len(calls) <= 12
    assert reached.value == value_of(reached.data) >= least
    # of the size of the exact one but for the tolerance of the value or of the size
    by_value = math.exp(0.65 * CLOSE.level / slope) - 1
    tolerance = max(by_value, CLOSE.files_pct / 100) + 2 / start_bytes
    assert len(reached.data) <= (1 + 1.01 * tolerance) * len(encode_at(wanted))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    noise=st.floats(0, 1),
    wanted=st.floats(-9, 3),
    rounded=st.booleans(),
)
def test_whatever_the_encoder_does_the_best_file_seen_is_kept(seed, noise, wanted, rounded):
    encode_at, smooth_value = smooth(0.5, 5000)
    seen = {}

    def noisy(data):
        quality = float(data)
        rng = np.random.default_rng([seed, round(1000 * quality)])
        seen[data] = smooth_value(data) + noise * rng.normal()
        return seen[data]

    encoder, calls = counted(lambda q: encode_at(float(round(q)) if rounded else q))
    reached = search.smallest_reaching(encoder, noisy, wanted)
    assert len(calls) <= 12
    enough = [data for data, value in seen.items() if value >= wanted]
    if enough:
        assert len(reached.data) == min(map(len, enough))
        assert reached.value >= wanted
    else:
        assert encode_at(100.0) in seen
        assert reached.value == max(seen.values()) < wanted
