"""The package jpeglib, which holds many versions of libjpeg, for one thread at a time."""

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
