"""Which files a command works on, and the names of its results."""

import os
import re
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from msroi.errors import ImageError, ParameterError
from msroi.photos import paths
from msroi.photos.batch import Writing
from msroi.photos.paths import Naming


def refused(sentence):
    return pytest.raises(ParameterError, match=f"^{re.escape(sentence)}$")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


# which files


def test_a_folder_stands_for_the_images_directly_in_it(tmp_path):
    folder = tmp_path / "many"
    (folder / "sub.png").mkdir(parents=True)
    touch(folder, "b.JPG", "a.png", "c.tiff", ".hidden.png", "._a.png", "film.mpg", "data.h5")
    touch(folder, "notes.txt", "sub.png/d.png", "none", "drawing.eps")
    touch(folder, "a.msroi.jpg", "b.MSROI.JPG")  # results of an earlier run
    inside = [folder / name for name in ("a.png", "b.JPG", "c.tiff")]
    assert paths.image_files([folder]) == inside
    # what is named itself is taken as it is
    named = [folder / "notes.txt", tmp_path / "no.png"]
    assert paths.image_files([named[0], folder, named[1]]) == [named[0], *inside, named[1]]


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif", "x.webp", "x.bmp", "x.gif", "x.avif"])
def test_formats_that_a_folder_may_hold(tmp_path, name):
    Image.new("RGB", (16, 16)).save(tmp_path / name)
    assert paths.image_files([tmp_path]) == [tmp_path / name]


def test_a_folder_without_images(tmp_path):
    touch(tmp_path, "notes.txt", "x.msroi.jpg")
    with refused(
        f"{tmp_path} is a folder without images; name a folder that has some directly in it."
    ):
        paths.image_files([tmp_path])


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["a.jpg", "b.jpg"]),
        ("*", ["a.jpg", "b.jpg", "c.png"]),
        ("?.p*", ["c.png"]),
        ("[!a].jpg", ["b.jpg"]),
        ("sub/*", ["sub/d.jpg"]),
        ("**/*.jpg", ["a.jpg", "b.jpg", "sub/d.jpg", "sub/sub/e.jpg"]),
    ],
)
def test_a_pattern_that_the_shell_has_left(tmp_path, monkeypatch, pattern, names):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.jpg", "b.jpg", "c.png", "notes.txt", "a.msroi.jpg", ".hidden.jpg")
    touch(tmp_path, "sub/d.jpg", "sub/sub/e.jpg", ".git/f.jpg")
    assert paths.image_files([Path(pattern)]) == [Path(name) for name in names]
    # and by its whole path
    found = paths.image_files([tmp_path / pattern])
    assert found == [tmp_path / name for name in names]


def test_a_pattern_that_fits_nothing(tmp_path):
    with refused(f"{tmp_path}/*.jpg fits no image; check the pattern."):
        paths.image_files([tmp_path / "*.jpg"])


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    touch(tmp_path, "[1].jpg", "1.jpg")
    assert paths.image_files([tmp_path / "[1].jpg"]) == [tmp_path / "[1].jpg"]


def test_the_same_image_twice_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "x.png", "sub/y.png")
    twice = [Path("x.png"), tmp_path / "x.png", Path("sub/../x.png"), Path(), Path("*.png")]
    assert paths.image_files(twice) == [Path("x.png")]
    # a link is a photo of its own
    Path("link.png").symlink_to("x.png")
    assert paths.image_files([Path()]) == [Path("link.png"), Path("x.png")]


def test_results_are_no_photos():
    given = [Path("a.jpg"), Path("a.msroi.jpg"), Path("b.msroi.JPG")]
    assert paths.without_results(given) == [Path("a.jpg")]
    with refused(
        "a.msroi.jpg is itself a result of msroi compress, by its name; name the photo that it "
        "was made of."
    ):
        paths.without_results(given[1:])


# names of results


def named(images, out=None, *, keep_folders=False, endings=None):
    naming = Naming(endings or ((".msroi.jpg",) if out is None else (".jpg",)), out, keep_folders)
    return {image: made[0] for image, made in naming.names([*images]).items()}


def test_results_take_the_images_names():
    images = [Path("a/x.y.png"), Path("b/z.bmp")]
    assert named(images) == {
        images[0]: Path("a/x.y.msroi.jpg"),
        images[1]: Path("b/z.msroi.jpg"),
    }
    assert named(images, Path("out")) == {
        images[0]: Path("out/x.y.jpg"),
        images[1]: Path("out/z.jpg"),
    }


def test_photos_of_one_result_are_told_apart_by_their_whole_names():
    images = [Path("a/x.jpg"), Path("a/x.png"), Path("a/y.png")]
    assert list(named(images).values()) == [
        Path("a/x.jpg.msroi.jpg"),
        Path("a/x.png.msroi.jpg"),
        Path("a/y.msroi.jpg"),
    ]
    images = [Path("a/x.png"), Path("b/x.bmp")]
    assert list(named(images, Path("out")).values()) == [
        Path("out/x.png.jpg"),
        Path("out/x.bmp.jpg"),
    ]
    assert list(named([Path("a/x.png"), Path("b/x.png")]).values()) == [
        Path("a/x.msroi.jpg"),
        Path("b/x.msroi.jpg"),
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("A.jpg", "a.jpg"), ("a.JPG", "a.jpg"), ("\u00e9.png", "e\u0301.png")]
)
def test_names_that_some_volumes_take_for_one_are_told_apart(one, other):
    """Of case-insensitive volumes, and of those that compose letters."""
    for out in (None, Path("out")):
        first, second = named([Path(one), Path(other)], out).values()
        alike = [unicodedata.normalize("NFC", path.name).casefold() for path in (first, second)]
        assert alike[0] != alike[1]
        # whichever comes first
        assert list(named([Path(other), Path(one)], out).values()) == [second, first]


def test_the_same_name_in_two_folders():
    images = [Path("a/x.png"), Path("b/x.png")]
    with refused(
        "a/x.png and b/x.png would both be written to out/x.jpg; add --keep-folders, or rename one."
    ):
        named(images, Path("out"))
    assert list(named(images, Path("out"), keep_folders=True).values()) == [
        Path("out/a/x.jpg"),
        Path("out/b/x.jpg"),
    ]


@pytest.mark.parametrize(
    ("image", "result"),
    [
        ("x.png", "out/x.jpg"),
        ("../a/x.png", "out/a/x.jpg"),
        ("a/../../b/x.png", "out/b/x.jpg"),
        ("/home/me/x.png", "out/home/me/x.jpg"),
        ("//home/x.png", "out/home/x.jpg"),
    ],
)
def test_kept_folders_lie_in_the_folder_of_results(image, result):
    assert named([Path(image)], Path("out"), keep_folders=True) == {Path(image): Path(result)}


def test_folders_are_kept_in_a_folder():
    with refused("--keep-folders needs a folder to keep them in: add --out DIR."):
        Writing(keep_folders=True).results([Path("a.jpg")])


def test_results_in_a_folder_below_are_no_photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.jpg", "sub/b.jpg", "out/a.jpg", "out/sub/b.jpg")
    found = paths.image_files([Path("**/*.jpg")], Path("out"))
    assert found == [Path("a.jpg"), Path("sub/b.jpg")]
    assert paths.image_files([Path("out/*.jpg")], Path("out")) == [Path("out/a.jpg")]


# never over a photo


def test_no_image_is_overwritten(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    image = tmp_path / "x.jpg"
    image.touch()
    for out in (tmp_path, tmp_path / "link", tmp_path / "link" / ".." / tmp_path.name):
        with pytest.raises(ParameterError, match="would overwrite one of the images; choose"):
            Writing(out, force=True).results([image])
    # nor any other than its own
    pair = [tmp_path / "x.png", tmp_path / "x.overlay.png"]
    with refused(
        f"{pair[1]}, a result for {pair[0]}, would overwrite one of the images; "
        "choose another --out folder."
    ):
        paths.insist_on_no_photo({pair[0]: [pair[1]], pair[1]: []})


def test_an_image_by_another_name_is_not_overwritten(tmp_path):
    """As two mounts of one folder, or a case-insensitive volume, give one file two names."""
    touch(tmp_path, "x.jpg")
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "x.jpg", tmp_path / "out/x.jpg")
    with pytest.raises(ParameterError, match="would overwrite one of the images; choose"):
        Writing(tmp_path / "out", force=True).results([tmp_path / "x.jpg"])


def overwriting(tmp_path, *names):
    touch(tmp_path, *names)
    return Writing(tmp_path / "out", force=True).results([tmp_path / name for name in names])


def failing(results, image, problem):
    """Write a result and insist on the refusal, and that no file but the result is touched."""
    (path,) = results.names[image]
    before = path.stat() if path.exists() else None
    with pytest.raises(ImageError) as caught, results.written(image) as partial:
        partial.write_text("new")
    assert str(caught.value) == f"{image} is not written: {path} {problem}."
    assert before is None or path.stat() == before


def test_an_image_is_not_overwritten_that_came_there_since(tmp_path):
    results = overwriting(tmp_path, "x.jpg")
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "x.jpg", tmp_path / "out/x.jpg")
    problem = "is itself one of the photos; choose another --out folder"
    failing(results, tmp_path / "x.jpg", problem)


def test_no_result_is_overwritten_by_another_of_the_run(tmp_path):
    results = overwriting(tmp_path, "x.jpg", "y.jpg")
    with results.written(tmp_path / "x.jpg") as partial:
        partial.write_text("x")
    os.link(tmp_path / "out/x.jpg", tmp_path / "out/y.jpg")
    problem = (
        f"is {tmp_path / 'out/x.jpg'}, just written, under another name; rename one of the two"
    )
    failing(results, tmp_path / "y.jpg", problem)


def test_a_folder_of_a_results_name(tmp_path):
    results = overwriting(tmp_path, "x.jpg")
    (tmp_path / "out/x.jpg").mkdir(parents=True)
    problem = "is a folder; rename it, or choose another --out folder"
    failing(results, tmp_path / "x.jpg", problem)


def test_what_came_there_since_is_not_overwritten(tmp_path):
    touch(tmp_path, "x.jpg")
    results = Writing(tmp_path / "out").results([tmp_path / "x.jpg"])
    touch(tmp_path, "out/x.jpg")
    problem = "has come to be there meanwhile; add --force to overwrite it"
    failing(results, tmp_path / "x.jpg", problem)


@pytest.mark.parametrize("out", ["file", "file/sub"])
def test_a_file_in_place_of_the_folder(tmp_path, out):
    touch(tmp_path, "file", "x.jpg")
    with refused(f"--out {tmp_path / out}: {tmp_path / 'file'} is a file; name a folder."):
        Writing(tmp_path / out, force=True).results([tmp_path / "x.jpg"])


@pytest.mark.parametrize(("mode", "kept"), [(0o600, 0o600), (0o644, 0o644), (0o400, 0o400)])
@pytest.mark.parametrize("again", [False, True])
def test_a_result_has_its_photos_permissions(tmp_path, mode, kept, again):
    results = overwriting(tmp_path, "x.jpg")
    (tmp_path / "x.jpg").chmod(mode)
    if again:  # over one of other permissions
        touch(tmp_path, "out/x.jpg")
    with results.written(tmp_path / "x.jpg") as partial:
        assert partial.stat().st_mode & 0o077 == kept & 0o077  # never more for others
        partial.write_text("new")
    assert (tmp_path / "out/x.jpg").stat().st_mode & 0o777 == kept


def test_nothing_that_is_there_is_overwritten(tmp_path):
    images = [tmp_path / f"{name}.png" for name in "abc"]
    names = Writing().results(images).names  # none is there yet
    names[images[1]][0].touch()
    with refused(
        f"{tmp_path}/b.msroi.jpg is there already; add --force to overwrite it, or choose "
        "another folder with --out DIR."
    ):
        Writing().results(images)
    names[images[2]][0].symlink_to("nowhere")
    with refused(
        f"{tmp_path}/b.msroi.jpg and 1 more of the results are there already; add --force to "
        "overwrite them, or choose another folder with --out DIR."
    ):
        Writing().results(images)
    assert Writing(force=True).results(images).names == names
