"""Fetching one file, checked against its known size and hash.

A file that is here already (in a package, a local folder or a mirror folder) is checked in
place. A download goes to a shared scratch folder under a name that begins with its hash,
so that no two experiments fetch it twice; an interrupted one is resumed.
"""

import csv
import os
import sys
import time
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import pooch
import requests

from msroi.errors import SourceError
from msroi.files import file_hash
from msroi.sources.archives import MAX_BYTES, without_suffix
from msroi.sources.table import Source, is_url, mirror_prefix, with_manifest

TRIES = 3
BACKOFF_S = 1.0
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
MANIFEST_BYTES = 1 << 24
GOOGLE_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"


def fetch(source: Source, scratch: Path) -> Path:
    """Return a local file with the contents of `source`, fetching it if need be.

    Parameters
    ----------
    source : what to fetch
    scratch : folder for downloads, made if it is not there

    Returns
    -------
    Path
        A file whose size and hash are those declared, or the folder that a local archive
        was unpacked to, which can't be checked.

    Raises
    ------
    SourceError
        If there is no such file, it can't be downloaded, or it is not what was declared.
    """
    if source.source == "package":
        return _checked_in_place(_installed(source), source)
    if source.source == "local":
        return _local(source)
    address = _address(source)
    if is_url(address):
        return _downloaded(source, address, scratch)
    path = Path(address)
    if not path.is_file():
        raise SourceError(
            f"{source.name}: {path} is not there; set MSROI_MIRROR to the folder that holds "
            f"{source.path}."
        )
    return _checked_in_place(path, source)


def with_mirror(sources: list[Source], scratch: Path) -> list[Source]:
    """Replace the mirror's rows by those of `manifest.csv` at the mirror, if it has one.

    Raises
    ------
    SourceError
        If MSROI_MIRROR is not set or the mirror doesn't answer.
    """
    address = _below_mirror("manifest.csv")
    if not is_url(address):
        manifest = Path(address)
        return _with_manifest(sources, manifest) if manifest.is_file() else sources
    try:
        there = pooch.HTTPDownloader(timeout=TIMEOUT_S)(address, None, None, check_only=True)
    except requests.RequestException as error:
        raise SourceError(f"The mirror does not answer at {address}: {_reason(error)}.") from None
    if not there:
        return sources
    manifest = scratch / "manifest.csv"
    manifest.unlink(missing_ok=True)
    _transfer(address, manifest, "the mirror's manifest", MANIFEST_BYTES)
    return _with_manifest(sources, manifest)


def _with_manifest(sources: list[Source], manifest: Path) -> list[Source]:
    try:
        return with_manifest(sources, manifest)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"The mirror's {manifest.name} is no CSV file in UTF-8 ({error}); mend it there."
        ) from None


def mismatch(path: Path, source: Source) -> str:
    """Say how a file differs from what is declared; an empty string if it doesn't."""
    size = path.stat().st_size
    if source.size_bytes is not None and size != source.size_bytes:
        return f"has the wrong size: expected {source.size_bytes} bytes but got {size}"
    algorithm, _, expected = source.hash.partition(":")
    got = file_hash(path, algorithm) if expected else ""
    if got != expected:
        return f"does not match the known hash: expected {source.hash} but got {algorithm}:{got}"
    return ""


def _checked_in_place(path: Path, source: Source) -> Path:
    if wrong := mismatch(path, source):
        raise SourceError(
            f"{source.name}: {source.location} {wrong}; the file was left as it is; "
            "replace it by the right one."
        )
    return path


def _installed(source: Source) -> Path:
    """Find a file of an installed package in the package's own list, without importing it."""
    distribution, _, inside = source.path.partition(":")
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        raise SourceError(
            f"{source.name}: the package {distribution} is not installed; run `make setup`."
        ) from None
    for file in files:
        path = Path(str(file.locate()))
        if file.as_posix() == inside and path.is_file():
            return path
    raise SourceError(
        f"{source.name}: the installed package {distribution} {metadata.version(distribution)} "
        f"has no file {inside}; install the locked version with `make setup`."
    )


def _local(source: Source) -> Path:
    path = Path(source.path)
    folder = path.with_name(without_suffix(path.name))
    if path.is_file():
        return _checked_in_place(path, source)
    if folder.is_dir():
        return _plain(folder, source)
    raise SourceError(f"{source.name}: {path} is not there; put it there ({source.note}).")


def _plain(folder: Path, source: Source) -> Path:
    """Return `folder` if it holds nothing but files and folders, as an archive must.

    What a link leads to would be copied into the data set, and with `dvc push` beyond.
    """
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise SourceError(
                    f"{source.name}: {path} is a link or a device; put the file itself there."
                )
    return folder


def _address(source: Source) -> str:
    """Return the URL, or the path of a file in a mirror folder."""
    if source.source == "mirror":
        return _below_mirror(source.path)
    if source.path.startswith("gdrive:"):
        return GOOGLE_DRIVE.format(source.path.removeprefix("gdrive:").partition("/")[0])
    return source.path


def _below_mirror(path: str) -> str:
    prefix = mirror_prefix()
    if is_url(prefix):
        return f"{prefix.rstrip('/')}/{quote(path)}"
    if not Path(prefix).is_dir():
        raise SourceError(f"MSROI_MIRROR is {prefix!r}; expected a folder or a URL prefix.")
    return str(Path(prefix) / path)


def _downloaded(source: Source, url: str, scratch: Path) -> Path:
    digest = source.hash.partition(":")[2]
    target = scratch / f"{digest[:8]}-{source.file}"
    if target.is_file() and not mismatch(target, source):
        return target
    partial = target.with_name(f"{target.name}.part")
    by_hand = f"run again, or save the file by hand as {target}"
    most = MAX_BYTES if source.size_bytes is None else source.size_bytes
    _transfer(url, partial, source.name, most, by_hand)
    if wrong := mismatch(partial, source):
        page = " (a web page came instead of the file)" if _is_web_page(partial) else ""
        partial.unlink()
        raise SourceError(
            f"{source.name}: {url} {wrong}{page}; the download was deleted; {by_hand}."
        )
    return partial.replace(target)


def _transfer(
    url: str, partial: Path, name: str, most_bytes: int, advice: str = "run again"
) -> None:
    """Download `url` to `partial`; resume and retry what is worth it, else raise SourceError."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, TRIES + 1):
        try:
            return _get(url, partial, most_bytes)
        except requests.RequestException as error:
            if attempt == TRIES or not _may_pass(error):
                tried = f"tried {attempt} times" if attempt > 1 else "tried once"
                raise SourceError(
                    f"{name}: {url} could not be downloaded: {_reason(error)} ({tried}); {advice}."
                ) from None
            if _status(error) == requests.codes.requested_range_not_satisfiable:
                partial.unlink()
        except _TooLongError:
            partial.unlink()
            raise SourceError(
                f"{name}: {url} sends more than the {most_bytes} bytes that are expected; "
                f"the download was deleted; {advice}."
            ) from None
        except ValueError as error:  # such as a Content-Length that is no number
            raise SourceError(
                f"{name}: {url} could not be downloaded: the server's answer is not HTTP "
                f"({error}); {advice}."
            ) from None
        time.sleep(BACKOFF_S * 2 ** (attempt - 1))
    return None


class _TooLongError(Exception):
    """More came than was declared."""


class _Bounded:
    """A file that takes no more than so many bytes, as a server may send without end."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self.file, self.most_bytes = file, most_bytes
        self.flush = file.flush

    def write(self, chunk: bytes) -> int:
        """Write `chunk`, or raise `_TooLongError`."""
        if self.file.tell() + len(chunk) > self.most_bytes:
            raise _TooLongError
        return self.file.write(chunk)


def _get(url: str, partial: Path, most_bytes: int) -> None:
    """Download `url` once, going on where `partial` ends if the server can."""
    start = partial.stat().st_size if partial.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with ExitStack() as stack:
        file = stack.enter_context(partial.open("ab"))

        def start_over_unless_resumed(response: requests.Response, **_: Any) -> None:
            stack.callback(response.close)
            if response.status_code == requests.codes.ok:
                file.truncate(0)

        get = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=CHUNK_BYTES,
            timeout=TIMEOUT_S,
            headers=headers,
            hooks={"response": start_over_unless_resumed},
        )
        get(url, _Bounded(file, most_bytes), None)


def _status(error: requests.RequestException) -> int | None:
    return None if error.response is None else error.response.status_code


def _may_pass(error: requests.RequestException) -> bool:
    """Tell whether trying again may help: the connection failed or the server is unwell."""
    status = _status(error)
    if status is not None:
        return status >= 500 or status in (408, 416, 429)
    kinds = requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError
    return isinstance(error, kinds)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects in circles"
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if "timed out" in str(error).lower():
        return f"the server did not answer for {TIMEOUT_S:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection"
    return f"it is not an address that can be fetched ({type(error).__name__})"


def _is_web_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
