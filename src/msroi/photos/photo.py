"""One photo, compressed to a goal with the metadata of its source, and what that gains."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msroi.encoders import jpeg, search
from msroi.errors import ImageError
from msroi.images import Pixels, Saliency, open_image, to_rgb
from msroi.measures import distortion
from msroi.photos import metadata
from msroi.photos.goals import Found, Goal
from msroi.photos.metadata import Metadata

JPEG_MAX_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION
JPEG_FORMATS = ("JPEG", "MPO")  # Pillow's names; MPO is several JPEGs in one file
NOTHING = Metadata()
# plain JPEG is of the same size within this, or it is not compared with
SAME_SIZE_PCT = 0.5


@dataclass(frozen=True)
class Photo:
    """A photo as it is compressed.

    Attributes
    ----------
    name
        For errors.
    pixels
        `(H, W, 3) uint8` sRGB, upright, at most 65500 a side.
    is_jpeg
        Whether the file itself is a JPEG.
    metadata
        What a JPEG of it keeps.
    left_out
        What it can't keep, in words.
    """

    name: str
    pixels: Pixels
    is_jpeg: bool = False
    metadata: Metadata = NOTHING
    left_out: tuple[str, ...] = ()


def opened(path: Path) -> Photo:
    """Open a photo; `ImageError` if it can't be read or is too large for JPEG."""
    image = open_image(path)
    insist_on_jpeg_size(str(path), *image.size)
    kept, left_out = metadata.fitting(metadata.of(image))
    return Photo(str(path), to_rgb(image), image.format in JPEG_FORMATS, kept, tuple(left_out))


def insist_on_jpeg_size(name: str, width: int, height: int) -> None:
    """Insist that a JPEG can hold so many pixels; raises `ImageError`."""
    if max(width, height) > JPEG_MAX_SIDE:
        raise ImageError(
            f"{name} has {width}x{height} pixels; a JPEG has at most {JPEG_MAX_SIDE} a side."
        )


def compressed(photo: Photo, encode: Callable[[float], bytes], goal: Goal) -> tuple[bytes, Found]:
    """Compress a photo.

    Parameters
    ----------
    photo
        What to compress.
    encode
        Gives its file, still without metadata, for a quality in [1, 100].
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
    finished = partial(metadata.inserted, metadata=photo.metadata)
    found = goal.search(photo.name, photo.pixels, encode, finished)
    return finished(found.data), found


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
