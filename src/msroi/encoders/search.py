"""Search an encoder's quality for a file of a wanted size, or of a wanted value.

One loop (`search`) serves both goals: `match_size` and `smallest_reaching` say what the error
of a file is, when a try is good enough, and which try is best.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from msroi.encoders.jpeg import scale_pct
from msroi.experiment.comparison import within

Encode = Callable[[float], bytes]

LOWEST, MIDDLE, HIGHEST = 1.0, 50.5, 100.0
MOST_ENCODES = 12
# after these many, what misses the goal by this much more than wanted will do
ENOUGH_ENCODES, LENIENCY = 8, 2
# a search ends when the qualities that are left differ by less than one entry of the tables
FINEST = 1 / 128
# against -log(libjpeg's scale in percent + 5), the log of the size is almost a straight
# line of about this slope: mostly 0.5 to 0.9 above quality 10, for four encoders
LINEAR_PCT = 5.0
SIZE_SLOPE = 0.65
# a search for a size also ends when the size is as near as this, which is worth less than 0.01 dB
CLOSE_SIZE_PCT = 0.1
# steps towards what is wanted: a little too far, so that it then lies in between
STEPS = (1.1, 2.2)
# no try lies nearer to an end than this share of the interval, or it would say nothing new
NEAREST = 0.02

# a search for a value starts higher; its level rises along a line of about this slope
VALUE_START = 75.0
VALUE_SLOPE = 0.5


class Closeness(NamedTuple):
    """When a file is near enough to a wanted value.

    Attributes
    ----------
    level
        Its level is above the wanted one by at most this.
    files_pct
        It is larger than a file that fails by at most this, in percent.
    """

    level: float
    files_pct: float


# a level of 0.02 dB, or half a percent of what SSIM lacks to 1: a third of a percent of the file.
# Measures jump, SSIM in flat areas most: there a file that fails and is hardly smaller will do
CLOSE = Closeness(level=0.0025, files_pct=0.5)


@dataclass(frozen=True)
class Try:
    """A file and its error: how far above the goal, on a scale that is about a line."""

    quality: float
    data: bytes
    error: float


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
        return within(self.size_error_pct, tolerance_pct)


@dataclass(frozen=True)
class Reached:
    """A file, and the value that the search measured of it."""

    quality: float
    data: bytes
    value: float


def match_size(
    encode_at: Encode, target_bytes: int, *, never_above: bool = False, start: float = MIDDLE
) -> Match:
    """Find the quality whose file comes nearest to `target_bytes`, with 3 to 12 encodes.

    The search takes the size for rising with the quality. Since it only almost does, the search
    returns the best file seen, not the last. It ends at a file within 0.1 %, or where the encoder
    leaves no finer choice.

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
    aim_bytes = target_bytes * (1 - CLOSE_SIZE_PCT / 200) if never_above else target_bytes

    def error_of(data: bytes) -> float:
        return math.log(max(len(data), 1) / aim_bytes)

    def badness(one: Try) -> tuple[bool, float]:
        size = len(one.data)
        return never_above and size > target_bytes, abs(size_error_pct(size, target_bytes))

    def good_enough(new: Try, _: Try | None, leniency: float) -> bool:
        return badness(new) <= (False, leniency * CLOSE_SIZE_PCT)

    best = search(encode_at, start, SIZE_SLOPE, error_of, good_enough, badness)
    return Match(best.quality, best.data, target_bytes)


def smallest_reaching(
    encode_at: Encode,
    value_of: Callable[[bytes], float],
    least: float,
    level: Callable[[float], float] = float,
    start: float = VALUE_START,
    close: Closeness = CLOSE,
) -> Reached:
    """Find the smallest file whose value is at least `least`, with 1 to 12 encodes.

    The search takes size and value for rising with the quality. It ends at a file that is
    near enough, or where the encoder leaves no finer choice.

    Parameters
    ----------
    encode_at
        Gives the file for a quality in [1, 100].
    value_of
        Gives a file's value, higher is better.
    least
        The wanted value.
    level
        Brings a value to the scale on which the search works, that of half the log of a
        squared error: against `position` it rises almost along a line, by about
        `VALUE_SLOPE`, between qualities 10 and 95. It never falls.
    start
        The quality to try first.
    close
        What is near enough.

    Returns
    -------
    Reached
        The smallest file seen with the value, or if even that of quality 100 has not, that
        of the highest value seen.
    """
    value_of = functools.cache(value_of)  # some encoders round the quality

    def error_of(data: bytes) -> float:
        return level(value_of(data)) - level(least) - close.level / 2

    def badness(one: Try) -> tuple[bool, float]:
        value = value_of(one.data)
        return value < least, len(one.data) if value >= least else -value

    def good_enough(new: Try, opposite: Try | None, leniency: float) -> bool:
        if value_of(new.data) >= least and new.error <= leniency * close.level - close.level / 2:
            return True
        return opposite is not None and apart_pct(new, opposite) <= leniency * close.files_pct

    best = search(encode_at, start, VALUE_SLOPE, error_of, good_enough, badness)
    return Reached(best.quality, best.data, value_of(best.data))


def search(
    encode_at: Encode,
    start: float,
    slope: float,
    error_of: Callable[[bytes], float],
    good_enough: Callable[[Try, Try | None, float], bool],
    badness: Callable[[Try], Any],
) -> Try:
    """Try qualities until a file is good enough, and return the best of at most 12 tries.

    Parameters
    ----------
    encode_at
        Gives the file for a quality in [1, 100].
    start
        The quality to try first.
    slope
        By how much the error rises with `position`, roughly.
    error_of
        Gives a file's error; see `Try`.
    good_enough
        Says whether to end with a try; gets also the last try on the other side of what is
        wanted, or None, and how much more than usual it may miss, 1 or, after
        `ENOUGH_ENCODES`, `LENIENCY`.
    badness
        Orders tries; the smallest is best, the first of several alike.
    """
    seen: list[Try] = []
    ends: dict[bool, Try] = {}  # the last try above what is wanted, and the last below
    quality: float | None = start
    while quality is not None and len(seen) < MOST_ENCODES:
        data = encode_at(quality)
        new = Try(quality, data, error_of(data))
        seen.append(new)
        above = new.error > 0
        old, opposite = ends.get(above), ends.get(not above)
        if len(seen) < ENOUGH_ENCODES:
            if good_enough(new, opposite, 1):
                break
        elif any(good_enough(one, opposite, LENIENCY) for one in seen):
            break
        if opposite:
            apart = abs(new.quality - opposite.quality)
            quality = crossing(new, opposite, old) if apart > FINEST else None
        else:
            quality = stepped(seen, slope)
        ends[above] = new
    return min(seen, key=badness)


def stepped(seen: Sequence[Try], slope: float) -> float | None:
    """Return what to try after tries that all err to one side, or None at the range's end.

    Two steps go a little too far. The third goes to the end of the range.
    """
    new = seen[-1]
    end = LOWEST if new.error > 0 else HIGHEST
    if new.quality == end:
        return None
    if len(seen) > len(STEPS):
        return end
    return quality_at(position(new.quality) - STEPS[len(seen) - 1] * new.error / slope)


def crossing(new: Try, opposite: Try, old: Try | None) -> float:
    """Return where to look for the quality of error 0 that lies between two tries.

    Chandrupatla's rule (1997, "A new hybrid quadratic/bisection algorithm for finding the zero of a
    nonlinear function"). It interpolates where three tries show that this will do. Else it halves
    the interval, which is what noise calls for.

    Parameters
    ----------
    new, opposite
        The last try, and the last one on the other side of what is wanted.
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


def size_error_pct(size_bytes: int, target_bytes: int) -> float:
    """Return by how much a size misses the target, signed, in percent of the target."""
    return 100.0 * (size_bytes - target_bytes) / target_bytes


def apart_pct(one: Try, other: Try) -> float:
    """Return by how much the smaller of two files is smaller, in percent of the larger."""
    small, large = sorted((len(one.data), len(other.data)))
    return 100 * (large - small) / large


def position(quality: float) -> float:
    """Return where a quality lies on the scale that makes the log of the size a line."""
    return -math.log(scale_pct(quality) + LINEAR_PCT)


def quality_at(position: float) -> float:
    """Return the quality in [1, 100] at or next to a position, as the inverse of `position`."""
    scale = math.exp(-position) - LINEAR_PCT
    quality = 5000 / scale if scale > 100 else 100 - scale / 2
    return min(max(quality, LOWEST), HIGHEST)
