"""How well saliency maps say where people look and where objects are.

Measures of a map `(H, W) float32` against human fixations (SALICON) and against the box
of an object (Caltech-101's airplanes), for the experiment's map and two it must beat: the
class activation map of the most probable class alone, and a map that only knows where the
centre is. Fixations are `(N, 2) int` of (row, column) from 0; as in the MIT saliency
benchmark (Bylinskii et al. 2019), a pixel that was fixated several times counts once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from msroi.errors import SourceError
from msroi.files import read_csv
from msroi.images import Pixels, enlarged
from msroi.index import rows_of
from msroi.layout import Layout

Map = NDArray[np.float32]
Points = NDArray[np.intp]

COLUMNS = ("dataset", "image", "map", "measure", "value", "n")

# rows of data/sources.csv
FIXATIONS = "salicon-fixations"
BOXES = "caltech-101-boxes"
BOXED_CLASS = "airplanes"
# what these columns hold is the top, bottom, left and right edge, whatever they are called
BOX_COLUMNS = ("x_top", "y_top", "x_bottom", "y_bottom")

SIGMA_PX = 19.0  # about 1 degree of visual angle in SALICON's photos of 640 × 480
CENTRE_SIGMA = 0.25  # of each side


class Box(NamedTuple):
    """A rectangle's edges in px."""

    top: float
    bottom: float
    left: float
    right: float

    def scaled(self, down: float, across: float) -> "Box":
        """Return the box in the image resized by these factors."""
        return Box(self.top * down, self.bottom * down, self.left * across, self.right * across)


class Fixated(NamedTuple):
    """The fixations of one photograph of `height` × `width` px."""

    height: int
    width: int
    points: Points


# measures against fixations


def auc_judd(saliency: Map, fixations: Points) -> float:
    """Return the area under the ROC curve of fixated against all other pixels, in [0, 1].

    Judd et al. 2009 ("Learning to predict where humans look"): the thresholds are the
    map's values at the fixated pixels. Here the area is exact: at each of them, the share
    of the other pixels below it, and half of those equal to it. So ties need no random
    jitter, a constant map has 0.5, and the trapezia of Judd's MATLAB code come within half
    of the largest share of fixated pixels between two thresholds.

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


def fixation_density(shape: tuple[int, int], fixations: Points) -> Map:
    """Return how densely fixations lie, `shape` float32: their counts, blurred by `SIGMA_PX`."""
    counts = np.zeros(shape, np.float32)
    np.add.at(counts, (fixations[:, 0], fixations[:, 1]), 1)
    return np.asarray(gaussian_filter(counts, SIGMA_PX, mode="constant"), np.float32)


def centre_prior(height: int, width: int) -> Map:
    """Return the map that knows only the centre, `(height, width) float32` in [0, 1].

    A Gaussian as wide as the image is: its standard deviation is `CENTRE_SIGMA` of each
    side, fixed beforehand and not fitted to the fixations it is compared on.
    """
    down, across = (
        np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / CENTRE_SIGMA) ** 2)
        for side in (height, width)
    )
    return np.outer(down, across).astype(np.float32)


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


# readers


def read_fixations(folder: Path) -> tuple[dict[str, Fixated], int]:
    """Read SALICON's files of fixations `*.json` in a folder.

    Files of the training photos hold (row, column) from 1, those of the validation photos
    (x, y) from 0 with fractions, which go to the nearest pixel; `train` in the file's name
    tells which.

    Returns
    -------
    The fixations of all observers by the image's name without suffix, and how many points
    were dropped since they are no pair of numbers or lie outside of the image. A folder
    that is not there has none.

    Raises
    ------
    SourceError
        If a file is not SALICON's JSON of images and annotations.
    """
    found: dict[str, Fixated] = {}
    dropped = 0
    for path in sorted(folder.rglob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            given: dict[Any, list[Any]] = {image["id"]: [] for image in content["images"]}
            for annotation in content["annotations"]:
                given.get(annotation["image_id"], []).extend(annotation["fixations"])
            for image in content["images"]:
                height, width = int(image["height"]), int(image["width"])
                points = pixels_of(given[image["id"]], "train" in path.name)
                kept = points[np.all((points >= 0) & (points < (height, width)), axis=1)]
                dropped += len(given[image["id"]]) - len(kept)
                name = Path(image["file_name"]).stem
                found[name] = Fixated(height, width, kept.astype(np.intp))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SourceError(
                f"{path} is not a file of SALICON's fixations: expected JSON with images "
                "(id, file_name, height, width) and annotations (image_id, fixations)."
            ) from None
    return found, dropped


def pixels_of(given: Sequence[Any], row_first: bool) -> NDArray[np.float64]:
    """Return the (row, column) from 0 of the points that are pairs of numbers: `(N, 2)`."""
    pairs = [
        point
        for point in given
        if isinstance(point, list)
        and len(point) == 2
        and all(isinstance(x, int | float) and np.isfinite(x) for x in point)
    ]
    points = np.array(pairs, np.float64).reshape(-1, 2)
    return np.rint(points - 1 if row_first else points[:, ::-1])


def read_boxes(folder: Path) -> tuple[dict[str, Box], int]:
    """Read the object boxes of `*.csv` in a folder; see `BOX_COLUMNS`.

    Whether the edges count from 0 or 1 is not stated; they are taken as they are.

    Returns
    -------
    The boxes by the image's name without suffix, and how many rows were skipped since they
    hold no rectangle. A folder that is not there has none.
    """
    found: dict[str, Box] = {}
    skipped = 0
    for row in (row for path in sorted(folder.rglob("*.csv")) for row in read_csv(path)):
        try:
            box = Box(*(float(row[column]) for column in BOX_COLUMNS))
            if not (0 <= box.top < box.bottom < np.inf and 0 <= box.left < box.right < np.inf):
                raise ValueError
            found[Path(row["Image"]).stem] = box
        except (ValueError, KeyError, TypeError):
            skipped += 1
    return found, skipped


# the table


def measure(
    layout: Layout, packed: NDArray[np.uint8], maps: Callable[[Pixels], Mapping[str, Map]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Measure an experiment's maps wherever it has fixations or boxes to measure them by.

    Fixations go with test photos of the same name and size, boxes with the validation
    images of their class.

    Parameters
    ----------
    layout
        Where the index and the downloaded data sets lie.
    packed
        `(N, side, side, 3) uint8`, all images at the network's input size.
    maps
        Makes the maps `(h, w)` in [0, 1] of one image at that size, by name.

    Returns
    -------
    Rows of `COLUMNS`, and the means by map and measure with how many points and boxes were
    left out. Both are empty without such a data set.
    """
    fixated, dropped = read_fixations(layout.downloaded / FIXATIONS)
    boxes, skipped = read_boxes(layout.downloaded / BOXES)
    if not fixated and not boxes:
        return [], {}
    rows: list[dict[str, Any]] = []
    for item in rows_of(layout, ["test", "validate"]):
        name = item["image"].rsplit("__", 1)[-1]  # without the folders
        small = packed[int(item["row"])]
        if item["split"] == "test" and name in fixated:
            seen = fixated[name]
            if (item["height"], item["width"]) == (str(seen.height), str(seen.width)):
                rows += table(item, maps(small), by_fixations(seen), len(seen.points))
        elif item["split"] == "validate" and item["class"] == BOXED_CLASS and name in boxes:
            side = len(small)
            box = boxes[name].scaled(side / int(item["height"]), side / int(item["width"]))
            rows += table(item, maps(small), by_box(side, box), 1)
    return rows, summary(rows) | {"points_dropped": dropped, "boxes_skipped": skipped}
