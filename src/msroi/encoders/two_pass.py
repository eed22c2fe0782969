"""The paper's two-pass MS-ROI (section 1.3), for comparison.

It cuts the saliency map into levels. The first pass encodes the image once a level, with qualities
from `quality_low` to `quality_high`. It takes each pixel from its level's decoded image. The second
pass encodes that blend as plain JPEG.
"""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import jpeg
from msroi.experiment.params import Compress
from msroi.images import Pixels, Saliency


def saliency_levels(saliency: Saliency, levels: int) -> NDArray[np.uint8]:
    """Cut a map `(H, W)` in [0, 1] into equal levels 0 (least salient) to `levels` - 1.

    There are at most 255.
    """
    return np.minimum((saliency * levels).astype(np.uint8), np.uint8(levels - 1))


def blend(
    image: Pixels,
    saliency: Saliency,
    params: Compress,
    encode: Callable[[Pixels, float], bytes] = jpeg.encode,
) -> Pixels:
    """First pass: each pixel from the JPEG of its saliency level's quality.

    Parameters
    ----------
    image
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1].
    params
        Number of levels and the qualities of the lowest and the highest.
    encode
        Gives the JPEG of an image for a quality.
    """
    # each sample's level, as masks of whole pixels take several times as long
    level = np.repeat(saliency_levels(saliency, params.levels)[..., None], 3, axis=2)
    qualities = np.linspace(params.quality_low, params.quality_high, params.levels)
    blended = np.empty_like(image)
    for number, quality in enumerate(qualities):
        here = level == number
        if here.any():
            np.copyto(blended, jpeg.decode(encode(image, float(quality))), where=here)
    return blended


class MsRoi:
    """The two passes, with the quality of the second."""

    name = "msroi"

    def __init__(self, params: Compress) -> None:
        self.params = params

    @property
    def version(self) -> str:
        """Pillow and its JPEG library, which make both passes."""
        return jpeg.library()

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the second pass, which is plain JPEG without a map."""
        source = image if saliency is None else blend(image, saliency, self.params)
        return functools.partial(jpeg.encode, source)
