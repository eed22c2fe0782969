"""The pipeline is killed at random moments; whatever is run next ends with the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from project import Project, copy_of_project, hashes, make_smallest

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]

KILLS = 30
SEED = 20180927
LONGEST_S = 40.0  # a little more than what is run again after a kill takes
TOOLS = {"snakemake": ("snakemake",), "dvc": ("dvc", "repro")}
# what Snakemake says, also through DVC, of the lock of a run that was killed; docs/reliability.md
LOCKED = "Directory cannot be locked"
UNLOCK = ("snakemake", "--unlock")
# what is removed before a kill, so that there is work: outputs of one stage
REMOVED = {
    "prepare": ("data/tiny/prepare",),
    "train": ("results/tiny/model", ".msroi/tiny/features"),
    "heatmap": ("results/tiny/heatmaps",),
    "compress": ("results/tiny/jpeg",),
    "metrics": ("results/tiny/metrics",),
    "report": ("results/tiny/report", "results/tiny/tables", "results/tiny/figures"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = copy_of_project(tmp_path_factory.mktemp("killed"))
    make_smallest(made)
    made.run("snakemake")
    return made


def killed(project: Project, tool: str, after_s: float) -> bool:
    """Start a tool and kill it and all it has started; say whether it was still running."""
    started = subprocess.Popen(
        TOOLS[tool],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        started.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        return True
    return False


def finish(project: Project, tool: str) -> None:
    """Run a tool to its end; where a lock is left, first with the command that docs name."""
    for _ in range(2):
        done = subprocess.run(
            TOOLS[tool],
            cwd=project.folder,
            env=project.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        if done.returncode == 0:
            return
        assert LOCKED in said, said[-6000:]
        project.run(*UNLOCK)
    raise AssertionError(said[-6000:])


def forget(project: Project, stage: str) -> None:
    """Remove a stage's outputs, and DVC's cache, which would give them back without a run."""
    for name in (*REMOVED[stage], ".dvc/cache"):
        shutil.rmtree(project.folder / name, ignore_errors=True)


def test_killed_at_random_the_next_run_ends_with_the_same_bytes(project: Project) -> None:
    expected = hashes(project)
    rng = random.Random(SEED)
    table = []
    while len(table) < KILLS:
        tool = sorted(TOOLS)[len(table) % 2]
        stage = rng.choice(sorted(REMOVED))
        forget(project, stage)
        after_s = rng.uniform(0.5, LONGEST_S)
        start = time.monotonic()
        was_running = killed(project, tool, after_s)
        finish(project, tool)
        assert hashes(project) == expected, (tool, stage, after_s)
        assert project.planned() == set(), (tool, stage, after_s)
        assert project.outdated() == set(), (tool, stage, after_s)
        assert not list(Path(project.folder).rglob(".partial-*"))
        if was_running:
            table.append((tool, stage, after_s, time.monotonic() - start))
