"""What a compressed photo is to be: as large as plain JPEG, small enough, or good enough.

A goal searches the quality of an encoder.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from msroi.encoders import jpeg
from msroi.encoders.jpeg import Try
from msroi.errors import ImageError, ParameterError
from msroi.images import Pixels
from msroi.measures import distortion

Encode = Callable[[float], bytes]
Finish = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Found:
    """The file that a goal has found, still without its metadata.

    Attributes
    ----------
    quality, data
        The quality, and the file.
    target_bytes
        The wanted size of the file with its metadata; None where no size was wanted.
    values
        By name, what was measured of the file, where that was wanted.
    """

    quality: float
    data: bytes
    target_bytes: int | None
    values: dict[str, float] = field(default_factory=dict)


class Goal(Protocol):
    """What a photo's file is to reach."""

    def search(self, name: str, image: Pixels, encode: Encode, finished: Finish) -> Found:
        """Find the file.

        Parameters
        ----------
        name
            The photo's, for an error.
        image
            `(H, W, 3) uint8` sRGB.
        encode
            Gives the image's file for a quality in [1, 100].
        finished
            Adds the metadata to the image's file, always as many bytes.

        Raises
        ------
        ImageError
            If no quality reaches the goal.
        """


@dataclass(frozen=True)
class MatchQuality:
    """As large as plain JPEG of a whole quality, 1 to 100.

    Like is compared with like: the sizes that are matched are those without metadata.
    """

    quality: int

    def search(self, name: str, image: Pixels, encode: Encode, finished: Finish) -> Found:
        """Find the file next in size; of plain JPEG it is that of the quality itself."""
        reference = jpeg.encode(image, self.quality)
        match = jpeg.match_size(encode, len(reference), start=self.quality)
        return Found(match.quality, match.data, len(finished(reference)))


@dataclass(frozen=True)
class TargetBytes:
    """At most so many bytes, its metadata among them."""

    size_bytes: int

    def search(self, name: str, image: Pixels, encode: Encode, finished: Finish) -> Found:
        """Find the largest file that is small enough."""
        encode = functools.cache(encode)  # the sample is also the search's first try
        sample = encode(jpeg.MIDDLE)
        added_bytes = len(finished(sample)) - len(sample)
        room = max(self.size_bytes - added_bytes, 1)
        match = jpeg.match_size(encode, room, never_above=True)
        needed = len(match.data) + added_bytes
        if needed > self.size_bytes:
            of_these = f", {added_bytes} of them for its metadata" if added_bytes else ""
            raise ImageError(
                f"{name} can't be made as small as {self.size_bytes} bytes: "
                f"the lowest quality needs {needed}{of_these}."
            )
        return Found(match.quality, match.data, self.size_bytes)


@dataclass(frozen=True)
class Measure:
    """A measure of a distorted image that can be a target.

    Attributes
    ----------
    name
        As in results.
    text
        Of a value, in a sentence; a format.
    of
        Gives the value for a reference and a distorted image; higher is better.
    level
        Brings a value to the scale on which the search works, that of half the log of a
        squared error: against `jpeg.position` it rises almost along a line, by about
        `SLOPE`, between qualities 10 and 95.
    """

    name: str
    text: str
    of: Callable[[Pixels, Pixels], float]
    level: Callable[[float], float]


# of what is too near to perfect for a search on logs; 130 dB or so
PERFECT = 15.0
PSNR = Measure(
    "psnr_rgb_db",
    "a PSNR of {:.2f} dB",
    distortion.psnr_rgb_db,
    lambda value_db: min(value_db * math.log(10) / 20, PERFECT),
)
SSIM = Measure(
    "ssim_luma",
    "an SSIM of {:.4f}",
    distortion.ssim_luma,
    lambda value: -math.log(max(1 - value, math.exp(-2 * PERFECT))) / 2,
)


@dataclass(frozen=True)
class TargetMeasure:
    """The smallest file whose image is at least so good."""

    measure: Measure
    least: float

    def search(self, name: str, image: Pixels, encode: Encode, finished: Finish) -> Found:
        """Find the file; `ImageError` also if the image is too small to be measured."""

        def value_of(data: bytes) -> float:
            try:
                return self.measure.of(image, jpeg.decode(data))
            except ImageError as error:
                raise ImageError(f"{name}: {error}") from None

        reached = smallest_reaching(encode, value_of, self.least, self.measure.level)
        if reached.value < self.least:
            text = self.measure.text
            raise ImageError(
                f"{name} can't be made to reach {text.format(self.least)}: "
                f"the highest quality gives {text.format(reached.value)}."
            )
        return Found(reached.quality, reached.data, None, {self.measure.name: reached.value})


DEFAULT_QUALITY = 50


def goal(
    match_quality: int | None = None,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssim: float | None = None,
) -> Goal:
    """Return the goal that one option sets; without any, the size of JPEG of quality 50.

    Parameters
    ----------
    match_quality
        As large as plain JPEG of this quality, 1 to 100.
    target_bytes
        At most so many bytes, 1 or more.
    target_psnr
        The smallest file with this PSNR of RGB or a higher one, 0 to 100 dB.
    target_ssim
        The smallest file with this SSIM of luma or a higher one, 0 to 1.

    Raises
    ------
    ParameterError
        If several are given, or one out of its range.
    """
    goals: dict[str, Goal] = {}
    if match_quality is not None:
        insist("match_quality is from 1 to 100", 1 <= match_quality <= 100, match_quality)
        goals["match_quality"] = MatchQuality(match_quality)
    if target_bytes is not None:
        insist("target_bytes is at least 1", target_bytes >= 1, target_bytes)
        goals["target_bytes"] = TargetBytes(target_bytes)
    if target_psnr is not None:
        insist("target_psnr is from 0 to 100 dB", 0 <= target_psnr <= 100, target_psnr)
        goals["target_psnr"] = TargetMeasure(PSNR, target_psnr)
    if target_ssim is not None:
        insist("target_ssim is from 0 to 1", 0 <= target_ssim <= 1, target_ssim)
        goals["target_ssim"] = TargetMeasure(SSIM, target_ssim)
    if len(goals) > 1:
        raise ParameterError(f"A photo has one goal, got {' and '.join(goals)}; give one of them.")
    return next(iter(goals.values()), MatchQuality(DEFAULT_QUALITY))


def insist(rule: str, kept: bool, value: float) -> None:
    """Raise `ParameterError` if a value does not keep to a rule."""
    if not kept:
        raise ParameterError(f"{rule}, got {value!r}.")


START = 75.0
MOST_ENCODES = 12
# a search ends with a level above the wanted one by no more than this: 0.02 dB, or half a
# percent of what SSIM lacks to 1; a third of a percent of the file size
CLOSE = 0.0025
# or where a file that fails is smaller by no more than this: measures jump, SSIM in flat
# areas most
CLOSE_PCT = 0.5
SLOPE = 0.5


@dataclass(frozen=True)
class Reached:
    """A file, and the value that was measured of it."""

    quality: float
    data: bytes
    value: float


def smallest_reaching(
    encode_at: Encode,
    value_of: Callable[[bytes], float],
    least: float,
    level: Callable[[float], float] = float,
) -> Reached:
    """Find the smallest file whose value is at least `least`, with 12 encodes at most.

    The search takes size and value for rising with the quality, as `jpeg.match_size` does,
    and goes the same way: steps that overshoot a little until the wanted value lies between
    two tries, then Chandrupatla's rule. It ends at a file whose level is above the wanted
    one by at most `CLOSE`, or that is larger than one that fails by at most `CLOSE_PCT`, or
    where the encoder leaves no finer choice.

    Parameters
    ----------
    encode_at
        Gives the file for a quality in [1, 100].
    value_of
        Gives a file's value, higher is better.
    least
        The wanted value.
    level
        Brings values to a scale as `Measure.level` has it; it never falls.

    Returns
    -------
    Reached
        The smallest file seen with the value, or if even that of quality 100 has not, that
        of the highest value seen.
    """

    def badness(reached: Reached) -> tuple[bool, float]:
        enough = reached.value >= least
        return not enough, len(reached.data) if enough else -reached.value

    value_of = functools.cache(value_of)  # some encoders round the quality
    bracket = jpeg.Bracket(SLOPE)
    last: dict[bool, Reached] = {}
    seen: list[Reached] = []
    quality: float | None = START
    while quality is not None and len(seen) < MOST_ENCODES:
        data = encode_at(quality)
        new = Reached(quality, data, value_of(data))
        seen.append(new)
        enough = new.value >= least
        error = level(new.value) - level(least) - CLOSE / 2  # above 0, or done, if enough
        if enough and error <= CLOSE / 2:
            break
        last[enough] = new
        if len(last) == 2 and apart_pct(*last.values()) <= CLOSE_PCT:
            break
        quality = bracket.after(Try(quality, error))
    return min(seen, key=badness)


def apart_pct(one: Reached, other: Reached) -> float:
    """Return by how much the smaller of two files is smaller, in percent of the larger."""
    small, large = sorted((len(one.data), len(other.data)))
    return 100 * (large - small) / large
