"""What a run measured for a printed number, in each way that the number may be meant.

A *meaning* is a column of `conventions/per_image.csv`, a *protocol* one of its rows' protocols;
together they are a *reading* of a printed number.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from msroi.checks import CONFIDENCE, Row, Run
from msroi.conventions import AS_RUN
from msroi.published import BASELINE, METHOD, Place, Sample

Values = NDArray[np.float64]

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
    """Where a printed mean is expected: `mean` and its interval, from n images."""

    mean: float
    low: float
    high: float
    n: int


def rows(run: Run, place: Place, protocol: str) -> Sequence[Row]:
    """Return the rows of a place's set, method and quality whose size matched, in their order."""
    key = (run.sets.get(place.dataset, ""), protocol, place.method, place.match_quality)
    return run.matched.get(key, [])


def values(run: Run, place: Place, reading: Reading) -> Values:
    """Return a reading's values over the images, `(n,)`."""
    found = [row[reading.meaning] for row in rows(run, place, reading.protocol)]
    return np.array([value for value in found if math.isfinite(value)], np.float64)


def both_arms(
    run: Run, place: Place, meaning: str, protocol: str = AS_RUN
) -> tuple[Values, Values]:
    """Return the values `(n,)` of JPEG and of the method on the images that both matched."""
    arms = [
        {row["image"]: row[meaning] for row in rows(run, place.other(method=method), protocol)}
        for method in (BASELINE, METHOD)
    ]
    images = [
        image
        for image in arms[0]
        if image in arms[1] and all(math.isfinite(arm[image]) for arm in arms)
    ]
    first, second = (np.array([arm[image] for image in images], np.float64) for arm in arms)
    return first, second


def readings(run: Run, measure: str) -> list[Reading]:
    """Return every reading of a measure that the run has, this project's own first."""
    return [
        Reading(protocol, meaning, measure)
        for protocol in run.protocols
        for meaning in MEANINGS[measure]
    ]


def expected(found: Values, sample: Sample) -> Range:
    """Return where the mean of a paper's sample is expected, given this run's.

    Both are taken for draws without replacement from the `sample.of` images there are; the
    variance of the difference of their means is sd² (1 / n - 1 / N + 1 / m - 1 / N).
    """
    n = len(found)
    left = 1 / n + 1 / sample.images - 2 / max(sample.of, n)
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    mean = float(found.mean())
    reach = t * float(found.std(ddof=1)) * math.sqrt(max(left, 0.0))
    return Range(mean, mean - reach, mean + reach, n)
