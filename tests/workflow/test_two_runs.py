"""Two runs started at once in one folder: the second says so, and nothing is lost.

Only the first stages, which take seconds.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import Project, copy_of_project, hashes

pytestmark = [pytest.mark.torture, pytest.mark.timeout(1800)]

PLAN = "results/tiny/augment/plan.csv"
LONGEST_S = 300
SLOW_S = 25


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = copy_of_project(tmp_path_factory.mktemp("twice"))
    # the first stage that both have to run takes longer than the second run needs to begin
    stage = made.folder / "src/msroi/stages/prepare.py"
    stage.write_text(f"import time\ntime.sleep({SLOW_S})\n" + stage.read_text(encoding="utf-8"))
    made.locks()
    made.run("dvc", "repro", "download@tiny")
    made.run("snakemake", PLAN)
    made.commit("A full run")
    return made


def start(project: Project, *command: str) -> subprocess.Popen[str]:
    """Start a command and wait until Snakemake, in it, has locked the folder."""
    started = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + LONGEST_S
    while not list(Path(project.folder, ".snakemake").glob("locks/*.lock")):
        assert started.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    return started


TOOLS = {"snakemake": ("snakemake", PLAN), "dvc repro": ("dvc", "repro", "augment@tiny")}
LOCKED = "Error: Directory cannot be locked. Please make sure that no other Snakemake process is"
BUSY = "is busy, it is being blocked by:"


@pytest.mark.parametrize("second", TOOLS)
@pytest.mark.parametrize("first", TOOLS)
def test_the_second_is_refused(project: Project, first: str, second: str) -> None:
    expected = hashes(project)
    for folder in ("data/tiny/prepare", "results/tiny/augment", ".dvc/cache/runs"):
        shutil.rmtree(project.folder / folder, ignore_errors=True)
    project.run("git", "checkout", "--quiet", "dvc.lock")
    started = start(project, *TOOLS[first])
    done = subprocess.run(
        TOOLS[second],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    first_said, _ = started.communicate(timeout=LONGEST_S)
    assert done.returncode != 0, said
    # a stage's command is Snakemake, so that its lock is there while either tool runs one
    assert (LOCKED if "snakemake" in (first, second) else BUSY) in said
    assert "Traceback" not in said
    if (first, second) != ("snakemake", "dvc repro"):
        assert started.returncode == 0, first_said
    # DVC removes a stage's outputs before it starts it: the first may miss what it has just made
    project.run(*TOOLS[first])
    assert hashes(project) == expected
    assert "Nothing to be done" in project.run("snakemake", PLAN)


def test_snakemake_is_refused_where_dvc_is_between_two_commands(project: Project) -> None:
    """DVC then has no Snakemake at work, but keeps and removes outputs."""
    shutil.rmtree(project.folder / "results/tiny/augment")
    dvc = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    notes = project.folder / ".dvc/tmp/rwlock"
    before = notes.read_bytes()
    note = {"pid": dvc.pid, "cmd": "dvc repro"}
    notes.write_text(json.dumps({"write": {"results": note}, "read": {}}), encoding="utf-8")
    said = project.run("snakemake", PLAN, status=1)
    assert (
        f"A dvc, process {dvc.pid}, is at work in this folder; wait until it has ended, then run "
        "the same command again."
    ) in said
    assert "Traceback" not in said
    dvc.communicate()
    notes.write_bytes(before)
    project.run("snakemake", PLAN)
