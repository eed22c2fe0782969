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
from msroi.images import open_image
from msroi.photos import metadata
from msroi.photos.metadata import Metadata

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
        return open_image(path)

    return of


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
    data = metadata.inserted(PLAIN, metadata.of(image))
    profile, found, details, place, dpi = read(data)
    assert profile == SRGB
    assert found[ExifTags.Base.Make] == "Kamera"
    assert found[ExifTags.Base.Orientation] == 1
    assert details[TAKEN] == "2020:01:02 03:04:05"
    # the photo has been turned, and its sizes with it
    assert (details[WIDTH], details[HEIGHT]) == image.size
    assert image.size == ((60, 40) if orientation < 5 else (40, 60))
    assert place == {1: "N", 2: (48.0, 8.0, 1.5)}
    assert dpi == (300, 300) or suffix == "webp"  # which has no resolution
    np.testing.assert_array_equal(jpeg.decode(data), jpeg.decode(PLAIN))


def test_a_file_without_metadata_stays_as_it_is(opened):
    for suffix in ("png", "jpg", "gif"):
        assert metadata.of(opened(suffix)) == Metadata()
    assert metadata.inserted(PLAIN, Metadata()) == PLAIN


def test_the_second_page_of_a_tiff_does_not_cost_the_first_its_place(opened):
    made = Image.Exif()
    made.load(exif())
    more = [Image.fromarray(PIXELS)]
    image = opened("tif", exif=made, save_all=True, append_images=more)
    _, found, details, place, _ = read(metadata.inserted(PLAIN, metadata.of(image)))
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
    assert 0x0201 in image.getexif().get_ifd(ExifTags.IFD.IFD1)
    data = metadata.inserted(PLAIN, metadata.of(image))
    found = read(data)[1]
    assert found[ExifTags.Base.Make] == "Cam"
    assert not found.get_ifd(ExifTags.IFD.IFD1)
    assert thumbnail not in data


def test_a_makers_note_is_kept(opened):
    note = bytes(range(256))
    image = opened("jpg", exif=exif(MakerNote=note))
    details = read(metadata.inserted(PLAIN, metadata.of(image)))[2]
    assert details[ExifTags.Base.MakerNote] == note


@pytest.mark.parametrize("damaged", [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0" + b"\xff" * 40])
def test_damaged_exif_is_left_out(opened, damaged):
    assert metadata.of(opened("jpg", exif=damaged)).exif == b""


@pytest.mark.parametrize("cut", range(10, 150, 7))
def test_cut_off_exif_is_no_obstacle(opened, cut):
    kept = metadata.of(opened("jpg", exif=exif(6)[:cut]))
    np.testing.assert_array_equal(jpeg.decode(metadata.inserted(PLAIN, kept)), jpeg.decode(PLAIN))


# colour profiles


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_of_rgb_is_kept(opened, mode):
    image = opened("png", Image.fromarray(PIXELS).convert(mode), icc_profile=SRGB)
    assert metadata.of(image).icc_profile == SRGB


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
    assert image.info["icc_profile"] == profile
    assert metadata.of(image).icc_profile == b""


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


@pytest.mark.parametrize(("dpi", "kept"), [((72, 72), 72), ((299.7, 299.7), 300), ((300, 150), 0)])
def test_resolution(opened, dpi, kept):
    for suffix in ("png", "tif", "bmp"):
        assert metadata.of(opened(suffix, dpi=dpi)).dpi == kept


@pytest.mark.parametrize(
    "dpi", [(0, 0), (0.4, 0.4), (-1, -1), (65536, 65536), ("a", "b"), 72, None, (float("nan"),) * 2]
)
def test_odd_resolutions_are_left_out(dpi):
    image = Image.fromarray(PIXELS)
    image.info["dpi"] = dpi
    assert metadata.of(image).dpi == 0


# what doesn't fit


def test_what_a_jpeg_cant_hold_is_left_out():
    largest = Metadata(bytes(255 * 65519), bytes(65533), 72)
    assert metadata.fitting(largest) == (largest, [])
    assert len(metadata.inserted(PLAIN, largest)) > 255 * 65519
    left = ["EXIF of 65534 bytes", "colour profile of 16707346 bytes"]
    assert metadata.fitting(Metadata(bytes(255 * 65519 + 1), bytes(65534), 72)) == (
        Metadata(dpi=72),
        left,
    )


# into the file of any encoder


@pytest.mark.parametrize("method", METHODS)
def test_into_the_files_of_every_encoder(method):
    compress = params.from_values("x", params.read_yaml(params.config_path("demo"))).compress
    encode = encoder(method, compress).prepare(PIXELS, np.ones((40, 60), np.float32))
    data = encode(60.0)
    kept = Metadata(SRGB, exif(), 240)
    with_all = metadata.inserted(data, kept)
    profile, found, details, place, dpi = read(with_all)
    assert (profile, dpi) == (SRGB, (240, 240))
    assert found[ExifTags.Base.Make] == "Kamera"
    assert details[TAKEN][:4] == "2020"
    assert place[1] == "N"
    assert [marker for marker, _ in segments(with_all)] == [0xE0, 0xE1, 0xE2]
    np.testing.assert_array_equal(jpeg.decode(with_all), jpeg.decode(data))
    # as many bytes whatever the quality
    other = encode(30.0)
    assert len(metadata.inserted(other, kept)) - len(other) == len(with_all) - len(data)


@settings(deadline=None)
@given(
    icc=st.binary(max_size=200_000),
    text=st.binary(max_size=65527),
    dpi=st.integers(0, 65535),
)
def test_everything_that_fits_is_found_again(icc, text, dpi):
    kept = Metadata(icc, b"Exif\0\0" + text if text else b"", dpi)
    data = metadata.inserted(PLAIN, kept)
    # read by hand: Pillow would take the EXIF apart
    (marker, jfif), *others = segments(data)
    assert (marker, jfif[:5]) == (0xE0, b"JFIF\0")
    assert struct.unpack(">BHH", jfif[7:12]) == ((1, dpi, dpi) if dpi else (0, 1, 1))
    assert b"".join(content for marker, content in others if marker == 0xE1) == kept.exif
    chunks = [content for marker, content in others if marker == 0xE2]
    assert b"".join(chunk[14:] for chunk in chunks) == icc
    # and the rest is untouched
    assert data.endswith(PLAIN[20:])
    assert len(data) == len(PLAIN) + sum(len(content) + 4 for _, content in others)
