"""What a photo's file says besides its pixels: colour, EXIF, XMP, IPTC, resolution, and more.

`of` reads it from an opened photo, `inserted` puts it into an encoded JPEG. It keeps what describes
the photo byte for byte, but not what describes how the file codes its pixels. The table is in
docs/own-data.md.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from msroi.formats import exif, jpeg_parts
from msroi.formats.jpeg_parts import (
    APP0,
    APP1,
    APP2,
    APP11,
    APP12,
    APP13,
    APP14,
    COMMENT,
    SEGMENT_BYTES,
    SOI,
    Segment,
)
from msroi.images import Source, profile_of, raw_profile

JFIF = b"JFIF\x00"
# version 1.1, then unit, density and size of a thumbnail
JFIF_REST = bytes([1, 1, 0, 0, 1, 0, 1, 0, 0])
DENSITY = slice(11, 16)  # of the segment with its marker: unit, x and y
LARGEST_DENSITY = 65535
NO_UNIT, PER_INCH, PER_CM = 0, 1, 2

ICC = b"ICC_PROFILE\x00"
ICC_CHUNK_BYTES = SEGMENT_BYTES - len(ICC) - 2  # 2: the chunk's number, and of how many
ICC_MOST_BYTES = 255 * ICC_CHUNK_BYTES
ICC_HEADER_BYTES = 128
ICC_SPACE = slice(16, 20)  # where a profile names the colour space of its pixels
RGB_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA")

XMP = b"http://ns.adobe.com/xap/1.0/\x00"
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))[2-8]""")
PHOTOSHOP = b"Photoshop 3.0\x00"
RESOURCE = b"8BIM"
IPTC_RESOURCE = 0x0404
THUMBNAIL_RESOURCES = (0x0409, 0x040C)
# what says how the source's pixels were coded: that of the result is another
CODING = ((APP0, b"JFIF"), (APP0, b"JFXX"), (APP12, b"Ducky"), (APP14, b"Adobe"))

IPTC_TAG, PHOTOSHOP_TAG = 33723, 34377  # of TIFF

TOO_MUCH = "more than a JPEG can hold"
DAMAGED_EXIF = "EXIF, which is damaged"
CONVERTED_PROFILE = "the colour profile, by which the pixels were converted to sRGB"
UNFIT_PROFILE = "the colour profile, which is none of these pixels"
SIGNATURE = "JPEG's application segment 11, such as C2PA's signature, true of the original alone"
UNKNOWN_TRAILER = "{:,} bytes behind the picture, which are no known picture or video"
LOST_PICTURES = "the pictures behind the first, whose list is damaged"


@dataclass(frozen=True)
class Density:
    """A resolution, or only the shape of a pixel: unit (0 none, 1 inch, 2 cm), x and y."""

    unit: int = NO_UNIT
    x: int = 1
    y: int = 1

    def bytes(self) -> bytes:
        """Return the five bytes of a JFIF header."""
        return struct.pack(">BHH", self.unit, self.x, self.y)


@dataclass(frozen=True)
class Trailer:
    """What lies behind a picture's end: the bytes, and the list of pictures that leads there."""

    data: bytes = b""
    pictures: Segment | None = None
    end: int = 0  # where the source's first picture ended


@dataclass(frozen=True)
class Metadata:
    """What msroi keeps of a file, where an empty field means that the file had none.

    Attributes
    ----------
    icc_profile
        An ICC profile of RGB.
    exif
        EXIF with its six bytes of heading.
    density
        The resolution.
    segments
        All else that describes the photo: XMP, Photoshop's with IPTC, comments, makers' own.
    trailer
        Gain map, video and the like behind the picture.
    """

    icc_profile: bytes = b""
    exif: bytes = b""
    density: Density = Density()
    segments: tuple[Segment, ...] = ()
    trailer: Trailer = Trailer()


def of(source: Source, *, turned: bool = True) -> tuple[Metadata, list[str]]:
    """Read the metadata of a photo for a JPEG of it.

    Parameters
    ----------
    source
        The photo.
    turned
        Whether its pixels were turned as its orientation asks.

    Returns
    -------
    tuple
        What is kept; and what was left out and why, as a user would name it.
    """
    orientation = source.orientation if turned else 1
    profile, left_out = _icc_profile(source)
    block, lost = _exif(source, orientation)
    segments, missing = _segments(source, orientation)
    trailer, behind = _trailer(source)
    left_out += [*lost, *source.left_out, *missing, *behind]
    metadata = Metadata(profile, block, _density(source, orientation), segments, trailer)
    fitting_, too_much = fitting(metadata)
    return fitting_, left_out + too_much


def _icc_profile(source: Source) -> tuple[bytes, list[str]]:
    """Return the colour profile if it is one of RGB and the photo's own pixels are RGB."""
    profile = source.image.info.get("icc_profile") or b""
    if not profile:
        return b"", []
    if source.image.mode not in RGB_MODES:
        used = profile_of(source.image) is not None
        return b"", [CONVERTED_PROFILE if used else UNFIT_PROFILE]
    fits = profile[ICC_SPACE] == b"RGB " and len(profile) > ICC_HEADER_BYTES
    return (profile, []) if fits else (b"", [UNFIT_PROFILE])


def _exif(source: Source, orientation: int) -> tuple[bytes, list[str]]:
    """Return EXIF for the photo as it is, with its heading, and what it leaves out."""
    if not source.exif:
        return b"", []
    converted = source.image.mode not in RGB_MODES
    changes = exif.Changes(*source.image.size, orientation, converted)
    try:
        return exif.HEADING + exif.patched(source.exif, changes), []
    except ValueError:
        return b"", [DAMAGED_EXIF]


def _segments(source: Source, orientation: int) -> tuple[tuple[Segment, ...], list[str]]:
    """Return the other segments that describe the photo, and what it leaves out."""
    if source.parts is None:
        return _segments_of_others(source)
    kept, left_out = [], []
    for segment in source.parts.segments:
        if segment.marker == APP11 and SIGNATURE not in left_out:
            left_out.append(SIGNATURE)
        elif _describes(segment):
            kept.append(_untrue_left_out(segment, orientation))
    return tuple(kept), left_out


def _describes(segment: Segment) -> bool:
    """Tell whether a segment is of the photo, and none that is treated by itself."""
    apart = ((APP1, exif.HEADING), (APP2, ICC), (APP2, jpeg_parts.MPF), (APP11, b""), *CODING)
    if segment.marker != COMMENT and not APP0 <= segment.marker <= APP0 + 15:
        return False
    return not any(
        segment.marker == marker and segment.content.startswith(start) for marker, start in apart
    )


def _untrue_left_out(segment: Segment, orientation: int) -> Segment:
    content = segment.content
    if segment.marker == APP13 and content.startswith(PHOTOSHOP):
        content = PHOTOSHOP + without_thumbnails(content[len(PHOTOSHOP) :])
    if segment.marker == APP1 and content.startswith(XMP) and orientation != 1:
        content = XMP_ORIENTATION.sub(rb"\g<1>1", content)
    return replace(segment, content=content)


def without_thumbnails(resources: bytes) -> bytes:
    """Leave thumbnails out of Photoshop's resources, which stay as they are if they are odd."""
    kept, at = [], 0
    while resources[at : at + 4] == RESOURCE:
        name_bytes = resources[at + 6] + 1 if at + 6 < len(resources) else 0
        size_at = at + 6 + name_bytes + name_bytes % 2
        if size_at + 4 > len(resources):
            return resources
        kind = int.from_bytes(resources[at + 4 : at + 6], "big")
        size = int.from_bytes(resources[size_at : size_at + 4], "big")
        end = size_at + 4 + size + size % 2
        if end - size % 2 > len(resources):
            return resources
        if kind not in THUMBNAIL_RESOURCES:
            kept.append(resources[at:end])
        at = end
    return b"".join(kept) + resources[at:]


def _segments_of_others(source: Source) -> tuple[tuple[Segment, ...], list[str]]:
    """Return the XMP and IPTC of a PNG, TIFF, WebP or AVIF as segments."""
    info = source.image.info
    xmp = info.get("xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    found = [("XMP", APP1, XMP, xmp), ("IPTC", APP13, PHOTOSHOP, _resources(source))]
    kept, left_out = [], []
    for name, marker, start, content in found:
        if content and len(start + content) <= SEGMENT_BYTES:
            kept.append(Segment(marker, start + content))
        elif content:
            left_out.append(f"{name} of {len(content)} bytes, {TOO_MUCH}")
    return tuple(kept), left_out


def _resources(source: Source) -> bytes:
    """Return Photoshop's resources, or IPTC as one."""
    tags = getattr(source.image, "tag_v2", {})
    resources, iptc = tags.get(PHOTOSHOP_TAG, b""), tags.get(IPTC_TAG, b"")
    if isinstance(resources, bytes) and resources.startswith(RESOURCE):
        return without_thumbnails(resources)
    if isinstance(iptc, tuple):  # some write bytes as whole numbers of four
        iptc = struct.pack(f"<{len(iptc)}I", *iptc)
    for name in ("iptc", "8bim"):
        text = source.image.info.get(f"Raw profile type {name}")
        iptc = iptc or (raw_profile(text) if text else b"")
    iptc = bytes(iptc).removeprefix(PHOTOSHOP)
    if not iptc or iptc.startswith(RESOURCE):
        return iptc
    head = RESOURCE + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + b"\x00" * (len(iptc) % 2)


def _trailer(source: Source) -> tuple[Trailer, list[str]]:
    """Return what lies behind the picture if it is a picture or a video."""
    if source.parts is None or not source.trailer.strip(b"\x00\xff \r\n"):
        return Trailer(), []
    pictures = next(filter(jpeg_parts.is_mpf, source.parts.segments), None)
    if not source.has_further_pictures and not jpeg_parts.video(source.trailer):
        return Trailer(), [UNKNOWN_TRAILER.format(len(source.trailer))]
    trailer = Trailer(source.trailer, pictures, source.parts.end)
    try:
        _pictures(trailer, pictures.at if pictures else 0, trailer.end)
    except ValueError:
        return Trailer(), [LOST_PICTURES]
    return trailer, []


def _density(source: Source, orientation: int) -> Density:
    """Return the resolution that a file states, and never make one up."""
    if source.parts is not None:
        found = _jfif_density(source.parts.segments)
    else:
        found = _stated_density(source)
    return replace(found, x=found.y, y=found.x) if orientation > 4 else found


def _jfif_density(segments: tuple[Segment, ...]) -> Density:
    for segment in segments:
        if segment.marker == APP0 and segment.content.startswith(JFIF):
            fields = segment.content[len(JFIF) + 2 :][:5]
            if len(fields) == 5:
                unit, x, y = struct.unpack(">BHH", fields)
                return Density(unit, x, y) if unit <= PER_CM and x and y else Density()
    return Density()


def _stated_density(source: Source) -> Density:
    try:
        x, y = (float(value) for value in source.image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return Density()
    # a TIFF's resolution is that of the pixels as they are stored, as here
    sound = all(0.5 < value <= LARGEST_DENSITY for value in (x, y))
    return Density(PER_INCH, round(x), round(y)) if sound else Density()


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
    """Put metadata that `fitting` has passed into a JPEG that has none, and keep its pixels.

    The resolution goes into the JFIF header, a new one if there is none. EXIF, the other segments,
    the colour profile and the list of pictures follow it. What lies behind the picture comes behind
    its end.
    """
    header, rest = _jfif_and_rest(data)
    if metadata.density != Density():
        header = header or Segment(APP0, JFIF + JFIF_REST).bytes()
        header = header[: DENSITY.start] + metadata.density.bytes() + header[DENSITY.stop :]
    block = Segment(APP1, metadata.exif).bytes() if metadata.exif else b""
    others = b"".join(segment.bytes() for segment in metadata.segments)
    front = b"".join([SOI, header, block, others, *_icc_segments(metadata.icc_profile)])
    trailer = metadata.trailer
    if trailer.pictures is not None:
        listed_bytes = len(trailer.pictures.bytes())
        end = len(front) + listed_bytes + len(rest)
        content = _pictures(trailer, len(front) + 4, end)  # 4: marker and length
        front += Segment(APP2, content).bytes()
    return front + rest + trailer.data


def _pictures(trailer: Trailer, at: int, end: int) -> bytes:
    """Return the list of pictures for a file where it lies elsewhere, or raise ValueError."""
    if trailer.pictures is None:
        return b""
    return jpeg_parts.mpf_moved(trailer.pictures, trailer.end, at, end)


def _jfif_and_rest(data: bytes) -> tuple[bytes, bytes]:
    """Cut a JPEG behind SOI and behind its JFIF header, which may be empty."""
    if data[3] != APP0 or data[6:11] != JFIF:
        return b"", data[2:]
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[2:end], data[end:]


def _icc_segments(profile: bytes) -> Iterator[bytes]:
    chunks = [
        profile[start : start + ICC_CHUNK_BYTES]
        for start in range(0, len(profile), ICC_CHUNK_BYTES)
    ]
    for number, chunk in enumerate(chunks, start=1):
        yield Segment(APP2, ICC + bytes([number, len(chunks)]) + chunk).bytes()
