"""The small experiment that Snakemake runs once for all tests of a session."""

from collections.abc import Iterator

import pytest
from project import Project, copy_of_project


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let all commands of a session share what JAX has compiled, which takes most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose experiment `tiny` Snakemake has run in full, partly in chunks.

    Leave it up to date.
    """
    made = copy_of_project(tmp_path_factory.mktemp("project"))
    made.run("snakemake", "--set-scatter", "heatmap=2", "metrics=3")
    return made
