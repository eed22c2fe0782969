"""Stage judges: perceptual measures of some of the files that stage compress made.

They are slow, so only the files of one size of the first photographs by name are judged. The
table has a row for each image and method, missed size matches among them; only rows whose
file size matched within the tolerance enter means, differences and wins.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from msroi.errors import ImageError
from msroi.experiment.comparison import (
    BASELINE,
    Pair,
    differences,
    finite,
    matched,
    mean,
    minus,
    pairs,
    sd,
    significant,
)
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.selection import Photograph, first_by_name
from msroi.files import Row, csv_rows, write_csv, write_json
from msroi.images import Pixels, read_grey, read_rgb
from msroi.measures.distortion import METRICS, ms_ssim_luma
from msroi.measures.perceptual import JUDGES, judging

JUDGED = {"ms_ssim_luma": METRICS["ms_ssim_luma"], **JUDGES}
RIVAL = "jpegli"
COLUMNS = (
    *("experiment", "dataset", "image", "method", "match_quality", "bytes", "size_error_pct"),
    *JUDGED,
)
COMPARISON_COLUMNS = (
    *("dataset", "method", "judge", "n", "mean", "minus_jpeg"),
    *("n_against_jpegli", "minus_jpegli", "wins_against_jpegli"),
)
WORKERS = min(2, os.cpu_count() or 1)  # LPIPS keeps 0.5 kB a pixel and uses all cores itself

# by data set and method
Cells = dict[tuple[str, str], list[Row]]


def run(experiment: Experiment, layout: Layout) -> None:
    """Judge some of the compressed images; write the table, its comparison and its summary.

    Raises
    ------
    MissingError
        If the stage compress has not run.
    ImageError
        If an image can't be read or is too small; the message names the photograph.
    """
    quality = experiment.judges.match_quality
    files: dict[Photograph, list[dict[str, str]]] = {}
    for row in csv_rows(layout.jpeg / "index.csv"):
        if row["match_quality"] == str(quality):
            files.setdefault((row["dataset"], row["image"]), []).append(row)
    photographs = first_by_name(files, experiment.judges.images)

    def judge_photograph(photograph: Photograph) -> list[dict[str, Any]]:
        dataset, image = photograph
        original = layout.test_image(dataset, image)
        reference = read_rgb(original)
        saliency = read_grey(layout.heatmap("saliency", dataset, image))
        rows = files[photograph]
        paths = [layout.jpeg_file(dataset, row["method"], quality, image) for row in rows]
        distorted = [read_rgb(path) for path in paths]
        try:
            found = judged(reference, saliency, distorted)
        except ImageError as error:
            raise ImageError(f"{original}: {error}") from None
        return [{"experiment": experiment.name, **r, **v} for r, v in zip(rows, found, strict=True)]

    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(judge_photograph, photographs)
        bar = tqdm(done, desc="judges", total=len(photographs), unit="image")
        table = [row for rows in bar for row in rows]
    folder = layout.judges
    write_csv(folder / "per_image.csv", COLUMNS, ({c: row[c] for c in COLUMNS} for row in table))
    write_csv(folder / "comparison.csv", COMPARISON_COLUMNS, compare(table))
    write_json(folder / "summary.json", summarise(table))


def judged(
    reference: Pixels, saliency: NDArray[np.float32], others: Iterable[Pixels]
) -> list[dict[str, float]]:
    """Return `JUDGED` by name for each distorted image, rounded as the tables are.

    Parameters
    ----------
    reference, others
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1].

    Raises
    ------
    ImageError
        If a side is shorter than 16 px, or SSIM has no window around a salient pixel.
    """
    judge = judging(reference, saliency)
    values = ({"ms_ssim_luma": ms_ssim_luma(reference, other), **judge(other)} for other in others)
    return [{name: significant(value) for name, value in row.items()} for row in values]


def summarise(table: Iterable[Row]) -> dict[str, Any]:
    """Return dataset -> method -> statistics, of the shape that `metrics.summarise` gives.

    Parameters
    ----------
    table
        Rows with `COLUMNS` and `matched` ("true" or "false").

    Returns
    -------
    dict
        Per cell: `n` rows whose size matched and `n_missed` others; `mean` and `sd` (n - 1)
        of the finite values of matched rows; for methods other than jpeg `minus_jpeg`, mean
        differences over the images matched in both. A mean of none and an sd of fewer than
        two are None.
    """
    cells = by_cell(table)
    summary: dict[str, Any] = {}
    for (dataset, method), rows in cells.items():
        of_size = matched(rows)
        values = {name: finite(row[name] for row in of_size) for name in JUDGED}
        cell = {
            "n": len(of_size),
            "n_missed": len(rows) - len(of_size),
            "mean": {name: mean(found) for name, found in values.items()},
            "sd": {name: sd(found) for name, found in values.items()},
        }
        if method != BASELINE:
            cell["minus_jpeg"] = minus(rows, cells.get((dataset, BASELINE), []), JUDGED)
        summary.setdefault(dataset, {})[method] = cell
    return summary


def compare(table: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of `COMPARISON_COLUMNS`: each method by each judge beside jpeg and jpegli.

    Differences are means over the images matched in both methods, `n_against_jpegli` of them
    for jpegli; `wins_against_jpegli` counts those on which the method is better. They are
    None where a method meets itself, or the other is not there.
    """
    cells = by_cell(table)
    rows = []
    for (dataset, method), of_method in cells.items():
        others = {
            other: pairs(of_method, cells[dataset, other])
            for other in (BASELINE, RIVAL)
            if other != method and (dataset, other) in cells
        }
        rival = others.get(RIVAL)
        of_size = matched(of_method)
        for name in JUDGED:
            rows.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "judge": name,
                    "n": len(of_size),
                    "mean": mean(finite(row[name] for row in of_size)),
                    "minus_jpeg": mean(differences(others.get(BASELINE, []), name)),
                    "n_against_jpegli": None if rival is None else len(rival),
                    "minus_jpegli": mean(differences(rival or [], name)),
                    "wins_against_jpegli": None if rival is None else wins(rival, name),
                }
            )
    return rows


def by_cell(table: Iterable[Row]) -> Cells:
    """Return the rows of each data set and method, in the table's order."""
    cells: Cells = {}
    for row in table:
        cells.setdefault((row["dataset"], row["method"]), []).append(row)
    return cells


def wins(of_pairs: Iterable[Pair], name: str) -> int:
    """Return how often the first is better by a judge; the equal count for neither."""
    sign = 1 if JUDGED[name].higher_is_better else -1
    return sum(sign * row[name] > sign * other[name] for row, other in of_pairs)
