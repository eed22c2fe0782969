"""Workers without a shared disk: a DVC remote on S3, which a server on the loopback plays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket import one_bucket
from project import Project, copy_of_project
from storage import DVC, PYTHON, needed, set_key

pytestmark = [pytest.mark.workflow, pytest.mark.machines, needed]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with an empty bucket `bucket`; yields its URL, the commands know the key."""
    set_key(monkeypatch, tmp_path)
    with one_bucket(PYTHON, tmp_path) as url:
        yield url


@pytest.mark.timeout(900)
def test_a_worker_trains_what_home_prepared(bucket: str, tmp_path: Path) -> None:
    hub, worker = tmp_path / "hub.git", Project(tmp_path / "worker")
    (tmp_path / "home").mkdir()
    home = copy_of_project(tmp_path / "home")
    home.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(hub))
    home.run("git", "remote", "add", "origin", str(hub))
    # as docs/scale.md says
    home.run(*DVC, "remote", "add", "--default", "store", "s3://bucket/msroi")
    home.run(*DVC, "remote", "modify", "store", "endpointurl", bucket)
    home.run("dvc", "repro", "augment@tiny")
    home.commit("Ready to train")
    home.run("git", "push", "--quiet", "--set-upstream", "origin", "main")
    home.run(*DVC, "push")

    home.run("git", "clone", "--quiet", str(hub), str(worker.folder))
    for key, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        worker.run("git", "config", key, value)
    worker.run(*DVC, "pull", "download@tiny", "prepare@tiny", "augment@tiny")
    worker.run("dvc", "repro", "--single-item", "train@tiny")
    worker.commit("Trained")
    worker.run("git", "push", "--quiet")
    worker.run(*DVC, "push", "train@tiny")

    home.run("git", "pull", "--quiet")
    home.run(*DVC, "pull", "train@tiny")
    weights = "results/tiny/model/weights.safetensors"
    assert (home.folder / weights).read_bytes() == (worker.folder / weights).read_bytes()
    assert "train" not in home.outdated()
    said = home.run("dvc", "repro", "train@tiny")
    assert "didn't change, skipping" in said
    assert "Running stage" not in said
