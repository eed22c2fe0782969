"""Stage augment: write the augmentation plan, and show examples of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import PackedImages
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import rows_of
from msroi.files import write_csv
from msroi.images import Pixels, write_image
from msroi.network.augmentation import COLUMNS, draw_view, read_plan, transform

AS_IT_IS = (0.0, 1.0, 0.0, 0.0)  # no rotation, no scaling, no flips
SHEET_IMAGES = 6
SHEET_VIEWS = 6


def plan_rows(experiment: Experiment, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the plan: for every view, one row a training image."""
    for view in range(experiment.augment.views):
        draws = draw_view(experiment.augment, len(rows), (experiment.seed, 2, view))
        if view == 0 and experiment.augment.plain_view:
            draws[:] = AS_IT_IS
        for row, (rotation, scale, horizontal, vertical) in zip(rows, draws, strict=True):
            yield {
                "view": view,
                "row": row,
                "rotation_deg": f"{rotation:.4f}",
                "scale": f"{scale:.4f}",
                "flip_horizontal": int(horizontal),
                "flip_vertical": int(vertical),
            }


def contact_sheet(images: Pixels, draws: NDArray[np.float32]) -> Pixels:
    """Lay out examples: one line an image, the original first, then its views.

    Parameters
    ----------
    images
        `(N, H, W, 3) uint8`.
    draws
        `(views, N, 4) float32`.
    """
    columns = [images]
    for draw in draws:
        columns.append(np.rint(np.asarray(transform(images, draw))).astype(np.uint8))
    gap = 4
    padded = [
        np.pad(column, ((0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=255)
        for column in columns
    ]
    return np.concatenate([np.concatenate(list(column), axis=0) for column in padded], axis=1)


def run(experiment: Experiment, layout: Layout) -> None:
    """Draw the plan and show examples of it."""
    rows = [int(row["row"]) for row in rows_of(layout, ["train"])]
    write_csv(layout.plan, COLUMNS, plan_rows(experiment, rows))
    packed = PackedImages(layout.packed)
    planned, draws = read_plan(layout)
    # spread over the training set, so that different classes are seen
    shown = np.linspace(0, len(rows) - 1, min(SHEET_IMAGES, len(rows))).astype(int)
    sheet = contact_sheet(packed[planned[shown]], draws[:SHEET_VIEWS, shown])
    write_image(layout.contact_sheet, sheet)
