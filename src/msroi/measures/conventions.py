"""PSNR and SSIM in every way that a paper may mean when it does not say."""

from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from msroi.images import Pixels
from msroi.measures import distortion

MEASURES = (
    *("psnr_rgb_db", "psnr_luma_db"),
    *("ssim_luma", "ssim_luma_uniform", "ssim_rgb", "ssim_rgb_uniform", "ms_ssim_luma"),
)


def measured(reference: Pixels, distorted: Pixels) -> dict[str, float]:
    """Return every convention's value by name, of `MEASURES`.

    Parameters
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB of one size.

    Returns
    -------
    dict
        PSNR over RGB samples and over luma as Pillow rounds it to 8 bits (mode L). SSIM of
        luma and of RGB (the mean of the three channels), each with Wang's Gaussian window and
        with a uniform window of 7 × 7 px and the sample covariance, which is what
        scikit-image's `structural_similarity` does when nothing is said. MS-SSIM of luma.
    """
    reference_grey, grey = (
        np.asarray(Image.fromarray(image).convert("L")) for image in (reference, distorted)
    )
    channels = [np.moveaxis(image.astype(np.float64), 2, 0) for image in (reference, distorted)]
    return {
        "psnr_rgb_db": distortion.psnr_rgb_db(reference, distorted),
        "psnr_luma_db": distortion.psnr_db(
            float(np.mean(np.square(np.subtract(reference_grey, grey, dtype=np.float64))))
        ),
        "ssim_luma": distortion.ssim_luma(reference, distorted),
        "ssim_luma_uniform": uniform_ssim(reference_grey, grey),
        "ssim_rgb": fmean(
            distortion.ssim(a, b, distortion.PEAK) for a, b in zip(*channels, strict=True)
        ),
        "ssim_rgb_uniform": uniform_ssim(reference, distorted),
        "ms_ssim_luma": distortion.ms_ssim_luma(reference, distorted),
    }


def uniform_ssim(reference: NDArray[np.uint8], distorted: NDArray[np.uint8]) -> float:
    """Return scikit-image's SSIM with its defaults, of `(H, W)` or `(H, W, 3) uint8`."""
    channels = 2 if reference.ndim == 3 else None
    return float(structural_similarity(reference, distorted, channel_axis=channels))
