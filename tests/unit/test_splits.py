"""The files of `data/splits`, and what is said where one is not as it should be."""

from collections import Counter
from pathlib import Path

import pytest

from msroi.errors import ParameterError
from msroi.files import read_csv
from msroi.sources import splits
from msroi.sources.splits import read_split

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    splits.FOLDER.mkdir(parents=True)
    return splits.FOLDER


def test_the_names_of_a_split(folder):
    (folder / "mine.csv").write_text("image,split\na.jpg,test\nb.png,train\nc.jpg,test\n")
    assert read_split("mine", "test") == {"a.jpg", "c.jpg"}
    assert read_split("mine", "train") == {"b.png"}


def test_no_file_and_no_such_split(folder):
    with pytest.raises(ParameterError) as raised:
        read_split("mine", "test")
    assert str(raised.value) == (
        "data/splits/mine.csv is missing, so mine has no split 'test'; write the file with the "
        "columns image and split, or leave the split empty."
    )
    (folder / "mine.csv").write_text("image,split\na.jpg,test\nb.png,train\n")
    with pytest.raises(ParameterError) as raised:
        read_split("mine", "validation")
    assert str(raised.value) == (
        "data/splits/mine.csv has no photograph in split 'validation'; it has test, train."
    )


@pytest.mark.parametrize("path", sorted((ROOT / splits.FOLDER).glob("*.csv")), ids=lambda p: p.stem)
def test_a_committed_file_puts_each_photograph_into_one_split(path):
    rows = read_csv(path)
    assert tuple(rows[0]) == splits.COLUMNS
    assert max(Counter(row["image"] for row in rows).values()) == 1
    assert {row["split"] for row in rows} == set(splits.SPLITS)


def test_the_split_of_osie(monkeypatch):
    monkeypatch.chdir(ROOT)
    sizes = {split: len(read_split("osie", split)) for split in splits.SPLITS}
    assert sizes == {"train": 400, "validation": 50, "test": 100}
