"""Stage report: the paper's Tables 1-4 and Figures 1-6 with this run's numbers.

Tables 1 and 2 show the first images of each set by name, so that nothing is picked for
its result. Figures 1-3 show the first image of the salient set with one, two and several
salient regions, Figure 4 the first image of the texture set; Figures 5 and 6 show the
images of Tables 1 and 2.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from msroi import jpeg, published
from msroi.files import read_csv, read_json, write_csv, write_text
from msroi.images import Pixels, enlarged, read_grey, read_rgb
from msroi.index import TestImage, test_images
from msroi.layout import Layout
from msroi.params import Experiment
from msroi.plots import overlay, save_figure

# a salient region is a connected part of the map where it is at least half its maximum
REGION_LEVEL = 0.5
REGION_WORDS = {1: "one salient region", 2: "two salient regions", 3: "several salient regions"}
IMAGE_COLUMNS = ("image", "method", "mse_rgb", "psnr_rgb_db", "ssim_luma", "ms_ssim_luma", "bytes")
MEAN_COLUMNS = (
    *("match_quality", "method", "n", "psnr_rgb_db", "psnr_sd", "ssim_luma", "ssim_sd"),
    *("wpsnr_rgb_db", "mean_q_final", "mean_bytes", "size_error_pct_max"),
)

Row = dict[str, Any]


def middle_quality(qualities: Sequence[int]) -> int:
    """Return the quality of Tables 1 and 2: the middle one (of the paper's three, 50)."""
    return sorted(qualities)[len(qualities) // 2]


def image_table(
    rows: Sequence[Mapping[str, str]], images: Sequence[str], quality: int
) -> list[Row]:
    """Return Table 1 or 2: each image's metrics by method at one quality."""
    return [
        {
            "image": row["image"],
            "method": row["method"],
            "mse_rgb": f"{float(row['mse_rgb']):.3f}",
            "psnr_rgb_db": f"{float(row['psnr_rgb_db']):.3f}",
            "ssim_luma": f"{float(row['ssim_luma']):.4f}",
            "ms_ssim_luma": f"{float(row['ms_ssim_luma']):.4f}",
            "bytes": row["bytes"],
        }
        for name in images
        for row in rows
        if row["image"] == name and int(row["match_quality"]) == quality
    ]


def mean_table(summary: Mapping[str, Any], qualities: Sequence[int]) -> list[Row]:
    """Return Table 3 or 4: the means of one set by quality and method.

    `summary` is one set's part of metrics/summary.json.
    """
    rows = []
    for quality in qualities:
        for method, by_quality in summary.items():
            cell = by_quality[f"q{quality}"]
            mean, sd = cell["mean"], cell["sd"]
            rows.append(
                {
                    "match_quality": quality,
                    "method": method,
                    "n": cell["n"],
                    "psnr_rgb_db": fixed(mean["psnr_rgb_db"], 3),
                    "psnr_sd": fixed(sd["psnr_rgb_db"], 3),
                    "ssim_luma": fixed(mean["ssim_luma"], 4),
                    "ssim_sd": fixed(sd["ssim_luma"], 4),
                    "wpsnr_rgb_db": fixed(mean["wpsnr_rgb_db"], 3),
                    "mean_q_final": fixed(mean["q_final"], 1),
                    "mean_bytes": fixed(mean["bytes"], 0),
                    "size_error_pct_max": fixed(cell["size_error_pct_max"], 3),
                }
            )
    return rows


def fixed(value: float | None, decimals: int) -> str:
    """Format a number, or a dash if there is none."""
    return "–" if value is None else f"{value:.{decimals}f}"


def markdown(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    for row in rows:
        cells = (str(row[column]).replace("|", "\\|") for column in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def count_regions(saliency: NDArray[np.float32]) -> int:
    """Count the salient regions of a map `(H, W)`; see `REGION_LEVEL`."""
    regions = ndimage.label(saliency >= REGION_LEVEL * saliency.max())[1] if saliency.any() else 0
    return int(regions)


def figure_images(
    salient: Sequence[tuple[TestImage, int]], texture: Sequence[TestImage]
) -> list[tuple[TestImage, str]]:
    """Choose the images of Figures 1-4 with a caption each, by the rule of this module.

    `salient` holds the images of the salient set with their numbers of regions. No image is
    shown twice while others are left. Where none has the wanted number, the one with the
    nearest stands in and the caption says so.
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
            axes[line, column].set_title(name, fontsize=8)
            axes[line, column].set_axis_off()
    save_figure(figure, path)


def summary_text(
    experiment: Experiment, layout: Layout, metrics: Mapping[str, Any], tests: Sequence[Row]
) -> str:
    """Return the short table that ends a run: what MS-ROI gained over JPEG of the same size."""
    lines = [
        f"Experiment {experiment.name}: MS-ROI minus JPEG at the same file size "
        "(means over n images; p of the paired test on PSNR)",
        "",
        f"{'set':<12}{'Q':>4}{'n':>5}{'PSNR dB':>10}{'SSIM':>10}{'wPSNR dB':>10}{'p':>10}",
    ]
    p_of = {
        (row["dataset"], row["match_quality"]): row["paired_p"]
        for row in tests
        if row["metric"] == "psnr_rgb_db" and row["method"] == "msroi"
    }
    for dataset in metrics:
        for quality in experiment.compress.match_qualities:
            cell = metrics[dataset]["msroi"][f"q{quality}"]
            gain = cell["minus_jpeg"]
            p = p_of.get((dataset, str(quality)), "")
            lines.append(
                f"{dataset:<12}{quality:>4}{cell['n']:>5}"
                f"{signed(gain['psnr_rgb_db'], 2):>10}{signed(gain['ssim_luma'], 4):>10}"
                f"{signed(gain['wpsnr_rgb_db'], 2):>10}{f'{float(p):.1g}' if p else '–':>10}"
            )
    lines += [
        "",
        f"tables   {layout.tables}/table1.md … table4.md, {layout.metrics}/per_image.csv",
        f"figures  {layout.figures}/figure1.png … figure6.png",
        f"images   {layout.jpeg}/images, {layout.heatmaps}/overlay",
        f"report   {layout.report}/report.md",
    ]
    return "\n".join(lines) + "\n"


def signed(value: float | None, decimals: int) -> str:
    """Format a difference with its sign, or a dash if there is none."""
    return "–" if value is None else f"{value:+.{decimals}f}"


def report_text(
    experiment: Experiment,
    layout: Layout,
    tables: Mapping[int, str],
    comparison: str,
    captions: Mapping[int, str],
    tests: Sequence[Row],
) -> str:
    """Put conventions, tables, figures and statistics together as Markdown."""
    model = read_json(layout.model / "summary.json")
    settings = experiment.compress
    titles = {
        1: f"Images of the set `{experiment.report.salient_set}`",
        2: f"Images of the set `{experiment.report.texture_set}`",
        3: f"Means of the set `{experiment.report.salient_set}`",
        4: f"Means of the set `{experiment.report.texture_set}`",
    }
    statistics = [{key: row[key] for key in ANOVA_COLUMNS} for row in tests]
    parts = [
        f"# Experiment {experiment.name}\n",
        "MS-ROI against plain JPEG at matched file size, as in Selimović and Hladnik (2018), "
        "with this run's numbers.\n",
        "## Conventions\n",
        "- PSNR over all RGB samples; SSIM and MS-SSIM on BT.601 luma with Wang's settings "
        "(11x11 Gaussian, sigma 1.5, population covariance, data range 255); saliency-weighted "
        "PSNR (wPSNR) weights the squared error by the saliency map.\n"
        f"- Both arms: {jpeg.ENCODER} {jpeg.encoder_version()}, baseline, 4:2:0, standard Huffman "
        f"tables. MS-ROI: {settings.levels} levels from quality {settings.quality_low} to "
        f"{settings.quality_high}, then one Q_final whose file size comes nearest to the "
        f"reference's; images further than {settings.size_tolerance_pct} % are left out.\n"
        f"- Network: validation top-1 {model['val_top1']:.3f}, top-5 {model['val_top5']:.3f} "
        f"({model['val_images']} images, {model['classes']} classes, "
        f"trained layers: {experiment.train.trainable}).\n"
        "- Tables 1 and 2 show the first images of each set by name.\n",
        "## Tables\n",
    ]
    for number, table in tables.items():
        parts += [f"### Table {number}: {titles[number]}\n", table]
    if comparison:
        parts += [
            "### Tables 3 and 4, published and measured\n",
            f"Printed means of `{experiment.report.published}` beside this run's; the set, the "
            "network and the conventions differ where the report says so.\n",
            comparison,
        ]
    parts += [
        "## Statistics\n",
        f"One-way ANOVA as in the paper, beside the paired analysis that the design calls for; "
        f"alpha {experiment.anova.alpha}. All columns: `{layout.anova}/anova.csv`.\n",
        markdown(ANOVA_COLUMNS, statistics),
        "## Figures\n",
    ]
    for number, caption in captions.items():
        parts.append(f"### Figure {number}: {caption}\n\n![](../figures/figure{number}.png)\n")
    parts.append("### Training\n\n![](../model/history.png)\n")
    return "\n".join(parts)


ANOVA_COLUMNS = (
    *("dataset", "metric", "match_quality", "method", "n", "mean_jpeg", "mean_method"),
    *("oneway_p", "difference", "difference_ci_low", "difference_ci_high", "paired_p"),
    "note",
)


def run(experiment: Experiment, layout: Layout) -> None:
    """Write tables, figures, the report and the summary."""
    params = experiment.report
    qualities = experiment.compress.match_qualities
    rows = read_csv(layout.metrics / "per_image.csv")
    metrics = read_json(layout.metrics / "summary.json")
    tests: list[Row] = [dict(row) for row in read_csv(layout.anova / "anova.csv")]
    items = test_images(layout)
    by_set = {
        name: sorted((item for item in items if item.dataset == name), key=lambda item: item.image)
        for name in (params.salient_set, params.texture_set)
    }

    tables = {}
    for number, name in ((1, params.salient_set), (2, params.texture_set)):
        shown = [item.image for item in by_set[name][: params.images]]
        of_set = [row for row in rows if row["dataset"] == name]
        for table, columns, lines in (
            (number, IMAGE_COLUMNS, image_table(of_set, shown, middle_quality(qualities))),
            (number + 2, MEAN_COLUMNS, mean_table(metrics[name], qualities)),
        ):
            write_csv(layout.tables / f"table{table}.csv", columns, lines)
            tables[table] = markdown(columns, lines)
            write_text(layout.tables / f"table{table}.md", tables[table])

    comparison = ""
    if params.published != published.NONE:
        sets = published.paper_sets(params.salient_set, params.texture_set)
        lines = published.compare(published.mean_cells(params.published), metrics, sets)
        write_csv(layout.tables / "comparison.csv", published.COLUMNS, lines)
        comparison = markdown(published.COLUMNS, lines)
        write_text(layout.tables / "comparison.md", comparison)

    captions = write_figures(experiment, layout, items, by_set)
    text = report_text(
        experiment, layout, dict(sorted(tables.items())), comparison, captions, tests
    )
    write_text(layout.report / "report.md", text)
    write_text(layout.report / "summary.txt", summary_text(experiment, layout, metrics, tests))


def write_figures(
    experiment: Experiment,
    layout: Layout,
    items: Sequence[TestImage],
    by_set: Mapping[str, Sequence[TestImage]],
) -> dict[int, str]:
    """Write Figures 1-6; return their captions."""
    params = experiment.report
    passes = np.load(layout.heatmaps / "passes.npy")
    place = {(item.dataset, item.image): number for number, item in enumerate(items)}

    def heatmap(kind: str, item: TestImage) -> Path:
        return layout.heatmaps / kind / item.dataset / f"{item.image}.png"

    salient = [
        (item, count_regions(read_grey(heatmap("saliency", item))))
        for item in by_set[params.salient_set]
    ]
    chosen = figure_images(salient, by_set[params.texture_set])
    captions = {}
    for number, (item, caption) in enumerate(chosen, start=1):
        image = read_rgb(item.path(layout))
        maps = passes[place[item.dataset, item.image]]
        plot_passes(image, maps, layout.figures / f"figure{number}.png")
        captions[number] = caption
    for number, name in ((5, params.salient_set), (6, params.texture_set)):
        shown = by_set[name][: params.images]
        plot_pairs(
            [read_rgb(item.path(layout)) for item in shown],
            [read_rgb(heatmap("overlay", item)) for item in shown],
            [item.image for item in shown],
            layout.figures / f"figure{number}.png",
        )
        captions[number] = f"images of the set {name} and their heatmaps"
    return captions
