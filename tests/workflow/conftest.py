"""The small experiment that Snakemake runs once for all tests of a session."""

import fcntl
import os

import pytest
from project import Project, copy_of_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose experiment `tiny` Snakemake has run in full, partly in chunks; to copy.

    The first worker that needs it makes it, and others wait.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, ready = Project(shared / "finished"), shared / "finished.ready"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            made.folder.mkdir()
            copy_of_project(made.folder)
            made.run("snakemake", "--set-scatter", "heatmap=2", "metrics=3")
            made.commit("A full run")
            ready.touch()
    return made


@pytest.fixture(scope="module")
def project(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished project for the tests of a module; leave it up to date."""
    return finished.copy(tmp_path_factory.mktemp("project") / "copy")
