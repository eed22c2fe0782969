"""Parts of a list of photographs, and how their files and tables come together."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msroi.errors import MissingError, ParameterError
from msroi.experiment import chunks
from msroi.experiment.chunks import Chunk
from msroi.experiment.layout import Layout


@given(st.integers(0, 50), st.integers(1, 60))
def test_chunks_are_a_partition_in_order_of_nearly_equal_parts(items, count):
    parts = [Chunk(number, count).of(range(items)) for number in range(1, count + 1)]
    assert [item for part in parts for item in part] == list(range(items))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    taken = [
        chunks.taken(Chunk(number, count), lambda: iter(range(items)))
        for number in range(1, count + 1)
    ]
    assert taken == [list(part) for part in parts]


@given(st.integers(1, 500), st.integers(0, 500))
def test_names_are_read_as_they_are_written(number, more):
    one = Chunk(number, number + more)
    assert chunks.chunk(str(one)) == one


@pytest.mark.parametrize(
    "text", ["", "3", "0-of-2", "3-of-2", "1-of-0", "1-of-2 ", "a-of-b", "1of2"]
)
def test_what_is_no_name(text):
    with pytest.raises(ParameterError) as caught:
        chunks.chunk(text)
    assert str(caught.value) == (
        f"A chunk is named N-of-M with N from 1 to M, such as 3-of-8; got {text!r}."
    )


def test_parts_come_in_their_order_with_the_results_below(tmp_path):
    folders = [tmp_path / f"{number}-of-10" for number in (10, 9, 1, 7, 6, 5, 4, 3, 2, 8)]
    for folder in folders:
        folder.mkdir()
    found = chunks.parts(Layout("tiny"), folders)
    assert [part.results for part in found] == [
        tmp_path / f"{number}-of-10" / "tiny" for number in range(1, 11)
    ]
    assert found[0].index == Layout("tiny").index  # what a stage reads is where it was


@pytest.mark.parametrize("names", [["2-of-2"], ["1-of-2", "2-of-3", "3-of-3"]])
def test_parts_of_no_whole(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(ParameterError) as caught:
        chunks.parts(Layout("tiny"), [tmp_path / name for name in names])
    assert str(caught.value) == (
        "Only all chunks of one whole, such as 1-of-2 and 2-of-2, can be gathered; "
        f"got {', '.join(names)}."
    )


def test_a_part_that_is_not_there(tmp_path):
    with pytest.raises(MissingError, match=r"1-of-1 is missing; run `snakemake`"):
        chunks.parts(Layout("tiny"), [tmp_path / "1-of-1"])


@pytest.mark.parametrize("hard_links", [True, False])
def test_files_come_together_and_stay_where_they_were(tmp_path, monkeypatch, hard_links):
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no hard links here")

    if not hard_links:
        monkeypatch.setattr(chunks.os, "link", refuse)
    sources = [tmp_path / "a", tmp_path / "b", tmp_path / "missing"]
    for source, name in ((sources[0], "x/one.txt"), (sources[1], "x/y/two.txt")):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_text(name)
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "old.txt").touch()
    for _ in range(2):
        chunks.link_files(sources, tmp_path / "all")
        files = sorted(path for path in (tmp_path / "all").rglob("*") if path.is_file())
        assert [path.relative_to(tmp_path / "all").as_posix() for path in files] == [
            "x/one.txt",
            "x/y/two.txt",
        ]
        assert [path.read_text() for path in files] == ["x/one.txt", "x/y/two.txt"]
        assert (sources[0] / "x/one.txt").exists()
        assert files[0].samefile(sources[0] / "x/one.txt") == hard_links


@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 3))
def test_work_ahead_keeps_the_order_and_its_bound(items, most, workers):
    begun = 0
    done = 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
            assert begun - done <= most + 1
        return item * item

    with ThreadPoolExecutor(workers) as pool:
        for expected, got in enumerate(chunks.ahead(pool, work, range(items), most)):
            assert got == expected * expected
            with lock:
                done += 1
    assert done == items


def test_what_fails_ahead_is_told_in_its_turn():
    def work(item: int) -> float:
        return 1 / item

    with ThreadPoolExecutor(2) as pool:
        found = chunks.ahead(pool, work, [2, 0, 1], 4)
        assert next(found) == 0.5
        with pytest.raises(ZeroDivisionError):
            next(found)
