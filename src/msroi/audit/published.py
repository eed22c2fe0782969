"""A paper's printed numbers and sentences (a folder of `paper.yaml` and `tables.csv`).

The tables say what they are. Methods have the paper's names and declared roles. A setting is text
with an optional number to sort by. Every table has its units and its source.
"""

import csv
import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from msroi.audit.texts import Entries, read_texts
from msroi.errors import ParameterError
from msroi.experiment.comparison import BASELINE
from msroi.files import read_csv

NONE = "none"
FOLDER = Path("data/published")
COLUMNS = (
    *("table", "dataset", "match_quality", "method", "measure"),
    *("published", "this_run", "difference"),
)
# printed measure -> the metric of this run that stands for it
OF_PRINTED = {"psnr_db": "psnr_rgb_db", "ssim": "ssim_luma"}
GAIN = "msroi - jpeg"
METHOD = "msroi"  # of a paper that declares no proposed method

Cell = tuple[str, str, int, str, str]

TABLE_COLUMNS = ("table", "dataset", "image", "setting", "method", "measure", "value")
OPTIONAL_COLUMNS = ("order", "mark")
MARKS = ("", "best", "second")
PAPER_KEYS = ("title", "authors", "year", "licence", "methods", "data_sets", "tables")
OPTIONAL_KEYS = ("measures", "source", "made_up")
CLAIM_KEYS = frozenset({"id", "place", "quote", "check"})
METHODS_OF = "methods of paper.yaml (baseline, proposed, others)"
METHOD_KEYS = ("baseline", "proposed", "others", "in_run")
TABLE_KEYS = ("source", "page", "transcriber", "setting", "units")
DATA_SET_KEYS = ("images", "of", "pixels")

# what is printed -> whether more is better (1), less is (-1), or neither (0)
MEASURES: Mapping[str, int] = {
    "psnr_db": 1,
    "psnr_b_db": 1,
    "psnr_hvs_db": 1,
    "psnr_hvs_m_db": 1,
    "mse": -1,
    "ssim": 1,
    "ms_ssim": 1,
    "ms_ssim_db": 1,
    "vifp": 1,
    "bytes": -1,
    "bpp": -1,
    "quality": 0,
}
# unit -> how many of the measure's own unit (bytes, or a share of 1) one of it is
UNITS = {
    **{"B": Decimal(1), "kB": Decimal(1000), "KiB": Decimal(1024)},
    **{"MB": Decimal(10**6), "MiB": Decimal(1024**2), "bits": Decimal("0.125")},
    **{"%": Decimal("0.01"), "dB": Decimal(1), "bpp": Decimal(1)},
}
NUMBER = re.compile(r"[-+−]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")


class Printed(str):
    """A number as printed: its digits say how far the authors rounded it.

    Parameters
    ----------
    text
        As printed.
    scale
        How many of the measure's own unit one of the printed unit is.

    Raises
    ------
    ParameterError
        If the text is no decimal number.
    """

    scale: Decimal
    decimal: Decimal

    def __new__(cls, text: str, scale: Decimal = Decimal(1)) -> "Printed":
        """Read the text."""
        made = super().__new__(cls, text)
        try:
            number = Decimal(text.replace("−", "-"))
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite():
            hint = "; write it without separators of thousands" if "," in text else ""
            raise ParameterError(f"{str(text)!r} is not a number as printed, such as 32.674{hint}.")
        made.scale, made.decimal = scale, number * scale
        return made

    @property
    def value(self) -> float:
        """The number, in the measure's own unit."""
        return float(self.decimal)

    @property
    def half_unit(self) -> float:
        """Half a unit of the last printed digit: the most that rounding has changed it."""
        digits = Decimal(self.replace("−", "-")).as_tuple().exponent
        return 0.5 * 10.0 ** int(digits) * float(self.scale)

    @property
    def low(self) -> float:
        """The least number that rounds to the printed one."""
        return self.value - self.half_unit

    @property
    def high(self) -> float:
        """The largest number that rounds to the printed one."""
        return self.value + self.half_unit


class Place(NamedTuple):
    """Where a paper prints a number, with an empty `image` for a mean over the set.

    `setting` is the method's setting, as printed: a quality, λ, bpp, or "(30, 10)".
    """

    table: str
    dataset: str
    image: str
    setting: str
    method: str
    measure: str

    def __str__(self) -> str:
        """Return the place as a reader finds it."""
        image = f", {self.image}" if self.image else ""
        setting = f" ({self.setting.strip('()')})" if self.setting else ""
        return f"Table {self.table}{image}, {self.method}{setting}, {self.measure}"

    def other(self, **changes: Any) -> "Place":
        """Return the place that differs in some of its parts."""
        return self._replace(**changes)


def difference(baseline: Printed, method: Printed) -> float:
    """Return method minus baseline, exactly as the printed digits have it."""
    return float(method.decimal - baseline.decimal)


class Sample(NamedTuple):
    """A dataset: how many images a mean is over, of how many, and pixels of each."""

    images: int | None = None
    of: int | None = None
    pixels: int | None = None


class Table(NamedTuple):
    """Where a table comes from, and what its numbers are in."""

    source: str = ""
    page: str = ""
    transcriber: str = ""
    setting: str = ""
    units: Mapping[str, str] = {}


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, at most 25 words of it, and the check that it calls for.

    `line` is where it is in `paper.yaml`, 0 if it comes from elsewhere.
    """

    id: str
    place: str
    quote: str
    check: str
    arguments: Mapping[str, Any]
    line: int = 0


@dataclass(frozen=True)
class Paper:
    """A publication: its printed numbers in their order and its claims.

    Attributes
    ----------
    name, title
        The folder's name, and the publication's.
    made_up
        Whether it is an example.
    samples
        By data set.
    numbers
        By place.
    claims
        In their order.
    baseline, proposed
        The method that others are compared with, and those that the paper proposes.
    in_run
        The paper's method -> that of a run; others have one name in both.
    tables
        By number: source, page, transcriber, units.
    directions
        By measure: 1 if more is better, -1 if less is, 0 if neither.
    order
        The number by which a setting is sorted, where it has one.
    marks
        By place: `best` or `second`, if it is printed so.
    folder
        Where it was read.
    """

    name: str
    title: str
    made_up: bool
    samples: Mapping[str, Sample]
    numbers: Mapping[Place, Printed]
    claims: Sequence[Claim]
    baseline: str = BASELINE
    proposed: Sequence[str] = (METHOD,)
    in_run: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    directions: Mapping[str, int] = field(default_factory=lambda: MEASURES)
    order: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[Place, str] = field(default_factory=dict)
    folder: str = ""

    @property
    def path(self) -> str:
        """The file with the claims."""
        return f"{self.folder or FOLDER / self.name}/paper.yaml"

    def of_table(self, table: str) -> dict[Place, Printed]:
        """Return the numbers of one table."""
        return {place: text for place, text in self.numbers.items() if place.table == table}

    def of_measure(self, table: str, measure: str) -> dict[Place, Printed]:
        """Return the numbers of one measure in a table."""
        return {at: text for at, text in self.of_table(table).items() if at.measure == measure}

    def both(self, place: Place) -> tuple[Place, Place]:
        """Return the places of the baseline and of the proposed method at a place."""
        method = place.method
        if method == self.baseline and self.proposed:
            method = self.proposed[0]
        return place.other(method=self.baseline), place.other(method=method)

    def pairs(self, table: str) -> Iterator[tuple[Place, Printed, Printed]]:
        """Yield a proposed method's place, and the numbers of the baseline and the method."""
        for place, printed in self.of_table(table).items():
            baseline = self.numbers.get(place.other(method=self.baseline))
            if place.method in self.proposed and baseline is not None:
                yield place, baseline, printed

    def sample(self, dataset: str, *needed: str) -> Any:
        """Return a dataset, or raise `ParameterError` if it does not declare a necessary part."""
        sample = self.samples.get(dataset, Sample())
        for part in needed:
            if getattr(sample, part) is None:
                raise ParameterError(
                    f"{self.path}: data_sets.{dataset} has no `{part}`, which this check needs; "
                    f"add `{part}: <number>`."
                )
        return sample

    def sign(self, measure: str) -> int:
        """Return 1 if more of a measure is better, else -1."""
        return self.directions.get(measure, 1) or 1

    def rank(self, setting: str) -> float | None:
        """Return the number that sorts a setting, if it has one."""
        if setting in self.order:
            return self.order[setting]
        return float(setting.replace("−", "-")) if NUMBER.fullmatch(setting) else None


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
    return read_folder(folder / name)


def read_folder(folder: Path) -> Paper:
    """Read a paper from its folder, wherever it is, and raise as `read_paper`."""
    path = folder / "paper.yaml"
    if not path.is_file():
        raise ParameterError(
            f"There is no {path}; `msroi audit --new {folder}` writes one to begin with."
        )
    values = read_texts(path)
    if not isinstance(values, Entries):
        raise ParameterError(f"{path} must have the keys {', '.join(PAPER_KEYS)}, claims.")
    known_keys(path, values, (*PAPER_KEYS, "claims"), OPTIONAL_KEYS, "the paper")
    samples = {
        key: sample(path, key, entry) for key, entry in mapping(path, values, "data_sets").items()
    }
    directions = dict(MEASURES) | {
        name: direction(path, name, text)
        for name, text in mapping(path, values, "measures").items()
    }
    tables = {
        key: table(path, key, entry, directions)
        for key, entry in mapping(path, values, "tables").items()
    }
    roles = mapping(path, values, "methods")
    known_keys(path, roles, ("baseline", "proposed"), METHOD_KEYS, "methods")
    proposed = listed(roles["proposed"])
    methods = [roles["baseline"], *proposed, *listed(roles.get("others", []))]
    names = Names(tables, samples, methods, directions)
    cells = list(read_cells(folder / "tables.csv", names, tables))
    claims = listed(values["claims"])
    paper = Paper(
        name=folder.resolve().name,
        title=str(values["title"]),
        made_up=truth(path, "made_up", values.get("made_up", "false")),
        samples=samples,
        numbers={cell.place: cell.printed for cell in cells},
        claims=[claim(path, entry) for entry in claims],
        baseline=roles["baseline"],
        proposed=proposed,
        in_run=dict(roles.get("in_run", {})),
        tables=tables,
        directions=directions,
        order=orders(folder / "tables.csv", cells),
        marks={cell.place: cell.mark for cell in cells if cell.mark},
        folder=folder.as_posix(),
    )
    check_names(path, paper, names)
    return paper


class Names(NamedTuple):
    """What `paper.yaml` declares, by kind."""

    tables: Collection[str]
    samples: Collection[str]
    methods: Collection[str]
    measures: Collection[str]


class Read(NamedTuple):
    """A row of `tables.csv`, and where it is."""

    place: Place
    printed: Printed
    order: str
    mark: str
    line: int


def unknown(where: str, kind: str, name: str, known: Iterable[str], declared: str) -> str:
    """Say that a name is unknown, which known one is nearest, and where the paper has others."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}."
    return f"{where}: there is no {kind} {name!r} in {declared}; {hint}"


def known_keys(
    path: Path, values: Entries, needed: Sequence[str], optional: Sequence[str], what: str
) -> None:
    """Insist that a mapping has the keys that it must have, and no others."""
    for key in values:
        if key not in (*needed, *optional):
            where = f"{path}, line {values.line_of(key)}"
            raise ParameterError(unknown(where, "key", key, (*needed, *optional), what))
    missing = [key for key in needed if key not in values]
    if missing:
        raise ParameterError(
            f"{path}, line {values.line}: {what} must have the keys {', '.join(needed)}; "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        )


def mapping(path: Path, values: Entries, key: str) -> Entries:
    """Return a mapping of the file, empty if it has none."""
    found = values.get(key) or Entries()
    if not isinstance(found, Entries):
        raise ParameterError(
            f"{path}, line {values.line_of(key)}: {key} must have entries `name: …`; got {found!r}."
        )
    return found


def listed(value: Any) -> list[Any]:
    """Return a list, also of what stands alone."""
    return list(value) if isinstance(value, list) else [value] if value else []


def truth(path: Path, key: str, text: Any) -> bool:
    """Read true or false."""
    if str(text).lower() not in ("true", "false"):
        raise ParameterError(f"{path}: {key} must be true or false, got {text!r}.")
    return str(text).lower() == "true"


def whole(where: str, text: Any) -> int:
    """Read a whole number."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,15}", text):
        raise ParameterError(f"{where} must be a whole number, got {text!r}.")
    return int(text)


def sample(path: Path, name: str, entry: Any) -> Sample:
    """Read a dataset."""
    entry = entry or Entries()
    if not isinstance(entry, Entries):
        raise ParameterError(
            f"{path}: data_sets.{name} must be {{images: 24, of: 24}} or {{}}; got {entry!r}."
        )
    known_keys(path, entry, (), DATA_SET_KEYS, f"data_sets.{name}")
    return Sample(
        **{
            key: whole(f"{path}, line {entry.line_of(key)}: data_sets.{name}.{key}", text)
            for key, text in entry.items()
        }
    )


def table(path: Path, name: str, entry: Any, measures: Collection[str]) -> Table:
    """Read what a table is."""
    entry = entry or Entries()
    if not isinstance(entry, Entries):
        raise ParameterError(
            f"{path}: tables.{name} must be {{source: …, units: {{bytes: kB}}}} or {{}}; "
            f"got {entry!r}."
        )
    known_keys(path, entry, (), TABLE_KEYS, f"tables.{name}")
    units = entry.get("units") or {}
    for measure, unit in units.items():
        if measure not in measures:
            raise ParameterError(unknown(f"{path}", "measure", measure, measures, "the units"))
        if unit not in UNITS:
            raise ParameterError(
                unknown(f"{path}: tables.{name}", "unit", unit, UNITS, "the known units")
            )
    return Table(**{**entry, "units": dict(units)})


def direction(path: Path, name: str, text: Any) -> int:
    """Read which way a measure of the paper's own is better."""
    known = {"higher": 1, "lower": -1, "neither": 0}
    if text not in known:
        raise ParameterError(
            f"{path}: measures.{name} must be higher, lower or neither (which is better); "
            f"got {text!r}."
        )
    return known[text]


def claim(path: Path, entry: Any) -> Claim:
    """Read one claim, or raise `ParameterError` if a key is missing."""
    if not isinstance(entry, Entries) or not entry.keys() >= CLAIM_KEYS:
        line = f", line {entry.line}" if isinstance(entry, Entries) else ""
        raise ParameterError(
            f"{path}{line}: each claim must have {', '.join(sorted(CLAIM_KEYS))}; "
            f"got {dict(entry) if isinstance(entry, Entries) else entry!r}."
        )
    arguments = {key: value for key, value in entry.items() if key not in CLAIM_KEYS}
    return Claim(
        **{key: str(entry[key]) for key in CLAIM_KEYS}, arguments=arguments, line=entry.line
    )


def check_names(path: Path, paper: Paper, names: Names) -> None:
    """Insist that each claim speaks of tables, datasets, methods and measures that there are."""
    settings = dict.fromkeys(place.setting for place in paper.numbers)
    kinds: dict[str, tuple[str, Collection[str], str]] = {
        **dict.fromkeys(("table", "than", "images", "means"), ("table", names.tables, "tables")),
        **dict.fromkeys(("dataset", "datasets"), ("data set", names.samples, "data_sets")),
        **dict.fromkeys(("measure", "measures"), ("measure", names.measures, "the known measures")),
        **dict.fromkeys(("method", "than_method"), ("method", names.methods, "methods")),
        "setting": ("setting", settings, "tables.csv"),
    }
    for one in paper.claims:
        for key, value in one.arguments.items():
            kind, known, declared = kinds.get(key, ("", (), ""))
            for name in listed(value) if kind else ():
                # a quality that only the text speaks of is not in the tables
                if name not in known and not (kind == "setting" and not one.arguments.get("table")):
                    where = f"{path}, line {one.line}: claim {one.id}"
                    raise ParameterError(unknown(where, kind, name, known, declared))


def read_cells(path: Path, names: Names, tables: Mapping[str, Table]) -> Iterator[Read]:
    """Yield the rows of `tables.csv`.

    Raises
    ------
    ParameterError
        For a wrong line, an unknown name or a number given twice, with file and line.
    """
    lines: dict[Place, int] = {}
    for line, row in numbered_rows(path):
        where = f"{path}, line {line}"
        for column, known, kind, declared in (
            ("table", names.tables, "table", "tables of paper.yaml"),
            ("dataset", names.samples, "data set", "data_sets of paper.yaml"),
            ("method", names.methods, "method", METHODS_OF),
            ("measure", names.measures, "measure", "the known measures"),
            ("mark", MARKS, "mark", "the known marks"),
        ):
            if row.get(column, "") not in known:
                raise ParameterError(unknown(where, kind, row[column], known, declared))
        place = Place(**{key: row[key] for key in TABLE_COLUMNS if key != "value"})
        if place in lines:
            raise ParameterError(f"{where}: {place} is given twice (first in line {lines[place]}).")
        lines[place] = line
        unit = tables[place.table].units.get(place.measure)
        try:
            printed = Printed(row["value"], UNITS[unit] if unit else Decimal(1))
        except ParameterError as error:
            raise ParameterError(f"{where}: {error}") from None
        yield Read(place, printed, row.get("order", ""), row.get("mark", ""), line)


def numbered_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with their lines, or raise `ParameterError` if it is none."""
    if not path.is_file():
        raise ParameterError(
            f"There is no {path}; it has the columns {','.join(TABLE_COLUMNS)}, a number a row."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ParameterError(f"{path} is not UTF-8; save it as CSV in UTF-8.") from None
    reader = csv.DictReader(text.splitlines())
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    absent = [name for name in TABLE_COLUMNS if name not in header]
    extra = [name for name in header if name not in (*TABLE_COLUMNS, *OPTIONAL_COLUMNS)]
    if absent or extra:
        raise ParameterError(
            f"{path}, line 1: expected {','.join(TABLE_COLUMNS)}, and "
            f"{' or '.join(OPTIONAL_COLUMNS)} if needed; got {','.join(header) or 'nothing'}."
        )
    for row in reader:
        if None in row.values() or None in row:
            raise ParameterError(
                f"{path}, line {reader.line_num}: expected {','.join(header)}; "
                "a comma is missing, or one too many."
            )
        yield reader.line_num, {key: value.strip() for key, value in row.items()}


def orders(path: Path, cells: Iterable[Read]) -> dict[str, float]:
    """Return the numbers that sort settings, where `tables.csv` has them."""
    found: dict[str, float] = {}
    for cell in cells:
        if not cell.order:
            continue
        if not NUMBER.fullmatch(cell.order):
            raise ParameterError(
                f"{path}, line {cell.line}: order must be a number, got {cell.order!r}."
            )
        if found.setdefault(cell.place.setting, float(cell.order)) != float(cell.order):
            raise ParameterError(
                f"{path}, line {cell.line}: the setting {cell.place.setting!r} has two orders."
            )
    return found


def mean_cells(paper: str) -> dict[Cell, float]:
    """Return the printed means over a set: (table, dataset, Q, method, measure) -> value.

    The gains, MS-ROI minus JPEG, follow each pair as cells of the method `GAIN`.
    """
    printed = {
        (row["table"], row["dataset"], int(row["setting"]), row["method"], row["measure"]): (
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
    from msroi.measures.distortion import METRICS  # slow to import, and only this needs it

    rows = []
    for (table, dataset, quality, method, measure), value in printed.items():
        metric = METRICS[OF_PRINTED[measure]]
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
