"""Figures of the audit: a published number on the distribution of this run's measurements."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from msroi.audit.check import KINDS
from msroi.plots import save_figure

BINS = 30
OF_KINDS = ("tab:red", "tab:purple", "tab:orange", "0.7", "tab:blue", "tab:green")
COLOURS = dict(zip(KINDS[::-1], OF_KINDS[::-1], strict=True))


def verdicts(path: Path, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Draw how many verdicts of each kind each row has, as bars of one length a check.

    `counts` has by row, such as a paper's family of checks, how many of each verdict.
    """
    kinds = [kind for kind in COLOURS if any(kind in of_row for of_row in counts.values())]
    figure = Figure(figsize=(8, 0.6 + 0.4 * len(counts)))
    axes = figure.subplots()
    rows = list(counts)
    left = [0] * len(rows)
    for kind in kinds:
        widths = [counts[row].get(kind, 0) for row in rows]
        axes.barh(rows, widths, left=left, color=COLOURS[kind], label=kind)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("checks", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)


def distribution(
    path: Path,
    values: Sequence[float],
    *,
    interval: tuple[float | None, float | None],
    mark: float | None,
    title: str,
    axis: str,
) -> None:
    """Draw a histogram of values, an interval shaded, and a marked number.

    Parameters
    ----------
    path
        The PNG to write.
    values
        What was measured: one an image, or one a bootstrap sample.
    interval
        Where the marked number, or the values, should lie; drawn if it has both ends.
    mark
        The published number, or None.
    title, axis
        What the number is; what the values are.
    """
    figure = Figure(figsize=(6, 2.6))
    axes = figure.subplots()
    axes.hist(list(values), bins=BINS, color="0.7", label=f"measured, {len(values)} values")
    low, high = interval
    if low is not None and high is not None:
        axes.axvspan(low, high, color="tab:blue", alpha=0.3, label="where it should lie")
    if mark is not None:
        axes.axvline(mark, color="tab:red", lw=2, label="published")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel(axis, fontsize=8)
    axes.set_ylabel("count", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)
