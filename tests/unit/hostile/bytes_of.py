"""Small files of images, archives and the like, made to measure."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

ORANGE = (200, 100, 50)
WIDTH, HEIGHT = 32, 24
SEED = 20180927


def solid(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    return Image.new("RGB", (width, height), ORANGE)


def noise(width: int = 64, height: int = 48) -> Image.Image:
    pixels = np.random.default_rng(SEED).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(
    width: int, height: int, data: bytes = b"", *more: bytes, bits: int = 8, colour: int = 2
) -> bytes:
    """Return a PNG with a header of one's own; `data` are the lines, `more` are chunks."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return b"".join([start, *more, chunk(b"IDAT", zlib.compress(data, 9)), chunk(b"IEND", b"")])


def png_with(kind: bytes, data: bytes) -> bytes:
    """Return a sound PNG with one more chunk after its header."""
    whole = saved(solid(), "PNG")
    return whole[:33] + chunk(kind, data) + whole[33:]


def jpeg_sized(width: int, height: int, progressive: bool = False) -> bytes:
    """Return a small JPEG whose header claims another size."""
    data = bytearray(saved(solid(), "JPEG", progressive=progressive))
    place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_of_scans(count: int) -> bytes:
    """Return a progressive JPEG of 7000x7000 pixels that goes over them `count` times."""
    data = jpeg_sized(7000, 7000, progressive=True)
    starts = [n for n in range(len(data)) if data[n : n + 2] == b"\xff\xda"]
    second, third = starts[1:3]
    # as large as a photo of that size may be
    padding = b"\xff\xfe\xff\xff" + bytes(65533)
    return data[:2] + 8 * padding + data[2:second] + count * data[second:third] + b"\xff\xd9"


def ycck() -> bytes:
    """Return a CMYK JPEG that says its samples are YCCK, as Photoshop writes them."""
    data = bytearray(saved(solid().convert("CMYK"), "JPEG", quality=95))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def flipped(whole: bytes, seed: int, flips: int = 4) -> bytes:
    """Flip a few bits anywhere in a file."""
    rng = np.random.default_rng((SEED, seed))
    data = bytearray(whole)
    for place in rng.integers(0, len(whole), flips):
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def exif(ifd: bytes) -> bytes:
    return b"Exif\0\0" + ifd


def rotated(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return saved(solid(), "JPEG", exif=tags)


def frames(kind: str, **options: object) -> bytes:
    """Return an animation: orange, then blue and green."""
    others = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("blue", "green")]
    return saved(solid(), kind, save_all=True, append_images=others, **options)


def cut(make: Callable[[], bytes], share: float) -> Callable[[], bytes]:
    def shortened() -> bytes:
        whole = make()
        return whole[: int(len(whole) * share)]

    return shortened
