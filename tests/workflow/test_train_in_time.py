"""The one command that trains within a time limit."""

import sys
from pathlib import Path

import pytest
from project import Project

pytestmark = pytest.mark.workflow


def test_make_trains_and_does_nothing_more_once_it_is_done(project: Project) -> None:
    programs = project.folder / ".venv"
    programs.mkdir()
    (programs / "bin").symlink_to(Path(sys.executable).parent)
    (programs / "ready").touch()
    make = ("make", "train", "EXPERIMENT=tiny", "MINUTES=1")
    weights = project.folder / "results/tiny/model/weights.safetensors"
    before = weights.read_bytes()
    project.run(*make)
    assert weights.read_bytes() == before

    batches = "  batch_size: 32"
    project.edit("config/tiny.yaml", f"  epochs: 1\n{batches}", f"  epochs: 2\n{batches}")
    project.run(*make)
    after = weights.read_bytes()
    assert after != before
    assert not {"prepare", "augment", "train"} & project.planned()
    written = weights.stat().st_mtime_ns
    project.run(*make)
    assert weights.stat().st_mtime_ns == written
