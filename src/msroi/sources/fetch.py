"""Fetching one file, checked against its known size and hash.

It checks a file that is here already (in a package, a local folder or a mirror folder) in place. A
download goes to a shared scratch folder under a name that begins with its hash. So no two
experiments fetch it twice. It gets that name when it is whole and right.
"""

import csv
import os
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import pooch
import requests
from tqdm import tqdm

from msroi.errors import SourceError
from msroi.files import file_hash, written_whole
from msroi.sources.archives import MAX_BYTES, without_suffix
from msroi.sources.table import Source, is_url, mirror_prefix, with_manifest

TRIES = 3
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
    manifest = Path(address)
    if is_url(address):
        manifest = scratch / "manifest.csv"
        try:
            with written_whole(manifest) as partial:
                _get(address, partial, "the mirror's manifest", MANIFEST_BYTES, "run again")
        except requests.HTTPError:
            return sources
        except (requests.RequestException, ValueError) as error:
            reason = _reason(error)
            raise SourceError(f"The mirror does not answer at {address}: {reason}.") from None
    elif not manifest.is_file():
        return sources
    try:
        return with_manifest(sources, manifest)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"The mirror's {manifest.name} is no CSV file in UTF-8 ({error}); mend it there."
        ) from None


def mismatch(path: Path, source: Source) -> str:
    """Say how a file differs from its declaration, or return an empty string if it doesn't."""
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
    """Find a file of an installed package without importing it."""
    distribution, _, inside = source.path.partition(":")
    try:
        installed = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        raise SourceError(
            f"{source.name}: the package {distribution} is not installed; run `make setup`."
        ) from None
    path = Path(str(installed.locate_file(inside)))
    if not path.is_file():
        raise SourceError(
            f"{source.name}: the installed package {distribution} {installed.version} "
            f"has no file {inside}; install the locked version with `make setup`."
        )
    return path


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

    Otherwise what a link leads to would get into the dataset, and with `dvc push` beyond.
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
    """Return the file that is in `scratch` already, or download it.

    pooch looks for it there, gives it its name once it is right, and tries again where the
    transfer failed.
    """
    stored = f"{source.hash.partition(':')[2][:8]}-{source.file}"
    advice = f"run again, or save the file by hand as {scratch / stored}"

    def get(_url: str, file: str, _pooch: pooch.Pooch) -> None:
        partial = Path(file)
        most_bytes = MAX_BYTES if source.size_bytes is None else source.size_bytes
        _get(url, partial, source.name, most_bytes, advice)
        if wrong := mismatch(partial, source):
            page = " (a web page came instead of the file)" if _is_web_page(partial) else ""
            raise SourceError(
                f"{source.name}: {url} {wrong}{page}; the download was deleted; {advice}."
            )

    pooch.get_logger().setLevel("WARNING")
    folder = pooch.Pooch(scratch, "", {stored: source.hash}, {stored: url}, TRIES - 1)
    try:
        folder.fetch(stored, downloader=get)
    except (requests.RequestException, ValueError) as error:
        raise SourceError(
            f"{source.name}: {url} could not be downloaded: {_reason(error)} "
            f"(tried {TRIES} times); {advice}."
        ) from None
    return scratch / stored


def _get(url: str, path: Path, name: str, most_bytes: int, advice: str) -> None:
    """Download `url` to `path` once, and stop a server that sends without end."""
    headers = {"Accept-Encoding": "identity"}
    with (
        requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response,
        path.open("wb") as file,
    ):
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        with tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=None) as bar:
            for chunk in response.iter_content(CHUNK_BYTES):
                bar.update(file.write(chunk))
                if file.tell() > most_bytes:
                    raise SourceError(
                        f"{name}: {url} sends more than the {most_bytes} bytes that are expected; "
                        f"the download was deleted; {advice}."
                    )


def _reason(error: requests.RequestException | ValueError) -> str:
    if not isinstance(error, requests.RequestException):
        return f"the server's answer is not HTTP ({error})"
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
