import io
import math

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import jpeg
from msroi.encoders.jpeg import Match, match_size

PHOTOS = {
    "colour": skimage.data.chelsea(),
    "odd": skimage.data.astronaut()[7:68, 9:46],
    "pixel": skimage.data.coffee()[:1, :1],
}
ALL = range(1, 101)


def pillows(photo, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return file.getvalue()


# --- the encoder


@pytest.mark.parametrize("name", PHOTOS)
def test_whole_qualities_are_pillows_byte_for_byte(name):
    photo = PHOTOS[name]
    differing = [q for q in ALL if jpeg.encode(photo, q) != pillows(photo, q)]
    assert differing == []


def test_files_are_baseline_420_with_standard_huffman_tables():
    file = jpeg.encode(PHOTOS["colour"], 49.3)
    image = Image.open(io.BytesIO(file))
    assert "progressive" not in image.info
    assert [(h, v) for _, h, v, _ in image.layer] == [(2, 2), (1, 1), (1, 1)]
    standard = pillows(PHOTOS["colour"], 75)

    def huffman(data):
        return [segment[:19] for segment in data.split(b"\xff\xc4")[1:]]

    assert huffman(file) == huffman(standard)


def test_decode_is_pillows():
    file = jpeg.encode(PHOTOS["odd"], 61.7)
    np.testing.assert_array_equal(jpeg.decode(file), np.asarray(Image.open(io.BytesIO(file))))


@pytest.mark.parametrize("quality", [1, 12.5, 50, 87.4, 100])
def test_the_file_holds_the_tables(quality):
    image = Image.open(io.BytesIO(jpeg.encode(PHOTOS["odd"], quality)))
    assert [list(image.quantization[i]) for i in (0, 1)] == jpeg.tables(quality)


def test_encoding_is_repeatable():
    assert len({jpeg.encode(PHOTOS["colour"], 33.3) for _ in range(20)}) == 1


def test_the_version_names_pillow_and_its_library():
    import PIL

    assert jpeg.encoder_version().startswith(f"{PIL.__version__} (libjpeg")


# --- qualities between whole ones


@settings(deadline=None)
@given(st.floats(1, 100), st.floats(1, 100))
def test_tables_never_rise_with_the_quality(one, other):
    low, high = (np.array(jpeg.tables(q)) for q in sorted((one, other)))
    assert (high <= low).all()


@settings(deadline=None)
@given(st.floats(1, 100))
def test_entries_lie_between_those_of_the_whole_qualities(quality):
    here, below, above = (
        np.array(jpeg.tables(q)) for q in (quality, math.floor(quality), math.ceil(quality))
    )
    assert ((here == below) | (here == above)).all()
    assert here.min() >= 1
    assert here.max() <= 255


def test_entries_pass_one_at_a_time():
    fine = np.array([jpeg.tables(q) for q in np.linspace(87, 88, 1000)])
    assert (np.diff(fine, axis=0) != 0).sum(axis=(1, 2)).max() == 1


@pytest.mark.parametrize("name", ["colour", "odd"])
def test_size_is_almost_monotone(name):
    sizes = [len(jpeg.encode(PHOTOS[name], q)) for q in ALL]
    assert sum(np.diff(sizes) < 0) <= 1
    assert sizes[0] < sizes[29] < sizes[49] < sizes[69] < sizes[99]


def test_halves_and_quarters_lie_near_their_neighbours():
    sizes = [len(jpeg.encode(PHOTOS["colour"], q)) for q in np.arange(30, 71, 0.25)]
    steps = np.diff(sizes) / sizes[:-1]
    assert steps.min() > -0.002
    assert steps.max() < 0.015


# --- the quality of a file


def test_nearest_quality_recovers_every_pillow_quality():
    found = {}
    for quality in ALL:
        tables = Image.open(io.BytesIO(pillows(PHOTOS["odd"], quality))).quantization
        found[quality] = jpeg.nearest_quality(tables)
    assert {q: f for q, f in found.items() if q != f} == {}


def test_nearest_quality_recovers_progressive_and_444_files():
    for options in ({"progressive": True}, {"subsampling": "4:4:4"}, {"optimize": True}):
        file = io.BytesIO()
        Image.fromarray(PHOTOS["odd"]).save(file, "JPEG", quality=83, **options)
        assert jpeg.nearest_quality(Image.open(file).quantization) == 83


def test_nearest_quality_of_foreign_tables_is_the_nearest():
    table = np.array(jpeg.tables(64)[0])
    table[::9] += 1
    assert jpeg.nearest_quality({0: table.tolist()}) == 64


# --- the search


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
    target = len(pillows(photo, quality)) - 1
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
    assert jpeg.quality_at(jpeg.position(quality)) == pytest.approx(quality, rel=1e-9)
    assert jpeg.position(quality) <= jpeg.position(min(quality + 0.001, 100))
    assert jpeg.quality_at(jpeg.position(1) - 1) == 1
    assert jpeg.quality_at(jpeg.position(100) + 1) == 100
    assert jpeg.quality_at(10) == 100


def test_a_good_start_saves_encodes():
    photo = PHOTOS["colour"]
    spent = {}
    for start in (jpeg.MIDDLE, 70.0):
        encode_at, calls = counted(lambda q: jpeg.encode(photo, q))
        match_size(encode_at, round(1.005 * len(jpeg.encode(photo, 70))), start=start)
        spent[start] = len(calls)
    assert spent[70.0] < spent[jpeg.MIDDLE] <= 8


def test_size_error_is_signed_and_the_tolerance_two_sided():
    assert jpeg.size_error_pct(995, 1000) == -0.5
    assert Match(50, bytes(99), 100).size_error_pct == -1.0
    assert Match(50, bytes(102), 100).size_error_pct == 2.0
    assert Match(50, bytes(99), 100).within(1.0)
    assert Match(50, bytes(101), 100).within(1.0)
    assert not Match(50, bytes(98), 100).within(1.0)
    assert not Match(50, bytes(102), 100).within(1.0)
