"""Draw docs/images/trade-offs.png: what a share of the map costs, and what masking does.

`python docs/trade_offs.py`, after `python -m benchmarks.by_eye … --vary share` and
`--vary masking`, whose tables in results/by_eye it reads.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msroi.files import csv_rows
from msroi.plots import save_figure

FOLDER = Path("results/by_eye")
FIGURE = Path("docs/images/trade-offs.png")
QUALITIES = ("30", "50", "70", "85")


def points(
    varied: str, of_x: tuple[str, str], of_y: tuple[str, str], quality: str
) -> list[tuple[str, float, float]]:
    """Return value, x and y along a parameter; `of_x` and `of_y` are a peer and a metric."""
    found = {
        (row["method"], row["against"], row["judge"]): float(row["difference"])
        for row in csv_rows(FOLDER / f"{varied}_comparison.csv")
        if row["dataset"] == "all" and row["match_quality"] == quality
    }
    methods = [name for name in dict.fromkeys(name for name, _, _ in found) if varied in name]
    return [
        (name.removeprefix(f"{varied} "), found[name, *of_x], found[name, *of_y])
        for name in methods
    ]


def draw(axes: Axes, varied: str, of_x: tuple[str, str], of_y: tuple[str, str], used: str) -> None:
    """Draw a line a quality, each value a point; the value in use is filled."""
    for number, quality in enumerate(QUALITIES):
        line = points(varied, of_x, of_y, quality)
        colour = f"C{number}"
        label = f"size of plain JPEG {quality}"
        axes.plot([x for _, x, _ in line], [y for _, _, y in line], color=colour, label=label)
        named = (line[0][0], used, line[-1][0])
        for value, x, y in line:
            axes.plot(x, y, "o", color=colour, markerfacecolor=colour if value == used else "white")
            if number == 0 and value in named:
                axes.annotate(value, (x, y), (5, 5), textcoords="offset points", fontsize=8)
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)


def main() -> None:
    """Draw and write it."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    peer = "mozjpeg"
    draw(left, "share", (peer, "ssimulacra2"), (peer, "ssimulacra2_composite"), "0.3")
    left.set_title("roi-trellis minus mozjpeg along saliency_share (n = 40)")
    left.set_xlabel("SSIMULACRA 2, whole image")
    left.set_ylabel("SSIMULACRA 2, most salient fifth")
    draw(right, "masking", (peer, "ssimulacra2"), ("jpeg", "psnr_hvs_m_db"), "0.8")
    right.set_title("trellis along masking (n = 60, none of a test set)")
    right.set_xlabel("SSIMULACRA 2 minus mozjpeg's")
    right.set_ylabel("PSNR-HVS-M minus plain JPEG's (dB)")
    right.legend(fontsize=8, loc="upper left")
    save_figure(figure, FIGURE)


if __name__ == "__main__":
    main()
