"""The structure of a JPEG file: segments, scans, where it ends, and what lies behind its end.

ITU-T T.81, Annex B, has the structure. Several pictures in one file are CIPA DC-007 (Multi-Picture
Format, MPF).
"""

import re
import struct
from dataclasses import dataclass

SOI, EOI, SOS = b"\xff\xd8", 0xD9, 0xDA
APP0, APP1, APP2, APP11, APP12, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xEC, 0xED, 0xEE
COMMENT = 0xFE
SEGMENT_BYTES = 65533  # what a segment holds besides its marker and its length
# a marker: neither a stuffed zero, nor a fill byte, nor one that restarts the entropy decoder
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
ALONE = (0x01, 0xD8)  # markers without content, but for EOI
MOST_MARKERS = 100_000  # more are no photo, and would take long

MPF = b"MPF\x00"
MPF_ENTRIES = 0xB002  # the tag of the pictures' sizes and places
MPF_ENTRY = "IIIHH"  # attribute, size, offset, two dependent pictures
MPF_ENTRY_BYTES = 16

VIDEO = re.compile(rb"\x00\x00..ftyp", re.DOTALL)  # how an MP4 begins
SAMSUNG_END = b"SEFT"  # of Samsung's trailer


@dataclass(frozen=True)
class Segment:
    """A segment: its marker's second byte, its content, and where the content is in the file."""

    marker: int
    content: bytes
    at: int = 0

    def bytes(self) -> bytes:
        """Return the segment as a file has it."""
        length = (len(self.content) + 2).to_bytes(2, "big")
        return bytes([0xFF, self.marker]) + length + self.content


@dataclass(frozen=True)
class Parts:
    """What a JPEG file consists of.

    Attributes
    ----------
    segments
        Those before the first scan.
    scans
        How many there are.
    end
        Where the picture ends: behind its end marker, or where the file ends without one.
    """

    segments: tuple[Segment, ...]
    scans: int
    end: int


def parse(data: bytes) -> Parts:
    """Take a JPEG file apart, as libjpeg goes through it, passing over what is no marker.

    Raises
    ------
    ValueError
        If it does not begin as a JPEG, or has more markers than any photo.
    """
    if not data.startswith(SOI):
        raise ValueError("no JPEG")
    segments: list[Segment] = []
    at, scans = len(SOI), 0
    for _ in range(MOST_MARKERS):
        found = MARKER.search(data, at)
        if found is None:
            return Parts(tuple(segments), scans, len(data))
        marker, at = data[found.start() + 1], found.end()
        if marker == EOI:
            return Parts(tuple(segments), scans, at)
        if marker in ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            return Parts(tuple(segments), scans + (marker == SOS), len(data))
        scans += marker == SOS
        if not scans:
            segments.append(Segment(marker, data[at + 2 : at + length], at + 2))
        at += length
    raise ValueError(f"a JPEG of more than {MOST_MARKERS:,} segments")


def further_pictures(trailer: bytes, segments: tuple[Segment, ...]) -> bool:
    """Tell whether JPEG pictures lie behind the first, such as a gain map."""
    return trailer.startswith(SOI) or (bool(trailer) and any(map(is_mpf, segments)))


def video(trailer: bytes) -> bool:
    """Tell whether a phone's video lies behind a picture, in Samsung's wrapping or plain."""
    return VIDEO.search(trailer) is not None or trailer.endswith(SAMSUNG_END)


def is_mpf(segment: Segment) -> bool:
    """Tell whether a segment lists several pictures."""
    return segment.marker == APP2 and segment.content.startswith(MPF)


def mpf_moved(segment: Segment, end: int, new_at: int, new_end: int) -> bytes:
    """Return the content of a list of pictures for a file whose first picture is another.

    The others lie behind the first picture's end, byte for byte as they did.

    Parameters
    ----------
    segment
        As the source has it.
    end
        Where the source's first picture ends.
    new_at, new_end
        Where the content lies in the new file, and where its first picture ends.

    Raises
    ------
    ValueError
        If the list is damaged, or names what does not lie behind the first picture.
    """
    content = bytearray(segment.content)
    base = len(MPF)  # offsets count from the header behind the name
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(bytes(content[base : base + 4]))
    if order is None:
        raise ValueError("no header")
    try:
        (directory,) = struct.unpack_from(order + "I", content, base + 4)
        (count,) = struct.unpack_from(order + "H", content, base + directory)
        tags = (base + directory + 2 + 12 * number for number in range(count))
        entries = (struct.unpack_from(order + "HHII", content, at) for at in tags)
        size, start = next((n, base + at) for tag, _, n, at in entries if tag == MPF_ENTRIES)
        for at in range(start, start + size - MPF_ENTRY_BYTES + 1, MPF_ENTRY_BYTES):
            attribute, length, offset, *others = struct.unpack_from(order + MPF_ENTRY, content, at)
            if offset == 0:  # the first picture
                length = new_end
            else:
                behind = segment.at + base + offset - end
                if behind < 0:
                    raise ValueError("a picture within the first")
                offset = new_end + behind - new_at - base
            struct.pack_into(order + MPF_ENTRY, content, at, attribute, length, offset, *others)
    except (struct.error, StopIteration) as error:
        raise ValueError("no list of pictures") from error
    return bytes(content)
