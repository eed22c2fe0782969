"""Plots as PNG files with the same bytes every time: no dates, no versions inside."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from msroi.files import written_whole
from msroi.images import Pixels


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=120, bbox_inches="tight", metadata={"Software": None})


def jet(saliency: NDArray[np.float32]) -> Pixels:
    """Colour a map `(H, W)` in [0, 1] with Matplotlib's Jet, as the paper does."""
    return np.asarray(mpl.colormaps["jet"](saliency, bytes=True))[..., :3]


def overlay(image: Pixels, saliency: NDArray[np.float32]) -> Pixels:
    """Lay the Jet heatmap half transparent over an image `(H, W, 3) uint8`."""
    return ((image.astype(np.uint16) + jet(saliency)) // 2).astype(np.uint8)


def plot_history(history: Sequence[dict[str, float]], path: Path) -> None:
    """Plot loss and accuracy by epoch, training and validation."""
    figure = Figure(figsize=(8, 3.2))
    loss, accuracy = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for axes, columns in (
        (loss, {"train_loss": "training", "val_loss": "validation"}),
        (accuracy, {"train_top1": "training", "val_top1": "validation", "val_top5": "top 5"}),
    ):
        for column, label in columns.items():
            axes.plot(epochs, [row[column] for row in history], marker="o", ms=3, label=label)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    loss.set_ylabel("cross entropy")
    accuracy.set_ylabel("accuracy")
    accuracy.set_ylim(0, 1.02)
    save_figure(figure, path)
