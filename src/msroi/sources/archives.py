"""Unpacking archives that nobody vouches for.

Only plain files and folders are written, only below the target, and never more than the
limits say. What an archive declares about itself is not believed: bytes are counted as
they are unpacked. Modes, owners and times are ignored.
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, TypeVar, cast

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

T = TypeVar("T")


def is_archive(name: str) -> bool:
    """Tell from a file's name whether it is an archive that `extract` unpacks."""
    return name.lower().endswith(SUFFIXES)


def without_suffix(name: str) -> str:
    """Return an archive's name without `.zip`, `.tar.gz` and the like."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def extract(archive: Path, into: Path) -> None:
    """Unpack a zip or tar archive into the new folder `into`, whole or not at all.

    macOS's `__MACOSX` folder is left out.

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
    try:
        with _told(archive):
            unpack = _unpack_zip if zipfile.is_zipfile(archive) else _unpack_tar
            unpack(archive, partial, _Budget(archive))
        partial.replace(into)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _Budget:
    """Counts what comes out of an archive and stops at the limits."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.max_bytes = min(MAX_BYTES, FREE_BYTES + MAX_RATIO * archive.stat().st_size)
        self.bytes = 0
        self.files = 0

    def spend_bytes(self, count: int) -> None:
        """Count unpacked bytes."""
        self.bytes += count
        if self.bytes > self.max_bytes:
            raise SourceError(
                f"{self.archive.name} unpacks to more than {self.max_bytes} bytes, the limit for "
                "its size; nothing was unpacked; pack it anew."
            )

    def spend_file(self) -> None:
        """Count one file or folder."""
        self.files += 1
        if self.files > MAX_FILES:
            raise SourceError(
                f"{self.archive.name} holds more than {MAX_FILES} files, the limit; "
                "nothing was unpacked; pack it anew."
            )


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Counted:
    """A stream that charges what is read from it to a budget."""

    def __init__(self, stream: _Readable, budget: _Budget) -> None:
        self.stream, self.budget = stream, budget

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        data = self.stream.read(size)
        self.budget.spend_bytes(len(data))
        return data


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    """Turn what the libraries raise for a bad archive into one sentence."""
    try:
        yield
    except DAMAGE as error:
        raise _damaged(archive, error) from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _refused(archive, Path(error.filename).name, "a name that occurs twice") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # an offset that is not in the file
            raise
        raise _damaged(archive, error) from None


def _damaged(archive: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{archive.name} is damaged or no zip or tar archive ({type(error).__name__}); "
        "nothing was unpacked; pack it anew."
    )


def _refused(archive: Path, name: str, what: str) -> SourceError:
    return SourceError(
        f"{archive.name} holds {what}: {name!r}; nothing was unpacked; pack it anew."
    )


def _unpack_zip(archive: Path, into: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as opened:
        for entry in _progress(opened.infolist(), archive):
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, entry.filename, "a link or a device")
            if entry.flag_bits & 1:
                raise _refused(archive, entry.filename, "an encrypted file")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refused(archive, entry.filename, "a file that is not deflated")
            target = _target(archive, entry.filename, into, budget)
            if target is None:
                continue
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                with opened.open(entry) as stream:
                    _write(_Counted(stream, budget), target)


def _unpack_tar(archive: Path, into: Path, budget: _Budget) -> None:
    with archive.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        plain = gzip.GzipFile(fileobj=file, mode="rb") if zipped else file
        # the stream is counted as a whole, headers included
        stream = cast("IO[bytes]", _Counted(plain, budget))
        with tarfile.open(fileobj=stream, mode="r|") as opened:
            for entry in _progress(opened, archive):
                if not (entry.isdir() or entry.isreg()) or entry.issparse():
                    raise _refused(archive, entry.name, "a link, a device or a sparse file")
                target = _target(archive, entry.name, into, budget)
                if target is None:
                    continue
                if entry.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif contents := opened.extractfile(entry):
                    _write(contents, target)
            # tarfile takes a broken header for the end; after the end there are only zeros
            while rest := opened.fileobj.read(BLOCK_BYTES):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError


def _target(archive: Path, name: str, into: Path, budget: _Budget) -> Path | None:
    """Return where an entry goes, or None where nothing is to be written."""
    budget.spend_file()
    if OUTSIDE.match(name):
        raise _refused(archive, name, "a name that leads outside")
    parts = PurePosixPath(name).parts
    too_long = len(os.fsencode(name)) > MAX_PATH_BYTES or any(
        len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts
    )
    if too_long or printable(name) != name:
        raise _refused(archive, name, "a name that no file should have")
    return into.joinpath(*parts) if parts and parts[0] != "__MACOSX" else None


def _write(stream: _Readable, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        while block := stream.read(BLOCK_BYTES):
            file.write(block)


def _progress(entries: Iterable[T], archive: Path) -> Iterable[T]:
    bar: Iterable[T] = tqdm(
        entries, desc=f"unpack {archive.name}", unit="file", disable=None, leave=False
    )
    return bar
