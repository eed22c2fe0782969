"""Writing files so that nothing half-written ever carries its final name."""

import csv
import hashlib
import json
import os
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msroi.errors import MissingError

Row = Mapping[str, Any]  # of a table, by column

# control characters, halves of characters (bytes that are not UTF-8) and line breaks
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
OWN_WRITING = stat.S_IWUSR


@contextmanager
def written_whole(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block ends well.

    On an exception it removes the temporary file and leaves `path` as it was. The temporary name
    keeps the suffix, since image writers choose the format by it. It is short where `path`'s is as
    long as the file system allows. With a `mode` the temporary file is there from the start, with
    these permissions less those that the umask takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{digest(path.name)}{path.suffix}")
    try:
        if mode is not None:
            partial.unlink(missing_ok=True)  # of a run that was killed
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode | OWN_WRITING))
        yield partial
        if mode is not None and not mode & OWN_WRITING:
            partial.chmod(partial.stat().st_mode & ~OWN_WRITING)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON with the keys in their own order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def csv_table(
    path: Path, columns: Sequence[str]
) -> Iterator[Callable[[Iterable[Mapping[str, Any]]], None]]:
    """Yield a function that adds rows to a CSV file with a header, whole when the block ends.

    A row's keys must be exactly `columns`.
    """
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)

        def add(rows: Iterable[Mapping[str, Any]]) -> None:
            for row in rows:
                if row.keys() != set(columns):
                    raise ValueError(f"{path}: a row has {list(row)}, the columns are {columns}.")
                writer.writerow(row[column] for column in columns)

        yield add


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `rows`, whose keys must be exactly `columns`, as CSV with a header."""
    with csv_table(path, columns) as add:
        add(rows)


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Read a CSV file with a header row by row, each a dictionary of strings."""
    with existing(path).open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a header into one dictionary of strings a row."""
    return list(csv_rows(path))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    value: dict[str, Any] = json.loads(existing(path).read_text(encoding="utf-8"))
    return value


def existing(path: Path) -> Path:
    """Return `path` if it is there.

    Raises
    ------
    MissingError
        If nothing is there.
    """
    if not path.exists():
        raise MissingError(f"{path} is missing; run `snakemake` (or `dvc repro`) to make it.")
    return path


def fresh_folder(path: Path) -> Path:
    """Make `path` an empty folder, removing what an earlier run left in it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Return the hex digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def printable(text: str) -> str:
    """Return text with what no terminal or table should get written as an escape.

    That is what a file's name may hold to fake a line of output or to steer a terminal.
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in UNPRINTABLE else c
        for c in text
    )


def digest(*parts: str) -> str:
    """Return 16 hexadecimal digits that stand for `parts`."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
