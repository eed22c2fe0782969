"""What a photo's file says besides its pixels: colour profile, EXIF, resolution.

`of` reads it from an opened photo, `inserted` puts it into an encoded JPEG as the segments
that every reader knows: JFIF (APP0), Exif (APP1) and ICC_PROFILE (APP2). XMP, IPTC and
comments are left behind.
"""

from dataclasses import dataclass, replace

from PIL import ExifTags, Image

from msroi.images import quiet

SOI = b"\xff\xd8"
APP0, APP1, APP2 = b"\xff\xe0", b"\xff\xe1", b"\xff\xe2"
SEGMENT_BYTES = 65533  # what a segment holds besides its marker and its length
JFIF = b"JFIF\x00"
# version 1.1, then unit, density and size of a thumbnail
JFIF_REST = bytes([1, 1, 0, 0, 1, 0, 1, 0, 0])
DENSITY = slice(11, 16)  # the segment's bytes with unit, x and y
PER_INCH = b"\x01"
LARGEST_DPI = 65535

ICC = b"ICC_PROFILE\x00"
ICC_CHUNK_BYTES = SEGMENT_BYTES - len(ICC) - 2  # 2: the chunk's number, and of how many
ICC_MOST_BYTES = 255 * ICC_CHUNK_BYTES
ICC_HEADER_BYTES = 128
ICC_SPACE = slice(16, 20)  # where a profile names the colour space of its pixels
RGB_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA")

TOO_MUCH = "more than a JPEG can hold"

# tags that say how the source stored its pixels, which is no longer so, and those by which
# TIFF holds other metadata: XMP, IPTC, Photoshop's, the colour profile
STORAGE_TAGS = {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317}
STORAGE_TAGS |= {320, 322, 323, 324, 325, 330, 338, 339, 347, 513, 514, 530, 531}
STORAGE_TAGS |= {700, 33723, 34377, 34675, 37724}


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file; what is empty or 0 was not there.

    Attributes
    ----------
    icc_profile
        An ICC profile of RGB.
    exif
        EXIF with its six bytes of heading, as `Image.info` has it, for pixels that are upright.
    dpi
        Pixels an inch, from 1 to 65535.
    """

    icc_profile: bytes = b""
    exif: bytes = b""
    dpi: int = 0


def of(image: Image.Image) -> Metadata:
    """Read the metadata of a photo that `images.open_image` gave.

    The colour profile is kept if it is one of RGB and the photo's own pixels are RGB: what
    `images.to_rgb` converts (CMYK, grey) is no longer what the profile is for. A resolution is
    kept if it is the same both ways, as the photo may have been turned. Of EXIF that can't be
    read, nothing is kept.
    """
    return Metadata(_icc_profile(image), _exif(image), _dpi(image))


def _icc_profile(image: Image.Image) -> bytes:
    profile = image.info.get("icc_profile") or b""
    fits = image.mode in RGB_MODES and profile[ICC_SPACE] == b"RGB "
    return profile if fits and len(profile) > ICC_HEADER_BYTES else b""


def _exif(image: Image.Image) -> bytes:
    """Return EXIF with orientation 1, the sizes of the photo as it is, without a thumbnail."""
    try:
        with quiet():
            exif = image.getexif()
            for tag in STORAGE_TAGS.intersection(exif):
                del exif[tag]
            if not len(exif):
                return b""
            exif[ExifTags.Base.Orientation] = 1
            details = exif.get_ifd(ExifTags.IFD.Exif)
            sizes = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
            for tag, side in zip(sizes, image.size, strict=True):
                if tag in details:
                    details[tag] = side
            return exif.tobytes()  # Pillow leaves the thumbnail out
    except Exception:  # Pillow raises anything on damaged EXIF
        return b""


def _dpi(image: Image.Image) -> int:
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0
    # of two, nobody knows any longer which is which
    return round(x) if x == y and 0.5 < x <= LARGEST_DPI else 0


def fitting(metadata: Metadata) -> tuple[Metadata, list[str]]:
    """Leave out what a JPEG can't hold.

    Returns
    -------
    tuple
        The rest, and what was left out, as a user would name it with its size: EXIF of more
        than 65533 bytes and ICC profiles of more than 255 chunks of 65519.
    """
    left_out = []
    if len(metadata.exif) > SEGMENT_BYTES:
        left_out.append(f"EXIF of {len(metadata.exif)} bytes, {TOO_MUCH}")
        metadata = replace(metadata, exif=b"")
    if len(metadata.icc_profile) > ICC_MOST_BYTES:
        left_out.append(f"colour profile of {len(metadata.icc_profile)} bytes, {TOO_MUCH}")
        metadata = replace(metadata, icc_profile=b"")
    return metadata, left_out


def inserted(data: bytes, metadata: Metadata) -> bytes:
    """Put metadata that `fitting` has passed into a JPEG that has none; its pixels stay.

    The resolution goes into the JFIF header, which is made if there is none; EXIF and then
    the colour profile follow it.
    """
    header, rest = _jfif_and_rest(data)
    if metadata.dpi:
        header = header or _segment(APP0, JFIF + JFIF_REST)
        density = PER_INCH + 2 * metadata.dpi.to_bytes(2, "big")
        header = header[: DENSITY.start] + density + header[DENSITY.stop :]
    exif = _segment(APP1, metadata.exif) if metadata.exif else b""
    return b"".join([SOI, header, exif, *_icc_segments(metadata.icc_profile), rest])


def _jfif_and_rest(data: bytes) -> tuple[bytes, bytes]:
    """Cut a JPEG behind SOI and behind its JFIF header, which may be empty."""
    if data[2:4] != APP0 or data[6:11] != JFIF:
        return b"", data[2:]
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[2:end], data[end:]


def _icc_segments(profile: bytes) -> list[bytes]:
    chunks = [
        profile[start : start + ICC_CHUNK_BYTES]
        for start in range(0, len(profile), ICC_CHUNK_BYTES)
    ]
    return [
        _segment(APP2, ICC + bytes([number, len(chunks)]) + chunk)
        for number, chunk in enumerate(chunks, start=1)
    ]


def _segment(marker: bytes, content: bytes) -> bytes:
    return marker + (len(content) + 2).to_bytes(2, "big") + content
