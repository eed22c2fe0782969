"""Pixels of rarer kinds: as libvips or a browser shows them, or a refusal in one sentence."""

import io
import itertools
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from msroi import images
from msroi.encoders.chroma import is_grey
from msroi.errors import ImageError, UserError
from msroi.formats import boxes, colour, exif, tiff
from msroi.photos.photo import opened
from msroi.stages import prepare

RAMP = np.linspace(0, 1, 32 * 24).reshape(24, 32)
RGB = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1] ** 2], axis=2)
vips = pytest.mark.skipif(shutil.which("vips") is None, reason="vips is not installed")


def run(*command):
    subprocess.run([*map(str, command)], capture_output=True, check=True)


def shown_by_vips(path, profile=False):
    """Return what libvips shows, by the embedded profile if asked to: `(H, W, 3)`."""
    out = path.with_name("vips.png")
    if profile:
        run("vips", "icc_transform", path, out, "srgb", "--embedded")
    else:
        run("vips", "colourspace", path, out, "srgb")
    return np.asarray(Image.open(out).convert("RGB")).astype(int)


def tried(function, path):
    """Return what a function makes of a file, or the sentence with which it refuses it."""
    try:
        return function(path)
    except ImageError as error:
        return str(error)


def read(path):
    """Read a file in both ways, which agree: pixels, or the refusal behind the file's name."""
    shown, prepared = tried(images.read_rgb, path), tried(prepare.read_photo, path)
    if isinstance(shown, str):
        assert shown == prepared
        name, space, sentence = shown.partition(" ")
        assert (name, space, "\n" in sentence) == (str(path), " ", False)
        return sentence
    np.testing.assert_array_equal(prepared.pixels, shown)
    return shown.astype(int)


def samples(kind, many):
    """Return the ramps as samples of a kind, from its least to its largest value."""
    values = RGB if many else RAMP
    if kind == "f4":
        return values.astype("f4")
    limits = np.iinfo(kind)
    return np.rint(limits.min + values * (float(limits.max) - limits.min)).astype(kind)


# TIFF

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "f4")
READ = {
    *itertools.product(("u1", "u2"), ("minisblack", "miniswhite", "rgb")),
    ("f4", "minisblack"),
    ("f4", "miniswhite"),
}
# Pillow knows no big-endian 16 bits where white is zero
UNKNOWN = {("u2", "miniswhite", ">", packed) for packed in (None, "zlib")}
# and mixes up the bytes of packed big-endian floats
UNKNOWN |= {("f4", photometric, ">", "zlib") for photometric in ("minisblack", "miniswhite")}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("photometric", "planes"),
    [("minisblack", "contig"), ("miniswhite", "contig"), ("rgb", "contig"), ("rgb", "separate")],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [None, "zlib"])
def test_tiff_of_every_kind(tmp_path, kind, photometric, planes, order, packed):
    many = photometric == "rgb"
    data = samples(kind, many)
    stored = np.moveaxis(data, 2, 0) if planes == "separate" else data
    path = tmp_path / "x.tif"
    options = {"photometric": photometric, "planarconfig": planes, "compression": packed}
    tifffile.imwrite(path, stored, byteorder=order, **options)
    shown = read(path)
    sound = (kind, photometric) in READ and not (planes == "separate" and kind != "u1")
    if isinstance(shown, str):
        allowed = not sound or (kind, photometric, order, packed) in UNKNOWN
        assert allowed, shown
        return
    assert sound
    levels = RGB if many else np.repeat(RAMP[..., None], 3, axis=2)
    expected = 255 * (1 - levels if photometric == "miniswhite" else levels)
    assert np.abs(shown - expected).max() <= 1


@vips
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_tiff_as_libvips_shows_it(tmp_path, kind, photometric):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, samples(kind, photometric == "rgb"), photometric=photometric)
    assert np.abs(read(path) - shown_by_vips(path)).max() <= 1


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_tiff_of_few_bits(tmp_path, bits, photometric):
    """Pillow's decoder; tifffile packs such samples only with a further package."""
    per_byte = 8 // bits
    levels = np.rint(RAMP * (2**bits - 1)).astype(int)
    packed = np.zeros((24, 32 // per_byte), np.uint8)
    for place in range(per_byte):
        packed |= (levels[:, place::per_byte] << (8 - bits * (place + 1))).astype(np.uint8)
    tags = [(256, 32), (257, 24), (258, bits), (259, 1), (262, photometric == "minisblack")]
    tags += [(273, 8 + 2 + 12 * 9 + 4), (277, 1), (278, 24), (279, packed.size)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, int(value)) for tag, value in tags)
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + table + bytes(4) + packed.tobytes()
    (tmp_path / "x.tif").write_bytes(data)
    expected = 255 * levels / (2**bits - 1)
    expected = 255 - expected if photometric == "miniswhite" else expected
    assert np.abs(read(tmp_path / "x.tif")[..., 0] - expected).max() <= 1


@pytest.mark.parametrize(
    ("kind", "photometric", "sentence"),
    [
        ("i2", "minisblack", "holds 16-bit signed samples of grey, which are not read; "),
        ("u4", "minisblack", "holds 32-bit unsigned samples of grey, which are not read; "),
        ("i1", "minisblack", "holds 8-bit signed samples of grey, which are not read; "),
    ],
)
def test_a_tiff_that_is_not_read_says_what_it_holds(tmp_path, kind, photometric, sentence):
    tifffile.imwrite(tmp_path / "x.tif", samples(kind, False), photometric=photometric)
    assert read(tmp_path / "x.tif") == f"{sentence}save it anew with 8 or 16 bits a sample."


RAW = "is a camera's raw file, whose first picture is a preview; develop it, or name its JPEG."


def raw_tags(subfile=0, **options):
    return {"subfiletype": subfile, "photometric": "rgb"} | options


@pytest.mark.parametrize("suffix", ["dng", "tif"])
@pytest.mark.parametrize(
    ("subfile", "subifds", "dng"), [(1, 1, True), (1, 0, False), (0, 1, False), (0, 0, True)]
)
def test_a_thumbnail_on_the_first_page(tmp_path, suffix, subfile, subifds, dng):
    small, large = samples("u1", True)[::4, ::4], samples("u2", False)
    extra = [(50706, "B", 4, (1, 4, 0, 0), True)] if dng else []
    path = tmp_path / f"x.{suffix}"
    with tifffile.TiffWriter(path) as file:
        file.write(small, subifds=subifds, extratags=extra, **raw_tags(subfile))
        file.write(large, photometric="minisblack")
    with pytest.raises(ImageError) as caught:
        images.read_rgb(path)
    assert str(caught.value) == f"{path} {RAW}"


def test_a_pyramid_has_its_picture_on_the_first_page(tmp_path):
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(samples("u1", True), subifds=1, **raw_tags())
        file.write(samples("u1", True)[::2, ::2], **raw_tags(1))
    assert np.abs(read(path) - 255 * RGB).max() <= 1


def test_a_raw_file_of_canon():
    assert tiff.is_raw({}, exif.reading(b"II*\0\x10\0\0\0CR\x02\0" + bytes(40)))
    assert not tiff.is_raw({}, exif.reading(b"II*\0\x10\0\0\0" + bytes(40)))


# grey and CMYK with a profile


def grey_profile(gamma):
    """Return a profile of grey by a gamma (ICC.1:2022, with the tags it asks for)."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * v) for v in (0.9642, 1, 0.8249)))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78 + 1)
    tags, at, table = [(b"desc", text), (b"wtpt", white), (b"kTRC", curve)], 128 + 4 + 36, b""
    for name, value in tags:
        table += struct.pack(">4sII", name, at, len(value))
        at += len(value)
    header = struct.pack(">I4sI4s4s4s", at, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(24)
    header += struct.pack(">I", 0) + white[8:] + bytes(48)
    return header[:128] + struct.pack(">I", 3) + table + b"".join(value for _, value in tags)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_grey_goes_through_its_profile(tmp_path, gamma, suffix):
    path = tmp_path / f"x.{suffix}"
    grey = samples("u1", False)
    Image.fromarray(grey).save(path, icc_profile=grey_profile(gamma), quality=100)
    shown = read(path)
    table = colour._levels((np.arange(256) / 255) ** gamma).astype(int)
    assert np.abs(shown - table[grey][..., None]).max() <= (1 if suffix != "jpg" else 14)
    assert (shown[..., :1] == shown).all()  # still grey
    photo = opened(path)
    assert is_grey(photo.pixels)
    assert photo.left_out == ("the colour profile, by which the pixels were converted to sRGB",)


@vips
@pytest.mark.parametrize("gamma", [1.8, 2.2])
def test_grey_with_a_profile_as_libvips_shows_it(tmp_path, gamma):
    path = tmp_path / "x.png"
    Image.fromarray(samples("u1", False)).save(path, icc_profile=grey_profile(gamma))
    assert np.abs(read(path) - shown_by_vips(path, profile=True)).max() <= 1


def test_grey_with_transparency_goes_through_its_profile(tmp_path):
    path = tmp_path / "x.png"
    image = Image.fromarray(samples("u1", False)).convert("LA")
    image.save(path, icc_profile=grey_profile(1.0))
    table = colour._levels(np.arange(256) / 255).astype(int)
    assert np.abs(read(path)[..., 0] - table[samples("u1", False)]).max() <= 1


@vips
@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_goes_through_its_profile(tmp_path, suffix):
    Image.fromarray(samples("u1", True)).save(tmp_path / "rgb.png")
    exported = tmp_path / "exported.tif"
    run("vips", "icc_export", tmp_path / "rgb.png", exported, "--output-profile", "cmyk")
    with Image.open(exported) as image:
        whole = image.info["icc_profile"]
    path = tmp_path / f"x.{suffix}"
    inks = np.concatenate([255 * RGB, 100 * RAMP[..., None]], axis=2).astype(np.uint8)
    Image.fromarray(inks, "CMYK").save(path, icc_profile=whole, quality=100, subsampling=0)
    assert np.abs(read(path) - shown_by_vips(path, profile=True)).max() <= 3
    assert not is_grey(opened(path).pixels)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_of_another_kind_is_ignored(tmp_path, mode):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, with_it = tmp_path / "plain.tif", tmp_path / "profile.tif"
    image = Image.fromarray(samples("u1", True)).convert(mode)
    image.save(plain)
    for profile in (srgb, b"damaged" * 40, grey_profile(2.2)[:140]):
        image.save(with_it, icc_profile=profile)
        np.testing.assert_array_equal(read(with_it), read(plain))


# colours of PNG and AVIF


def png_with(**chunks):
    buffer = io.BytesIO()
    Image.fromarray(samples("u1", True)).save(buffer, "PNG")
    data = buffer.getvalue()
    made = b""
    for name, content in chunks.items():
        checked = name.encode() + content
        made += struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
    return data[:33] + made + data[33:]


def gamma(value):
    return struct.pack(">I", round(100_000 * value))


def corners(*values):
    return struct.pack(">8I", *(round(100_000 * value) for value in values))


P3 = colour.PRIMARIES[12]


@pytest.fixture
def shown(tmp_path):
    def of(**chunks):
        (tmp_path / "x.png").write_bytes(png_with(**chunks))
        return read(tmp_path / "x.png")

    return of


LEVELS = samples("u1", True).astype(int)


@pytest.mark.parametrize("value", [1.0, 0.7, 0.55556, 0.3])
def test_png_of_a_gamma(shown, value):
    expected = colour._levels((LEVELS / 255) ** (1 / value))
    np.testing.assert_array_equal(shown(gAMA=gamma(value)), expected)


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": gamma(0.45455)},
        {"gAMA": gamma(0.45455), "cHRM": corners(*colour.SRGB_CORNERS)},
        {"gAMA": gamma(0)},
        {"gAMA": gamma(1), "sRGB": b"\0"},
        {"cHRM": corners(*P3)},  # alone it says nothing
        {"cICP": bytes([1, 13, 0, 1]), "gAMA": gamma(1)},
        {"cICP": bytes([2, 2, 0, 1])},
        {"gAMA": gamma(0.45455), "cHRM": corners(0, 0, 0, 0, 0, 0, 0, 0)},  # nonsense
    ],
)
def test_png_that_is_srgb(shown, chunks):
    np.testing.assert_array_equal(shown(**chunks), LEVELS)


@pytest.mark.parametrize(
    "chunks",
    [
        {"cICP": bytes([12, 13, 0, 1])},
        {"gAMA": gamma(0.45455), "cHRM": corners(*P3)},
    ],
)
def test_png_of_other_primaries(shown, chunks):
    """Compared with LittleCMS's conversion by a profile of Display P3."""
    from colour_profiles import display_p3

    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(display_p3())),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    expected = np.asarray(ImageCms.applyTransform(Image.fromarray(samples("u1", True)), transform))
    assert np.abs(shown(**chunks) - expected.astype(int)).max() <= 1


SDR = "brighter than sRGB can be; save it anew without HDR."


@pytest.mark.parametrize(
    ("cicp", "sentence"),
    [
        ((9, 16), f"is an image of HDR (PQ), {SDR}"),
        ((9, 18), f"is an image of HDR (HLG), {SDR}"),
        (
            (10, 13),
            "has colours that are not read (primaries 10, transfer function 13 of H.273); save "
            "it anew as sRGB.",
        ),
        (
            (1, 10),
            "has colours that are not read (primaries 1, transfer function 10 of H.273); save it "
            "anew as sRGB.",
        ),
    ],
)
def test_png_of_hdr_or_unknown_colours(shown, cicp, sentence):
    assert shown(cICP=bytes([*cicp, 0, 1])) == sentence


def avif(tmp_path, primaries, transfer):
    """Save an AVIF, and say other colours in its box `colr`."""
    path = tmp_path / "x.avif"
    Image.fromarray(samples("u1", True)).save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    at = data.index(b"nclx") + 4
    assert boxes.colours(bytes(data)) == struct.unpack_from(">HH", data, at) == (1, 13)
    struct.pack_into(">HH", data, at, primaries, transfer)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_avif_of_hdr(tmp_path, transfer, name):
    sentence = f"is an image of HDR ({name}), {SDR}"
    assert read(avif(tmp_path, 9, transfer)) == sentence


def test_avif_of_other_colours(tmp_path):
    plain = read(avif(tmp_path, 1, 13))
    linear = read(avif(tmp_path, 1, 8))
    np.testing.assert_array_equal(linear, colour._levels(plain / 255))
    wide = colour.conversion({"cicp": (12, 13)})(plain)
    np.testing.assert_array_equal(read(avif(tmp_path, 12, 13)), wide)


def test_a_gain_map_of_avif_is_left_out_with_a_line(tmp_path, monkeypatch):
    path = avif(tmp_path, 1, 13)
    assert opened(path).left_out == ()
    data = path.read_bytes()
    at = data.index(b"infe")  # one item more of no data; what follows counts from elsewhere
    size = int.from_bytes(data[at - 4 : at], "big")
    added = data[at - 4 : at - 4 + size].replace(b"av01", b"tmap")
    assert not boxes.has_gain_map(data)
    meta = data.index(b"meta")
    longer = (int.from_bytes(data[meta - 4 : meta], "big") + size).to_bytes(4, "big")
    made = data[: meta - 4] + longer + data[meta : at - 4 + size] + added + data[at - 4 + size :]
    assert boxes.has_gain_map(made)
    monkeypatch.setattr(boxes, "has_gain_map", lambda _: True)
    assert opened(path).left_out == ("the gain map, which is not taken over from AVIF",)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_boxes_are_no_obstacle(tmp_path, seed):
    data = bytearray(avif(tmp_path, 1, 13).read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, 300, 6):
        data[at] = rng.integers(256)
    boxes.colours(bytes(data))
    boxes.colours(bytes(data[: rng.integers(len(data))]))
    boxes.png_colours(bytes(data))


def test_grey_is_known_as_grey(tmp_path):
    grey = samples("u1", False)
    for name, image in (
        ("x.jpg", Image.fromarray(grey)),
        ("x.png", Image.fromarray(grey).convert("LA")),
        ("y.png", Image.fromarray(samples("u2", False))),
        ("x.tif", Image.fromarray(samples("f4", False))),
        ("z.png", Image.fromarray(grey > 100)),
    ):
        image.save(tmp_path / name)
        photo = opened(tmp_path / name)
        assert is_grey(photo.pixels)
        assert (photo.pixels[..., :1] == photo.pixels).all()
    Image.fromarray(grey).convert("RGB").save(tmp_path / "rgb.png")
    assert is_grey(opened(tmp_path / "rgb.png").pixels)


def test_refusals_are_mistakes_that_a_user_can_mend():
    assert issubclass(ImageError, UserError)
