"""Checks of what a paper says of its saliency maps, against the maps of a run.

A claim names two of the run's maps (`heatmap.maps`, or those that stage gaze adds). It also names
the measure of the run that compares them. Both maps have values on the same photographs, so
differences are paired by photograph.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from msroi.audit.check import (
    CANNOT_TELL,
    MAP_FILES,
    MAP_QUALITY,
    NO_RUN,
    REPLICATION,
    Finding,
    Run,
    check,
)
from msroi.audit.published import Paper
from msroi.audit.readings import FEWEST, interval, of_direction
from msroi.experiment import comparison
from msroi.files import Row

WANTS = "rows of both maps"


@check(
    REPLICATION,
    "the run's map of this name is made as the paper makes its own; intervals are paired",
    MAP_QUALITY,
    WANTS,
)
def map_finds(paper: Paper, run: Run, first: str, second: str, by: str) -> Iterator[Finding]:
    """One map finds better than another what people look at, or where an object is."""
    of_measure = [row for row in run.map_quality if row["measure"] == by]
    values = [
        {
            (row["dataset"], row["image"]): float(row["value"])
            for row in of_measure
            if row["map"] == name
        }
        for name in (first, second)
    ]
    yield paired(run, f"maps {first} and {second}, {by}", *values)


@check(
    REPLICATION,
    "the run's map of this name is made as the paper makes its own; intervals are paired",
    MAP_FILES,
    WANTS,
)
def map_gains(
    paper: Paper, run: Run, first: str, second: str, encoder: str, by: str
) -> Iterator[Finding]:
    """A method's files are better with one map than with another, at the same size."""
    rows: list[Row] = [
        row
        for row in run.map_files
        if row["method"] == encoder
        and comparison.within(float(row["size_error_pct"]), run.tolerance_pct)
    ]
    values = [
        {(row["dataset"], row["image"]): float(row[by]) for row in rows if row["map"] == name}
        for name in (first, second)
    ]
    yield paired(run, f"{encoder} with the maps {first} and {second}, {by}", *values)


def paired(
    run: Run,
    place: str,
    first: dict[tuple[str, str], float],
    second: dict[tuple[str, str], float],
) -> Finding:
    """Judge whether the first of two maps has the higher values, by a paired t interval."""
    both: Sequence[tuple[str, str]] = sorted(first.keys() & second.keys())
    if len(both) < FEWEST:
        why = f"experiment {run.experiment} has measured {len(both)} photographs with both"
        return Finding(
            place=place,
            published="better",
            found=None,
            low=None,
            high=None,
            verdict=CANNOT_TELL,
            evidence=why if run.experiment else NO_RUN,
        )
    differences = np.array([first[one] - second[one] for one in both])
    mean, low, high = interval(differences)
    return Finding(
        place=place,
        published="better",
        found=mean,
        low=0.0,
        high=None,
        verdict=of_direction(low, high),
        evidence=f"mean difference {mean:+.4f} ({low:+.4f} to {high:+.4f}), better on "
        f"{int((differences > 0).sum())} of {len(differences)}",
        values=tuple(differences),
        axis=f"difference, {place}",
    )
