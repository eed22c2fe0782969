"""Stage judges: perceptual metrics of some of the files that stage compress made.

They are slow, so the stage takes only the files of the first photographs by name. The table has a
row for each image, method and quality, missed size matches among them. Only rows whose file size
matched within the tolerance enter means, differences and wins.
"""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from msroi.errors import ImageError
from msroi.experiment.comparison import (
    Differences,
    both_matched,
    finite,
    matched,
    mean,
    rounded,
    sd,
    significant,
)
from msroi.experiment.encoded import Encoded
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import main_map
from msroi.experiment.selection import Photograph, first_by_name
from msroi.files import Row, csv_rows, write_csv, write_json
from msroi.images import Pixels, read_rgb
from msroi.measures.measure import Measure
from msroi.measures.perceptual import JUDGES, judging

# what other methods are compared with, and the set of all photographs
AGAINST = ("jpeg", "mozjpeg", "jpegli")
EVERY_SET = "all"
COLUMNS = (
    *("experiment", "dataset", "image", "method", "match_quality", "bytes", "size_error_pct"),
    *JUDGES,
)
COMPARISON_COLUMNS = (
    *("dataset", "match_quality", "method", "against", "judge", "role"),
    *("n", "difference", "sd", "won"),
)
WORKERS = min(2, os.cpu_count() or 1)  # LPIPS uses all cores itself


def run(experiment: Experiment, layout: Layout) -> None:
    """Score some of the compressed images. Write the table, its comparison and its summary.

    Raises
    ------
    MissingError
        If the stage compress has not run.
    ImageError
        If an image can't be read or is too small; the message names the photograph.
    """
    encoded = Encoded(layout)
    index, qualities = layout.jpeg / "index.csv", experiment.judges.match_qualities
    photographs = first_by_name(map(photograph_of, csv_rows(index)), experiment.judges.images)
    files: dict[Photograph, list[dict[str, str]]] = {one: [] for one in photographs}
    for row in csv_rows(index):  # read again, so that the rows of all others are not kept
        if photograph_of(row) in files and int(row["match_quality"]) in qualities:
            files[photograph_of(row)].append(row)

    def judge_photograph(photograph: Photograph) -> list[dict[str, Any]]:
        dataset, image = photograph
        original = layout.test_image(dataset, image)
        reference = read_rgb(original)
        saliency = main_map(experiment, layout, dataset, image)
        rows = files[photograph]
        paths = [
            encoded.file(dataset, row["method"], int(row["match_quality"]), image) for row in rows
        ]
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


def photograph_of(row: Row) -> Photograph:
    """Return the dataset and the name of a row's photograph."""
    return row["dataset"], row["image"]


def judged(
    reference: Pixels, saliency: NDArray[np.float32], others: Iterable[Pixels]
) -> list[dict[str, float]]:
    """Return `JUDGES` by name for each distorted image, rounded as the tables are.

    Parameters
    ----------
    reference, others
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1].

    Raises
    ------
    ImageError
        If a side is shorter than 31 px, or SSIM has no window around a salient pixel.
    """
    judge = judging(reference, saliency)
    values = map(judge, others)
    return [{name: significant(value) for name, value in row.items()} for row in values]


def summarise(table: Iterable[Row]) -> dict[str, Any]:
    """Return what each metric was to our encoders, and statistics by set, method and quality.

    Parameters
    ----------
    table
        Rows with `COLUMNS` and `matched` ("true" or "false").

    Returns
    -------
    dict
        `roles` by judge, and `sets`: dataset -> method -> `q<match_quality>` -> `n` rows whose
        size matched and `n_missed` others; `mean` and `sd` (n - 1) of the finite values of
        matched rows. A mean of none and an sd of fewer than two are None.
    """
    cells: dict[tuple[str, str, int], list[Row]] = {}
    for row in table:
        key = (row["dataset"], row["method"], int(row["match_quality"]))
        cells.setdefault(key, []).append(row)
    sets: dict[str, Any] = {}
    for (dataset, method, quality), rows in cells.items():
        of_size = matched(rows)
        values = {name: finite(float(row[name]) for row in of_size) for name in JUDGES}
        sets.setdefault(dataset, {}).setdefault(method, {})[f"q{quality}"] = {
            "n": len(of_size),
            "n_missed": len(rows) - len(of_size),
            "mean": {name: mean(found) for name, found in values.items()},
            "sd": {name: sd(found) for name, found in values.items()},
        }
    return {"roles": {name: one.role for name, one in JUDGES.items()}, "sets": sets}


def compare(table: Iterable[Row], judges: Mapping[str, Measure] = JUDGES) -> list[dict[str, Any]]:
    """Return rows of `COMPARISON_COLUMNS`: each method by each metric beside each of `AGAINST`.

    A row belongs to a dataset, or to all together as `all`, to a quality, a method and a metric.
    Its `n` photographs have both files of the right size and finite values. Of the method's value
    minus the other's stand the mean and the sd (n - 1). The last is the share of these photographs
    on which the method is better.
    """
    photographs: dict[tuple[str, str, int], dict[str, Row]] = {}
    for row in table:
        key = (row["dataset"], row["image"], int(row["match_quality"]))
        photographs.setdefault(key, {})[row["method"]] = row
    cells: dict[tuple[str, int, str, int], Differences] = {}
    for (dataset, _, quality), rows in photographs.items():
        for method, row in rows.items():
            for place, against in enumerate(AGAINST):
                other = rows.get(against)
                if method == against or not (other and both_matched(row, other)):
                    continue
                for of_set in (dataset, EVERY_SET):
                    key_of = (of_set, quality, method, place)
                    cells.setdefault(key_of, Differences(judges)).add(row, other)
    return [
        {
            "dataset": dataset,
            "match_quality": quality,
            "method": method,
            "against": AGAINST[place],
            "judge": name,
            "role": judges[name].role,
            "n": sums.n,
            "difference": rounded(sums.mean()),
            "sd": rounded(sums.sd()),
            "won": rounded(sums.won(judges[name].higher_is_better)),
        }
        for (dataset, quality, method, place), found in sorted(cells.items(), key=itemgetter(0))
        for name, sums in found.sums.items()
    ]
