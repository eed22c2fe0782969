"""Two runs started at once in one folder: the second says so, and nothing is lost.

Only the first stages, which take seconds.
"""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from project import Project, copy_of_project, hashes, make_smallest

pytestmark = [pytest.mark.torture, pytest.mark.timeout(1800)]

PLAN = "results/tiny/augment/plan.csv"
LONGEST_S = 300


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = copy_of_project(tmp_path_factory.mktemp("twice"))
    make_smallest(made)
    made.run("snakemake", PLAN)
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
LOCKED = "Error: Directory cannot be locked. Please make sure that no other Snakemake"
BUSY = "is busy, it is being"  # then what the first does, and its process


@pytest.mark.parametrize(
    ("first", "second", "status", "refusal"),
    [
        ("snakemake", "snakemake", 1, LOCKED),
        ("dvc repro", "snakemake", 1, LOCKED),
        ("dvc repro", "dvc repro", 255, BUSY),
        ("snakemake", "dvc repro", 255, LOCKED),
    ],
)
def test_the_second_is_refused(
    project: Project, first: str, second: str, status: int, refusal: str
) -> None:
    expected = hashes(project)
    for folder in ("data/tiny/prepare", "results/tiny/augment", ".dvc/cache"):
        shutil.rmtree(project.folder / folder, ignore_errors=True)
    started = start(project, *TOOLS[first])
    said = project.run(*TOOLS[second], status=status)
    assert refusal in said, said
    assert "Traceback" not in said
    first_said, _ = started.communicate(timeout=LONGEST_S)
    if (first, second) == ("snakemake", "dvc repro"):
        # DVC removes a stage's outputs before it starts it, so that the first may miss them
        project.run(*TOOLS[first])
    else:
        assert started.returncode == 0, first_said
    assert hashes(project) == expected
    assert "Nothing to be done" in project.run("snakemake", PLAN)
