"""Stage metrics: every compressed photograph measured against its original.

The table has one row for each image, method and quality, missed size matches among them. Only rows
whose file size matched within the tolerance enter the summary's means.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from typing import Any

from tqdm import tqdm

from msroi.errors import ImageError
from msroi.experiment import chunks
from msroi.experiment.chunks import WORKERS, Chunk
from msroi.experiment.comparison import (
    BASELINE,
    Differences,
    both_matched,
    is_matched,
    rounded,
    significant,
)
from msroi.experiment.encoded import Encoded
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import main_map
from msroi.experiment.selection import Photograph
from msroi.experiment.sums import Sums
from msroi.files import Row, csv_rows, csv_table, write_csv, write_json
from msroi.images import read_rgb
from msroi.measures.distortion import METRICS, SCALE_WEIGHTS, measure

COMPRESSION = ("q_final", "bytes", "target_bytes", "size_error_pct")
COLUMNS = (
    "experiment",
    "dataset",
    "image",
    "method",
    "match_quality",
    *COMPRESSION,
    *METRICS,
    "encoder",
)
# what other methods are compared with in comparison.csv, and the set of all photographs
AGAINST = ("jpeg", "mozjpeg", "jpegli", "trellis")
EVERY_SET = "all"
COMPARISON_COLUMNS = (
    *("dataset", "match_quality", "method", "against", "n"),
    *(f"{name}{what}" for name in METRICS for what in ("", "_sd")),
)
# what a chunk writes: also what the summary needs
MEASURED = (*COLUMNS, "matched", "ms_ssim_scales")
AHEAD = 32  # photographs that wait for their turn


def run(experiment: Experiment, layout: Layout) -> None:
    """Measure every compressed image. Write the table and its summary.

    Raises
    ------
    MissingError
        If the stage compress has not run.
    ImageError
        If an image can't be read or the sizes differ; the message names the file.
    """
    chunks.run_whole("metrics", run_chunk, gather, experiment, layout)


def run_chunk(experiment: Experiment, layout: Layout, chunk: Chunk, out: Layout) -> None:
    """Measure the compressed images of one chunk's photographs. The tables go to `out`."""
    index, encoded = layout.jpeg / "index.csv", Encoded(layout)
    photographs = sorted({photograph(row) for row in csv_rows(index)})
    files: dict[Photograph, list[dict[str, str]]] = {one: [] for one in chunk.of(photographs)}
    for row in csv_rows(index):
        if photograph(row) in files:
            files[photograph(row)].append(row)

    def measure_photograph(place: Photograph) -> list[dict[str, Any]]:
        dataset, image = place
        reference = read_rgb(layout.test_image(dataset, image))
        saliency = main_map(experiment, layout, dataset, image)
        measured = []
        for row in sorted(files[place], key=_method_and_quality):
            path = encoded.file(dataset, row["method"], int(row["match_quality"]), image)
            try:
                values = measure(reference, read_rgb(path), saliency)
            except ImageError as error:
                raise ImageError(f"{path}: {error}") from None
            rounded = {name: significant(value) for name, value in values.items()}
            measured.append({"experiment": experiment.name, **row, **rounded})
        return measured

    # NumPy and SciPy filter without holding the interpreter's lock
    with (
        ThreadPoolExecutor(WORKERS) as pool,
        csv_table(out.metrics / "measured.csv", MEASURED) as add,
    ):
        done = chunks.ahead(pool, measure_photograph, files, AHEAD)
        for rows in tqdm(done, desc="metrics", total=len(files), unit="image"):
            add(rows)


def gather(_: Experiment, layout: Layout, parts: Sequence[Layout]) -> None:
    """Bring the tables of all chunks together, and summarise them."""

    def table() -> Iterator[dict[str, Any]]:
        rows = chunks.rows(part.metrics / "measured.csv" for part in parts)
        return map(numbered, rows)

    write_csv(
        layout.metrics / "per_image.csv", COLUMNS, ({c: row[c] for c in COLUMNS} for row in table())
    )
    write_json(layout.metrics / "summary.json", summarise(table()))
    write_csv(layout.metrics / "comparison.csv", COMPARISON_COLUMNS, compare(table()))


def numbered(row: Mapping[str, str]) -> dict[str, Any]:
    """Return a row of `MEASURED` for computation, with its measurements as numbers."""
    return {**row, **{name: float(row[name]) for name in (*METRICS, "ms_ssim_scales")}}


class Cell:
    """What the rows of one dataset, method and quality add up to."""

    def __init__(self) -> None:
        """Start with no row."""
        self.n = self.n_missed = self.n_infinite = self.n_fewer_scales = 0
        self.size_error_pct_max = 0.0
        self.sums = {name: Sums() for name in (*METRICS, "q_final", "bytes")}
        self.minus_jpeg = Differences(METRICS)

    def add(self, row: Row) -> None:
        """Take in a row."""
        self.size_error_pct_max = max(self.size_error_pct_max, abs(float(row["size_error_pct"])))
        if not is_matched(row):
            self.n_missed += 1
            return
        self.n += 1
        self.n_infinite += math.isinf(row["psnr_rgb_db"])
        self.n_fewer_scales += row["ms_ssim_scales"] < len(SCALE_WEIGHTS)
        for name, sums in self.sums.items():
            value = float(row[name])
            if math.isfinite(value):
                sums.add(value)

    def statistics(self) -> dict[str, Any]:
        """Return the entry of the summary, without `minus_jpeg`."""
        return {
            "n": self.n,
            "n_missed": self.n_missed,
            "n_infinite": self.n_infinite,
            "n_fewer_scales": self.n_fewer_scales,
            "size_error_pct_max": self.size_error_pct_max,
            "mean": {name: rounded(sums.mean()) for name, sums in self.sums.items()},
            "sd": {name: rounded(sums.sd()) for name, sums in self.sums.items()},
        }


def summarise(table: Iterable[Row]) -> dict[str, Any]:
    """Return dataset -> method -> `q<match_quality>` -> statistics.

    Parameters
    ----------
    table
        Rows with `COLUMNS`, `matched` ("true" or "false") and `ms_ssim_scales`; those of a
        photograph stand together. They are read one photograph at a time.

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
    cells: dict[tuple[str, str, int], Cell] = {}
    for (dataset, _), rows in by_photograph(table):
        for (method, quality), row in rows.items():
            cell = cells.setdefault((dataset, method, quality), Cell())
            cell.add(row)
            baseline = rows.get((BASELINE, quality))
            if baseline:
                cell.minus_jpeg.add(row, baseline)
    summary: dict[str, Any] = {}
    for (dataset, method, quality), cell in sorted(cells.items(), key=itemgetter(0)):
        entry = cell.statistics()
        if method != BASELINE:
            entry["minus_jpeg"] = cell.minus_jpeg.means()
        summary.setdefault(dataset, {}).setdefault(method, {})[f"q{quality}"] = entry
    return summary


def compare(table: Iterable[Row]) -> list[dict[str, Any]]:
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
    cells: dict[tuple[str, int, str, int], Differences] = {}
    for (dataset, _), rows in by_photograph(table):
        for (method, quality), row in rows.items():
            for place, against in enumerate(AGAINST):
                other = rows.get((against, quality))
                if method == against or not (other and both_matched(row, other)):
                    continue
                for of_set in (dataset, EVERY_SET):
                    key = (of_set, quality, method, place)
                    cells.setdefault(key, Differences(METRICS)).add(row, other)
    compared = []
    for (dataset, quality, method, place), found in sorted(cells.items(), key=itemgetter(0)):
        line: dict[str, Any] = {
            "dataset": dataset,
            "match_quality": quality,
            "method": method,
            "against": AGAINST[place],
            "n": found.n,
        }
        for name, sums in found.sums.items():
            line[name], line[f"{name}_sd"] = rounded(sums.mean()), rounded(sums.sd())
        compared.append(line)
    return compared


def by_photograph(
    table: Iterable[Row],
) -> Iterator[tuple[Photograph, dict[tuple[str, int], Row]]]:
    """Yield each photograph with its rows by method and quality."""
    for place, rows in groupby(table, key=photograph):
        yield place, {_method_and_quality(row): row for row in rows}


def photograph(row: Row) -> Photograph:
    """Return the dataset and the name of a row's photograph."""
    return row["dataset"], row["image"]


def _method_and_quality(row: Row) -> tuple[str, int]:
    return row["method"], int(row["match_quality"])
