import csv
import hashlib
import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msroi import files
from msroi.errors import MissingError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_in(path):
    with files.written_whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError("the power is gone")


# --- whole or not at all


def test_written_whole_makes_folders_and_leaves_only_the_file(tmp_path):
    path = tmp_path / "a" / "b" / "x.txt"
    with files.written_whole(path) as partial:
        assert not path.exists()
        assert partial.parent == path.parent
        assert partial.suffix == path.suffix
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["x.txt"]


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="the power is gone"):
        fail_in(tmp_path / "x.txt")
    assert names(tmp_path) == []


def test_an_exception_before_anything_is_written_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.written_whole(tmp_path / "x.txt"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_an_exception_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        fail_in(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_file_is_replaced_not_overwritten(tmp_path):
    """DVC links working files to its cache: writing through the link would spoil the cache."""
    cached, path = tmp_path / "cached", tmp_path / "x.txt"
    cached.write_text("old")
    os.link(cached, path)
    files.write_text(path, "new")
    assert (cached.read_text(), path.read_text()) == ("old", "new")
    path.unlink()
    path.symlink_to(cached)
    files.write_text(path, "newer")
    assert (cached.read_text(), path.read_text()) == ("old", "newer")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        (tmp_path / "plain").write_text("x")
        files.write_text(tmp_path / "text", "x")
        files.write_json(tmp_path / "json", {})
        files.write_csv(tmp_path / "csv", ["a"], [])
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(modes, 0o666 & ~umask)


# --- JSON


def test_json_keeps_order_and_letters_and_ends_with_a_newline(tmp_path):
    value = {"z": 1, "a": {"ä": [0.1, None, True]}}
    files.write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "ä" in text
    assert list(json.loads(text)) == ["z", "a"]
    assert files.read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_no_number_and_keeps_the_old_file(tmp_path, number):
    files.write_json(tmp_path / "x.json", {"old": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"deep": [{"er": number}]})
    assert files.read_json(tmp_path / "x.json") == {"old": 1}
    assert names(tmp_path) == ["x.json"]


# --- CSV

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b, c": TEXT, "ä": TEXT})))
def test_csv_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    files.write_csv(path, ["a", "b, c", "ä"], rows)
    assert files.read_csv(path) == rows
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == rows


def test_csv_text_is_exact(tmp_path):
    rows = [{"b": 0.1, "a": 1}, {"a": 'x "y", z', "b": ""}]
    files.write_csv(tmp_path / "x.csv", ("a", "b"), rows)
    assert (tmp_path / "x.csv").read_bytes() == b'a,b\n1,0.1\n"x ""y"", z",\n'


@pytest.mark.parametrize("row", [{"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}, {}])
def test_csv_refuses_rows_with_other_columns(tmp_path, row):
    with pytest.raises(ValueError, match="the columns are"):
        files.write_csv(tmp_path / "x.csv", ("a", "b"), [{"a": 1, "b": 2}, row])
    assert names(tmp_path) == []


def test_an_empty_table_has_its_header(tmp_path):
    files.write_csv(tmp_path / "x.csv", ("a", "b"), [])
    assert (tmp_path / "x.csv").read_text() == "a,b\n"
    assert files.read_csv(tmp_path / "x.csv") == []


# --- the rest


@pytest.mark.parametrize("read", [files.read_csv, files.read_json, files.existing])
def test_a_missing_file_says_how_to_make_it(tmp_path, read):
    path = tmp_path / "x.csv"
    with pytest.raises(MissingError) as caught:
        read(path)
    assert str(caught.value) == f"{path} is missing; run `snakemake` (or `dvc repro`) to make it."


def test_fresh_folder_is_empty_whatever_was_there(tmp_path):
    folder = tmp_path / "a" / "b"
    assert files.fresh_folder(folder) == folder
    (folder / "sub").mkdir()
    (folder / "sub" / "old.txt").write_text("old")
    files.fresh_folder(folder)
    assert names(folder) == []


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_file_hash(tmp_path, algorithm):
    data = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(data)
    expected = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
    assert files.file_hash(tmp_path / "x", algorithm) == expected


# --- names for people


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Żółw 写真\u3000a.png", "Żółw 写真\u3000a.png"),
        ("a\nb\x1b[31m\t", "a\\nb\\x1b[31m\\t"),
        (os.fsdecode(b"\xff"), "\\udcff"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_printable(name, shown):
    assert files.printable(name) == shown


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("x" * 251 + ".txt")
    files.write_text(path, "whole")
    assert names(tmp_path) == [path.name]
