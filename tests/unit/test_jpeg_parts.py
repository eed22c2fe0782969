"""The structure of JPEG files, and what lies behind a picture: gain maps, videos, other things."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import jpeg
from msroi.formats import jpeg_parts
from msroi.formats.jpeg_parts import Segment
from msroi.images import open_source
from msroi.photos import metadata
from msroi.photos.photo import TURNS, opened, turned

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
PLAIN = jpeg.encode(PIXELS, 50)
GAIN_MAP = jpeg.encode(PIXELS[::4, ::4], 80)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(range(256)) * 40
SCANS = b"\xff\xda\x00\x08" * 500  # what a video may hold, too


def saved(**options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_pictures(first, others, order="<"):
    """Append pictures to a JPEG as CIPA DC-007 has it, the list of them behind SOI."""
    count = 1 + len(others)
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    tags = struct.pack(order + "HHI4s", 0xB000, 7, 4, b"0100")
    tags += struct.pack(order + "HHII", 0xB001, 4, 1, count)
    tags += struct.pack(order + "HHII", 0xB002, 7, 16 * count, 50)
    listed_bytes = 4 + 8 + 2 + 36 + 4 + 16 * count
    end = len(first) + listed_bytes + 4
    entries = struct.pack(order + "IIIHH", 0x30000, end, 0, 0, 0)
    at = end
    for other in others:
        entries += struct.pack(order + "IIIHH", 0, len(other), at - 10, 0, 0)
        at += len(other)
    content = b"MPF\0" + header + struct.pack(order + "H", 3) + tags + bytes(4) + entries
    return first[:2] + Segment(0xE2, content).bytes() + first[2:] + b"".join(others)


def pictures(data):
    """Read the list of pictures a second way, by Pillow, and cut them out."""
    mpo = Image.open(io.BytesIO(data))
    start = data.index(b"MPF\0") + 4
    found = mpo.mpinfo[0xB002]
    places = [(one["DataOffset"], one["Size"]) for one in found]
    return [data[at and at + start :][:size] for at, size in places]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_a_jpeg_ends_behind_its_end_marker(options):
    data = saved(**options)
    for trailer in (b"", SCANS, MP4, b"\xff\xd9", data):
        parts = jpeg_parts.parse(data + trailer)
        assert parts.end == len(data)
        assert parts.scans == (10 if "progressive" in options else 1)


def test_segments_are_found_again():
    given_ = [Segment(0xE1, b"one"), Segment(0xFE, b"\xff\xda two"), Segment(0xED, b"")]
    data = PLAIN[:2] + b"\xff\xff".join(one.bytes() for one in given_) + PLAIN[2:]
    found = jpeg_parts.parse(data).segments
    assert [(one.marker, one.content) for one in found[:3]] == [
        (one.marker, one.content) for one in given_
    ]
    assert all(data[one.at :].startswith(one.content) for one in found)


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_apart_or_refused(data):
    parts = jpeg_parts.parse(b"\xff\xd8" + data)
    assert parts.end <= len(data) + 2
    if not data.startswith(b"\xff\xd8"):
        with pytest.raises(ValueError, match="no JPEG"):
            jpeg_parts.parse(data)


def test_markers_without_end_are_refused():
    with pytest.raises(ValueError, match="more than 100,000 segments"):
        jpeg_parts.parse(b"\xff\xd8" + b"\xff\xfe\x00\x02" * 200_000)


# what lies behind a picture


@pytest.fixture
def read(tmp_path):
    def of(data):
        (tmp_path / "x.jpg").write_bytes(data)
        return opened(tmp_path / "x.jpg")

    return of


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("trailer", [b"", MP4, bytes(10)])
def test_further_pictures_are_kept_and_found(read, order, trailer):
    source = with_pictures(saved(icc_profile=b""), [GAIN_MAP, GAIN_MAP[:-2] + b"\xff\xd9"], order)
    photo = read(source + trailer)
    assert photo.left_out == ()
    np.testing.assert_array_equal(photo.pixels, jpeg.decode(saved()))
    data = metadata.inserted(PLAIN, photo.metadata)
    first, *others = pictures(data)
    assert others == [GAIN_MAP, GAIN_MAP]
    assert jpeg_parts.parse(first).end == len(first)
    np.testing.assert_array_equal(jpeg.decode(first), jpeg.decode(PLAIN))
    assert data.endswith(GAIN_MAP + GAIN_MAP + trailer)


@pytest.mark.parametrize("trailer", [MP4, b"SEFH" + bytes(40) + b"SEFT", GAIN_MAP + MP4])
def test_what_phones_append_is_kept(read, trailer):
    """A video's place counts from the end of the file, so it stays right."""
    photo = read(saved() + trailer)
    assert photo.left_out == ()
    assert metadata.inserted(PLAIN, photo.metadata) == PLAIN + trailer


def test_a_video_that_looks_like_scans_is_kept(read):
    photo = read(saved() + MP4 + SCANS)
    assert metadata.inserted(PLAIN, photo.metadata) == PLAIN + MP4 + SCANS


def test_what_is_not_known_is_left_out(read):
    photo = read(saved() + SCANS)
    said = "2,000 bytes behind the picture, which are no known picture or video"
    assert photo.left_out == (said,)
    assert metadata.inserted(PLAIN, photo.metadata) == PLAIN


def test_padding_is_nothing(read):
    assert read(saved() + bytes(4096)).left_out == ()


@pytest.mark.parametrize(
    ("place", "value"), [(0, b"XX"), (4, b"\xff\xff\xff\xff"), (46 + 16 + 8, b"\1\0\0\0")]
)
def test_pictures_whose_list_is_damaged_are_left_out(read, place, value):
    data = bytearray(with_pictures(saved(), [GAIN_MAP]))
    start = data.index(b"MPF\0") + 4 + place + (4 if place > 8 else 0)
    data[start : start + len(value)] = value
    photo = read(bytes(data))
    assert photo.left_out == ("the pictures behind the first, whose list is damaged",)
    assert metadata.inserted(PLAIN, photo.metadata) == PLAIN


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_with_a_gain_map_stays_as_it_is_stored(read, orientation):
    """A gain map belongs to the pixels that it was made for; a viewer turns both."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored = saved(exif=tags)
    photo, alone = read(with_pictures(stored, [GAIN_MAP])), read(stored)
    assert (photo.orientation, alone.orientation) == (orientation, 1)
    np.testing.assert_array_equal(photo.upright(), alone.pixels)
    np.testing.assert_array_equal(photo.pixels, jpeg.decode(stored))
    data = metadata.inserted(jpeg.encode(photo.pixels, 100), photo.metadata)
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == orientation
    assert pictures(data)[1] == GAIN_MAP
    # a map of the upright photo fits the pixels
    saliency = np.random.default_rng(1).random(photo.upright().shape[:2], np.float32)
    np.testing.assert_array_equal(turned(photo.as_stored(saliency), orientation), saliency)
    assert photo.as_stored(saliency).shape == photo.pixels.shape[:2]


def test_turns_are_those_of_pillow():
    image = Image.fromarray(PIXELS)
    methods = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Image.Transpose, by orientation
    assert set(methods) | {1} == set(TURNS)
    for orientation, method in methods.items():
        expected = np.asarray(image.transpose(Image.Transpose(method)))
        np.testing.assert_array_equal(turned(PIXELS, orientation), expected)


def test_a_signature_is_left_out(read):
    signed = PLAIN[:2] + 2 * Segment(0xEB, b"JP\0\0signature").bytes() + PLAIN[2:]
    (left_out,) = read(signed).left_out
    assert left_out.startswith("JPEG's application segment 11, such as C2PA's signature")


def test_the_orientation_in_xmp_is_ignored(tmp_path):
    xmp = metadata.XMP + b'<rdf:Description tiff:Orientation="6"/>'
    data = PLAIN[:2] + Segment(0xE1, xmp).bytes() + PLAIN[2:]
    (tmp_path / "x.jpg").write_bytes(data)
    assert open_source(tmp_path / "x.jpg").image.size == (60, 40)
    # and stays as it is where nothing was turned
    photo = opened(tmp_path / "x.jpg")
    assert Segment(0xE1, xmp) in [
        Segment(one.marker, one.content) for one in photo.metadata.segments
    ]
    for suffix in ("png", "webp", "tif", "avif"):
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(PIXELS).save(path, xmp=xmp[len(metadata.XMP) :])
        assert open_source(path).image.size == (60, 40)


def test_xmp_says_upright_where_the_photo_was_turned(read):
    tags = Image.Exif()
    tags[0x0112] = 6
    turned_ = saved(exif=tags)
    for written in (b'tiff:Orientation="6"', b"<tiff:Orientation>6<"):
        xmp = Segment(0xE1, metadata.XMP + written)
        photo = read(turned_[:2] + xmp.bytes() + turned_[2:])
        (found,) = photo.metadata.segments
        assert found.content == metadata.XMP + written.replace(b"6", b"1")
