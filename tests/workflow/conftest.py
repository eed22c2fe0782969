"""The small experiment that Snakemake runs once for all tests of a session."""

import pytest
from project import Project, copy_of_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose experiment `tiny` Snakemake has run in full, partly in chunks.

    Leave it up to date.
    """
    made = copy_of_project(tmp_path_factory.mktemp("project"))
    made.run("snakemake", "--set-scatter", "heatmap=2", "metrics=3")
    return made
