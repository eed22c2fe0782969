"""Unpacking archives that nobody vouches for.

It writes only plain files and folders, only below the target, and never more than the limits say.
It ignores modes, owners and times.
"""

import errno
import gzip
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from tqdm import tqdm

from msroi.errors import SourceError
from msroi.files import printable

MAX_BYTES = 16 * 1024**3
MAX_FILES = 200_000
MAX_RATIO = 100
FREE_BYTES = 1024**2
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
BLOCK_BYTES = 1 << 18
SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")
OUTSIDE = re.compile(r"/|.*\\|[A-Za-z]:|(.*/)?\.\.(/|$)")
TWICE = "a name that occurs twice"
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,  # a kind of ZIP that zipfile does not know
)


def is_archive(name: str) -> bool:
    """Tell from a file's name whether it is an archive that `extract` unpacks."""
    return name.lower().endswith(SUFFIXES)


def without_suffix(name: str) -> str:
    """Return an archive's name without `.zip`, `.tar.gz` and the like."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def extract(archive: Path, into: Path) -> None:
    """Unpack a zip or tar archive into the new folder `into`, whole or not at all.

    It leaves macOS's `__MACOSX` folder out.

    Parameters
    ----------
    archive : `.zip`, `.tar`, `.tar.gz` (told apart by their contents)
    into : folder that is not there yet, or is empty

    Raises
    ------
    SourceError
        If the archive is damaged, encrypted, leads outside, holds links or devices, holds
        a name twice, or unpacks to more than MAX_BYTES, MAX_FILES or MAX_RATIO times its
        own size; nothing is left behind.
    """
    partial = into.with_name(f".partial-{os.getpid()}-{into.name}")
    partial.mkdir(parents=True)
    most_bytes = min(MAX_BYTES, FREE_BYTES + MAX_RATIO * archive.stat().st_size)
    unpack = _unpack_zip if zipfile.is_zipfile(archive) else _unpack_tar
    try:
        unpack(archive, partial, most_bytes)
    except (_RefusedError, *DAMAGE, OSError) as error:
        if not (reason := _reason(error)):
            raise
        text = f"{archive.name} {reason}; nothing was unpacked; pack it anew."
        raise SourceError(text) from None
    else:
        partial.replace(into)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _RefusedError(Exception):
    """What is wrong with an undamaged archive."""


def _reason(error: Exception) -> str:
    """Say what is wrong with the archive, or nothing where the archive isn't to blame."""
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, IsADirectoryError):
        return str(_refused(Path(error.filename).name, TWICE))
    # EINVAL: an offset that is not in the file
    if isinstance(error, DAMAGE) or getattr(error, "errno", None) == errno.EINVAL:
        return f"is damaged or no zip or tar archive ({type(error).__name__})"
    return ""


def _unpack_zip(archive: Path, into: Path, most_bytes: int) -> None:
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        # zipfile unpacks no more of a file than its entry declares
        if sum(entry.file_size for entry in entries) > most_bytes:
            raise _too_big(most_bytes)
        for count, entry in enumerate(_progress(entries, archive), 1):
            _check_zip(entry)
            if _is_wanted(entry.filename, into, count):
                opened.extract(entry, into)


def _check_zip(entry: zipfile.ZipInfo) -> None:
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(entry.filename, "a link or a device")
    if entry.flag_bits & 1:
        raise _refused(entry.filename, "an encrypted file")
    # zipfile unpacks the other kinds in memory, however large
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(entry.filename, "a file that is not deflated")


def _unpack_tar(archive: Path, into: Path, most_bytes: int) -> None:
    with archive.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _Limited(gzip.GzipFile(fileobj=file) if zipped else file, most_bytes)
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as opened:
            # Python 3.11.3 and older have no filters; what is checked here needs none
            opened.extraction_filter = getattr(tarfile, "data_filter", None)
            for count, entry in enumerate(_progress(opened, archive), 1):
                if not (entry.isdir() or entry.isreg()) or entry.issparse():
                    raise _refused(entry.name, "a link, a device or a sparse file")
                if _is_wanted(entry.name, into, count):
                    opened.extract(entry, into, set_attrs=False)
            # tarfile takes a broken header for the end; after the end there are only zeros
            while rest := opened.fileobj.read(BLOCK_BYTES):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError


class _Limited:
    """A stream that ends in an error after so many bytes, a tar's headers included."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, most_bytes: int) -> None:
        self.stream, self.most_bytes, self.bytes = stream, most_bytes, 0

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        data = self.stream.read(size)
        self.bytes += len(data)
        if self.bytes > self.most_bytes:
            raise _too_big(self.most_bytes)
        return data


def _is_wanted(name: str, into: Path, count: int) -> bool:
    """Tell whether to unpack the `count`-th entry, and refuse a name that no file may have."""
    if count > MAX_FILES:
        raise _RefusedError(f"holds more than {MAX_FILES} files, the limit")
    if OUTSIDE.match(name):
        raise _refused(name, "a name that leads outside")
    lengths = [len(os.fsencode(part)) for part in (name, *name.split("/"))]
    if lengths[0] > MAX_PATH_BYTES or max(lengths[1:]) > MAX_NAME_BYTES or printable(name) != name:
        raise _refused(name, "a name that no file should have")
    target = into / name
    if taken := next((path for path in (target, *target.parents) if path.is_file()), None):
        raise _refused(taken.name, TWICE)
    return PurePosixPath(name).parts[:1] != ("__MACOSX",)


def _refused(name: str, what: str) -> _RefusedError:
    return _RefusedError(f"holds {what}: {name!r}")


def _too_big(most_bytes: int) -> _RefusedError:
    return _RefusedError(f"unpacks to more than {most_bytes} bytes, the limit for its size")


def _progress(entries: Any, archive: Path) -> Any:
    return tqdm(entries, desc=f"unpack {archive.name}", unit="file", disable=None, leave=False)
