"""How far a distorted photograph is from its reference.

Pure functions on images `(H, W, 3) uint8 sRGB` of one size. The paper (section 2) names MSE, PSNR,
SSIM and MS-SSIM but not their conventions. The conventions here stand in each docstring and in each
name. There `_rgb` means over all three channels, and `_luma` on BT.601 luma.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.errors import ImageError
from msroi.images import PEAK, Pixels
from msroi.measures.measure import BLIND, LOOKED_AT, TUNED_BY_PSNR, Measure, by_column

Plane = NDArray[np.float64]

LUMA = (0.299, 0.587, 0.114)  # BT.601
WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
REACH_PX = WINDOW_PX // 2
C1 = (0.01 * PEAK) ** 2
C2 = (0.03 * PEAK) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first
# rows that are filtered at once, so few that all temporaries stay in a core's cache; and
# columns of one product, so few that BLAS keeps it to one thread
STRIP_ROWS, STRIP_COLUMNS = 16, 1024


def _bell() -> Plane:
    """Return the weights along a side of the window."""
    bell = np.exp(-0.5 * (np.arange(-REACH_PX, REACH_PX + 1) / WINDOW_SIGMA_PX) ** 2)
    weights: Plane = bell / bell.sum()
    return weights


BELL = _bell()
# (16, 26): times 26 rows of pixels, the Gaussian means down the columns
BAND = np.stack([np.pad(BELL, (row, STRIP_ROWS - 1 - row)) for row in range(STRIP_ROWS)])


def mse_rgb(reference: Pixels, distorted: Pixels) -> float:
    """Return the mean squared error over all pixels and channels, in squared 8-bit steps."""
    return float(np.mean(_squared_error(reference, distorted)))


def psnr_db(mse: float) -> float:
    """Return 10 log10(255² / MSE) in dB, or inf if the mean squared error is 0."""
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else math.inf


def psnr_rgb_db(reference: Pixels, distorted: Pixels) -> float:
    """Return 10 log10(255² / MSE) in dB with the MSE of all channels, or inf if identical."""
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
    plane: Plane = np.multiply(image[..., 0], LUMA[0])
    term = np.multiply(image[..., 1], LUMA[1])
    plane += term
    plane += np.multiply(image[..., 2], LUMA[2], out=term)
    return plane


def ssim_luma(reference: Pixels, distorted: Pixels) -> float:
    """Return the structural similarity of the luma planes, in [-1, 1], 1 if identical.

    Wang et al. 2004 ("Image quality assessment: from error visibility to structural similarity"),
    equation 13 and section III-C: 11 × 11 Gaussian window of sigma 1.5 px, population covariance,
    K1 = 0.01, K2 = 0.03, data range 255. The mean is over the positions where the window lies
    inside the image. No downsampling comes beforehand.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(*reference.shape[:2])
    return float(_similarity_map(luma(reference), luma(distorted)).mean())


def ssim_map_luma(reference: Pixels, distorted: Pixels) -> Plane:
    """Return what `ssim_luma` is the mean of: `(H - 10, W - 10)`, one value a window.

    Value (y, x) is that of the window around pixel (y + 5, x + 5).

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(*reference.shape[:2])
    return _similarity_map(luma(reference), luma(distorted))


def ssim(reference: Plane, distorted: Plane, data_range: float) -> float:
    """Return the structural similarity of two planes `(H, W)` with values in [0, data_range].

    As `ssim_luma`, for what is no photograph: K1 and K2 refer to `data_range`.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    _require_window(*reference.shape)
    if data_range != PEAK:
        scale = PEAK / data_range
        reference, distorted = reference * scale, distorted * scale
    return float(_similarity_map(reference, distorted).mean())


def ms_ssim_luma(reference: Pixels, distorted: Pixels) -> float:
    """Return the multi-scale structural similarity of the luma planes, in [0, 1].

    Wang et al. 2003 ("Multi-scale structural similarity for image quality assessment"), equation 7,
    as in its MATLAB code. It multiplies the mean contrast-structure term of each finer scale and
    the mean SSIM of the coarsest, to the powers of `SCALE_WEIGHTS`. Between scales it takes the
    mean of 2 × 2 pixels, and repeats an odd last row or column. A negative mean counts as 0. The
    number of scales is that of `ms_ssim_scales`. The weights of fewer than five scale to sum 1.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    *finer, coarsest = _weights(ms_ssim_scales(*reference.shape[:2]))
    x, y = luma(reference), luma(distorted)
    product = 1.0
    for weight in finer:
        contrast = float(_similarity_map(x, y, luminance=False).mean())
        product *= math.pow(max(contrast, 0.0), weight)
        x, y = halved(x), halved(y)
    similarity = float(_similarity_map(x, y).mean())
    return product * math.pow(max(similarity, 0.0), coarsest)


def ms_ssim_scales(height: int, width: int) -> int:
    """Return on how many scales, 1 to 5, to take MS-SSIM of an image of this size in px.

    Each scale halves the sides, rounding up, and the 11 px window must fit the coarsest. Five
    scales need 161 px, four 81, three 41, two 21.

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


def _similarity_map(x: Plane, y: Plane, *, luminance: bool = True) -> Plane:
    """Return SSIM for every whole window of two planes, or its contrast-structure term only.

    It works on the planes in strips of rows, which stay in a core's cache.
    """
    height, width = x.shape
    result = np.empty((height - 2 * REACH_PX, width - 2 * REACH_PX))
    room = np.zeros((2, 4, (STRIP_ROWS + 2 * REACH_PX) * width))
    for top in range(0, len(result), STRIP_ROWS):
        strip = slice(top, top + STRIP_ROWS + 2 * REACH_PX)
        result[top : top + STRIP_ROWS] = _similarity_strip(x[strip], y[strip], room, luminance)
    return result


def _similarity_strip(x: Plane, y: Plane, room: Plane, luminance: bool) -> Plane:
    """Return what `_similarity_map` does, of a strip.

    Wang's variances enter only as their sum, so four filtered planes do for five. Every step
    writes where memory is in the cache, which halves the time: `room`, `(2, 4, pixels of the
    largest strip)`, is overwritten.
    """
    moments = room[0, :, : x.size].reshape(4, *x.shape)
    of_x, of_y, power, product = moments
    of_x[:], of_y[:] = x, y
    np.multiply(of_x, of_x, out=power)
    power += np.multiply(of_y, of_y, out=product)
    np.multiply(of_x, of_y, out=product)
    mean_x, mean_y, power, product = windowed(moments, room[1])
    cross = mean_x * mean_y
    mean_x *= mean_x
    mean_y *= mean_y
    squares = np.add(mean_x, mean_y, out=mean_x)
    # (2 (product - cross) + C2) / (power - squares + C2)
    product -= cross
    product *= 2
    product += C2
    power -= squares
    power += C2
    product /= power
    if luminance:  # times (2 cross + C1) / (squares + C1)
        cross *= 2
        cross += C1
        squares += C1
        cross /= squares
        product *= cross
    return product.reshape(-1, x.shape[1])[:, : -2 * REACH_PX]


def windowed(planes: Plane, room: Plane) -> list[Plane]:
    """Return the Gaussian means of the planes of a strip, `(n, h, w)`, as lines `(h - 10) w`.

    The last 10 of each row are those of windows that go on in the next, and mean nothing. A strip
    has at most 26 rows. `room`, `(n, h w or more)`, holds finite values, and this function
    overwrites it.
    """
    count, height, width = planes.shape
    rows = height - 2 * REACH_PX
    lines = room[:, : rows * width + 2 * REACH_PX]
    columns = lines[:, : rows * width].reshape(count, rows, width)
    for left in range(0, width, STRIP_COLUMNS):
        part = np.s_[..., left : left + STRIP_COLUMNS]
        np.matmul(BAND[:rows, :height], planes[part], out=columns[part])
    return [np.correlate(line, BELL, "valid") for line in lines]


def halved(plane: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Return the means of 2 × 2 pixels, after repeating an odd last row or column."""
    odd = [(0, side % 2) for side in plane.shape]
    even = np.pad(plane, odd, mode="edge") if any(map(any, odd)) else plane
    rows = even[::2] + even[1::2]
    half: NDArray[Any] = rows[:, ::2] + rows[:, 1::2]
    half /= 4
    return half


# what stage metrics measures, in the order of its columns; of the reference, the distorted image
# and the saliency map
METRICS = by_column(
    (
        Measure(
            column="mse_rgb",
            label="MSE",
            short="MSE",
            plane="RGB",
            unit="",
            digits=3,
            gain_digits=2,
            higher_is_better=False,
            role=TUNED_BY_PSNR,
            needs_map=False,
            function=lambda reference, distorted, saliency: mse_rgb(reference, distorted),
        ),
        Measure(
            column="psnr_rgb_db",
            label="PSNR",
            short="PSNR",
            plane="RGB",
            unit="dB",
            digits=3,
            gain_digits=2,
            higher_is_better=True,
            role=TUNED_BY_PSNR,
            needs_map=False,
            function=lambda reference, distorted, saliency: psnr_rgb_db(reference, distorted),
        ),
        Measure(
            column="ssim_luma",
            label="SSIM",
            short="SSIM",
            plane="luma",
            unit="",
            digits=4,
            gain_digits=4,
            higher_is_better=True,
            role=TUNED_BY_PSNR,
            needs_map=False,
            function=lambda reference, distorted, saliency: ssim_luma(reference, distorted),
        ),
        Measure(
            column="ms_ssim_luma",
            label="MS-SSIM",
            short="MS-SSIM",
            plane="luma",
            unit="",
            digits=4,
            gain_digits=4,
            higher_is_better=True,
            role=LOOKED_AT,
            needs_map=False,
            function=lambda reference, distorted, saliency: ms_ssim_luma(reference, distorted),
        ),
        Measure(
            column="wpsnr_rgb_db",
            label="saliency-weighted PSNR",
            short="wPSNR",
            plane="",
            unit="dB",
            digits=3,
            gain_digits=2,
            higher_is_better=True,
            role=BLIND,
            needs_map=True,
            function=wpsnr_rgb_db,
        ),
    )
)
# those that charts, curves and tables of gains show
HEADLINE = ("psnr_rgb_db", "ssim_luma", "wpsnr_rgb_db")


def measure(
    reference: Pixels, distorted: Pixels, saliency: NDArray[np.float32] | None
) -> dict[str, float]:
    """Return all measures of one distorted image by name.

    Parameters
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1]; without it those that need a map are left out.

    Returns
    -------
    dict
        The names of `METRICS`, and `ms_ssim_scales`, on how many scales MS-SSIM was
        taken (5 unless the image is small). PSNRs are inf where nothing differs.

    Raises
    ------
    ImageError
        If the sizes differ or an image is smaller than SSIM's window.
    """
    _require_same_size("the distorted image", reference, distorted)
    if saliency is not None:
        _require_same_size("the saliency map", reference, saliency)
    values = {
        name: metric.function(reference, distorted, saliency)
        for name, metric in METRICS.items()
        if saliency is not None or not metric.needs_map
    }
    return values | {"ms_ssim_scales": ms_ssim_scales(*reference.shape[:2])}


def _require_same_size(what: str, reference: Pixels, other: NDArray[Any]) -> None:
    if reference.shape[:2] != other.shape[:2]:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (reference, other)]
        raise ImageError(
            f"The reference has {sizes[0]} pixels and {what} {sizes[1]}; they must be of one size."
        )
