"""Quantisation steps for the eye: real-valued tables along a line of one scalar.

docs/encoder.md says where each constant comes from and what it gains alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import jpeg
from msroi.encoders.jpeg import ZIGZAG

Steps = NDArray[np.float32]

# a step of 1 is the luma step at frequency 0 of Annex K, before the shape
UNIT_STEP = 16.0
# makes files about as large as plain JPEG's of the same quality
SCALE_AT_100_PCT = 0.6
LEAST_SCALE_PCT = 0.5  # at quality 100, where libjpeg's scale is 0


class Shape(NamedTuple):
    """How the log of a step depends on frequency (r = 1/8 is one half wave along a block).

    Attributes
    ----------
    linear, square
        Per unit of r and of its square.
    first
        At the lowest frequencies, a bell around r = 1/8.
    dc
        At frequency 0.
    """

    linear: float
    square: float
    dc: float
    first: float


COARSE_SCALE, COARSE = 0.9, Shape(1.16, 0.42, -0.34, -0.133)
FINE_SCALE, FINE = 0.25, Shape(1.39, 0.056, -0.35, -0.164)
CHROMA = Shape(0.09, 1.90, -0.40, 0.0)
CHROMA_STEP = 1.2  # over luma's
FIRST_AT, FIRST_WIDTH = 1 / 8, 0.1
COARSE_CHROMA_POWER = 0.5  # above scale 1 chroma's steps grow as this power of the scale

_V, _U = np.divmod(ZIGZAG, 8)
_RADIUS = np.hypot(_U, _V) / 8
_FIRST = np.where(_RADIUS > 0, np.exp(-(((_RADIUS - FIRST_AT) / FIRST_WIDTH) ** 2)), 0.0)
_DC = (_RADIUS == 0).astype(float)


def scale_of(quality: float) -> float:
    """Return the scale of the steps for a quality in [1, 100]: 1 at quality 30, 0.6 at 50."""
    return SCALE_AT_100_PCT * max(jpeg.scale_pct(quality), LEAST_SCALE_PCT) / 100


def shaped(shape: Shape) -> NDArray[np.float64]:
    """Return the relative steps of a shape, `(64,)` in zigzag order."""
    return np.asarray(
        np.exp(
            shape.linear * _RADIUS
            + shape.square * _RADIUS**2
            + shape.dc * _DC
            + shape.first * _FIRST
        )
    )


def luma_shape(scale: float) -> Shape:
    """Return the shape of luma's steps: between two scales, linear in the scale's log."""
    share = np.log(COARSE_SCALE / scale) / np.log(COARSE_SCALE / FINE_SCALE)
    share = min(max(float(share), 0.0), 1.0)
    return Shape(*((1 - share) * a + share * b for a, b in zip(COARSE, FINE, strict=True)))


def steps_of(quality: float) -> tuple[Steps, Steps]:
    """Return the real-valued steps of luma and of chroma, each `(64,)` in zigzag order."""
    scale = scale_of(quality)
    luma = UNIT_STEP * scale * shaped(luma_shape(scale))
    spared = min(1.0, scale ** (COARSE_CHROMA_POWER - 1))
    chroma = UNIT_STEP * scale * CHROMA_STEP * spared * shaped(CHROMA)
    return luma.astype(np.float32), chroma.astype(np.float32)
