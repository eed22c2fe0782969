"""Stage report: the paper's Tables 1-4 and Figures 1-6 with this run's numbers.

Tables 1 and 2 show the first images of each set by name, so that nothing is picked for
its result; msroi.figures says how the figures' images are chosen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msroi import published
from msroi.figures import write_figures
from msroi.files import read_csv, read_json, write_csv, write_text
from msroi.index import test_images
from msroi.layout import Layout
from msroi.matched import BASELINE
from msroi.params import Experiment

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


def summary_text(experiment: Experiment, layout: Layout, metrics: Mapping[str, Any]) -> str:
    """Return the short table that ends a run: what each method gained over plain JPEG."""
    qualities = experiment.compress.match_qualities
    gains = {
        "PSNR dB": ("psnr_rgb_db", 2),
        "SSIM": ("ssim_luma", 4),
        "wPSNR dB": ("wpsnr_rgb_db", 2),
    }
    lines = [
        f"Experiment {experiment.name}: each method minus plain JPEG of the same size",
        "(means over the photographs whose size was matched; n at the quality that has the fewest)",
        "",
        " " * 30 + "".join(f"{title:>{8 * len(qualities)}}" for title in gains),
        f"{'set':<13}{'method':<13}{'n':>4}"
        + "".join(f"{f'Q{q}':>8}" for q in qualities) * len(gains),
    ]
    for dataset in metrics:
        for method in experiment.compress.methods:
            if method == BASELINE:
                continue
            cells = [metrics[dataset][method][f"q{quality}"]["minus_jpeg"] for quality in qualities]
            values = "".join(
                f"{signed(cell[measure], decimals):>8}"
                for measure, decimals in gains.values()
                for cell in cells
            )
            lines.append(f"{dataset:<13}{method:<13}{min(cell['n'] for cell in cells):>4}{values}")
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
    made_by: Mapping[str, str],
) -> str:
    """Put conventions, tables, figures and statistics together as Markdown.

    `made_by` says with which packages each method's files were written.
    """
    model = read_json(layout.model / "summary.json")
    settings = experiment.compress
    encoders = "".join(f"- `{method}`: {written_by}.\n" for method, written_by in made_by.items())
    titles = {
        1: f"Images of the set `{experiment.report.salient_set}`",
        2: f"Images of the set `{experiment.report.texture_set}`",
        3: f"Means of the set `{experiment.report.salient_set}`",
        4: f"Means of the set `{experiment.report.texture_set}`",
    }
    statistics = [{key: row[key] for key in ANOVA_COLUMNS} for row in tests]
    parts = [
        f"# Experiment {experiment.name}\n",
        "MS-ROI and other methods against plain JPEG at matched file size, as in Selimović and "
        "Hladnik (2018), with this run's numbers.\n",
        "## Conventions\n",
        "- PSNR over all RGB samples; SSIM and MS-SSIM on BT.601 luma with Wang's settings "
        "(11x11 Gaussian, sigma 1.5, population covariance, data range 255); saliency-weighted "
        "PSNR (wPSNR) weights the squared error by the saliency map.\n"
        "- `jpeg`, the reference, and `msroi`: baseline, 4:2:0, standard Huffman tables. "
        f"`msroi`: {settings.levels} levels from quality {settings.quality_low} to "
        f"{settings.quality_high}, then one Q_final.\n"
        "- Of every method the file whose size comes nearest to the reference's; images further "
        f"than {settings.size_tolerance_pct} % are left out.\n"
        f"{encoders}"
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
    made_by = {row["method"]: row["encoder"] for row in rows}
    text = report_text(
        experiment, layout, dict(sorted(tables.items())), comparison, captions, tests, made_by
    )
    write_text(layout.report / "report.md", text)
    write_text(layout.report / "summary.txt", summary_text(experiment, layout, metrics))
