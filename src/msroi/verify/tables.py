"""Committed tables and summaries, compared with their recomputation.

A committed file may have any damage. An unreadable one raises `UnreadableError`, which says where.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msroi.experiment.comparison import significant
from msroi.files import Row
from msroi.verify.finding import RECOMPUTED, Checked, differs, intact, missing

# Sums and tests may differ in the last digits from one version of NumPy or SciPy to the next.
# The tables carry 8 significant digits, so that a unit of the last is far below this; what
# only formats committed numbers must agree to the letter.
RELATIVE = 1e-6
ROUNDED = 1e-6  # a unit of the last decimal of means that are rounded to six
SHOWN = 5  # differences that are told of one file

# columns that are no real numbers, in all tables alike
WORDS = frozenset(
    {"experiment", "dataset", "image", "method", "encoder", "map", "measure", "protocol"}
)
WHOLE = frozenset({"match_quality", "quality", "bytes", "target_bytes", "n", "passes", "epoch"})

Cells = dict[str, Any]  # what stands at a place, such as "line 3, bytes" or "alpha"


class UnreadableError(Exception):
    """A committed file is not what its stage writes, and the message says where."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class Table:
    """A recomputed table, whose float cells compare as numbers."""

    columns: Sequence[str]
    rows: Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Summary:
    """A recomputed JSON object.

    Keys of the names `left_out` don't follow from the committed files. `unit` is that of the last
    decimal of values rounded to decimals.
    """

    values: Mapping[str, Any]
    left_out: frozenset[str] = frozenset()
    unit: float = 0.0


# reading what is committed


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read a table and turn its cells into words, whole and real numbers.

    Raises
    ------
    UnreadableError
        If it does not have these columns, a line is too short or long, or a cell that holds
        a number holds anything else.
    """
    rows = read_lines(path, columns)
    return [
        {name: _value(path, line, name, text) for name, text in zip(columns, row, strict=True)}
        for line, row in rows.items()
    ]


def read_lines(path: Path, columns: Sequence[str]) -> dict[int, list[str]]:
    """Return the cells of a table, CSV or Markdown by its suffix, by the line's number.

    Raises
    ------
    UnreadableError
        If it is no table with these columns in every line.
    """
    read = _markdown_lines if path.suffix == ".md" else _csv_lines
    try:
        lines = read(path.read_bytes().decode())
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(path, f"it is not a table in UTF-8 ({error})") from None
    header = lines.pop(1, [])
    if header != list(columns):
        found, expected = ", ".join(header), ", ".join(columns)
        raise UnreadableError(path, f"its columns are {found}; expected {expected}")
    for number, row in lines.items():
        if len(row) != len(columns):
            raise UnreadableError(
                path, f"line {number} has {len(row)} cells, the header has {len(columns)}"
            )
    return lines


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    UnreadableError
        If it is none.
    """
    try:
        value = json.loads(path.read_bytes().decode())
    except ValueError as error:
        raise UnreadableError(path, f"it is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise UnreadableError(path, "it is not a JSON object")
    return value


def _csv_lines(text: str) -> dict[int, list[str]]:
    return dict(enumerate(csv.reader(io.StringIO(text, newline="")), start=1))


def _markdown_lines(text: str) -> dict[int, list[str]]:
    """Return a Markdown table's cells by line, without the rule below the header."""
    return {
        number: [cell.replace("\\|", "|") for cell in line[2:-2].split(" | ")]
        for number, line in enumerate(text.splitlines(), start=1)
        if number != 2
    }


def _value(path: Path, line: int, name: str, text: str) -> str | int | float:
    if name in WORDS:
        return text
    try:
        value = int(text) if name in WHOLE else float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        kind = "a whole number" if name in WHOLE else "a number"
        raise UnreadableError(path, f"line {line}, {name}: {text!r} is not {kind}")
    return value


# comparing


def compared(experiment: str, path: Path, made: Table | Summary) -> Checked:
    """Compare a committed file with its recomputation."""
    name = path.as_posix()
    if not path.is_file():
        return missing(experiment, RECOMPUTED, name)
    try:
        found = differences(path, made)
    except UnreadableError as error:
        return differs(experiment, RECOMPUTED, name, str(error))
    if not found:
        return intact(experiment, RECOMPUTED, name)
    more = len(found) - SHOWN
    told = [*found[:SHOWN], f"and {more} more"] if more > 0 else found
    count = "1 value differs" if len(found) == 1 else f"{len(found)} values differ"
    return differs(experiment, RECOMPUTED, name, f"{count}: {'; '.join(told)}")


def differences(path: Path, made: Table | Summary) -> list[str]:
    """Say where a committed file differs from its recomputation, and how.

    Raises
    ------
    UnreadableError
        If it is not a file of this kind.
    """
    if isinstance(made, Table):
        committed: Cells = {
            f"line {line}, {name}": text
            for line, row in read_lines(path, made.columns).items()
            for name, text in zip(made.columns, row, strict=True)
        }
        first = 3 if path.suffix == ".md" else 2
        computed: Cells = {
            f"line {line}, {name}": row[name]
            for line, row in enumerate(made.rows, start=first)
            for name in made.columns
        }
        same: Callable[[Any, Any], bool] = same_cell
    else:
        committed = flattened(read_object(path), made.left_out)
        computed = flattened(made.values, made.left_out)
        same = partial(same_value, unit=made.unit)
    return [
        f"{place}: {_shown(committed, place)} committed, {_shown(computed, place)} recomputed"
        for place in computed | committed
        if not (
            place in committed and place in computed and same(committed[place], computed[place])
        )
    ]


def flattened(values: Any, left_out: Iterable[str], place: str = "") -> Cells:
    """Return what stands in a JSON value, by its keys joined with dots."""
    if not isinstance(values, dict):
        return {place: values}
    cells: Cells = {}
    for key, value in values.items():
        if key not in left_out:
            cells |= flattened(value, left_out, f"{place}.{key}" if place else key)
    return cells


def same_value(committed: Any, computed: Any, unit: float = 0.0) -> bool:
    """Tell whether a committed value equals the recomputed one.

    Real numbers may differ by `RELATIVE` of the computed one plus `unit`.
    """
    if isinstance(computed, float) and type(committed) in (int, float):
        allowed = RELATIVE * abs(computed) + unit
        return bool(committed == computed or abs(committed - computed) <= allowed)
    return type(committed) is type(computed) and bool(committed == computed)


def same_cell(text: str, computed: Any) -> bool:
    """Tell whether a table's cell equals the recomputed one."""
    if not isinstance(computed, float):
        return text == _text(computed)
    try:
        return same_value(float(text), computed)
    except ValueError:
        return False


def _text(value: Any) -> str:
    """Return a value as the tables have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(significant(value))
    return "" if value is None else str(value)


def _shown(cells: Cells, place: str) -> str:
    return _text(cells.get(place)) or "nothing"
