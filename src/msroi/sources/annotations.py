"""What people marked on photographs: where they looked, and where an object is.

The files are those of two rows of `data/sources.csv`. They measure the saliency maps of an
experiment that downloads them. The readers skip and count unusable rows.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from msroi.errors import SourceError
from msroi.files import read_csv

Points = NDArray[np.intp]

SALICON_FIXATIONS = "salicon-fixations"
OSIE = "osie"  # photographs and fixations in one archive
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
    """Where people looked in one photograph.

    Attributes
    ----------
    size
        Height and width of the photograph in px.
    points
        `(N, 2)`: row and column of each fixation, from 0.
    viewers
        `(N,)`: whose fixation each is, from 0.
    """

    size: tuple[int, int]
    points: Points
    viewers: NDArray[np.intp]

    def at(self, size: tuple[int, int]) -> "Fixated | None":
        """Return the fixations in the photograph at `size`: its own, or one whole part of it.

        None if the sides are no whole parts, or not the same part, of the photograph's.
        """
        part = self.size[0] // size[0]
        if part < 1 or (size[0] * part, size[1] * part) != self.size:
            return None
        return Fixated(size, self.points // part, self.viewers)

    def of(self, viewers: Sequence[int] | NDArray[np.intp]) -> "Fixated":
        """Return the fixations of some viewers."""
        chosen = np.isin(self.viewers, viewers)
        return Fixated(self.size, self.points[chosen], self.viewers[chosen])


def read_fixations(downloaded: Path) -> tuple[dict[str, Fixated], int]:
    """Read the fixations that an experiment downloaded: SALICON's and OSIE's.

    Returns
    -------
    The fixations of all viewers by the image's name without suffix, and how many points
    were dropped since they are no pair of numbers or lie outside of the image. A folder
    that is not there has none.

    Raises
    ------
    SourceError
        If a file is not what the data set's files are.
    """
    found: dict[str, Fixated] = {}
    dropped = 0
    for folder, pattern, read in (
        (SALICON_FIXATIONS, "*.json", _salicon),
        (OSIE, "fixations.mat", _osie),
    ):
        for path in sorted((downloaded / folder).rglob(pattern)):
            for name, size, of_viewers in read(path):
                fixated, outside = _inside(size, of_viewers)
                found[name] = fixated
                dropped += outside
    return found, dropped


# of a photograph: its name without suffix, its size, and the points `(N, 2)` of each viewer
Given = tuple[str, tuple[int, int], list[NDArray[np.float64]]]


def _salicon(path: Path) -> Iterator[Given]:
    """Read a file of SALICON.

    Files of the training photos hold (row, column) from 1. Those of the validation photos hold (x,
    y) from 0 with fractions, which go to the nearest pixel. `train` in the file's name tells which.
    What is no pair of numbers becomes a point outside of the image.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        given: dict[Any, list[Any]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            given.get(annotation["image_id"], []).append(annotation["fixations"])
        for image in content["images"]:
            size = int(image["height"]), int(image["width"])
            row_first = "train" in path.name
            of_viewers = [pixels_of(points, row_first) for points in given[image["id"]]]
            yield Path(image["file_name"]).stem, size, of_viewers
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(
            f"{path} is not a file of SALICON's fixations: expected JSON with images "
            "(id, file_name, height, width) and annotations (image_id, fixations)."
        ) from None


OSIE_SIZE = 600, 800  # of all its photographs
# what SciPy raises for a file that is none of MATLAB's, or damaged, and what follows if it
# holds something else
UNSOUND = (
    MatReadError,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    NotImplementedError,
)


def _osie(path: Path) -> Iterator[Given]:
    """Read OSIE's `fixations.mat`: (x, y) from 1 with fractions, of 15 viewers a photograph."""
    try:
        for (of_image,) in loadmat(path)["fixations"]:
            image = of_image[0, 0]
            viewers = [subject[0, 0] for (subject,) in image["subjects"]]
            points = [
                np.rint(np.stack([of["fix_y"].ravel(), of["fix_x"].ravel()], axis=1) - 1)
                for of in viewers
            ]
            yield Path(str(image["img"].item())).stem, OSIE_SIZE, points
    except UNSOUND:
        raise SourceError(
            f"{path} is not OSIE's file of fixations: expected a MATLAB file of version 5 with "
            "fixations{i}.img and .subjects{k}.fix_x and .fix_y."
        ) from None


def _inside(
    size: tuple[int, int], of_viewers: Sequence[NDArray[np.float64]]
) -> tuple[Fixated, int]:
    """Return the points of all viewers that lie in the image, and how many others there are."""
    counts = [len(points) for points in of_viewers]
    points = np.concatenate([np.zeros((0, 2)), *of_viewers])
    viewers = np.repeat(np.arange(len(counts)), counts)
    kept = np.all((points >= 0) & (points < size), axis=1)
    fixated = Fixated(size, points[kept].astype(np.intp), viewers[kept])
    return fixated, int((~kept).sum())


def pixels_of(given: Sequence[Any], row_first: bool) -> NDArray[np.float64]:
    """Return the (row, column) from 0 of points: `(N, 2)`, -1 for what is no pair of numbers."""
    pairs = [
        point
        if isinstance(point, list)
        and len(point) == 2
        and all(isinstance(x, int | float) and np.isfinite(x) for x in point)
        else (-1, -1)
        for point in given
    ]
    points = np.array(pairs, np.float64).reshape(-1, 2)
    return np.rint(points - 1 if row_first else points[:, ::-1])


def read_boxes(folder: Path) -> tuple[dict[str, Box], int]:
    """Read the object boxes of `*.csv` in a folder, with columns `BOX_COLUMNS`.

    The source does not say whether the edges count from 0 or 1. The reader takes them as they are.

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
