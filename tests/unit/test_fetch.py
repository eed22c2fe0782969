import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import DATA, Server, body, rest, status

from msroi.errors import SourceError
from msroi.sources import fetch as module
from msroi.sources.fetch import fetch, with_mirror
from msroi.sources.table import Source

SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "BACKOFF_S", 0.01)
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


def test_wrong_hash(server: Server, tmp_path: Path) -> None:
    server.replies = [body(b"other")]
    url = f"{server.url}/a.zip"
    got = hashlib.sha256(b"other").hexdigest()
    assert message(official(url), tmp_path) == (
        f"photos: {url} does not match the known hash: expected sha256:{SHA256} but got "
        f"sha256:{got}; the download was deleted; run again, or save the file by hand as "
        f"{tmp_path / (SHA256[:8] + '-a.zip')}."
    )
    assert list(tmp_path.iterdir()) == []


def test_wrong_size(server: Server, tmp_path: Path) -> None:
    server.replies = [body(b"other")]
    source = official(f"{server.url}/a.zip", size=len(DATA))
    assert f"has the wrong size: expected {len(DATA)} bytes but got 5; the download was" in message(
        source, tmp_path
    )


def test_a_web_page_instead_of_the_file(server: Server, tmp_path: Path) -> None:
    server.replies = [body(b"<!DOCTYPE html><html>Too many users</html>")]
    assert "(a web page came instead of the file); the download was deleted" in message(
        official(f"{server.url}/a.zip"), tmp_path
    )


def test_not_found_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.replies = [status(404)]
    url = f"{server.url}/a.zip"
    assert message(official(url), tmp_path) == (
        f"photos: {url} could not be downloaded: the server answered 404 Not Found (tried once); "
        f"run again, or save the file by hand as {tmp_path / (SHA256[:8] + '-a.zip')}."
    )
    assert len(server.requests) == 1


def test_an_unwell_server_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.replies = [status(500), body()]
    assert fetch(official(f"{server.url}/a.zip"), tmp_path).read_bytes() == DATA
    assert len(server.requests) == 2


def test_an_unwell_server_is_given_up(server: Server, tmp_path: Path) -> None:
    server.replies = [status(503)]
    assert "the server answered 503 Service Unavailable (tried 3 times); run again" in message(
        official(f"{server.url}/a.zip"), tmp_path
    )
    assert len(server.requests) == 3


def test_a_broken_download_is_resumed(server: Server, tmp_path: Path) -> None:
    server.replies = [body(DATA[:300_000], declared=len(DATA)), rest]
    assert fetch(official(f"{server.url}/a.zip"), tmp_path).read_bytes() == DATA
    start = int(server.requests[1][2].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 300_000


def test_a_server_that_cannot_resume_starts_over(server: Server, tmp_path: Path) -> None:
    server.replies = [body(DATA[:300_000], declared=len(DATA)), body()]
    assert fetch(official(f"{server.url}/a.zip"), tmp_path).read_bytes() == DATA
    assert server.requests[1][2]


def test_a_leftover_past_the_end_starts_over(server: Server, tmp_path: Path) -> None:
    server.replies = [status(416), body()]
    (tmp_path / f"{SHA256[:8]}-a.zip.part").write_bytes(DATA + b"more")
    assert fetch(official(f"{server.url}/a.zip"), tmp_path).read_bytes() == DATA
    assert server.requests[1][2] == ""


def test_always_truncated(server: Server, tmp_path: Path) -> None:
    server.replies = [body(DATA[:1000], declared=len(DATA))]
    assert "could not be downloaded: the connection broke off (tried 3 times)" in message(
        official(f"{server.url}/a.zip"), tmp_path
    )
    assert not (tmp_path / f"{SHA256[:8]}-a.zip").exists()


def test_a_server_that_hangs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    server.replies = [lambda _: server.closing.wait(5) and None]
    assert "the server did not answer for 0.2 s (tried 3 times)" in message(
        official(f"{server.url}/a.zip"), tmp_path
    )


def test_a_server_that_hangs_midway(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stall(handler: BaseHTTPRequestHandler) -> None:
        body(DATA[:200_000], declared=len(DATA))(handler)
        server.closing.wait(5)

    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    server.replies = [stall, rest]
    assert fetch(official(f"{server.url}/a.zip"), tmp_path).read_bytes() == DATA


def test_nobody_listens(tmp_path: Path, server: Server) -> None:
    url = server.url
    server.http.server_close()
    assert "there is no connection (tried 3 times)" in message(official(f"{url}/a.zip"), tmp_path)


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.replies = [status(302, "/real.zip"), body()]
    path = fetch(official(f"{server.url}/a.zip"), tmp_path)
    assert path.read_bytes() == DATA
    assert path.name.endswith("-a.zip")


def test_redirects_in_circles(server: Server, tmp_path: Path) -> None:
    server.replies = [status(302, "/a.zip")]
    assert "the server redirects in circles (tried once)" in message(
        official(f"{server.url}/a.zip"), tmp_path
    )


def test_google_drive_is_asked_for_the_file_itself(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GOOGLE_DRIVE", f"{server.url}/download?id={{}}&confirm=t")
    server.replies = [body()]
    path = fetch(official("gdrive:1a-B_c/image.zip"), tmp_path)
    assert path.name == f"{SHA256[:8]}-image.zip"
    assert server.requests[0][1] == "/download?id=1a-B_c&confirm=t"


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
    server.replies = [manifest, manifest, body()]
    (source,) = with_mirror([], tmp_path)
    assert fetch(source, tmp_path).read_bytes() == DATA
    assert [request[:2] for request in server.requests] == [
        ("HEAD", "/pub/manifest.csv"),
        ("GET", "/pub/manifest.csv"),
        ("GET", "/pub/my%20a.zip"),
    ]


def test_a_mirror_url_without_manifest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSROI_MIRROR", server.url)
    server.replies = [status(404)]
    source = Source("m", "mirror", "a.zip", f"sha256:{SHA256}", None, "", "")
    assert with_mirror([source], tmp_path) == [source]
