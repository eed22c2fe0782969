"""Methods compared where both have matched the file size, for every table that does so.

Rows have `dataset`, `image` and `matched` ("true" or "false"). A mean of no values and a
standard deviation of fewer than two are None.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BASELINE = "jpeg"
AS_RUN = "as run"  # the protocol by which every stage but `conventions` works
DIGITS = 8

Row = Mapping[str, Any]
Pair = tuple[Row, Row]


def significant(value: float) -> float:
    """Round to the significant digits that the tables carry; inf stays inf."""
    return float(f"{value:.{DIGITS}g}")


def within(size_error_pct: float, tolerance_pct: float) -> bool:
    """Say whether a file's size is matched: off by at most the tolerance, either way."""
    return abs(size_error_pct) <= tolerance_pct


def flag(size_error_pct: float, tolerance_pct: float) -> str:
    """Return what the column `matched` has of a file."""
    return "true" if within(size_error_pct, tolerance_pct) else "false"


def matched(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose file size was matched."""
    return [row for row in rows if is_matched(row)]


def is_matched(row: Row) -> bool:
    """Say whether a row's file size was matched."""
    return bool(row["matched"] == "true")


def pairs(rows: Iterable[Row], others: Iterable[Row]) -> list[Pair]:
    """Return the rows of two methods, image by image, where both matched the size."""
    other = {_image(row): row for row in matched(others)}
    return [(row, other[_image(row)]) for row in matched(rows) if _image(row) in other]


def differences(of_pairs: Iterable[Pair], name: str) -> list[float]:
    """Return the finite values of first minus second in the column `name`."""
    return finite(row[name] - other[name] for row, other in of_pairs)


def minus(rows: Iterable[Row], others: Iterable[Row], names: Iterable[str]) -> dict[str, Any]:
    """Return `n`, how many images both have matched, and each column's mean difference."""
    both = pairs(rows, others)
    return {"n": len(both), **{name: mean(differences(both, name)) for name in names}}


def finite(values: Iterable[float]) -> list[float]:
    """Leave out infinite values."""
    return [value for value in values if math.isfinite(value)]


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, rounded as tables are."""
    return significant(statistics.fmean(values)) if values else None


def sd(values: Sequence[float]) -> float | None:
    """Return the standard deviation (n - 1), rounded as tables are."""
    return significant(statistics.stdev(values)) if len(values) > 1 else None


def _image(row: Row) -> tuple[str, str]:
    return row["dataset"], row["image"]
