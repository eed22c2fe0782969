"""How well saliency maps say where people look and where objects are.

The measures compare a map `(H, W) float32` with human fixations (SALICON, OSIE) and with the box of
an object (Caltech-101's airplanes). They take the experiment's maps and a map that only knows where
the centre is. They also take what half of the viewers say of the others. Fixations are `(N, 2) int`
of (row, column) from 0. As in the MIT saliency benchmark (Bylinskii et al. 2019), a pixel with
several fixations counts once, but for the information gain.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
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

# about one degree of the visual field, in parts of the longer side: 24 of OSIE's 800 px; one
# degree of SALICON's 640 px is 19
SIGMA = 0.03
# the share of a map that is uniform where it is taken for a probability
FLOOR = 0.01
# the share of the centre in what some viewers say of others, who look beyond where they looked
HUMAN_CENTRE = 0.1
HUMAN = "human"

# measures against fixations


def auc_judd(saliency: Map, fixations: Points) -> float:
    """Return the area under the ROC curve of fixated against all other pixels, in [0, 1].

    Judd et al. 2009 ("Learning to predict where humans look") take the map's values at the fixated
    pixels as thresholds. Here the area is exact. At each threshold it takes the share of the other
    pixels below it, plus half of those equal to it. So ties need no random jitter as in Judd's
    MATLAB code, and a constant map has 0.5. That code joins the thresholds by trapezia, which adds
    at most 1 / (2 × fixated pixels) on a map without ties.

    Returns 0.5 if no pixel has a fixation, or all have one.
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

    Peters et al. 2005, with the population's standard deviation. It is any real number. 0 is
    chance, and the value of a constant map or if no pixel has a fixation.
    """
    fixated = fixated_pixels(saliency.shape, fixations)
    if np.ptp(saliency) == 0 or not fixated.any():
        return 0.0
    values = saliency.astype(np.float64)
    return float((values[fixated].mean() - values.mean()) / values.std())


def cc(saliency: Map, density: Map) -> float:
    """Return Pearson's correlation of two maps, in [-1, 1], or 0 where one is constant."""
    if np.ptp(saliency) == 0 or np.ptp(density) == 0:
        return 0.0
    return float(np.corrcoef(saliency.ravel(), density.ravel())[0, 1])


def fixated_pixels(shape: tuple[int, ...], fixations: Points) -> NDArray[np.bool_]:
    """Return where at least one fixation is: `shape` bool."""
    fixated = np.zeros(shape, np.bool_)
    fixated[fixations[:, 0], fixations[:, 1]] = True
    return fixated


def fixation_density(shape: tuple[int, int], fixations: Points) -> Map:
    """Return how densely fixations lie, `shape` float32: their counts, blurred by one degree.

    The Gaussian's standard deviation is `SIGMA` of the longer side, so that a reduced photograph
    has the same density, reduced.
    """
    counts = np.zeros(shape, np.float32)
    np.add.at(counts, (fixations[:, 0], fixations[:, 1]), 1)
    return np.asarray(gaussian_filter(counts, SIGMA * max(shape), mode="constant"), np.float32)


def shuffled_auc(saliency: Map, fixations: Points, others: Points) -> float:
    """Return the area under the ROC curve against where people look elsewhere, in [0, 1].

    Zhang et al. 2008 ("SUN: A Bayesian framework for saliency using natural statistics") compare
    the fixated pixels with the fixations `others` `(M, 2)` in all other photographs. So knowing the
    centre gains nothing. Here all of those count, as often as they are, without a random draw. Ties
    count half. Returns 0.5 if either is empty.
    """
    values = saliency[fixated_pixels(saliency.shape, fixations)]
    negatives = np.sort(saliency[others[:, 0], others[:, 1]])
    if not values.size or not negatives.size:
        return 0.5
    below = np.searchsorted(negatives, values, "left")
    not_above = np.searchsorted(negatives, values, "right")
    return float((below + not_above).mean() / (2 * negatives.size))


def probability(saliency: Map) -> NDArray[np.float64]:
    """Return a map as the probability of each pixel, of sum 1: none is below `FLOOR` / pixels.

    The map, not negative, is divided by its sum and mixed with the uniform one, which has the
    share `FLOOR`. A map of zeros is the uniform one.
    """
    values = saliency.astype(np.float64) if saliency.any() else np.ones(saliency.shape)
    shares: NDArray[np.float64] = values / values.sum()
    return (1 - FLOOR) * shares + FLOOR / values.size


def information_gain(saliency: Map, baseline: NDArray[np.float64], fixations: Points) -> float:
    """Return how many bits a fixation the map knows beyond `baseline`, a probability.

    Kümmerer et al. 2015 ("Information-theoretic model comparison unifies saliency metrics"):
    the mean difference of the logarithms of both probabilities at the fixations, each counted.
    0 without any.
    """
    if not len(fixations):
        return 0.0
    at = fixations[:, 0], fixations[:, 1]
    return float(np.mean(np.log2(probability(saliency)[at]) - np.log2(baseline[at])))


# measures against a box


def box_share(saliency: Map, box: Box) -> float:
    """Return the share of the map's sum that lies inside the box, in [0, 1].

    A map of zeros counts as uniform: then it is the box's share of the area.
    """
    weights = saliency.astype(np.float64) if saliency.any() else np.ones(saliency.shape)
    return float(weights[inside(saliency.shape, box)].sum() / weights.sum())


def pointing_hit(saliency: Map, box: Box) -> float:
    """Return 1 if the map's maximum lies inside the box, else 0.

    Zhang et al. 2018 ("Top-down neural attention by excitation backprop"), without the tolerance of
    15 px. Where several pixels are the maximum, it returns the share of them inside. That is the
    expectation of drawing one of them.
    """
    return float(inside(saliency.shape, box)[saliency == saliency.max()].mean())


def inside(shape: tuple[int, ...], box: Box) -> NDArray[np.bool_]:
    """Return which pixels have their centre inside the box: `shape` bool."""
    row, column = (np.arange(side) + 0.5 for side in shape)
    down = (row >= box.top) & (row < box.bottom)
    across = (column >= box.left) & (column < box.right)
    return np.asarray(np.logical_and.outer(down, across))


# what is known beside the photograph


@dataclass(frozen=True)
class Others:
    """Where people looked in all other photographs of a size.

    Attributes
    ----------
    points
        `(M, 2)`, all their fixations.
    baseline
        `(H, W) float64`, of sum 1: the probability of a fixation that they tell.
    """

    points: Points
    baseline: NDArray[np.float64]


class Crowd:
    """Where people looked in all photographs of one size.

    Parameters
    ----------
    fixated
        The fixations by photograph, all of one size.
    """

    def __init__(self, fixated: Mapping[str, Fixated]) -> None:
        self.fixated = dict(fixated)
        self.size = next(iter(fixated.values())).size
        self.points = np.concatenate([seen.points for seen in fixated.values()])
        self.density = fixation_density(self.size, self.points)

    def others(self, name: str) -> Others | None:
        """Return what the photographs but this one say, or None if nobody looked at another."""
        points = np.concatenate(
            [np.zeros((0, 2), np.intp)]
            + [seen.points for of, seen in self.fixated.items() if of != name]
        )
        if not len(points):
            return None
        own = fixation_density(self.size, self.fixated[name].points)
        # what is left of a difference may be below 0 by rounding
        return Others(points, probability(np.maximum(self.density - own, 0)))


def halves(seen: Fixated) -> tuple[Fixated, Fixated]:
    """Return the fixations of every second viewer, from the second on, and those of the rest.

    Of OSIE's 15 viewers these are 7 and 8.
    """
    viewers = np.unique(seen.viewers)
    return seen.of(viewers[1::2]), seen.of(viewers[::2])


def human_map(seen: Fixated, others: Others | None) -> Map:
    """Return what the fixations of some viewers say of others: `(H, W) float32`, of sum 1.

    Their density, and the baseline with the share `HUMAN_CENTRE`. One fixation at least.
    """
    density = fixation_density(seen.size, seen.points)
    told = density.astype(np.float64) / density.sum(dtype=np.float64)
    if others is not None:
        told = (1 - HUMAN_CENTRE) * told + HUMAN_CENTRE * others.baseline
    return np.asarray(told, np.float32)


def human_rows(seen: Fixated, others: Others | None) -> Iterator[dict[str, str]]:
    """Yield the measures of the ceiling: what half of the viewers say of the other half.

    No rows if a half has no fixation.
    """
    tell, judge = halves(seen)
    if len(tell.points) and len(judge.points):
        yield from valued(HUMAN, human_map(tell, others), by_fixations(judge, others))


# the table


@dataclass(frozen=True)
class Marked:
    """What the data say of an experiment's images: who looked where, what stands in which box.

    Fixations go with the test photos of the same name and size, boxes with the validation
    images of `BOXED_CLASS`. `left_out` counts what could not be used.
    """

    fixated: Mapping[str, Fixated]
    boxes: Mapping[str, Box]
    left_out: Mapping[str, int]
    # of all photographs of a size, brought to the size of those that are measured
    _crowds: dict[tuple[tuple[int, int], tuple[int, int]], Crowd] = field(
        default_factory=dict, repr=False, compare=False
    )

    def seen(self, row: Mapping[str, str]) -> Fixated | None:
        """Return where people looked in a test photograph, or None where the data don't say."""
        if row["split"] != "test" or photograph(row) not in self.fixated:
            return None
        seen = self.fixated[photograph(row)].at(size_of(row))
        return seen if seen is not None and len(seen.points) else None

    def others(self, row: Mapping[str, str]) -> Others | None:
        """Return where people looked in the other photographs of the size of a fixated one."""
        key = self.fixated[photograph(row)].size, size_of(row)
        if key not in self._crowds:
            of_size = {
                name: seen.at(key[1]) for name, seen in self.fixated.items() if seen.size == key[0]
            }
            self._crowds[key] = Crowd({name: seen for name, seen in of_size.items() if seen})
        return self._crowds[key].others(photograph(row))

    def measures(self, row: Mapping[str, str]) -> tuple[dict[str, Measure], int]:
        """Return the measures of a map of an image, by name, and of how many marks they are.

        There are none if the data say nothing of the image, which is a row of the index.
        """
        if (seen := self.seen(row)) is not None:
            return by_fixations(seen, self.others(row)), len(seen.points)
        if self.boxed(row):
            return by_box(self.boxes[photograph(row)]), 1
        return {}, 0

    def boxed(self, row: Mapping[str, str]) -> bool:
        """Say whether an image of the index is a validation image with a known box."""
        is_of_class = row["split"] == "validate" and row["class"] == BOXED_CLASS
        return is_of_class and photograph(row) in self.boxes

    def rows(self, row: Mapping[str, str], maps: Mapping[str, Map]) -> list[dict[str, Any]]:
        """Return rows of `COLUMNS`: how good maps `(h, w)` in [0, 1] of an image are, by name."""
        measures, count = self.measures(row)
        name = {"dataset": row["dataset"], "image": row["image"], "n": count}
        rows = [name | of for of in compared(maps, size_of(row), measures)] if measures else []
        if (seen := self.seen(row)) is not None:
            rows += [
                name | of | {"n": len(halves(seen)[1].points)}
                for of in human_rows(seen, self.others(row))
            ]
        return rows

    def summary(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the means by map and measure, and what is missing, or nothing if all is unknown.

        Beside the means stand their standard errors and over how many images they go.
        """
        if not self.fixated and not self.boxes:
            return {}
        rows = list(rows)
        spread = {
            "saliency_quality_se": standard_errors(rows),
            "saliency_quality_images": counts(rows),
        }
        return {"saliency_quality": means(rows)} | spread | dict(self.left_out)


def read_marked(downloaded: Path) -> Marked:
    """Read what marks there are in the folder of downloaded datasets."""
    fixated, dropped = read_fixations(downloaded)
    boxes, skipped = read_boxes(downloaded / BOXES)
    return Marked(fixated, boxes, {"fixations_dropped": dropped, "boxes_skipped": skipped})


def size_of(row: Mapping[str, str]) -> tuple[int, int]:
    """Return the height and width in px of an image of the index."""
    return int(row["height"]), int(row["width"])


def photograph(row: Mapping[str, str]) -> str:
    """Return the name of an image of the index as its dataset has it, without folders."""
    return row["image"].rsplit("__", 1)[-1]


def by_fixations(seen: Fixated, others: Others | None = None) -> dict[str, Measure]:
    """Return the measures of a map of this photograph, by name.

    Two of them need to know where people looked in others.
    """
    density = fixation_density(seen.size, seen.points)
    measures: dict[str, Measure] = {
        "auc_judd": lambda saliency: auc_judd(saliency, seen.points),
        "nss": lambda saliency: nss(saliency, seen.points),
        "cc": lambda saliency: cc(saliency, density),
    }
    if others is None:
        return measures
    return measures | {
        "auc_shuffled": lambda saliency: shuffled_auc(saliency, seen.points, others.points),
        "information_gain": lambda saliency: information_gain(
            saliency, others.baseline, seen.points
        ),
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
        yield from valued(name, saliency, measures)


def valued(name: str, saliency: Map, measures: Mapping[str, Measure]) -> Iterator[dict[str, str]]:
    """Yield the value of each measure for a map at its photograph's size."""
    for measure, value in measures.items():
        yield {"map": name, "measure": measure, "value": f"{value(saliency):.6f}"}


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the mean over the images by map and measure."""
    return _summarised(rows, fmean)


def standard_errors(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the standard error of the mean by map and measure, or 0 where there is one image."""
    return _summarised(rows, lambda of: stdev(of) / len(of) ** 0.5 if len(of) > 1 else 0.0)


def counts(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the number of images by map and measure."""
    return _summarised(rows, len)


def _summarised(
    rows: Iterable[Mapping[str, Any]], summary: Callable[[Sequence[float]], float]
) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        of_map = values.setdefault(row["map"], {})
        of_map.setdefault(row["measure"], []).append(float(row["value"]))
    return {
        name: {measure: round(summary(found), 6) for measure, found in of_map.items()}
        for name, of_map in values.items()
    }
