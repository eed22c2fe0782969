"""The audit of the paper with the committed results of paper-cpu, and errors put into it."""

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from seeded import KINDS, Seeded

from msroi.audit import arithmetic, photographs
from msroi.audit import check as audit_check
from msroi.audit.check import CONSISTENT, INCONSISTENT, REGISTRY, Run
from msroi.audit.entries import Entry
from msroi.audit.published import Paper, read_paper
from msroi.audit.replication import NEAR_BYTES_PCT, NEAR_DB
from msroi.experiment.layout import Layout
from msroi.files import read_csv, read_json
from msroi.stages import audit

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
LAYOUT = Layout("paper-cpu")
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def paper() -> Paper:
    return read_paper("selimovic-2018", ROOT / "data" / "published")


@pytest.fixture(scope="module")
def run() -> Run:
    """What paper-cpu has measured; the index is not committed, so its counts are stated."""
    spread = read_csv(ROOT / LAYOUT.heatmaps / "spread.csv")
    return Run(
        experiment="paper-cpu",
        sets={"salicon": "salicon", "general-100": "general-100"},
        conventions=[
            audit.numbers(row) for row in read_csv(ROOT / LAYOUT.conventions / "per_image.csv")
        ],
        spread=[
            {key: float(row[key]) for key in ("dropout", "min_correlation", "mean_correlation")}
            for row in spread
        ],
        map_quality=read_csv(ROOT / LAYOUT.heatmaps / "saliency_quality.csv"),
        map_files=read_csv(ROOT / LAYOUT.gaze / "maps_per_image.csv"),
        images={("caltech-101", "train"): 7614, ("caltech-101", "validate"): 1530},
        classes={"caltech-101": 102},
        jpeg_sources={"salicon": (139, 139), "general-100": (100, 0)},
        tolerance_pct=0.5,
        resamples=2000,
        seed=20180927,
    )


@pytest.fixture(scope="module")
def found(paper: Paper, run: Run) -> list[Entry]:
    return list(audit.entries(paper, run))


def verdicts(found: list[Entry], claim: str) -> dict[str, str]:
    return {e.finding.place: e.finding.verdict for e in found if e.claim.id == claim}


# the committed audit


def test_the_committed_audit_is_what_the_committed_measurements_give(found: list[Entry]) -> None:
    rows = [audit.table_row(entry) for entry in found]
    committed = read_csv(LAYOUT.audit / "audit.csv")
    of_paper = [row for row in committed if row["paper"] == "selimovic-2018"]
    keys = ("claim", "place", "family", "check", "published", "verdict")
    assert [[row[key] for key in keys] for row in of_paper] == [
        [row[key] for key in keys] for row in rows
    ]


def test_every_row_has_a_verdict_and_evidence() -> None:
    rows = read_csv(LAYOUT.audit / "audit.csv")
    assert tuple(rows[0]) == audit.COLUMNS
    known = {CONSISTENT, INCONSISTENT, "not reproduced", "cannot tell"}
    assert all(
        row["verdict"] in known or row["verdict"].startswith("explained by ") for row in rows
    )
    assert all(row["evidence"] and row["place"] and row["published"] for row in rows)


def test_at_least_60_checks_of_three_families_run(found: list[Entry]) -> None:
    families = Counter(entry.family for entry in found)
    assert families.keys() == set(audit_check.FAMILIES)
    assert families.total() >= 60
    # those of arithmetic and of photographs have papers of their own in their tests
    apart = (arithmetic.__name__, photographs.__name__)
    others = {n for n, c in REGISTRY.items() if c.function.__module__ not in apart}
    assert {entry.claim.check for entry in found} == others


def test_all_cells_of_mse_and_psnr_pass(found: list[Entry]) -> None:
    for table in ("1", "2"):
        cells = verdicts(found, f"mse-psnr-table-{table}")
        assert len(cells) == 10
        assert set(cells.values()) == {CONSISTENT}


def test_the_psnr_row_of_salicon_at_70_is_flagged(found: list[Entry]) -> None:
    assert set(verdicts(found, "steps-alike-table-3").values()) == {INCONSISTENT}
    means = verdicts(found, "means-table-3")
    for method in ("jpeg", "msroi"):
        assert means[f"Table 3, {method} (70), psnr_db"] != CONSISTENT


def test_the_p_value_of_ssim_at_30_is_flagged_and_that_of_psnr_at_70_is_not(
    found: list[Entry],
) -> None:
    possible = verdicts(found, "anova-possible")
    assert possible["Table 3, msroi (30), ssim"] == INCONSISTENT
    assert possible["Table 3, msroi (70), psnr_db"] == CONSISTENT


def test_quoted_gains_agree_with_the_tables(found: list[Entry]) -> None:
    gains = [entry for entry in found if entry.claim.check == "gain"]
    assert len(gains) == 12
    assert {entry.finding.verdict for entry in gains} == {CONSISTENT}


def test_photographs_of_table_2_are_identified_and_say_what_the_measures_are(
    found: list[Entry],
) -> None:
    """All five have JPEG's printed size and PSNR, by 8-bit luma, three of them to the digit."""
    said = verdicts(found, "identified-table-2")
    reading = "explained by PSNR over 8-bit luma, SSIM of luma, uniform window"
    for image in ("stone wall", "tiger stripes", "leaves", "pebbles", "corals"):
        assert said[f"Table 2, {image}, jpeg (50), all measures"] == reading


def test_no_two_photographs_would_be_taken_for_each_other(run: Run) -> None:
    """So an identification is hardly by chance: of all pairs of this run's, none is so near."""
    for dataset in run.sets.values():
        rows = run.matched[dataset, "as run", "jpeg", 50]
        for one, other in combinations(rows, 2):
            near_bytes = abs(one["bytes"] / other["bytes"] - 1) * 100 <= NEAR_BYTES_PCT
            near_db = abs(one["psnr_luma_db"] - other["psnr_luma_db"]) <= NEAR_DB
            assert not (near_bytes and near_db), (one["image"], other["image"])


def test_the_planted_errors_of_the_made_up_example_are_found(run: Run) -> None:
    found = list(audit.entries(read_paper("made-up-example"), run))
    wrong = {(e.claim.id, e.finding.place) for e in found if e.finding.verdict != CONSISTENT}
    assert wrong == {
        ("mse-psnr", "Table 1, harbour, msroi (50), psnr_db"),
        ("gain-70", "text, Table 2, msroi (70), psnr_db"),
    }


def test_without_a_set_of_the_papers_kind_replication_can_not_tell(paper: Paper, run: Run) -> None:
    nothing = replace(run, sets={}, spread=[], images={}, classes={}, jpeg_sources={})
    nothing = replace(nothing, map_quality=[], map_files=[])
    found = [e for e in audit.entries(paper, nothing) if e.family != audit_check.INTERNAL]
    assert {entry.finding.verdict for entry in found} == {"cannot tell"}


# seeded errors


def caught(paper: Paper, run: Run, before: list[Entry], error: Seeded) -> list[Entry]:
    """Return the findings that an error turns; fail if an untouched finding turns."""
    changed = set(error.changes(paper))
    after = list(audit.entries(error.put_into(paper), run))
    assert len(after) == len(before)
    turned = []
    for old, new in zip(before, after, strict=True):
        assert old.claim.id == new.claim.id
        if old.finding.verdict == new.finding.verdict:
            continue
        touched = changed & {*old.finding.cells, *new.finding.cells}
        assert touched or new.claim.id in error.claims or error.samples, (
            f"{error.kind}: false alarm at {new.claim.id}, {new.finding.place}"
        )
        if old.finding.verdict == CONSISTENT:
            turned.append(new)
    return turned


@pytest.fixture(scope="module")
def detections(paper: Paper, run: Run, found: list[Entry]) -> dict[str, list[Entry]]:
    few = replace(run, resamples=200)
    before = list(audit.entries(paper, few))
    return {error.kind: caught(paper, few, before, error) for error in KINDS}


def test_there_are_at_least_20_kinds_of_errors() -> None:
    assert len({error.kind for error in KINDS}) == len(KINDS) >= 20


@pytest.mark.parametrize("kind", [error.kind for error in KINDS])
def test_a_seeded_error_is_caught(kind: str, detections: dict[str, list[Entry]]) -> None:
    assert detections[kind]


def detection_table(detections: dict[str, list[Entry]]) -> str:
    lines = ["| error | caught by |", "| --- | --- |"]
    for kind, entries in detections.items():
        names = dict.fromkeys(entry.claim.check for entry in entries)
        lines.append(f"| {kind} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def test_the_documentation_has_the_table_of_detections(
    detections: dict[str, list[Entry]],
) -> None:
    table = detection_table(detections)
    assert table in PAGE, f"docs/audit.md: replace the table of seeded errors with:\n{table}"


def test_the_documentation_lists_every_check_with_what_it_assumes() -> None:
    for name, check in REGISTRY.items():
        doc = (check.function.__doc__ or "").splitlines()[0]
        line = f"| `{name}` | {doc.rstrip('.')} | {check.assumes} |"
        assert line in PAGE, f"docs/audit.md: add the line\n{line}"


def test_the_documentation_names_the_committed_counts() -> None:
    summary = read_json(LAYOUT.audit / "summary.json")["selimovic-2018"]
    assert re.search(rf"\b{summary['checks']} checks\b", PAGE)
    for family in audit_check.FAMILIES:
        for kind, count in summary[family].items():
            assert re.search(rf"\| {family} \|.*\b{count}\b", PAGE), (family, kind, count)
