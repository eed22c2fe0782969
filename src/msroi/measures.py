"""How far a distorted photograph is from its reference.

Pure functions on images `(H, W, 3) uint8 sRGB` of one size. The paper (section 2) names
MSE, PSNR, SSIM and MS-SSIM but not their conventions; the conventions here stand in each
name (`_rgb`: over all three channels, `_luma`: on BT.601 luma) and in each docstring.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from msroi.errors import ImageError
from msroi.images import Pixels

Plane = NDArray[np.float64]

PEAK = 255.0
LUMA = (0.299, 0.587, 0.114)  # BT.601
WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
C1 = (0.01 * PEAK) ** 2
C2 = (0.03 * PEAK) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first


def mse_rgb(reference: Pixels, distorted: Pixels) -> float:
    """Return the mean squared error over all pixels and channels, in squared 8-bit steps."""
    return float(np.mean(_squared_error(reference, distorted)))


def psnr_db(mse: float) -> float:
    """Return 10 log10(255² / MSE) in dB; inf if the mean squared error is 0."""
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else math.inf


def psnr_rgb_db(reference: Pixels, distorted: Pixels) -> float:
    """Return 10 log10(255² / MSE) in dB with the MSE of all channels; inf if identical."""
    return psnr_db(mse_rgb(reference, distorted))


def wpsnr_rgb_db(
    reference: Pixels, distorted: Pixels, saliency: NDArray[np.floating[Any]]
) -> float:
    """Return the PSNR in dB whose squared error is weighted by a saliency map.

    Parameters
    ----------
    reference, distorted : (H, W, 3) uint8 sRGB
    saliency : (H, W) float in [0, 1]
        Scaled to sum 1, so only its shape counts. A map of zeros means uniform weights
        and so the plain PSNR.

    Returns
    -------
    float
        In dB; inf if nothing differs where the map is above zero.
    """
    weights = saliency.astype(np.float64)
    total = weights.sum()
    if total == 0:
        return psnr_rgb_db(reference, distorted)
    error = _squared_error(reference, distorted).mean(axis=2)
    return psnr_db(float((weights * error).sum() / total))


def luma(image: Pixels) -> Plane:
    """Return BT.601 full-range luma `(H, W)` in [0, 255], not rounded."""
    red, green, blue = LUMA
    plane: Plane = red * image[..., 0] + green * image[..., 1] + blue * image[..., 2]
    return plane


def ssim_luma(reference: Pixels, distorted: Pixels) -> float:
    """Return the structural similarity of the luma planes, in [-1, 1], 1 if identical.

    Wang et al. 2004 ("Image quality assessment: from error visibility to structural
    similarity"), equation 13 and section III-C: 11 × 11 Gaussian window of sigma 1.5 px,
    population covariance, K1 = 0.01, K2 = 0.03, data range 255, mean over the positions
    where the window lies inside the image, no downsampling beforehand.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(*reference.shape[:2])
    return _similarity(luma(reference), luma(distorted))[0]


def ssim_map_luma(reference: Pixels, distorted: Pixels) -> Plane:
    """Return what `ssim_luma` is the mean of: `(H - 10, W - 10)`, one value a window.

    Value (y, x) is that of the window around pixel (y + 5, x + 5).

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(*reference.shape[:2])
    return _similarity_maps(luma(reference), luma(distorted))[0]


def ssim(reference: Plane, distorted: Plane, data_range: float) -> float:
    """Return the structural similarity of two planes `(H, W)` with values in [0, data_range].

    As `ssim_luma`, for what is no photograph: K1 and K2 refer to `data_range`.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(*reference.shape)
    return _similarity(reference * (PEAK / data_range), distorted * (PEAK / data_range))[0]


def ms_ssim_luma(reference: Pixels, distorted: Pixels) -> float:
    """Return the multi-scale structural similarity of the luma planes, in [0, 1].

    Wang et al. 2003 ("Multi-scale structural similarity for image quality assessment"),
    equation 7, as in its MATLAB code: the mean contrast-structure term of each finer
    scale and the mean SSIM of the coarsest, to the powers of `SCALE_WEIGHTS`; between
    scales the mean of 2 × 2 pixels, an odd last row or column repeated. A negative mean
    counts as 0. The number of scales is that of `ms_ssim_scales`; with fewer than five
    their weights are scaled to sum 1.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    *finer, coarsest = _weights(ms_ssim_scales(*reference.shape[:2]))
    x, y = luma(reference), luma(distorted)
    product = 1.0
    for weight in finer:
        _, contrast = _similarity(x, y)
        product *= math.pow(max(contrast, 0.0), weight)
        x, y = _halved(x), _halved(y)
    ssim, _ = _similarity(x, y)
    return product * math.pow(max(ssim, 0.0), coarsest)


def ms_ssim_scales(height: int, width: int) -> int:
    """Return on how many scales, 1 to 5, MS-SSIM of an image of this size in px is taken.

    Each scale halves the sides, rounding up, and the 11 px window must fit the coarsest:
    five scales need 161 px, four 81, three 41, two 21.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(height, width)
    # n px become ceil(n / 2^k) px in k halvings, so n - 1 tells how many k leave 11
    halvings = int(math.log2((min(height, width) - 1) // (WINDOW_PX - 1)))
    return min(halvings + 1, len(SCALE_WEIGHTS))


def _require_window(height: int, width: int) -> None:
    if min(height, width) < WINDOW_PX:
        raise ImageError(
            f"The image has {width}x{height} pixels; SSIM and MS-SSIM need at least "
            f"{WINDOW_PX} a side."
        )


def _weights(scales: int) -> list[float]:
    """Return Wang's weights as they are (their sum is 1.0001) or fewer that sum to 1."""
    weights = SCALE_WEIGHTS[:scales]
    total = sum(weights) if scales < len(SCALE_WEIGHTS) else 1.0
    return [weight / total for weight in weights]


def _squared_error(reference: Pixels, distorted: Pixels) -> Plane:
    difference = np.subtract(reference, distorted, dtype=np.int16)
    return np.square(difference, dtype=np.float64)


def _similarity(x: Plane, y: Plane) -> tuple[float, float]:
    """Return the mean SSIM and the mean contrast-structure term of two planes."""
    ssim, contrast = _similarity_maps(x, y)
    return float(ssim.mean()), float(contrast.mean())


def _similarity_maps(x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Return SSIM and the contrast-structure term of two planes for every whole window.

    Wang's variances enter only as their sum, so four filtered planes do for five.
    """
    mean_x, mean_y, power, product = map(_windowed, (x, y, x * x + y * y, x * y))
    squares = mean_x * mean_x + mean_y * mean_y
    cross = mean_x * mean_y
    contrast = (2 * (product - cross) + C2) / (power - squares + C2)
    return (2 * cross + C1) / (squares + C1) * contrast, contrast


def _windowed(plane: Plane) -> Plane:
    """Return the Gaussian mean at each position where the whole window fits."""
    reach = WINDOW_PX // 2
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / WINDOW_SIGMA_PX) ** 2)
    bell /= bell.sum()
    rows: Plane = correlate1d(plane, bell, axis=0)[reach:-reach]
    both: Plane = correlate1d(rows, bell, axis=1)[:, reach:-reach]
    return both


def _halved(plane: Plane) -> Plane:
    even = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge")
    rows = even[::2] + even[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4
