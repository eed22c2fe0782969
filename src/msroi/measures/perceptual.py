"""Judges: perceptual measures of a distorted photograph.

The values of `compress.trellis` were tuned by PSNR, SSIM and SSIMULACRA 2, so that SSIMULACRA 2
is no blind judge of `trellis` and `roi-trellis`; PSNR-HVS-M, MS-SSIM and LPIPS are
(docs/encoder.md).

Functions of a reference and a distorted image, `(H, W, 3) uint8 sRGB` of one size. Beside
the whole image they look at the salient region, the most salient 20 % of its pixels: by a
mean inside it (`_salient`), or, where a judge is no mean over pixels, at a composite
(`_composite`) that is the distorted image inside the region and the reference outside, so
that nothing outside counts. Packages are imported by the judge that needs them.
"""

import contextlib
import functools
import io
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from msroi.errors import ImageError
from msroi.images import BLOCK_PX, PEAK, Pixels
from msroi.measures import distortion
from msroi.measures.distortion import METRICS
from msroi.measures.measure import Measure, by_column

Mask = NDArray[np.bool_]

SALIENT_SHARE = 0.2
SMALLEST_PX = 16  # what LPIPS needs; the others need less

_IMPORTING = threading.Lock()


def judge(
    reference: Pixels, distorted: Pixels, saliency: NDArray[np.floating[Any]]
) -> dict[str, float]:
    """Return the names of `JUDGES` with the values of one distorted image.

    Parameters
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float` in [0, 1].

    Raises
    ------
    ImageError
        If a side is shorter than 16 px, or SSIM has no window around a salient pixel.
    """
    return judging(reference, saliency)(distorted)


@dataclass(frozen=True)
class Case:
    """What the judges look at: a photograph and one distorted image of it.

    Attributes
    ----------
    reference, distorted, mixed
        `(H, W, 3) uint8` sRGB; `mixed` is the composite.
    region
        The salient region, `(H, W)`.
    lpips
        LPIPS of an image against the reference.
    """

    reference: Pixels
    distorted: Pixels
    mixed: Pixels
    region: Mask
    lpips: Callable[[Pixels], float]


def judging(
    reference: Pixels, saliency: NDArray[np.floating[Any]]
) -> Callable[[Pixels], dict[str, float]]:
    """Return `judge` for one reference: with several images, LPIPS takes a third less time."""
    _require_size(reference)
    region = salient_region(saliency)
    lpips_of = _lpips_against(reference)

    def values(distorted: Pixels) -> dict[str, float]:
        mixed = composite(reference, distorted, region)
        case = Case(reference, distorted, mixed, region, lpips_of)
        return {name: one.function(case) for name, one in JUDGES.items()}

    return values


def psnr_hvs_m_db(reference: Pixels, distorted: Pixels) -> float:
    """Return PSNR-HVS-M of the luma planes in dB; inf if no difference can be seen.

    Ponomarenko et al. 2007 ("On between-coefficient contrast masking of DCT basis
    functions"), computed by the package `psnr_hvsm`: the PSNR of the DCT coefficients of
    8 × 8 blocks, where each difference is weighted by the eye's sensitivity to its
    frequency and lessened by what the block's own contrast masks. Luma is that of
    `measures.luma`: BT.601, full range, not rounded; the peak is 255. As in the authors'
    program blocks do not overlap and start at the upper left corner; where a side is not
    a multiple of 8, its last 1 to 7 px are left out.

    A composite has a high value, since differences are averaged over the whole image.

    Raises
    ------
    ImageError
        If a side is shorter than 16 px.
    """
    _require_size(reference)
    height, width = (side // BLOCK_PX * BLOCK_PX for side in reference.shape[:2])
    planes = (distortion.luma(image[:height, :width]) / PEAK for image in (reference, distorted))
    # blocks of one grey make it divide 0 by 0, and set the result aside
    with np.errstate(invalid="ignore", divide="ignore"):
        _, masked = _psnr_hvsm().hvs_hvsm_mse(*planes)
    return -10 * math.log10(masked) if masked > 0 else math.inf


@functools.cache
def _psnr_hvsm() -> Any:
    """Import the package's NumPy side, twice as fast as its C++ and not bound to one thread.

    The package prints that it has no PyTorch, which would spoil our own output.
    """
    with _IMPORTING, contextlib.redirect_stdout(io.StringIO()):
        import psnr_hvsm.numpy

        return psnr_hvsm.numpy


def ssimulacra2(reference: Pixels, distorted: Pixels) -> float:
    """Return SSIMULACRA 2: 100 if identical, 90 no difference seen, 70 high quality, 50 medium.

    Sneyers 2023 (https://github.com/cloudinary/ssimulacra2, version 2.1), computed by the
    package `ssimulacra2`, a port to NumPy: structural similarity and lost or added edges
    in a perceptual colour space, on six scales, fitted to what people judged. It may be
    negative. The port treats rows and columns differently at the edges: with the two
    exchanged, three photographs at quality 50 get values up to 0.6 apart.

    Raises
    ------
    ImageError
        If a side is shorter than 16 px.
    """
    from ssimulacra2 import compute_ssimulacra2

    _require_size(reference)
    return float(compute_ssimulacra2(_as_file(reference), _as_file(distorted)))


def _as_file(image: Pixels) -> io.BytesIO:
    """Return an image as an open file in memory, in a format that costs no time."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PPM")
    return file


def lpips(reference: Pixels, distorted: Pixels) -> float:
    """Return LPIPS with VGG16 (`msroi.measures.lpips`): 0 if identical, more the further apart.

    Raises
    ------
    ImageError
        If a side is shorter than 16 px.
    """
    _require_size(reference)
    return _lpips_against(reference)(distorted)


def _lpips_against(reference: Pixels) -> Callable[[Pixels], float]:
    from msroi.measures.lpips import against

    return against(reference)


def salient_region(saliency: NDArray[np.floating[Any]], share: float = SALIENT_SHARE) -> Mask:
    """Return the most salient pixels of a map as a mask `(H, W)`.

    Parameters
    ----------
    saliency
        `(H, W) float`.
    share
        How many pixels are taken, in (0, 1] of all: exactly so many, rounded, at least
        one. Of equally salient pixels those come first that come first in reading order,
        row by row.
    """
    count = max(round(share * saliency.size), 1)
    order = np.argsort(-saliency, axis=None, kind="stable")
    mask = np.zeros(saliency.shape, np.bool_)
    mask.flat[order[:count]] = True
    return mask


def composite(reference: Pixels, distorted: Pixels, region: Mask) -> Pixels:
    """Return the distorted image inside a mask `(H, W)` and the reference outside."""
    return np.where(region[..., None], distorted, reference)


def psnr_salient_db(reference: Pixels, distorted: Pixels, region: Mask) -> float:
    """Return the PSNR in dB over all channels of the pixels in a mask; inf if identical there."""
    return distortion.wpsnr_rgb_db(reference, distorted, region.astype(np.float64))


def ssim_salient(reference: Pixels, distorted: Pixels, region: Mask) -> float:
    """Return the mean SSIM of luma of the windows whose middle pixel is in a mask.

    The windows are those of `measures.ssim_luma`, which lie inside the image: the outer
    5 px are no window's middle.

    Raises
    ------
    ImageError
        If a side is shorter than the window, or the mask has no pixel further in.
    """
    values = distortion.ssim_map_luma(reference, distorted)
    edge = distortion.WINDOW_PX // 2
    inside = region[edge:-edge, edge:-edge]
    if not inside.any():
        raise ImageError(
            f"The salient region lies in the outer {edge} pixels of the image, where SSIM has "
            "no window."
        )
    return float(values[inside].mean())


def _require_size(image: Pixels) -> None:
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_PX:
        raise ImageError(
            f"The image has {width}x{height} pixels; the judges need at least {SMALLEST_PX} a side."
        )


_PSNR_HVS_M = Measure(
    column="psnr_hvs_m_db",
    label="PSNR-HVS-M",
    short="PSNR-HVS-M",
    plane="luma",
    unit="dB",
    digits=3,
    gain_digits=1,
    higher_is_better=True,
    needs_map=False,
    function=lambda case: psnr_hvs_m_db(case.reference, case.distorted),
)
_SSIMULACRA2 = Measure(
    column="ssimulacra2",
    label="SSIMULACRA 2",
    short="SSIMULACRA 2",
    plane="",
    unit="",
    digits=2,
    gain_digits=1,
    higher_is_better=True,
    needs_map=False,
    function=lambda case: ssimulacra2(case.reference, case.distorted),
)
_LPIPS = Measure(
    column="lpips",
    label="LPIPS",
    short="LPIPS",
    plane="",
    unit="",
    digits=4,
    gain_digits=3,
    higher_is_better=False,
    needs_map=False,
    function=lambda case: case.lpips(case.distorted),
)
# of a `Case`, in the order of the stage's columns
JUDGES = by_column(
    (
        _PSNR_HVS_M,
        _SSIMULACRA2,
        _LPIPS,
        replace(
            METRICS["psnr_rgb_db"],
            column="psnr_salient_db",
            label="PSNR of the salient region",
            needs_map=True,
            function=lambda case: psnr_salient_db(case.reference, case.distorted, case.region),
        ),
        replace(
            METRICS["ssim_luma"],
            column="ssim_salient",
            label="SSIM of the salient region",
            needs_map=True,
            function=lambda case: ssim_salient(case.reference, case.distorted, case.region),
        ),
        replace(
            _PSNR_HVS_M,
            column="psnr_hvs_m_composite_db",
            label="PSNR-HVS-M of the composite",
            needs_map=True,
            function=lambda case: psnr_hvs_m_db(case.reference, case.mixed),
        ),
        replace(
            _SSIMULACRA2,
            column="ssimulacra2_composite",
            label="SSIMULACRA 2 of the composite",
            needs_map=True,
            function=lambda case: ssimulacra2(case.reference, case.mixed),
        ),
        replace(
            _LPIPS,
            column="lpips_composite",
            label="LPIPS of the composite",
            needs_map=True,
            function=lambda case: case.lpips(case.mixed),
        ),
    )
)
