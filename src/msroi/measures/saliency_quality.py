"""How well saliency maps say where people look and where objects are.

Measures of a map `(H, W) float32` against human fixations (SALICON) and against the box
of an object (Caltech-101's airplanes), for the experiment's map and two it must beat: the
class activation map of the most probable class alone, and a map that only knows where the
centre is. Fixations are `(N, 2) int` of (row, column) from 0; as in the MIT saliency
benchmark (Bylinskii et al. 2019), a pixel that was fixated several times counts once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from msroi.images import enlarged
from msroi.network.centre_prior import centre_prior
from msroi.sources.annotations import (
    BOXED_CLASS,
    BOXES,
    Box,
    Fixated,
    Points,
    read_boxes,
    read_fixations,
)

Map = NDArray[np.float32]
Measure = Callable[[Map], float]

COLUMNS = ("dataset", "image", "map", "measure", "value", "n")

SIGMA_PX = 19.0

# measures against fixations


def auc_judd(saliency: Map, fixations: Points) -> float:
    """Return the area under the ROC curve of fixated against all other pixels, in [0, 1].

    Judd et al. 2009 ("Learning to predict where humans look"): the thresholds are the
    map's values at the fixated pixels. Here the area is exact: at each of them, the share
    of the other pixels below it, plus half of those equal to it. So ties need no random
    jitter as in Judd's MATLAB code, and a constant map has 0.5. That code joins the
    thresholds by trapezia, which adds at most 1 / (2 × fixated pixels) on a map without ties.

    Returns 0.5 if no pixel is fixated, or all are.
    """
    fixated = fixated_pixels(saliency.shape, fixations)
    others = np.sort(saliency[~fixated])
    thresholds = saliency[fixated]
    if not others.size or not thresholds.size:
        return 0.5
    below = np.searchsorted(others, thresholds, "left")
    not_above = np.searchsorted(others, thresholds, "right")
    return float((below + not_above).mean() / (2 * others.size))


def nss(saliency: Map, fixations: Points) -> float:
    """Return the normalised scanpath saliency: the mean of the z-scores at fixated pixels.

    Peters et al. 2005, with the population's standard deviation. Any real number; 0 is
    chance, and the value of a constant map or if no pixel is fixated.
    """
    fixated = fixated_pixels(saliency.shape, fixations)
    if np.ptp(saliency) == 0 or not fixated.any():
        return 0.0
    values = saliency.astype(np.float64)
    return float((values[fixated].mean() - values.mean()) / values.std())


def cc(saliency: Map, density: Map) -> float:
    """Return Pearson's correlation of two maps, in [-1, 1]; 0 where one is constant."""
    if np.ptp(saliency) == 0 or np.ptp(density) == 0:
        return 0.0
    return float(np.corrcoef(saliency.ravel(), density.ravel())[0, 1])


def fixated_pixels(shape: tuple[int, ...], fixations: Points) -> NDArray[np.bool_]:
    """Return where at least one fixation is: `shape` bool."""
    fixated = np.zeros(shape, np.bool_)
    fixated[fixations[:, 0], fixations[:, 1]] = True
    return fixated


def fixation_density(shape: tuple[int, int], fixations: Points, sigma_px: float = SIGMA_PX) -> Map:
    """Return how densely fixations lie, `shape` float32: their counts, blurred by a Gaussian."""
    counts = np.zeros(shape, np.float32)
    np.add.at(counts, (fixations[:, 0], fixations[:, 1]), 1)
    return np.asarray(gaussian_filter(counts, sigma_px, mode="constant"), np.float32)


# measures against a box


def box_share(saliency: Map, box: Box) -> float:
    """Return the share of the map's sum that lies inside the box, in [0, 1].

    A map of zeros counts as uniform: then it is the box's share of the area.
    """
    weights = saliency.astype(np.float64) if saliency.any() else np.ones(saliency.shape)
    return float(weights[inside(saliency.shape, box)].sum() / weights.sum())


def pointing_hit(saliency: Map, box: Box) -> float:
    """Return 1 if the map's maximum lies inside the box, else 0.

    Zhang et al. 2018 ("Top-down neural attention by excitation backprop"), without the
    tolerance of 15 px. Where several pixels are the maximum, the share of them inside:
    what is expected if one of them is drawn.
    """
    return float(inside(saliency.shape, box)[saliency == saliency.max()].mean())


def inside(shape: tuple[int, ...], box: Box) -> NDArray[np.bool_]:
    """Return which pixels have their centre inside the box: `shape` bool."""
    row, column = (np.arange(side) + 0.5 for side in shape)
    down = (row >= box.top) & (row < box.bottom)
    across = (column >= box.left) & (column < box.right)
    return np.asarray(np.logical_and.outer(down, across))


# the table


@dataclass(frozen=True)
class Marked:
    """What is known of the images of an experiment: who looked where, what stands in which box.

    Fixations go with the test photos of the same name and size, boxes with the validation
    images of `BOXED_CLASS`. `left_out` counts what could not be used.
    """

    fixated: Mapping[str, Fixated]
    boxes: Mapping[str, Box]
    left_out: Mapping[str, int]

    def measures(self, row: Mapping[str, str]) -> tuple[dict[str, Measure], int]:
        """Return the measures of a map of an image, by name, and of how many marks they are.

        There are none if nothing is known of the image, which is a row of the index.
        """
        image = row["image"].rsplit("__", 1)[-1]
        if row["split"] == "test" and image in self.fixated:
            seen = self.fixated[image].at(size_of(row))
            if seen is not None and len(seen.points):
                return by_fixations(seen), len(seen.points)
        if self.boxed(row):
            return by_box(self.boxes[image]), 1
        return {}, 0

    def boxed(self, row: Mapping[str, str]) -> bool:
        """Say whether an image of the index is a validation image whose box is known."""
        is_of_class = row["split"] == "validate" and row["class"] == BOXED_CLASS
        return is_of_class and row["image"].rsplit("__", 1)[-1] in self.boxes

    def rows(self, row: Mapping[str, str], maps: Mapping[str, Map]) -> list[dict[str, Any]]:
        """Return rows of `COLUMNS`: how good maps `(h, w)` in [0, 1] of an image are, by name."""
        measures, count = self.measures(row)
        name = {"dataset": row["dataset"], "image": row["image"], "n": count}
        values = compared(maps, size_of(row), measures) if measures else ()
        return [name | value for value in values]

    def summary(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the means by map and measure, and what was left out; nothing if all is unknown."""
        if not self.fixated and not self.boxes:
            return {}
        return {"saliency_quality": means(rows)} | dict(self.left_out)


def read_marked(downloaded: Path) -> Marked:
    """Read what marks there are in the folder of downloaded data sets."""
    fixated, dropped = read_fixations(downloaded)
    boxes, skipped = read_boxes(downloaded / BOXES)
    return Marked(fixated, boxes, {"fixations_dropped": dropped, "boxes_skipped": skipped})


def size_of(row: Mapping[str, str]) -> tuple[int, int]:
    """Return the height and width in px of an image of the index."""
    return int(row["height"]), int(row["width"])


def by_fixations(seen: Fixated) -> dict[str, Measure]:
    """Return the measures of a map of this photograph, by name."""
    density = fixation_density(seen.size, seen.points)
    return {
        "auc_judd": lambda saliency: auc_judd(saliency, seen.points),
        "nss": lambda saliency: nss(saliency, seen.points),
        "cc": lambda saliency: cc(saliency, density),
    }


def by_box(box: Box) -> dict[str, Measure]:
    """Return the measures of a map of the image that this box belongs to, by name."""
    return {
        "box_share": lambda saliency: box_share(saliency, box),
        "pointing_hit": lambda saliency: pointing_hit(saliency, box),
    }


def compared(
    maps: Mapping[str, Map], size: tuple[int, int], measures: Mapping[str, Measure]
) -> Iterator[dict[str, str]]:
    """Yield the value of each measure for each map, brought to `size`, and the centre prior."""
    full = {name: enlarged(small, *size) for name, small in maps.items()}
    for name, saliency in (full | {"centre_prior": centre_prior(*size)}).items():
        for measure, value in measures.items():
            yield {"map": name, "measure": measure, "value": f"{value(saliency):.6f}"}


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the mean over the images by map and measure."""
    values: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        of_map = values.setdefault(row["map"], {})
        of_map.setdefault(row["measure"], []).append(float(row["value"]))
    return {
        name: {measure: round(fmean(found), 6) for measure, found in of_map.items()}
        for name, of_map in values.items()
    }
