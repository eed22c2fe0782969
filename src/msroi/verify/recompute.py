"""Whether tables and summaries follow from the more basic tables among them.

The check `recomputed` computes each file from committed ones, not from other recomputations. So it
reports a wrong number where it stands and in what follows directly from it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msroi.audit import published
from msroi.encoders import search
from msroi.experiment.comparison import BASELINE, flag
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import Row
from msroi.measures import distortion, saliency_quality, spread
from msroi.stages import anova, audit, conventions, gaze, judges, metrics, rate_distortion, report
from msroi.verify.finding import RECOMPUTED, Checked, differs, missing, named, outdated
from msroi.verify.hashes import outdated_outputs
from msroi.verify.tables import (
    ROUNDED,
    Summary,
    Table,
    UnreadableError,
    compared,
    read_lines,
    read_object,
    read_table,
)

Files = dict[Path, Table | Summary]
Compute = Callable[[Experiment, Layout], Files]


def recomputed(experiment: Experiment, layout: Layout) -> list[Checked]:
    """Compute the tables and summaries again from the more basic tables, and compare."""
    rows = [
        checked
        for compute, sources in recomputations(experiment, layout).items()
        for checked in recompute(experiment, layout, compute, sources)
    ]
    return list(dict.fromkeys(rows))  # several may complain of the same source


def recomputations(experiment: Experiment, layout: Layout) -> dict[Compute, tuple[Path, ...]]:
    """Return what to recompute, with the committed files that it comes from."""
    images = layout.metrics / "per_image.csv"
    summary = layout.metrics / "summary.json"
    sources: dict[Compute, tuple[Path, ...]] = {
        of_model: (layout.model / "history.csv",),
        of_heatmaps: (
            layout.heatmaps / "spread.csv",
            layout.heatmaps / "saliency_quality.csv",
            images,
        ),
        of_metrics: (images,),
        of_judges: (layout.judges / "per_image.csv", images),
        of_rate_distortion: (layout.rate_distortion / "curves.csv",),
        of_conventions: (layout.conventions / "per_image.csv",),
        of_anova: (images,),
        of_audit: (layout.audit / "audit.csv",),
        image_tables: (images,),
        mean_tables: (summary,),
        headline: (layout.model / "summary.json", summary),
    }
    if layout.readout.is_dir():
        sources[of_readout] = (layout.readout / "history.csv", layout.readout / "quality.csv")
    if layout.gaze.is_dir():  # if dvc.lock has it and it is not there, `hash` says so
        gazes = (layout.gaze / f"{name}.csv" for name in ("per_image", "maps_per_image"))
        sources[of_gaze] = (*gazes, images)
    if experiment.report.published != published.NONE:
        paper = published.FOLDER / experiment.report.published / "tables.csv"
        sources[beside_paper] = (summary, paper)
    return sources


def recompute(
    experiment: Experiment, layout: Layout, compute: Compute, sources: Sequence[Path]
) -> Iterator[Checked]:
    """Compute some files again, and compare them with the committed ones."""
    absent = [source for source in sources if not source.is_file()]
    for source in absent:
        yield missing(experiment.name, RECOMPUTED, source.as_posix())
    if absent:
        return
    try:
        made = compute(experiment, layout)
    except UnreadableError as error:
        if error.path.as_posix() in outdated_outputs(experiment.name):
            yield outdated(experiment.name, RECOMPUTED, error.path.as_posix())
            return
        yield differs(experiment.name, RECOMPUTED, error.path.as_posix(), str(error))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # the tables can be read but were edited so that they no longer fit together
        files = " and ".join(source.as_posix() for source in sources)
        detail = f"nothing can be computed from {files} ({named(error)})"
        yield differs(experiment.name, RECOMPUTED, sources[0].as_posix(), detail)
    else:
        yield from (compared(experiment.name, path, one) for path, one in made.items())


def of_model(_: Experiment, layout: Layout) -> Files:
    """Take the summary's last epoch from the history.

    The validation is that of the network on disk, in float16, not of the last epoch. The counts
    come from data that git does not hold.
    """
    columns = ("epoch", "train_loss", "train_top1", "val_loss", "val_top1", "val_top5")
    last = read_table(layout.model / "history.csv", columns)[-1]
    kept = {"val_loss", "val_top1", "val_top5"}
    counts = {"train_images", "val_images", "classes", "trained_parameters"}
    values = {key: value for key, value in last.items() if key not in kept}
    return {layout.model / "summary.json": Summary(values, frozenset(kept | counts))}


def how_good(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what a summary has under `name` of rows of `saliency_quality.COLUMNS`."""
    return {
        name: saliency_quality.means(rows),
        f"{name}_se": saliency_quality.standard_errors(rows),
        f"{name}_images": saliency_quality.counts(rows),
    }


def of_readout(experiment: Experiment, layout: Layout) -> Files:
    """Take the summary's last epoch from the history, and compute means over photographs."""
    columns = ("epoch", "train_bits", "validation_bits")
    last = read_table(layout.readout / "history.csv", columns)[-1]
    quality = read_table(layout.readout / "quality.csv", saliency_quality.COLUMNS)
    values = {"weights": experiment.readout.weights} | {name: last[name] for name in columns[1:]}
    summary = values | how_good("quality", quality)
    return {layout.readout / "summary.json": Summary(summary, unit=ROUNDED)}


def of_heatmaps(experiment: Experiment, layout: Layout) -> Files:
    """Compute the means over passes, maps and measures.

    How many fixations and boxes were of no use does not follow from the committed files.
    """
    spreads = read_table(layout.heatmaps / "spread.csv", spread.COLUMNS)
    quality = read_table(layout.heatmaps / "saliency_quality.csv", saliency_quality.COLUMNS)
    photographs = {(row["dataset"], row["image"]) for row in per_image(experiment, layout)}
    drawn = [row for row in spreads if row["dropout"] == experiment.heatmap.dropout]
    counts = {"images": len(photographs), "images_with_passes": len(drawn)}
    means = how_good("saliency_quality", quality) if quality else {}
    unknown = frozenset({"fixations_dropped", "boxes_skipped"})
    summary = Summary(counts | spread.means(drawn) | means, unknown, unit=ROUNDED)
    return {layout.heatmaps / "summary.json": summary}


def of_metrics(experiment: Experiment, layout: Layout) -> Files:
    """Compute the means, the comparison and the columns that follow from others.

    How many images had fewer scales of MS-SSIM depends on their sizes. Git does not hold those, so
    `n_fewer_scales` does not count.
    """
    rows = per_image(experiment, layout)
    summary = Summary(metrics.summarise(rows), frozenset({"n_fewer_scales"}))
    return {
        layout.metrics / "per_image.csv": Table(metrics.COLUMNS, derived(experiment, rows)),
        layout.metrics / "summary.json": summary,
        layout.metrics / "comparison.csv": Table(metrics.COMPARISON_COLUMNS, metrics.compare(rows)),
    }


def of_judges(experiment: Experiment, layout: Layout) -> Files:
    """Compute means and comparison, and take from the metrics what both tables have.

    `matched` comes from there, too: the table of perceptual metrics does not have the target.
    """
    measured = {_file(row): row for row in per_image(experiment, layout)}
    rows = read_table(layout.judges / "per_image.csv", judges.COLUMNS)
    shared = [name for name in judges.COLUMNS if name in metrics.COLUMNS]
    rows = [{**row, "matched": measured[_file(row)]["matched"]} for row in rows]
    same = [{**row, **{name: measured[_file(row)][name] for name in shared}} for row in rows]
    return {
        layout.judges / "per_image.csv": Table(judges.COLUMNS, same),
        layout.judges / "summary.json": Summary(judges.summarise(rows)),
        layout.judges / "comparison.csv": Table(judges.COMPARISON_COLUMNS, judges.compare(rows)),
    }


def of_gaze(experiment: Experiment, layout: Layout) -> Files:
    """Compute differences, ratios of bytes and the summary, and take sizes from the metrics.

    How many photographs have no fixations does not follow from the committed files.
    """
    folder, tolerance = layout.gaze, experiment.compress.size_tolerance_pct
    measured = {_file(row): row for row in per_image(experiment, layout)}
    rows = read_table(folder / "per_image.csv", gaze.COLUMNS)
    rows = [{**row, "matched": measured[_file(row)]["matched"]} for row in rows]
    sizes = ("experiment", "bytes", "size_error_pct")
    same = [{**row, **{name: measured[_file(row)][name] for name in sizes}} for row in rows]
    of_maps = read_table(folder / "maps_per_image.csv", gaze.COLUMNS)
    plain = {(r["dataset"], r["image"]): r["bytes"] for r in of_maps if r["method"] == BASELINE}
    errors = [
        search.size_error_pct(row["bytes"], plain[row["dataset"], row["image"]]) for row in of_maps
    ]
    of_maps = [
        {**row, "size_error_pct": f"{error:.4f}", "matched": flag(error, tolerance)}
        for row, error in zip(of_maps, errors, strict=True)
    ]
    differing, ratios = gaze.compare(rows), gaze.byte_ratios(rows)
    gains = gaze.compare_maps(of_maps, experiment)
    summary = gaze.summarise({}, rows, of_maps, differing, gains, ratios)
    return {
        folder / "per_image.csv": Table(gaze.COLUMNS, same),
        folder / "maps_per_image.csv": Table(gaze.COLUMNS, of_maps),
        folder / "comparison.csv": Table(gaze.COMPARISON_COLUMNS, differing),
        folder / "maps.csv": Table(gaze.MAPS_COLUMNS, gains),
        folder / "bytes.csv": Table(gaze.BYTES_COLUMNS, ratios),
        folder / "summary.json": Summary(summary, frozenset({"photographs"})),
    }


def of_rate_distortion(_: Experiment, layout: Layout) -> Files:
    """Compute the BD-rates from the curves."""
    folder = layout.rate_distortion
    rates = rate_distortion.bd_rates(read_table(folder / "curves.csv", rate_distortion.COLUMNS))
    return {
        folder / "bd_rate.csv": Table(rate_distortion.BD_COLUMNS, rates),
        folder / "summary.json": Summary(rate_distortion.summarise(rates)),
    }


def of_conventions(_: Experiment, layout: Layout) -> Files:
    """Compute the means by protocol."""
    folder = layout.conventions
    rows = read_table(folder / "per_image.csv", conventions.COLUMNS)
    return {folder / "summary.json": Summary(conventions.summarise(rows))}


def of_anova(experiment: Experiment, layout: Layout) -> Files:
    """Compute the statistics."""
    rows = anova.tabulate(per_image(experiment, layout), experiment)
    return {
        layout.anova / "anova.csv": Table(anova.COLUMNS, rows),
        layout.anova / "summary.json": Summary(anova.summarise(rows, experiment.anova.alpha)),
    }


def of_audit(_: Experiment, layout: Layout) -> Files:
    """Count the verdicts."""
    lines = read_lines(layout.audit / "audit.csv", audit.COLUMNS).values()
    rows = [dict(zip(audit.COLUMNS, line, strict=True)) for line in lines]
    return {layout.audit / "summary.json": Summary(audit.summarise(rows))}


def image_tables(experiment: Experiment, layout: Layout) -> Files:
    """Write Tables 1 and 2."""
    rows = per_image(experiment, layout)
    shown = report.shown_images(experiment, ((row["dataset"], row["image"]) for row in rows))
    return in_both_forms(layout, report.image_tables(experiment, rows, shown))


def mean_tables(experiment: Experiment, layout: Layout) -> Files:
    """Write Tables 3 and 4."""
    summary = read_object(layout.metrics / "summary.json")
    return in_both_forms(layout, report.mean_tables(experiment, summary))


def headline(experiment: Experiment, layout: Layout) -> Files:
    """Take the few numbers that say how it went."""
    model, summary = (
        read_object(folder / "summary.json") for folder in (layout.model, layout.metrics)
    )
    return {layout.summary: Summary(report.headline(experiment, model, summary))}


def beside_paper(experiment: Experiment, layout: Layout) -> Files:
    """Write the means beside the paper's."""
    summary = read_object(layout.metrics / "summary.json")
    return in_both_forms(layout, report.beside_paper(experiment, summary))


def in_both_forms(layout: Layout, tables: report.Tables) -> Files:
    """Return tables of the report as CSV and as Markdown."""
    return {
        layout.tables / f"{name}{suffix}": Table(columns, rows)
        for name, (columns, rows) in tables.items()
        for suffix in (".csv", ".md")
    }


def per_image(experiment: Experiment, layout: Layout) -> list[Row]:
    """Read the metrics, with what `metrics.summarise` takes from the files beside them.

    `matched` follows from the sizes. `ms_ssim_scales` does not, and is 5 in every row.
    """
    tolerance = experiment.compress.size_tolerance_pct
    return [
        {
            **row,
            "matched": flag(search.size_error_pct(row["bytes"], row["target_bytes"]), tolerance),
            "ms_ssim_scales": len(distortion.SCALE_WEIGHTS),
        }
        for row in read_table(layout.metrics / "per_image.csv", metrics.COLUMNS)
    ]


def derived(experiment: Experiment, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the metrics with the columns that follow from others.

    The target is the size of plain JPEG's file. The error follows from both sizes, and the PSNR
    from the mean squared error.
    """
    targets = {_file(row): row["bytes"] for row in rows if row["method"] == BASELINE}
    return [
        {
            **row,
            "experiment": experiment.name,
            "target_bytes": targets.get(_file({**row, "method": BASELINE}), row["target_bytes"]),
            "size_error_pct": f"{search.size_error_pct(row['bytes'], row['target_bytes']):.4f}",
            "psnr_rgb_db": distortion.psnr_db(row["mse_rgb"]),
        }
        for row in rows
    ]


def _file(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("dataset", "image", "method", "match_quality"))
