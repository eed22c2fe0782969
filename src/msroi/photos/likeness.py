"""How like its original a compressed photo looks: SSIMULACRA 2 in float32, for a search.

Stages take `measures.ssimulacra2`. This gives the same values but for rounding, in less than half
the time. The reference implementation of SSIMULACRA 2 has float32 too. All three planes go through
each step at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msroi.images import Pixels
from msroi.measures import ssimulacra2
from msroi.measures.distortion import BAND, REACH_PX, STRIP_ROWS, halved
from msroi.measures.ssimulacra2 import C2, SCALES, SMALLEST_PX, STATISTICS

Planes = NDArray[np.float32]

LINEAR, ABSORBED, OPPONENT, OFFSET = (
    of.astype(np.float32)
    for of in (ssimulacra2.LINEAR, ssimulacra2.ABSORBED, ssimulacra2.OPPONENT, ssimulacra2.OFFSET)
)
BIAS = np.float32(ssimulacra2.BIAS)
BELLS = BAND.astype(np.float32)  # (16, 26): times 26 values in a line, 16 Gaussian means
# columns, or runs of 26 values, of a product: BLAS would share larger ones among threads, which
# then wait for one another
AT_ONCE = 512


@dataclass(frozen=True)
class Side:
    """What the reference is to others on one scale, each `(3, H, W)`.

    Attributes
    ----------
    planes
        X, Y and B, framed: `(3, H + 10, W + 10)`.
    mean
        Gaussian means.
    variance
        Gaussian variances, plus C2.
    edges
        How far values are from their means.
    flatness
        1 / (1 + `edges`).
    """

    planes: Planes
    mean: Planes
    variance: Planes
    edges: Planes
    flatness: Planes


def against(reference: Pixels) -> Callable[[Pixels], float]:
    """Return what gives the SSIMULACRA 2 of images `(H, W, 3) uint8` to a reference.

    Values are those of `ssimulacra2.against` but for rounding, 0.0001 or less.
    """
    sides = [_side(planes) for planes in pyramid(reference)]

    def value(distorted: Pixels) -> float:
        scales = zip(sides, pyramid(distorted), strict=True)
        return ssimulacra2.score(np.array([compared(side, planes) for side, planes in scales]))

    return value


def pyramid(image: Pixels) -> Iterator[Planes]:
    """Yield an image's planes X, Y and B, framed, on up to six scales, finest first."""
    linear = [LINEAR[image[..., channel]] for channel in range(3)]
    for _ in range(SCALES):
        height, width = linear[0].shape
        if min(height, width) < SMALLEST_PX:
            break
        planes = np.zeros((3, height + 2 * REACH_PX, width + 2 * REACH_PX), np.float32)
        middle = planes[:, REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
        for top in range(0, height, STRIP_ROWS):
            rows = slice(top, top + STRIP_ROWS)
            of = np.stack([plane[rows].ravel() for plane in linear])
            middle[:, rows] = opponent(of).reshape(3, -1, width)
        # mirrored above and below, zeros beside (`ssimulacra2.framed`)
        planes[:, :REACH_PX] = planes[:, 2 * REACH_PX - 1 : REACH_PX - 1 : -1]
        planes[:, -REACH_PX:] = planes[:, -REACH_PX - 1 : -2 * REACH_PX - 1 : -1]
        yield planes
        linear = [halved(plane) for plane in linear]


def opponent(linear: Planes) -> Planes:
    """Return linear light `(3, n)` in the perceptual colour space, above 0."""
    roots = ABSORBED @ linear
    roots += BIAS
    planes: Planes = OPPONENT @ np.cbrt(roots, out=roots)
    planes += OFFSET[:, None]
    return planes


def _strips(planes: Planes) -> Iterator[tuple[slice, Planes]]:
    """Yield 16 rows or fewer of `(3, H, W)`, and the strip of the framed planes around them."""
    height = planes.shape[1] - 2 * REACH_PX
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top, min(top + STRIP_ROWS, height))
        yield rows, planes[:, top : rows.stop + 2 * REACH_PX]


def _middle(strip: Planes) -> Planes:
    return strip[:, REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]


def _side(planes: Planes) -> Side:
    shape = 3, planes.shape[1] - 2 * REACH_PX, planes.shape[2] - 2 * REACH_PX
    side = Side(planes, *(np.empty(shape, np.float32) for _ in range(4)))
    for rows, x in _strips(planes):
        mean, power = blurred(x), blurred(x * x)
        side.mean[:, rows] = mean
        side.variance[:, rows] = power - mean * mean + np.float32(C2)
        edges = side.edges[:, rows] = np.abs(_middle(x) - mean)
        side.flatness[:, rows] = 1 / (edges + 1)
    return side


def blurred(strip: Planes) -> Planes:
    """Return the Gaussian means of a framed strip `(3, h + 10, w + 10)`: `(3, h, w)`."""
    rows, width = strip.shape[1] - 2 * REACH_PX, strip.shape[2]
    count = 3 * rows * width
    runs = -(-count // STRIP_ROWS)
    lines = np.zeros(runs * STRIP_ROWS + 2 * REACH_PX, np.float32)
    down = lines[:count].reshape(3, rows, width)
    for left in range(0, width, AT_ONCE):
        part = np.s_[..., left : left + AT_ONCE]
        np.matmul(BELLS[:rows, : strip.shape[1]], strip[part], out=down[part])
    # along all rows at once: the last 10 of each are those of windows that go on in the next
    strides = STRIP_ROWS * lines.itemsize, lines.itemsize
    windows = np.ndarray((runs, BELLS.shape[1]), np.float32, lines, strides=strides)
    means = np.empty((runs, STRIP_ROWS), np.float32)
    for top in range(0, runs, AT_ONCE):
        some = slice(top, top + AT_ONCE)
        np.matmul(np.ascontiguousarray(windows[some]), BELLS.T, out=means[some])
    return means.ravel()[:count].reshape(3, rows, width)[..., : -2 * REACH_PX]


def compared(side: Side, planes: Planes) -> NDArray[np.float64]:
    """Return `STATISTICS` of distorted framed planes: `(3, 6)`, as `ssimulacra2.compared` does.

    It takes the structure from the differences d = y - x of the planes. With variances V and means
    m, the covariance is (V(x) + V(y) - V(d)) / 2. So the lost structure is r + m(d)² (1 - r), for
    r = V(d) / (V(x) + V(y) + C2). That never subtracts what is almost alike.
    """
    sums = np.zeros((STATISTICS, 3))
    for (rows, y), (_, x) in zip(_strips(planes), _strips(side.planes), strict=True):
        apart = y - x
        mean_apart, power_apart, power = blurred(apart), blurred(apart * apart), blurred(y * y)
        mean = side.mean[:, rows] + mean_apart
        edges = np.abs(np.subtract(_middle(y), mean))
        edges -= side.edges[:, rows]
        edges *= side.flatness[:, rows]
        mean *= mean
        power -= mean
        power += side.variance[:, rows]
        mean_apart *= mean_apart
        power_apart -= mean_apart
        power_apart /= power  # r
        mean_apart *= np.subtract(1, power_apart, out=power)
        power_apart += mean_apart
        lost = power_apart.reshape(3, -1)
        ones = np.ones(lost.shape[1], np.float32)
        sums[0] += lost @ ones
        lost *= lost
        sums[1] += [of @ of for of in lost]
        sums[2:] += _split(edges.reshape(3, -1), ones)
    means: NDArray[np.float64] = sums / side.mean[0].size
    means[1::2] **= 0.25
    return means.T


def _split(errors: Planes, ones: Planes) -> NDArray[np.float64]:
    """Return the sums of what is above 0 and of its fourth powers, then those of what is below.

    They are `(4, 3)` for `(3, n)`.
    """
    sizes = np.abs(errors)
    total, size = errors @ ones, sizes @ ones
    sizes *= errors
    errors *= errors
    even = np.array([of @ of for of in errors])
    odd = np.array([of @ signed for of, signed in zip(errors, sizes, strict=True)])
    return np.array([size + total, even + odd, size - total, even - odd], np.float64) / 2
