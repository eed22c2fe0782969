"""What an error is worth at a place: less where the image is busy, more where a map is bright."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from msroi.encoders.coefficients import block_means, padded
from msroi.experiment.params import Trellis
from msroi.images import BLOCK_PX, Saliency

Weights = NDArray[np.float32]

NEIGHBOURHOOD_PX = 3.0  # the standard deviation of the Gaussian within which contrast masks
REACH_PX = 12  # of the Gaussian to either side
BAND_ROWS = 256  # that are worked on at once


def block_weights(
    luma: NDArray[np.float32],
    saliency: Saliency | None,
    factor: int,
    params: Trellis,
    saliency_share: float,
) -> tuple[Weights, Weights]:
    """Return what errors of luma and of chroma count, block by block: `(B,)` each.

    Parameters
    ----------
    luma
        `(H, W) float32` in [0, 255].
    saliency
        `(H, W) float32` in [0, 1], or None.
    factor
        How many pixels a chroma sample spans along a side.
    params
        Of the masking.
    saliency_share
        As in `of_map`.
    """
    masks = masking(luma, params)
    of_luma = block_means(masks, BLOCK_PX)
    of_chroma = block_means(masks, BLOCK_PX * factor)
    if saliency is not None and saliency_share > 0 and saliency.max() > 0:
        of_luma = of_luma * of_map(saliency, BLOCK_PX, saliency_share)
        of_chroma = of_chroma * of_map(saliency, BLOCK_PX * factor, saliency_share)
    return of_luma, of_chroma


def masking(luma: NDArray[np.float32], params: Trellis) -> Weights:
    """Return how well the eye sees an error at each pixel: `(H, W) float32` in (0, 1].

    `(c / (c + v))^p` with the luma's local variance v, `masking_variance` c, and `masking` p. It is
    1 where the image is flat, since noise hides errors.
    """
    found = np.empty_like(luma)
    for top in range(0, len(luma), BAND_ROWS):
        above = min(top, REACH_PX)
        seen = luma[top - above : top + BAND_ROWS + REACH_PX]
        found[top : top + BAND_ROWS] = _masking(seen, params)[above : above + BAND_ROWS]
    return found


def _masking(luma: NDArray[np.float32], params: Trellis) -> Weights:
    mean = gaussian_filter(luma, NEIGHBOURHOOD_PX, radius=REACH_PX)
    variance = gaussian_filter(luma * luma, NEIGHBOURHOOD_PX, radius=REACH_PX) - mean * mean
    half = np.float32(params.masking_variance)
    return np.asarray((half / (half + np.maximum(variance, 0))) ** np.float32(params.masking))


def of_map(saliency: Saliency, side: int, share: float) -> Weights:
    """Return each block's factor: `1 - share + share * map / mean`, of geometric mean 1."""
    means = block_means(padded(saliency, side), side)
    factors = 1 - share + share * means / saliency.mean()
    factors = np.maximum(factors, np.finfo(np.float32).tiny)
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)
