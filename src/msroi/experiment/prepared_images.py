"""The index that stage prepare writes and every later stage reads."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress, Experiment
from msroi.files import csv_rows
from msroi.images import Saliency, read_grey

COLUMNS = (
    "row",
    "split",
    "dataset",
    "class",
    "image",
    "path",
    "left",
    "top",
    "width",
    "height",
    "mode",
    "sha256",
    "jpeg_quality",
)


@dataclass(frozen=True)
class TestImage:
    """A test photograph: `dataset` is the test set's name."""

    dataset: str
    image: str
    source_jpeg_quality: str

    def path(self, layout: Layout) -> Path:
        """Return the RGB PNG at full size."""
        return layout.test_image(self.dataset, self.image)


def rows_of(layout: Layout, splits: Collection[str]) -> list[dict[str, str]]:
    """Return the index rows of some splits, in the order of the index."""
    return [row for row in csv_rows(layout.index) if row["split"] in splits]


def test_images(layout: Layout) -> Iterator[TestImage]:
    """Yield the test photographs, in the order of the index."""
    for row in csv_rows(layout.index):
        if row["split"] == "test":
            yield TestImage(row["dataset"], row["image"], row["jpeg_quality"])


def main_map(experiment: Experiment, layout: Layout, dataset: str, image: str) -> Saliency:
    """Read the main map of a test photograph: `(H, W) float32` in [0, 1]."""
    return read_grey(layout.saliency(experiment.main_map, dataset, image))


def followed(compress: Compress, layout: Layout, dataset: str, image: str) -> dict[str, Saliency]:
    """Read the map of a test photograph that each method follows, by method."""
    maps = {
        name: read_grey(layout.saliency(name, dataset, image))
        for name in sorted(set(compress.follows.values()))
    }
    return {method: maps[name] for method, name in compress.follows.items()}
