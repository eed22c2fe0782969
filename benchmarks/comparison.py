"""Two pieces of work timed side by side, and what is said about them."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Literal

Work = Callable[[], object]
Bound = Literal["at least", "at most"]


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    Attributes
    ----------
    job
        Its key in summary.json.
    ours, against
        What was timed, and what it is compared with, as people read it.
    ratios
        One a repeat; what is divided by what stands in `unit`.
    unit
        What the ratio is, such as "their time / our time", or "s" where there is no peer.
    target, bound
        The ratio to reach, and whether that is the least or the most that is good.
    seconds
        What each piece took in each repeat, by name.
    limit
        Why the target is not reached, from a profile; empty where it is.
    """

    job: str
    ours: str
    against: str
    ratios: Sequence[float]
    unit: str
    target: float
    bound: Bound
    seconds: Mapping[str, Sequence[float]]
    limit: str = ""

    @property
    def ratio(self) -> float:
        """The median over repeats."""
        return median(self.ratios)

    @property
    def reached(self) -> bool:
        """Whether the median meets the target."""
        over = self.ratio >= self.target
        return over if self.bound == "at least" else self.ratio <= self.target

    def summary(self) -> dict[str, Any]:
        """Return the entry of summary.json: median, least and most of n repeats, and the target."""
        return {
            "ratio": rounded(self.ratio),
            "low": rounded(min(self.ratios)),
            "high": rounded(max(self.ratios)),
            "n": len(self.ratios),
            "target": self.target,
            "bound": self.bound,
            "unit": self.unit,
            "reached": self.reached,
        }


def side_by_side(ours: Work, theirs: Work, repeats: int) -> tuple[list[float], list[float]]:
    """Time two pieces of work in turn; return the seconds that each took, one a repeat.

    Both run once before, so that what is compiled or read only once does not count. Who
    comes first changes with each repeat, and Python's garbage is collected beforehand, so
    that neither pays for the other.
    """
    for work in (ours, theirs):
        work()
    pairs = []
    for repeat in range(repeats):
        order = (ours, theirs) if repeat % 2 == 0 else (theirs, ours)
        took = {work: seconds(work) for work in order}
        pairs.append((took[ours], took[theirs]))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def speed_ratios(ours_s: Sequence[float], theirs_s: Sequence[float]) -> list[float]:
    """Return how many times as fast ours is, one a repeat: their time / our time."""
    return [theirs / ours for ours, theirs in zip(ours_s, theirs_s, strict=True)]


def seconds(work: Work) -> float:
    """Return how long a piece of work takes, in s."""
    gc.collect()
    start = perf_counter()
    work()
    return perf_counter() - start


def rounded(value: float) -> float:
    """Return three significant digits."""
    return float(f"{value:.3g}")
