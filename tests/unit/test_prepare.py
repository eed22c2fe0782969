import csv
import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi import images
from msroi.errors import ImageError, MissingError, ParameterError
from msroi.experiment import packed_images, params
from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import FILE_IMAGES, PackedImages
from msroi.experiment.params import TestSet
from msroi.experiment.prepared_images import COLUMNS, rows_of, test_images
from msroi.sources import splits
from msroi.stages import prepare
from msroi.stages.prepare import crop_boxes, shares, split_last

test_images.__test__ = TestSet.__test__ = False

ROOT = Path(__file__).parents[2]
SKIMAGE = Path(skimage.data.__file__).parent


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """The demo's parameters, in an empty working folder."""
    monkeypatch.chdir(ROOT)
    experiment = params.load("demo")
    monkeypatch.chdir(tmp_path)
    return dataclasses.replace(experiment, name="tiny")


@pytest.fixture
def layout(demo):
    return Layout("tiny")


def changed(experiment, **values):
    return dataclasses.replace(
        experiment, prepare=dataclasses.replace(experiment.prepare, **values)
    )


def folders(experiment, **values):
    """The experiment with the paper's layout: one folder a class, the last 15 validate."""
    sets = {"all": TestSet("photos", ("*",), "", 1, 0)}
    settings = {"layout": "folders", "classes": {}, "crops_per_class": 0, "validate_last": 15}
    settings |= {"training_set": "caltech", "input_px": 32, "test_sets": sets}
    return changed(experiment, **(settings | values))


def crops(experiment, **values):
    settings = {"input_px": 32, "training_set": "photos", "crops_per_class": 7, "validate_last": 2}
    settings |= {"test_sets": {"all": TestSet("photos", ("*",), "", 1, 0)}}
    return changed(experiment, **(settings | values))


def tint(number, height=9, width=12):
    """A tiny image that tells its number."""
    image = np.zeros((height, width, 3), np.uint8)
    image[...] = (number % 256, number // 256, 77)
    return image


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def caltech(layout, counts):
    """Make a training set of tiny images, one folder a class, as Caltech-101 is laid out."""
    for number, (name, count) in enumerate(counts.items()):
        for i in range(1, count + 1):
            path = layout.downloaded / "caltech" / name / f"image_{i:04d}.png"
            save(path, tint(1000 * number + i))


def photos(layout, **kinds):
    """Make a test set of photographs by name."""
    for name, pixels in (kinds or {"a": tint(1, 40, 50)}).items():
        save(layout.downloaded / "photos" / f"{name}.png", pixels)


def index(layout):
    with layout.index.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rejected(layout):
    with layout.rejected.open(newline="", encoding="utf-8") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def refusal(experiment, layout):
    with pytest.raises(ParameterError) as caught:
        prepare.run(experiment, layout)
    return str(caught.value)


def everything(folder):
    return {p.as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- the paper's split


def test_the_last_15_of_each_class_validate(demo, layout):
    counts = {"BACKGROUND_Google": 40, "Faces": 31, "ant": 16}
    caltech(layout, counts)
    photos(layout)
    prepare.run(folders(demo), layout)
    for name, count in counts.items():
        splits = [row["split"] for row in index(layout) if row["class"] == name]
        assert splits == ["train"] * (count - 15) + ["validate"] * 15
    names = [row["image"] for row in index(layout) if row["class"] == "ant"]
    assert names == [f"ant__image_{i:04d}" for i in range(1, 17)]
    assert rejected(layout) == {}


def test_a_stray_file_is_rejected_and_does_not_shift_the_split(demo, layout):
    """Caltech-101 has a JPEG named `tmp` in BACKGROUND_Google; it sorts last."""
    caltech(layout, {"BACKGROUND_Google": 20, "ant": 18})
    photos(layout)
    prepare.run(folders(demo), layout)
    before = {row["image"]: row["split"] for row in index(layout)}
    folder = layout.downloaded / "caltech" / "BACKGROUND_Google"
    shutil.copy(folder / "image_0001.png", folder / "tmp")
    (folder / "image_0007.jpg").write_bytes(b"")
    (layout.downloaded / "caltech" / "README").write_text("not in a class folder")
    prepare.run(folders(demo), layout)
    assert {row["image"]: row["split"] for row in index(layout)} == before
    damaged, stray = ((folder / name).as_posix() for name in ("image_0007.jpg", "tmp"))
    assert rejected(layout) == {
        damaged: f"{damaged} can't be read as an image: its format is not known, or it is damaged; "
        "save it anew as JPEG or PNG.",
        stray: f"{stray} has no suffix of an image format, such as .jpg or .png.",
    }


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.integers(4, 30), min_size=1), st.integers(1, 3))
def test_split_last_in_any_interleaving(counts, last):
    rows = [{"class": name, "i": i} for i in range(30) for name in counts if i < counts[name]]
    split = split_last(rows, last)
    assert [{**row, "split": None} for row in split] == [{**row, "split": None} for row in rows]
    for name, count in counts.items():
        found = [row["split"] for row in split if row["class"] == name]
        assert found == ["train"] * (count - last) + ["validate"] * last


@pytest.mark.parametrize("count", [3, 15])
def test_a_class_too_small_for_the_split(demo, layout, count):
    caltech(layout, {"ant": 16, "bee": count})
    photos(layout)
    assert refusal(folders(demo), layout) == (
        f"prepare.validate_last is 15, but class bee has only {count} images that can be read. "
        "Lower it, so that one is left to train."
    )
    assert not layout.index.exists()


def test_a_class_without_a_readable_image(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout)
    bad = layout.downloaded / "caltech" / "bee" / "image_0001.jpg"
    bad.parent.mkdir()
    bad.write_text("hello")
    assert refusal(folders(demo), layout) == (
        f"prepare: no training image of class bee can be read, such as {bad}. "
        "Replace its images or remove the class."
    )


def test_an_empty_training_set(demo, layout):
    (layout.downloaded / "caltech").mkdir(parents=True)
    photos(layout)
    assert refusal(folders(demo), layout) == (
        "prepare.training_set: caltech has no images in folders of classes in "
        "data/tiny/download/images/caltech."
    )


def test_nothing_downloaded(demo, layout):
    with pytest.raises(MissingError, match=r"images is missing; run `snakemake`"):
        prepare.run(demo, layout)


# --- the pack and the index


def test_pack_and_index_agree_row_by_row(demo, layout):
    caltech(layout, {"ant": 17, "bee": 16})
    photos(layout, a=tint(9, 40, 50), b=skimage.data.chelsea()[:70, :60])
    prepare.run(folders(demo), layout)
    rows, packed = index(layout), PackedImages(layout.packed)
    assert tuple(rows[0]) == COLUMNS
    assert packed[[0]].shape == (1, 32, 32, 3)
    assert packed[[0]].dtype == np.uint8
    # test photographs are not learned from, so they are not packed
    assert len(packed) == sum(row["split"] != "test" for row in rows) == len(rows) - 2
    assert [int(row["row"]) for row in rows] == list(range(len(rows)))
    for row in rows:
        pixels = images.read_rgb(Path(row["path"]))
        if row["split"] != "test":
            (found,) = packed[[int(row["row"])]]
            np.testing.assert_array_equal(found, images.resize(pixels, 32))
        assert (int(row["height"]), int(row["width"])) == pixels.shape[:2]
        assert (row["left"], row["top"], row["mode"]) == ("0", "0", "RGB")
        assert row["sha256"] == hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest()
    assert [row["split"] for row in rows[-2:]] == ["test", "test"]
    assert [(row["dataset"], row["class"]) for row in rows[-2:]] == [("all", "")] * 2


@pytest.mark.parametrize("bad", [0, 1, 12])
def test_the_pack_has_only_what_can_be_read(demo, layout, bad):
    caltech(layout, {"ant": 20})
    photos(layout)
    for i in range(bad):
        (layout.downloaded / "caltech" / "ant" / f"bad_{i}.jpg").write_text("hello")
    prepare.run(folders(demo), layout)
    packed = PackedImages(layout.packed)
    assert len(packed) == 20
    assert (packed[[3]] == tint(4, 32, 32)).all()
    assert len(rejected(layout)) == bad


def test_the_pack_is_files_of_some_images_each(demo, layout, monkeypatch):
    """Whichever file an image is in, its number finds it; a shorter pack leaves no file behind."""
    caltech(layout, {"ant": 20})
    photos(layout)
    prepare.run(folders(demo), layout)
    assert [file.name for file in layout.packed.iterdir()] == ["00000.npy"]
    whole = PackedImages(layout.packed)[range(20)]
    monkeypatch.setattr(packed_images, "FILE_IMAGES", 7)
    prepare.run(folders(demo), layout)
    files = sorted(layout.packed.iterdir())
    assert [file.name for file in files] == ["00000.npy", "00001.npy", "00002.npy"]
    assert [len(np.load(file)) for file in files] == [7, 7, 6]
    packed = PackedImages(layout.packed)
    assert (len(packed), packed.side) == (20, 32)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(packed[order], whole[order])
    monkeypatch.setattr(packed_images, "FILE_IMAGES", FILE_IMAGES)
    prepare.run(folders(demo), layout)
    assert [file.name for file in layout.packed.iterdir()] == ["00000.npy"]


def test_a_file_of_the_papers_images_can_travel_alone():
    """224 px and at most 64 MiB, which docs/gpu.md promises."""
    assert FILE_IMAGES * 224 * 224 * 3 + 128 < 64 << 20


def test_an_empty_pack_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"holds no images; run stage prepare again\.$"):
        PackedImages(tmp_path)


def test_readers_of_the_index(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout)
    prepare.run(folders(demo), layout)
    assert len(rows_of(layout, ["train"])) == 1
    assert len(rows_of(layout, ["train", "validate"])) == 16
    (item,) = test_images(layout)
    assert (item.dataset, item.image, item.source_jpeg_quality) == ("all", "a", "")
    np.testing.assert_array_equal(images.read_rgb(item.path(layout)), tint(1, 40, 50))


def test_two_runs_give_the_same_bytes_and_leave_nothing_old(demo, layout):
    for name in ("chelsea.png", "coffee.png"):
        (layout.downloaded / "photos").mkdir(parents=True, exist_ok=True)
        shutil.copy(SKIMAGE / name, layout.downloaded / "photos")
    experiment = crops(demo, classes={"cat": ("chelsea.png",), "cup": ("coffee.png",)})
    prepare.run(experiment, layout)
    first = everything(layout.index.parent)
    save(layout.test_images / "gone" / "old.png", tint(1))
    prepare.run(experiment, layout)
    assert everything(layout.index.parent) == first
    prepare.run(dataclasses.replace(experiment, seed=experiment.seed + 1), layout)
    assert everything(layout.index.parent).keys() == first.keys()
    packed = layout.packed / "00000.npy"
    assert packed.read_bytes() != first[packed.as_posix()]


# --- files of all kinds


@pytest.mark.parametrize("quality", [5, 30, 75, 95, 100])
def test_the_quality_of_a_jpeg_source_is_recorded(demo, layout, quality):
    caltech(layout, {"ant": 16})
    path = layout.downloaded / "photos" / "a.jpg"
    save(path, skimage.data.chelsea()[:40, :60], quality=quality)
    prepare.run(folders(demo), layout)
    assert index(layout)[-1]["jpeg_quality"] == str(quality)
    assert {row["jpeg_quality"] for row in index(layout)[:-1]} == {""}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_rotated_photo_is_recorded_as_shown(demo, layout, orientation):
    caltech(layout, {"ant": 16})
    exif = Image.Exif()
    exif[0x0112] = orientation
    cat = skimage.data.chelsea()[:40, :60]
    path = save(layout.downloaded / "photos" / "a.jpg", cat, exif=exif, quality=90)
    prepare.run(folders(demo), layout)
    row = index(layout)[-1]
    size = (40, 60) if orientation < 5 else (60, 40)
    assert (int(row["height"]), int(row["width"])) == size
    stored = images.read_rgb(next(test_images(layout)).path(layout))
    assert stored.shape[:2] == size
    np.testing.assert_array_equal(stored, images.read_rgb(path))
    assert row["jpeg_quality"] == "90"


def test_the_mode_of_the_source_is_recorded(demo, layout):
    caltech(layout, {"ant": 16})
    for mode in ("L", "RGBA", "P", "1"):
        image = Image.fromarray(tint(3, 20, 20)).convert(mode)
        image.save(save(layout.downloaded / "photos" / f"{mode}.png", tint(1)))
    prepare.run(folders(demo), layout)
    assert {row["image"]: row["mode"] for row in index(layout)[-4:]} == {
        mode: mode for mode in ("1", "L", "P", "RGBA")
    }


def test_names_with_spaces_letters_dots_and_folders(demo, layout):
    caltech(layout, {"ant": 16, "büro stuhl": 16})
    names = ["a photo.png", "ÄÖ 写真.png", "v1.2.final.png", "sub/a photo.png", "sub/sub/x.png"]
    for number, name in enumerate(names):
        save(layout.downloaded / "photos" / name, tint(number + 1, 30, 30))
    prepare.run(folders(demo), layout)
    shown = {
        item.image: int(images.read_rgb(item.path(layout))[0, 0, 0]) for item in test_images(layout)
    }
    assert shown == {
        "a photo": 1,
        "ÄÖ 写真": 2,
        "v1.2.final": 3,
        "sub__a photo": 4,
        "sub__sub__x": 5,
    }
    assert "büro stuhl" in {row["class"] for row in index(layout)}


def test_names_that_differ_only_in_suffix_are_refused(demo, layout):
    caltech(layout, {"ant": 16})
    save(layout.downloaded / "photos" / "a.png", tint(1))
    save(layout.downloaded / "photos" / "a.jpg", tint(2))
    assert refusal(folders(demo), layout) == (
        "prepare.test_sets.all: a.jpg and a.png would both be stored as a.png. "
        "Include only one of them."
    )
    only = {"all": TestSet("photos", ("*.png",), "", 1, 0)}
    prepare.run(folders(demo, test_sets=only), layout)
    assert [item.image for item in test_images(layout)] == ["a"]


def test_a_folder_that_looks_like_a_name_is_refused(demo, layout):
    caltech(layout, {"ant": 16})
    save(layout.downloaded / "photos" / "a" / "b.png", tint(1))
    save(layout.downloaded / "photos" / "a__b.png", tint(2))
    assert "a/b.png and a__b.png would both be stored as a__b.png" in refusal(folders(demo), layout)


def test_the_same_name_in_two_sets_is_two_images(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, a=tint(5, 20, 20))
    sets = {name: TestSet("photos", ("*",), "", 1, 0) for name in ("one", "two")}
    prepare.run(folders(demo, test_sets=sets), layout)
    assert [(item.dataset, item.image) for item in test_images(layout)] == [
        ("one", "a"),
        ("two", "a"),
    ]
    assert all(item.path(layout).is_file() for item in test_images(layout))


# --- test sets


def drawn(experiment, layout):
    prepare.run(experiment, layout)
    return [item.image for item in test_images(layout)]


def test_draws_are_reproducible_sorted_and_depend_on_the_seed(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, **{f"p{i:02d}": tint(i) for i in range(30)})
    experiment = folders(demo, test_sets={"ten": TestSet("photos", ("*",), "", 1, 10)})
    first = drawn(experiment, layout)
    assert len(set(first)) == 10
    assert first == sorted(first)
    assert drawn(experiment, layout) == first
    others = [drawn(dataclasses.replace(experiment, seed=seed), layout) for seed in (1, 2, 3)]
    assert len({tuple(names) for names in (first, *others)}) == 4


def test_two_sets_of_one_data_set_draw_differently(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, **{f"p{i:02d}": tint(i) for i in range(30)})
    sets = {name: TestSet("photos", ("*",), "", 1, 10) for name in ("one", "two")}
    names = drawn(folders(demo, test_sets=sets), layout)
    assert names[:10] != names[10:]


def test_patterns_choose_and_an_unknown_one_is_refused(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, cat=tint(1), cup=tint(2), dog=tint(3))
    some = {"all": TestSet("photos", ("c*.png", "cat.png"), "", 1, 0)}
    assert drawn(folders(demo, test_sets=some), layout) == ["cat", "cup"]
    wrong = {"all": TestSet("photos", ("c*.png", "emu.png"), "", 1, 0)}
    assert refusal(folders(demo, test_sets=wrong), layout) == (
        "prepare.test_sets.all: emu.png is not among the 3 files of photos in "
        "data/tiny/download/images/photos."
    )


def test_a_draw_of_more_than_there_are_is_refused(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, cat=tint(1), cup=tint(2))
    many = {"all": TestSet("photos", ("*",), "", 1, 3)}
    assert refusal(folders(demo, test_sets=many), layout) == (
        "prepare.test_sets.all: draw is 3, but only 2 files of photos match. Draw at most those."
    )


# --- splits and reduction


def split_of_photos(**names):
    """Write the file of splits of the data set `photos`: names, without suffix, by split."""
    rows = [f"{name}.png,{split}" for split, of in names.items() for name in of]
    path = splits.FOLDER / "photos.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(["image,split", *rows]) + "\n", encoding="utf-8")


def test_only_the_photographs_of_a_split(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, cat=tint(1), cup=tint(2), cow=tint(3))
    split_of_photos(train=["cat"], test=["cup", "cow"])
    sets = {"all": TestSet("photos", ("*",), "test", 1, 0)}
    prepare.run(folders(demo, test_sets=sets), layout)
    assert [row["image"] for row in index(layout) if row["split"] == "test"] == ["cow", "cup"]


def test_a_split_whose_photographs_are_not_all_there_is_refused(demo, layout):
    caltech(layout, {"ant": 16})
    photos(layout, cat=tint(1), cup=tint(2))
    split_of_photos(test=["cat", "emu", "yak"])
    sets = {"all": TestSet("photos", ("*",), "test", 1, 0)}
    assert refusal(folders(demo, test_sets=sets), layout) == (
        "prepare.test_sets.all: 2 of the 3 photographs in split 'test' are not among the 2 files "
        "of photos that match, such as emu.png; fetch all of them, or leave the split empty."
    )


@given(st.integers(2, 9), st.integers(2, 9), st.sampled_from([1, 2]), st.integers(0, 99))
def test_a_reduced_pixel_is_the_mean_of_its_block_halves_up(height, width, by, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    got = prepare.reduced(pixels, by)
    assert (got.shape, got.dtype) == ((height // by, width // by, 3), np.uint8)
    for row, column in np.ndindex(got.shape[:2]):
        block = pixels[by * row : by * (row + 1), by * column : by * (column + 1)]
        mean = block.mean(axis=(0, 1))
        np.testing.assert_array_equal(got[row, column], np.floor(mean + 0.5))


def test_the_test_set_is_reduced_and_nothing_else(demo, layout):
    caltech(layout, {"ant": 16})
    pixels = np.random.default_rng(0).integers(0, 256, (7, 12, 3)).astype(np.uint8)
    photos(layout, cat=pixels, dot=pixels[:1])
    sets = {name: TestSet("photos", ("*",), "", by, 0) for name, by in (("as_is", 1), ("half", 2))}
    prepare.run(folders(demo, test_sets=sets), layout)
    tests = {row["dataset"]: row for row in index(layout) if row["image"] == "cat"}
    assert [tests[name][side] for name in sets for side in ("height", "width")] == [
        *("7", "12"),
        *("3", "6"),
    ]
    stored = np.asarray(Image.open(layout.test_image("half", "cat")))
    np.testing.assert_array_equal(stored, prepare.reduced(pixels, 2))
    assert {row["height"] for row in index(layout) if row["split"] != "test"} == {"9"}
    assert rejected(layout) == {
        "data/tiny/download/images/photos/dot.png": (
            "A photograph of fewer than 2 pixels a side can't be reduced by 2."
        )
    }


# --- crops

SIDES = st.integers(1, 400)
SEEDS = st.tuples(st.integers(0, 2**32), st.integers(0, 5))


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(0, 20), SEEDS)
def test_crops_lie_inside_and_those_of_two_splits_never_touch(height, width, count, seed):
    if height == width == 1:
        return
    covered = {}
    for split in ("train", "validate"):
        boxes = crop_boxes(height, width, split, count, seed)
        assert len(boxes) == count
        mask = np.zeros((height, width), bool)
        for box in boxes:
            assert box.width == box.height >= 1
            assert 0 <= box.left <= box.left + box.width <= width
            assert 0 <= box.top <= box.top + box.height <= height
            assert box.cut(mask).shape == (box.height, box.width)
            box.cut(mask)[...] = True
        covered[split] = mask
    assert not (covered["train"] & covered["validate"]).any()


@settings(deadline=None)
@given(SIDES, SIDES, SEEDS)
def test_crops_are_at_least_half_of_what_fits(height, width, seed):
    if height == width == 1:
        return
    along = max(height, width)
    cut = max(1, int(0.7 * along))
    for split, region in (("train", cut), ("validate", along - cut)):
        largest = min(region, height, width)
        for box in crop_boxes(height, width, split, 10, seed):
            assert largest // 2 <= box.width <= largest


def test_crops_are_cut_along_the_longer_side():
    for height, width in ((100, 300), (300, 100), (200, 200)):
        train = crop_boxes(height, width, "train", 50, (1,))
        validate = crop_boxes(height, width, "validate", 50, (1,))
        along = "left" if width >= height else "top"
        border = int(0.7 * max(height, width))
        assert max(getattr(box, along) + box.width for box in train) <= border
        assert min(getattr(box, along) for box in validate) >= border


def test_crops_reach_every_part_of_their_region():
    mask = np.zeros((120, 160), bool)
    for box in crop_boxes(120, 160, "train", 300, (1,)):
        box.cut(mask)[...] = True
    assert mask[:, :112].mean() > 0.98


def test_a_single_pixel_has_no_crops():
    with pytest.raises(ImageError, match="single pixel"):
        crop_boxes(1, 1, "train", 1, (0,))


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 20))
def test_shares_add_up_and_differ_by_at_most_one(total, parts):
    dealt = shares(total, parts)
    assert sum(dealt) == total
    assert len(dealt) == parts
    assert max(dealt) - min(dealt) <= 1


@pytest.fixture
def photo_classes(demo, layout):
    """Two photographs make class `pets`, one makes class `cup`."""
    photos(
        layout,
        cat=skimage.data.chelsea()[:120, :200],
        dog=skimage.data.astronaut()[:150, :90],
        cup=skimage.data.coffee()[:100, :100],
    )
    return crops(demo, classes={"pets": ("cat.png", "dog.png"), "cup": ("cup.png",)})


def test_the_stage_cuts_crops(photo_classes, layout):
    prepare.run(photo_classes, layout)
    rows, packed = index(layout), PackedImages(layout.packed)
    assert len(rows) == 2 * 7 + 3
    assert len(packed) == 2 * 7
    for row in rows:
        box = prepare.Box(*(int(row[key]) for key in ("left", "top", "width", "height")))
        pixels = box.cut(images.read_rgb(Path(row["path"])))
        if row["split"] != "test":
            (found,) = packed[[int(row["row"])]]
            np.testing.assert_array_equal(found, images.resize(pixels, 32))
    counts = {}
    for row in rows:
        key = (row["class"], row["image"], row["split"])
        counts[key] = counts.get(key, 0) + 1
    assert counts == {
        ("pets", "cat", "train"): 3,
        ("pets", "dog", "train"): 2,
        ("pets", "cat", "validate"): 1,
        ("pets", "dog", "validate"): 1,
        ("cup", "cup", "train"): 5,
        ("cup", "cup", "validate"): 2,
        **{("", name, "test"): 1 for name in ("cat", "cup", "dog")},
    }


def test_an_unknown_photo_of_a_class_is_refused(photo_classes, layout):
    wrong = changed(photo_classes, classes={"pets": ("cat.png", "emu.png")})
    assert refusal(wrong, layout) == (
        "prepare.classes.pets: emu.png is not among the files of photos in "
        "data/tiny/download/images/photos."
    )


def test_an_unreadable_photo_of_a_class_is_rejected_and_the_others_serve(photo_classes, layout):
    bad = layout.downloaded / "photos" / "dog.png"
    bad.write_text("hello")
    prepare.run(photo_classes, layout)
    assert list(rejected(layout)) == [bad.as_posix()]
    assert [row["split"] for row in index(layout) if row["class"] == "pets"] == [
        *["train"] * 3,
        "validate",
    ]
    learned = [row for row in index(layout) if row["split"] != "test"]
    assert len(PackedImages(layout.packed)) == len(learned)


def test_a_class_whose_only_photo_is_unreadable_is_refused(photo_classes, layout):
    bad = layout.downloaded / "photos" / "cup.png"
    bad.write_text("hello")
    assert refusal(photo_classes, layout).startswith(
        f"prepare: no training image of class cup can be read, such as {bad}."
    )


def test_a_single_pixel_is_rejected(photo_classes, layout):
    pixel = save(layout.downloaded / "photos" / "dog.png", tint(1, 1, 1))
    prepare.run(photo_classes, layout)
    assert rejected(layout) == {
        pixel.as_posix(): "A photograph of a single pixel can't be cut into crops; replace it."
    }


def test_the_demo_itself(demo, layout):
    """The shipped parameters on the shipped photographs, packed small."""
    demo = changed(demo, input_px=32)
    names = {name for files in demo.prepare.classes.values() for name in files}
    folder = layout.downloaded / "skimage-photos"
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(SKIMAGE / name, folder)
    prepare.run(demo, layout)
    counts = {split: len(rows_of(layout, [split])) for split in ("train", "validate", "test")}
    classes = len(demo.prepare.classes)
    assert counts == {"train": 18 * classes, "validate": 6 * classes, "test": 13}
    assert rejected(layout) == {}
