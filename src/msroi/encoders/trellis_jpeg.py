"""The project's own encoder: a standard JPEG whose levels the trellis has chosen.

One scalar, the quality, sets both the quantisation tables and what a bit counts, so that
file sizes are searched along one line. docs/encoder.md derives every weight.
"""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import coefficients, jpeg, libjpeg, trellis
from msroi.encoders.coefficients import CB_COST, CR_COST, LUMA_COST, Plane
from msroi.experiment.params import Trellis
from msroi.images import BLOCK_PX, Pixels, Saliency
from msroi.measures import distortion

T = TypeVar("T", bound=np.generic)

LARGEST_SAMPLE = 255
# what is added to each entry of a table before it is cut to a whole number: not 1/2 for all,
# or flat tables would change many entries at once, and with them the file's size
ROUNDING_SPREAD = 0.5
ROUNDING = 0.5 + ROUNDING_SPREAD * ((np.arange(64) * 45 % 64 + 0.5) / 64 - 0.5)
PACKAGES = ("msroi", "jpeglib", "mozjpeg-lossless-optimization")
LIBRARY = "turbo210"  # writes the levels, before their entropy coding is made better

# the zigzag places whose geometric mean is a table's step
LOW_FREQUENCIES = 10
# plain JPEG's, for quality 50; and how much coarser the step is here, which makes files of
# about the same size: high frequencies have finer steps than in Annex K
PLAIN_STEP = float(np.exp(np.log(jpeg.LUMA_TABLE.ravel()[trellis.ZIGZAG[:LOW_FREQUENCIES]]).mean()))
COARSER = 1.2


class TrellisJpeg:
    """JPEG by trellis quantisation, better where a saliency map says so."""

    def __init__(self, name: str, params: Trellis, saliency_share: float) -> None:
        """Name the method; `saliency_share` is that of `pixel_weights`."""
        self.name = name
        self.params = params
        self.saliency_share = saliency_share

    @property
    def version(self) -> str:
        """The project's and those of the packages that write the file."""
        return ", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES)

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the encoder of the image; without a map all of it counts alike."""
        size = image.shape[:2]
        factor = 2 if self.params.chroma == "half" else 1
        planes = components(image, factor)
        luma = coefficients.transformed(planes[0])
        weights = pixel_weights(saliency, size, self.saliency_share)
        weights = weights * visibility(luma, size, self.params.masking)
        luma_blocks = block_weights(weights, BLOCK_PX)
        chroma_blocks = block_weights(weights, BLOCK_PX * factor)
        # both chroma planes have one quantisation table and one Huffman table
        chroma = np.concatenate([coefficients.transformed(plane) for plane in planes[1:]], axis=1)
        costs = np.concatenate(
            [np.float32(cost / LUMA_COST) * chroma_blocks for cost in (CB_COST, CR_COST)]
        )
        even = np.ones(64, np.float32)
        energy = coefficients.enlargement_energy() if factor == 2 else even

        def encode(quality: float) -> bytes:
            step = step_of(quality)
            bit = bit_price(step, self.params.lagrangian)
            of_luma, of_chroma = (of.astype(np.float32) for of in tables(step, self.params))
            levels = (
                trellis.quantise(luma, of_luma, even, luma_blocks, bit),
                *np.hsplit(trellis.quantise(chroma, of_chroma, energy, costs, bit), 2),
            )
            shapes = [plane.shape for plane in planes]
            return written(levels, shapes, (of_luma, of_chroma), size, factor)

        return encode


def step_of(quality: float) -> float:
    """Return the quantisation step of low luma frequencies for a quality in [1, 100].

    It falls as libjpeg's scale does, and never to 0: at quality 100, where libjpeg has
    rounded all steps up to 1, it is that of half a percent.
    """
    return COARSER * PLAIN_STEP * max(jpeg.scale_pct(quality), 0.5) / 100


def bit_price(step: float, lagrangian: float) -> float:
    """Return what a bit costs in squared error: `lagrangian` squared steps at quality 50.

    Where the step is finer a bit is worth more squared steps, by the square root of the
    steps' ratio: found on the tuning photographs, as the trellis gains little at fine steps
    unless bits are dear.
    """
    return float(lagrangian * step**2 * (step_of(50) / step) ** 0.5)


def tables(step: float, params: Trellis) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the quantisation tables of luma and chroma, each `(64,)` in zigzag order.

    They lie between Annex K's (flatness 0) and flat ones (flatness 1), on a geometric line:
    Annex K coarsens high frequencies because the eye does not see them well, which squared
    error does not know and the trellis decides block by block. The geometric mean of the low
    luma frequencies' steps is `step`, but for rounding to whole steps from 1 to 255.
    """

    def between(annex_k: NDArray[np.int64], flatness: float) -> NDArray[np.float64]:
        zigzag = annex_k.ravel()[trellis.ZIGZAG]
        mean = np.exp(np.log(zigzag[:LOW_FREQUENCIES]).mean())
        return np.asarray((zigzag / mean) ** (1 - flatness))

    def whole(table: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.clip(np.floor(table + ROUNDING), 1, jpeg.BASELINE_LARGEST).astype(np.int64)

    luma = between(jpeg.LUMA_TABLE, params.flatness_luma)
    chroma = params.chroma_step * between(jpeg.CHROMA_TABLE, params.flatness_chroma)
    return whole(step * luma), whole(step * chroma)


def components(image: Pixels, factor: int) -> list[Plane]:
    """Return Y, Cb and Cr as whole blocks that cover the image.

    With `factor` 2 (4:2:0) the chroma planes have half the sides, rounded up, and are those
    whose enlargement by the decoder is nearest, cut to samples of 8 bits; with 1 (4:4:4)
    they are full.
    """
    luma, *chroma = coefficients.planes(image)
    if factor == 2:
        # at edges of pure colours the nearest samples lie far beyond what decoders keep
        halves = [coefficients.halved(coefficients.padded(plane, 2)) for plane in chroma]
        chroma = [np.clip(half, 0, LARGEST_SAMPLE) for half in halves]
    return [coefficients.padded(plane, BLOCK_PX) for plane in (luma, *chroma)]


def pixel_weights(
    saliency: Saliency | None, size: tuple[int, int], share: float
) -> NDArray[np.float32]:
    """Return what a pixel's squared error counts: `(H, W) float32`, of mean 1.

    With the map s in [0, 1] it is `1 - share + share s / mean(s)`: what is minimised is
    `1 - share` times the mean squared error plus `share` times the saliency-weighted one
    (`measures.wpsnr_rgb_db`). Nothing counts less than `1 - share`, nor more than
    `1 - share + share / mean(s)`.
    """
    if saliency is None or share == 0 or saliency.max() <= 0:
        return np.ones(size, np.float32)
    return np.asarray(1 - share + share * saliency / saliency.mean(), np.float32)


def visibility(
    luma: NDArray[np.float32], size: tuple[int, int], masking: float
) -> NDArray[np.float32]:
    """Return how well an error is seen at each pixel: `(H, W) float32`, of mean 1.

    To first order the structural similarity of a window falls with the squared error over
    `2 variance + C2` (Wang et al. 2004, equation 13). With `masking` 1 a block's errors are
    divided by that, with 0 by nothing, and between the two by a power of it.

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


def block_weights(weights: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return each block's mean weight, `(B,)` row by row, for blocks of `side` pixels.

    What is beyond the image's edge counts nothing.
    """
    height, width = weights.shape
    whole = np.pad(weights, ((0, -height % side), (0, -width % side)))
    rows, columns = (length // side for length in whole.shape)
    return np.asarray(whole.reshape(rows, side, columns, side).mean(axis=(1, 3)).ravel())


def written(
    levels: tuple[NDArray[np.int16], ...],
    shapes: list[tuple[int, ...]],
    steps: tuple[NDArray[np.float32], NDArray[np.float32]],
    size: tuple[int, int],
    factor: int,
) -> bytes:
    """Return the progressive JPEG of levels, its scans and Huffman tables made for it.

    Parameters
    ----------
    levels, shapes
        Of Y, Cb and Cr: `(64, B)` in zigzag order, and the plane's `(h, w)`.
    steps
        The tables of luma and chroma, `(64,)` in zigzag order.
    size, factor
        The image's `(H, W)`, and how many of its pixels a chroma sample spans along a side.
    """
    import mozjpeg_lossless_optimization  # type: ignore[import-untyped]

    def natural(zigzag: NDArray[T]) -> NDArray[T]:
        ordered = np.empty_like(zigzag)
        ordered[trellis.ZIGZAG] = zigzag
        return ordered

    blocks = [
        np.ascontiguousarray(natural(of).T).reshape(height // BLOCK_PX, width // BLOCK_PX, 8, 8)
        for of, (height, width) in zip(levels, shapes, strict=True)
    ]
    quantisation = np.stack([natural(of).reshape(8, 8) for of in steps]).astype(np.uint16)
    with libjpeg.using(LIBRARY) as (jpeglib, path):
        file = jpeglib.from_dct(*blocks, qt=quantisation, quant_tbl_no=np.array([0, 1, 1]))
        file.height, file.width = size
        # not what the numbers of blocks suggest, which differ in an image of one block
        file.samp_factor = np.array([[factor, factor], [1, 1], [1, 1]])
        file.write_dct(path)
        data = Path(path).read_bytes()
    return libjpeg.numbered_from_1(mozjpeg_lossless_optimization.optimize(data))
