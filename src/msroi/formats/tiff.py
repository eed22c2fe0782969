"""Which TIFF files are what they seem: readable samples, and a picture on page one.

Adobe, TIFF 6.0 (1992). Adobe, Digital Negative Specification 1.7.
"""

from collections.abc import Mapping
from typing import Any

from msroi.formats import exif

SUBFILE, OLD_SUBFILE, BITS, PHOTOMETRIC = 254, 255, 258, 262
SAMPLES, PLANAR, SUB_IFDS, SAMPLE_FORMAT, DNG_VERSION = 277, 284, 330, 339, 50706
REDUCED, OLD_REDUCED = 1, 2
COMPRESSION, UNPACKED = 259, 1
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
FORMATS = {UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "floating-point"}
PHOTOMETRICS = {
    WHITE_IS_ZERO: "grey (white is zero)",
    BLACK_IS_ZERO: "grey",
    RGB: "RGB",
    PALETTE: "palette",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    8: "CIELab",
}
# by photometric, the bits of unsigned samples that are read
READ_BITS = {
    WHITE_IS_ZERO: (1, 2, 4, 8, 16),
    BLACK_IS_ZERO: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    CMYK: (8, 16),
    YCBCR: (8,),
}
CANON_RAW = b"CR"  # behind the header of a CR2


def is_raw(tags: Mapping[int, Any], read: exif.Read) -> bool:
    """Tell whether the first page is a preview, as in camera raw files."""
    if DNG_VERSION in tags or read(8, 2) == CANON_RAW:
        return True
    if int(tags.get(SUBFILE, 0)) & REDUCED or tags.get(OLD_SUBFILE) == OLD_REDUCED:
        return True
    try:
        order, first = exif.first_directory(read)
        entry = first.get(SUB_IFDS)
        places = [] if entry is None else _offsets(entry, order)
        sizes = [_pixels(exif.directory(read, order, at), order) for at in places]
    except ValueError:
        return False
    return max(sizes, default=0) > _pixels(first, order)


def _offsets(entry: exif.Entry, order: str) -> list[int]:
    byteorder = {"<": "little", ">": "big"}[order]
    cut = (entry.value[at : at + 4] for at in range(0, len(entry.value), 4))
    return [int.from_bytes(four, byteorder) for four in cut]  # type: ignore[arg-type]


def _pixels(directory: exif.Directory, order: str) -> int:
    width, height = (
        exif.number(directory.get(tag), order) or 0 for tag in (exif.WIDTH, exif.HEIGHT)
    )
    return width * height


def unread(tags: Mapping[int, Any], order: str) -> str | None:
    """Name samples of a kind that msroi does not read, or return None for those that it reads.

    Of packed big-endian floats Pillow mixes up the bytes (`order` is `<` or `>`).
    """
    bits = _all(tags.get(BITS, 1))
    formats = _all(tags.get(SAMPLE_FORMAT, UNSIGNED))
    photometric = tags.get(PHOTOMETRIC, WHITE_IS_ZERO)
    grey = photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    mixed_up = order == ">" and tags.get(COMPRESSION, UNPACKED) != UNPACKED
    one = grey and tags.get(SAMPLES, 1) == 1
    if formats == {FLOAT} and bits == {32} and one and not mixed_up:
        return None
    planes = tags.get(PLANAR, 1) == 2 and tags.get(SAMPLES, 1) > 1
    sound = formats == {UNSIGNED} and len(bits) == 1
    if sound and bits <= set(READ_BITS.get(photometric, ())) and not (planes and bits != {8}):
        return None
    many = "/".join(map(str, sorted(bits)))
    kinds = "/".join(FORMATS.get(number, f"format {number}") for number in sorted(formats))
    of = PHOTOMETRICS.get(photometric, f"photometric {photometric}")
    packed = "packed big-endian " if formats == {FLOAT} and mixed_up else ""
    return f"{packed}{many}-bit {kinds} samples of {of}{' in planes' if planes else ''}"


def _all(values: Any) -> set[int]:
    return set(values) if isinstance(values, tuple) else {int(values)}
