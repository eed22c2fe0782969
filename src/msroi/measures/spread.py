"""How far the saliency maps of several passes of one image differ (paper, Figures 1-4)."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.images import enlarged
from msroi.measures.distortion import ssim
from msroi.measures.saliency_quality import cc

Map = NDArray[np.float32]

COLUMNS = (
    "dataset",
    "image",
    "passes",
    "dropout",
    "mean_correlation",
    "min_correlation",
    "mean_std",
    "mean_ssim",
)


def measure(maps: NDArray[np.float32], side: int) -> dict[str, float]:
    """Say how far maps `(passes, h, w)` in [0, 1] of one image differ.

    Returns the mean and the smallest Pearson correlation over all pairs. It is 1 where a map is
    constant in both, and 0 where in one. Next is the mean over the pixels of the passes' standard
    deviation. Last is the mean over all pairs of the SSIM, with data range 1. It takes the maps
    enlarged to the network's input of `side` px. Where all are the same it computes nothing: they
    agree.
    """
    if (maps == maps[0]).all():
        return {"mean_correlation": 1.0, "min_correlation": 1.0, "mean_std": 0.0, "mean_ssim": 1.0}
    large = [enlarged(one, side, side).astype(np.float64) for one in maps]
    pairs = [correlation(a, b) for a, b in combinations(maps, 2)]
    similar = [ssim(a, b, 1.0) for a, b in combinations(large, 2)]
    return {
        "mean_correlation": float(np.mean(pairs)),
        "min_correlation": float(np.min(pairs)),
        "mean_std": float(maps.std(axis=0).mean()),
        "mean_ssim": float(np.mean(similar)),
    }


def correlation(a: Map, b: Map) -> float:
    """Return Pearson's correlation of two maps of one shape, or 1 where both are the same."""
    return 1.0 if np.array_equal(a, b) else cc(a, b)


def row(
    name: Mapping[str, str], dropout: float, maps: NDArray[np.float32], side: int
) -> dict[str, Any]:
    """Return an image's row of `COLUMNS` for its passes with this dropout."""
    differ = {key: f"{value:.6f}" for key, value in measure(maps, side).items()}
    return {**name, "passes": len(maps), "dropout": dropout, **differ}


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean correlation and the mean SSIM of passes over the images."""
    listed = list(rows)
    return {
        f"{key}_of_passes": round(fmean(float(row[key]) for row in listed), 6)
        for key in ("mean_correlation", "mean_ssim")
    }
