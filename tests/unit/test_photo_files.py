"""Which files a command works on, and the names of its results."""

import re
from pathlib import Path

import pytest
from PIL import Image

from msroi.errors import ParameterError
from msroi.photos import paths
from msroi.photos.batch import Writing


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


def test_results_take_the_images_names():
    images = [Path("a/x.y.png"), Path("b/z.bmp")]
    assert Writing().names(images) == {
        images[0]: Path("a/x.y.msroi.jpg"),
        images[1]: Path("b/z.msroi.jpg"),
    }
    assert Writing(Path("out")).names(images) == {
        images[0]: Path("out/x.y.jpg"),
        images[1]: Path("out/z.jpg"),
    }


def test_two_images_of_one_name():
    with refused("a/x.png and b/x.bmp would both be written to out/x.jpg; rename one."):
        Writing(Path("out")).names([Path("a/x.png"), Path("b/x.bmp")])
    with refused("a/x.jpg and a/x.png would both be written to a/x.msroi.jpg; rename one."):
        Writing(force=True).names([Path("a/x.jpg"), Path("a/x.png")])
    assert len(Writing().names([Path("a/x.png"), Path("b/x.png")])) == 2


def test_no_image_is_overwritten(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    image = tmp_path / "x.jpg"
    for out in (tmp_path, tmp_path / "link", tmp_path / "link" / ".." / tmp_path.name):
        with pytest.raises(ParameterError, match="would overwrite one of the images; choose"):
            Writing(out, force=True).names([image])
    # nor any other than its own
    pair = [tmp_path / "x.png", tmp_path / "x.overlay.png"]
    with refused(
        f"{pair[1]}, a result for {pair[0]}, would overwrite one of the images; "
        "choose another --out folder."
    ):
        paths.insist_on_names_of_their_own({pair[0]: [pair[1]], pair[1]: []})


def test_nothing_that_is_there_is_overwritten(tmp_path):
    images = [tmp_path / f"{name}.png" for name in "abc"]
    names = Writing().names(images)  # none is there yet
    names[images[1]].touch()
    with refused(
        f"{tmp_path}/b.msroi.jpg is there already; add --force to overwrite it, or choose "
        "another folder with --out DIR."
    ):
        Writing().names(images)
    names[images[2]].symlink_to("nowhere")
    with refused(
        f"{tmp_path}/b.msroi.jpg and 1 more of the results are there already; add --force to "
        "overwrite them, or choose another folder with --out DIR."
    ):
        Writing().names(images)
    assert Writing(force=True).names(images) == names
