"""`msroi audit`, of published numbers, and `msroi verify`, of the project's own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Project
from msroi.cli import main
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import write_csv, write_json
from msroi.stages import audit
from msroi.verify import committed
from msroi.verify.finding import Checked

ROW = dict.fromkeys(audit.COLUMNS, "x") | {"paper": "p", "verdict": "consistent"}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        status = main.main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, project: Callable[[], Project]) -> list[dict[str, str]]:
    """Let the stage write these rows."""
    made = project()
    rows = [dict(ROW)]

    def run_stage(experiment: Experiment, layout: Layout) -> None:
        assert experiment == made.experiment
        folder = layout.audit
        write_csv(folder / "audit.csv", audit.COLUMNS, rows)
        write_json(folder / "summary.json", {"p": {"checks": 1, "internal": {"consistent": 1}}})

    monkeypatch.setattr(audit, "run", run_stage)
    made.layout.index.parent.mkdir(parents=True, exist_ok=True)
    made.layout.index.touch()
    return rows


def test_an_audit_reports_and_does_not_fail(
    capsys: pytest.CaptureFixture[str], stage: list[dict[str, str]]
) -> None:
    stage.append(ROW | {"verdict": "not reproduced"})
    status, out, err = run(capsys, "audit", "--experiment", "tiny")
    assert (status, err) == (0, "")
    assert out == (
        "p: 1 checks\n"
        "  internal     1 consistent\n"
        "  statistical  none\n"
        "  replication  none\n"
        "all of it: results/tiny/audit/audit.md, audit.csv\n"
    )


def test_strict_fails_where_a_number_is_doubtful(
    capsys: pytest.CaptureFixture[str], stage: list[dict[str, str]]
) -> None:
    assert run(capsys, "audit", "--experiment", "tiny", "--strict")[0] == 0
    stage.append(ROW | {"verdict": "cannot tell"})
    assert run(capsys, "audit", "--experiment", "tiny", "--strict")[0] == 0
    stage.append(ROW | {"verdict": "inconsistent"})
    assert run(capsys, "audit", "--experiment", "tiny", "--strict")[0] == 1


def test_an_audit_of_nothing_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "audit") == (
        2,
        "",
        "msroi audit: one of the arguments PATH --experiment --new is required; "
        "see `msroi audit --help`.\n",
    )


@pytest.mark.parametrize(
    ("state", "allowed", "status"),
    [("intact", False, 0), ("missing", True, 0), ("missing", False, 1), ("differs", False, 1)],
)
def test_verify_fails_where_anything_differs(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    allowed: bool,
    status: int,
) -> None:
    seen: list[Any] = []

    def checked(experiment: str) -> list[Checked]:
        seen.append(experiment)
        return [Checked(experiment, "hash", "file.csv", state, allowed, "why")]

    monkeypatch.setattr(committed, "experiments_with_results", lambda: ["one", "two"])
    monkeypatch.setattr(committed, "verify", checked)
    got, out, err = run(capsys, "verify")
    assert (got, err) == (status, "")
    assert seen == ["one", "two"]
    assert ("file.csv: why" in out) == (state != "intact")
    assert run(capsys, "verify", "--experiment", "two")[0] == status
    assert seen == ["one", "two", "two"]


@pytest.mark.workflow
def test_a_clone_knows_that_its_own_results_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As whoever cloned the repository would ask; `test_verify` asks of paper-cpu."""
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    others = set(committed.experiments_with_results()) - {"paper-cpu"}
    assert others
    for experiment in others:
        done = subprocess.run(
            [sys.executable, "-m", "msroi", "verify", "--experiment", experiment],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "every number follows from its table" in " ".join(done.stdout.split())
