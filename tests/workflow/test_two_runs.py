"""Two runs started at once in one folder: the second says so and changes nothing.

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


def test_a_second_snakemake_is_refused_and_the_first_ends_well(project: Project) -> None:
    expected = hashes(project)
    for folder in ("data/tiny/prepare", "results/tiny/augment"):
        shutil.rmtree(project.folder / folder)
    first = start(project, "snakemake", PLAN)
    said = project.run("snakemake", PLAN, status=1)
    assert "Error: Directory cannot be locked. Please make sure that no other Snakemake" in said
    assert "It can be removed with the --unlock argument." in said
    assert "Traceback" not in said
    first_said, _ = first.communicate(timeout=LONGEST_S)
    assert first.returncode == 0, first_said
    assert hashes(project) == expected
    assert "Nothing to be done" in project.run("snakemake", PLAN)
