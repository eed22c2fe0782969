import io
import math

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import jpeg

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
