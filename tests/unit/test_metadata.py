"""Metadata: what is read of a photo, and what Pillow finds in the JPEG that it was put into."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from msroi.encoders import jpeg
from msroi.encoders.methods import METHODS, encoder
from msroi.experiment import params
from msroi.formats import jpeg_parts
from msroi.images import Source, open_source
from msroi.photos import metadata
from msroi.photos.metadata import Density, Metadata

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
PLAIN = jpeg.encode(PIXELS, 50)
TAKEN, COMMENT = ExifTags.Base.DateTimeOriginal, ExifTags.Base.UserComment
WIDTH, HEIGHT = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight


def exif(orientation=1, **tags):
    """EXIF as a camera writes it, the date 2020 and the place 48° N in it."""
    made = Image.Exif()
    made[ExifTags.Base.Make] = "Kamera"
    made[ExifTags.Base.Orientation] = orientation
    details = made.get_ifd(ExifTags.IFD.Exif)
    details.update({TAKEN: "2020:01:02 03:04:05", WIDTH: 60, HEIGHT: 40})
    details.update({getattr(ExifTags.Base, name): value for name, value in tags.items()})
    made.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 8.0, 1.5)})
    return made.tobytes()


@pytest.fixture
def opened(tmp_path):
    """Save an image with Pillow's options, and open it as the program does."""

    def of(suffix, image=None, **options):
        path = tmp_path / f"photo.{suffix}"
        (image or Image.fromarray(PIXELS)).save(path, **options)
        return open_source(path)

    return of


def kept(source):
    """Return what is kept of a photo of which nothing is left out."""
    found, left_out = metadata.of(source)
    assert left_out == []
    return found


def dpi(x, y=None):
    return Density(1, x, y or x)


def read(data):
    """Return what Pillow finds: the profile, EXIF, its details and place, the resolution."""
    image = Image.open(io.BytesIO(data))
    found = image.getexif()
    details, place = (found.get_ifd(part) for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
    return image.info.get("icc_profile"), found, details, place, image.info.get("dpi")


def segments(data):
    """Cut a JPEG up to its first table: markers and contents."""
    at, found = 2, []
    while data[at + 1] >= 0xE0:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


# read and put back


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_metadata_of_every_format_survive(opened, suffix, orientation):
    made = Image.Exif()
    made.load(exif(orientation))
    image = opened(suffix, exif=made, icc_profile=SRGB, dpi=(300, 300))
    data = metadata.inserted(PLAIN, kept(image))
    profile, found, details, place, resolution = read(data)
    assert profile == SRGB
    assert found[ExifTags.Base.Make] == "Kamera"
    assert found[ExifTags.Base.Orientation] == 1
    assert details[TAKEN] == "2020:01:02 03:04:05"
    # the photo has been turned, and its sizes with it
    assert (details[WIDTH], details[HEIGHT]) == image.image.size
    assert image.image.size == ((60, 40) if orientation < 5 else (40, 60))
    assert place == {1: "N", 2: (48.0, 8.0, 1.5)}
    assert resolution == (300, 300) or suffix == "webp"  # which has no resolution
    np.testing.assert_array_equal(jpeg.decode(data), jpeg.decode(PLAIN))


def test_a_file_without_metadata_stays_as_it_is(opened):
    for suffix in ("png", "jpg", "gif"):
        assert kept(opened(suffix)) == Metadata()
    assert metadata.inserted(PLAIN, Metadata()) == PLAIN


def test_the_second_page_of_a_tiff_does_not_cost_the_first_its_place(opened):
    made = Image.Exif()
    made.load(exif())
    more = [Image.fromarray(PIXELS)]
    image = opened("tif", exif=made, save_all=True, append_images=more)
    found, left_out = metadata.of(image)
    assert left_out == ["all frames but the first"]
    _, found, details, place, _ = read(metadata.inserted(PLAIN, found))
    assert (details[TAKEN], place[1]) == ("2020:01:02 03:04:05", "N")
    # nothing that only a TIFF file has
    stored = {ExifTags.Base.StripOffsets, ExifTags.Base.Compression, ExifTags.Base.ImageWidth}
    assert not stored & set(found)


def test_the_thumbnail_is_dropped(opened):
    thumbnail = jpeg.encode(PIXELS[:8, :8], 50)
    # IFD0 with one entry, the make; IFD1 with the place and the length of the thumbnail
    entry = struct.Struct("<HHII").pack
    first = struct.pack("<H", 1) + entry(0x010F, 2, 4, int.from_bytes(b"Cam\0", "little"))
    at = 8 + len(first) + 4
    body = first + struct.pack("<I", at) + struct.pack("<H", 2)
    body += entry(0x0201, 4, 1, at + 30) + entry(0x0202, 4, 1, len(thumbnail))
    body += struct.pack("<I", 0) + thumbnail
    source = b"Exif\0\0II*\0\x08\0\0\0" + body
    image = opened("jpg", exif=source)
    assert 0x0201 in image.image.getexif().get_ifd(ExifTags.IFD.IFD1)
    data = metadata.inserted(PLAIN, kept(image))
    found = read(data)[1]
    assert found[ExifTags.Base.Make] == "Cam"
    assert not found.get_ifd(ExifTags.IFD.IFD1)
    assert thumbnail not in data


def test_a_makers_note_is_kept(opened):
    note = bytes(range(256))
    image = opened("jpg", exif=exif(MakerNote=note))
    details = read(metadata.inserted(PLAIN, kept(image)))[2]
    assert details[ExifTags.Base.MakerNote] == note


@pytest.mark.parametrize("damaged", [b"Exif\0\0II*\0", b"Exif\0\0" + b"\xff" * 40])
def test_damaged_exif_is_left_out(opened, damaged):
    found, left_out = metadata.of(opened("jpg", exif=damaged))
    assert (found.exif, left_out) == (b"", ["EXIF, which is damaged"])


@pytest.mark.parametrize("cut", range(10, 150, 7))
def test_cut_off_exif_is_no_obstacle(opened, cut):
    found, _ = metadata.of(opened("jpg", exif=exif(6)[:cut]))
    np.testing.assert_array_equal(jpeg.decode(metadata.inserted(PLAIN, found)), jpeg.decode(PLAIN))


# colour profiles


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_of_rgb_is_kept(opened, mode):
    image = opened("png", Image.fromarray(PIXELS).convert(mode), icc_profile=SRGB)
    assert kept(image).icc_profile == SRGB


def of_space(space):
    return SRGB[:16] + space + SRGB[20:]


@pytest.mark.parametrize(
    ("suffix", "mode", "profile"),
    [
        ("jpg", "CMYK", of_space(b"CMYK")),
        ("jpg", "CMYK", SRGB),
        ("png", "L", of_space(b"GRAY")),
        ("png", "L", SRGB),
        ("png", "RGB", of_space(b"GRAY")),
        ("png", "RGB", LAB),
        ("png", "RGB", SRGB[:128]),
        ("png", "RGB", b"RGB "),
    ],
)
def test_any_other_profile_is_not(opened, suffix, mode, profile):
    image = opened(suffix, Image.fromarray(PIXELS).convert(mode), icc_profile=profile)
    assert image.image.info["icc_profile"] == profile
    found, (left_out,) = metadata.of(image)
    assert found.icc_profile == b""
    assert left_out == "the colour profile, which is none of these pixels"


@pytest.mark.parametrize("size", [129, 65519, 65520, 3 * 65519, 3 * 65519 + 1])
def test_large_profiles_are_cut_into_chunks(size):
    profile = SRGB[:128] + bytes(np.random.default_rng(size).integers(0, 256, size - 128, np.uint8))
    data = metadata.inserted(PLAIN, Metadata(icc_profile=profile))
    assert read(data)[0] == profile
    chunks = [content for marker, content in segments(data) if marker == 0xE2]
    count = -(-size // 65519)
    numbers = [tuple(chunk[12:14]) for chunk in chunks]
    assert numbers == [(number, count) for number in range(1, count + 1)]
    np.testing.assert_array_equal(jpeg.decode(data), jpeg.decode(PLAIN))


# resolution


@pytest.mark.parametrize(
    ("given", "found"),
    [((72, 72), dpi(72)), ((299.7, 299.7), dpi(300)), ((300, 150), dpi(300, 150))],
)
def test_resolution(opened, given, found):
    for suffix in ("png", "tif", "bmp", "jpg"):
        if (suffix, given[0]) != ("jpg", 299.7):  # Pillow writes whole numbers
            assert kept(opened(suffix, dpi=given)).density == found


def test_a_resolution_that_differs_by_side_is_turned(opened):
    made = Image.Exif()
    made.load(exif(6))
    for suffix in ("png", "jpg", "tif"):
        image = opened(suffix, exif=made, dpi=(300, 150))
        assert kept(image).density == dpi(150, 300)


@pytest.mark.parametrize(
    "odd", [(0, 0), (0.4, 0.4), (-1, -1), (65536, 65536), ("a", "b"), 72, None, (float("nan"),) * 2]
)
def test_odd_resolutions_are_left_out(odd):
    image = Image.fromarray(PIXELS)
    image.info["dpi"] = odd
    assert kept(Source(image)).density == Density()


def test_no_resolution_is_made_up(opened):
    """Pillow says 72 dpi of a JPEG with EXIF and without a resolution."""
    image = opened("jpg", exif=exif())
    assert image.image.info["dpi"] == (72, 72)
    found = metadata.inserted(PLAIN, kept(image))
    assert segments(found)[0][1] == segments(PLAIN)[0][1]
    # nor is one made of the shape of a pixel
    header = jpeg_parts.Segment(0xE0, b"JFIF\0\1\1" + Density(0, 2, 1).bytes() + b"\0\0")
    shaped = Source(Image.fromarray(PIXELS), parts=jpeg_parts.Parts((header,), 1, 0))
    assert kept(shaped).density == Density(0, 2, 1)


# what doesn't fit


def test_what_a_jpeg_cant_hold_is_left_out():
    largest = Metadata(bytes(255 * 65519), bytes(65533), dpi(72))
    assert metadata.fitting(largest) == (largest, [])
    assert len(metadata.inserted(PLAIN, largest)) > 255 * 65519
    left = [
        "EXIF of 65534 bytes, more than a JPEG can hold",
        "colour profile of 16707346 bytes, more than a JPEG can hold",
    ]
    assert metadata.fitting(Metadata(bytes(255 * 65519 + 1), bytes(65534), dpi(72))) == (
        Metadata(density=dpi(72)),
        left,
    )


# into the file of any encoder


@pytest.mark.parametrize("method", METHODS)
def test_into_the_files_of_every_encoder(method):
    compress = params.from_values("x", params.read_yaml(params.config_path("demo"))).compress
    encode = encoder(method, compress).prepare(PIXELS, np.ones((40, 60), np.float32))
    data = encode(60.0)
    all_of_it = Metadata(SRGB, exif(), dpi(240))
    with_all = metadata.inserted(data, all_of_it)
    profile, found, details, place, resolution = read(with_all)
    assert (profile, resolution) == (SRGB, (240, 240))
    assert found[ExifTags.Base.Make] == "Kamera"
    assert details[TAKEN][:4] == "2020"
    assert place[1] == "N"
    assert [marker for marker, _ in segments(with_all)] == [0xE0, 0xE1, 0xE2]
    np.testing.assert_array_equal(jpeg.decode(with_all), jpeg.decode(data))
    # as many bytes whatever the quality
    other = encode(30.0)
    assert len(metadata.inserted(other, all_of_it)) - len(other) == len(with_all) - len(data)


@settings(deadline=None)
@given(
    icc=st.binary(max_size=200_000),
    text=st.binary(max_size=65527),
    pixels=st.integers(1, 65535),
)
def test_everything_that_fits_is_found_again(icc, text, pixels):
    given = Metadata(icc, b"Exif\0\0" + text if text else b"", dpi(pixels))
    data = metadata.inserted(PLAIN, given)
    # read by hand: Pillow would take the EXIF apart
    (marker, jfif), *others = segments(data)
    assert (marker, jfif[:5]) == (0xE0, b"JFIF\0")
    assert struct.unpack(">BHH", jfif[7:12]) == (1, pixels, pixels)
    assert b"".join(content for marker, content in others if marker == 0xE1) == given.exif
    chunks = [content for marker, content in others if marker == 0xE2]
    assert b"".join(chunk[14:] for chunk in chunks) == icc
    # and the rest is untouched
    assert data.endswith(PLAIN[20:])
    assert len(data) == len(PLAIN) + sum(len(content) + 4 for _, content in others)
