"""PSNR and SSIM in every way that a paper may mean when it does not say."""

from dataclasses import replace
from functools import partial
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from msroi.images import PEAK, Pixels
from msroi.measures import distortion
from msroi.measures.distortion import METRICS
from msroi.measures.measure import Measure, by_column


def measured(reference: Pixels, distorted: Pixels) -> dict[str, float]:
    """Return every convention's value by name, of `CONVENTIONS`.

    Parameters
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB of one size.
    """
    return {name: one.function(reference, distorted) for name, one in CONVENTIONS.items()}


def psnr_luma_db(reference: Pixels, distorted: Pixels) -> float:
    """Return the PSNR in dB over luma as Pillow rounds it to 8 bits (mode L)."""
    error = np.subtract(grey(reference), grey(distorted), dtype=np.float64)
    return distortion.psnr_db(float(np.mean(np.square(error))))


def ssim_rgb(reference: Pixels, distorted: Pixels) -> float:
    """Return SSIM with Wang's Gaussian window, the mean of the three channels."""
    channels = [np.moveaxis(image.astype(np.float64), 2, 0) for image in (reference, distorted)]
    return fmean(distortion.ssim(a, b, PEAK) for a, b in zip(*channels, strict=True))


def ssim_luma_uniform(reference: Pixels, distorted: Pixels) -> float:
    """Return `uniform_ssim` of luma as Pillow rounds it to 8 bits."""
    return uniform_ssim(grey(reference), grey(distorted))


def grey(image: Pixels) -> NDArray[np.uint8]:
    """Return Pillow's luma `(H, W)` of an image (mode L)."""
    return np.asarray(Image.fromarray(image).convert("L"))


def uniform_ssim(reference: NDArray[np.uint8], distorted: NDArray[np.uint8]) -> float:
    """Return scikit-image's SSIM with its defaults, of `(H, W)` or `(H, W, 3) uint8`.

    The window is uniform, 7 × 7 px, and the covariance that of a sample.
    """
    channels = 2 if reference.ndim == 3 else None
    return float(structural_similarity(reference, distorted, channel_axis=channels))


def _of_metric(name: str) -> Measure:
    """Return a metric as a convention: of two images alone."""
    metric = METRICS[name]
    return replace(metric, function=partial(metric.function, saliency=None))


_PSNR, _SSIM = _of_metric("psnr_rgb_db"), _of_metric("ssim_luma")
_UNIFORM = replace(_SSIM, label="SSIM, uniform window", short="SSIM, uniform")
# of the reference and the distorted image, in the order of the stage's columns
CONVENTIONS = by_column(
    (
        _PSNR,
        replace(_PSNR, column="psnr_luma_db", plane="luma", function=psnr_luma_db),
        _SSIM,
        replace(_UNIFORM, column="ssim_luma_uniform", function=ssim_luma_uniform),
        replace(_SSIM, column="ssim_rgb", plane="RGB", function=ssim_rgb),
        replace(_UNIFORM, column="ssim_rgb_uniform", plane="RGB", function=uniform_ssim),
        _of_metric("ms_ssim_luma"),
    )
)
