"""Checks of a paper's significance: could the test have come out so, given how photographs vary?

The paper does not print the spread of a measure over photographs. The checks measure it here, on
this run's photographs of the same kind. A measure may mean several things. Then they take the way
with the smallest spread, which is the one that speaks most for the paper.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msroi.audit.check import (
    CANNOT_TELL,
    CONSISTENT,
    INCONSISTENT,
    STATISTICAL,
    Finding,
    Run,
    check,
    nothing_measured,
    verdict_of,
)
from msroi.audit.published import Paper, Place, Printed, difference
from msroi.audit.readings import MEANINGS, Values, both_arms
from msroi.measures.student import CONFIDENCE

SPREAD = (
    "photographs vary as this run's do; groups of equal size and variance; the bootstrap "
    "interval of the pooled sd covers 95 %"
)


@dataclass(frozen=True)
class Spread:
    """How much a measure varies over the photographs in both conditions: `(n,)` each, by image."""

    meaning: str
    baseline: Values
    method: Values

    @property
    def n(self) -> int:
        """Photographs."""
        return len(self.baseline)

    @property
    def sd(self) -> float:
        """The pooled standard deviation of both conditions."""
        return float(pooled_sd(self.baseline, self.method))

    def resampled(self, run: Run) -> Values:
        """Return the pooled sd of bootstrap samples of the photographs, `(resamples,)`."""
        draws = np.random.default_rng(run.seed).integers(self.n, size=(run.resamples, self.n))
        return np.asarray(pooled_sd(self.baseline[draws], self.method[draws]))

    def interval(self, run: Run) -> tuple[float, float]:
        """Return the bootstrap interval of the pooled sd (percentiles)."""
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.percentile(self.resampled(run), [tail, 100 - tail])
        return float(low), float(high)


def pooled_sd(baseline: Values, method: Values) -> NDArray[np.float64]:
    """Return the pooled sd over the last axis of two groups of equal size."""
    variances = baseline.var(axis=-1, ddof=1) + method.var(axis=-1, ddof=1)
    return np.asarray(np.sqrt(variances / 2))


def largest_sd(difference: float, n: int, alpha: float) -> float:
    """Return the largest pooled sd at which a one-way ANOVA of two groups has p < alpha.

    With n images a group F = n d² / (2 sd²), on 1 and 2 n - 2 degrees of freedom.
    """
    from scipy import stats  # slow to import, and few claims need it

    critical = float(stats.f.isf(alpha, 1, 2 * n - 2))
    return abs(difference) * math.sqrt(n / (2 * critical))


def power_of(difference: float, sd: float, n: int, alpha: float) -> float:
    """Return the power of the one-way ANOVA of two groups of n images."""
    return f_power(n * difference**2 / (2 * sd**2), 2 * n - 2, alpha)


def f_power(noncentrality: float, freedom: int, alpha: float) -> float:
    """Return the power of an F test on 1 and `freedom` degrees of freedom."""
    if noncentrality == 0:  # SciPy's noncentral F gives nonsense there
        return alpha
    from scipy import stats  # slow to import, and few claims need it

    return float(stats.ncf.sf(stats.f.isf(alpha, 1, freedom), 1, freedom, noncentrality))


def smallest_spread(paper: Paper, run: Run, place: Place) -> Spread | None:
    """Return the spread of the meaning that varies least, or None without measurements."""
    spreads = [
        Spread(name, *arms)
        for meaning, name in MEANINGS.get(place.measure, {}).items()
        if len((arms := both_arms(paper, run, place, meaning))[0]) >= 3
    ]
    return min(spreads, key=lambda spread: spread.sd, default=None)


Judge = Callable[[Place, float, Spread], Finding]


def each_mean(
    paper: Paper, run: Run, table: str, published: str, judge: Judge
) -> Iterator[Finding]:
    """Yield a finding for each pair of means, or one that says that measurements are missing."""
    for place, baseline, method in paper.pairs(table):
        spread = smallest_spread(paper, run, place)
        if spread is None:
            yield nothing_measured(paper, run, place, published)
        else:
            yield judge(place, difference(baseline, method), spread)


@check(STATISTICAL, SPREAD)
def anova_possible(paper: Paper, run: Run, table: str, alpha: str) -> Iterator[Finding]:
    """The printed difference can have p < alpha only where photographs vary little enough."""
    yield from each_mean(paper, run, table, f"p < {alpha}", sd_judge(paper, run, alpha, 1))


@check(STATISTICAL, f"Bonferroni's correction for all tests of the paper; {SPREAD}")
def anova_many_tests(
    paper: Paper, run: Run, table: str, alpha: str, tests: int
) -> Iterator[Finding]:
    """The same, where the significance level is shared among the tests."""
    published = f"p < {alpha} / {tests}"
    yield from each_mean(paper, run, table, published, sd_judge(paper, run, alpha, tests))


def sd_judge(paper: Paper, run: Run, alpha: str, tests: int) -> Judge:
    """Return the function that judges a gain by the largest sd."""

    def judge(place: Place, gain: float, spread: Spread) -> Finding:
        n = paper.sample(place.dataset, "images").images
        largest = largest_sd(gain, n, Printed(alpha).value / tests)
        low, high = spread.interval(run)
        verdict = CONSISTENT if high <= largest else INCONSISTENT if low > largest else CANNOT_TELL
        return Finding(
            place=str(place),
            published=f"p < {alpha}" + (f" / {tests}" if tests > 1 else ""),
            found=spread.sd,
            low=0.0,
            high=largest,
            verdict=verdict,
            evidence=f"a difference of {gain:+g} with n = {n} needs a pooled sd of at most "
            f"{largest:.4g}; measured {spread.sd:.4g} ({low:.4g} to {high:.4g}, n = {spread.n}, "
            f"{spread.meaning})",
            cells=paper.both(place),
            values=tuple(spread.resampled(run)),
            axis=f"pooled sd, {spread.meaning}",
        )

    return judge


@check(STATISTICAL, f"the printed difference is the true one; {SPREAD}")
def anova_power(paper: Paper, run: Run, table: str, alpha: str, power: str) -> Iterator[Finding]:
    """How probable p < alpha was, if the printed difference were the true one."""
    wanted = Printed(power).value

    def judge(place: Place, gain: float, spread: Spread) -> Finding:
        n = paper.sample(place.dataset, "images").images
        low, found, high = (
            power_of(gain, sd, n, Printed(alpha).value)
            for sd in (spread.interval(run)[1], spread.sd, spread.interval(run)[0])
        )
        verdict = CONSISTENT if low >= wanted else INCONSISTENT if high < wanted else CANNOT_TELL
        return Finding(
            place=str(place),
            published=f"p < {alpha}",
            found=found,
            low=wanted,
            high=1.0,
            verdict=verdict,
            evidence=f"power {found:.3f} ({low:.3f} to {high:.3f}) for {gain:+g} with n = {n} and "
            f"a pooled sd of {spread.sd:.4g} ({spread.meaning}); {wanted:g} is usual",
            cells=paper.both(place),
        )

    yield from each_mean(paper, run, table, f"p < {alpha}", judge)


@check(
    STATISTICAL,
    "the differences between the arms, image by image, vary as this run's do and are about normal",
)
def paired_images_needed(
    paper: Paper, run: Run, table: str, alpha: str, power: str
) -> Iterator[Finding]:
    """How many images a paired test would have needed for the printed difference."""

    def judge(place: Place, gain: float, spread: Spread) -> Finding:
        n = paper.sample(place.dataset, "images").images
        sd = float((spread.method - spread.baseline).std(ddof=1))
        needed = images_needed(abs(gain) / sd, Printed(alpha).value, Printed(power).value)
        return Finding(
            place=str(place),
            published=f"{n} images",
            found=needed,
            low=None,
            high=n,
            verdict=verdict_of(consistent=needed <= n),
            evidence=f"a paired t test finds {gain:+g} with power {power} on {needed} images where "
            f"differences have the sd {sd:.4g} measured here (n = {spread.n}, {spread.meaning})",
            cells=paper.both(place),
        )

    yield from each_mean(paper, run, table, "one-way, not paired", judge)


def images_needed(effect: float, alpha: float, power: float) -> int:
    """Return how many images a paired t test needs for a standardised effect, at least 2.

    t² is F on 1 and n - 1 degrees of freedom, with the noncentrality n effect².
    """

    def enough(n: int) -> bool:
        return f_power(n * effect**2, n - 1, alpha) >= power

    upper = 2
    while not enough(upper):
        upper *= 2
    return bisect_left(range(upper), True, lo=max(2, upper // 2), key=enough)
