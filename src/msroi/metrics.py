"""Stage metrics: every compressed photograph measured against its original.

The table has one row for each image, method and quality, missed size matches among
them; only rows whose file size matched within the tolerance enter the summary's means.
"""

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from msroi import measures
from msroi.errors import ImageError
from msroi.files import read_csv, write_csv, write_json
from msroi.images import Pixels, read_grey, read_rgb
from msroi.layout import Layout
from msroi.matched import (
    BASELINE,
    Row,
    differences,
    finite,
    matched,
    mean,
    minus,
    pairs,
    sd,
    significant,
)
from msroi.params import Experiment

MEASURES = ("mse_rgb", "psnr_rgb_db", "ssim_luma", "ms_ssim_luma", "wpsnr_rgb_db")
COMPRESSION = ("q_final", "bytes", "target_bytes", "size_error_pct")
COLUMNS = (
    "experiment",
    "dataset",
    "image",
    "method",
    "match_quality",
    *COMPRESSION,
    *MEASURES,
    "encoder",
)
# what other methods are compared with in comparison.csv, and the set of all photographs
AGAINST = ("jpeg", "mozjpeg", "jpegli", "trellis")
EVERY_SET = "all"
COMPARISON_COLUMNS = (
    *("dataset", "match_quality", "method", "against", "n"),
    *(f"{name}{what}" for name in MEASURES for what in ("", "_sd")),
)
WORKERS = min(4, os.cpu_count() or 1)  # a worker holds some 15 float planes of its image


def measure(
    reference: Pixels, distorted: Pixels, saliency: NDArray[np.float32] | None
) -> dict[str, float]:
    """Return all measures of one distorted image by name.

    Parameters
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1]; without it `wpsnr_rgb_db` is left out.

    Returns
    -------
    dict
        The names of `MEASURES`, and `ms_ssim_scales`, on how many scales MS-SSIM was
        taken (5 unless the image is small). PSNRs are inf where nothing differs.

    Raises
    ------
    ImageError
        If the sizes differ or an image is smaller than SSIM's window.
    """
    _require_same_size("the distorted image", reference, distorted)
    values = {
        "mse_rgb": measures.mse_rgb(reference, distorted),
        "psnr_rgb_db": measures.psnr_rgb_db(reference, distorted),
        "ssim_luma": measures.ssim_luma(reference, distorted),
        "ms_ssim_luma": measures.ms_ssim_luma(reference, distorted),
        "ms_ssim_scales": measures.ms_ssim_scales(*reference.shape[:2]),
    }
    if saliency is not None:
        _require_same_size("the saliency map", reference, saliency)
        values["wpsnr_rgb_db"] = measures.wpsnr_rgb_db(reference, distorted, saliency)
    return values


def run(experiment: Experiment, layout: Layout) -> None:
    """Measure every compressed image; write the table and its summary.

    Raises
    ------
    MissingError
        If the stage compress has not run.
    ImageError
        If an image can't be read or the sizes differ; the message names the file.
    """
    files = sorted(read_csv(layout.jpeg / "index.csv"), key=_place)
    photographs = [list(group) for _, group in groupby(files, key=lambda row: _place(row)[:2])]

    def measure_photograph(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
        dataset, image = rows[0]["dataset"], rows[0]["image"]
        reference = read_rgb(layout.test_image(dataset, image))
        saliency = read_grey(layout.heatmap("saliency", dataset, image))
        measured = []
        for row in rows:
            path = layout.jpeg_file(dataset, row["method"], int(row["match_quality"]), image)
            try:
                values = measure(reference, read_rgb(path), saliency)
            except ImageError as error:
                raise ImageError(f"{path}: {error}") from None
            rounded = {name: significant(value) for name, value in values.items()}
            measured.append({"experiment": experiment.name, **row, **rounded})
        return measured

    # NumPy and SciPy filter without holding the interpreter's lock
    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(measure_photograph, photographs)
        bar = tqdm(done, desc="metrics", total=len(photographs), unit="image")
        table = [row for rows in bar for row in rows]
    write_csv(
        layout.metrics / "per_image.csv", COLUMNS, ({c: row[c] for c in COLUMNS} for row in table)
    )
    write_json(layout.metrics / "summary.json", summarise(table))
    write_csv(layout.metrics / "comparison.csv", COMPARISON_COLUMNS, compare(table))


def summarise(table: Sequence[Row]) -> dict[str, Any]:
    """Return dataset -> method -> `q<match_quality>` -> statistics.

    Parameters
    ----------
    table
        Rows with `COLUMNS`, `matched` ("true" or "false") and `ms_ssim_scales`.

    Returns
    -------
    dict
        Per cell: `n` rows whose size matched and `n_missed` others; `size_error_pct_max`,
        the largest absolute one, missed rows included; `n_infinite`, matched rows with an
        infinite PSNR, and `n_fewer_scales`, those with MS-SSIM on fewer than five; `mean`
        and `sd` (n - 1) of the finite values of matched rows; for methods other than jpeg
        `minus_jpeg`, mean differences over the images matched in both. A mean of none
        and an sd of fewer than two are None.
    """
    cells: dict[tuple[str, str, int], list[Row]] = {}
    for row in table:
        key = (row["dataset"], row["method"], int(row["match_quality"]))
        cells.setdefault(key, []).append(row)
    summary: dict[str, Any] = {}
    for (dataset, method, quality), rows in sorted(cells.items()):
        cell = _statistics(rows)
        if method != BASELINE:
            baseline = cells.get((dataset, BASELINE, quality), [])
            cell["minus_jpeg"] = minus(rows, baseline, MEASURES)
        summary.setdefault(dataset, {}).setdefault(method, {})[f"q{quality}"] = cell
    return summary


def compare(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows of `COMPARISON_COLUMNS`: mean differences between two methods.

    Parameters
    ----------
    table
        Rows as for `summarise`.

    Returns
    -------
    list of dict
        For each data set, and for all together as `all`, each quality, each method and each
        of `AGAINST`: how many images n both have matched, and the mean and sd (n - 1) of
        the method's measure minus the other's, image by image, infinite ones left out.
    """
    cells: dict[tuple[str, int, str], list[Row]] = {}
    for row in table:
        for dataset in (row["dataset"], EVERY_SET):
            key = (dataset, int(row["match_quality"]), row["method"])
            cells.setdefault(key, []).append(row)
    compared = []
    for (dataset, quality, method), rows in sorted(cells.items()):
        for against in AGAINST:
            both = pairs(rows, cells.get((dataset, quality, against), []))
            if method == against or not both:
                continue
            line: dict[str, Any] = {
                "dataset": dataset,
                "match_quality": quality,
                "method": method,
                "against": against,
                "n": len(both),
            }
            for name in MEASURES:
                values = differences(both, name)
                line[name], line[f"{name}_sd"] = mean(values), sd(values)
            compared.append(line)
    return compared


def _statistics(rows: Sequence[Row]) -> dict[str, Any]:
    of_size = matched(rows)
    values = {
        name: finite(float(row[name]) for row in of_size)
        for name in (*MEASURES, "q_final", "bytes")
    }
    return {
        "n": len(of_size),
        "n_missed": len(rows) - len(of_size),
        "n_infinite": sum(math.isinf(row["psnr_rgb_db"]) for row in of_size),
        "n_fewer_scales": sum(
            row["ms_ssim_scales"] < len(measures.SCALE_WEIGHTS) for row in of_size
        ),
        "size_error_pct_max": max(abs(float(row["size_error_pct"])) for row in rows),
        "mean": {name: mean(found) for name, found in values.items()},
        "sd": {name: sd(found) for name, found in values.items()},
    }


def _place(row: Mapping[str, str]) -> tuple[str, str, str, int]:
    return row["dataset"], row["image"], row["method"], int(row["match_quality"])


def _require_same_size(what: str, reference: Pixels, other: NDArray[Any]) -> None:
    if reference.shape[:2] != other.shape[:2]:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (reference, other)]
        raise ImageError(
            f"The reference has {sizes[0]} pixels and {what} {sizes[1]}; they must be of one size."
        )
