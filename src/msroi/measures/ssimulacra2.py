"""SSIMULACRA 2 against one reference, with the reference's side of the work done once.

Sneyers 2023 (https://github.com/cloudinary/ssimulacra2, version 2.1) measures structural similarity
and lost or added edges. It does so in a perceptual colour space, on six scales, with a fit to
people's scores. This restates the package `ssimulacra2`, a port to NumPy, three to four times as
fast. It transforms and blurs the reference once, and the blur is a product of matrices. It works in
strips of rows that stay in a core's cache. The weights and the last formula are the package's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msroi.images import PEAK, Pixels
from msroi.measures.distortion import REACH_PX, STRIP_ROWS, Plane, halved, windowed

SCALES = 6
SMALLEST_PX = 8  # a side of the coarsest scale
C2 = 0.0009
# linear RGB to what cones take in, and what is added before the cube root (JPEG XL's opsin)
ABSORBED = np.array(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
    ]
)
BIAS = 0.0037930732552754493
# cube roots to X, Y and B, and what keeps them above 0; B is taken less Y
OPPONENT = np.array([[7.0, -7.0, 0.0], [0.5, 0.5, 0.0], [-0.5, -0.5, 1.0]])
OFFSET = np.array([0.42, 0.01, 0.55]) - OPPONENT.sum(axis=1) * np.cbrt(BIAS)

STATISTICS = 6  # of a plane: mean and 4-norm of lost structure, of added and of lost edges


def _linear_values() -> Plane:
    """Return the linear light in [0, 1] of the 256 values of sRGB."""
    values = np.arange(PEAK + 1) / PEAK
    linear: Plane = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear


LINEAR = _linear_values()


@dataclass(frozen=True)
class Side:
    """What a plane `(H, W)` of the reference is to others: all of its shape.

    Attributes
    ----------
    plane
        Its values, framed by `framed`.
    mean
        Gaussian means.
    variance
        Gaussian variances.
    """

    plane: Plane
    mean: Plane
    variance: Plane


def against(reference: Pixels) -> Callable[[Pixels], float]:
    """Return what gives the SSIMULACRA 2 of images `(H, W, 3) uint8` to a reference.

    100 if identical, 90 no difference seen, 70 high quality, 50 medium. It may be negative.
    """
    sides = [[_side(plane) for plane in planes] for planes in pyramid(reference)]

    def value(distorted: Pixels) -> float:
        scales = zip(sides, pyramid(distorted), strict=True)
        return score(
            np.array([list(map(compared, of_scale, planes)) for of_scale, planes in scales])
        )

    return value


def pyramid(image: Pixels) -> list[list[Plane]]:
    """Return an image's planes X, Y and B, framed, on up to six scales, finest first."""
    linear = [LINEAR[image[..., channel]] for channel in range(3)]
    scales = []
    for _ in range(SCALES):
        height, width = linear[0].shape
        if min(height, width) < SMALLEST_PX:
            break
        planes = np.empty((3, height, width))
        for top in range(0, height, STRIP_ROWS):
            rows = slice(top, top + STRIP_ROWS)
            planes[:, rows] = opponent(np.stack([plane[rows] for plane in linear]))
        scales.append([framed(plane) for plane in planes])
        linear = [halved(plane) for plane in linear]
    return scales


def opponent(linear: Plane) -> Plane:
    """Return linear light `(3, H, W)` in the perceptual colour space, above 0."""
    roots = np.cbrt(np.einsum("ij,jhw->ihw", ABSORBED, linear) + BIAS)
    planes: Plane = np.einsum("ij,jhw->ihw", OPPONENT, roots)
    planes += OFFSET[:, None, None]
    return planes


def framed(plane: Plane) -> Plane:
    """Put 5 px around a plane as the package does: mirrored above and below, zeros beside."""
    mirrored = np.pad(plane, ((REACH_PX, REACH_PX), (0, 0)), mode="symmetric")
    return np.pad(mirrored, ((0, 0), (REACH_PX, REACH_PX)))


def _side(plane: Plane) -> Side:
    mean, power = (
        np.concatenate(strips) for strips in zip(*_means_of_reference(plane), strict=True)
    )
    return Side(plane, mean, power - mean * mean)


def _means_of_reference(plane: Plane) -> Iterator[list[Plane]]:
    """Yield the Gaussian means of a framed plane and of its squares, strip by strip."""
    room = _room(plane, 2)
    for strip in _strips(plane):
        yield [mean.copy() for mean in _means([strip, strip * strip], room)]


def compared(side: Side, plane: Plane) -> list[float]:
    """Return `STATISTICS` of a distorted framed plane: means and 4-norms over the pixels.

    In the order: lost structure, added edges, lost edges. Strips that are those of the reference,
    of which a composite has many, lose and add nothing.
    """
    room = _room(plane, 3)
    sums = np.zeros(STATISTICS)
    top = 0
    for x, y in zip(_strips(side.plane), _strips(plane), strict=True):
        rows = slice(top, top := top + len(y) - 2 * REACH_PX)
        if np.array_equal(x, y):
            continue
        mean, power, product = _means([y, y * y, x * y], room)
        mean_x = side.mean[rows]
        # 1 - (1 - (mean_x - mean)²) (2 covariance + C2) / (both variances + C2)
        cross = mean_x * mean
        product -= cross
        product *= 2
        product += C2
        power -= mean * mean
        power += side.variance[rows]
        power += C2
        product /= power
        cross = np.subtract(mean_x, mean, out=cross)
        cross *= cross
        product *= np.subtract(1, cross, out=cross)
        lost = np.subtract(1, product, out=product)
        edges = _edges(y, mean)
        edges /= _edges(x, mean_x)
        edges -= 1
        for place, error in ((0, lost), (2, edges), (4, np.negative(edges))):
            positive = np.maximum(error, 0)
            sums[place] += positive.sum()
            positive *= positive
            positive *= positive
            sums[place + 1] += positive.sum()
    means = sums / side.mean.size
    means[1::2] **= 0.25
    return list(means)


def _edges(strip: Plane, mean: Plane) -> Plane:
    """Return one plus how far a framed strip's values are from their means."""
    edges: Plane = np.abs(strip[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX] - mean)
    edges += 1
    return edges


def _strips(plane: Plane) -> Iterator[Plane]:
    """Yield the strips of a framed plane whose windows' middles are 16 rows or fewer."""
    for top in range(0, len(plane) - 2 * REACH_PX, STRIP_ROWS):
        yield plane[top : top + STRIP_ROWS + 2 * REACH_PX]


def _room(plane: Plane, count: int) -> Plane:
    """Return what `windowed` may overwrite for so many strips of a plane."""
    return np.zeros((count, (STRIP_ROWS + 2 * REACH_PX) * plane.shape[1]))


def _means(strips: Sequence[Plane], room: Plane) -> list[Plane]:
    """Return the Gaussian means of strips of one shape, `(h, w)`, around all but the frame."""
    width = strips[0].shape[1]
    lines = windowed(np.stack(strips), room)
    return [line.reshape(-1, width)[:, : -2 * REACH_PX] for line in lines]


def score(statistics: NDArray[np.float64]) -> float:
    """Return SSIMULACRA 2 of `STATISTICS` by scale and plane, `(n, 3, 6)`."""
    from ssimulacra2.ssimulacra2 import Msssim, MsssimScale

    of_image = Msssim()
    for planes in statistics:
        scale = MsssimScale()
        scale.avg_ssim, scale.avg_edgediff = planes[:, :2].ravel(), planes[:, 2:].ravel()
        of_image.scales.append(scale)
    return float(of_image.score())
