"""How many chroma samples a picture needs: none, one for 2x2 pixels (4:2:0), or all (4:4:4).

At the same size photographs are better with half the chroma samples a side: what the eye
loses there buys luma. Coloured text, line art and charts are not: no file size brings their
edges back. docs/encoder.md has the measurements behind the thresholds.
"""

from itertools import islice
from typing import Any

import numpy as np

from msroi.encoders import coefficients
from msroi.encoders.coefficients import CB_COST, CR_COST, LARGEST_SAMPLE, LUMA_COST, Plane
from msroi.images import Pixels

UNIT_PX = 16  # a block of chroma samples at 4:2:0
# the error that halving alone makes, in the worst hundredth of the units: root of the mean
# square over R, G and B. 239 photographs have 2 to 18, coloured text 29 to 42
WORST_PCT = 99.0
RUINED = 20.0
# charts have smaller errors, between flat areas: a share of units of one colour that
# photographs have only where their chroma is soft
VISIBLE = 8.0
FLAT_SHARE = 0.15


def is_grey(image: Pixels) -> bool:
    """Return whether all pixels of `(H, W, 3)` have R, G and B alike."""
    return bool((image[..., :1] == image[..., 1:]).all())


def factor(image: Pixels, chroma: str) -> int:
    """Return how many pixels a chroma sample spans along a side: 2 (4:2:0) or 1 (4:4:4).

    Parameters
    ----------
    image
        `(H, W, 3) uint8` sRGB.
    chroma
        `half`, `full`, or `auto`: full where halving would be seen at any file size.
    """
    if chroma != "auto":
        return 2 if chroma == "half" else 1
    worst = halving_error(image)
    ruined = worst >= RUINED or (worst >= VISIBLE and flat_share(image) >= FLAT_SHARE)
    return 1 if ruined else 2


def halving_error(image: Pixels) -> float:
    """Return the error of 4:2:0 alone, in levels, that a hundredth of the units exceeds.

    The root of the mean squared error of R, G and B over a unit of 16x16 pixels. It takes chroma
    halved and enlarged, but not quantised.
    """
    units: Any = 0.0
    chroma = islice(coefficients.planes(image), 1, None)
    for plane, cost in zip(chroma, (CB_COST, CR_COST), strict=True):
        plane -= _restored(plane)
        plane *= plane
        units = units + cost / LUMA_COST * coefficients.block_means(plane, UNIT_PX)
    return float(np.sqrt(np.percentile(units, WORST_PCT)))


def flat_share(image: Pixels) -> float:
    """Return the share of whole units of 16x16 pixels that have one colour, or 0 without any."""
    rows, columns = (side // UNIT_PX for side in image.shape[:2])
    units = image[: rows * UNIT_PX, : columns * UNIT_PX].reshape(rows, UNIT_PX, columns, UNIT_PX, 3)
    if not units.size:
        return 0.0
    one_colour = (units == units[:, :1, :, :1]).all(axis=(1, 3, 4))
    return float(one_colour.mean())


def _restored(plane: Plane) -> Plane:
    """Halve a plane and enlarge it again, as the encoder and a decoder do."""
    half = coefficients.halved(coefficients.padded(plane, 2))
    enlarged = coefficients.enlarged(np.clip(half, 0, LARGEST_SAMPLE))
    return enlarged[: plane.shape[0], : plane.shape[1]]
