"""A disk that is full, that can only be read, or that belongs to someone else.

The disks are mounted in memory, which takes root; where it is refused, tests say so and skip.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from msroi import cli

COMPRESS = ["compress", "photo.png", "--out", "out", "--method", "jpeg"]
AGAIN = ", then run the same command again.\n"
NOBODY = 65534


@contextmanager
def disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """Mount a small disk on a folder."""
    folder.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mount(*options: str) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture(autouse=True)
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Work in a folder with a photo; return what it is compressed to where nothing is amiss."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((160, 120), 40).convert("RGB").save("photo.png")
    assert cli.main([*COMPRESS[:3], "sound", *COMPRESS[4:]]) == 0
    return Path("sound/photo.jpg").read_bytes()


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.main(COMPRESS) == 2
    return capsys.readouterr().err


def test_a_full_disk(capsys: pytest.CaptureFixture[str], expected: bytes) -> None:
    out = Path("out")
    with disk(out, 64 << 10):
        filler = out / "filler"
        filler.write_bytes(bytes(60 << 10))
        assert len(expected) > 4 << 10
        said = refused(capsys)
        assert said == f"msroi: out: the disk is full; free some space{AGAIN}"
        assert list(out.iterdir()) == [filler]
        filler.unlink()
        assert cli.main(COMPRESS) == 0
        assert [path.read_bytes() for path in out.iterdir()] == [expected]


def test_a_disk_that_can_only_be_read(capsys: pytest.CaptureFixture[str], expected: bytes) -> None:
    with disk(Path("out"), 64 << 10):
        mount("-o", "remount,ro", "out")
        said = refused(capsys)
        assert said.startswith("msroi: out: the file system is read-only; make it writable or ")
        assert said.endswith(AGAIN)
        assert list(Path("out").iterdir()) == []
        mount("-o", "remount,rw", "out")
        assert cli.main(COMPRESS) == 0
        assert Path("out/photo.jpg").read_bytes() == expected


def test_a_folder_of_someone_else(capsys: pytest.CaptureFixture[str], expected: bytes) -> None:
    out = Path("out")
    out.mkdir(0o555)
    user = os.geteuid()
    if user == 0:  # whom no permission stops
        os.seteuid(NOBODY)
    try:
        said = refused(capsys)
    finally:
        os.seteuid(user)
    assert said.startswith("msroi: out: permission denied; get the right to use it or ")
    assert said.endswith(AGAIN)
    assert list(out.iterdir()) == []
    out.chmod(0o755)
    assert cli.main(COMPRESS) == 0
    assert (out / "photo.jpg").read_bytes() == expected
