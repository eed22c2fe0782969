"""Perceptual metrics of a distorted photograph.

Each says in `role` what it was to our own encoders. SSIMULACRA 2 is the target of their tuning. We
looked at PSNR-HVS-M, MS-SSIM and LPIPS. GMSD and the metrics of the region alone are blind
(docs/encoder.md).

Functions of a reference and a distorted image, `(H, W, 3) uint8 sRGB` of one size. Beside the whole
image they look at the salient region, the most salient 20 % of its pixels. Most take a mean inside
it (`_salient`). Where a metric is no mean over pixels, it looks at a composite (`_composite`). That
is the distorted image inside the region and the reference outside, so that nothing outside counts.
What depends on the reference alone happens once for all images beside it. Each metric imports the
packages that it needs.
"""

import contextlib
import functools
import io
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from msroi.errors import ImageError
from msroi.images import BLOCK_PX, PEAK, Pixels
from msroi.measures import distortion
from msroi.measures.distortion import METRICS
from msroi.measures.measure import BLIND, LOOKED_AT, TUNED, Measure, by_column

if TYPE_CHECKING:
    from msroi.measures.lpips import Distances

Mask = NDArray[np.bool_]

SALIENT_SHARE = 0.2
SMALLEST_PX = 31  # what LPIPS needs; the others need less
GMSD_C = 170  # for 8-bit luma

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
        If a side is shorter than 31 px, or SSIM has no window around a salient pixel.
    """
    return judging(reference, saliency)(distorted)


@dataclass(frozen=True)
class Case:
    """What the metrics look at: a photograph and one distorted image of it.

    Attributes
    ----------
    reference, distorted, mixed
        `(H, W, 3) uint8` sRGB; `mixed` is the composite.
    region
        The salient region, `(H, W)`.
    distances
        How far the distorted image is from the reference in the features of LPIPS.
    ssimulacra2
        SSIMULACRA 2 of an image against the reference.
    """

    reference: Pixels
    distorted: Pixels
    mixed: Pixels
    region: Mask
    distances: "Distances"
    ssimulacra2: Callable[[Pixels], float]


def judging(
    reference: Pixels, saliency: NDArray[np.floating[Any]]
) -> Callable[[Pixels], dict[str, float]]:
    """Return `judge` for one reference, with the reference's side of the work done once."""
    from msroi.measures import lpips, ssimulacra2

    _require_size(reference)
    region = salient_region(saliency)
    distances_of = lpips.against(reference)
    ssimulacra2_of = ssimulacra2.against(reference)

    def values(distorted: Pixels) -> dict[str, float]:
        mixed = composite(reference, distorted, region)
        case = Case(reference, distorted, mixed, region, distances_of(distorted), ssimulacra2_of)
        return {name: one.function(case) for name, one in JUDGES.items()}

    return values


def psnr_hvs_m_db(reference: Pixels, distorted: Pixels) -> float:
    """Return PSNR-HVS-M of the luma planes in dB, or inf if no difference is visible.

    Ponomarenko et al. 2007 ("On between-coefficient contrast masking of DCT basis functions") take
    the PSNR of the DCT coefficients of 8 × 8 blocks. The package `psnr_hvsm` computes it. The eye's
    sensitivity to its frequency weights each difference, and what the block's own contrast masks
    lessens it. Luma is that of `measures.luma`: BT.601, full range, not rounded. The peak is 255.
    As in the authors' program blocks do not overlap and start at the upper left corner. Where a
    side is not a multiple of 8, its last 1 to 7 px do not count.

    A composite has a high value, since the mean of the differences is over the whole image.

    Raises
    ------
    ImageError
        If a side is shorter than 31 px.
    """
    _require_size(reference)
    planes = [_blocks(image) for image in (reference, distorted)]
    differ = (planes[0] != planes[1]).any(axis=(1, 2))
    if not differ.any():
        return math.inf
    # equal blocks add nothing; blocks of one grey make it divide 0 by 0, and set the result aside
    with np.errstate(invalid="ignore", divide="ignore"):
        _, masked = _psnr_hvsm().hvs_hvsm_mse(*(_beside(plane[differ]) for plane in planes))
    masked *= differ.mean()
    return -10 * math.log10(masked) if masked > 0 else math.inf


def _blocks(image: Pixels) -> NDArray[np.float64]:
    """Return the luma in [0, 1] of an image's whole blocks, `(n, 8, 8)`."""
    rows, columns = (side // BLOCK_PX for side in image.shape[:2])
    plane = distortion.luma(image[: rows * BLOCK_PX, : columns * BLOCK_PX]) / PEAK
    blocks = plane.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2)
    return blocks.reshape(-1, BLOCK_PX, BLOCK_PX)


def _beside(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return blocks as a plane `(8, 8 n)`, as the package takes them."""
    return blocks.swapaxes(0, 1).reshape(BLOCK_PX, -1)


@functools.cache
def _psnr_hvsm() -> Any:
    """Import the package's NumPy side, twice as fast as its C++ and not bound to one thread.

    The package prints that it has no PyTorch, which would spoil our own output.
    """
    with _IMPORTING, contextlib.redirect_stdout(io.StringIO()):
        import psnr_hvsm.numpy

        return psnr_hvsm.numpy


def gmsd(reference: Pixels, distorted: Pixels) -> float:
    """Return the gradient magnitude similarity deviation: 0 if identical, more the further apart.

    Xue et al. 2014 ("Gradient magnitude similarity deviation: a highly efficient perceptual image
    quality index") first take the means of 2 × 2 pixels of luma. An odd last row or column goes in
    twice. The deviation is the standard deviation of how similar Prewitt's gradients of these are.
    Gradients lie where the 3 × 3 filter lies inside the image, not on zeros beyond it as in the
    authors' program.

    Raises
    ------
    ImageError
        If a side is shorter than 31 px.
    """
    _require_size(reference)
    first, second = (
        _gradient(distortion.halved(distortion.luma(image))) for image in (reference, distorted)
    )
    similarity = (2 * first * second + GMSD_C) / (first**2 + second**2 + GMSD_C)
    return float(similarity.std())


def _gradient(plane: distortion.Plane) -> distortion.Plane:
    """Return the magnitudes of Prewitt's gradients, `(H - 2, W - 2)`."""
    down = plane[:-2] + plane[1:-1] + plane[2:]
    across = plane[:, :-2] + plane[:, 1:-1] + plane[:, 2:]
    magnitudes: distortion.Plane = np.hypot(
        (down[:, 2:] - down[:, :-2]) / 3, (across[2:] - across[:-2]) / 3
    )
    return magnitudes


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
    """Return the PSNR in dB over all channels of a mask's pixels, or inf if identical there."""
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


def of_distorted(function: Callable[[Pixels, Pixels], float]) -> Callable[[Case], float]:
    """Return a function of two images as one of a case's reference and distorted image."""
    return lambda case: function(case.reference, case.distorted)


def of_mixed(function: Callable[[Pixels, Pixels], float]) -> Callable[[Case], float]:
    """Return a function of two images as one of a case's reference and composite."""
    return lambda case: function(case.reference, case.mixed)


def _lpips(case: Case) -> float:
    from msroi.measures.lpips import lpips

    return lpips(case.distances)


def _lpips_salient(case: Case) -> float:
    from msroi.measures.lpips import lpips_within

    return lpips_within(case.distances, case.region)


_PSNR_HVS_M = Measure(
    column="psnr_hvs_m_db",
    label="PSNR-HVS-M",
    short="PSNR-HVS-M",
    plane="luma",
    unit="dB",
    digits=3,
    gain_digits=2,
    higher_is_better=True,
    role=LOOKED_AT,
    needs_map=False,
    function=of_distorted(psnr_hvs_m_db),
)
_SSIMULACRA2 = Measure(
    column="ssimulacra2",
    label="SSIMULACRA 2",
    short="SSIMULACRA 2",
    plane="",
    unit="",
    digits=2,
    gain_digits=2,
    higher_is_better=True,
    role=TUNED,
    needs_map=False,
    function=lambda case: case.ssimulacra2(case.distorted),
)
_MS_SSIM = replace(METRICS["ms_ssim_luma"], function=of_distorted(distortion.ms_ssim_luma))
_LPIPS = Measure(
    column="lpips",
    label="LPIPS",
    short="LPIPS",
    plane="",
    unit="",
    digits=4,
    gain_digits=4,
    higher_is_better=False,
    role=LOOKED_AT,
    needs_map=False,
    function=_lpips,
)
_GMSD = Measure(
    column="gmsd",
    label="GMSD",
    short="GMSD",
    plane="luma",
    unit="",
    digits=4,
    gain_digits=4,
    higher_is_better=False,
    role=BLIND,
    needs_map=False,
    function=of_distorted(gmsd),
)


def _of_composite(measure: Measure, function: Callable[[Case], float]) -> Measure:
    return replace(
        measure,
        column=f"{measure.column.removesuffix('_db')}_composite" + ("_db" if measure.unit else ""),
        label=f"{measure.label} of the composite",
        needs_map=True,
        function=function,
    )


# of a `Case`, in the order of the stage's columns
JUDGES = by_column(
    (
        _SSIMULACRA2,
        _PSNR_HVS_M,
        _MS_SSIM,
        _LPIPS,
        _GMSD,
        _of_composite(_SSIMULACRA2, lambda case: case.ssimulacra2(case.mixed)),
        _of_composite(_PSNR_HVS_M, of_mixed(psnr_hvs_m_db)),
        _of_composite(_MS_SSIM, of_mixed(distortion.ms_ssim_luma)),
        replace(
            _LPIPS,
            column="lpips_salient",
            label="LPIPS of the salient region",
            needs_map=True,
            function=_lpips_salient,
        ),
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
    )
)
