"""Standard JPEG: one encoder for every method, with real-valued quality, and its decoder.

The encoder is Pillow's (libjpeg-turbo) with the conventions of the paper's comparison:
baseline, 4:2:0, Annex K tables and standard Huffman tables (brief statement in the
report). At whole qualities its output is byte for byte that of `Image.save(quality=Q)`.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

from msroi.images import Pixels

ENCODER = "pillow"

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

QUALITIES = np.arange(1, 101)
# libjpeg's jpeg_quality_scaling, in percent, for whole qualities
SCALES_PCT = np.where(QUALITIES < 50, 5000 // QUALITIES, 200 - 2 * QUALITIES)


def encoder_version() -> str:
    """Return the versions that fix the encoder's bytes: Pillow's and its JPEG library's."""
    turbo = features.version("libjpeg_turbo")
    library = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"
    return f"{PIL.__version__} ({library})"


def tables(quality: float) -> list[list[int]]:
    """Return the luma and chroma quantisation tables for a quality in [1, 100].

    Between whole qualities the entries pass one at a time from the lower quality's step to
    the upper's. Scaling Annex K by a fraction instead moves many entries at once, which
    near quality 87 can make the file size jump by 4 %.
    """
    below = int(quality)
    steps = scaled(ANNEX_K, int(SCALES_PCT[below - 1]))
    above = scaled(ANNEX_K, int(SCALES_PCT[min(below, 99)]))
    changing = PASSING_ORDER[(steps != above)[PASSING_ORDER]]
    changed = changing[: round((quality - below) * len(changing))]
    steps[changed] = above[changed]
    return [steps[:64].tolist(), steps[64:].tolist()]


def scaled(table: NDArray[np.int64], scale_pct: int) -> NDArray[np.int64]:
    """Scale a quantisation table as libjpeg does: rounded, within 1 to 255 (baseline)."""
    return np.clip((table * scale_pct + 50) // 100, 1, 255)


def encode(image: Pixels, quality: float) -> bytes:
    """Encode `(H, W, 3) uint8` sRGB as a baseline 4:2:0 JPEG of a quality in [1, 100]."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", qtables=tables(quality), subsampling="4:2:0")
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


@dataclass(frozen=True)
class Match:
    """A file of the wanted size, as near as the search came."""

    quality: float
    data: bytes
    target_bytes: int

    @property
    def size_error_pct(self) -> float:
        """Signed size error in percent of the target."""
        return 100.0 * (len(self.data) - self.target_bytes) / self.target_bytes

    def within(self, tolerance_pct: float) -> bool:
        """Whether the size error is at most `tolerance_pct` either way."""
        return abs(self.size_error_pct) <= tolerance_pct


# 12 halvings of [1, 100] reach 0.025 of a quality step: a few of its table entries
HALVINGS = 12


def match_size(
    encode_at: Callable[[float], bytes], target_bytes: int, *, never_above: bool = False
) -> Match:
    """Find the quality whose file comes nearest to `target_bytes`.

    Bisection over the quality; since the size is only almost monotone in it, the best
    file seen is returned, not the last. The two ends are tried first, so that a target
    out of reach is seen as such.

    Parameters
    ----------
    encode_at
        Gives the file for a quality in [1, 100].
    target_bytes
        The wanted size, positive.
    never_above
        Prefer every file of at most `target_bytes` to any larger one.
    """

    def badness(match: Match) -> tuple[bool, float]:
        return (never_above and len(match.data) > target_bytes, abs(match.size_error_pct))

    def tried(quality: float) -> Match:
        return Match(quality, encode_at(quality), target_bytes)

    low, high = 1.0, 100.0
    best = min(tried(low), tried(high), key=badness)
    for _ in range(HALVINGS):
        middle = tried((low + high) / 2)
        best = min(best, middle, key=badness)
        if len(middle.data) == target_bytes:
            break
        if len(middle.data) < target_bytes:
            low = middle.quality
        else:
            high = middle.quality
    return best
