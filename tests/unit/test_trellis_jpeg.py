"""The encoder for the eye: its line of qualities, its map, the same bytes everywhere."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from encoder_cases import (
    CHROMA,
    PHOTOS,
    bell,
    guided,
    mse,
    plain,
    squared_error,
    weighted_mse,
)

from msroi.encoders import jpeg, search, trellis_jpeg
from msroi.encoders.peers import PEERS
from msroi.measures import ssimulacra2

pytestmark = pytest.mark.numerics

subsamplings = pytest.mark.parametrize("subsampling", CHROMA)


@subsamplings
def test_sizes_rise_with_the_quality(subsampling):
    encode = plain(chroma=CHROMA[subsampling]).prepare(PHOTOS["chelsea"], None)
    grid = (1, *range(5, 100, 5), 97, 99, 100)
    lengths = [len(encode(quality)) for quality in grid]
    assert (np.diff(lengths) > 0).all()


@pytest.mark.parametrize("quality", [30, 50, 70])
@pytest.mark.parametrize("photo", PHOTOS)
def test_plain_jpegs_size_is_matched_within_02_pct(photo, quality):
    image = PHOTOS[photo]
    calls = []
    encode = guided(0.5).prepare(image, bell(image.shape[:2]))

    def counted(quality):
        calls.append(quality)
        return encode(quality)

    found = search.match_size(counted, len(jpeg.encode(image, quality)), start=quality)
    assert abs(found.size_error_pct) <= 0.2
    assert len(calls) <= 8


@pytest.mark.parametrize("value", [1.0, 0.5])
def test_files_without_a_say_of_the_map_are_those_of_trellis(value):
    image = PHOTOS["astronaut"][:61, :37]
    expected = plain().prepare(image, bell((61, 37)))(50)
    assert guided(0.5).prepare(image, None)(50) == expected
    assert guided(0.0).prepare(image, bell((61, 37)))(50) == expected
    assert guided(0.5).prepare(image, np.full((61, 37), value, np.float32))(50) == expected


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
def test_more_say_of_the_map_trades_plain_error_for_weighted_error(photo):
    """At the same size; share 0 is the method `trellis`."""
    image = PHOTOS[photo]
    saliency = bell(image.shape[:2], 0.1)
    target = len(jpeg.encode(image, 40))
    plain_errors, weighted_errors = [], []
    for share in (0.0, 0.3, 0.6, 0.9):
        encode = guided(share).prepare(image, saliency)
        found = search.match_size(encode, target, start=40)
        assert abs(found.size_error_pct) <= 0.2
        plain_errors.append(mse(image, found.data))
        weighted_errors.append(weighted_mse(image, found.data, saliency))
    assert plain_errors == sorted(plain_errors)
    assert weighted_errors == sorted(weighted_errors, reverse=True)
    assert weighted_errors[-1] < 0.9 * weighted_errors[0]


def digest(image, saliency):
    """Of files of all sorts; run in a fresh process, too."""
    files = [
        encoder.prepare(image, saliency)(quality)
        for chroma in ("half", "full")
        for encoder in (guided(0.5, chroma=chroma), squared_error(chroma=chroma))
        for quality in (10, 50.5, 100)
    ]
    return hashlib.sha256(b"".join(files)).hexdigest()


def test_bytes_do_not_depend_on_the_call():
    image = PHOTOS["chelsea"][:61, :37]
    encode = guided(0.5).prepare(image, bell((61, 37)))
    assert len({encode(50) for _ in range(30)}) == 1
    assert len({guided(0.5).prepare(image[:1, :1], None)(50) for _ in range(30)}) == 1
    backwards = PHOTOS["chelsea"][::-1]
    expected = plain().prepare(backwards.copy(), None)(60)
    assert plain().prepare(backwards, None)(60) == expected


def test_bytes_do_not_depend_on_the_thread():
    jobs = [(name, quality) for name in PHOTOS for quality in (20, 50, 80)]

    def encode(job):
        image = PHOTOS[job[0]]
        return guided(0.5).prepare(image, bell(image.shape[:2]))(job[1])

    expected = [encode(job) for job in jobs]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(encode, jobs * 3)) == expected * 3


def test_one_prepared_image_can_be_encoded_by_many_threads():
    encode = plain().prepare(PHOTOS["chelsea"], None)
    qualities = list(range(20, 80, 10))
    expected = [encode(quality) for quality in qualities]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(encode, qualities * 3)) == expected * 3


def test_a_fresh_process_writes_the_same_bytes():
    image, saliency = PHOTOS["chelsea"][:61, :37], bell((61, 37))
    code = (
        "import skimage.data, test_trellis_jpeg as t; "
        "print(t.digest(skimage.data.chelsea()[:61, :37], t.bell((61, 37))))"
    )
    command = [sys.executable, "-c", code]
    folder = Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(image, saliency)


# --- what it is for


@pytest.mark.parametrize("quality", [30, 85])
@pytest.mark.parametrize("photo", PHOTOS)
def test_it_beats_mozjpeg_to_the_eye_at_the_same_size(photo, quality):
    """By SSIMULACRA 2, to which it was tuned, on other photographs."""
    image = PHOTOS[photo]
    target = len(jpeg.encode(image, quality))
    values = []
    for encoder in (plain(), PEERS["mozjpeg"]):
        found = search.match_size(encoder.prepare(image, None), target, start=quality)
        assert abs(found.size_error_pct) <= 0.2
        values.append(ssimulacra2.against(image)(jpeg.decode(found.data)))
    assert values[0] > values[1]


@pytest.mark.parametrize("photo", PHOTOS)
def test_every_quality_from_1_to_100_makes_a_better_file_than_the_one_below(photo):
    """It does not fall apart at the ends: the error falls all the way."""
    image = PHOTOS[photo][:96, :128]
    encode = plain(chroma="full").prepare(image, None)
    errors = [mse(image, encode(quality)) for quality in (1, 3, 5, 10, 20, 50, 80, 93, 97, 100)]
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 1


def test_tables_are_whole_steps_of_8_bits():
    steps = np.array([0.1, 0.8, 1.2, 254.6, 255.4, 9000] + [10.0] * 58, np.float32)
    found = trellis_jpeg.whole(steps)
    assert found.min() == 1
    assert found.max() == 255
    assert (np.abs(found[6:] - 10) <= 0).all()


def test_entries_of_a_table_pass_one_after_the_other():
    """From one step to the next: at first none has changed, then more and more, at last all."""
    changed = [
        (trellis_jpeg.whole(np.full(64, step, np.float32)) == 11).sum()
        for step in np.linspace(10.2, 10.8, 49)
    ]
    assert (changed[0], changed[-1]) == (0, 64)
    assert 0 <= np.diff(changed).min() <= np.diff(changed).max() <= 2
