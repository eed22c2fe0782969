"""Rate–distortion curves: what one saves over another at equal quality, or gains at equal size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Values = NDArray[np.float64]

# a BD-rate of fewer points than Bjøntegaard's cubic polynomial needs says little
FEWEST_POINTS = 4
# the least share of the values of one curve that the other must reach, too
LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class Curve:
    """File sizes and what a measure says of the files, both `(n,)` and strictly increasing."""

    sizes: Values
    values: Values


def efficient(sizes: Sequence[float], values: Sequence[float]) -> Curve:
    """Return the points that no other point matches or beats with a file as small.

    The rest rises strictly in both, as interpolation needs it. Infinite values drop out.

    Parameters
    ----------
    sizes
        `(n,)`, above 0, in any unit and order.
    values
        `(n,)`, more is better.
    """
    points: list[tuple[float, float]] = []
    for size, value in sorted(zip(sizes, values, strict=True), key=lambda p: (p[0], -p[1])):
        if np.isfinite(value) and (not points or value > points[-1][1]):
            points.append((size, value))
    kept = np.array(points, np.float64).reshape(-1, 2)
    return Curve(kept[:, 0], kept[:, 1])


def overlap(one: Curve, other: Curve) -> float:
    """Return the share in [0, 1] of the values of the shorter curve that the other reaches.

    Not of both curves together: a method that can't reach a high quality competes where it can.
    """
    low = max(one.values[0], other.values[0])
    high = min(one.values[-1], other.values[-1])
    shorter = min(np.ptp(one.values), np.ptp(other.values))
    return float(max(high - low, 0.0) / shorter)


def bd_rate_pct(reference: Curve, other: Curve) -> float | None:
    """Return the Bjøntegaard delta rate: by how much more bits `other` needs, in percent.

    Bjøntegaard 2001 ("Calculation of average PSNR differences between RD-curves", VCEG-M33) takes
    the mean difference of the curves' log sizes. It is over the values that both reach. So it
    compares bits at equal quality, and negative is better. PCHIP interpolates the curves instead of
    one cubic polynomial, by the package `bjontegaard` (Herglotz et al. 2022).

    Returns
    -------
    float or None
        Above -100; None where a curve has fewer than 4 points, or less than half of the
        values of the shorter one is reached by the other.
    """
    import bjontegaard  # type: ignore[import-untyped]

    if min(len(reference.sizes), len(other.sizes)) < FEWEST_POINTS:
        return None
    if overlap(reference, other) < LEAST_OVERLAP:
        return None
    rate = bjontegaard.bd_rate(
        reference.sizes,
        reference.values,
        other.sizes,
        other.values,
        method="pchip",
        require_matching_points=False,
        min_overlap=0,  # or it would warn
    )
    return float(rate)


def at_sizes(curve: Curve, sizes: Values) -> Values:
    """Return a curve's values at sizes `(m,)`: PCHIP on their logs, NaN beyond its ends."""
    if len(curve.sizes) < 2:
        return np.full(len(sizes), np.nan)
    line = PchipInterpolator(np.log(curve.sizes), curve.values, extrapolate=False)
    return np.asarray(line(np.log(sizes)))
