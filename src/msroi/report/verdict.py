"""What the report's page says first: a sentence and three numbers, from the tables of results.

A measure's mean difference has a 95 % interval. A method is ahead of another if this interval lies
on the better side of 0. It is behind if the interval lies on the worse side, and else level.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from msroi.audit.readings import FEWEST
from msroi.encoders.methods import METHODS
from msroi.experiment.comparison import BASELINE
from msroi.files import Row
from msroi.measures.distortion import HEADLINE, METRICS
from msroi.measures.gaze import GAZE
from msroi.measures.measure import TUNED, Measure
from msroi.measures.perceptual import JUDGES
from msroi.measures.student import reach_of

OURS = ("roi-trellis", "trellis", "trellis-psnr", "msroi")  # the first that a run has
PEERS = ("mozjpeg", "jpegli", BASELINE)  # the same
EVERY_SET = "all"
FIXATED, SALIENT = "ssimulacra2_fixated", "ssimulacra2_composite"
# as the page names them: who has not read of composites knows what a region is
MEASURES: dict[str, Measure] = (
    METRICS
    | JUDGES
    | GAZE
    | {SALIENT: replace(JUDGES[SALIENT], label="SSIMULACRA 2 of the most salient fifth")}
)
# of the whole photograph, in the order in which the sentence names them
WHOLE = tuple(
    dict.fromkeys(
        name
        for name in (*JUDGES, *HEADLINE)
        if not MEASURES[name].needs_map and name != "wpsnr_rgb_db"
    )
)
SHOWN = tuple(dict.fromkeys((*WHOLE, "wpsnr_rgb_db", *JUDGES, *GAZE)))  # in the table
BYTES_BY = "psnr_fixated_db"  # blind: no encoder was chosen by it
AHEAD, LEVEL, BEHIND = "ahead", "level", "behind"
NEXT_TO = {AHEAD: "ahead of", LEVEL: "level with", BEHIND: "behind"}


@dataclass(frozen=True)
class Difference:
    """By how much a method's measure exceeds another's, over photographs of equal file sizes.

    Attributes
    ----------
    measure, against, dataset
        The column in the tables, the other method, and the set or `EVERY_SET`.
    n, mean, low, high
        Photographs. Their mean difference and its interval.
    won
        The share of photographs on which the method is better. None where no table has it.
    """

    measure: str
    against: str
    dataset: str
    n: int
    mean: float
    low: float
    high: float
    won: float | None

    @property
    def standing(self) -> str:
        """Whether the method is `AHEAD`, `LEVEL` or `BEHIND`."""
        if self.low <= 0 <= self.high:
            return LEVEL
        return AHEAD if (self.mean > 0) == MEASURES[self.measure].higher_is_better else BEHIND


@dataclass(frozen=True)
class Number:
    """A number at the top of the page, as text."""

    value: str
    what: str
    interval: str
    n: int
    note: str = ""


def compared(methods: Sequence[str]) -> tuple[str, str] | None:
    """Choose whom the verdict is about and against whom, or None if a run has no two methods."""
    ours = [name for name in OURS if name in methods]
    ours += [name for name in methods if name in METHODS and name not in (*OURS, *PEERS)]
    peers = [name for name in PEERS if name in methods]
    return (ours[0], peers[0]) if ours and peers else None


def interval(mean: float, sd: float, n: int) -> tuple[float, float]:
    """Return Student's 95 % interval of a mean of n values with a standard deviation (n - 1)."""
    reach = reach_of(n) * sd / math.sqrt(n)
    return mean - reach, mean + reach


def of_metrics(rows: Iterable[Row]) -> list[tuple[Row, Difference]]:
    """Read `metrics/comparison.csv`, which has two columns a measure: mean and `_sd`."""
    found = []
    for row in (row for row in rows if int(row["n"]) > 1):
        for name in METRICS:
            if row[name] and row[f"{name}_sd"]:
                found.append((row, difference(row, name, row[name], row[f"{name}_sd"], None)))
    return found


def by_measure(rows: Iterable[Row], column: str) -> list[tuple[Row, Difference]]:
    """Read the table of stage `judges` or `gaze`, with a row a measure, which `column` names."""
    return [
        (row, difference(row, row[column], row["difference"], row["sd"], float(row["won"])))
        for row in rows
        if int(row["n"]) > 1 and row["sd"]
    ]


def difference(row: Row, measure: str, mean: str, sd: str, won: float | None) -> Difference:
    """Return what a row of a table of comparisons says by a measure."""
    n = int(row["n"])
    low, high = interval(float(mean), float(sd), n)
    return Difference(measure, row["against"], row["dataset"], n, float(mean), low, high, won)


def differences(
    tables: Iterable[Iterable[tuple[Row, Difference]]], method: str, quality: int
) -> dict[tuple[str, str], Difference]:
    """Return a method's differences at one quality, by measure and other method.

    Where several tables or test sets have one, that over the most photographs counts, and of
    those the first.
    """
    found: dict[tuple[str, str], Difference] = {}
    for table in tables:
        for row, one in table:
            if row["method"] != method or int(row["match_quality"]) != quality:
                continue
            key = (one.measure, one.against)
            if key not in found or one.n > found[key].n:
                found[key] = one
    return found


def whole(found: Mapping[tuple[str, str], Difference], against: str) -> list[Difference]:
    """Return the differences by measures of the whole photograph, of `FEWEST` photographs or more.

    Over fewer nearly everything is level, which says nothing.
    """
    of_whole = (found.get((name, against)) for name in WHOLE)
    return [one for one in of_whole if one is not None and one.n >= FEWEST]


def sentence(
    found: Mapping[tuple[str, str], Difference], method: str, against: str, quality: int
) -> str:
    """Say in a sentence by which measures of the whole photograph a method is ahead or behind."""
    of_whole = whole(found, against)
    by = {
        standing: [MEASURES[one.measure].label for one in of_whole if one.standing == standing]
        for standing in (AHEAD, LEVEL, BEHIND)
    }
    if not of_whole:
        return ""
    name = "plain JPEG" if against == BASELINE else against
    parts = [
        f"{standing} by {listed(measures) if measures else 'none'}"
        for standing, measures in by.items()
        if measures or standing == BEHIND  # losses are told even where there are none
    ]
    standing = next(one for one, measures in by.items() if measures)
    parts[0] = f"{NEXT_TO[standing]} {name}{parts[0].removeprefix(standing)}"
    return f"At the size of plain JPEG of quality {quality}, {method} is {listed(parts)}."


def footnote(found: Mapping[tuple[str, str], Difference], method: str, against: str) -> str:
    """Say what decides the sentence, over how many photographs, and what chose the method."""
    of_whole = whole(found, against)
    if not of_whole:
        return ""
    counts = sorted({one.n for one in of_whole})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    tuned = [MEASURES[one.measure].label for one in of_whole if tuned_to(method, one.measure)]
    chosen = f" {method} was tuned to {listed(tuned)}." if tuned else ""
    return (
        f"Ahead or behind: the 95 % interval of the mean difference leaves out 0; n = {n} "
        f"photographs.{chosen}"
    )


def tuned_to(method: str, measure: str) -> bool:
    """Say whether a method is an encoder of ours that we tuned to a measure.

    The measures' roles are those to `trellis` and `roi-trellis` alone.
    """
    return method in ("trellis", "roi-trellis") and MEASURES[measure].role == TUNED


def listed(names: Sequence[str]) -> str:
    """Join names as one says them: `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def three(
    found: Mapping[tuple[str, str], Difference],
    ratios: Iterable[Row],
    method: str,
    against: str,
) -> list[Number]:
    """Choose the first three numbers that the run has of at least `FEWEST` photographs.

    SSIMULACRA 2 of the whole photograph comes first. The same of the most fixated fifth follows,
    or of the most salient one. Bytes for equal PSNR at fixations come third. Every run has
    saliency-weighted PSNR, SSIM and PSNR, which stand in.

    Parameters
    ----------
    found
        What `differences` returns.
    ratios
        Rows of gaze/bytes.csv.
    method, against
        What `compared` returns.
    """
    looked_at = FIXATED if usable(found.get((FIXATED, against))) else SALIENT
    wanted = [("ssimulacra2", against), (looked_at, against)]
    wanted_after = [
        *((name, against) for name in ("wpsnr_rgb_db", "ssim_luma", "psnr_rgb_db")),
        *((name, BASELINE) for name in ("wpsnr_rgb_db", "ssim_luma", "psnr_rgb_db")),
    ]
    numbers = [
        *(number(found[key], method) for key in wanted if usable(found.get(key))),
        *saved(ratios, method),
        *(
            number(found[key], method)
            for key in dict.fromkeys(wanted_after)
            if usable(found.get(key))
        ),
    ]
    return numbers[:3]


def usable(one: Difference | None) -> bool:
    """Say whether a difference is there and over enough photographs."""
    return one is not None and one.n >= FEWEST


def number(one: Difference, method: str) -> Number:
    """Return a difference as the top of the page shows it."""
    measure = MEASURES[one.measure]
    unit = f" {measure.unit}" if measure.unit else ""
    notes = [] if one.won is None else [f"better on {round(one.won * one.n)} of {one.n}"]
    notes += ["a measure that it was tuned to"] if tuned_to(method, one.measure) else []
    notes += ["weighted by the run's own map"] if one.measure == "wpsnr_rgb_db" else []
    notes += [] if one.dataset == EVERY_SET else [f"set {one.dataset}"]
    low, high = (signed(value, measure.gain_digits) for value in (one.low, one.high))
    name = "plain JPEG" if one.against == BASELINE else one.against
    return Number(
        value=f"{signed(one.mean, measure.gain_digits)}{unit}",
        what=f"{measure.label}, {method} minus {name}",
        interval=f"{low} to {high}",
        n=one.n,
        note=", ".join(notes),
    )


def saved(ratios: Iterable[Row], method: str) -> list[Number]:
    """Return how many bytes more or fewer than plain JPEG a method needs where people look.

    That is of the set with the most photographs, or nothing.
    """
    rows = [
        row
        for row in ratios
        if (row["method"], row["against"], row["measure"]) == (method, BASELINE, BYTES_BY)
        and int(row["n"]) >= FEWEST
    ]
    if not rows:
        return []
    row = max(rows, key=lambda row: int(row["n"]))
    value, low, high = (100 * (float(row[name]) - 1) for name in ("ratio", "low", "high"))
    return [
        Number(
            value=f"{signed(value, 1)} %",
            what=f"bytes of {method} against plain JPEG, for equal {MEASURES[BYTES_BY].label}",
            interval=f"{signed(low, 1)} to {signed(high, 1)}",
            n=int(row["n"]),
            note=f"set {row['dataset']}",
        )
    ]


def signed(value: float, digits: int) -> str:
    """Format a number with its sign, a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")
