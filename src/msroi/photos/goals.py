"""What a compressed photo is to be: good enough, as large as plain JPEG, or small enough.

A goal searches the quality of an encoder. Of a large photo it does so on a sample (`sample`). It
measures as people see on that alone. Sizes, PSNR and SSIM it measures on the whole in the end.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from msroi.encoders import jpeg, search
from msroi.encoders.search import Closeness, Encode, Match, Reached
from msroi.errors import ImageError, ParameterError
from msroi.images import Pixels
from msroi.measures import distortion, ssimulacra2
from msroi.photos import likeness
from msroi.photos.sample import Sample


class OutOfReachError(ImageError):
    """No quality of an encoder is good enough."""


Finish = Callable[[bytes], bytes]
Value = Callable[[Pixels], float]


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
        By name, what was measured, where that was wanted.
    sampled
        Whether that was measured of a sample.
    plain_quality, plain_bytes
        Of the plain JPEG, with this metadata, that is as good by these values; None where the
        goal was none such.
    """

    quality: float
    data: bytes
    target_bytes: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    sampled: bool = False
    plain_quality: float | None = None
    plain_bytes: int | None = None


class Goal(Protocol):
    """What a photo's file is to reach."""

    def search(
        self,
        name: str,
        image: Pixels,
        encode: Encode,
        finished: Finish,
        sample: Sample | None = None,
    ) -> Found:
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
        sample
            Of a large photo.

        Raises
        ------
        ImageError
            If no quality reaches the goal.
        """

    def demands(self, original_bytes: int, encoded_bytes: int) -> bool:
        """Tell whether a photo of such a size misses the goal that a file of another reaches."""


class Undemanding:
    """A goal that the photo itself will do for, even if it is hardly larger."""

    def demands(self, original_bytes: int, encoded_bytes: int) -> bool:
        """Demand nothing."""
        return False


@dataclass(frozen=True)
class EncoderQuality(Undemanding):
    """The encoder's own quality, 1 to 100, without a search."""

    quality: float

    def search(
        self,
        name: str,
        image: Pixels,
        encode: Encode,
        finished: Finish,
        sample: Sample | None = None,
    ) -> Found:
        """Return the file of that quality."""
        return Found(self.quality, encode(self.quality))


@dataclass(frozen=True)
class MatchQuality(Undemanding):
    """As large as plain JPEG of a quality, 1 to 100.

    Sizes without metadata have to match, so that like meets like.
    """

    quality: float

    def search(
        self,
        name: str,
        image: Pixels,
        encode: Encode,
        finished: Finish,
        sample: Sample | None = None,
    ) -> Found:
        """Find the file next in size. Of plain JPEG it is that of the quality itself."""
        reference = jpeg.encode(image, self.quality)
        match = matched(image, encode, len(reference), sample, start=self.quality)
        return Found(match.quality, match.data, len(finished(reference)))


@dataclass(frozen=True)
class TargetBytes:
    """At most so many bytes, its metadata among them."""

    size_bytes: int

    def search(
        self,
        name: str,
        image: Pixels,
        encode: Encode,
        finished: Finish,
        sample: Sample | None = None,
    ) -> Found:
        """Find the largest file that is small enough."""
        encode = functools.cache(encode)  # the first file is also the search's first try
        first = encode(search.MIDDLE) if sample is None else sample.encode(search.MIDDLE)
        added_bytes = len(finished(first)) - len(first)
        room = max(self.size_bytes - added_bytes, 1)
        match = matched(image, encode, room, sample, never_above=True)
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


# a size that a sample leads to is searched no further within this
SAMPLED_SIZE_PCT = 0.25
MOST_WHOLE_ENCODES = 3


def matched(
    image: Pixels,
    encode: Encode,
    target_bytes: int,
    sample: Sample | None,
    *,
    never_above: bool = False,
    start: float = search.MIDDLE,
) -> Match:
    """Find the file of a size as `search.match_size` does, of a large photo by a sample.

    The photo's sizes are the sample's times a factor. At first that is plain JPEG's, then that of
    the photo's last file, of which there are one to three. If no size above the target will do and
    all are, it searches the photo's own sizes.
    """
    if sample is None:
        return search.match_size(encode, target_bytes, never_above=never_above, start=start)
    # a little smaller where it must not be larger, so that it may err to either side
    aim_bytes = round(target_bytes * (1 - SAMPLED_SIZE_PCT / 100 * never_above))
    of_sample = functools.cache(sample.encode)
    factor = len(jpeg.encode(image, start)) / len(jpeg.encode(sample.image, start))
    made: dict[float, bytes] = {}
    for _ in range(MOST_WHOLE_ENCODES):
        tried = search.match_size(of_sample, max(round(aim_bytes / factor), 1), start=start)
        start = tried.quality
        if start in made:
            break
        made[start] = encode(start)
        if abs(search.size_error_pct(len(made[start]), aim_bytes)) <= SAMPLED_SIZE_PCT:
            break
        factor = len(made[start]) / len(tried.data)
    fitting = [
        Match(quality, data, target_bytes)
        for quality, data in made.items()
        if not never_above or len(data) <= target_bytes
    ]
    if not fitting:
        return search.match_size(encode, target_bytes, never_above=True, start=start)
    return min(fitting, key=lambda match: abs(match.size_error_pct))


@dataclass(frozen=True)
class Measure:
    """A measure of a distorted image that can be a target.

    Attributes
    ----------
    name
        As in results.
    text
        Of a value, in a sentence; a format.
    against
        Gives, for a reference, what gives the value of a distorted image; higher is better.
    level
        Brings a value to the scale on which the search works (`search.smallest_reaching`).
    by_sample
        Whether a sample's value is taken for that of a large photo.
    close
        What is near enough.
    """

    name: str
    text: str
    against: Callable[[Pixels], Value]
    level: Callable[[float], float]
    by_sample: bool = False
    close: Closeness = search.CLOSE


def is_tiny(image: Pixels) -> bool:
    """Tell whether an image is too small for SSIMULACRA 2."""
    return bool(min(image.shape[:2]) < ssimulacra2.SMALLEST_PX)


def _ssimulacra2_against(reference: Pixels) -> Value:
    if is_tiny(reference):
        height, width = reference.shape[:2]
        raise ImageError(
            f"The image has {width}x{height} pixels; SSIMULACRA 2 needs at least "
            f"{ssimulacra2.SMALLEST_PX} a side."
        )
    return likeness.against(reference)


# of what is too near to perfect for a search on logs; 130 dB or so
PERFECT = 15.0
# -log(100 - SSIMULACRA 2) rises along a line of slope 0.9 where the search looks (medians of 90
# photos of three data sets, 0.7 to 1.0). The search's first step goes by 0.55, a tenth too far
SSIMULACRA2_SLOPE = 0.5
# near enough for the eye: 0.2 points above 80, or one percent of the file
CLOSE_TO_THE_EYE = Closeness(level=0.0052, files_pct=1.0)
# by how much the position of `trellis` and `roi-trellis` is below that of a plain JPEG as good: of
# one with a bit a pixel, and how much more for each time e as many (90 photos of three data sets)
AHEAD, AHEAD_BY_BITS = 0.32, 0.2


# functions with names, since a goal goes to other processes
def _psnr_against(reference: Pixels) -> Value:
    return functools.partial(distortion.psnr_rgb_db, reference)


def _psnr_level(value_db: float) -> float:
    return min(value_db * math.log(10) / 20, PERFECT)


def _ssim_against(reference: Pixels) -> Value:
    return functools.partial(distortion.ssim_luma, reference)


def _ssim_level(value: float) -> float:
    return -math.log(max(1 - value, math.exp(-2 * PERFECT))) / 2


def _ssimulacra2_level(value: float) -> float:
    return min(-SSIMULACRA2_SLOPE * math.log(max(100 - value, 1e-9)), PERFECT)


PSNR = Measure("psnr_rgb_db", "a PSNR of {:.2f} dB", _psnr_against, _psnr_level)
SSIM = Measure("ssim_luma", "an SSIM of {:.4f}", _ssim_against, _ssim_level)
SSIMULACRA2 = Measure(
    "ssimulacra2",
    "a SSIMULACRA 2 of {:.2f}",
    _ssimulacra2_against,
    _ssimulacra2_level,
    by_sample=True,
    close=CLOSE_TO_THE_EYE,
)


def smallest(
    measure: Measure,
    least: float | Callable[[Value], float],
    subject: Sample,
    start: float = search.VALUE_START,
) -> tuple[Reached, float]:
    """Find the smallest file of a photo, or of its sample, whose value is at least `least`.

    Parameters
    ----------
    measure
        What is measured.
    least
        The wanted value, or what gives it for what measures.
    subject
        The image and its encoder.
    start
        The quality to try first.

    Returns
    -------
    tuple
        The file, and the wanted value.
    """
    value_of = measure.against(subject.image)
    wanted = least(value_of) if callable(least) else least

    def of_file(data: bytes) -> float:
        return value_of(jpeg.decode(data))

    reached = search.smallest_reaching(
        subject.encode, of_file, wanted, measure.level, start, measure.close
    )
    return reached, wanted


@dataclass(frozen=True)
class TargetMeasure(Undemanding):
    """The smallest file whose image is at least so good.

    Attributes
    ----------
    measure, least
        The measure and the least value.
    of_tiny
        The goal of images that are too small to be measured; None refuses them.
    """

    measure: Measure
    least: float
    of_tiny: Goal | None = None

    def search(
        self,
        name: str,
        image: Pixels,
        encode: Encode,
        finished: Finish,
        sample: Sample | None = None,
    ) -> Found:
        """Find the file. It raises `ImageError` also if the image is too small for the measure."""
        if self.of_tiny is not None and is_tiny(image):
            return self.of_tiny.search(name, image, encode, finished)
        by_sample = sample if self.measure.by_sample else None
        try:
            reached, _ = smallest(self.measure, self.least, by_sample or Sample(image, encode))
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None
        if reached.value < self.least:
            text = self.measure.text
            raise OutOfReachError(
                f"{name} can't be made to reach {text.format(self.least)}: "
                f"the highest quality gives {text.format(reached.value)}."
            )
        sampled = by_sample is not None
        data = encode(reached.quality) if sampled else reached.data
        return Found(reached.quality, data, None, {self.measure.name: reached.value}, sampled)


# "visually lossless: distortion not noticeable by an average observer in a flicker comparison
# test at 1:1" (https://github.com/cloudinary/ssimulacra2, "Usage")
NOT_NOTICEABLE = 90.0


@dataclass(frozen=True)
class AsGoodAs(Undemanding):
    """The smallest file that is as good as plain JPEG of a quality, 1 to 100, or better.

    The metric is SSIMULACRA 2 (`measures.ssimulacra2`), the encoder's target in its tuning. Images
    that are too small for it get the size of that JPEG. Plain JPEG may be all but perfect where the
    encoder isn't, as of a flat graphic. There a file of `NOT_NOTICEABLE` or more will do.

    Attributes
    ----------
    quality
        That of plain JPEG.
    ahead
        Whether the search starts below that quality's `search.position`, by `AHEAD`.
    """

    quality: float
    ahead: bool = False

    def search(
        self,
        name: str,
        image: Pixels,
        encode: Encode,
        finished: Finish,
        sample: Sample | None = None,
    ) -> Found:
        """Find the file."""
        if is_tiny(image):
            return MatchQuality(self.quality).search(name, image, encode, finished)
        subject = sample or Sample(image, encode)

        plain = jpeg.encode(subject.image, self.quality)

        def of_plain(value_of: Value) -> float:
            return value_of(jpeg.decode(plain))

        start = self.quality
        if self.ahead:
            height, width, _ = subject.image.shape
            bits_of_px = 8 * len(plain) / (height * width)
            below = max(AHEAD + AHEAD_BY_BITS * math.log(bits_of_px), 0.0)
            start = search.quality_at(search.position(start) - below)
        reached, wanted = smallest(SSIMULACRA2, of_plain, subject, start)
        if reached.value < min(wanted, NOT_NOTICEABLE):
            raise OutOfReachError(
                f"{name} can't be made as good as plain JPEG of quality {self.quality:g} "
                f"(SSIMULACRA 2 {wanted:.1f}): the highest quality gives {reached.value:.1f}. "
                "Ask for a lower quality, or for a size."
            )
        data = reached.data if sample is None else encode(reached.quality)
        values = {SSIMULACRA2.name: reached.value}
        found = Found(reached.quality, data, None, values, sampled=sample is not None)
        if reached.value < wanted:
            return found
        whole = plain if sample is None else jpeg.encode(image, self.quality)
        plain_bytes = len(finished(whole))
        return replace(found, plain_quality=self.quality, plain_bytes=plain_bytes)


# as good as plain JPEG of these qualities
LEVELS = {"low": 50, "medium": 70, "high": 85}
DEFAULT_LEVEL = "high"
VISUALLY_LOSSLESS = "visually-lossless"
# the size of this plain JPEG, where that can't be measured
TINY_LOSSLESS_QUALITY = 95


def of_level(level: str | float) -> Goal:
    """Return the goal of a level of quality, as `goal` takes it."""
    if level == VISUALLY_LOSSLESS:
        tiny = MatchQuality(TINY_LOSSLESS_QUALITY)
        return TargetMeasure(SSIMULACRA2, NOT_NOTICEABLE, of_tiny=tiny)
    if isinstance(level, str):
        if level not in LEVELS:
            names = ", ".join([*LEVELS, VISUALLY_LOSSLESS])
            raise ParameterError(f"quality is {names} or a number from 1 to 100, got {level!r}.")
        return AsGoodAs(LEVELS[level])
    insist("quality is from 1 to 100", 1 <= level <= 100, level)
    return AsGoodAs(level)


def goal(
    *,
    quality: str | float | None = None,
    match_quality: int | None = None,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssim: float | None = None,
    target_ssimulacra2: float | None = None,
    encoder_quality: float | None = None,
) -> Goal:
    """Return the goal that one option sets, or that of the quality `high` without any.

    Parameters
    ----------
    quality
        The smallest file that is as good as plain JPEG of this quality, 1 to 100, by
        SSIMULACRA 2; `low`, `medium` and `high` are 50, 70 and 85. `visually-lossless` is
        SSIMULACRA 2 of 90.
    match_quality
        As large as plain JPEG of this quality, 1 to 100.
    target_bytes
        At most so many bytes, 1 or more.
    target_psnr
        The smallest file with this PSNR of RGB or a higher one, 0 to 100 dB.
    target_ssim
        The smallest file with this SSIM of luma or a higher one, 0 to 1.
    target_ssimulacra2
        The smallest file with this SSIMULACRA 2 or a higher one, 0 to 100.
    encoder_quality
        The encoder's own quality, 1 to 100, without a search.

    Raises
    ------
    ParameterError
        If several are given, or one out of its range.
    """
    goals: dict[str, Goal] = {}
    if quality is not None:
        goals["quality"] = of_level(quality)
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
    if target_ssimulacra2 is not None:
        kept = 0 <= target_ssimulacra2 <= 100
        insist("target_ssimulacra2 is from 0 to 100", kept, target_ssimulacra2)
        goals["target_ssimulacra2"] = TargetMeasure(SSIMULACRA2, target_ssimulacra2)
    if encoder_quality is not None:
        insist("encoder_quality is from 1 to 100", 1 <= encoder_quality <= 100, encoder_quality)
        goals["encoder_quality"] = EncoderQuality(encoder_quality)
    if len(goals) > 1:
        raise ParameterError(f"A photo has one goal, got {' and '.join(goals)}; give one of them.")
    return next(iter(goals.values()), of_level(DEFAULT_LEVEL))


def insist(rule: str, kept: bool, value: float) -> None:
    """Raise `ParameterError` if a value does not keep to a rule."""
    if not kept:
        raise ParameterError(f"{rule}, got {value!r}.")
