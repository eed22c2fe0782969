"""From pixels to the DCT coefficients of a JPEG file, as its decoder will undo them.

Colour as JFIF has it (BT.601, full range), blocks of 8x8, orthonormal DCT. With 4:2:0 the two
chroma planes have half the pixels a side. Decoders enlarge them by a triangle filter (libjpeg's
"fancy upsampling", the default of libjpeg-turbo and of browsers). `components` chooses the planes
for which this filter's result is nearest to the full planes.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from msroi.encoders.jpeg import ZIGZAG
from msroi.images import BLOCK_PX, Pixels

Plane = NDArray[np.float32]

# what a squared error of Cb and Cr costs in squared errors of R, G and B, where one of luma
# costs 3: sums of the squared entries of the columns of JFIF's matrix from YCbCr to RGB
LUMA_COST = 3.0
CB_COST = 0.344136**2 + 1.772**2
CR_COST = 1.402**2 + 0.714136**2
LARGEST_SAMPLE = 255
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # of R, G and B
BAND_ROWS = 256  # that are transformed at once

_PLACES = np.arange(8)
_COSINES = np.cos(np.pi * (2 * _PLACES + 1) * _PLACES[:, None] / 16) / 2
_COSINES[0] /= np.sqrt(2)
DCT = np.asarray(_COSINES, np.float32)  # (8, 8), orthonormal: frequency by place


def planes(image: Pixels) -> Iterator[Plane]:
    """Yield Y, Cb and Cr, each `(H, W) float32` in [0, 255], not rounded.

    One after the other, since those of a large photo take much memory.
    """
    luma = np.zeros(image.shape[:2], np.float32)
    for channel, weight in enumerate(LUMA_WEIGHTS):
        luma += np.float32(weight) * image[..., channel]
    yield luma
    for channel, spread in ((2, 1.772), (0, 1.402)):
        plane: Plane = image[..., channel] - luma
        plane /= np.float32(spread)
        plane += np.float32(128)
        yield plane


def enlarged(plane: Plane) -> Plane:
    """Double a plane's sides as decoders do: 3/4 of the nearer sample, 1/4 of the farther."""
    return _doubled(_doubled(plane).T).T


def halved(plane: Plane) -> Plane:
    """Return the plane of half the sides whose enlargement is nearest to `plane`.

    Least squares. Enlarging works on rows and columns apart, so the fit does, too: along each
    axis the normal equations have three diagonals. `plane` `(H, W)`, both even.
    """
    return _halved(_halved(plane).T).T


def components(image: Pixels, factor: int) -> list[Plane]:
    """Return Y, Cb and Cr as whole blocks that cover the image.

    With `factor` 2 (4:2:0) the chroma planes have half the sides, rounded up. They are those whose
    enlargement by the decoder is nearest, cut to samples of 8 bits. With 1 (4:4:4) they are full.
    """
    found = []
    for number, plane in enumerate(planes(image)):
        if number > 0 and factor == 2:
            # at edges of pure colours the nearest samples lie far beyond what decoders keep
            plane = np.clip(halved(padded(plane, 2)), 0, LARGEST_SAMPLE)
        found.append(padded(plane, BLOCK_PX))
    return found


def block_means(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return each block's mean of `(H, W)` values, `(B,)` row by row, for blocks of `side` pixels.

    What is beyond the image's edge counts as 0, so that an error nobody sees costs nothing.
    """
    height, width = values.shape
    whole = np.pad(values, ((0, -height % side), (0, -width % side)))
    rows, columns = (length // side for length in whole.shape)
    return np.asarray(whole.reshape(rows, side, columns, side).mean(axis=(1, 3)).ravel())


def enlargement_energy() -> NDArray[np.float32]:
    """Return by how much `enlarged` multiplies the squared error of each DCT frequency.

    `(64,)` in zigzag order. A wave of frequency u in a block of the small plane goes on at pi u / 8
    a sample. It leaves the filter (3/4, 1/4) with a squared amplitude of 5/8 + 3/8 cos(pi u / 8).
    That holds in two samples for one, along each axis.
    """
    along = 2 * (0.625 + 0.375 * np.cos(np.pi * np.arange(8) / 8))
    return np.asarray(np.outer(along, along).ravel()[ZIGZAG], np.float32)


def padded(plane: Plane, multiple: int) -> Plane:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    height, width = plane.shape
    if height % multiple == width % multiple == 0:
        return plane  # no copy, of a large photo
    return np.pad(plane, ((0, -height % multiple), (0, -width % multiple)), mode="edge")


def transformed(plane: Plane) -> NDArray[np.float32]:
    """Return the coefficients of a plane's blocks: `(64, B) float32`, in zigzag order.

    The sides of `plane` `(H, W)` are multiples of 8. Blocks come row by row. The mean is that of
    the plane minus 128, as the standard has it.
    """
    height, width = plane.shape
    found = np.empty((64, height // 8 * (width // 8)), np.float32)
    for top in range(0, height, BAND_ROWS):
        band = plane[top : top + BAND_ROWS].reshape(-1, 8, width // 8, 8).transpose(0, 2, 1, 3)
        coefficients = (DCT @ (band - 128) @ DCT.T).reshape(-1, 64)
        first = top // 8 * (width // 8)
        found[:, first : first + len(coefficients)] = coefficients[:, ZIGZAG].T
    return found


def restored(coefficients: NDArray[np.float32], shape: tuple[int, int]) -> Plane:
    """Return the plane `shape` of coefficients `(64, B)`, as the inverse of `transformed`."""
    height, width = shape
    natural = np.empty((coefficients.shape[1], 64), np.float32)
    natural[:, ZIGZAG] = coefficients.T
    blocks = DCT.T @ natural.reshape(height // 8, width // 8, 8, 8) @ DCT
    return np.asarray(blocks.transpose(0, 2, 1, 3).reshape(shape) + 128, np.float32)


def _doubled(plane: Plane) -> Plane:
    """Double the number of rows."""
    around = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
    rows = np.empty((plane.shape[0], 2, plane.shape[1]), np.float32)
    for number, nearer in enumerate((around[:-2], around[2:])):
        rows[:, number] = 0.75 * plane + 0.25 * nearer
    return rows.reshape(2 * plane.shape[0], plane.shape[1])


def _halved(plane: Plane) -> Plane:
    """Halve the number of rows, so that `_doubled` of the result is nearest to `plane`."""
    rows = plane.shape[0] // 2
    upper, lower = plane[0::2], plane[1::2]
    right = 0.75 * (upper + lower)
    right[:-1] += 0.25 * upper[1:]
    right[1:] += 0.25 * lower[:-1]
    right[0] += 0.25 * upper[0]
    right[-1] += 0.25 * lower[-1]
    # the transpose of `_doubled` times itself: its diagonal, and the one above
    bands = np.full((2, rows), 0.375, np.float32)
    bands[1] = 1.25
    bands[1, 0] += 0.375
    bands[1, -1] += 0.375
    if rows == 1:  # LAPACK wants two
        return np.asarray(right / bands[1], np.float32)
    return np.asarray(linalg.solveh_banded(bands, right, check_finite=False), np.float32)
