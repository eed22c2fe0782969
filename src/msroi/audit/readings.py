"""What a run measured for a printed number, in each way that the paper may mean it.

A *meaning* is a column of `conventions/per_image.csv`, a *protocol* one of its rows' protocols.
Together they are one interpretation of a printed number (`Reading`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msroi.audit.check import CANNOT_TELL, CONSISTENT, NOT_REPRODUCED, Run
from msroi.audit.published import Paper, Place, Sample
from msroi.experiment.comparison import AS_RUN
from msroi.files import Row
from msroi.measures.student import reach_of

Values = NDArray[np.float64]
FEWEST = 5  # images for an interval

# printed measure -> the columns that it may mean, this project's own first, and their names
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "psnr_db": {"psnr_rgb_db": "PSNR over RGB", "psnr_luma_db": "PSNR over 8-bit luma"},
    "ssim": {
        "ssim_luma": "SSIM of luma, Gaussian window",
        "ssim_luma_uniform": "SSIM of luma, uniform window",
        "ssim_rgb": "SSIM of RGB, Gaussian window",
        "ssim_rgb_uniform": "SSIM of RGB, uniform window",
    },
    "ms_ssim": {"ms_ssim_luma": "MS-SSIM of luma"},
}


class Reading(NamedTuple):
    """One way to read a printed number."""

    protocol: str
    meaning: str
    measure: str

    def __str__(self) -> str:
        """Return what differs from this project's own reading, or that nothing does."""
        parts = [MEANINGS[self.measure][self.meaning]]
        return ", ".join(parts + [self.protocol] * (self.protocol != AS_RUN))

    @property
    def own(self) -> bool:
        """Whether it is the way in which this project measures."""
        return self.protocol == AS_RUN and self.meaning == next(iter(MEANINGS[self.measure]))


class Range(NamedTuple):
    """Where a run expects a printed mean: `mean` and its interval, from n images."""

    mean: float
    low: float
    high: float
    n: int


def rows(paper: Paper, run: Run, place: Place, protocol: str) -> Sequence[Row]:
    """Return the rows of a place's set, method and quality whose size matched, in their order."""
    if not place.setting.isdecimal():
        return []
    method = paper.in_run.get(place.method, place.method)
    key = (run.sets.get(place.dataset, ""), protocol, method, int(place.setting))
    return run.matched.get(key, [])


def by_image(paper: Paper, run: Run, place: Place, reading: Reading) -> dict[str, float]:
    """Return an interpretation's finite values by image."""
    found = {
        row["image"]: row[reading.meaning] for row in rows(paper, run, place, reading.protocol)
    }
    return {image: value for image, value in found.items() if math.isfinite(value)}


def gain_by_image(paper: Paper, run: Run, place: Place, reading: Reading) -> dict[str, float]:
    """Return the method's value minus the baseline's by image, where both have matched the size."""
    baseline, method = (by_image(paper, run, at, reading) for at in paper.both(place))
    return {image: method[image] - baseline[image] for image in method if image in baseline}


def both_arms(paper: Paper, run: Run, place: Place, meaning: str) -> tuple[Values, Values]:
    """Return the values `(n,)` of baseline and method as run, on images that both matched."""
    reading = Reading(AS_RUN, meaning, place.measure)
    baseline, method = (by_image(paper, run, at, reading) for at in paper.both(place))
    images = [image for image in baseline if image in method]
    first, second = (
        np.array([arm[image] for image in images], np.float64) for arm in (baseline, method)
    )
    return first, second


Measured = Callable[[Paper, Run, Place, Reading], dict[str, float]]  # `by_image` or `gain_by_image`


def range_of(
    paper: Paper, run: Run, place: Place, reading: Reading, sample: Sample, measured: Measured
) -> Range | None:
    """Return where `reading` expects a printed mean, or None of fewer than `FEWEST` images.

    The run measures other protocols on some of the photographs only. How far each moves its value
    on these adds to the mean of all photographs as the run made them.
    """
    as_run = measured(paper, run, place, reading._replace(protocol=AS_RUN))
    if len(as_run) < FEWEST:
        return None
    range_ = expected(np.array(list(as_run.values())), sample)
    if reading.protocol == AS_RUN:
        return range_
    moved = measured(paper, run, place, reading)
    shifts = np.array([moved[image] - as_run[image] for image in moved if image in as_run])
    if len(shifts) < FEWEST:
        return None
    half = math.hypot(
        (range_.high - range_.low) / 2,
        reach_of(len(shifts)) * shifts.std(ddof=1) / len(shifts) ** 0.5,
    )
    mean = range_.mean + float(shifts.mean())
    return Range(mean, mean - half, mean + half, len(shifts))


def interval(values: Values) -> tuple[float, float, float]:
    """Return the mean of `(n,)` values, and its t interval's ends."""
    mean, n = float(values.mean()), len(values)
    reach = float(reach_of(n) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - reach, mean + reach


def of_direction(low: float, high: float) -> str:
    """Return the verdict on a claim that a mean is above 0, of the ends of its interval."""
    return CONSISTENT if low > 0 else NOT_REPRODUCED if high < 0 else CANNOT_TELL


def readings(run: Run, measure: str) -> list[Reading]:
    """Return every interpretation of a measure that the run has, this project's own first."""
    return [
        Reading(protocol, meaning, measure)
        for protocol in run.protocols
        for meaning in MEANINGS.get(measure, {})
    ]


def expected(found: Values, sample: Sample) -> Range:
    """Return where this run expects the mean of a paper's sample.

    It takes both for draws without replacement from the `sample.of` images there are. The variance
    of the difference of their means is sd² (1 / n - 1 / N + 1 / m - 1 / N).
    """
    n = len(found)
    images, of = sample.images or n, sample.of or sample.images or n
    left = 1 / n + 1 / images - 2 / max(of, n)
    mean = float(found.mean())
    reach = reach_of(n) * float(found.std(ddof=1)) * math.sqrt(max(left, 0.0))
    return Range(mean, mean - reach, mean + reach, n)
