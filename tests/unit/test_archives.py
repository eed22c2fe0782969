"""What sound archives give, and the limits; tests/unit/hostile/archives.py has the hostile ones."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from msroi.errors import SourceError
from msroi.sources import archives
from msroi.sources.archives import extract, is_archive, without_suffix

Member = tuple[str, bytes]
MODE = 0o4777


def make_zip(path: Path, *members: Member) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | MODE) << 16
            file.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, *members: Member) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as file:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), MODE
            file.addfile(entry, io.BytesIO(data))
    return path


MAKERS = pytest.mark.parametrize(
    ("make", "name"), [(make_zip, "a.zip"), (make_tar, "a.tar"), (make_tar, "a.tar.gz")]
)
Maker = Callable[..., Path]


@MAKERS
def test_files_and_folders_come_out(tmp_path: Path, make: Maker, name: str) -> None:
    big = bytes(range(256)) * 3000
    archive = make(tmp_path / name, ("./x/a.txt", b"a"), ("b.bin", big), ("__MACOSX/x/._a", b"?"))
    out = tmp_path / "out"
    extract(archive, out)
    assert {p.relative_to(out).as_posix() for p in out.rglob("*")} == {"x", "x/a.txt", "b.bin"}
    assert (out / "b.bin").read_bytes() == big
    assert not (out / "b.bin").stat().st_mode & 0o7111  # modes are ignored


@MAKERS
@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MAX_FILES", 3, "holds more than 3 files, the limit"),
        ("MAX_BYTES", 10, "unpacks to more than 10 bytes, the limit for its size"),
    ],
)
def test_no_flood(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Maker,
    name: str,
    limit: str,
    value: int,
    reason: str,
) -> None:
    archive = make(tmp_path / name, *[(f"f{n}", b"012") for n in range(4)])
    monkeypatch.setattr(archives, limit, value)
    with pytest.raises(SourceError) as error:
        extract(archive, tmp_path / "out")
    assert str(error.value) == f"{name} {reason}; nothing was unpacked; pack it anew."
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_names_of_archives() -> None:
    assert is_archive("a.tar.gz")
    assert is_archive("A.ZIP")
    assert not is_archive("a.png")
    assert without_suffix("General-100.zip") == "General-100"
    assert without_suffix("a.b.tar.gz") == "a.b"
    assert without_suffix("a.png") == "a.png"
