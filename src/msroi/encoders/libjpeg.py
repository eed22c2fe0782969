"""The package jpeglib, which holds many versions of libjpeg, for one thread at a time."""

import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# jpeglib works on files; where there is such a folder, they stay in memory
MEMORY = Path("/dev/shm")  # noqa: S108

# `jpeglib.version` switches one global library: of threads that switch at once, some write
# with another's version, and the version that is left behind is anyone's
_SWITCHED = threading.Lock()

# markers of a JPEG file (ITU-T T.81, Table B.1)
FRAME, SCAN, END = 0xC2, 0xDA, 0xD9
MARKER = re.compile(rb"\xff[^\x00]")  # in a scan's data, a byte 255 is followed by 0


@contextmanager
def using(version: str) -> Iterator[tuple[Any, str]]:
    """Yield jpeglib, switched to a version of libjpeg, and the path of a file to write.

    The file is gone when the block ends. No other thread has jpeglib meanwhile.

    Parameters
    ----------
    version
        As jpeglib names it, `mozjpeg403` for instance.
    """
    import jpeglib

    folder = MEMORY if MEMORY.is_dir() else None
    scratch = tempfile.TemporaryDirectory(dir=folder)
    with scratch as name, _SWITCHED, jpeglib.version(version):
        yield jpeglib, f"{name}/image.jpg"


def numbered_from_1(data: bytes) -> bytes:
    """Number the components of a progressive JPEG 1, 2, 3, as JFIF wants it.

    jpeglib numbers them 0, 1, 2 where it gets quantisation tables.
    """
    file = bytearray(data)
    at = 2
    while (kind := file[at + 1]) != END:
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if kind == FRAME:  # 6 bytes; then 3 a component, its number first
            numbers = range(at + 10, end, 3)
        elif kind == SCAN:  # 1 byte; then 2 a component, its number first; then 3 bytes
            numbers = range(at + 5, end - 3, 2)
        else:
            numbers = range(0)
        for place in numbers:
            file[place] += 1
        at = end
        if kind == SCAN:
            at += next(MARKER.finditer(file[at:])).start()
    return bytes(file)
