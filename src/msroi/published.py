"""A paper's printed numbers (`data/published/<paper>`) beside this run's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msroi.files import read_csv

NONE = "none"
FOLDER = Path("data/published")
COLUMNS = (
    *("table", "dataset", "match_quality", "method", "measure"),
    *("published", "this_run", "difference"),
)
# printed measure -> the column of this run that stands for it, and its printed decimals
MEASURES = {"psnr_db": ("psnr_rgb_db", 3), "ssim": ("ssim_luma", 4)}
GAIN = "msroi - jpeg"

Cell = tuple[str, str, int, str, str]


def mean_cells(paper: str) -> dict[Cell, float]:
    """Return the printed means over a set: (table, dataset, Q, method, measure) -> value.

    The gains, MS-ROI minus JPEG, follow each pair as cells of the method `GAIN`.
    """
    printed = {
        (row["table"], row["dataset"], int(row["match_quality"]), row["method"], row["measure"]): (
            float(row["value"])
        )
        for row in read_csv(FOLDER / paper / "tables.csv")
        if not row["image"]
    }
    gains = {
        (table, dataset, quality, GAIN, measure): value
        - printed[table, dataset, quality, "jpeg", measure]
        for (table, dataset, quality, method, measure), value in printed.items()
        if method == "msroi"
    }
    order = ("jpeg", "msroi", GAIN)
    return dict(
        sorted(
            (printed | gains).items(),
            key=lambda item: (item[0][0], item[0][2], item[0][4], order.index(item[0][3])),
        )
    )


def compare(
    printed: Mapping[Cell, float], summary: Mapping[str, Any], sets: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Put each printed mean beside this run's.

    Parameters
    ----------
    printed
        What `mean_cells` returns.
    summary
        metrics/summary.json.
    sets
        The paper's dataset -> this run's test set.

    Returns
    -------
    One row of `COLUMNS` a cell whose set and quality this run has.
    """
    rows = []
    for (table, dataset, quality, method, measure), value in printed.items():
        column, decimals = MEASURES[measure]
        found = this_run(summary.get(sets.get(dataset, ""), {}), quality, method, column)
        if found is not None:
            rows.append(
                {
                    "table": table,
                    "dataset": dataset,
                    "match_quality": quality,
                    "method": method,
                    "measure": measure,
                    "published": f"{value:.{decimals}f}",
                    "this_run": f"{found:.{decimals}f}",
                    "difference": f"{found - value:+.{decimals}f}",
                }
            )
    return rows


def this_run(methods: Mapping[str, Any], quality: int, method: str, column: str) -> float | None:
    """Return this run's mean, or its mean paired gain, or None where it has none."""
    if method == GAIN:
        cell, part = methods.get("msroi", {}), "minus_jpeg"
    else:
        cell, part = methods.get(method, {}), "mean"
    value: float | None = cell.get(f"q{quality}", {}).get(part, {}).get(column)
    return value


def paper_sets(salient: str, texture: str) -> dict[str, str]:
    """Return which test set plays which of the paper's."""
    return {"salicon": salient, "general-100": texture}
