import gzip
import io
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from msroi.errors import SourceError
from msroi.sources import archives
from msroi.sources.archives import extract, is_archive, without_suffix

Member = tuple[str, bytes]


def make_zip(path: Path, *members: Member) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that occurs twice
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members:
                file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, *members: Member) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return path


def refused(archive: Path) -> str:
    into = archive.parent / "out"
    with pytest.raises(SourceError) as error:
        extract(archive, into)
    assert not into.exists()
    assert [p.name for p in archive.parent.iterdir()] == [archive.name]
    return str(error.value)


MAKERS = pytest.mark.parametrize(
    ("make", "name"), [(make_zip, "a.zip"), (make_tar, "a.tar.gz")], ids=["zip", "tar"]
)
Maker = Callable[..., Path]


@MAKERS
def test_files_and_folders_come_out(tmp_path: Path, make: Maker, name: str) -> None:
    big = bytes(range(256)) * 3000
    archive = make(tmp_path / name, ("./x/a.txt", b"a"), ("b.bin", big), ("__MACOSX/x/._a", b"?"))
    extract(archive, tmp_path / "out")
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")}
    assert files == {"x", "x/a.txt", "b.bin"}
    assert (tmp_path / "out/b.bin").read_bytes() == big


@MAKERS
@pytest.mark.parametrize(
    "evil", ["../evil", "/evil", "a/../../evil", "a/..", "C:/evil", "..\\evil", "a\\..\\evil"]
)
def test_no_way_outside(tmp_path: Path, make: Maker, name: str, evil: str) -> None:
    archive = make(tmp_path / name, ("fine", b"1"), (evil, b"2"))
    assert refused(archive) == (
        f"{name} holds a name that leads outside: {evil!r}; nothing was unpacked; pack it anew."
    )


@MAKERS
@pytest.mark.parametrize("evil", ["a\nb", "x" * 256])
def test_no_odd_names(tmp_path: Path, make: Maker, name: str, evil: str) -> None:
    archive = make(tmp_path / name, (evil, b"2"))
    assert "holds a name that no file should have" in refused(archive)


@MAKERS
@pytest.mark.parametrize("second", ["a", "./a", "a/b"])
def test_no_name_twice(tmp_path: Path, make: Maker, name: str, second: str) -> None:
    archive = make(tmp_path / name, ("a", b"1"), (second, b"2"))
    assert (
        refused(archive)
        == f"{name} holds a name that occurs twice: 'a'; nothing was unpacked; pack it anew."
    )


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_no_links_or_devices_in_tar(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        entry = tarfile.TarInfo("evil")
        entry.type, entry.linkname = kind, "/etc/passwd"
        file.addfile(entry)
    assert refused(tmp_path / "a.tar") == (
        "a.tar holds a link, a device or a sparse file: 'evil'; nothing was unpacked; pack it anew."
    )


def test_no_sparse_files_in_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as file:
        entry = tarfile.TarInfo("evil")
        entry.pax_headers = {
            "GNU.sparse.map": f"{1 << 40},0",
            "GNU.sparse.size": str(1 << 40),
            "GNU.sparse.name": "evil",
        }
        file.addfile(entry)
    assert "a sparse file" in refused(tmp_path / "a.tar")


def test_no_links_in_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        entry = zipfile.ZipInfo("evil")
        entry.external_attr = 0o120777 << 16
        file.writestr(entry, "/etc/passwd")
    assert refused(tmp_path / "a.zip") == (
        "a.zip holds a link or a device: 'evil'; nothing was unpacked; pack it anew."
    )


def test_no_encryption_and_no_rare_compression(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", ("secret", b"1"))
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert "holds an encrypted file: 'secret'" in refused(archive)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("rare", b"1")
    assert "holds a file that is not deflated: 'rare'" in refused(archive)


@MAKERS
def test_no_bombs(tmp_path: Path, make: Maker, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1000)
    archive = make(tmp_path / name, ("zeros", bytes(10_000_000)))
    limit = 1000 + 100 * archive.stat().st_size
    assert refused(archive) == (
        f"{name} unpacks to more than {limit} bytes, the limit for its size; nothing was "
        "unpacked; pack it anew."
    )


@MAKERS
def test_no_flood(tmp_path: Path, make: Maker, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    archive = make(tmp_path / name, *[(f"f{n}", b"") for n in range(4)])
    assert refused(archive) == (
        f"{name} holds more than 3 files, the limit; nothing was unpacked; pack it anew."
    )
    monkeypatch.setattr(archives, "MAX_FILES", 4)
    monkeypatch.setattr(archives, "MAX_BYTES", 10)
    archive = make(tmp_path / name, ("big", b"0123456789ab"))
    assert "unpacks to more than 10 bytes" in refused(archive)


def test_a_size_that_lies_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / "a.zip", ("zeros", bytes(1_000_000)))
    data = archive.read_bytes().replace(struct.pack("<I", 1_000_000), struct.pack("<I", 10))
    archive.write_bytes(data)
    refused(archive)


def test_a_bomb_in_a_tar_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1000)
    entry = tarfile.TarInfo("long")
    entry.pax_headers = {"comment": "x" * 5_000_000}
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(entry.tobuf(tarfile.PAX_FORMAT))
    assert "unpacks to more than" in refused(tmp_path / "a.tar.gz")


@MAKERS
def test_a_damaged_archive(tmp_path: Path, make: Maker, name: str) -> None:
    data = b"".join(n.to_bytes(4, "little") for n in range(50_000))
    archive = make(tmp_path / name, ("f", data))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert refused(archive).startswith(f"{name} is damaged or no zip or tar archive (")
    middle = len(whole) // 2
    archive.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    assert refused(archive).startswith(f"{name} is damaged or no zip or tar archive (")


def test_rubbish_after_the_first_file_of_a_tar(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", ("f", b"1"), ("g", b"2"))
    plain = bytearray(gzip.decompress(archive.read_bytes()))
    plain[1024 : 1024 + 512] = b"?" * 512
    archive.write_bytes(gzip.compress(bytes(plain)))
    assert "is damaged" in refused(archive)


def test_no_archive_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<html>")
    assert refused(tmp_path / "a.zip") == (
        "a.zip is damaged or no zip or tar archive (ReadError); nothing was unpacked; pack it anew."
    )


def test_modes_are_ignored(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        entry = zipfile.ZipInfo("script")
        entry.external_attr = 0o104777 << 16
        file.writestr(entry, "1")
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out/script").stat().st_mode & 0o7111


def test_names_of_archives() -> None:
    assert is_archive("a.tar.gz")
    assert is_archive("A.ZIP")
    assert not is_archive("a.png")
    assert without_suffix("General-100.zip") == "General-100"
    assert without_suffix("a.b.tar.gz") == "a.b"
    assert without_suffix("a.png") == "a.png"
