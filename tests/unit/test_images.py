import errno
import stat
import struct
import threading
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
import skimage.data
from PIL import Image

from msroi import images
from msroi.errors import ImageError

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
GREY_16 = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
UNIT = np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32)

# what each EXIF orientation asks a viewer to do with the stored pixels
SHOWN = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.fixture
def save(tmp_path):
    """Save a Pillow image and read it back as RGB."""

    def saved(image, name, **options):
        image.save(tmp_path / name, **options)
        return images.read_rgb(tmp_path / name)

    return saved


def png(width, height):
    """A PNG whose header claims a size that its data don't have."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def refusal(path):
    """The whole sentence with which a file is refused."""
    with pytest.raises(ImageError) as caught:
        images.read_rgb(path)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value).replace(str(path), "FILE")


# --- what comes out, mode by mode


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_rgb_comes_back_as_it_is(save, suffix):
    shown = save(Image.fromarray(NOISE), f"x.{suffix}")
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, NOISE)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_grey_becomes_three_equal_channels(save, suffix):
    grey = NOISE[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(save(Image.fromarray(grey), f"x.{suffix}"), expected)


def test_one_bit_becomes_black_and_white(save):
    bits = NOISE[..., 0] > 127
    shown = save(Image.fromarray(bits), "x.png")
    np.testing.assert_array_equal(shown, np.repeat(bits[..., None] * np.uint8(255), 3, axis=2))


def palette():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    return image


def test_palette_shows_its_colours(save):
    assert save(palette(), "x.png").tolist() == [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_transparent_palette_entry_is_white(save, suffix):
    shown = save(palette(), f"x.{suffix}", transparency=1)
    assert shown.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_palette_with_graded_transparency_is_laid_over_white(save):
    shown = save(palette(), "x.png", transparency=bytes([255, 128]))
    assert shown.tolist() == [[[255, 0, 0], [127, 127, 255]]]


def test_transparent_colour_and_grey_are_white(save):
    assert (save(Image.new("RGB", (2, 2), (7, 8, 9)), "x.png", transparency=(7, 8, 9)) == 255).all()
    assert (save(Image.new("L", (2, 2), 7), "y.png", transparency=7) == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(save, mode):
    colours = NOISE if mode == "RGBA" else NOISE[..., :1]
    alpha = np.random.default_rng(1).integers(0, 256, (*NOISE.shape[:2], 1), dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    shown = save(Image.fromarray(np.concatenate([colours, alpha], axis=2), mode), "x.png")
    share = alpha / 255
    expected = colours * share + 255 * (1 - share)
    assert np.abs(shown - expected).max() <= 1
    assert (shown[0] == 255).all()
    assert (shown[1] == colours[1]).all()


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_converted(save, suffix):
    shown = save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), f"x.{suffix}")
    np.testing.assert_allclose(shown.astype(int), np.full((16, 16, 3), [255, 0, 0]), atol=2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(save, suffix):
    shown = save(Image.fromarray(GREY_16), f"x.{suffix}")
    expected = np.rint(GREY_16 / 257).astype(np.uint8)
    np.testing.assert_array_equal(shown, np.repeat(expected[..., None], 3, axis=2))


def test_big_endian_16_bit_tiff_is_the_same(tmp_path):
    Image.fromarray(GREY_16.astype(">u2")).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(
        images.read_rgb(tmp_path / "x.tif")[..., 0], np.rint(GREY_16 / 257)
    )


def test_float_grey_is_taken_as_from_0_to_1(save):
    shown = save(Image.fromarray(UNIT), "x.tif")
    np.testing.assert_array_equal(shown[..., 1], np.rint(UNIT * 255))


@pytest.mark.parametrize("odd", [255, 1.5, -0.1, np.inf, -np.inf])
def test_floats_beyond_0_to_1_are_refused(tmp_path, odd):
    """Nothing says what is white."""
    broken = UNIT.copy()
    broken[31, 3] = odd
    Image.fromarray(broken).save(tmp_path / "x.tif")
    assert refusal(tmp_path / "x.tif") == (
        "FILE holds floating-point samples beyond 0 to 1; save it anew with 8 or 16 bits a sample."
    )


def test_float_values_that_are_no_numbers_are_black(save):
    broken = UNIT.copy()
    broken[31, :3] = np.nan
    shown = save(Image.fromarray(broken), "x.tif")[..., 0]
    assert shown[31, :3].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(shown[:31], np.rint(UNIT[:31] * 255))


def test_animation_gives_its_first_frame(tmp_path):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second])
    assert (images.read_rgb(tmp_path / "x.gif") == [255, 0, 0]).all()


# --- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    path = tmp_path / f"x.{suffix}"
    exif = Image.Exif()
    Image.fromarray(NOISE).save(path)
    upright = images.read_rgb(path)
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(path, exif=exif)
    np.testing.assert_array_equal(images.read_rgb(path), SHOWN[orientation](upright))


@pytest.mark.parametrize("kind", ["L", "I;16", "P", "RGBA"])
def test_exif_orientation_is_applied_in_every_mode(save, kind):
    grey = Image.fromarray(GREY_16) if kind == "I;16" else Image.fromarray(NOISE).convert(kind)
    exif = Image.Exif()
    upright = save(grey, "x.png")
    exif[0x0112] = 6
    np.testing.assert_array_equal(save(grey, "y.png", exif=exif), np.rot90(upright, -1))


@pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0", b""])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_damaged_exif_is_no_obstacle(save, exif, suffix):
    upright = save(Image.fromarray(NOISE), f"x.{suffix}")
    shown = save(Image.fromarray(NOISE), f"y.{suffix}", exif=b"Exif\0\0" + exif)
    np.testing.assert_array_equal(shown, upright)


def test_exif_that_pillow_can_not_write_again_still_turns_the_image(save):
    """Text in a field for a number: Pillow reads it, but fails when it drops the orientation."""
    fields = b"\x01\x15\0\x02\0\0\0\x06\0\0\0\x26" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + fields + b"\0\0\0\0hello\0"
    shown = save(Image.fromarray(NOISE), "x.png", exif=exif)
    np.testing.assert_array_equal(shown, np.rot90(NOISE, -1))


def test_unknown_orientation_is_ignored(save):
    exif = Image.Exif()
    exif[0x0112] = 9
    np.testing.assert_array_equal(save(Image.fromarray(NOISE), "x.png", exif=exif), NOISE)


# --- what is refused, each in one sentence


def test_a_file_that_is_not_there(tmp_path):
    assert refusal(tmp_path / "x.png") == "FILE is not there; check its name."
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    assert refusal(tmp_path / "dangling.png") == "FILE is not there; check its name."


def test_a_folder(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    assert (
        refusal(tmp_path / "x.jpg") == "FILE is a folder, not an image file; name an image in it."
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100, png(0, 10), b"\xff\xd8\xff"])
def test_what_is_no_image(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    sentence = (
        "FILE can't be read as an image: its format is not known, or it is damaged; "
        "save it anew as JPEG or PNG."
    )
    assert refusal(path) == sentence


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "gif", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file(tmp_path, suffix, share):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(skimage.data.chelsea()).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    sentence = refusal(path)
    assert sentence.startswith("FILE can't be read as an image: ")
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0


@pytest.mark.parametrize("side", [7484, 13_378, 100_000])
def test_an_absurdly_large_header(tmp_path, side):
    path = tmp_path / "x.png"
    path.write_bytes(png(side, side))
    sentence = "FILE has more than 56,000,000 pixels, the most that are read; scale it down."
    assert refusal(path) == sentence


def test_a_loop_of_links(tmp_path):
    path = tmp_path / "x.png"
    path.symlink_to(path)
    sentence = "FILE can't be read: it is a link that leads back to itself; name the file itself."
    assert refusal(path) == sentence


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "FILE can't be read: permission denied; get the right to read it.",
        ),
        (
            OSError(errno.EIO, "Input/output error"),
            "FILE can't be read: Input/output error; check the disk that it is on.",
        ),
        (
            MemoryError(),
            "FILE needs more memory than there is; scale it down, or let fewer photos share it "
            "(--jobs).",
        ),
    ],
)
def test_what_is_no_fault_of_the_image(tmp_path, monkeypatch, error, sentence):
    """The remedy is not to save it anew."""

    def refused(*_, **__):
        raise error

    Image.fromarray(NOISE).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "open", refused)
    assert refusal(tmp_path / "x.png") == sentence


def test_a_file_as_a_folder(tmp_path):
    (tmp_path / "x").write_text("hello")
    assert refusal(tmp_path / "x" / "y.png") == "FILE is not there; check its name."


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif", "webp"])
def test_damage_anywhere_is_an_image_or_an_image_error(tmp_path, suffix):
    """No warning either: pytest turns each into an exception, an open file into another."""
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 300), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with suppress(ImageError):
            assert images.read_rgb(path).ndim == 3


# --- names, threads, writing


def test_a_symlink_is_read_and_named_as_such(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "real.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    np.testing.assert_array_equal(images.read_rgb(tmp_path / "link.png"), NOISE)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "bad.png").symlink_to(tmp_path / "text")
    assert "FILE" in refusal(tmp_path / "bad.png")


def test_threads_leave_the_warning_filters_as_they_were(tmp_path):
    """`catch_warnings` is not safe in threads: unguarded, one may restore another's filters."""
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for path in paths:
        Image.fromarray(NOISE).save(path)
    before = list(warnings.filters)
    threads = [threading.Thread(target=images.read_rgb, args=(p,)) for p in paths for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_png_round_trip(tmp_path):
    images.write_image(tmp_path / "sub folder" / "ä.png", NOISE)
    path = tmp_path / "sub folder" / "ä.png"
    np.testing.assert_array_equal(images.read_rgb(path), NOISE)
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


def test_read_grey_gives_all_256_values_exactly(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    images.write_image(tmp_path / "x.png", levels)
    grey = images.read_grey(tmp_path / "x.png")
    assert grey.dtype == np.float32
    np.testing.assert_array_equal(grey, levels.astype(np.float32) / np.float32(255))


def test_read_grey_of_16_bits_is_scaled(tmp_path):
    Image.fromarray(GREY_16).save(tmp_path / "x.png")
    grey = images.read_grey(tmp_path / "x.png")
    np.testing.assert_allclose(grey, GREY_16 / 65535, atol=0.5 / 255 + 1e-6)


def test_resize_is_pillows_bilinear_without_cropping():
    photo = skimage.data.chelsea()
    expected = Image.fromarray(photo).resize((224, 224), Image.Resampling.BILINEAR)
    resized = images.resize(photo, 224)
    assert resized.shape == (224, 224, 3)
    np.testing.assert_array_equal(resized, np.asarray(expected))
    np.testing.assert_array_equal(images.resize(resized, 224), resized)
