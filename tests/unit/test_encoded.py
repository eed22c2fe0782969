"""Files in folders or in shards: the same files, and the same tables from them."""

import dataclasses
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msroi.errors import ImageError, MissingError
from msroi.experiment import encoded, params, prepared_images
from msroi.experiment.encoded import Encoded, File
from msroi.experiment.layout import Layout
from msroi.files import write_bytes
from msroi.images import read_rgb, write_image


def kept(store: str, size: int) -> params.Compress:
    """Return the parameters of a store; no other is asked for."""
    names = (field.name for field in dataclasses.fields(params.Compress))
    values = dict.fromkeys(names) | {"store": store, "shard_photographs": size}
    return params.Compress(**values)  # type: ignore[arg-type]


def photographs(**counts: int) -> list[prepared_images.TestImage]:
    return [
        prepared_images.TestImage(dataset, f"{number:02d}", "")
        for dataset, count in counts.items()
        for number in range(count)
    ]


def write(layout: Layout, params: params.Compress, items: list[prepared_images.TestImage]) -> None:
    for group in encoded.groups(items, params):
        with encoded.writing(layout, params, group) as add:
            for item in group.items:
                add(
                    File(item.image, method, 50, f"{item.dataset} {item.image} {method}".encode())
                    for method in ("jpeg", "msroi")
                )
    encoded.write_table(layout, params, items)


@given(st.integers(1, 9), st.integers(0, 20), st.integers(0, 20))
def test_groups_are_full_but_for_the_last_of_a_set(size, first, second):
    items = photographs(a=first, b=second)
    found = list(encoded.groups(items, kept("shards", size)))
    assert [item for group in found for item in group.items] == items
    for dataset, count in (("a", first), ("b", second)):
        of_set = [group for group in found if group.dataset == dataset]
        assert [group.number for group in of_set] == list(range(-(-count // size)))
        assert all(len(group.items) == size for group in of_set[:-1])


def test_a_set_in_two_places_never_has_a_shard_twice():
    items = [*photographs(a=1), *photographs(b=1), *photographs(a=3)]
    found = [(one.dataset, one.shard) for one in encoded.groups(items, kept("shards", 2))]
    assert len(found) == len(set(found)) == 4


@pytest.mark.parametrize(("store", "files"), [("folders", 14), ("shards", 5)])
def test_both_stores_give_the_same_files(tmp_path, monkeypatch, store, files):
    monkeypatch.chdir(tmp_path)
    layout, items = Layout("tiny"), photographs(a=5, b=2)
    write(layout, kept(store, 2), items)
    assert sum(path.is_file() for path in layout.jpeg.rglob("*")) == files
    found = Encoded(layout)
    for item in items:
        for method in ("jpeg", "msroi"):
            data = found.file(item.dataset, method, 50, item.image).read_bytes()
            assert data.decode() == f"{item.dataset} {item.image} {method}"


def test_a_shard_has_nothing_of_this_day_or_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    write(layout, kept("shards", 9), photographs(a=2))
    with zipfile.ZipFile(layout.jpeg / "images" / "a" / "00000.zip") as archive:
        about = archive.infolist()
        assert archive.testzip() is None
    assert [one.filename for one in about] == [
        f"{method}/q50/{image}.jpg" for image in ("00", "01") for method in ("jpeg", "msroi")
    ]
    assert {one.date_time for one in about} == {(1980, 1, 1, 0, 0, 0)}
    assert {one.compress_type for one in about} == {zipfile.ZIP_STORED}
    assert {(one.create_system, one.external_attr) for one in about} == {(3, 0o100644 << 16)}


def test_a_shard_that_is_cut_short_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout, three = Layout("tiny"), kept("shards", 3)
    (group,) = encoded.groups(photographs(a=3), three)

    def cut_short() -> None:
        with encoded.writing(layout, three, group) as add:
            add([File("00", "jpeg", 50, b"whole")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    assert list((layout.jpeg / "images" / "a").iterdir()) == []


def test_a_picture_reads_from_a_shard_as_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout, pixels = Layout("tiny"), np.full((9, 7, 3), 90, np.uint8)
    write_image(tmp_path / "one.jpg", pixels)
    two = kept("shards", 2)
    items = photographs(a=1)
    (group,) = encoded.groups(items, two)
    with encoded.writing(layout, two, group) as add:
        add([File("00", "jpeg", 50, (tmp_path / "one.jpg").read_bytes())])
    encoded.write_table(layout, two, items)
    found = read_rgb(Encoded(layout).file("a", "jpeg", 50, "00"))
    assert (found == read_rgb(tmp_path / "one.jpg")).all()


def test_a_missing_shard_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout, one = Layout("tiny"), kept("shards", 1)
    write(layout, one, photographs(a=2))
    (layout.jpeg / "images" / "a" / "00001.zip").unlink()
    with pytest.raises(MissingError, match=r"a/00001\.zip is missing"):
        Encoded(layout).file("a", "jpeg", 50, "01")


def test_a_damaged_shard_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout, one = Layout("tiny"), kept("shards", 1)
    write(layout, one, photographs(a=1))
    write_bytes(layout.jpeg / "images" / "a" / "00000.zip", b"no archive")
    with pytest.raises(ImageError, match=r"a/00000\.zip is no whole zip archive"):
        Encoded(layout).file("a", "jpeg", 50, "00")
