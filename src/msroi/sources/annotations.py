"""What people marked on photographs: where they looked, and where an object is.

The files are those of two rows of `data/sources.csv`; an experiment that downloads them
has its saliency maps measured by them. A row that can't be used is left out and counted.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msroi.errors import SourceError
from msroi.files import read_csv

Points = NDArray[np.intp]

FIXATIONS = "salicon-fixations"
BOXES = "caltech-101-boxes"
BOXED_CLASS = "airplanes"
# whatever their names say, they hold the top, bottom, left and right edge
BOX_COLUMNS = ("x_top", "y_top", "x_bottom", "y_bottom")


class Box(NamedTuple):
    """A rectangle's edges in px."""

    top: float
    bottom: float
    left: float
    right: float


class Fixated(NamedTuple):
    """One photograph's size (height, width) in px and fixations (row, column) from 0."""

    size: tuple[int, int]
    points: Points


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
                size = int(image["height"]), int(image["width"])
                points = pixels_of(given[image["id"]], "train" in path.name)
                kept = points[np.all((points >= 0) & (points < size), axis=1)]
                dropped += len(given[image["id"]]) - len(kept)
                found[Path(image["file_name"]).stem] = Fixated(size, kept.astype(np.intp))
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
