"""Tables of all photographs, which no stage holds in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msroi.files import csv_rows


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV file, which every loop reads again and keeps none of."""

    path: Path

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Read row by row."""
        return csv_rows(self.path)
