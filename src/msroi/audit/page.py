"""The audit as a page, and as the lines that end it in a terminal.

Both lead with the worst: ten lines, then a line a claim with its counts and its worst row. The page
folds doubtful rows, and `audit.csv` has all rows. A section says once where its evidence comes
from.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from msroi.audit.check import CANNOT_TELL, CONSISTENT, FAMILIES, KINDS, REGISTRY, Finding, kind
from msroi.audit.entries import Entry
from msroi.audit.published import Printed
from msroi.markdown import markdown_table

MOST = 10  # lines that lead

Numbered = Sequence[tuple[int, Entry]]


def markdown(found: Sequence[Entry], figures: Mapping[int, str], command: str) -> str:
    """Return the audit as a page.

    Parameters
    ----------
    found
        What the checks found, paper by paper.
    figures
        The figure of a finding, by its number; none of an audit without a run.
    command
        What made it.
    """
    lines = [
        "# Audit of published numbers\n",
        f"By `{command}`. A verdict speaks of numbers and of the assumptions at the end, not of "
        "people. `unusual` is possible but rare; `explained by` names a reading of the paper under "
        "which the number comes out; `not reproduced` means that none of those tried does; all "
        "intervals cover 95 %.\n",
    ]
    lines += ["![Verdicts by paper and family](figures/verdicts.png)\n"] if figures else []
    numbered = list(enumerate(found))
    for paper, group in groupby(numbered, key=lambda item: item[1].paper.name):
        lines += section(paper, list(group), figures)
    lines += ["## What the checks assume\n"]
    used = dict.fromkeys(entry.claim.check for entry in found)
    lines += [f"- `{name}` ({REGISTRY[name].family}): {REGISTRY[name].assumes}." for name in used]
    return "\n".join(lines) + "\n"


def section(paper: str, numbered: Numbered, figures: Mapping[int, str]) -> list[str]:
    """Return a paper's part of the page, in paragraphs."""
    entries = [entry for _, entry in numbered]
    one = entries[0].paper
    made_up = " **A made-up example, not a publication.**" if one.made_up else ""
    lines = [f"## {paper}\n", f"*{one.title}*: {len(entries)} checks.{made_up}\n"]
    lines += [f"- {line}" for line in leading(entries)] + [""]
    lines += [count_table(entries), "### Claim by claim\n", claim_table(entries)]
    lines += ["### Where the evidence comes from\n", *provenance(entries), ""]
    doubtful = [item for item in numbered if item[1].verdict != CONSISTENT]
    lines += ["### Doubtful numbers\n"] if doubtful else []
    for id_, group in groupby(doubtful, key=lambda item: item[1].claim.id):
        lines += folded(id_, list(group), figures)
    return [*lines, f"All {len(entries)} checks are rows of `audit.csv`.\n"]


def leading(entries: Sequence[Entry]) -> list[str]:
    """Return at most ten lines: the worst row of each claim that is not consistent."""
    doubtful = [
        entry
        for entry in worst_of_claims(entries)
        if entry.verdict not in (CONSISTENT, CANNOT_TELL)
    ]
    doubtful.sort(key=lambda entry: KINDS.index(kind(entry.verdict)))
    counts = Counter((entry.claim.id, kind(entry.verdict)) for entry in entries)
    checks = Counter(entry.claim.id for entry in entries)
    lines = [
        f"`{entry.claim.id}`: {counts[entry.claim.id, kind(entry.verdict)]} of "
        f"{checks[entry.claim.id]} {kind(entry.verdict)}; {entry.finding.place}, printed "
        f"{entry.finding.published}: {shortened(entry.finding.evidence)}"
        for entry in doubtful
    ]
    if len(lines) > MOST:
        lines = [*lines[: MOST - 1], f"and {len(lines) - MOST + 1} claims more"]
    return lines or ["Nothing is in doubt."]


def worst_of_claims(entries: Sequence[Entry]) -> list[Entry]:
    """Return the worst finding of each claim: of the worst kind, and farthest out of its range."""
    return [
        min(group, key=lambda entry: (KINDS.index(kind(entry.verdict)), -outside(entry.finding)))
        for _, group in groupby(entries, key=lambda entry: entry.claim.id)
    ]


def outside(finding: Finding) -> float:
    """Return how far a finding is out of its range, as a share of it, or 0 if that says nothing."""
    found, low, high = finding.found, finding.low, finding.high
    if not isinstance(found, float | int) or (low is None and high is None):
        return 0.0
    printed = finding.published
    value = printed.value if isinstance(printed, Printed) else found
    beyond = max(0.0 if low is None else low - value, 0.0 if high is None else value - high)
    width = abs(high - low) if low is not None and high is not None else 0.0
    return beyond / (width or 1.0)


def claim_table(entries: Sequence[Entry]) -> str:
    """Return a line a claim: its counts of verdicts and its worst row."""
    rows = []
    for id_, of_claim in groupby(entries, key=lambda entry: entry.claim.id):
        group = list(of_claim)
        (worst,) = worst_of_claims(group)
        doubtful = worst.verdict != CONSISTENT
        rows.append(
            [
                id_,
                f"`{worst.claim.check}`",
                worst.claim.place,
                counted(group),
                f"{worst.finding.place}: {worst.finding.published}" if doubtful else "",
            ]
        )
    return markdown_table(("claim", "check", "where", "verdicts", "worst"), rows)


def counted(entries: Sequence[Entry]) -> str:
    """Return how many verdicts of each kind there are, the worst first."""
    counts = Counter(kind(entry.verdict) for entry in entries)
    return ", ".join(f"{counts[name]} {name}" for name in KINDS if name in counts)


def provenance(entries: Sequence[Entry]) -> list[str]:
    """Return where the evidence of each family and each table come from, a line each."""
    made_by = dict.fromkeys(
        (entry.family, REGISTRY[entry.claim.check].made_by(entry.folder, entry.experiment))
        for entry in entries
    )
    lines = [f"- {family}: {file}" for family, file in made_by]
    for name, table in entries[0].paper.tables.items():
        parts = (
            table.source,
            table.page and f"page {table.page}",
            table.transcriber and f"typed in by {table.transcriber}",
        )
        lines.append(f"- Table {name}: {', '.join(filter(None, parts)) or 'source not stated'}")
    return lines


def folded(id_: str, numbered: Numbered, figures: Mapping[int, str]) -> list[str]:
    """Return the doubtful rows of one claim, folded, with the figures that there are."""
    first = numbered[0][1]
    lines = [
        f"<details><summary>{id_}: {counted([entry for _, entry in numbered])}</summary>\n",
        f"“{first.claim.quote}” ({first.claim.place}; `{first.claim.check}`)\n",
    ]
    for number, entry in numbered:
        finding = entry.finding
        lines.append(
            f"- **{finding.place}**: printed {finding.published}; **{finding.verdict}**. "
            f"{sentence(finding.evidence)}"
        )
        if number in figures:
            lines.append(f"\n  ![{finding.place}](figures/{figures[number]})\n")
    return [*lines, "\n</details>\n"]


def count_table(found: Sequence[Entry]) -> str:
    """Return how many verdicts of each kind each family has, as a Markdown table."""
    counts = Counter((entry.family, kind(entry.verdict)) for entry in found)
    kinds = [name for name in KINDS if any(name == of for _, of in counts)]
    families = [name for name in FAMILIES if any(name == of for of, _ in counts)]
    rows = [[family, *(counts[family, name] for name in kinds)] for family in families]
    return markdown_table(["family", *kinds], rows)


def sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def shortened(text: str, most: int = 140) -> str:
    """Return a text, or its beginning and that there is more."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def lines_of(found: Sequence[Entry]) -> str:
    """Return what ends an audit of one paper in the terminal: counts and the worst first."""
    name = found[0].paper.name
    lines = [f"{name}: {len(found)} checks", *(f"  {line}" for line in leading(found))]
    for family in FAMILIES:
        group = [entry for entry in found if entry.family == family]
        if group:
            lines.append(f"  {family:<12} {counted(group)}")
    return "\n".join(lines) + "\n"
