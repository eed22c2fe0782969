"""Standard JPEG: one encoder for every method, with real-valued quality, and its decoder.

The encoder is Pillow's (libjpeg-turbo) with the conventions of the paper's comparison. These are
baseline, 4:2:0, Annex K tables and standard Huffman tables (brief statement in the report). At
whole qualities its output is byte for byte that of `Image.save(quality=Q)`.
"""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

from msroi.images import Pixels

# ITU-T T.81, Annex K, Tables K.1 and K.2, row by row
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMA_TABLE = np.full((8, 8), 99)
CHROMA_TABLE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
ANNEX_K = np.concatenate([LUMA_TABLE.ravel(), CHROMA_TABLE.ravel()])
# every 45th entry in turn: each part of a quality step changes low and high frequencies
PASSING_ORDER = np.arange(128) * 45 % 128

# row by row index of the coefficient at each place of the zigzag (ITU-T T.81, Figure A.6)
ZIGZAG = np.array(
    sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
)

QUALITIES = np.arange(1, 101)
# libjpeg's jpeg_quality_scaling, in percent, for whole qualities
SCALES_PCT = np.where(QUALITIES < 50, 5000 // QUALITIES, 200 - 2 * QUALITIES)
BASELINE_LARGEST = 255  # tables of baseline files have 8 bits


def encoder_version() -> str:
    """Return the versions that fix the encoder's bytes: Pillow's and its JPEG library's."""
    turbo = features.version("libjpeg_turbo")
    library = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"
    return f"{PIL.__version__} ({library})"


def library() -> str:
    """Return what encodes, with the versions that fix its bytes."""
    return f"pillow {encoder_version()}"


def tables(quality: float) -> list[list[int]]:
    """Return the luma and chroma quantisation tables for a quality in [1, 100].

    Scaling Annex K by a fraction between whole qualities moves many entries at once. Near quality
    87 that can make the file size jump by 4 %. So the entries pass one at a time.
    """
    return passing(quality, lambda whole: scaled(ANNEX_K, int(SCALES_PCT[whole - 1])))


def passing(quality: float, at_whole: Callable[[int], NDArray[np.int64]]) -> list[list[int]]:
    """Return luma and chroma tables of any encoder for a real-valued quality in [1, 100].

    Between whole qualities the entries pass one at a time from the lower quality's step to
    the upper's.

    Parameters
    ----------
    quality
        The quality, in [1, 100].
    at_whole
        Gives the `(128,)` entries for a whole quality from 1 to 100: 64 for luma, 64 for
        chroma, each row by row.
    """
    below = int(quality)
    steps = at_whole(below).copy()
    above = at_whole(min(below + 1, 100))
    changing = PASSING_ORDER[(steps != above)[PASSING_ORDER]]
    changed = changing[: round((quality - below) * len(changing))]
    steps[changed] = above[changed]
    return [steps[:64].tolist(), steps[64:].tolist()]


def scaled(
    table: NDArray[np.int64], scale_pct: int, largest: int = BASELINE_LARGEST
) -> NDArray[np.int64]:
    """Scale a quantisation table as libjpeg does: rounded, within 1 to `largest`."""
    return np.clip((table * scale_pct + 50) // 100, 1, largest)


def encode(
    image: Pixels, quality: float, *, subsampling: str = "4:2:0", optimise: bool = False
) -> bytes:
    """Encode `(H, W, 3) uint8` sRGB as a baseline JPEG of a quality in [1, 100].

    Plain JPEG here is 4:2:0 with standard Huffman tables, as Pillow and most programs write it.
    With `optimise` the file gets Huffman tables of its own and the same pixels.
    """
    # Pillow must hold an optimised file whole. Without a quality it makes room for 2 bytes a
    # pixel; noise, the worst, needs 1.6 at quality 100 and 4:2:0. With a quality below 95 it
    # would make room for 1.
    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer, "JPEG", qtables=tables(quality), subsampling=subsampling, optimize=optimise
    )
    return buffer.getvalue()


def decode(data: bytes) -> Pixels:
    """Decode a JPEG to `(H, W, 3) uint8` sRGB."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def nearest_quality(quantization: Mapping[int, Sequence[int]]) -> int:
    """Return the whole quality whose luma table lies nearest to a file's.

    `quantization` is Pillow's `image.quantization`, in natural (row by row) order.
    """
    luma = np.array(quantization[min(quantization)])
    distances = [np.abs(luma - scaled(ANNEX_K[:64], scale)).sum() for scale in SCALES_PCT]
    return int(QUALITIES[int(np.argmin(distances))])


def scale_pct(quality: float) -> float:
    """Return libjpeg's jpeg_quality_scaling, in percent, without its rounding at qualities."""
    return 5000 / quality if quality < 50 else 200 - 2 * quality
