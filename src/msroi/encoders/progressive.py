"""Writes chosen levels as a standard JPEG file, its scans and Huffman tables made for it."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import jpeg, libjpeg
from msroi.encoders.jpeg import ZIGZAG
from msroi.images import BLOCK_PX

T = TypeVar("T", bound=np.generic)

PACKAGES = ("msroi", "jpeglib", "mozjpeg-lossless-optimization")
LIBRARY = "turbo210"  # writes the levels, before their entropy coding is made better

# what is added to each step before it is cut to a whole number: not 1/2 for all, or entries
# that are alike would change at once, and with them the file's size
ROUNDING_SPREAD = 0.5
ROUNDING = 0.5 + ROUNDING_SPREAD * ((np.arange(64) * 45 % 64 + 0.5) / 64 - 0.5)


@dataclass(frozen=True)
class Component:
    """What a JPEG file holds of Y, Cb or Cr.

    Attributes
    ----------
    levels
        `(64, B) int16`, in zigzag order, blocks row by row.
    shape
        Height and width of the plane in samples, multiples of 8.
    table
        `(64,)`, the quantisation table in zigzag order, whole numbers from 1 to 255.
    """

    levels: NDArray[np.int16]
    shape: tuple[int, int]
    table: NDArray[np.int64]


def whole(steps: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the table of real-valued steps, `(64,)`: whole numbers from 1 to 255."""
    return np.clip(np.floor(steps + ROUNDING), 1, jpeg.BASELINE_LARGEST).astype(np.int64)


def version() -> str:
    """Return the packages that fix the bytes of a file, with their versions."""
    return ", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES)


def written(components: list[Component], size: tuple[int, int], factor: int) -> bytes:
    """Return the progressive JPEG of one component (grey) or three (colour).

    Parameters
    ----------
    components
        Y, or Y, Cb and Cr. Equal tables are written once.
    size
        The image's `(H, W)`.
    factor
        How many of the image's pixels a chroma sample spans along a side.
    """
    import mozjpeg_lossless_optimization  # type: ignore[import-untyped]

    blocks = [
        np.ascontiguousarray(_natural(one.levels).T).reshape(
            one.shape[0] // BLOCK_PX, one.shape[1] // BLOCK_PX, BLOCK_PX, BLOCK_PX
        )
        for one in components
    ]
    tables = list(dict.fromkeys(tuple(one.table) for one in components))  # each once
    steps = np.stack(
        [_natural(np.array(table, np.uint16)).reshape(BLOCK_PX, BLOCK_PX) for table in tables]
    )
    with libjpeg.using(LIBRARY) as (jpeglib, path):
        file = jpeglib.from_dct(
            *blocks,
            qt=steps,
            quant_tbl_no=np.array([tables.index(tuple(one.table)) for one in components]),
        )
        file.height, file.width = size
        # not what the numbers of blocks suggest, which differ in an image of one block
        samples = np.ones((len(components), 2), int)
        samples[0] = factor if len(components) > 1 else 1
        file.samp_factor = samples
        file.write_dct(path)
        data = Path(path).read_bytes()
    return libjpeg.numbered_from_1(mozjpeg_lossless_optimization.optimize(data))


def _natural(zigzag: NDArray[T]) -> NDArray[T]:
    """Bring an array in zigzag order into the order row by row."""
    ordered = np.empty_like(zigzag)
    ordered[ZIGZAG] = zigzag
    return ordered
