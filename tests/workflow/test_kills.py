"""The pipeline is killed at random moments; whatever is run next ends with the same bytes.

MSROI_KILLS=3 pytest -m torture tests/workflow/test_kills.py   fewer kills
MSROI_KILLED=results/torture/kills.csv pytest …                 writes the table of the kills
"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from project import Project, hashes

from msroi.files import write_csv

pytestmark = [pytest.mark.workflow, pytest.mark.torture, pytest.mark.timeout(4 * 3600)]

KILLS = int(os.environ.get("MSROI_KILLS", "30"))
TABLE = os.environ.get("MSROI_KILLED")
COLUMNS = ("killed", "stage", "after_s", "while_at", "next", "commands", "next_s")
SEED = 20180927
LONGEST_S = 40.0  # a little more than what is run again after a kill takes
TOOLS = {"snakemake": ("snakemake",), "dvc repro": ("dvc", "repro")}
# what a run says of what a kill has left, and the command that docs/reliability.md names for it
REMEDIES = {
    "Directory cannot be locked": ("snakemake", "--unlock"),
    "dvc.lock' validation failed": ("git", "checkout", "dvc.lock"),
    "unable to read: 'dvc.lock'": ("git", "checkout", "dvc.lock"),
}
# what is removed before a kill, so that there is work: outputs of one stage
REMOVED = {
    "prepare": ("data/tiny/prepare",),
    "augment": ("results/tiny/augment",),
    "train": ("results/tiny/model", ".msroi/tiny/features"),
    "heatmap": ("results/tiny/heatmaps",),
    "compress": ("results/tiny/jpeg",),
    "metrics": ("results/tiny/metrics",),
    "judges": ("results/tiny/judges",),
    "gaze": ("results/tiny/gaze",),
    "rate_distortion": ("results/tiny/rate_distortion",),
    "conventions": ("results/tiny/conventions",),
    "anova": ("results/tiny/anova",),
    "audit": ("results/tiny/audit",),
    "report": ("results/tiny/report", "results/tiny/tables", "results/tiny/figures"),
}


def processes(project: Project) -> dict[int, str]:
    """Return the command line of every process that was started in the project, by its id."""
    mark = f"PYTHONPATH={project.environment['PYTHONPATH']}\0".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                words = (process / "cmdline").read_text().split("\0")
                found[int(process.name)] = " ".join(words)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            pass  # it has ended, or is not ours
    return found


def killed(project: Project, tool: str, after_s: float) -> str | None:
    """Start a tool and kill its process group after a while, if it still runs.

    Returns the commands of msroi that ran then, joined by +, or `-` if there was none; None if
    the tool had ended. Nothing must survive that could go on writing.
    """
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
        commands = "\n".join(processes(project).values())
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        await_the_end_of_all(project)
        return "+".join(sorted(set(re.findall(r"msroi stage (\w+) --experiment", commands)))) or "-"
    assert not processes(project)
    return None


def await_the_end_of_all(project: Project) -> None:
    """Wait until what was killed is gone, which takes a moment."""
    end = time.monotonic() + 20
    while left := processes(project):
        assert time.monotonic() < end, f"not killed with the process group: {left}"
        time.sleep(0.1)


def finish(project: Project, tool: str) -> list[str]:
    """Run a tool to its end; return the documented commands that had to be given before."""
    given: list[str] = []
    while True:
        done = subprocess.run(
            TOOLS[tool],
            cwd=project.folder,
            env=project.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return given
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said[-6000:]
        remedy = next((command for sign, command in REMEDIES.items() if sign in said), None)
        assert remedy is not None, said[-6000:]
        assert " ".join(remedy) not in given, said[-6000:]
        given.append(" ".join(remedy))
        project.run(*remedy)


def forget(project: Project, stage: str) -> None:
    """Remove a stage's outputs, and DVC's cache, which would give them back without a run."""
    for name in (*REMOVED[stage], ".dvc/cache"):
        shutil.rmtree(project.folder / name, ignore_errors=True)


def recorded(project: Project) -> dict[str, object]:
    """Return what dvc.lock says."""
    return yaml.safe_load((project.folder / "dvc.lock").read_text(encoding="utf-8"))


def damaged_objects(project: Project) -> list[Path]:
    """Return the files in DVC's cache that are not what their names, hashes, say."""
    cache = project.folder / ".dvc/cache/files/md5"
    return [
        path
        for path in cache.glob("*/*")
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        != f"{path.parent.name}{path.name.removesuffix('.dir')}"
    ]


def test_killed_at_random_the_next_run_ends_with_the_same_bytes(project: Project) -> None:
    expected, lock = hashes(project), recorded(project)
    rng = random.Random(SEED)
    kills: list[dict[str, object]] = []
    while len(kills) < KILLS:
        tool, following = sorted(TOOLS)[len(kills) % 2], rng.choice(sorted(TOOLS))
        stage = rng.choice(sorted(REMOVED))
        after_s = rng.uniform(0.5, LONGEST_S)
        forget(project, stage)
        while_at = killed(project, tool, after_s)
        start = time.monotonic()
        commands = finish(project, following)
        took_s = round(time.monotonic() - start, 1)
        row = (tool, stage, round(after_s, 1), while_at, following, "; ".join(commands), took_s)
        assert hashes(project) == expected, row
        assert recorded(project) == lock, row
        assert project.planned() == set(), row
        assert project.outdated() == set(), row
        assert damaged_objects(project) == [], row
        if while_at is not None:
            kills.append(dict(zip(COLUMNS, row, strict=True)))
        if TABLE:
            write_csv(Path(TABLE), COLUMNS, kills)
