"""Files given as photographs: to `compress`, `heatmap` and `metrics`, and to stage `prepare`."""

import io
import os
import socket
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from hostile import EITHER, LEFT_OUT, PROCESSED
from hostile.bytes_of import (
    HEIGHT,
    ORANGE,
    WIDTH,
    cut,
    exif,
    flipped,
    frames,
    jpeg_of_scans,
    jpeg_sized,
    noise,
    png,
    png_with,
    rotated,
    saved,
    solid,
    ycck,
)
from hostile.photo import (
    ABSENT,
    BEYOND,
    BLACK,
    BOMB,
    CONTROL,
    DAMAGED,
    FRAMES,
    LONG_NAME,
    LONG_STORED,
    LOOP,
    NO_PLAIN,
    NO_SUFFIX,
    RED,
    SAVE,
    SMALL,
    TOO_LARGE,
    UNKNOWN,
    WHITE,
    WIDE,
    Photo,
    Put,
    holds,
    sound,
    text,
)


def no_files() -> list[Photo]:
    """What is no image at all."""
    postscript = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    return [
        Photo("0 bytes", "empty.jpg", text(""), UNKNOWN),
        Photo("text named .jpg", "text.jpg", text("hello\n" * 99), UNKNOWN),
        Photo("a web page named .png", "page.png", text("<!DOCTYPE html><html>"), UNKNOWN),
        Photo("100 zeros", "zeros.bmp", holds(lambda: bytes(100)), UNKNOWN),
        Photo("SVG with a script, named .png", "svg.png", text(svg), UNKNOWN),
        Photo("PDF named .jpg", "pdf.jpg", text("%PDF-1.7\n%%EOF\n"), UNKNOWN),
        Photo("PostScript named .jpg: no Ghostscript starts", "ps.jpg", text(postscript), UNKNOWN),
        Photo(
            "JPEG 2000, a format that is not decoded",
            "wavelets.png",
            holds(partial(saved, solid(), "JPEG2000")),
            UNKNOWN,
        ),
        Photo("the first 3 bytes of a JPEG", "start.jpg", holds(lambda: b"\xff\xd8\xff"), UNKNOWN),
        Photo("an image without a suffix", "nosuffix", sound, prepare=NO_SUFFIX),
    ]


def cut_short() -> list[Photo]:
    """Files whose end is missing."""
    kinds = ("PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM")
    return [
        *(
            Photo(
                f"JPEG cut after {share:.0%}",
                f"cut{share * 100:.0f}.jpg",
                holds(cut(partial(saved, noise(), "JPEG"), share)),
                DAMAGED,
            )
            for share in (0.3, 0.6, 0.9)
        ),
        *(
            Photo(
                f"{kind} cut in the middle",
                f"half-{kind}.{kind.lower()[:4].replace('tiff', 'tif')}",
                holds(cut(partial(saved, noise(), kind), 0.5)),
                UNKNOWN if kind == "AVIF" else DAMAGED,
            )
            for kind in kinds
        ),
        Photo(
            "JPEG without its end marker",
            "endless.jpg",
            holds(lambda: saved(solid(), "JPEG")[:-2]),
            DAMAGED,
        ),
        Photo(
            "JPEG of one line of blocks whose header says three; the rest is grey",
            "lines.jpg",
            holds(partial(jpeg_sized, WIDTH, 3 * HEIGHT)),
            size=(WIDTH, 3 * HEIGHT),
        ),
    ]


def bombs() -> list[Photo]:
    """Small files that ask for much memory or time."""
    side = 7000
    text_bomb = b"Comment\0\0" + zlib.compress(bytes(90_000_000), 9)
    profile_bomb = b"icc\0\0" + zlib.compress(bytes(90_000_000), 9)
    gif = bytearray(saved(solid(), "GIF"))
    gif[6:10] = struct.pack("<HH", 65500, 65500)
    bmp = bytearray(saved(solid(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 65500, 65500)
    made = [
        (
            "JPEG header of 65500x65500",
            "huge-jpg.jpg",
            partial(jpeg_sized, 65500, 65500),
            TOO_LARGE,
        ),
        ("PNG header of 65500x65500", "huge-png.png", partial(png, 65500, 65500), TOO_LARGE),
        ("GIF header of 65500x65500", "huge-gif.gif", lambda: bytes(gif), TOO_LARGE),
        ("BMP header of 65500x65500", "huge-bmp.bmp", lambda: bytes(bmp), TOO_LARGE),
        (
            "PPM header of 65500x65500",
            "huge-ppm.ppm",
            lambda: b"P6 65500 65500 255\n" + bytes(99),
            TOO_LARGE,
        ),
        ("JPEG of 1 kB, 13000x13000", "large.jpg", partial(jpeg_sized, 13000, 13000), TOO_LARGE),
        ("JPEG of 1 kB, 7000x7000", "sparse.jpg", partial(jpeg_sized, side, side), BOMB),
        (
            "PNG of 49 million black pixels, 1 bit each, in 6 kB",
            "black.png",
            lambda: png(side, side, bytes((side // 8 + 1) * side), bits=1, colour=0),
            BOMB,
        ),
        (
            "JPEG of 3000 scans of 49 million pixels each",
            "scans.jpg",
            partial(jpeg_of_scans, 3000),
            f"FILE is a JPEG of … scans, and 100 are read at most; {SAVE}.",
        ),
        ("PNG, text of 90 MB in 90 kB", "ztxt.png", partial(png_with, b"zTXt", text_bomb), DAMAGED),
        (
            "PNG, colour profile of 90 MB in 90 kB",
            "iccp.png",
            partial(png_with, b"iCCP", profile_bomb),
            DAMAGED,
        ),
    ]
    return [Photo(case, f, holds(make), out, dangerous=True) for case, f, make, out in made]


def colours() -> list[Photo]:
    """Sound files of rarer kinds."""
    deep = np.full((HEIGHT, WIDTH), 65535, np.uint16)
    unlimited = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    wide = struct.pack(">HHH", *(257 * level for level in ORANGE)) * WIDTH
    palette = solid().quantize(4)
    clear = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    cmyk = Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0))
    rows = [
        ("CMYK JPEG", "cmyk.jpg", partial(saved, cmyk, "JPEG", quality=95), RED),
        ("YCCK JPEG", "ycck.jpg", ycck, None),
        ("CMYK TIFF", "cmyk.tif", partial(saved, cmyk, "TIFF"), RED),
        ("grey PNG of 16 bits", "grey16.png", partial(saved, Image.fromarray(deep), "PNG"), WHITE),
        (
            "RGB PNG of 16 bits",
            "rgb16.png",
            lambda: png(WIDTH, HEIGHT, (b"\0" + wide) * HEIGHT, bits=16),
            ORANGE,
        ),
        ("1 bit PNG", "bit.png", partial(saved, Image.new("1", (WIDTH, HEIGHT), 1), "PNG"), WHITE),
        (
            "palette with transparency",
            "p.png",
            partial(saved, palette, "PNG", transparency=0),
            WHITE,
        ),
        ("transparent PNG", "clear.png", partial(saved, clear, "PNG"), WHITE),
        ("animated GIF", "anim.gif", partial(frames, "GIF"), ORANGE),
        ("animated PNG", "anim.png", partial(frames, "PNG"), ORANGE),
        ("animated WebP", "anim.webp", partial(frames, "WEBP", lossless=True), ORANGE),
        ("TIFF of several pages", "pages.tif", partial(frames, "TIFF"), ORANGE),
        ("MPO of several pictures", "pictures.jpg", partial(frames, "MPO"), ORANGE),
        ("PNG named .jpg", "png.jpg", partial(saved, solid(), "PNG"), ORANGE),
    ]
    infinite = partial(saved, Image.fromarray(unlimited), "TIFF")
    return [
        Photo("float TIFF of infinities", "inf.tif", holds(infinite), BEYOND),
        *(
            Photo(case, f, holds(make), colour=show or (), left_out=FRAMES if many(f) else "")
            for case, f, make, show in rows
        ),
    ]


def many(file: str) -> bool:
    """Tell the files of several frames that no JPEG holds."""
    return file.startswith(("anim", "pages"))


def sizes() -> list[Photo]:
    """Sound files of odd sizes, and impossible ones."""

    def plain(width: int, height: int) -> Put:
        return holds(partial(saved, solid(width, height), "PNG"))

    return [
        Photo("1x1", "1x1.png", plain(1, 1), size=(1, 1), metrics=SMALL),
        Photo("7x7", "7x7.png", plain(7, 7), size=(7, 7), metrics=SMALL),
        Photo("1x4000", "1x4000.png", plain(1, 4000), size=(1, 4000), metrics=SMALL),
        Photo("4000x1", "4000x1.png", plain(4000, 1), size=(4000, 1), metrics=SMALL),
        Photo(
            "65501x1, wider than any JPEG",
            "wide.png",
            plain(65501, 1),
            size=(65501, 1),
            compress=WIDE,
            metrics=SMALL,
        ),
        Photo("PNG header of 0x10", "0x10.png", holds(partial(png, 0, 10)), UNKNOWN),
        Photo("JPEG header of 32x0", "32x0.jpg", holds(partial(jpeg_sized, 32, 0)), UNKNOWN),
    ]


def metadata() -> list[Photo]:
    """Odd EXIF and colour profiles: no obstacle."""
    loop = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    claims = b"\0" * 16 + b"RGB " + bytes(200)

    def jpeg(**options: object) -> Put:
        return holds(partial(saved, solid(), "JPEG", **options))

    turned = [
        Photo(f"EXIF rotation {turn}", f"turn{turn}.jpg", holds(partial(rotated, turn)), size=size)
        for turn, size in ((3, (WIDTH, HEIGHT)), (6, (HEIGHT, WIDTH)), (9, (WIDTH, HEIGHT)))
    ]
    return [
        *turned,
        Photo(
            "EXIF of rubbish",
            "exif.jpg",
            jpeg(exif=exif(b"rubbish" * 9)),
            left_out="EXIF, which is damaged",
        ),
        Photo("EXIF that leads back to itself", "loop.jpg", jpeg(exif=exif(loop))),
        Photo(
            "broken ICC profile",
            "icc.jpg",
            jpeg(icc_profile=b"broken" * 40),
            left_out="the colour profile, which is none of these pixels",
        ),
        Photo("ICC profile of zeros that claims RGB", "icc0.jpg", jpeg(icc_profile=claims)),
        Photo("ICC profile of 3 MB", "icc3.jpg", jpeg(icc_profile=claims * 14_000)),
    ]


def names() -> list[Photo]:
    """Sound files whose names are odd."""
    longest = "x" * 251 + ".png"
    rows = [
        ("a name with spaces", "a b  c.png", "", ""),
        ("a name for a shell", "q'\"`touch evil`$(touch evil);&|.png", "", ""),
        ("a name of HTML", "<script>alert(1)<script>.png", "", ""),
        ("a name of formats", "%s{0}{x}$x_{$.png", "", ""),
        ("a name like an option", "--out.png", "", ""),
        ("a name with a line break", "new\nmsroi: line.png", CONTROL, ""),
        ("a name that would colour the terminal", "\x1b[31m.png", CONTROL, ""),
        ("a name that is not UTF-8", os.fsdecode(b"\xff\xfe.png"), CONTROL, ""),
        ("a name of 255 bytes", longest, LONG_STORED, LONG_NAME),
    ]
    return [
        Photo(case, file, sound, prepare=prepare, heatmap=heatmap)
        for case, file, prepare, heatmap in rows
    ]


def no_plain_files() -> list[Photo]:
    """Links, folders, pipes, devices."""

    def link(target: str) -> Put:
        return lambda path: path.symlink_to(target)

    def outside(path: Path) -> None:
        sound(path.parent / "../../elsewhere.png")
        path.symlink_to("../../elsewhere.png")

    def listening(path: Path) -> None:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
        os.chdir(here)

    return [
        Photo("a link to a photograph elsewhere", "out.png", outside),
        Photo("a link to a text outside", "passwd.png", link("/etc/passwd"), UNKNOWN),
        Photo("a link to nothing", "nothing.png", link("gone"), ABSENT, prepare=LEFT_OUT),
        Photo(
            "a link to itself",
            "itself.png",
            link("itself.png"),
            LOOP,
            prepare=LEFT_OUT,
        ),
        Photo("a link to /dev/zero", "zero.png", link("/dev/zero"), NO_PLAIN, prepare=LEFT_OUT),
        Photo("a named pipe", "pipe.jpg", os.mkfifo, NO_PLAIN, prepare=LEFT_OUT, dangerous=True),
        Photo("a socket", "socket.jpg", listening, NO_PLAIN, prepare=LEFT_OUT),
        Photo(
            "a folder named .jpg",
            "folder.jpg",
            Path.mkdir,
            "FILE is a folder without images; name a folder that has some directly in it.",
            metrics="FILE is a folder, not an image file; name an image in it.",
            prepare=LEFT_OUT,
        ),
    ]


def damaged() -> list[Photo]:
    """Files whose inside is wrong."""

    def polyglot() -> bytes:
        buffer = io.BytesIO(saved(solid(), "JPEG"))
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("../evil", "evil")
        return buffer.getvalue()

    def bad_sum(after: bytes) -> bytes:
        data = bytearray(saved(solid(), "PNG"))
        data[data.index(after) - 8] ^= 1  # what the next chunk is preceded by
        return bytes(data)

    tiff = saved(solid(), "TIFF")
    first = struct.unpack("<I", tiff[4:8])[0]
    entries = struct.unpack("<H", tiff[first : first + 2])[0]
    end = first + 2 + 12 * entries
    looped = tiff[:end] + struct.pack("<I", first) + tiff[end + 4 :]
    bmp = bytearray(saved(solid(), "BMP"))
    bmp[18:26] = struct.pack("<ii", -32, 24)
    digits = b"P6 " + b"9" * 100_000 + b" 1 255\n"
    rows = [
        ("JPEG that is a ZIP archive, too", "zip.jpg", polyglot, PROCESSED),
        ("PNG, the header's checksum wrong", "header.png", partial(bad_sum, b"IDAT"), UNKNOWN),
        ("PNG, the pixels' checksum wrong", "pixels.png", partial(bad_sum, b"IEND"), PROCESSED),
        ("PNG without pixels", "nodata.png", partial(png, WIDTH, HEIGHT), DAMAGED),
        (
            "PNG whose chunk says it has 2 GB",
            "chunk.png",
            lambda: png_with(b"tEXt", b"x").replace(b"\0\0\0\x01tEXt", b"\x7f\xff\xff\xfftEXt"),
            DAMAGED,
        ),
        (
            "PNG of palette colours without a palette",
            "nopalette.png",
            lambda: png(WIDTH, HEIGHT, bytes((WIDTH + 1) * HEIGHT), colour=3),
            PROCESSED,
        ),
        (
            "PNG with text after its end",
            "tail.png",
            lambda: saved(solid(), "PNG") + b"tail" * 99,
            PROCESSED,
        ),
        ("TIFF whose pages go in circles", "circle.tif", lambda: looped, PROCESSED),
        ("BMP of negative width", "negative.bmp", lambda: bytes(bmp), TOO_LARGE),
        ("PPM whose width has 100000 digits", "digits.ppm", lambda: digits, DAMAGED),
        ("PNG with unknown chunks", "odd.png", lambda: png_with(b"oDDs", bytes(99)), PROCESSED),
    ]
    odd = {"nopalette.png": BLACK}
    left_out = {"zip.jpg": "… bytes behind the picture, which are no known picture or video"}
    return [
        Photo(
            case,
            f,
            holds(make),
            out,
            colour=odd.get(f, ORANGE),
            left_out=left_out.get(f, ""),
        )
        for case, f, make, out in rows
    ]


FUZZED = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM")


def fuzzed(seeds: range) -> list[Photo]:
    """Sound files of each format with four bits flipped, anywhere."""
    return [
        Photo(
            f"{kind} with 4 bits flipped",
            f"bits{seed}-{kind}.{ {'JPEG': 'jpg', 'TIFF': 'tif'}.get(kind, kind.lower()) }",
            holds(lambda kind=kind, seed=seed: flipped(saved(noise(), kind), seed)),
            EITHER,
        )
        for kind in FUZZED
        for seed in seeds
    ]


PHOTOS = (
    *(*no_files(), *cut_short(), *bombs(), *colours(), *sizes(), *metadata(), *names()),
    *(*no_plain_files(), *damaged()),
)
