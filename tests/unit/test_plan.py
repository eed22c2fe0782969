"""The plan for larger sets: the page has the tables as they come, and figures still hold."""

import csv
from pathlib import Path
from statistics import mean

import pytest

from benchmarks import plan

ROOT = Path(__file__).parents[2]


def test_the_page_has_the_tables_that_the_command_prints(capsys):
    assert plan.main() == 0
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    stages, plans = capsys.readouterr().out.strip().split("\n\n")
    assert stages in page
    assert plans in page


def test_the_figures_are_those_of_the_committed_results():
    path = ROOT / "results/paper-cpu/metrics/per_image.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "salicon"]
    photos = len({row["image"] for row in rows})
    assert len(rows) / photos == plan.STAGES[3].files
    assert sum(int(row["bytes"]) for row in rows) / photos == pytest.approx(plan.JPEGS, rel=0.02)
    ours = [r for r in rows if (r["method"], r["match_quality"]) == ("roi-trellis", "50")]
    assert mean(int(row["bytes"]) for row in ours) == pytest.approx(plan.SERVICE_JPEG, rel=0.02)


def test_what_spreads_is_divided_among_the_cores_and_the_rest_is_not():
    one = plan.Plan("a set", 10, 240.0, 12.0, 0.0, 0, 0.0)
    assert one.days(1) == pytest.approx(10.5)
    assert one.days(10) == pytest.approx(1.5)


def test_costs_grow_with_the_photographs():
    small, large = plan.experiment("small", 10), plan.experiment("large", 1000)
    for name in ("core_hours", "kept", "files", "network"):
        assert getattr(large, name) == pytest.approx(100 * getattr(small, name))
    assert large.fixed_hours == small.fixed_hours
    assert small.files == 10 * 25
