"""Every server of the corpus `hostile.downloads`, and local folders, through stage `download`."""

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hostile import PROCESSED, fits
from hostile.archives import SOUND as NAMES
from hostile.bytes_of import saved, solid
from hostile.downloads import DOWNLOADS, MANIFESTS, SOUND
from loopback import Server, body

from msroi.cli import main
from msroi.sources import fetch
from msroi.sources.table import MIRROR

ROOT = Path(__file__).parents[2]


@pytest.fixture
def servers(monkeypatch):
    """Two servers; waiting is made short."""
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.3)
    monkeypatch.setattr("msroi.stages.download.convert", lambda *_: None)  # 60 MB of weights
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    running = Server(), Server()
    yield running
    for server in running:
        server.close()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose data set `photos` comes from a place."""
    folder = tmp_path / "project"
    (folder / "config").mkdir(parents=True)
    (folder / "data").mkdir()
    for name in ("workflow", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)

    def build(row: str, source: str = "official") -> Path:
        table = (ROOT / "data/sources.csv").read_text(encoding="utf-8")
        Path("data/sources.csv").write_text(f"{table}{row}\n", encoding="utf-8")
        values = (ROOT / "config/demo.yaml").read_text(encoding="utf-8")
        values = values.replace("skimage-photos", "photos")
        Path("config/x.yaml").write_text(values.replace("source: official", f"source: {source}"))
        return folder

    return build


def downloaded(capfd) -> tuple[int, str]:
    """Run the stage; return its status and its one sentence."""
    status = main.main(["stage", "download", "--experiment", "x"])
    sentence = capfd.readouterr().err.removeprefix("msroi: ").removesuffix("\n")
    assert "\n" not in sentence
    return status, sentence


def made(folder: Path) -> set[str]:
    """Name the files that a run may have left."""
    roots = (folder / "data/x", folder / ".msroi")
    return {path.name for root in roots for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", DOWNLOADS, ids=[case.case for case in DOWNLOADS])
def test_a_server(capfd, servers, project, case):
    server, second = servers
    server.replies = case.replies(server, second)
    url = f"{server.url}/a.zip"
    digest = hashlib.sha256(SOUND).hexdigest()
    folder = project(f"photos,official,{url},sha256:{digest},{len(SOUND)},CC0-1.0,made")
    status, sentence = downloaded(capfd)
    assert len(server.requests) == case.requests
    stored = f"{digest[:8]}-a.zip"
    if case.outcome == PROCESSED:
        assert (status, sentence) == (0, "")
        assert made(folder) == {"manifest.csv", stored, "filling", *NAMES}
        return
    assert status == 2
    assert fits(case.outcome.replace("URL", url), sentence), sentence
    assert made(folder) == set()


@pytest.mark.parametrize(("name", "data", "outcome"), MANIFESTS, ids=[m[0] for m in MANIFESTS])
def test_a_mirrors_manifest(capfd, servers, project, monkeypatch, name, data, outcome):
    server, _ = servers
    server.replies = [body(data)]
    monkeypatch.setenv(MIRROR, server.url)
    folder = project("photos,local,data/local/none.zip,,,CC0-1.0,made", "mirror")
    status, sentence = downloaded(capfd)
    assert status == 2
    assert fits(outcome.replace("URL", f"{server.url}/manifest.csv"), sentence), sentence
    assert made(folder) <= {"manifest.csv"}


@pytest.mark.parametrize("kind", ["link out", "link in", "link to nothing", "loop", "pipe"])
def test_a_local_folder_holds_plain_files_only(capfd, servers, project, kind):
    folder = project("photos,local,data/local/p.zip,,,CC0-1.0,made")
    local = folder / "data/local/p"
    local.mkdir(parents=True)
    (local / "one.png").write_bytes(saved(solid(), "PNG"))
    odd = local / "odd.png"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        targets = {"link out": "/etc/passwd", "link in": "one.png", "link to nothing": "gone"}
        odd.symlink_to(targets.get(kind, "."))
    status, sentence = downloaded(capfd)
    assert status == 2
    assert sentence == (
        "photos: data/local/p/odd.png is a link or a device; put the file itself there."
    )
    assert made(folder) == set()
    odd.unlink()
    assert downloaded(capfd) == (0, "")
    assert made(folder) == {"one.png", "manifest.csv"}
