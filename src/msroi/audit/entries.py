"""What every check finds in a paper, claim by claim, and as rows of a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msroi.audit import arithmetic, internal, maps, photographs, replication, statistical
from msroi.audit.check import (
    INCONSISTENT,
    NOT_REPRODUCED,
    REGISTRY,
    UNUSUAL,
    Finding,
    Run,
    findings,
    kind,
)
from msroi.audit.published import Claim, Paper
from msroi.experiment.comparison import significant

# the modules whose checks are registered by their import
CHECKS = (internal, arithmetic, statistical, replication, maps, photographs)

COLUMNS = (
    *("paper", "claim", "place", "family", "check", "published", "found", "low", "high"),
    *("verdict", "evidence"),
)
# the verdicts that `--strict` fails on
FAILING = (INCONSISTENT, UNUSUAL, NOT_REPRODUCED)


@dataclass(frozen=True)
class Entry:
    """A finding with what it is about."""

    paper: Paper
    experiment: str
    claim: Claim
    finding: Finding

    @property
    def folder(self) -> str:
        """Where the audit read the paper."""
        return self.paper.path.removesuffix("/paper.yaml")

    @property
    def family(self) -> str:
        """The family of the claim's check."""
        return REGISTRY[self.claim.check].family

    @property
    def evidence(self) -> str:
        """Why, and the file that says so with the command that makes it."""
        made_by = REGISTRY[self.claim.check].made_by(self.folder, self.experiment)
        return f"{self.finding.evidence} ({made_by})"

    @property
    def verdict(self) -> str:
        """The finding's verdict."""
        return self.finding.verdict

    @property
    def fails(self) -> bool:
        """Whether the verdict is one that `--strict` fails on."""
        return self.verdict in FAILING


def entries(paper: Paper, run: Run) -> Iterator[Entry]:
    """Yield what every check finds, claim by claim."""
    for claim in paper.claims:
        for finding in findings(paper, run, claim):
            yield Entry(paper, run.experiment, claim, finding)


def table_row(entry: Entry) -> dict[str, Any]:
    """Return a finding as a row of `COLUMNS`, with empty cells where there is no number."""
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
