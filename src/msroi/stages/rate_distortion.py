"""Stage rate_distortion: every method at many qualities, for a comparison of curves.

Each method encodes at the same numbers on its own quality scale, without a size match. The curves
say how many bits a method saves at equal quality (BD-rate). The plot says what it gains at equal
size. Both are against plain JPEG, and image by image before any average. Formats other than JPEG
are there for context.
"""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from tqdm import tqdm

from msroi.encoders import context, jpeg, methods
from msroi.encoders.methods import encoder
from msroi.errors import ImageError
from msroi.experiment.chunks import WORKERS
from msroi.experiment.comparison import BASELINE, mean, sd, significant
from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress, Experiment, RateDistortion
from msroi.experiment.prepared_images import followed, main_map, test_images
from msroi.experiment.selection import Photograph, first_by_name
from msroi.files import Row, write_csv, write_json
from msroi.images import Pixels, Saliency, read_rgb
from msroi.measures.curves import Curve, Values, at_sizes, bd_rate_pct, efficient
from msroi.measures.distortion import HEADLINE, METRICS
from msroi.plots import save_figure

COLUMNS = (
    *("experiment", "dataset", "image", "method", "quality", "bytes", "bpp"),
    *HEADLINE,
)
BD_COLUMNS = (
    *("dataset", "method", "against", "measure", "n", "bd_rate_pct", "sd"),
    *("n_dropped", "n_points_dropped"),
)

# by data set, method, measure and image
Curves = dict[tuple[str, str, str], dict[str, Curve]]


def run(experiment: Experiment, layout: Layout) -> None:
    """Encode and measure. Write the curves, their BD-rates, the plot and the summary.

    Raises
    ------
    MissingError
        If the stage prepare has not run.
    ImageError
        If a photograph or its map can't be read, or is too small; the message names the file.
    """
    params = experiment.rate_distortion

    def encode_photograph(photograph: Photograph) -> list[dict[str, Any]]:
        dataset, image = photograph
        original = layout.test_image(dataset, image)
        pixels = read_rgb(original)
        saliency = main_map(experiment, layout, dataset, image)
        maps = followed(experiment.compress, layout, dataset, image)
        place = {"experiment": experiment.name, "dataset": dataset, "image": image}
        try:
            found = [
                *points(pixels, saliency, maps, experiment.compress, params.qualities),
                *context_points(pixels, saliency, params),
            ]
        except ImageError as error:
            raise ImageError(f"{original}: {error}") from None
        return [place | point for point in found]

    items = ((item.dataset, item.image) for item in test_images(layout))
    photographs = first_by_name(items, params.images)
    # the encoders, NumPy and SciPy work without holding the interpreter's lock
    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(encode_photograph, photographs)
        bar = tqdm(done, desc="rate_distortion", total=len(photographs), unit="image")
        table = [row for rows in bar for row in rows]
    rates = bd_rates(table)
    folder = layout.rate_distortion
    write_csv(folder / "curves.csv", COLUMNS, table)
    write_csv(folder / "bd_rate.csv", BD_COLUMNS, rates)
    write_json(folder / "summary.json", summarise(rates))
    counts = Counter(dataset for dataset, _ in photographs)
    plot_gains(gains(table), counts, folder / "rate_distortion.png")


def points(
    image: Pixels,
    saliency: Saliency,
    maps: Mapping[str, Saliency],
    params: Compress,
    qualities: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """Yield method, quality, size and measures of an image's file by each method and quality.

    Parameters
    ----------
    image, saliency
        `(H, W, 3) uint8` sRGB, `(H, W) float32` in [0, 1], by which is weighed.
    maps
        Of each method that needs one.
    params
        The methods, and what they need.
    qualities
        From 1 to 100; every method has its own scale.
    """
    for method in params.methods:
        encode = encoder(method, params).prepare(image, maps.get(method))
        for quality in qualities:
            data = encode(quality)
            place = {"method": method, "quality": quality}
            yield place | measured(image, saliency, data, jpeg.decode(data))


def context_points(
    image: Pixels, saliency: NDArray[np.float32], params: RateDistortion
) -> Iterator[dict[str, Any]]:
    """Yield what `points` does, of formats other than JPEG, with the format's name as `method`."""
    for name in params.context:
        encode = context.FORMATS[name].prepare(image)
        for quality in params.qualities:
            data = encode(quality)
            place = {"method": name, "quality": quality}
            yield place | measured(image, saliency, data, context.decode(data))


def measured(
    image: Pixels, saliency: NDArray[np.float32], data: bytes, decoded: Pixels
) -> dict[str, Any]:
    """Return size and measures of a file of an image, as the tables have them."""
    return {
        "bytes": len(data),
        "bpp": significant(8 * len(data) / saliency.size),
        **{
            name: significant(METRICS[name].function(image, decoded, saliency)) for name in HEADLINE
        },
    }


def bd_rates(table: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of `BD_COLUMNS`: each method's mean BD-rate against plain JPEG.

    `n` images have one (`curves.bd_rate_pct`), `n_dropped` have none. `n_points_dropped` counts the
    points of the method's curves that a smaller file of the method matches or beats, and infinite
    ones. The standard deviation is that of images (n - 1). A mean of none and an sd of fewer than
    two are empty.
    """
    table = list(table)
    rows = []
    found = curves(table, "bytes")
    for (dataset, method, measure), of_images in found.items():
        if method == BASELINE:
            continue
        baseline = found[dataset, BASELINE, measure]
        all_rates = [bd_rate_pct(baseline[image], curve) for image, curve in of_images.items()]
        rates = [rate for rate in all_rates if rate is not None]
        encoded = sum((row["dataset"], row["method"]) == (dataset, method) for row in table)
        rows.append(
            {
                "dataset": dataset,
                "method": method,
                "against": BASELINE,
                "measure": measure,
                "n": len(rates),
                "bd_rate_pct": mean(rates),
                "sd": sd(rates),
                "n_dropped": len(all_rates) - len(rates),
                "n_points_dropped": encoded - sum(len(c.sizes) for c in of_images.values()),
            }
        )
    return rows


def curves(table: Iterable[Row], size: str) -> Curves:
    """Return the curves of a table by dataset, method and measure, then image.

    Parameters
    ----------
    table
        Rows with `HEADLINE` and the column `size`.
    size
        What is taken for the file size.
    """
    files: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in table:
        of_images = files.setdefault((row["dataset"], row["method"]), {})
        of_images.setdefault(row["image"], []).append(row)
    return {
        (dataset, method, measure): {
            image: efficient([row[size] for row in rows], [row[measure] for row in rows])
            for image, rows in of_images.items()
        }
        for (dataset, method), of_images in files.items()
        for measure in HEADLINE
    }


def summarise(rates: Iterable[Row]) -> dict[str, Any]:
    """Return dataset -> method -> measure -> n, mean BD-rate in percent, sd, n_dropped."""
    summary: dict[str, Any] = {}
    for row in rates:
        of_method = summary.setdefault(row["dataset"], {}).setdefault(row["method"], {})
        of_method[row["measure"]] = {
            key: row[key] for key in ("n", "bd_rate_pct", "sd", "n_dropped")
        }
    return summary


# sizes in the plot, in percent of plain JPEG's of this quality
SIZES_PCT: Values = np.geomspace(35, 200, 71)
REFERENCE_QUALITY = 50


def gains(table: Iterable[Row]) -> dict[tuple[str, str, str], Values]:
    """Return what methods gain over plain JPEG at `SIZES_PCT`, by dataset, method, measure.

    The size is relative to plain JPEG's at quality 50 of the same image. Otherwise images of
    different detail would have no common average. NaN where an image's curve, or plain JPEG's, does
    not reach.
    """
    table = list(table)
    whole = {
        (row["dataset"], row["image"]): row["bytes"]
        for row in table
        if (row["method"], row["quality"]) == (BASELINE, REFERENCE_QUALITY)
    }
    relative = [
        {**row, "size_pct": 100 * row["bytes"] / whole[row["dataset"], row["image"]]}
        for row in table
    ]
    found = curves(relative, "size_pct")

    def gain(dataset: str, method: str, measure: str) -> Values:
        baseline = found[dataset, BASELINE, measure]
        of_images = [
            at_sizes(curve, SIZES_PCT) - at_sizes(baseline[image], SIZES_PCT)
            for image, curve in found[dataset, method, measure].items()
        ]
        return np.asarray(np.mean(of_images, axis=0))

    return {key: gain(*key) for key in found if key[1] != BASELINE}


TITLE_LETTERS = 20  # in a line of an axis's title
TICKS_PCT = (35, 50, 70, 100, 140, 200)


def plot_gains(
    lines: Mapping[tuple[str, str, str], Values], counts: Mapping[str, int], path: Path
) -> None:
    """Plot gains over plain JPEG against the relative size, a row a measure, a column a set.

    Parameters
    ----------
    lines
        As `gains` returns them.
    counts
        The number of images of each data set.
    path
        Of the PNG file.
    """
    methods_styles = {name: {"label": name} | one for name, one in methods.lines().items()}
    styles = methods_styles | context.lines()
    figure = Figure(figsize=(1 + 4.2 * len(counts), 2.4 * len(HEADLINE)), layout="constrained")
    grid = figure.subplots(len(HEADLINE), len(counts), sharex=True, sharey="row", squeeze=False)
    for row, measure in zip(grid, HEADLINE, strict=True):
        row[0].set_ylabel(textwrap.fill(METRICS[measure].axis, TITLE_LETTERS))
        for axes, dataset in zip(row, counts, strict=True):
            axes.axhline(0, color="0.35", linewidth=1, label=BASELINE)
            for method, style in styles.items():
                if (dataset, method, measure) in lines:
                    axes.plot(SIZES_PCT, lines[dataset, method, measure], **style)
            axes.grid(alpha=0.3)
    for axes, (dataset, count) in zip(grid[0], counts.items(), strict=True):
        axes.set_title(f"{dataset} (mean of {count})", fontsize=10)
    for axes in grid[-1]:
        axes.set_xscale("log")
        axes.set_xticks(TICKS_PCT, map(str, TICKS_PCT))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(TICKS_PCT[0], TICKS_PCT[-1])
        axes.set_xlabel("file size, % of plain JPEG's at quality 50")
    figure.align_ylabels()
    figure.suptitle("Gain over plain JPEG at the same file size; higher is better", fontsize=11)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    save_figure(figure, path)
