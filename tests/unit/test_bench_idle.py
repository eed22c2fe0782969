"""What must be true before doing nothing is timed, with tools that only speak."""

import sys

import pytest

from benchmarks import idle
from msroi.errors import MissingError

SNAKEMAKE_DONE = "Nothing to be done (all requested files are present and up to date)."
DVC_DONE = "Data and pipelines are up to date."


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Return a function that puts programs `snakemake` and `dvc` before all others."""

    def make(**said):
        for name, (text, status) in said.items():
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
            program.chmod(0o755)
        monkeypatch.setattr(idle, "environment", lambda: {"PATH": f"{tmp_path}:/bin:/usr/bin"})

    return make


def test_nothing_to_do(tools):
    tools(snakemake=(SNAKEMAKE_DONE, 0), dvc=(DVC_DONE, 0))
    idle.require_nothing_to_do()


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ({"snakemake": ("11 jobs", 0), "dvc": (DVC_DONE, 0)}, "snakemake --dry-run"),
        ({"snakemake": (SNAKEMAKE_DONE, 1), "dvc": (DVC_DONE, 0)}, "snakemake --dry-run"),
        ({"snakemake": (SNAKEMAKE_DONE, 0), "dvc": ("Running stage", 0)}, "dvc repro --dry"),
    ],
)
def test_something_to_do_is_one_sentence(tools, said, command):
    tools(**said)
    with pytest.raises(MissingError) as caught:
        idle.require_nothing_to_do()
    assert str(caught.value).endswith(f"`{command}` has something; run `snakemake` first.")


def test_help_answers_without_jax():
    assert "usage: msroi" in idle.ran((sys.executable, "-c", idle.LIGHT))


def test_a_row_has_the_tools_own_start(tmp_path):
    quick = (sys.executable, "-c", "pass")
    work = idle.Idle("it", quick, quick, "the same", 0.0)
    row = idle.compared(work, 2, tmp_path)
    assert (row.unit, row.bound, row.reached) == ("s", "at most", False)
    assert row.ratios == row.seconds["ours"]
    assert len(row.seconds["start"]) == 2
    assert "the same" in row.against
    assert "% is the tool's own start" in row.limit
    assert idle.compared(idle.Idle("it", quick, quick, "the same", 60.0), 1, tmp_path).limit == ""


def test_a_command_that_fails_is_not_timed():
    with pytest.raises(idle.subprocess.CalledProcessError):
        idle.ran((sys.executable, "-c", "raise SystemExit(1)"))
