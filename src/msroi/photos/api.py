"""The methods for photos as Python has them: `from msroi import Model, compress`.

Import these from `msroi` itself, which loads them when they are first used.
"""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msroi.encoders.methods import METHODS
from msroi.errors import ImageError, ParameterError
from msroi.images import Pixels
from msroi.photos import goals, packaged, photo
from msroi.photos.photo import Photo

if TYPE_CHECKING:
    from msroi.photos.model import Model


def compress(
    image: str | os.PathLike[str] | Pixels,
    model: "Model | None" = None,
    *,
    method: str = "roi-trellis",
    saliency: NDArray[np.floating] | None = None,
    quality: str | float | None = None,
    match_quality: int | None = None,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssim: float | None = None,
    target_ssimulacra2: float | None = None,
    encoder_quality: float | None = None,
) -> bytes:
    """Compress a photo to a standard JPEG file.

    Parameters
    ----------
    image
        The path of a file (AVIF, BMP, GIF, JPEG, PNG, PPM, TIFF or WebP), whose colour
        profile, EXIF and resolution the result keeps; or pixels, `(H, W, 3) uint8` sRGB. At
        most 65500 pixels a side; a file has at most 56 million pixels.
    model
        Whose saliency map the methods `roi-trellis` and `msroi` follow, and whose parameters
        every method takes; without it they are those that come with msroi.
    method
        `roi-trellis` (docs/encoder.md), `trellis`, `msroi` (Selimović and Hladnik 2018, section
        1.3), `jpeg`, `jpeg-opt`, `mozjpeg` or `jpegli`.
    saliency
        A map to follow in place of the model's: `(H, W)` in [0, 1], 1 where people look. With
        it no network is needed.
    quality
        How good the file is to be: `low`, `medium`, `high` (what is taken if nothing is given)
        or a number from 1 to 100 give the smallest that is as good as plain JPEG of quality 50,
        70, 85 or that number, by SSIMULACRA 2; `visually-lossless` is SSIMULACRA 2 of 90.
    match_quality, target_bytes, target_psnr, target_ssim, target_ssimulacra2, encoder_quality
        One of them in place of `quality`: as large as plain JPEG of a quality from 1 to 100;
        at most so many bytes; the smallest file with a PSNR of RGB from 0 to 100 dB, an SSIM of
        luma from 0 to 1 or a SSIMULACRA 2 from 0 to 100, or a higher one; the encoder's own
        quality from 1 to 100, without a search.

    Returns
    -------
    bytes
        The file. The same arguments give the same bytes, in any thread. It may be larger than
        the file that it was made of; `len` tells.

    Raises
    ------
    ImageError
        If the file can't be read, the pixels are of another shape or type, the map does not
        fit them, or no file reaches the goal.
    ParameterError
        If an option is out of its range or the method is not known, or needs a map and there
        is neither a model nor a map.

    Warns
    -----
    UserWarning
        If something of the source is left out, such as metadata that a JPEG can't hold.

    Examples
    --------
    A map that looks at the cat's eyes, for a photo that comes with scikit-image:

    >>> import numpy as np, skimage.data
    >>> from msroi import compress
    >>> cat = skimage.data.chelsea()
    >>> cat.shape, cat.dtype
    ((300, 451, 3), dtype('uint8'))
    >>> eyes = np.zeros((300, 451), np.float32)
    >>> eyes[80:140, 120:300] = 1
    >>> jpeg = compress(cat, saliency=eyes, target_bytes=12_000)
    >>> 11_900 < len(jpeg) <= 12_000
    True
    >>> jpeg[:2].hex()  # as every JPEG starts
    'ffd8'

    With a model, the map is the network's:

    >>> from msroi import Model  # doctest: +SKIP
    >>> jpeg = compress("photo.jpg", Model())  # doctest: +SKIP
    """
    if method not in METHODS:
        raise ParameterError(f"{method!r} is no method; expected one of {', '.join(METHODS)}.")
    needs_map = METHODS[method].needs_map
    if needs_map and model is None and saliency is None:
        raise ParameterError(
            f"The method {method} follows a saliency map; give a model, `Model()`, or saliency=…."
        )
    goal = goals.goal(
        quality=quality,
        match_quality=match_quality,
        target_bytes=target_bytes,
        target_psnr=target_psnr,
        target_ssim=target_ssim,
        target_ssimulacra2=target_ssimulacra2,
        encoder_quality=encoder_quality,
    )
    opened = _of_pixels(image) if isinstance(image, np.ndarray) else _of_file(Path(image))
    weights = None if saliency is None else _checked_map(saliency, opened)
    if weights is None and model is not None and needs_map:
        weights = opened.as_stored(model.saliency(opened.upright()))
    described = packaged.experiment() if model is None else model.experiment
    data, _ = photo.compressed(opened, method, described.compress, lambda: weights, goal)
    return data


def _of_file(path: Path) -> Photo:
    opened = photo.opened(path)
    for what in opened.left_out:
        message = f"{path}: left out {what}."
        warnings.warn(message, stacklevel=3)  # the caller of `compress`
    return opened


def _of_pixels(image: NDArray[np.generic]) -> Photo:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(
            f"Pixels are (H, W, 3) uint8 sRGB, got {image.shape} {image.dtype}; convert them."
        )
    height, width, _ = image.shape
    photo.insist_on_jpeg_size("The image", width, height)
    return Photo("The image", np.ascontiguousarray(image))


def _checked_map(saliency: NDArray[np.floating], of: Photo) -> NDArray[np.float32]:
    size = of.upright().shape[:2]
    if saliency.shape != size:
        raise ImageError(f"The saliency map is {saliency.shape}, but the photo is {size}.")
    if not (saliency.min() >= 0 and saliency.max() <= 1):  # NaN is neither
        raise ImageError(
            f"A saliency map lies in [0, 1], got {saliency.min():g} to {saliency.max():g}."
        )
    return of.as_stored(np.asarray(saliency, np.float32))
