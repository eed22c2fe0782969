"""What a compressed photo is to be: as large as plain JPEG, small enough, or good enough.

A goal searches the quality of an encoder.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from msroi.encoders import jpeg, search
from msroi.encoders.search import Encode
from msroi.errors import ImageError, ParameterError
from msroi.images import Pixels
from msroi.measures import distortion

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

    def demands(self, original_bytes: int, encoded_bytes: int) -> bool:
        """Tell whether a photo of such a size misses the goal that a file of another reaches."""


@dataclass(frozen=True)
class MatchQuality:
    """As large as plain JPEG of a whole quality, 1 to 100.

    Like is compared with like: the sizes that are matched are those without metadata.
    """

    quality: int

    def search(self, name: str, image: Pixels, encode: Encode, finished: Finish) -> Found:
        """Find the file next in size; of plain JPEG it is that of the quality itself."""
        reference = jpeg.encode(image, self.quality)
        match = search.match_size(encode, len(reference), start=self.quality)
        return Found(match.quality, match.data, len(finished(reference)))

    def demands(self, original_bytes: int, encoded_bytes: int) -> bool:
        """Demand nothing: a photo that is hardly larger will do."""
        return False


@dataclass(frozen=True)
class TargetBytes:
    """At most so many bytes, its metadata among them."""

    size_bytes: int

    def search(self, name: str, image: Pixels, encode: Encode, finished: Finish) -> Found:
        """Find the largest file that is small enough."""
        encode = functools.cache(encode)  # the sample is also the search's first try
        sample = encode(search.MIDDLE)
        added_bytes = len(finished(sample)) - len(sample)
        room = max(self.size_bytes - added_bytes, 1)
        match = search.match_size(encode, room, never_above=True)
        needed = len(match.data) + added_bytes
        if needed > self.size_bytes:
            of_these = f", {added_bytes} of them for its metadata" if added_bytes else ""
            raise ImageError(
                f"{name} can't be made as small as {self.size_bytes} bytes: "
                f"the lowest quality needs {needed}{of_these}."
            )
        return Found(match.quality, match.data, self.size_bytes)

    def demands(self, original_bytes: int, encoded_bytes: int) -> bool:
        """Demand a new file of a photo that is too large."""
        return encoded_bytes <= self.size_bytes < original_bytes


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
        Brings a value to the scale on which the search works (`search.smallest_reaching`).
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

        reached = search.smallest_reaching(encode, value_of, self.least, self.measure.level)
        if reached.value < self.least:
            text = self.measure.text
            raise ImageError(
                f"{name} can't be made to reach {text.format(self.least)}: "
                f"the highest quality gives {text.format(reached.value)}."
            )
        return Found(reached.quality, reached.data, None, {self.measure.name: reached.value})

    def demands(self, original_bytes: int, encoded_bytes: int) -> bool:
        """Demand nothing: the photo itself is the best."""
        return False


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
