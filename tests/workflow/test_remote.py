"""Workers without a shared disk: a DVC remote on S3, which a server on the loopback plays."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import Project, copy_of_project

NEEDED = ("dvc_s3", "moto")
MISSING = [name for name in NEEDED if find_spec(name) is None]

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{', '.join(MISSING)} missing: pip install '.[s3]' 'moto[server]'",
    ),
]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with an empty bucket `bucket`; yields its URL, the commands know the key."""
    import boto3  # comes with moto

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (tmp_path / "aws").touch()  # and not that of the user
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 60
        while not answers(port):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="bucket")
        yield url
    finally:
        server.kill()
        server.wait()


def answers(port: int) -> bool:
    """Say whether something listens on a port of the loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_trains_what_home_prepared(bucket: str, tmp_path: Path) -> None:
    hub, worker = tmp_path / "hub.git", Project(tmp_path / "worker")
    (tmp_path / "home").mkdir()
    home = copy_of_project(tmp_path / "home")
    home.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(hub))
    home.run("git", "remote", "add", "origin", str(hub))
    # as docs/scale.md says
    home.run("dvc", "remote", "add", "--default", "store", "s3://bucket/msroi")
    home.run("dvc", "remote", "modify", "store", "endpointurl", bucket)
    home.run("dvc", "repro", "augment@tiny")
    home.commit("Ready to train")
    home.run("git", "push", "--quiet", "--set-upstream", "origin", "main")
    home.run("dvc", "push")

    home.run("git", "clone", "--quiet", str(hub), str(worker.folder))
    for key, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        worker.run("git", "config", key, value)
    worker.run("dvc", "pull", "download@tiny", "prepare@tiny", "augment@tiny")
    worker.run("dvc", "repro", "--single-item", "train@tiny")
    worker.commit("Trained")
    worker.run("git", "push", "--quiet")
    worker.run("dvc", "push", "train@tiny")

    home.run("git", "pull", "--quiet")
    home.run("dvc", "pull", "train@tiny")
    weights = "results/tiny/model/weights.safetensors"
    assert (home.folder / weights).read_bytes() == (worker.folder / weights).read_bytes()
    assert "train" not in home.outdated()
    said = home.run("dvc", "repro", "train@tiny")
    assert "didn't change, skipping" in said
    assert "Running stage" not in said
