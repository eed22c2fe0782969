"""EXIF blocks: kept byte for byte, but for the few values that a new file makes untrue.

A block is a small TIFF file (CIPA DC-008, Exif 3.0). It has a header, directories (IFDs) of entries
of 12 bytes, and values anywhere, at offsets from the header. Maker's notes hold such offsets, too,
in ways that only their makers know. So this module never moves anything.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEADING = b"Exif\x00\x00"
ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_BYTES |= {129: 1}  # UTF-8 of Exif 3.0
SHORT, LONG = 3, 4

WIDTH, HEIGHT, ORIENTATION = 0x0100, 0x0101, 0x0112
STRIPS, STRIP_BYTES = 0x0111, 0x0117
X_RESOLUTION, Y_RESOLUTION = 0x011A, 0x011B
THUMBNAIL, THUMBNAIL_BYTES = 0x0201, 0x0202
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
MAKER_NOTE = 0x927C
COLOUR_SPACE, EXIF_WIDTH, EXIF_HEIGHT = 0xA001, 0xA002, 0xA003
SRGB = 1
SLACK_BYTES = 16  # padding between the parts of a thumbnail

# tags of a TIFF file that say how it stored its pixels, and those by which it holds other
# metadata: XMP, IPTC, Photoshop's, the colour profile
TIFF_STORAGE = {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317}
TIFF_STORAGE |= {320, 322, 323, 324, 325, 330, 338, 339, 347, 513, 514, 530, 531}
TIFF_STORAGE |= {700, 33723, 34377, 34675, 37724}

Read = Callable[[int, int], bytes]  # so many bytes from an offset; fewer where there are none


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: what it is, and where it and its value are."""

    tag: int
    kind: int
    count: int
    at: int
    value_at: int
    value: bytes


@dataclass(frozen=True)
class Directory:
    """A directory, where it is, and where the offset of the next is."""

    at: int
    entries: tuple[Entry, ...]
    next_at: int
    next: int

    def get(self, tag: int) -> Entry | None:
        """Return the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)

    def extents(self) -> Iterator[tuple[int, int]]:
        """Yield from where to where the directory lies, and each value that it does not hold."""
        yield self.at, self.next_at + 4
        for entry in self.entries:
            if entry.value_at != entry.at + 8:
                yield entry.value_at, entry.value_at + len(entry.value)


def order_of(read: Read) -> str:
    """Return the order of bytes, `<` or `>`, or raise ValueError for what is no block."""
    order = ORDERS.get(read(0, 4))
    if order is None:
        raise ValueError("no EXIF")
    return order


def directory(read: Read, order: str, at: int) -> Directory:
    """Read a directory, or raise ValueError if it is incomplete."""
    count_bytes = read(at, 2)
    if at < 8 or len(count_bytes) < 2:
        raise ValueError("no directory")
    (count,) = struct.unpack(order + "H", count_bytes)
    table = read(at + 2, 12 * count)
    if len(table) < 12 * count:
        raise ValueError("a directory that is cut off")
    entries = []
    for number in range(count):
        tag, kind, values = struct.unpack_from(order + "HHI", table, 12 * number)
        size = TYPE_BYTES.get(kind, 0) * values
        value_at = at + 2 + 12 * number + 8
        if size > 4:
            (value_at,) = struct.unpack_from(order + "I", table, 12 * number + 8)
        value = read(value_at, size) if size <= 2**24 else b""
        entries.append(Entry(tag, kind, values, at + 2 + 12 * number, value_at, value))
    next_at = at + 2 + 12 * count
    following = read(next_at, 4)
    (after,) = struct.unpack(order + "I", following) if len(following) == 4 else (0,)
    return Directory(at, tuple(entries), next_at, after)


def first_directory(read: Read) -> tuple[str, Directory]:
    """Return the order of bytes and the first directory, or raise ValueError."""
    order = order_of(read)
    start = read(4, 4)
    if len(start) < 4:
        raise ValueError("no directory")
    return order, directory(read, order, struct.unpack(order + "I", start)[0])


def reading(block: bytes | bytearray) -> Read:
    """Return what reads a block."""
    return lambda at, size: bytes(block[at : at + size])


def number(entry: Entry | None, order: str) -> int | None:
    """Return the one whole number that an entry holds, or None if it does not."""
    formats = {1: "B", SHORT: "H", LONG: "I", 13: "I"}
    if entry is None or entry.kind not in formats or not entry.value:
        return None
    (value,) = struct.unpack_from(order + formats[entry.kind], entry.value)
    return int(value)


def sub_directory(read: Read, order: str, of: Directory | None, tag: int) -> Directory | None:
    """Return the directory that an entry leads to, or None if there is no readable one."""
    at = number(of.get(tag), order) if of else None
    try:
        return None if at is None else directory(read, order, at)
    except ValueError:
        return None


def orientation(block: bytes) -> int:
    """Return the orientation that a block asks for, 1 to 8, or 1 without a valid one."""
    try:
        order, first = first_directory(reading(block))
    except ValueError:
        return 1
    value = number(first.get(ORIENTATION), order)
    return value if value is not None and 1 <= value <= 8 else 1


@dataclass(frozen=True)
class Changes:
    """What a new file makes untrue of a block.

    Attributes
    ----------
    width, height
        Of the new file, in pixels.
    turned
        The orientation by which pixels were turned; 1 if they were not.
    converted
        Whether the pixels were converted to sRGB.
    """

    width: int
    height: int
    turned: int = 1
    converted: bool = False


def patched(block: bytes, changes: Changes) -> bytes:
    """Return a block with the values that a new file asks for, all else byte for byte.

    It changes the orientation (to 1 for turned pixels), the sizes, and the colour space. It changes
    the resolution if it differs by side and the sides changed places. It cuts a thumbnail off at
    the end of a block, or zeroes it within. It adds nothing that is not there.

    Raises
    ------
    ValueError
        If the block is damaged, so that its orientation might lie.
    """
    data = bytearray(block)
    read = reading(data)
    order, first = first_directory(read)
    details, place = (sub_directory(read, order, first, tag) for tag in (EXIF_IFD, GPS_IFD))
    if len(read(first.next_at, 4)) < 4 or any(
        first.get(tag) and part is None for tag, part in ((EXIF_IFD, details), (GPS_IFD, place))
    ):
        raise ValueError("a directory that is cut off")

    def set_number(of: Directory | None, tag: int, value: int) -> None:
        entry = of.get(tag) if of else None
        formats = {SHORT: "H", LONG: "I"}
        if entry is None or entry.kind not in formats or entry.count != 1:
            return
        if value < 256 ** TYPE_BYTES[entry.kind] and len(entry.value) == TYPE_BYTES[entry.kind]:
            struct.pack_into(order + formats[entry.kind], data, entry.value_at, value)

    if changes.turned != 1:
        set_number(first, ORIENTATION, 1)
    set_number(first, WIDTH, changes.width)
    set_number(first, HEIGHT, changes.height)
    set_number(details, EXIF_WIDTH, changes.width)
    set_number(details, EXIF_HEIGHT, changes.height)
    if changes.converted:
        set_number(details, COLOUR_SPACE, SRGB)
    x, y = first.get(X_RESOLUTION), first.get(Y_RESOLUTION)
    if changes.turned > 4 and x and y and len(x.value) == len(y.value):
        data[x.value_at : x.value_at + len(y.value)] = y.value
        data[y.value_at : y.value_at + len(x.value)] = x.value
    if first.next:
        _drop_thumbnail(data, order, first, details)
    return bytes(data)


def _drop_thumbnail(
    data: bytearray, order: str, first: Directory, details: Directory | None
) -> None:
    read = reading(bytes(data))
    kept = [first, details, sub_directory(read, order, first, GPS_IFD)]
    kept.append(sub_directory(read, order, details, INTEROP_IFD))
    extents = [extent for one in kept if one for extent in one.extents()]
    kept_end = max(end for _, end in extents)
    data[first.next_at : first.next_at + 4] = bytes(4)
    try:
        thumbnail = directory(read, order, first.next)
    except ValueError:
        return
    pieces = list(thumbnail.extents())
    pictures = []
    for place, size in ((THUMBNAIL, THUMBNAIL_BYTES), (STRIPS, STRIP_BYTES)):
        at, length = (number(thumbnail.get(tag), order) for tag in (place, size))
        if at is not None and length is not None:
            pictures.append((at, min(at + length, len(data))))
    covered = sum(end - start for start, end in pieces + pictures)
    outside = all(start >= kept_end for start, _ in pieces + pictures)
    if outside and len(data) - kept_end - covered <= SLACK_BYTES:
        del data[kept_end:]
        return
    for start, end in pictures:
        if start < end and all(end <= low or high <= start for low, high in extents):
            data[start:end] = bytes(end - start)


def of_tiff(read: Read) -> tuple[bytes, bool]:
    """Make a block of a TIFF file's directories, with the bytes of all values as they are.

    It leaves out what says how the file stores its pixels.

    Parameters
    ----------
    read
        Reads the file.

    Returns
    -------
    tuple
        The block, empty without entries; and whether a maker's note was left out, whose
        offsets would lead nowhere.

    Raises
    ------
    ValueError
        If the file's first directory can't be read.
    """
    order, first = first_directory(read)
    details = sub_directory(read, order, first, EXIF_IFD)
    parts = {
        GPS_IFD: sub_directory(read, order, first, GPS_IFD),
        EXIF_IFD: details,
        INTEROP_IFD: sub_directory(read, order, details, INTEROP_IFD),
    }
    noted = details is not None and details.get(MAKER_NOTE) is not None
    entries = [entry for entry in first.entries if entry.tag not in TIFF_STORAGE]
    if not entries:
        return b"", False
    block = bytearray(read(0, 4) + struct.pack(order + "I", 8))
    _append(block, order, entries, parts)
    return bytes(block), noted


def _append(
    block: bytearray, order: str, entries: list[Entry], parts: dict[int, Directory | None]
) -> None:
    """Append a directory with its values, and then those that it leads to."""
    kept = [
        entry
        for entry in sorted(entries, key=lambda entry: entry.tag)
        if entry.tag != MAKER_NOTE and (entry.tag not in parts or parts[entry.tag])
    ]
    start = len(block)
    values_at = start + 2 + 12 * len(kept) + 4
    table, values = bytearray(struct.pack(order + "H", len(kept))), bytearray()
    for entry in kept:
        kind, value = entry.kind, entry.value
        if entry.tag in parts:
            kind, value = LONG, bytes(4)  # where it is going to be is not known yet
        table += struct.pack(order + "HHI", entry.tag, kind, entry.count)
        if len(value) <= 4:
            table += value.ljust(4, b"\x00")
        else:
            table += struct.pack(order + "I", values_at + len(values))
            values += value + b"\x00" * (len(value) % 2)
    block += table + bytes(4) + values
    for place, entry in enumerate(kept):
        if part := parts.get(entry.tag):
            struct.pack_into(order + "I", block, start + 2 + 12 * place + 8, len(block))
            _append(block, order, list(part.entries), parts)
