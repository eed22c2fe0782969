"""Stage audit: published numbers against themselves, against statistics and against this run.

Every claim of `data/published/<paper>/paper.yaml` goes through its check. Each finding has a
verdict and the evidence for it. The audit speaks of numbers: it reports, and fails nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msroi.audit.check import CONSISTENT, FAMILIES, REGISTRY, Finding, Run
from msroi.audit.entries import COLUMNS as COLUMNS
from msroi.audit.entries import FAILING, Entry
from msroi.audit.entries import entries as entries
from msroi.audit.entries import summarise as summarise
from msroi.audit.entries import table_row as table_row
from msroi.audit.figures import distribution, verdicts
from msroi.audit.page import markdown
from msroi.audit.published import read_paper
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import rows_of, test_images
from msroi.files import (
    Row,
    existing,
    fresh_folder,
    read_csv,
    read_json,
    write_csv,
    write_json,
    write_text,
)
from msroi.measures.conventions import CONVENTIONS

NUMBERS = ("match_quality", "q_final", "bytes", "size_error_pct", *CONVENTIONS)


def measured(experiment: Experiment, layout: Layout) -> Run:
    """Read what the checks look at.

    Raises
    ------
    MissingError
        If an earlier stage has not run.
    """
    name = experiment.prepare.training_set
    images, classes, jpeg_sources = (
        indexed(experiment, layout) if layout.index.is_file() else committed_counts(name, layout)
    )
    of_maps = layout.gaze / "maps_per_image.csv"  # results that were committed before have none
    return Run(
        experiment=experiment.name,
        sets=experiment.audit.sets,
        conventions=[numbers(row) for row in read_csv(layout.conventions / "per_image.csv")],
        spread=[
            {key: float(row[key]) for key in ("dropout", "min_correlation", "mean_correlation")}
            for row in read_csv(layout.heatmaps / "spread.csv")
        ],
        map_quality=read_csv(layout.heatmaps / "saliency_quality.csv"),
        map_files=read_csv(of_maps) if of_maps.is_file() else [],
        images=images,
        classes=classes,
        jpeg_sources=jpeg_sources,
        tolerance_pct=experiment.compress.size_tolerance_pct,
        resamples=experiment.audit.resamples,
        seed=experiment.seed,
    )


Counts = tuple[Mapping[tuple[str, str], int], Mapping[str, int], Mapping[str, tuple[int, int]]]


def indexed(experiment: Experiment, layout: Layout) -> Counts:
    """Return images, classes and JPEG sources as `Run` has them, from the index."""
    training = rows_of(layout, ["train", "validate"])
    name = experiment.prepare.training_set
    sources = list(test_images(layout))
    jpeg_sources = {
        test_set: (
            sum(item.dataset == test_set for item in sources),
            sum(item.dataset == test_set and bool(item.source_jpeg_quality) for item in sources),
        )
        for test_set in experiment.prepare.test_sets
    }
    images = Counter((name, row["split"]) for row in training)
    return images, {name: len({row["class"] for row in training})}, jpeg_sources


def committed_counts(name: str, layout: Layout) -> Counts:
    """Return the same where a clone has no index, as far as the model's summary has it."""
    summary = read_json(layout.model / "summary.json")
    images = {(name, "train"): summary["train_images"], (name, "validate"): summary["val_images"]}
    return images, {name: summary["classes"]}, {}


def numbers(row: dict[str, str]) -> dict[str, Any]:
    """Return a row of conventions/per_image.csv with its numbers as numbers."""
    return {key: float(text) if key in NUMBERS else text for key, text in row.items()}


def figure_name(entry: Entry, number: int) -> str:
    """Name the figure of a doubtful number."""
    return f"{entry.paper.name}-{number:03d}-{entry.claim.id}.png"


def draw(folder: Path, found: Sequence[Entry]) -> dict[int, str]:
    """Draw each doubtful number on this run's measurements. Return the files by finding."""
    figures = {}
    for number, entry in enumerate(found):
        finding = entry.finding
        if finding.verdict == CONSISTENT or not finding.values:
            continue
        figures[number] = figure_name(entry, number)
        mark = printed_number(finding)
        distribution(
            folder / figures[number],
            finding.values,
            interval=(finding.low, finding.high),
            mark=mark,
            title=f"{finding.place}: {finding.published}",
            axis=finding.axis,
        )
    return figures


def printed_number(finding: Finding) -> float | None:
    """Return the number to mark: the printed one, or what the printed statement allows."""
    try:
        return float(finding.published)
    except ValueError:
        return finding.high if finding.high is not None and math.isfinite(finding.high) else None


def audited(experiment: Experiment, layout: Layout) -> list[Entry]:
    """Audit every paper of the experiment.

    Raises
    ------
    ParameterError
        If a paper's folder is missing or wrong; the message names file and entry.
    MissingError
        If an earlier stage has not run.
    """
    made = measured(experiment, layout)
    return [entry for name in experiment.audit.papers for entry in entries(read_paper(name), made)]


def run(experiment: Experiment, layout: Layout) -> None:
    """Audit every paper of the experiment. Write the table, the page and the figures.

    Raises
    ------
    ParameterError
        If a paper's folder is missing or wrong; the message names file and entry.
    MissingError
        If an earlier stage has not run.
    """
    existing(layout.index)
    found = audited(experiment, layout)
    rows = [table_row(entry) for entry in found]
    figures = draw(fresh_folder(layout.audit / "figures"), found)
    write_csv(layout.audit / "audit.csv", COLUMNS, rows)
    assumptions = {name: one.assumes for name, one in REGISTRY.items()}
    write_json(layout.audit / "audit.json", {"findings": rows, "assumptions": assumptions})
    command = f"msroi audit --experiment {experiment.name}"
    write_text(layout.audit / "audit.md", markdown(found, figures, command))
    summary = summarise(rows)
    write_json(layout.audit / "summary.json", summary)
    by_family = {
        f"{paper}, {family}": families[family]
        for paper, families in summary.items()
        for family in FAMILIES
        if family in families
    }
    verdicts(layout.audit / "figures" / "verdicts.png", by_family)


def summary_text(summary: Mapping[str, Any], where: str) -> str:
    """Return what ends an audit in the terminal: counts by paper and family, and where all is."""
    lines = []
    for paper, families in summary.items():
        lines.append(f"{paper}: {families['checks']} checks")
        for family in FAMILIES:
            counts = families.get(family, {})
            said = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
            lines.append(f"  {family:<12} {said or 'none'}")
    return "\n".join([*lines, where]) + "\n"


def failing(rows: Iterable[Row]) -> bool:
    """Tell whether a finding has a verdict that `--strict` fails on."""
    return any(row["verdict"] in FAILING for row in rows)
