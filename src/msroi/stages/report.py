"""Stage report: the paper's Tables 1-4 and Figures 1-6 with this run's numbers.

Tables 1 and 2 show the first images of each set by name, not those with the best result.
`msroi.figures` says how it chooses the figures' images.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msroi.audit import published
from msroi.encoders.methods import in_gallery
from msroi.experiment.comparison import BASELINE
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import test_images
from msroi.experiment.selection import Photograph, first_by_name
from msroi.experiment.streamed import CsvRows
from msroi.files import Row, read_csv, read_json, write_csv, write_json, write_text
from msroi.markdown import markdown_table
from msroi.measures.distortion import HEADLINE, METRICS
from msroi.report.contents import mean_gains, report_page
from msroi.report.figures import write_figures
from msroi.report.gallery import middle_quality
from msroi.report.page import render

IMAGE_METRICS = ("mse_rgb", "psnr_rgb_db", "ssim_luma", "ms_ssim_luma")  # the paper's
IMAGE_COLUMNS = ("image", "method", *IMAGE_METRICS, "bytes")
SPREADS = {"psnr_sd": "psnr_rgb_db", "ssim_sd": "ssim_luma"}
MEAN_COLUMNS = (
    *("match_quality", "method", "n", "psnr_rgb_db", "psnr_sd", "ssim_luma", "ssim_sd"),
    *("wpsnr_rgb_db", "mean_q_final", "mean_bytes", "size_error_pct_max"),
)

Tables = dict[str, tuple[Sequence[str], Sequence[Row]]]  # columns and rows by the files' name


def image_table(
    rows: Iterable[Mapping[str, str]], images: Sequence[str], quality: int
) -> list[Row]:
    """Return Table 1 or 2: each image's metrics by method at one quality."""
    of_image: dict[str, list[Mapping[str, str]]] = {name: [] for name in images}
    for row in rows:
        if row["image"] in of_image and int(row["match_quality"]) == quality:
            of_image[row["image"]].append(row)
    return [
        {
            "image": row["image"],
            "method": row["method"],
            **{name: fixed(float(row[name]), METRICS[name].digits) for name in IMAGE_METRICS},
            "bytes": row["bytes"],
        }
        for name in images
        for row in of_image[name]
    ]


def mean_table(summary: Mapping[str, Any]) -> list[Row]:
    """Return Table 3 or 4: the means of one set by quality and method.

    `summary` is one set's part of metrics/summary.json.
    """
    rows: list[Row] = []
    qualities = {int(name.removeprefix("q")) for cells in summary.values() for name in cells}
    for quality in sorted(qualities):
        for method, by_quality in summary.items():
            cell = by_quality[f"q{quality}"]
            mean, sd = cell["mean"], cell["sd"]
            values = {
                "match_quality": quality,
                "method": method,
                "n": cell["n"],
                **{name: fixed(mean[name], METRICS[name].digits) for name in HEADLINE},
                **{
                    column: fixed(sd[name], METRICS[name].digits)
                    for column, name in SPREADS.items()
                },
                "mean_q_final": fixed(mean["q_final"], 1),
                "mean_bytes": fixed(mean["bytes"], 0),
                "size_error_pct_max": fixed(cell["size_error_pct_max"], 3),
            }
            rows.append({column: values[column] for column in MEAN_COLUMNS})
    return rows


def shown_images(experiment: Experiment, photographs: Iterable[Photograph]) -> dict[str, list[str]]:
    """Return the images of Tables 1 and 2 by set: the first of all test photographs by name."""
    params = experiment.report
    first = first_by_name(photographs, params.images)
    return {
        name: [image for dataset, image in first if dataset == name]
        for name in (params.salient_set, params.texture_set)
    }


def image_tables(
    experiment: Experiment,
    rows: Iterable[Mapping[str, str]],
    shown: Mapping[str, Sequence[str]],
) -> Tables:
    """Return Tables 1 and 2.

    Parameters
    ----------
    rows
        Those of metrics/per_image.csv, gone through once a table.
    shown
        What `shown_images` returns.
    """
    quality = middle_quality(experiment.compress.match_qualities)
    tables: Tables = {}
    for number, name in ((1, experiment.report.salient_set), (2, experiment.report.texture_set)):
        of_set = (row for row in rows if row["dataset"] == name)
        tables[f"table{number}"] = (IMAGE_COLUMNS, image_table(of_set, shown[name], quality))
    return tables


def mean_tables(experiment: Experiment, summary: Mapping[str, Any]) -> Tables:
    """Return Tables 3 and 4 of a `summary`, that of metrics/summary.json."""
    return {
        f"table{number}": (MEAN_COLUMNS, mean_table(summary[name]))
        for number, name in ((3, experiment.report.salient_set), (4, experiment.report.texture_set))
    }


def tables(
    experiment: Experiment,
    rows: Iterable[Mapping[str, str]],
    shown: Mapping[str, Sequence[str]],
    summary: Mapping[str, Any],
) -> Tables:
    """Return Tables 1-4 by `image_tables` and `mean_tables`."""
    return image_tables(experiment, rows, shown) | mean_tables(experiment, summary)


def beside_paper(experiment: Experiment, summary: Mapping[str, Any]) -> Tables:
    """Return the paper's means beside this run's, or nothing without a paper's name.

    `summary` is metrics/summary.json.
    """
    params = experiment.report
    if params.published == published.NONE:
        return {}
    printed = published.mean_cells(params.published)
    sets = published.paper_sets(params.salient_set, params.texture_set)
    return {"comparison": (published.COLUMNS, published.compare(printed, summary, sets))}


def fixed(value: float | None, decimals: int) -> str:
    """Format a number, or a dash if there is none."""
    return "–" if value is None else f"{value:.{decimals}f}"


def markdown(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    return markdown_table(
        columns, ([without_html(str(row[column])) for column in columns] for row in rows)
    )


def without_html(text: str) -> str:
    """Return text, such as a file's name, so that no viewer takes a part of it for HTML."""
    return text.replace("<", "&lt;")


def summary_text(experiment: Experiment, layout: Layout, metrics: Mapping[str, Any]) -> str:
    """Return the short table that ends a run: what each method gained over plain JPEG."""
    qualities = experiment.compress.match_qualities
    titles = [f"{METRICS[name].short} {METRICS[name].unit}".rstrip() for name in HEADLINE]
    lines = [
        f"Experiment {experiment.name}: each method minus plain JPEG of the same size",
        "(means over the photographs whose size was matched; n at the quality that has the fewest)",
        "",
        " " * 30 + "".join(f"{title:>{8 * len(qualities)}}" for title in titles),
        f"{'set':<13}{'method':<13}{'n':>4}"
        + "".join(f"{f'Q{q}':>8}" for q in qualities) * len(titles),
    ]
    for dataset, method, counts, values in mean_gains(experiment, metrics):
        cells = "".join(f"{value:>8}" for value in values)
        lines.append(f"{dataset:<13}{method:<13}{counts[0]:>4}{cells}")
    lines += [
        "",
        f"tables   {layout.tables}/table1.md … table4.md, {layout.metrics}/per_image.csv",
        f"figures  {layout.figures}/figure1.png … figure6.png",
        f"images   {layout.jpeg}/images, {layout.heatmaps}/overlay",
        f"report   {layout.report}/index.html",
    ]
    return "\n".join(lines) + "\n"


def headline(
    experiment: Experiment, model: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the few numbers that say how the experiment went.

    Validation accuracy and, by set, what the methods of `in_gallery` gain over plain JPEG at the
    middle quality. `model` and `metrics` are those stages' summaries.
    """
    quality = middle_quality(experiment.compress.match_qualities)
    methods = [
        one for one in in_gallery() if one in experiment.compress.methods and one != BASELINE
    ]

    def gains(measure: str) -> dict[str, dict[str, float | None]]:
        return {
            dataset: {
                method: of_set[method][f"q{quality}"]["minus_jpeg"][measure] for method in methods
            }
            for dataset, of_set in metrics.items()
        }

    return {
        "val_top1": model["val_top1"],
        "gain_psnr_db": gains("psnr_rgb_db"),
        "gain_wpsnr_db": gains("wpsnr_rgb_db"),
    }


def conventions(experiment: Experiment, layout: Layout, made_by: Mapping[str, str]) -> list[str]:
    """Return what numbers mean, and what made them, a sentence each in Markdown.

    `made_by` says which packages wrote each method's files.
    """
    model = read_json(layout.model / "summary.json")
    settings = experiment.compress
    return [
        "PSNR over all RGB samples; SSIM and MS-SSIM on BT.601 luma with Wang's settings "
        "(11x11 Gaussian, sigma 1.5, population covariance, data range 255); saliency-weighted "
        "PSNR (wPSNR) weights the squared error by the saliency map.",
        "`jpeg`, the reference, and `msroi`: baseline, 4:2:0, standard Huffman tables. "
        f"`msroi`: {settings.levels} levels from quality {settings.quality_low} to "
        f"{settings.quality_high}, then one Q_final.",
        "Of every method the file whose size comes nearest to the reference's; images further "
        f"than {settings.size_tolerance_pct} % are left out.",
        *(f"`{method}`: {written_by}." for method, written_by in made_by.items()),
        f"Network: validation top-1 {model['val_top1']:.3f}, top-5 {model['val_top5']:.3f} "
        f"({model['val_images']} images, {model['classes']} classes, "
        f"trained layers: {experiment.train.trainable}).",
        "Tables 1 and 2 show the first images of each set by name.",
    ]


def report_text(
    experiment: Experiment,
    layout: Layout,
    tables: Mapping[str, str],
    captions: Mapping[int, str],
    tests: Sequence[Row],
    told: Sequence[str],
) -> str:
    """Put conventions, tables, figures and statistics together as Markdown.

    `tables` are in Markdown, `comparison` among them if there is one. `told` are the `conventions`.
    """
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
        "".join(f"- {line}\n" for line in told),
        "## Tables\n",
    ]
    for number, title in titles.items():
        parts += [f"### Table {number}: {title}\n", tables[f"table{number}"]]
    if "comparison" in tables:
        parts += [
            "### Tables 3 and 4, published and measured\n",
            f"Printed means of `{experiment.report.published}` beside this run's; the set, the "
            "network and the conventions differ where the report says so.\n",
            tables["comparison"],
        ]
    parts += [
        "## Statistics\n",
        f"One-way ANOVA as in the paper, beside the paired analysis that the design calls for; "
        f"alpha {experiment.anova.alpha}. All columns: `{layout.anova}/anova.csv`.\n",
        markdown(ANOVA_COLUMNS, statistics),
        "## Figures\n",
    ]
    for number, caption in captions.items():
        parts.append(
            f"### Figure {number}: {without_html(caption)}\n\n![](../figures/figure{number}.png)\n"
        )
    parts.append("### Training\n\n![](../model/history.png)\n")
    parts += [
        "## Audit of published numbers\n",
        audit_text(read_json(layout.audit / "summary.json")),
    ]
    return "\n".join(parts)


def audit_text(summary: Mapping[str, Any]) -> str:
    """Say how many published numbers hold, and where the page about each is.

    `summary` is audit/summary.json.
    """
    lines = [
        f"- `{paper}`, {family}: "
        + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        for paper, families in summary.items()
        for family, counts in families.items()
        if family != "checks"
    ]
    return "\n".join(
        [*lines, "\nEach with its evidence and a plot: [audit.md](../audit/audit.md)\n"]
    )


ANOVA_COLUMNS = (
    *("dataset", "metric", "match_quality", "method", "n", "mean_jpeg", "mean_method"),
    *("oneway_p", "difference", "difference_ci_low", "difference_ci_high", "paired_p"),
    "note",
)


def run(experiment: Experiment, layout: Layout) -> None:
    """Write tables, figures, the report and the summary."""
    params = experiment.report
    rows = CsvRows(layout.metrics / "per_image.csv")
    metrics = read_json(layout.metrics / "summary.json")
    tests: list[Row] = list(read_csv(layout.anova / "anova.csv"))
    items = list(test_images(layout))
    by_set = {
        name: sorted((item for item in items if item.dataset == name), key=lambda item: item.image)
        for name in (params.salient_set, params.texture_set)
    }

    shown = shown_images(experiment, [(item.dataset, item.image) for item in items])
    in_markdown = {}
    made = tables(experiment, rows, shown, metrics) | beside_paper(experiment, metrics)
    for name, (columns, lines) in made.items():
        write_csv(layout.tables / f"{name}.csv", columns, lines)
        in_markdown[name] = markdown(columns, lines)
        write_text(layout.tables / f"{name}.md", in_markdown[name])

    captions = write_figures(experiment, layout, items, by_set)
    told = conventions(experiment, layout, {row["method"]: row["encoder"] for row in rows})
    text = report_text(experiment, layout, in_markdown, captions, tests, told)
    write_text(layout.report / "report.md", text)
    page = report_page(experiment, layout, rows, made, captions, told)
    write_text(layout.report / "index.html", render(page))
    write_text(layout.report / "summary.txt", summary_text(experiment, layout, metrics))
    model = read_json(layout.model / "summary.json")
    write_json(layout.summary, headline(experiment, model, metrics))
