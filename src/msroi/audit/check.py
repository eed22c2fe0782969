"""What a check of a published claim is, what it finds, and what it may look at.

A check is a function `(paper, run, **arguments) -> findings`, registered under its name with
the family it belongs to and what it assumes. The arguments are those of the claim in
a paper's `paper.yaml`, so that another paper needs no other code.
"""

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from msroi.audit.published import Claim, Paper, Place
from msroi.errors import ParameterError
from msroi.experiment import comparison
from msroi.files import Row

CONSISTENT = "consistent"
INCONSISTENT = "inconsistent"
UNUSUAL = "unusual"
NOT_REPRODUCED = "not reproduced"
CANNOT_TELL = "cannot tell"
EXPLAINED = "explained by "
# the kinds of verdicts, from the worst to the best
KINDS = (INCONSISTENT, UNUSUAL, NOT_REPRODUCED, CANNOT_TELL, "explained", CONSISTENT)

INTERNAL, STATISTICAL, REPLICATION = FAMILIES = ("internal", "statistical", "replication")

# the files that checks look at, made by `snakemake <file>` where a stage makes them
PAPER = "{folder}/tables.csv and paper.yaml"
CONVENTIONS = "results/{experiment}/conventions/per_image.csv"
SPREAD = "results/{experiment}/heatmaps/spread.csv"
MAP_QUALITY = "results/{experiment}/heatmaps/saliency_quality.csv"
MAP_FILES = "results/{experiment}/gaze/maps_per_image.csv"
INDEX = "data/{experiment}/prepare/index.csv"
USUAL = {INTERNAL: PAPER, STATISTICAL: CONVENTIONS, REPLICATION: CONVENTIONS}


@dataclass(frozen=True)
class Run:
    """What a run has measured, as far as checks look at it.

    Attributes
    ----------
    experiment
        Its name.
    sets
        The paper's data set -> this run's test set.
    conventions
        Rows of `conventions/per_image.csv`, numbers as numbers.
    spread
        Rows of `heatmaps/spread.csv`.
    images
        How many images by (data set of the training images or test set, split).
    classes
        How many classes by data set.
    jpeg_sources
        By test set: how many photographs there are, and how many were JPEG files already.
    tolerance_pct
        The largest size error of a match.
    resamples, seed
        Of every bootstrap.
    photographs
        A folder with the paper's photographs, a folder a data set; None if there is none.
    map_quality, map_files
        Rows of `heatmaps/saliency_quality.csv` and of `gaze/maps_per_image.csv`.
    """

    experiment: str
    sets: Mapping[str, str]
    conventions: Sequence[Row]
    spread: Sequence[Row]
    images: Mapping[tuple[str, str], int]
    classes: Mapping[str, int]
    jpeg_sources: Mapping[str, tuple[int, int]]
    tolerance_pct: float
    resamples: int
    seed: int
    photographs: Path | None = None
    map_quality: Sequence[Row] = ()
    map_files: Sequence[Row] = ()

    @cached_property
    def matched(self) -> Mapping[tuple[str, str, str, int], Sequence[Row]]:
        """The rows of `conventions` whose size matched, by set, protocol, method and quality."""
        cells: dict[tuple[str, str, str, int], list[Row]] = {}
        for row in self.conventions:
            if comparison.within(row["size_error_pct"], self.tolerance_pct):
                key = (row["dataset"], row["protocol"], row["method"], int(row["match_quality"]))
                cells.setdefault(key, []).append(row)
        return cells

    @cached_property
    def protocols(self) -> Sequence[str]:
        """The protocols of `conventions`, with the files as this run made them first."""
        return list(dict.fromkeys(row["protocol"] for row in self.conventions))


@dataclass(frozen=True)
class Finding:
    """What one check says of one number.

    Attributes
    ----------
    place
        Where the number is printed.
    published, found
        The number as printed, and what stands against it.
    low, high
        What the published number would have to lie within; None where there is no such range.
    verdict
        One of `consistent`, `inconsistent`, `unusual`, `not reproduced`, `cannot tell`, or
        `explained by …`.
    evidence
        Why, in a sentence with the numbers, their source and n.
    cells
        The places in the tables that it looked at.
    values
        What was measured, one value an image or sample, to draw the number on; may be empty.
    axis
        What `values` are.
    """

    place: str
    published: str
    found: float | str | None
    low: float | None
    high: float | None
    verdict: str
    evidence: str
    cells: tuple[Place, ...] = ()
    values: Sequence[float] = field(default=(), repr=False, compare=False)
    axis: str = ""


Function = Callable[..., Iterable[Finding]]
NO_RUN = "no run was given to compare with"


@dataclass(frozen=True)
class Check:
    """A registered check: its family, and what must hold for its verdict to mean something.

    `source` is the file that the evidence comes from, `wants` what it looks for in the tables.
    """

    name: str
    family: str
    assumes: str
    source: str
    wants: str
    function: Function

    def made_by(self, folder: str, experiment: str) -> str:
        """Return the file that the evidence comes from, and the command that makes it."""
        file = self.source.format(folder=folder, experiment=experiment)
        made = self.source != PAPER and "/" in file
        return f"{file}, made by `snakemake {file}`" if made else file


REGISTRY: dict[str, Check] = {}


def check(
    family: str, assumes: str, source: str | None = None, wants: str = "printed numbers"
) -> Callable[[Function], Function]:
    """Register a function under its name, with the family's usual source of evidence."""

    def register(function: Function) -> Function:
        name = function.__name__
        REGISTRY[name] = Check(name, family, assumes, source or USUAL[family], wants, function)
        return function

    return register


class AbsentError(LookupError):
    """A check does not find what a claim speaks of, or finds more than one, and says which."""


def findings(paper: Paper, run: Run, claim: Claim) -> Iterator[Finding]:
    """Yield what the claim's check finds.

    Raises
    ------
    ParameterError
        If there is no such check, its arguments are not those of the claim, or it finds nothing
        to look at.
    """
    line = f", line {claim.line}" if claim.line else ""
    where = f"{paper.path}{line}: claim {claim.id}"
    if claim.check not in REGISTRY:
        near = difflib.get_close_matches(claim.check, REGISTRY, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}? T" if near else "t"
        raise ParameterError(
            f"{where}: there is no check {claim.check!r}; {hint}here are: "
            f"{', '.join(sorted(REGISTRY))}."
        )
    one = REGISTRY[claim.check]
    where = f"{where}: check {one.name}"
    arguments = typed(where, one.function, claim.arguments)
    signature = inspect.signature(one.function)
    try:
        signature.bind(paper, run, **arguments)
    except TypeError as error:
        takes = ", ".join(list(signature.parameters)[2:])  # after the paper and the run
        raise ParameterError(f"{where} takes {takes}: {error}.") from None
    nothing = True
    try:
        for finding in one.function(paper, run, **arguments):
            nothing = False
            yield finding
    except KeyError as error:
        raise ParameterError(f"{where}: tables.csv has no number for {error.args[0]}.") from None
    except (AbsentError, ParameterError) as error:
        raise ParameterError(f"{where}: {error}") from None
    if nothing:
        given = ", ".join(f"{key} {value}" for key, value in arguments.items())
        methods = f"baseline {paper.baseline}, proposed {', '.join(paper.proposed)}"
        raise ParameterError(
            f"{where}: found nothing to look at; it looks for {one.wants} "
            f"({given or 'no arguments'}; {methods})."
        )


def typed(where: str, function: Function, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a claim's arguments as the check takes them.

    Raises
    ------
    ParameterError
        If one is of another type; the message says what to write.
    """
    parameters = inspect.signature(function).parameters
    found = {}
    for key, value in given.items():
        name = key.replace("except", "exceptions")
        wanted = parameters[name].annotation if name in parameters else None
        text = str(value)
        if wanted is bool and not isinstance(value, bool):
            if text.lower() not in ("true", "false"):
                raise ParameterError(f"{where}: {key} must be true or false, got {value!r}.")
            value = text.lower() == "true"
        elif wanted is int and not isinstance(value, int):
            if not text.isdecimal():
                raise ParameterError(f"{where}: {key} must be a whole number, got {value!r}.")
            value = int(text)
        elif wanted is str and not isinstance(value, str):
            if isinstance(value, list | dict):
                raise ParameterError(f"{where}: {key} must be one text, got {value!r}.")
            value = text
        elif wanted == Sequence[str] and isinstance(value, str):
            value = [value] if value else []
        found[name] = value
    return found


def nothing_measured(paper: Paper, run: Run, place: Place, published: str) -> Finding:
    """Say that this run has no photographs for a place."""
    return Finding(
        place=str(place),
        published=published,
        found=None,
        low=None,
        high=None,
        verdict=CANNOT_TELL,
        evidence=f"experiment {run.experiment} has no test set in place of {place.dataset} with "
        f"both methods at quality {place.setting}"
        if run.experiment
        else NO_RUN,
        cells=paper.both(place),
    )


def within(value: float, low: float, high: float) -> bool:
    """Tell whether a value lies within a range, but for the rounding of floats."""
    slack = 1e-9 * max(abs(low), abs(high), 1e-3)
    return low - slack <= value <= high + slack


def kind(verdict: str) -> str:
    """Return a verdict without the interpretation that explains the number: one of `KINDS`."""
    return "explained" if verdict.startswith(EXPLAINED) else verdict


def verdict_of(*, consistent: bool, otherwise: str = INCONSISTENT) -> str:
    """Return the verdict of a check that can only agree or not."""
    return CONSISTENT if consistent else otherwise


# a run that has measured nothing: for a paper's tables alone
NO_RESULTS = Run(
    experiment="",
    sets={},
    conventions=[],
    spread=[],
    images={},
    classes={},
    jpeg_sources={},
    tolerance_pct=0.0,
    resamples=0,
    seed=0,
)
