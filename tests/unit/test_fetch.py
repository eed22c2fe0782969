import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopback import DATA, Server, body, status

from msroi.errors import SourceError
from msroi.sources import fetch as module
from msroi.sources.fetch import fetch, with_mirror
from msroi.sources.table import Source

SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()


def official(url: str, digest: str = f"sha256:{SHA256}", size: int | None = None) -> Source:
    return Source("photos", "official", url, digest, size, "CC0-1.0", "")


def message(source: Source, scratch: Path) -> str:
    with pytest.raises(SourceError) as error:
        fetch(source, scratch)
    return str(error.value)


@pytest.mark.parametrize("digest", [f"sha256:{SHA256}", f"md5:{MD5}"])
def test_a_download_is_kept_and_not_repeated(server: Server, tmp_path: Path, digest: str) -> None:
    server.replies = [body()]
    source = official(f"{server.url}/a.zip", digest, len(DATA))
    path = fetch(source, tmp_path)
    assert path.name == f"{digest.partition(':')[2][:8]}-a.zip"
    assert path.read_bytes() == DATA
    assert fetch(source, tmp_path) == path
    assert len(server.requests) == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_damaged_download_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.replies = [body()]
    source = official(f"{server.url}/a.zip")
    (tmp_path / f"{SHA256[:8]}-a.zip").write_bytes(b"damaged")
    assert fetch(source, tmp_path).read_bytes() == DATA


def test_nobody_listens(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.http.server_close()
    url = f"{server.url}/a.zip"
    assert message(official(url), tmp_path) == (
        f"photos: {url} could not be downloaded: there is no connection (tried 3 times); run "
        f"again, or save the file by hand as {tmp_path / (SHA256[:8] + '-a.zip')}."
    )
    monkeypatch.setenv("MSROI_MIRROR", server.url)
    with pytest.raises(SourceError) as error:
        with_mirror([], tmp_path)
    assert str(error.value) == (
        f"The mirror does not answer at {server.url}/manifest.csv: there is no connection."
    )


def test_google_drive_is_asked_for_the_file_itself(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GOOGLE_DRIVE", f"{server.url}/download?id={{}}&confirm=t")
    server.replies = [body()]
    path = fetch(official("gdrive:1a-B_c/image.zip"), tmp_path)
    assert path.name == f"{SHA256[:8]}-image.zip"
    assert server.requests[0] == "/download?id=1a-B_c&confirm=t"


def test_a_packaged_file_is_found_without_import(tmp_path: Path) -> None:
    source = Source("p", "package", "scikit-image:skimage/data/moon.png", "", 50177, "", "")
    assert fetch(source, tmp_path).name == "moon.png"


def test_packages_that_are_not_as_declared(tmp_path: Path) -> None:
    absent = Source("p", "package", "no-such-package:a.png", "", None, "", "")
    assert message(absent, tmp_path) == (
        "p: the package no-such-package is not installed; run `make setup`."
    )
    moved = Source("p", "package", "scikit-image:skimage/data/sun.png", "", None, "", "")
    assert message(moved, tmp_path).endswith(
        "has no file skimage/data/sun.png; install the locked version with `make setup`."
    )
    changed = Source("p", "package", "scikit-image:skimage/data/moon.png", "", 1, "", "")
    assert message(changed, tmp_path) == (
        "p: scikit-image:skimage/data/moon.png has the wrong size: expected 1 bytes but got "
        "50177; the file was left as it is; replace it by the right one."
    )


def test_local_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = Source("g", "local", "data/local/G.zip", "", None, "", "see the project page")
    assert message(source, tmp_path) == (
        "g: data/local/G.zip is not there; put it there (see the project page)."
    )
    folder = Path("data/local/G")
    folder.mkdir(parents=True)
    assert fetch(source, tmp_path) == folder
    Path("data/local/G.zip").write_bytes(DATA)
    assert fetch(source, tmp_path) == Path("data/local/G.zip")


def test_a_mirror_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror"
    source = Source("m", "mirror", "sub/a.zip", f"sha256:{SHA256}", None, "", "")
    monkeypatch.setenv("MSROI_MIRROR", str(mirror))
    assert message(source, tmp_path) == (
        f"MSROI_MIRROR is {str(mirror)!r}; expected a folder or a URL prefix."
    )
    (mirror / "sub").mkdir(parents=True)
    assert message(source, tmp_path) == (
        f"m: {mirror}/sub/a.zip is not there; set MSROI_MIRROR to the folder that holds sub/a.zip."
    )
    (mirror / "sub/a.zip").write_bytes(DATA)
    assert fetch(source, tmp_path) == mirror / "sub/a.zip"
    (mirror / "sub/a.zip").write_bytes(b"other")
    assert message(source, tmp_path).endswith(
        "; the file was left as it is; replace it by the right one."
    )
    assert (mirror / "sub/a.zip").read_bytes() == b"other"
    assert with_mirror([source], tmp_path) == [source]


def test_a_mirror_url_with_its_own_manifest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSROI_MIRROR", f"{server.url}/pub/")
    manifest = body(f"name,file,sha256,bytes\nm,my a.zip,{SHA256},{len(DATA)}\n".encode())
    server.replies = [manifest, body()]
    (source,) = with_mirror([], tmp_path)
    assert fetch(source, tmp_path).read_bytes() == DATA
    assert server.requests == ["/pub/manifest.csv", "/pub/my%20a.zip"]


def test_a_mirror_url_without_manifest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSROI_MIRROR", server.url)
    server.replies = [status(404)]
    source = Source("m", "mirror", "a.zip", f"sha256:{SHA256}", None, "", "")
    assert with_mirror([source], tmp_path) == [source]
