"""What the programs that people use find in a result: exiftool, libexif's exif, exiv2."""

import io
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from msroi.cli import main
from msroi.formats import exif
from msroi.formats.jpeg_parts import Segment
from msroi.photos import metadata

pytestmark = pytest.mark.numerics

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
ARTIST, TITLE = "Jörg Müller", "東京の夜"


def needs(program):
    missing = shutil.which(program) is None
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


def entry(order, tag, kind, count, value):
    return struct.pack(order + "HHI", tag, kind, count) + value


def block(order=">", orientation=6, thumbnail=b"", tail=b"", note=True):
    """EXIF as a Canon writes it: text in UTF-8, UNDEFINED values, a note with offsets.

    A thumbnail lies behind all else, and `tail` behind that.
    """
    make, artist, title = (text.encode() + b"\0" for text in ("Canon", ARTIST, TITLE))
    comment = b"ASCII\0\0\0hello"
    kind = b"IMG:SYNTHETIC JPEG".ljust(32, b"\0")
    tags, details = 5, 6 if note else 5
    at = 8 + 2 + 12 * tags + 4
    places = {}
    for name, value in (("make", make), ("title", title), ("artist", artist)):
        places[name] = at
        at += len(value) + len(value) % 2
    details_at = at
    at += 2 + 12 * details + 4
    places["comment"] = at
    at += len(comment) + 1
    places["note"] = at
    offset = {"<": "<I", ">": ">I"}[order]
    noted = struct.pack(order + "H", 1)
    noted += entry(order, 0x0006, 2, 32, struct.pack(offset, at + 2 + 12 + 4)) + bytes(4) + kind
    at += len(noted) if note else 0
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(offset, 8)
    first = struct.pack(order + "H", tags)
    first += entry(order, 0x010E, 2, len(title), struct.pack(offset, places["title"]))
    first += entry(order, 0x010F, 2, len(make), struct.pack(offset, places["make"]))
    first += entry(order, 0x0112, 3, 1, struct.pack(order + "HH", orientation, 0))
    first += entry(order, 0x013B, 2, len(artist), struct.pack(offset, places["artist"]))
    first += entry(order, 0x8769, 4, 1, struct.pack(offset, details_at))
    first += struct.pack(offset, at if thumbnail else 0)
    values = b"".join(value + b"\0" * (len(value) % 2) for value in (make, title, artist))
    second = struct.pack(order + "H", details)
    if note:
        second_note = entry(order, 0x927C, 7, len(noted), struct.pack(offset, places["note"]))
    second += entry(order, 0x9101, 7, 4, b"\1\2\3\0")
    second += second_note if note else b""
    second += entry(order, 0x9286, 7, len(comment), struct.pack(offset, places["comment"]))
    second += entry(order, 0xA002, 3, 1, struct.pack(order + "HH", 60, 0))
    second += entry(order, 0xA003, 4, 1, struct.pack(offset, 40))
    second += entry(order, 0xA301, 7, 1, b"\1\0\0\0")
    whole = header + first + values + second + bytes(4) + comment + b"\0"
    whole += noted if note else b""
    assert len(whole) == at
    if thumbnail:
        whole += struct.pack(order + "H", 2)
        whole += entry(order, 0x0201, 4, 1, struct.pack(offset, at + 30))
        whole += entry(order, 0x0202, 4, 1, struct.pack(offset, len(thumbnail)))
        whole += bytes(4) + thumbnail
    return whole + tail


THUMBNAIL = b"\xff\xd8" + b"thumbnail" * 20 + b"\xff\xd9"


@pytest.fixture
def result(tmp_path, monkeypatch, capsys):
    """Compress a photo that holds these bytes; return the result and what was left out."""
    monkeypatch.chdir(tmp_path)

    def of(data, suffix="jpg"):
        Path(f"photo.{suffix}").write_bytes(data)
        options = ["--method", "jpeg", "--allow-larger", "--json"]
        assert main.main(["compress", f"photo.{suffix}", *options]) == 0
        return Path("photo.msroi.jpg"), json.loads(capsys.readouterr().out)["left_out"]

    return of


def saved(kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_with(*segments):
    plain = saved()
    return plain[:2] + b"".join(one.bytes() for one in segments) + plain[2:]


def exiftool(path):
    command = ["exiftool", "-json", "-a", "-G1", "-charset", "iptc=UTF8", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)
    return found


# byte for byte


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_block_of_an_upright_photo_is_the_same_bytes(result, order):
    given = block(order, orientation=1)
    path, left_out = result(jpeg_with(Segment(0xE1, exif.HEADING + given)))
    assert left_out == []
    assert exif.HEADING + given in path.read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_of_a_turned_photo_orientation_and_sizes_are_others(order):
    given = block(order)
    got = exif.patched(given, exif.Changes(40, 60, turned=6))
    assert got == block(order, orientation=1).replace(
        struct.pack(order + "HH", 60, 0), struct.pack(order + "HH", 40, 0)
    ).replace(
        struct.pack(order + "HHII", 0xA003, 4, 1, 40), struct.pack(order + "HHII", 0xA003, 4, 1, 60)
    )
    assert exif.orientation(given) == 6
    assert exif.orientation(got) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_at_the_end_is_cut_off(order):
    changes = exif.Changes(60, 40)
    assert exif.patched(block(order, 1, THUMBNAIL), changes) == block(order, 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_before_other_things_is_zeroed(order):
    """Nobody knows what a maker's note refers to behind it."""
    given = block(order, 1, THUMBNAIL, tail=b"preview" * 50)
    got = exif.patched(given, exif.Changes(60, 40))
    assert len(got) == len(given)
    assert b"thumbnail" not in got
    assert got.endswith(bytes(len(THUMBNAIL)) + b"preview" * 50)
    start = len(block(order, 1))
    differs = [n for n in range(start) if got[n] != given[n]]
    assert differs  # the offset of the thumbnail's directory, and nothing else
    assert max(differs) - min(differs) < 4
    assert got[start : start + 30] == given[start : start + 30]


def test_a_thumbnail_said_to_lie_within_other_values_destroys_none():
    given = bytearray(block(">", 1, THUMBNAIL, tail=bytes(99)))
    at = len(block(">", 1)) + 2 + 8
    given[at : at + 4] = struct.pack(">I", 20)
    got = exif.patched(bytes(given), exif.Changes(60, 40))
    assert got[: len(block(">", 1))] == block(">", 1)


# as programs read it


@needs("exiftool")
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exiftool_reads_text_and_the_makers_note(result, order, orientation):
    given = block(order, orientation, THUMBNAIL)
    path, left_out = result(jpeg_with(Segment(0xE1, exif.HEADING + given)))
    found = exiftool(path)
    assert left_out == []
    assert found["IFD0:Artist"] == ARTIST
    assert found["IFD0:ImageDescription"] == TITLE
    assert found["IFD0:Orientation"] == "Horizontal (normal)"
    assert found["Canon:CanonImageType"] == "IMG:SYNTHETIC JPEG"
    assert found["ExifIFD:UserComment"] == "hello"
    sizes = [60, 40] if orientation == 1 else [40, 60]
    assert [found["ExifIFD:ExifImageWidth"], found["ExifIFD:ExifImageHeight"]] == sizes
    assert [found["File:ImageWidth"], found["File:ImageHeight"]] == sizes
    assert not [name for name in found if name.startswith("IFD1:")]
    assert "ExifTool:Warning" not in found


@needs("exif")
def test_libexif_finds_nothing_corrupt(result):
    path, _ = result(jpeg_with(Segment(0xE1, exif.HEADING + block(thumbnail=THUMBNAIL))))
    done = subprocess.run(
        ["exif", "--debug", "--machine-readable", str(path)], capture_output=True, check=True
    )
    assert b"orrupt" not in done.stderr + done.stdout
    rows = dict(row.split(b"\t", 1) for row in done.stdout.splitlines() if b"\t" in row)
    assert rows[b"Artist"].decode() == ARTIST
    assert rows[b"Components Configuration"] == b"Y Cb Cr -"
    assert rows[b"Scene Type"] == b"Directly photographed"
    assert rows[b"User Comment"] == b"hello"


@needs("exiv2")
def test_exiv2_reads_all_kinds(result):
    iptc = b"\x1c\x02\x50" + struct.pack(">H", len(ARTIST.encode())) + ARTIST.encode()
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    old_thumbnail = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 4) + b"old!"
    xmp = metadata.XMP + (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        b'photoshop:City="\xc5\x81\xc3\xb3d\xc5\xba"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    extension = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 4, 0)
    given = [
        Segment(0xE1, exif.HEADING + block()),
        Segment(0xE1, xmp),
        Segment(0xE1, extension + b"more"),
        Segment(0xED, metadata.PHOTOSHOP + old_thumbnail + resource),
        Segment(0xFE, b"a comment"),
        Segment(0xE4, b"a maker's own"),
    ]
    path, left_out = result(jpeg_with(*given))
    assert left_out == []
    command = ["exiv2", "-PEIXkt", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    rows = dict(row.split(maxsplit=1) for row in done.stdout.splitlines())
    assert rows["Iptc.Application2.Byline"] == ARTIST
    assert rows["Xmp.photoshop.City"] == "Łódź"
    assert rows["Exif.Image.Artist"] == ARTIST
    # extended XMP, comments and makers' own segments are the same bytes
    data = path.read_bytes()
    for one in (given[1], given[2], given[4], given[5]):
        assert one.bytes() in data
    assert b"old!" not in data


# of other formats


def test_a_png_webp_and_avif_have_theirs_the_same(result):
    for kind, suffix in (("PNG", "png"), ("WEBP", "webp"), ("AVIF", "avif")):
        given = block(orientation=1)
        if kind == "AVIF":  # Pillow, which writes it here, takes the orientation out
            given = given.replace(b"\x01\x12\0\x03", b"\x01\x13\0\x03")
        path, left_out = result(saved(kind, exif=exif.HEADING + given, xmp=b"<x/>"), suffix)
        data = path.read_bytes()
        assert left_out == []
        assert Segment(0xE1, exif.HEADING + given).bytes() in data
        assert Segment(0xE1, metadata.XMP + b"<x/>").bytes() in data or kind == "PNG"
        path.unlink()


@needs("exiftool")
def test_a_tiffs_values_keep_their_types_but_not_the_makers_note(result):
    """Its tags become a block, in which a note's offsets would lead elsewhere."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[315], tags[270] = ARTIST.encode(), TITLE.encode()
    tags.tagtype[315] = tags.tagtype[270] = 2
    iptc = b"\x1c\x02\x50" + struct.pack(">H", len(ARTIST.encode())) + ARTIST.encode()
    tags[33723] = iptc
    tags.tagtype[33723] = 7
    plain = saved("TIFF", tiffinfo=tags, exif=None, dpi=(300, 150))
    path, left_out = result(plain, "tif")
    found = exiftool(path)
    assert left_out == []
    assert found["IFD0:Artist"] == ARTIST
    assert found["IFD0:ImageDescription"] == TITLE
    assert found["IPTC:By-line"] == ARTIST
    assert (found["JFIF:XResolution"], found["JFIF:YResolution"]) == (300, 150)


def test_a_makers_note_in_a_tiff_is_left_out(tmp_path):
    given = block(orientation=1)
    made, noted = exif.of_tiff(exif.reading(given))
    assert noted
    assert b"IMG:SYNTHETIC" not in made
    assert exif.of_tiff(exif.reading(block(note=False)))[1] is False
    order, first = exif.first_directory(exif.reading(made))
    details = exif.sub_directory(exif.reading(made), order, first, exif.EXIF_IFD)
    assert first.get(0x013B).value == ARTIST.encode() + b"\0"
    assert details.get(0x9286).kind == 7
    assert details.get(0x9286).value == b"ASCII\0\0\0hello"


@needs("exiftool")
def test_iptc_that_imagemagick_wrote_into_a_png(result):
    iptc = b"\x1c\x02\x50" + struct.pack(">H", len(ARTIST.encode())) + ARTIST.encode()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type iptc", f"\niptc\n{len(iptc):8}\n{iptc.hex()}\n")
    path, left_out = result(saved("PNG", pnginfo=texts), "png")
    assert left_out == []
    assert exiftool(path)["IPTC:By-line"] == ARTIST


def test_xmp_that_no_segment_holds_is_left_out(result):
    _, left_out = result(saved("WEBP", xmp=b"x" * 70_000), "webp")
    assert left_out == ["XMP of 70000 bytes, more than a JPEG can hold"]


def test_frames_behind_the_first_are_named(result):
    more = [Image.fromarray(255 - PIXELS)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        suffix = {"TIFF": "tif"}.get(kind, kind.lower())
        path, left_out = result(saved(kind, save_all=True, append_images=more), suffix)
        assert left_out == ["all frames but the first"]
        path.unlink()
