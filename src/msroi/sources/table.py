"""The table of sources: what msroi can fetch, from where, and how it checks that.

`data/sources.csv` has one row a file. `source` says how to read `location`:

==========  ============================================================================
package     `<distribution>:<file in it>`, a file that an installed package brings along
official    a URL, or `gdrive:<file id>/<file name>` for a file on Google Drive
mirror      a path below the folder or URL prefix named by the environment variable
            MSROI_MIRROR
local       a path in the project, of a file or of its unpacked folder
==========  ============================================================================

`#<file name>` after any location names an archive inside the archive, the only part that
is used.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from msroi.errors import SourceError
from msroi.files import read_csv

TABLE = Path("data/sources.csv")
MIRROR = "MSROI_MIRROR"
COLUMNS = ("name", "source", "location", "hash", "bytes", "licence", "note")
MANIFEST_COLUMNS = ("name", "file", "sha256", "bytes")
SOURCES = ("package", "official", "mirror", "local")
FALLBACKS = ("package", "local")
HASH = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Source:
    """One row of the table: a file and how msroi checks it.

    `hash` is `md5:...` or `sha256:...`, empty without a known one (local files only). `size_bytes`
    is None if unknown.
    """

    name: str
    source: str
    location: str
    hash: str
    size_bytes: int | None
    licence: str
    note: str

    @property
    def path(self) -> str:
        """The location without the archive inside."""
        return self.location.partition("#")[0]

    @property
    def member(self) -> str:
        """File name of the archive inside the archive, or an empty string."""
        return self.location.partition("#")[2]

    @property
    def file(self) -> str:
        """The file's name, without any folder."""
        return PurePosixPath(unquote(self.path.partition("?")[0])).name


def read(table: Path) -> list[Source]:
    """Read the table of sources.

    Raises
    ------
    SourceError
        If a column or a value is not as described above.
    """
    rows = read_csv(table)
    return [_parsed(row, COLUMNS, f"{table}, row {n}") for n, row in enumerate(rows, 1)]


def choose(sources: Sequence[Source], name: str, preferred: str) -> list[Source]:
    """Return the rows of `name` from the `preferred` source.

    For a name that doesn't have it, it takes an installed package. Failing that, it takes a local
    file, since neither needs a network.

    Raises
    ------
    SourceError
        If the name is unknown or has none of these; the message says what there is.
    """
    mine = [source for source in sources if source.name == name]
    if not mine:
        known = ", ".join(sorted({source.name for source in sources}))
        raise SourceError(f"There is no {name!r} in {TABLE}; it has: {known}.")
    for kind in (preferred, *FALLBACKS):
        rows = [source for source in mine if source.source == kind]
        if rows:
            return rows
    kinds = ", ".join(sorted({source.source for source in mine}))
    raise SourceError(
        f"{name} has no source {preferred!r}; set download.source to one that it has: {kinds}."
    )


def mirror_prefix() -> str:
    """Return the folder or URL prefix of the mirror, from the environment.

    Raises
    ------
    SourceError
        If the environment variable is not set.
    """
    prefix = os.environ.get(MIRROR, "")
    if not prefix:
        raise SourceError(
            f"download.source is 'mirror', but the environment variable {MIRROR} is not set; "
            "set it to the folder or URL prefix that holds the files."
        )
    return prefix


def is_url(text: str) -> bool:
    """Tell whether `text` is a web address."""
    return text.startswith(("http://", "https://"))


def with_manifest(sources: Sequence[Source], manifest: Path) -> list[Source]:
    """Replace the mirror's rows by those of the mirror's own manifest.

    Parameters
    ----------
    sources : rows of the table; a name's licence is taken over from them
    manifest : CSV file with the columns `name,file,sha256,bytes`

    Raises
    ------
    SourceError
        If the manifest lacks a column or a value is wrong.
    """
    licences = {source.name: source.licence for source in sources}
    own = []
    for n, row in enumerate(read_csv(manifest), 1):
        where = f"the mirror's {manifest.name}, row {n}"
        _check_columns(row, MANIFEST_COLUMNS, where)
        full = {
            "name": row["name"],
            "source": "mirror",
            "location": row["file"],
            "hash": f"sha256:{row['sha256']}",
            "bytes": row["bytes"],
            "licence": licences.get(row["name"], "not stated"),
            "note": "from the mirror's manifest",
        }
        own.append(_parsed(full, COLUMNS, where))
    return [source for source in sources if source.source != "mirror"] + own


def _check_columns(row: Mapping[str, str], columns: Sequence[str], where: str) -> None:
    if tuple(row) != tuple(columns) or None in row.values():
        got = ",".join(map(str, row))
        raise SourceError(f"{where}: expected the columns {','.join(columns)}, but got {got}.")


def _parsed(row: Mapping[str, str], columns: Sequence[str], where: str) -> Source:
    _check_columns(row, columns, where)
    kind, location, digest, size = row["source"], row["location"], row["hash"], row["bytes"]
    if kind not in SOURCES:
        raise SourceError(f"{where}: source is {kind!r}; expected one of {', '.join(SOURCES)}.")
    if not (HASH.fullmatch(digest) or (kind == "local" and not digest)):
        raise SourceError(
            f"{where}: hash is {digest!r}; expected md5: or sha256: and the digest in hexadecimal "
            "(only a local file may go without)."
        )
    if not ((size.isascii() and size.isdigit()) or not size):
        raise SourceError(f"{where}: bytes is {size!r}; expected a whole number or nothing.")
    source = Source(
        name=row["name"],
        source=kind,
        location=location,
        hash=digest,
        size_bytes=int(size) if size else None,
        licence=row["licence"],
        note=row["note"],
    )
    if not _location_fits(source):
        raise SourceError(f"{where}: location {location!r} is not one that {kind!r} can have.")
    return source


def _location_fits(source: Source) -> bool:
    """Tell whether the location has its source's form and stays where it should."""
    if not source.file or not source.name or "/" in source.member:
        return False
    if source.source == "official":
        return is_url(source.path) or re.fullmatch(r"gdrive:[\w-]+/[^/]+", source.path) is not None
    if source.source == "package":
        distribution, colon, source_path = source.path.partition(":")
        return bool(distribution and colon and source_path)
    path = PurePosixPath(source.path)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in source.path
