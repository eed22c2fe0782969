"""A standard JPEG whose levels the trellis has chosen for the least squared error.

One scalar, the quality, sets both the quantisation tables and what a bit counts. So the search for
a size follows one line. docs/encoder.md derives every weight.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import coefficients, jpeg, progressive, trellis
from msroi.encoders.coefficients import CB_COST, CR_COST, LUMA_COST
from msroi.encoders.progressive import Component, whole
from msroi.experiment.params import TrellisPsnr
from msroi.images import BLOCK_PX, Pixels, Saliency
from msroi.measures import distortion

# the zigzag places whose geometric mean is a table's step
LOW_FREQUENCIES = 10
# plain JPEG's, for quality 50; and how much coarser the step is here, which makes files of
# about the same size: high frequencies have finer steps than in Annex K
PLAIN_STEP = float(np.exp(np.log(jpeg.LUMA_TABLE.ravel()[jpeg.ZIGZAG[:LOW_FREQUENCIES]]).mean()))
COARSER = 1.2


class SquaredErrorJpeg:
    """JPEG by trellis quantisation for the least squared error, without a map."""

    name = "trellis-psnr"

    def __init__(self, params: TrellisPsnr) -> None:
        self.params = params

    @property
    def version(self) -> str:
        """The project's and those of the packages that write the file."""
        return progressive.version()

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the encoder of the image, and ignore the map."""
        size = image.shape[:2]
        factor = 2 if self.params.chroma == "half" else 1
        planes = coefficients.components(image, factor)
        luma, cb, cr = (coefficients.transformed(plane) for plane in planes)
        weights = visibility(luma, size, self.params.masking)
        luma_weights = coefficients.block_means(weights, BLOCK_PX)
        chroma_weights = coefficients.block_means(weights, BLOCK_PX * factor)
        even = np.ones(64, np.float32)
        energy = coefficients.enlargement_energy() if factor == 2 else even
        shapes = [plane.shape for plane in planes]

        def encode(quality: float) -> bytes:
            step = step_of(quality)
            bit = bit_price(step, self.params.lagrangian)
            of_luma, of_chroma = tables(step, self.params)
            steps = of_chroma.astype(np.float32)
            chroma = [
                trellis.Part(plane, steps, energy, np.float32(cost / LUMA_COST) * chroma_weights)
                for plane, cost in ((cb, CB_COST), (cr, CR_COST))
            ]
            levels = [
                *trellis.quantise(
                    [trellis.Part(luma, of_luma.astype(np.float32), even, luma_weights)], bit
                ),
                *trellis.quantise(chroma, bit),
            ]
            made = map(Component, levels, shapes, (of_luma, of_chroma, of_chroma))
            return progressive.written(list(made), size, factor)

        return encode


def step_of(quality: float) -> float:
    """Return the quantisation step of low luma frequencies for a quality in [1, 100].

    It falls as libjpeg's scale does, and never to 0. At quality 100, where libjpeg has all steps
    rounded up to 1, it is that of half a percent.
    """
    return COARSER * PLAIN_STEP * max(jpeg.scale_pct(quality), 0.5) / 100


def bit_price(step: float, lagrangian: float) -> float:
    """Return what a bit costs in squared error: `lagrangian` squared steps at quality 50.

    Where the step is finer a bit is worth more squared steps, by the square root of the steps'
    ratio. The tuning photographs gave this rule, as the trellis gains little at fine steps unless
    bits are dear.
    """
    return float(lagrangian * step**2 * (step_of(50) / step) ** 0.5)


def tables(step: float, params: TrellisPsnr) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the quantisation tables of luma and chroma, each `(64,)` in zigzag order.

    They lie between Annex K's (flatness 0) and flat ones (flatness 1), on a geometric line. Annex K
    coarsens high frequencies because the eye does not see them well. Squared error does not know
    that, and the trellis decides block by block. The geometric mean of the low luma frequencies'
    steps is `step`, but for rounding to whole steps from 1 to 255.
    """

    def between(annex_k: NDArray[np.int64], flatness: float) -> NDArray[np.float64]:
        zigzag = annex_k.ravel()[jpeg.ZIGZAG]
        mean = np.exp(np.log(zigzag[:LOW_FREQUENCIES]).mean())
        return np.asarray((zigzag / mean) ** (1 - flatness))

    luma = between(jpeg.LUMA_TABLE, params.flatness_luma)
    chroma = params.chroma_step * between(jpeg.CHROMA_TABLE, params.flatness_chroma)
    return whole(step * luma), whole(step * chroma)


def visibility(
    luma: NDArray[np.float32], size: tuple[int, int], masking: float
) -> NDArray[np.float32]:
    """Return how well the eye sees an error at each pixel: `(H, W) float32`, of mean 1.

    To first order the structural similarity of a window falls with the squared error over
    `2 variance + C2` (Wang et al. 2004, equation 13). `masking` 1 divides a block's errors by that,
    0 by nothing, and a value between the two by a power of it.

    Parameters
    ----------
    luma
        `(64, B)`, the coefficients of the luma blocks that cover the image, row by row.
    size
        The image's `(H, W)`.
    masking
        The power, 0 to 1.
    """
    rows, columns = (-(-side // BLOCK_PX) for side in size)
    variance = np.square(luma[1:]).sum(axis=0) / BLOCK_PX**2
    seen = ((2 * variance + distortion.C2) ** -masking).reshape(rows, columns)
    pixels = seen.repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)[: size[0], : size[1]]
    return np.asarray(pixels / pixels.mean(), np.float32)
