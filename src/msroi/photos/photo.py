"""One photo, compressed to a goal with the metadata of its source, and what that gains."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from msroi.encoders import chroma, jpeg, search
from msroi.encoders.methods import Encoder, encoder
from msroi.encoders.search import Encode
from msroi.errors import ImageError
from msroi.experiment.params import Compress
from msroi.images import JPEG_FORMATS, Pixels, Saliency, open_source, to_rgb
from msroi.measures import distortion
from msroi.photos import metadata, sample
from msroi.photos.goals import AsGoodAs, EncoderQuality, Found, Goal, OutOfReachError
from msroi.photos.metadata import Metadata
from msroi.photos.sample import Sample

JPEG_MAX_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION
NOTHING = Metadata()
# the methods that halve chroma or not by what they see
CHOOSE_CHROMA = frozenset({"trellis", "roi-trellis"})
# plain JPEG is of the same size within this, or it is not compared with
SAME_SIZE_PCT = 0.5


@dataclass(frozen=True)
class Photo:
    """A photo as msroi compresses it.

    Attributes
    ----------
    name
        For errors.
    pixels
        `(H, W, 3) uint8` sRGB, at most 65500 a side; upright, unless `orientation` says how they
        get so.
    is_jpeg
        Whether the file itself is a JPEG.
    metadata
        What a JPEG of it keeps.
    left_out
        What it can't keep, in words.
    orientation
        Other than 1 for pixels that stay as they are stored, since further pictures (a gain map)
        lie behind them that fit them: EXIF's, 2 to 8.
    """

    name: str
    pixels: Pixels
    is_jpeg: bool = False
    metadata: Metadata = NOTHING
    left_out: tuple[str, ...] = ()
    orientation: int = 1

    def upright(self) -> Pixels:
        """Return the pixels as a viewer shows them."""
        return turned(self.pixels, self.orientation)

    def as_stored(self, saliency: Saliency) -> Saliency:
        """Turn a map of the upright photo to the pixels as the file stores them."""
        return turned(saliency, BACK.get(self.orientation, self.orientation))


Array = TypeVar("Array", Pixels, Saliency)
# by EXIF's orientation: whether rows and columns change places, then which sides are mirrored
TURNS = {
    1: (False, ()),
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}
BACK = {6: 8, 8: 6}  # every other turn is its own reverse


def turned(stored: Array, orientation: int) -> Array:
    """Turn an array `(H, W, …)` as an orientation of EXIF asks."""
    transposed, mirrored = TURNS[orientation]
    shown = np.swapaxes(stored, 0, 1) if transposed else stored
    return np.ascontiguousarray(np.flip(shown, mirrored))


def opened(path: Path) -> Photo:
    """Open a photo, or raise `ImageError` if it is unreadable or too large for JPEG."""
    source = open_source(path, stored_with_pictures=True)
    image = source.image
    insist_on_jpeg_size(str(path), *image.size)
    stored = source.has_further_pictures
    kept, left_out = metadata.of(source, turned=not stored)
    return Photo(
        str(path),
        to_rgb(image),
        image.format in JPEG_FORMATS,
        kept,
        tuple(left_out),
        source.orientation if stored else 1,
    )


def settings(photo: Photo, method: str, params: Compress) -> Compress:
    """Return the encoders' parameters for a photo.

    A file of one component can't have a colour profile of RGB. So a photo without colours that has
    one keeps three components, and its profile. What a method decides of a large photo's chroma, it
    decides here, once for the photo and its sample.
    """
    if chroma.is_grey(photo.pixels):
        decided = "half" if photo.metadata.icc_profile else params.trellis.chroma
    elif method in CHOOSE_CHROMA and sample.places(*photo.pixels.shape[:2]):
        factor = chroma.factor(photo.pixels, params.trellis.chroma)
        decided = "full" if factor == 1 else "half"
    else:
        return params
    return replace(params, trellis=replace(params.trellis, chroma=decided))


def insist_on_jpeg_size(name: str, width: int, height: int) -> None:
    """Insist that a JPEG can hold so many pixels, or raise `ImageError`."""
    if max(width, height) > JPEG_MAX_SIDE:
        raise ImageError(
            f"{name} has {width}x{height} pixels; a JPEG has at most {JPEG_MAX_SIDE} a side."
        )


def compressed(
    photo: Photo,
    method: str,
    params: Compress,
    saliency: Callable[[], Saliency | None],
    goal: Goal,
) -> tuple[bytes, Found]:
    """Compress a photo.

    Parameters
    ----------
    photo
        What to compress.
    method
        One of `methods.METHODS`.
    params
        The encoders' parameters.
    saliency
        Gives a map as the pixels are stored, for methods that follow one. It is asked when the
        first file is made, so that the map may be made while the goal looks at plain JPEG.
    goal
        How small or how good the file is to be.

    Returns
    -------
    tuple
        The whole file with its metadata; and what the goal has found, without them.

    Raises
    ------
    ImageError
        If the goal can't be reached.
    """
    if isinstance(goal, AsGoodAs) and method in CHOOSE_CHROMA:
        goal = replace(goal, ahead=True)
    chosen = settings(photo, method, params)
    try:
        found = _found(photo, encoder(method, chosen), saliency, goal)
    except OutOfReachError:
        # halved chroma may be what is not good enough
        if method not in CHOOSE_CHROMA or params.trellis.chroma != "auto":
            raise
        full = replace(params, trellis=replace(params.trellis, chroma="full"))
        found = _found(photo, encoder(method, full), saliency, goal)
    return metadata.inserted(found.data, photo.metadata), found


def _found(
    photo: Photo, made_by: Encoder, saliency: Callable[[], Saliency | None], goal: Goal
) -> Found:
    """Return what a goal finds, of a large photo by its sample."""
    finished = partial(metadata.inserted, metadata=photo.metadata)
    sampled = sample.places(*photo.pixels.shape[:2])
    prepared = cache(lambda: made_by.prepare(photo.pixels, saliency()))  # once it is wanted

    def encode(quality: float) -> bytes:
        return prepared()(quality)

    if sampled is None or isinstance(goal, EncoderQuality):
        return goal.search(photo.name, photo.pixels, encode, finished)
    pixels = sampled.cut(photo.pixels)

    @cache
    def of_sample() -> Encode:
        weights = saliency()
        return made_by.prepare(pixels, None if weights is None else sampled.cut(weights))

    part = Sample(pixels, lambda quality: of_sample()(quality))
    return goal.search(photo.name, photo.pixels, encode, finished, part)


def gain_db(pixels: Pixels, data: bytes, saliency: Saliency | None) -> float | None:
    """Return by how much a file's PSNR is above that of plain JPEG of the same size.

    Parameters
    ----------
    pixels
        The photo, `(H, W, 3) uint8` sRGB.
    data
        Its file, without metadata.
    saliency
        `(H, W) float32` in [0, 1], by which squared errors are weighted; None weighs all alike.

    Returns
    -------
    float or None
        In dB, below 0 where plain JPEG is better. None where plain JPEG can't be made of that
        size within 0.5 %, or either file differs in nothing from the photo.
    """
    match = search.match_size(partial(jpeg.encode, pixels), len(data))
    if not match.within(SAME_SIZE_PCT):
        return None

    def psnr_db(file: bytes) -> float:
        decoded = jpeg.decode(file)
        if saliency is None:
            return distortion.psnr_rgb_db(pixels, decoded)
        return distortion.wpsnr_rgb_db(pixels, decoded, saliency)

    gain = psnr_db(data) - psnr_db(match.data)
    return gain if math.isfinite(gain) else None
