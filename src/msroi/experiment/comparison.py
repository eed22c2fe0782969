"""Methods compared where both have matched the file size, for every table that does so.

Rows have `dataset`, `image` and `matched` ("true" or "false"). A mean of no values and a
standard deviation of fewer than two are None.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msroi.experiment.sums import Sums
from msroi.files import Row

BASELINE = "jpeg"
AS_RUN = "as run"  # the protocol by which every stage but `conventions` works
DIGITS = 8

Pair = tuple[Row, Row]


def significant(value: float) -> float:
    """Round to the significant digits that the tables carry, and keep inf."""
    return float(f"{value:.{DIGITS}g}")


def within(size_error_pct: float, tolerance_pct: float) -> bool:
    """Say whether a file's size is a match: off by at most the tolerance, either way."""
    return abs(size_error_pct) <= tolerance_pct


def flag(size_error_pct: float, tolerance_pct: float) -> str:
    """Return what the column `matched` has of a file."""
    return "true" if within(size_error_pct, tolerance_pct) else "false"


def matched(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose file has a matching size."""
    return [row for row in rows if is_matched(row)]


def is_matched(row: Row) -> bool:
    """Say whether a row's file has a matching size."""
    return bool(row["matched"] == "true")


def with_matched(rows: Iterable[Row], tolerance_pct: float) -> Iterator[Row]:
    """Yield rows that have `size_error_pct` with the column `matched`."""
    for row in rows:
        yield {**row, "matched": flag(float(row["size_error_pct"]), tolerance_pct)}


def pairs(rows: Iterable[Row], others: Iterable[Row]) -> list[Pair]:
    """Return the rows of two methods, image by image, where both matched the size."""
    other = {_image(row): row for row in others}
    found = ((row, other[_image(row)]) for row in rows if _image(row) in other)
    return [pair for pair in found if both_matched(*pair)]


def both_matched(row: Row, other: Row) -> bool:
    """Say whether two files of one photograph have comparable sizes."""
    return is_matched(row) and is_matched(other)


def difference(row: Row, other: Row, name: str) -> float | None:
    """Return how far a measure of one file is above that of another of the same photograph.

    None unless both matched the size and the difference is finite. Every table, test and chart
    of gains takes its differences from here.
    """
    if not both_matched(row, other):
        return None
    found = float(row[name]) - float(other[name])
    return found if math.isfinite(found) else None


def differences(of_pairs: Iterable[Pair], name: str) -> list[float]:
    """Return the finite values of first minus second in the column `name`."""
    found = (difference(row, other, name) for row, other in of_pairs)
    return [value for value in found if value is not None]


def won(values: Sequence[float], higher_is_better: bool) -> float | None:
    """Return the share of differences by which the first is better (equal ones are no wins)."""
    sign = 1 if higher_is_better else -1
    return significant(sum(sign * value > 0 for value in values) / len(values)) if values else None


class Differences:
    """One method's measures minus another's, photograph by photograph as they come."""

    def __init__(self, names: Iterable[str]) -> None:
        """Start with no photograph, and with the columns of the measures in `names`."""
        self.n = 0
        self.sums = {name: Sums() for name in names}

    def add(self, row: Row, other: Row) -> None:
        """Take in a photograph, if both have matched the size."""
        self.n += both_matched(row, other)
        for name, sums in self.sums.items():
            value = difference(row, other, name)
            if value is not None:
                sums.add(value)

    def means(self) -> dict[str, Any]:
        """Return `n`, how many photographs both have matched, and the mean differences."""
        return {"n": self.n, **{name: rounded(sums.mean()) for name, sums in self.sums.items()}}


def minus(rows: Iterable[Row], others: Iterable[Row], names: Iterable[str]) -> dict[str, Any]:
    """Return `n`, how many images both have matched, and each column's mean difference."""
    found = Differences(names)
    for row, other in pairs(rows, others):
        found.add(row, other)
    return found.means()


def finite(values: Iterable[float]) -> list[float]:
    """Leave out infinite values."""
    return [value for value in values if math.isfinite(value)]


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, rounded as tables are."""
    return rounded(statistics.fmean(values) if values else None)


def sd(values: Sequence[float]) -> float | None:
    """Return the standard deviation (n - 1), rounded as tables are."""
    return rounded(statistics.stdev(values) if len(values) > 1 else None)


def rounded(value: float | None) -> float | None:
    """Round a number to the digits of the tables, or return None for None."""
    return None if value is None else significant(value)


def _image(row: Row) -> tuple[str, str]:
    return row["dataset"], row["image"]
