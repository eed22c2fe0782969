"""Measures of what people see of a distorted photograph: weighted by where they look.

Functions of a reference and a distorted image, `(H, W, 3) uint8 sRGB`, and of the density of
human fixations, `(H, W)`, all of one size. The whole image's measures stand beside them. A
saliency map has no part in them, so they judge a method and its map alike (docs/gaze.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import sobel

from msroi.errors import ImageError
from msroi.images import Pixels
from msroi.measures import distortion, ssimulacra2
from msroi.measures.distortion import METRICS, REACH_PX, Plane
from msroi.measures.measure import by_column
from msroi.measures.perceptual import JUDGES, Mask, composite, salient_region
from msroi.measures.saliency_quality import Map, fixation_density
from msroi.sources.annotations import Fixated

EDGES_SHARE = 0.2  # of the pixels, those with the strongest gradients, are edges

Weights = NDArray[np.floating[Any]]


def density(seen: Fixated) -> Map:
    """Return how densely people looked at a photograph, `(H, W) float32`, at least 0."""
    return fixation_density(seen.size, seen.points)


@dataclass(frozen=True)
class Case:
    """What the measures look at: a photograph and one distorted image of it.

    Attributes
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB.
    density
        Of fixations, `(H, W)`.
    edges
        The strengths of edges, `(H, W)`, as `edges` returns them.
    region
        The most fixated fifth of the pixels, `(H, W)`.
    ssimulacra2
        SSIMULACRA 2 of an image against the reference.
    """

    reference: Pixels
    distorted: Pixels
    density: Weights
    edges: Plane
    region: Mask
    ssimulacra2: Callable[[Pixels], float]


def judging(reference: Pixels, density: Weights) -> Callable[[Pixels], dict[str, float]]:
    """Return what gives the names of `GAZE` with the values of a distorted image.

    It does the reference's side of the work once.

    Raises
    ------
    ImageError
        If the density has another size, or, when called, a side is shorter than SSIM's window.
    """
    if density.shape != reference.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (reference.shape, density.shape)]
        raise ImageError(
            f"The photograph has {sizes[0]} pixels and the density of fixations {sizes[1]}; "
            "they must be of one size."
        )
    strengths = edges(reference)
    region = salient_region(density)
    ssimulacra2_of = ssimulacra2.against(reference)

    def values(distorted: Pixels) -> dict[str, float]:
        case = Case(reference, distorted, density, strengths, region, ssimulacra2_of)
        return {name: one.function(case) for name, one in GAZE.items()}

    return values


def edges(image: Pixels) -> Plane:
    """Return the strengths of an image's edges, `(H, W)`, with 0 where there is none.

    An edge is a pixel whose gradient is stronger than that of four fifths of all pixels. Its
    strength is the magnitude of Sobel's gradients of BT.601 luma, with the outer rows and columns
    repeated. An image without edges has 1 everywhere.
    """
    luma = distortion.luma(image)
    gradient: Plane = np.hypot(*(sobel(luma, axis, mode="nearest") for axis in (0, 1)))
    strengths = np.where(gradient > np.quantile(gradient, 1 - EDGES_SHARE), gradient, 0)
    return strengths if strengths.any() else np.ones_like(strengths)


def psnr_edges_db(case: Case) -> float:
    """Return the PSNR in dB over all channels, weighted by density times strength of edges."""
    weights = case.density * case.edges
    return distortion.wpsnr_rgb_db(case.reference, case.distorted, weights)


def ssim_fixated(reference: Pixels, distorted: Pixels, density: Weights) -> float:
    """Return the mean SSIM of luma, each window weighted by the density at its middle pixel.

    The windows are those of `distortion.ssim_luma`, which lie inside the image: the outer 5 px
    are no window's middle. Where the density is 0 in all of them, they count alike.

    Raises
    ------
    ImageError
        If a side is shorter than the window.
    """
    values = distortion.ssim_map_luma(reference, distorted)
    weights = density[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX].astype(np.float64)
    return float(np.average(values, weights=weights if weights.any() else None))


# of a `Case`, in the order of the stage's columns; those that need a map need no saliency map
# but the fixations
GAZE = by_column(
    (
        replace(
            METRICS["wpsnr_rgb_db"],
            column="psnr_fixated_db",
            label="PSNR at fixations",
            short="PSNR fix.",
            plane="RGB",
            function=lambda case: distortion.wpsnr_rgb_db(
                case.reference, case.distorted, case.density
            ),
        ),
        replace(
            METRICS["wpsnr_rgb_db"],
            column="psnr_edges_db",
            label="PSNR at edges near fixations",
            short="PSNR edges",
            plane="RGB",
            function=psnr_edges_db,
        ),
        replace(
            METRICS["ssim_luma"],
            column="ssim_fixated",
            label="SSIM at fixations",
            short="SSIM fix.",
            needs_map=True,
            function=lambda case: ssim_fixated(case.reference, case.distorted, case.density),
        ),
        replace(
            JUDGES["ssimulacra2_composite"],
            column="ssimulacra2_fixated",
            label="SSIMULACRA 2 of the most fixated fifth",
            short="SSIMULACRA 2 fix.",
            function=lambda case: case.ssimulacra2(
                composite(case.reference, case.distorted, case.region)
            ),
        ),
        replace(
            METRICS["psnr_rgb_db"],
            function=lambda case: distortion.psnr_rgb_db(case.reference, case.distorted),
        ),
        replace(
            METRICS["ssim_luma"],
            function=lambda case: distortion.ssim_luma(case.reference, case.distorted),
        ),
        replace(
            JUDGES["ssimulacra2"],
            function=lambda case: case.ssimulacra2(case.distorted),
        ),
    )
)
# those of which the summary tells
HEADLINE = ("psnr_fixated_db", "ssimulacra2_fixated", "psnr_rgb_db", "ssimulacra2")
