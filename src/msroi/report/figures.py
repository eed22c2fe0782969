"""Figures 1-6 of the paper: heatmaps of several passes, and images above their heatmaps.

Figures 1-3 show the first image of the salient set with one, two and several salient regions among
those with several passes. Figure 4 shows the first image of the texture set. Figures 5 and 6 show
the first images of each set.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import TestImage, main_map
from msroi.experiment.selection import first_by_name
from msroi.images import Pixels, enlarged, read_rgb
from msroi.plots import overlay, save_figure

# a salient region is a connected part of the map where it is at least half its maximum
REGION_LEVEL = 0.5
REGION_WORDS = {1: "one salient region", 2: "two salient regions", 3: "several salient regions"}


def count_regions(saliency: NDArray[np.float32]) -> int:
    """Count the salient regions of a map `(H, W)`, as `REGION_LEVEL` defines them."""
    regions = ndimage.label(saliency >= REGION_LEVEL * saliency.max())[1] if saliency.any() else 0
    return int(regions)


def figure_images(
    salient: Sequence[tuple[TestImage, int]], texture: Sequence[TestImage]
) -> list[tuple[TestImage, str]]:
    """Choose the images of Figures 1-4 with a caption each, by the rule of this module.

    `salient` holds the images of the salient set with their numbers of regions. No image appears
    twice while others remain. Where none has the wanted number, the one with the nearest stands in
    and the caption says so.
    """
    chosen: list[tuple[TestImage, str]] = []
    for wanted, words in REGION_WORDS.items():
        shown = [item for item, _ in chosen]
        unseen = [pair for pair in salient if pair[0] not in shown] or salient
        item, found = min(unseen, key=lambda pair: abs(min(pair[1], 3) - wanted))
        note = "" if min(found, 3) == wanted else f" (none left has; {found} here)"
        chosen.append((item, f"{item.image}: {words}{note}"))
    chosen.append((texture[0], f"{texture[0].image}: without salient regions"))
    return chosen


def plot_passes(image: Pixels, maps: NDArray[np.float32], path: Path) -> None:
    """Plot an image and the heatmap of each pass side by side (Figures 1-4).

    `maps` is `(passes, h, w) float32` in [0, 1].
    """
    height, width = image.shape[:2]
    shown = [image, *(overlay(image, enlarged(one, height, width)) for one in maps)]
    titles = ["image", *(f"pass {number}" for number in range(1, len(maps) + 1))]
    plot_row([shown], [titles], path)


def plot_pairs(
    images: Sequence[Pixels], heatmaps: Sequence[Pixels], names: Sequence[str], path: Path
) -> None:
    """Plot images above their heatmaps (Figures 5 and 6)."""
    plot_row([images, heatmaps], [names, [""] * len(names)], path)


def plot_row(
    lines: Sequence[Sequence[Pixels]], titles: Sequence[Sequence[str]], path: Path
) -> None:
    """Plot lines of images of one shape each column, with titles."""
    columns = len(lines[0])
    ratio = max(image.shape[0] / image.shape[1] for image in lines[0])
    figure = Figure(
        figsize=(2.2 * columns, (2.2 * ratio + 0.25) * len(lines)), layout="constrained"
    )
    axes = np.atleast_2d(figure.subplots(len(lines), columns, squeeze=False))
    for line, (images, names) in enumerate(zip(lines, titles, strict=True)):
        for column, (image, name) in enumerate(zip(images, names, strict=True)):
            axes[line, column].imshow(image)
            # a $ in a name starts no formula
            axes[line, column].set_title(name, fontsize=8, parse_math=False)
            axes[line, column].set_axis_off()
    save_figure(figure, path)


def write_figures(
    experiment: Experiment,
    layout: Layout,
    items: Sequence[TestImage],
    by_set: Mapping[str, Sequence[TestImage]],
) -> dict[int, str]:
    """Write Figures 1-6, and return their captions."""
    params = experiment.report
    photographs = [(item.dataset, item.image) for item in items]
    repeated = set(first_by_name(photographs, experiment.heatmap.passes_images))
    in_order = [photograph for photograph in photographs if photograph in repeated]
    passes = dict(zip(in_order, np.load(layout.heatmaps / "passes.npy"), strict=True))
    with_passes = {
        name: [item for item in of_set if (item.dataset, item.image) in passes]
        for name, of_set in by_set.items()
    }

    salient = [
        (item, count_regions(main_map(experiment, layout, item.dataset, item.image)))
        for item in with_passes[params.salient_set]
    ]
    chosen = figure_images(salient, with_passes[params.texture_set])
    captions = {}
    for number, (item, caption) in enumerate(chosen, start=1):
        image = read_rgb(item.path(layout))
        maps = passes[item.dataset, item.image]
        plot_passes(image, maps, layout.figures / f"figure{number}.png")
        captions[number] = caption
    for number, name in ((5, params.salient_set), (6, params.texture_set)):
        shown = by_set[name][: params.images]
        plot_pairs(
            [read_rgb(item.path(layout)) for item in shown],
            [read_rgb(layout.overlay(item.dataset, item.image)) for item in shown],
            [item.image for item in shown],
            layout.figures / f"figure{number}.png",
        )
        captions[number] = f"images of the set {name} and their heatmaps"
    return captions
