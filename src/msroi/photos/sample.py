"""A sample of a large photo: tiles of it, side by side, for the search of a quality.

The tiles lie on the grid of JPEG's units, so that a sample's blocks are blocks of the photo. They
spread evenly, so that the sample has the photo's parts in their proportions.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from msroi.encoders.search import Encode
from msroi.images import Pixels

T = TypeVar("T", bound=np.generic)

LARGE_PX = 2_000_000  # photos of more pixels are sampled
SAMPLE_PX = 1_250_000  # about so many of them
TILE_PX, UNIT_PX = 256, 16


class Sample(NamedTuple):
    """Part of a photo, `(h, w, 3) uint8`, and what gives its file for a quality."""

    image: Pixels
    encode: Encode


class Places(NamedTuple):
    """Which rows and columns of a photo are in its sample, `(h,)` and `(w,)`."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def cut(self, array: NDArray[T]) -> NDArray[T]:
        """Return what an array of the photo's `(H, W, …)` has at these places: `(h, w, …)`."""
        return array[np.ix_(self.rows, self.columns)]


def places(height: int, width: int) -> Places | None:
    """Return where to sample a photo, or None if it is no large one."""
    if height * width <= LARGE_PX:
        return None
    scale = (SAMPLE_PX / (height * width)) ** 0.5
    short, long = sorted((height, width))
    of_short = spread(short, round(short * scale / TILE_PX))
    of_long = spread(long, round(SAMPLE_PX / of_short.size / TILE_PX))
    return Places(of_short, of_long) if height == short else Places(of_long, of_short)


def spread(length: int, tiles: int) -> NDArray[np.intp]:
    """Return the places of so many tiles, at least one, spread along a side from end to end.

    All places of a side that has no room for them.
    """
    tiles = max(tiles, 1)
    if length <= tiles * TILE_PX:
        return np.arange(length)
    room = length - TILE_PX
    shares = np.linspace(0, 1, tiles) if tiles > 1 else np.array([0.5])
    starts = (shares * room / UNIT_PX + 1e-9).astype(np.intp) * UNIT_PX
    return np.asarray((starts[:, None] + np.arange(TILE_PX)).ravel())
