"""What a user sees of a run with `--logger msroi`, as `make demo` has it."""

from pathlib import Path

import pytest
import yaml
from project import Project, copy_of_project, rules_run

from msroi.workflow import pipeline

pytestmark = pytest.mark.workflow

CALM = ("snakemake", "--logger", "msroi")
INDEX = "data/tiny/prepare/index.csv"
# by Snakemake itself, before any logger is at work
PROFILE = "Using workflow specific profile profiles/default for setting default command line"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which nothing has run."""
    return copy_of_project(tmp_path)


def said_lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if not line.startswith(PROFILE)]


def test_a_run_is_a_line_a_stage_and_the_log_has_the_rest(project: Project) -> None:
    heading, *lines = said_lines(project.run(*CALM, "--", INDEX))
    assert heading == "tiny"
    assert [line.split()[0] for line in lines] == ["download", "prepare"]
    assert all(line.endswith(" s") for line in lines)
    (log,) = (project.folder / ".snakemake/log").glob("*.log")
    assert rules_run(log.read_text(encoding="utf-8")) == {"download", "prepare"}
    # what a stage says stands in its log
    assert "prepare: 100%" in (project.folder / "logs/tiny/prepare.log").read_text(encoding="utf-8")
    (nothing,) = said_lines(project.run(*CALM, "--", INDEX))
    assert nothing.startswith("Nothing to be done")
    assert rules_run(project.run(*CALM, "--dry-run", "--forceall", "--", INDEX)) == {
        "download",
        "prepare",
    }
    # a failed stage is told with the end of its log, here and where Snakemake says it all
    for photo in (project.folder / "data/tiny/download/images").rglob("coffee.png"):
        photo.write_bytes(b"junk")
    again = ("--forcerun", "prepare", "--", INDEX)
    failed, sentence = said_lines(project.run(*CALM, *again, status=1))
    assert failed == "prepare failed; logs/tiny/prepare.log ends with:"
    assert sentence.startswith("  msroi: ")
    assert sentence.strip() in project.run("snakemake", *again, status=1)


def test_a_wrong_parameter_is_told(project: Project) -> None:
    project.edit("config/tiny.yaml", "quality_low: 30", "quality_low: 130")
    said = project.run(*CALM, "--", INDEX, status=1)
    assert "compress.quality_low: 130 is greater than the maximum of 100" in said
    assert "Traceback" not in said


def test_all_but_what_is_recorded_can_be_made(project: Project) -> None:
    text = (project.folder / pipeline.STAGES).read_text(encoding="utf-8")
    made = yaml.safe_load(text)["stages"].keys() - {pipeline.LOCKS, pipeline.ADOPT}
    assert project.planned("--", "unrecorded") == made | {"unrecorded"}
