"""What an AVIF file says of its colours (ISO/IEC 14496-12, 23008-12 and 23000-22: boxes)."""

import struct
from collections.abc import Iterator

MOST_BOXES = 10_000
FULL_BOX_BYTES = 4  # version and flags


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each box, up to one that is incomplete."""
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start)
            start = at + 16
        end = len(data) if size == 0 else at + size
        if end < start or end > len(data):
            return
        yield name, data[start:end]
        at = end


def _one(data: bytes, name: bytes) -> bytes:
    return next((content for found, content in boxes(data) if found == name), b"")


def colours(data: bytes) -> tuple[int, int] | None:
    """Return the colour primaries and the transfer function of an AVIF's picture.

    They are numbers of ITU-T H.273, from the box `colr` of kind `nclx` that belongs to the primary
    item. It returns None without one.
    """
    try:
        meta = _one(data, b"meta")[FULL_BOX_BYTES:]
        properties = _one(meta, b"iprp")
        number = _primary(_one(meta, b"pitm"))
        held = list(boxes(_one(properties, b"ipco")))
        for place in _properties(_one(properties, b"ipma"), number):
            name, content = held[place - 1] if 0 < place <= len(held) else (b"", b"")
            if name == b"colr" and content[:4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", content, 4)
                return primaries, transfer
    except (struct.error, IndexError):
        return None
    return None


def has_gain_map(data: bytes) -> bool:
    """Tell whether an AVIF has an item that a gain map tone-maps (ISO 21496-1)."""
    return b"infe" in (meta := _one(data, b"meta")) and b"tmap" in meta


def _primary(content: bytes) -> int:
    kind = ">I" if content[0] else ">H"
    return int(struct.unpack_from(kind, content, FULL_BOX_BYTES)[0])


def _properties(content: bytes, item: int) -> list[int]:
    """Return the places of an item's properties, counted from 1."""
    version, wide = content[0], content[3] & 1
    (count,) = struct.unpack_from(">I", content, FULL_BOX_BYTES)
    at = FULL_BOX_BYTES + 4
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version else ">H", content, at)
        at += 4 if version else 2
        many = content[at]
        at += 1
        kind, mask = (">H", 0x7FFF) if wide else (">B", 0x7F)
        step = struct.calcsize(kind)
        places = [struct.unpack_from(kind, content, at + step * n)[0] & mask for n in range(many)]
        at += step * many
        if number == item:
            return places
    return []


def png_colours(data: bytes) -> tuple[int, int] | None:
    """Return the same of a PNG, from its chunk `cICP`, or None without one before the pixels."""
    at = 8
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return None
        size, name = struct.unpack_from(">I4s", data, at)
        if name == b"cICP" and size == 4:
            return data[at + 8], data[at + 9]
        if name == b"IDAT":
            return None
        at += size + 12
    return None
