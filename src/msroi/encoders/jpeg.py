"""Standard JPEG: one encoder for every method, with real-valued quality, and its decoder.

The encoder is Pillow's (libjpeg-turbo) with the conventions of the paper's comparison:
baseline, 4:2:0, Annex K tables and standard Huffman tables (brief statement in the
report). At whole qualities its output is byte for byte that of `Image.save(quality=Q)`.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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

    Scaling Annex K by a fraction between whole qualities moves many entries at once, which
    near quality 87 can make the file size jump by 4 %; so the entries pass one at a time.
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

    Plain JPEG here is 4:2:0 with standard Huffman tables, as Pillow and most programs write
    it; with `optimise` the file gets Huffman tables of its own and the same pixels.
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


def size_error_pct(size_bytes: int, target_bytes: int) -> float:
    """Return by how much a size misses the target, signed, in percent of the target."""
    return 100.0 * (size_bytes - target_bytes) / target_bytes


@dataclass(frozen=True)
class Match:
    """A file of the wanted size, as near as the search came."""

    quality: float
    data: bytes
    target_bytes: int

    @property
    def size_error_pct(self) -> float:
        """Signed size error in percent of the target."""
        return size_error_pct(len(self.data), self.target_bytes)

    def within(self, tolerance_pct: float) -> bool:
        """Whether the size error is at most `tolerance_pct` either way."""
        return abs(self.size_error_pct) <= tolerance_pct


LOWEST, MIDDLE, HIGHEST = 1.0, 50.5, 100.0
MOST_ENCODES = 12
# a search ends when the size is as near as this, which is worth less than 0.01 dB,
CLOSE_PCT = 0.1
# or when the qualities that are left differ by less than one entry of the tables
FINEST = 1 / 128
# against -log(libjpeg's scale in percent + 5), the log of the size is almost a straight
# line of about this slope: mostly 0.5 to 0.9 above quality 10, for four encoders
LINEAR_PCT = 5.0
SLOPE = 0.65
# steps towards the wanted size: a little too far, so that it then lies in between
STEPS = (1.1, 2.2)
# no try lies nearer to an end than this share of the interval, or it would say nothing new
NEAREST = 0.02


def match_size(
    encode_at: Callable[[float], bytes],
    target_bytes: int,
    *,
    never_above: bool = False,
    start: float = MIDDLE,
) -> Match:
    """Find the quality whose file comes nearest to `target_bytes`, with 12 encodes at most.

    The search (`Bracket`) takes the size for rising with the quality. Since it only almost
    does, the best file seen is returned, not the last. The search ends at a file within
    0.1 %, or where the encoder leaves no finer choice.

    Parameters
    ----------
    encode_at
        Gives the file for a quality in [1, 100].
    target_bytes
        The wanted size, positive.
    never_above
        Prefer every file of at most `target_bytes` to any larger one. A larger one is
        returned only if that of quality 1 is larger, too.
    start
        The quality to try first. The nearer the wanted one, the fewer encodes: where
        plain JPEG's size is wanted of an encoder much like it, plain JPEG's quality.
    """

    def badness(match: Match) -> tuple[bool, float]:
        return (never_above and len(match.data) > target_bytes, abs(match.size_error_pct))

    aim_bytes = target_bytes * (1 - CLOSE_PCT / 200) if never_above else target_bytes
    bracket = Bracket(SLOPE)
    best = tried = Match(start, encode_at(start), target_bytes)
    for _ in range(MOST_ENCODES - 1):
        error = math.log(max(len(tried.data), 1) / aim_bytes)
        quality = bracket.after(Try(tried.quality, error))
        if quality is None or badness(best) <= (False, CLOSE_PCT):
            break
        tried = Match(quality, encode_at(quality), target_bytes)
        best = min(best, tried, key=badness)
    return best


class Try(NamedTuple):
    """A quality and its error: how far above what is wanted, on a scale that is about a line.

    Of sizes the log of the file's over the wanted one.
    """

    quality: float
    error: float


class Bracket:
    """The qualities between which what is wanted lies, as far as tries have shown.

    Attributes
    ----------
    slope
        By how much the error rises with `position`, roughly.
    ends
        By whether the error was above 0: the last such try.
    steps
        What is left of `STEPS`.
    """

    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.ends: dict[bool, Try] = {}
        self.steps = list(STEPS)

    def after(self, new: Try) -> float | None:
        """Return what to try after a try, or None if nothing is left.

        As long as all tries err to one side: a step, at last to the end of the range. Then
        what `crossing` says.
        """
        above = new.error > 0
        end = LOWEST if above else HIGHEST
        if new.quality == end:
            return None
        old, opposite = self.ends.get(above), self.ends.get(not above)
        self.ends[above] = new
        if opposite:
            apart = abs(new.quality - opposite.quality)
            return crossing(new, opposite, old) if apart > FINEST else None
        if self.steps:
            return quality_at(position(new.quality) - self.steps.pop(0) * new.error / self.slope)
        return end


def crossing(new: Try, opposite: Try, old: Try | None) -> float:
    """Return where to look for the quality of error 0 that lies between two tries.

    Chandrupatla's rule (1997, "A new hybrid quadratic/bisection algorithm for finding the
    zero of a nonlinear function"): interpolate where three tries show that it will do, else
    halve the interval, which is what noise calls for.

    Parameters
    ----------
    new, opposite
        The last try, and the last one on the other side of the wanted size.
    old
        The one that `new` took the place of, if any; without it the two are interpolated.
    """
    x1, x2 = position(new.quality), position(opposite.quality)
    e1, e2 = new.error, opposite.error
    share = e1 / (e1 - e2)
    if old:
        x3, e3 = position(old.quality), old.error
        part, fall = (x1 - x2) / (x3 - x2), (e1 - e2) / (e3 - e2)
        if fall**2 < part and (1 - fall) ** 2 < 1 - part:
            share *= e3 / (e3 - e2)
            share += (x3 - x1) / (x2 - x1) * e1 / (e3 - e1) * e2 / (e3 - e2)
        else:
            share = 0.5
    share = min(max(share, NEAREST), 1 - NEAREST)
    return quality_at(x1 + share * (x2 - x1))


def scale_pct(quality: float) -> float:
    """Return libjpeg's jpeg_quality_scaling, in percent, without its rounding at qualities."""
    return 5000 / quality if quality < 50 else 200 - 2 * quality


def position(quality: float) -> float:
    """Return where a quality lies on the scale that makes the log of the size a line."""
    return -math.log(scale_pct(quality) + LINEAR_PCT)


def quality_at(position: float) -> float:
    """Return the quality in [1, 100] at or next to a position; the inverse of `position`."""
    scale = math.exp(-position) - LINEAR_PCT
    quality = 5000 / scale if scale > 100 else 100 - scale / 2
    return min(max(quality, LOWEST), HIGHEST)
