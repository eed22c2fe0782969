"""Stage audit: published numbers against themselves, against statistics and against this run.

Every claim of `data/published/<paper>/paper.yaml` goes through its check; each finding has a
verdict and the evidence for it. The audit speaks of numbers: it reports, and fails nothing.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from msroi.audit import internal, replication, statistical
from msroi.audit.check import CONSISTENT, FAMILIES, REGISTRY, Finding, Run, findings, kind
from msroi.audit.figures import distribution, verdicts
from msroi.audit.published import Claim, Paper, read_paper
from msroi.experiment.comparison import significant
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import rows_of, test_images
from msroi.files import fresh_folder, read_csv, read_json, write_csv, write_json, write_text
from msroi.markdown import markdown_table
from msroi.measures.conventions import CONVENTIONS

# the modules whose checks are registered by their import
CHECKS = (internal, statistical, replication)

COLUMNS = (
    *("paper", "claim", "place", "family", "check", "published", "found", "low", "high"),
    *("verdict", "evidence"),
)
NUMBERS = ("match_quality", "q_final", "bytes", "size_error_pct", *CONVENTIONS)


@dataclass(frozen=True)
class Entry:
    """A finding with what it is about."""

    paper: Paper
    experiment: str
    claim: Claim
    finding: Finding

    @property
    def family(self) -> str:
        """The family of the claim's check."""
        return REGISTRY[self.claim.check].family

    @property
    def evidence(self) -> str:
        """Why, and the file that says so with the command that makes it."""
        made_by = REGISTRY[self.claim.check].made_by(self.paper.name, self.experiment)
        return f"{self.finding.evidence} ({made_by})"


def entries(paper: Paper, run: Run) -> Iterator[Entry]:
    """Yield what every check finds, claim by claim."""
    for claim in paper.claims:
        for finding in findings(paper, run, claim):
            yield Entry(paper, run.experiment, claim, finding)


def measured(experiment: Experiment, layout: Layout) -> Run:
    """Read what the checks look at.

    Raises
    ------
    MissingError
        If an earlier stage has not run.
    """
    training = rows_of(layout, ["train", "validate"])
    name = experiment.prepare.training_set
    counts = Counter((name, row["split"]) for row in training)
    sources = list(test_images(layout))
    return Run(
        experiment=experiment.name,
        sets=experiment.audit.sets,
        conventions=[numbers(row) for row in read_csv(layout.conventions / "per_image.csv")],
        spread=[
            {key: float(row[key]) for key in ("dropout", "min_correlation", "mean_correlation")}
            for row in read_csv(layout.heatmaps / "spread.csv")
        ],
        images=counts,
        classes={name: len({row["class"] for row in training})},
        jpeg_sources={
            test_set: (
                sum(item.dataset == test_set for item in sources),
                sum(
                    item.dataset == test_set and bool(item.source_jpeg_quality) for item in sources
                ),
            )
            for test_set in experiment.prepare.test_sets
        },
        tolerance_pct=experiment.compress.size_tolerance_pct,
        resamples=experiment.audit.resamples,
        seed=experiment.seed,
    )


def numbers(row: dict[str, str]) -> dict[str, Any]:
    """Return a row of conventions/per_image.csv with its numbers as numbers."""
    return {key: float(text) if key in NUMBERS else text for key, text in row.items()}


def table_row(entry: Entry) -> dict[str, Any]:
    """Return a finding as a row of `COLUMNS`; empty where there is no number."""
    finding = entry.finding
    return {
        "paper": entry.paper.name,
        "claim": entry.claim.id,
        "place": finding.place,
        "family": entry.family,
        "check": entry.claim.check,
        "published": str(finding.published),
        "found": cell(finding.found),
        "low": cell(finding.low),
        "high": cell(finding.high),
        "verdict": finding.verdict,
        "evidence": entry.evidence,
    }


def cell(value: float | str | None) -> Any:
    """Return a number with the digits that the tables carry."""
    if value is None:
        return ""
    return significant(value) if isinstance(value, float) else value


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return paper -> family -> kind of verdict -> how many, and how many in all."""
    summary: dict[str, Any] = {}
    for row in rows:
        of_paper = summary.setdefault(row["paper"], {"checks": 0})
        of_paper["checks"] += 1
        counts = of_paper.setdefault(row["family"], {})
        counts[kind(row["verdict"])] = counts.get(kind(row["verdict"]), 0) + 1
    return summary


def figure_name(entry: Entry, number: int) -> str:
    """Name the figure of a doubtful number."""
    return f"{entry.paper.name}-{number:03d}-{entry.claim.id}.png"


def markdown(found: Sequence[Entry], figures: dict[int, str], experiment: str) -> str:
    """Return the audit as a page: by paper the counts, what is doubtful, and all findings."""
    lines = [
        "# Audit of published numbers\n",
        f"By `msroi audit --experiment {experiment}`. A verdict speaks of numbers and of the "
        "assumptions below it, not of people. `explained by` names a reading of the paper under "
        "which the number comes out; `not reproduced` means that none of those tried does; all "
        "intervals cover 95 %.\n",
        "![Verdicts by paper and family](figures/verdicts.png)\n",
    ]
    numbered = list(enumerate(found))
    for paper, group in groupby(numbered, key=lambda item: item[1].paper.name):
        of_paper = list(group)
        title = of_paper[0][1].paper.title
        made_up = (
            " **A made-up example, not a publication.**" if of_paper[0][1].paper.made_up else ""
        )
        lines += [f"## {paper}\n", f"*{title}*: {len(of_paper)} checks.{made_up}\n"]
        lines.append(count_table([entry for _, entry in of_paper]))
        doubtful = [item for item in of_paper if item[1].finding.verdict != CONSISTENT]
        lines += ["### Doubtful numbers\n"] if doubtful else []
        for number, entry in doubtful:
            finding = entry.finding
            lines.append(
                f"- **{finding.place}**: printed {finding.published}; **{finding.verdict}**. "
                f"{sentence(entry.evidence)} “{entry.claim.quote}” ({entry.claim.place}; "
                f"`{entry.claim.check}`)"
            )
            if number in figures:
                lines.append(f"\n  ![{finding.place}](figures/{figures[number]})\n")
        lines += ["\n### All checks\n", all_checks([entry for _, entry in of_paper])]
    lines += ["## What the checks assume\n"]
    used = dict.fromkeys(entry.claim.check for entry in found)
    lines += [f"- `{name}` ({REGISTRY[name].family}): {REGISTRY[name].assumes}." for name in used]
    return "\n".join(lines) + "\n"


def all_checks(found: Sequence[Entry]) -> str:
    """Return every finding as a Markdown table."""
    rows = [table_row(entry) for entry in found]
    head = ("claim", "place", "published", "found", "range", "verdict")
    return markdown_table(head, ([row[name] for name in head] for row in map(ranged, rows)))


def ranged(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `COLUMNS` with `low` and `high` as one text, empty if there are none."""
    low, high = row["low"], row["high"]
    return {**row, "range": "" if low == high == "" else f"{low} to {high}"}


def count_table(found: Sequence[Entry]) -> str:
    """Return how many verdicts of each kind each family has, as a Markdown table."""
    kinds = sorted({kind(entry.finding.verdict) for entry in found})
    counts = Counter((entry.family, kind(entry.finding.verdict)) for entry in found)
    rows = [[family, *(counts[family, name] for name in kinds)] for family in FAMILIES]
    return markdown_table(["family", *kinds], rows)


def sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def draw(folder: Path, found: Sequence[Entry]) -> dict[int, str]:
    """Draw each doubtful number on what was measured; return the files by finding."""
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


def run(experiment: Experiment, layout: Layout) -> None:
    """Audit every paper of the experiment; write the table, the page and the figures.

    Raises
    ------
    ParameterError
        If a paper's folder is missing or wrong; the message names file and entry.
    MissingError
        If an earlier stage has not run.
    """
    made = measured(experiment, layout)
    found = [entry for name in experiment.audit.papers for entry in entries(read_paper(name), made)]
    rows = [table_row(entry) for entry in found]
    figures = draw(fresh_folder(layout.audit / "figures"), found)
    write_csv(layout.audit / "audit.csv", COLUMNS, rows)
    assumptions = {name: one.assumes for name, one in REGISTRY.items()}
    write_json(layout.audit / "audit.json", {"findings": rows, "assumptions": assumptions})
    write_text(layout.audit / "audit.md", markdown(found, figures, experiment.name))
    summary = summarise(rows)
    write_json(layout.audit / "summary.json", summary)
    by_family = {
        f"{paper}, {family}": families[family]
        for paper, families in summary.items()
        for family in FAMILIES
        if family in families
    }
    verdicts(layout.audit / "figures" / "verdicts.png", by_family)


def summary_text(layout: Layout) -> str:
    """Return what ends an audit in the terminal: counts by paper and family, and where all is."""
    lines = []
    for paper, families in read_json(layout.audit / "summary.json").items():
        lines.append(f"{paper}: {families['checks']} checks")
        for family in FAMILIES:
            counts = families.get(family, {})
            said = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
            lines.append(f"  {family:<12} {said or 'none'}")
    return "\n".join([*lines, f"all of it: {layout.audit}/audit.md, audit.csv"]) + "\n"


def doubtful(layout: Layout) -> list[dict[str, str]]:
    """Return the findings of a finished audit that are not consistent."""
    rows = read_csv(layout.audit / "audit.csv")
    return [row for row in rows if row["verdict"] != CONSISTENT]
