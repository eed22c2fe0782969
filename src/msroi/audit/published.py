"""A paper's printed numbers and sentences (`data/published/<paper>`), and a run's beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from msroi.errors import ParameterError
from msroi.experiment.comparison import BASELINE
from msroi.experiment.params import read_yaml
from msroi.files import read_csv
from msroi.measures.distortion import METRICS

NONE = "none"
FOLDER = Path("data/published")
COLUMNS = (
    *("table", "dataset", "match_quality", "method", "measure"),
    *("published", "this_run", "difference"),
)
# printed measure -> the metric of this run that stands for it
OF_PRINTED = {"psnr_db": METRICS["psnr_rgb_db"], "ssim": METRICS["ssim_luma"]}
GAIN = "msroi - jpeg"

Cell = tuple[str, str, int, str, str]

TABLE_COLUMNS = ("table", "dataset", "image", "match_quality", "method", "measure", "value")
PAPER_KEYS = frozenset({"title", "authors", "year", "licence", "made_up", "samples", "claims"})
CLAIM_KEYS = frozenset({"id", "place", "quote", "check"})
METHOD = "msroi"  # the paper's, which it compares with plain JPEG


class Printed(str):
    """A number as printed: its digits say how far it was rounded.

    Raises
    ------
    ParameterError
        If the text is no decimal number.
    """

    def __init__(self, text: str) -> None:
        try:
            self.decimal = Decimal(text)
        except InvalidOperation:
            raise ParameterError(f"{text!r} is not a number as printed, such as 32.674.") from None

    @property
    def value(self) -> float:
        """The number."""
        return float(self.decimal)

    @property
    def half_unit(self) -> float:
        """Half a unit of the last printed digit: the most that rounding has changed it."""
        return 0.5 * 10.0 ** int(self.decimal.as_tuple().exponent)

    @property
    def low(self) -> float:
        """The least number that is printed so."""
        return self.value - self.half_unit

    @property
    def high(self) -> float:
        """The largest number that is printed so."""
        return self.value + self.half_unit


class Place(NamedTuple):
    """Where a number is printed; `image` is empty for a mean over the set."""

    table: str
    dataset: str
    image: str
    match_quality: int
    method: str
    measure: str

    def __str__(self) -> str:
        """Return the place as a reader finds it."""
        image = f", {self.image}" if self.image else ""
        return f"Table {self.table}{image}, {self.method} ({self.match_quality}), {self.measure}"

    def both(self) -> tuple["Place", "Place"]:
        """Return the places of JPEG and of the method."""
        return self.other(method=BASELINE), self.other(method=METHOD)

    def other(self, **changes: Any) -> "Place":
        """Return the place that differs in some of its parts."""
        return self._replace(**changes)


def difference(baseline: Printed, method: Printed) -> float:
    """Return method minus JPEG, exactly as the printed digits have it."""
    return float(method.decimal - baseline.decimal)


class Sample(NamedTuple):
    """How many images a paper's means are over, and how many there were to draw from."""

    images: int
    of: int


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, at most 25 words of it, and the check that it calls for."""

    id: str
    place: str
    quote: str
    check: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Paper:
    """A publication: its printed numbers in their order and its claims."""

    name: str
    title: str
    made_up: bool
    samples: Mapping[str, Sample]
    numbers: Mapping[Place, Printed]
    claims: Sequence[Claim]

    def of_table(self, table: str) -> dict[Place, Printed]:
        """Return the numbers of one table."""
        return {place: text for place, text in self.numbers.items() if place.table == table}

    def pairs(self, table: str) -> Iterator[tuple[Place, Printed, Printed]]:
        """Yield the method's place, and the printed numbers of JPEG and of the method there."""
        for place, printed in self.of_table(table).items():
            baseline = self.numbers.get(place.other(method=BASELINE))
            if place.method == METHOD and baseline is not None:
                yield place, baseline, printed


def read_paper(name: str, folder: Path = FOLDER) -> Paper:
    """Read `data/published/<name>`: `paper.yaml` and `tables.csv`.

    Raises
    ------
    ParameterError
        If a file is missing or is not as data/published/README.md says; the message names
        the file and the entry.
    """
    path = folder / name / "paper.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.parent.name for found in folder.glob("*/paper.yaml")))
        raise ParameterError(f"There is no {path}; {folder}/ has: {known or 'none'}.")
    values = read_yaml(path)
    if not isinstance(values, dict) or values.keys() != PAPER_KEYS:
        raise ParameterError(f"{path} must have exactly the keys {', '.join(sorted(PAPER_KEYS))}.")
    numbers = read_numbers(folder / name / "tables.csv")
    return Paper(
        name=name,
        title=values["title"],
        made_up=values["made_up"],
        samples={key: Sample(**sample) for key, sample in values["samples"].items()},
        numbers=numbers,
        claims=[claim(path, entry) for entry in values["claims"]],
    )


def claim(path: Path, entry: Any) -> Claim:
    """Read one claim; raises `ParameterError` if a key is missing."""
    if not isinstance(entry, dict) or not entry.keys() >= CLAIM_KEYS:
        raise ParameterError(
            f"{path}: each claim must have {', '.join(sorted(CLAIM_KEYS))}; got {entry!r}."
        )
    arguments = {key: value for key, value in entry.items() if key not in CLAIM_KEYS}
    return Claim(**{key: str(entry[key]) for key in CLAIM_KEYS}, arguments=arguments)


def read_numbers(path: Path) -> dict[Place, Printed]:
    """Read a paper's tables; raises `ParameterError` for a wrong line or a number given twice."""
    numbers: dict[Place, Printed] = {}
    for line, row in enumerate(read_csv(path), start=2):
        if tuple(row) != TABLE_COLUMNS or None in row.values():
            raise ParameterError(f"{path}, line {line}: expected {','.join(TABLE_COLUMNS)}.")
        try:
            quality = int(row["match_quality"])
        except ValueError:
            raise ParameterError(
                f"{path}, line {line}: match_quality must be a whole number, "
                f"got {row['match_quality']!r}."
            ) from None
        parts = {key: row[key] for key in TABLE_COLUMNS if key not in ("match_quality", "value")}
        place = Place(**parts, match_quality=quality)
        if place in numbers:
            raise ParameterError(f"{path}, line {line}: {place} is given twice.")
        numbers[place] = Printed(row["value"])
    return numbers


def mean_cells(paper: str) -> dict[Cell, float]:
    """Return the printed means over a set: (table, dataset, Q, method, measure) -> value.

    The gains, MS-ROI minus JPEG, follow each pair as cells of the method `GAIN`.
    """
    printed = {
        (row["table"], row["dataset"], int(row["match_quality"]), row["method"], row["measure"]): (
            float(row["value"])
        )
        for row in read_csv(FOLDER / paper / "tables.csv")
        if not row["image"]
    }
    gains = {
        (table, dataset, quality, GAIN, measure): value
        - printed[table, dataset, quality, "jpeg", measure]
        for (table, dataset, quality, method, measure), value in printed.items()
        if method == "msroi"
    }
    order = ("jpeg", "msroi", GAIN)
    return dict(
        sorted(
            (printed | gains).items(),
            key=lambda item: (item[0][0], item[0][2], item[0][4], order.index(item[0][3])),
        )
    )


def compare(
    printed: Mapping[Cell, float], summary: Mapping[str, Any], sets: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Put each printed mean beside this run's.

    Parameters
    ----------
    printed
        What `mean_cells` returns.
    summary
        metrics/summary.json.
    sets
        The paper's dataset -> this run's test set.

    Returns
    -------
    One row of `COLUMNS` a cell whose set and quality this run has.
    """
    rows = []
    for (table, dataset, quality, method, measure), value in printed.items():
        metric = OF_PRINTED[measure]
        found = this_run(summary.get(sets.get(dataset, ""), {}), quality, method, metric.column)
        if found is not None:
            rows.append(
                {
                    "table": table,
                    "dataset": dataset,
                    "match_quality": quality,
                    "method": method,
                    "measure": measure,
                    "published": f"{value:.{metric.digits}f}",
                    "this_run": f"{found:.{metric.digits}f}",
                    "difference": f"{found - value:+.{metric.digits}f}",
                }
            )
    return rows


def this_run(methods: Mapping[str, Any], quality: int, method: str, column: str) -> float | None:
    """Return this run's mean, or its mean paired gain, or None where it has none."""
    if method == GAIN:
        cell, part = methods.get("msroi", {}), "minus_jpeg"
    else:
        cell, part = methods.get(method, {}), "mean"
    value: float | None = cell.get(f"q{quality}", {}).get(part, {}).get(column)
    return value


def paper_sets(salient: str, texture: str) -> dict[str, str]:
    """Return which test set plays which of the paper's."""
    return {"salicon": salient, "general-100": texture}
