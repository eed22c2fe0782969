"""The methods on own photos: names, sizes, and what each writes."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import ExifTags, Image, ImageCms
from stand_in import carry

from msroi import jpeg, packaged, photos
from msroi.encoders import METHODS, encoder
from msroi.errors import ImageError, MissingError, ParameterError
from msroi.images import read_grey, read_rgb
from msroi.plots import overlay
from msroi.targets import PSNR, MatchQuality, TargetBytes, TargetMeasure

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WITHOUT = [method for method in METHODS if method not in photos.WITH_SALIENCY]


def pillow(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "Straße am Fluß.png"
    Image.fromarray(skimage.data.chelsea()[:121, :170]).save(path)
    return path


@pytest.fixture
def tagged(photo):
    """The photo lying on its side, with a profile, EXIF and a resolution."""
    path = photo.with_name("tagged.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kamera"
    exif[ExifTags.Base.Orientation] = 8
    with Image.open(photo) as image:
        turned = image.transpose(Image.Transpose.ROTATE_270)
    turned.save(path, exif=exif, icc_profile=SRGB, dpi=(300, 300))
    return path


def one(results):
    """Return the one result; raise what was wrong with the image."""
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


def reopened(result):
    return Image.open(io.BytesIO(Path(result["output"]).read_bytes()))


def plain(photo, out, goal):
    return one(photos.compressed([photo], out, "jpeg", goal, None))


# names


def test_outputs_take_the_images_names():
    paths = photos.output_paths([Path("a/x.y.png"), Path("b/z.bmp")], Path("out"), [".jpg", ".txt"])
    assert paths == {
        Path("a/x.y.png"): [Path("out/x.y.jpg"), Path("out/x.y.txt")],
        Path("b/z.bmp"): [Path("out/z.jpg"), Path("out/z.txt")],
    }


def test_two_images_of_one_name():
    expected = "a/x.png and b/x.bmp would both be written to out/x.jpg; rename one."
    with pytest.raises(ParameterError, match=f"^{re.escape(expected)}$"):
        photos.output_paths([Path("a/x.png"), Path("b/x.bmp")], Path("out"), [".jpg"])


def test_the_same_image_twice_is_one():
    twice = [Path("x.png"), Path("./x.png")]
    assert photos.output_paths(twice, Path("out"), [".jpg"]) == {Path("x.png"): [Path("out/x.jpg")]}


def test_no_image_is_overwritten(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    image = tmp_path / "x.jpg"
    for out in (tmp_path, tmp_path / "link", tmp_path / "link" / ".." / tmp_path.name):
        with pytest.raises(ParameterError, match="would overwrite one of the images; choose"):
            photos.output_paths([image], out, [".jpg"])
    # nor any other than its own
    pair = [tmp_path / "x.png", tmp_path / "x.overlay.png"]
    expected = (
        f"{pair[1]}, a result for {pair[0]}, would overwrite one of the images; "
        "choose another --out folder."
    )
    with pytest.raises(ParameterError, match=f"^{re.escape(expected)}$"):
        photos.output_paths(pair, tmp_path, [".saliency.png", ".overlay.png"])


# folders


def test_a_folder_stands_for_the_images_directly_in_it(tmp_path):
    folder = tmp_path / "many"
    (folder / "sub.png").mkdir(parents=True)
    for name in ("b.JPG", "a.png", "c.tiff", ".hidden.png", "._a.png", "film.mpg", "data.h5"):
        (folder / name).touch()
    for name in ("notes.txt", "sub.png/d.png", "none", "drawing.eps"):
        (folder / name).touch()
    inside = [folder / name for name in ("a.png", "b.JPG", "c.tiff")]
    assert photos.image_files([folder]) == inside
    # what is named itself is taken as it is
    named = [folder / "notes.txt", tmp_path / "no.png"]
    assert photos.image_files([named[0], folder, named[1]]) == [named[0], *inside, named[1]]


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif", "x.webp", "x.bmp", "x.gif", "x.avif"])
def test_formats_that_a_folder_may_hold(tmp_path, name):
    Image.new("RGB", (16, 16)).save(tmp_path / name)
    assert photos.image_files([tmp_path]) == [tmp_path / name]


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").touch()
    expected = f"{tmp_path} is a folder without images; name a folder that has some directly in it."
    with pytest.raises(ParameterError, match=f"^{re.escape(expected)}$"):
        photos.image_files([tmp_path])


# without a saliency map


@pytest.mark.parametrize("quality", [1, 30, 50, 97])
def test_jpeg_of_a_quality_is_pillows(photo, tmp_path, quality):
    result = plain(photo, tmp_path / "out", MatchQuality(quality))
    data = Path(result["output"]).read_bytes()
    assert data == pillow(read_rgb(photo), quality)
    assert result == {
        "image": str(photo),
        "output": str(tmp_path / "out" / "Straße am Fluß.jpg"),
        "method": "jpeg",
        "q_final": quality,
        "bytes": len(data),
        "target_bytes": len(data),
        "size_error_pct": 0,
        "encoder": f"pillow {jpeg.encoder_version()}",
    }


@pytest.mark.parametrize("method", WITHOUT)
def test_every_method_that_needs_no_map_needs_no_model(photo, tmp_path, monkeypatch, method):
    monkeypatch.delattr(packaged, "model")
    goal = MatchQuality(60)
    result = one(photos.compressed([photo], tmp_path / "out", method, goal, None))
    made_by = encoder(method, packaged.experiment().compress)
    pixels = read_rgb(photo)
    plain_bytes = len(pillow(pixels, 60))
    match = jpeg.match_size(made_by.prepare(pixels, None), plain_bytes, start=60)
    assert Path(result["output"]).read_bytes() == match.data
    assert (result["method"], result["encoder"]) == (method, made_by.version)
    assert (result["bytes"], result["target_bytes"]) == (len(match.data), plain_bytes)
    assert result["size_error_pct"] == pytest.approx(match.size_error_pct, abs=1e-4)


@pytest.mark.parametrize("target", [2000, 2001, 5000, 12345, 10**9])
def test_target_bytes_is_never_exceeded(photo, tmp_path, target):
    result = plain(photo, tmp_path / "out", TargetBytes(target))
    data = Path(result["output"]).read_bytes()
    assert len(data) == result["bytes"] <= target == result["target_bytes"]
    if target == 10**9:
        assert data == pillow(read_rgb(photo), 100)
    else:
        assert len(data) > 0.95 * target
    assert Image.open(io.BytesIO(data)).size == (170, 121)


def test_too_small_a_target_is_refused(photo, tmp_path):
    smallest = len(pillow(read_rgb(photo), 1))
    expected = (
        f"{photo} can't be made as small as {smallest - 1} bytes: "
        f"the lowest quality needs {smallest}."
    )
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        plain(photo, tmp_path / "out", TargetBytes(smallest - 1))
    assert not (tmp_path / "out").exists()


def test_a_target_of_quality(photo, tmp_path):
    result = plain(photo, tmp_path / "out", TargetMeasure(PSNR, 33.0))
    assert (result["target_bytes"], result["size_error_pct"]) == (None, None)
    measured = photos.measured(photo, Path(result["output"]), None)["psnr_rgb_db"]
    assert result["psnr_rgb_db"] == pytest.approx(measured, abs=1e-5)
    assert 33 <= measured < 33.1
    assert list(result)[-2:] == ["psnr_rgb_db", "encoder"]

    with pytest.raises(ImageError, match=r"can't be made to reach a PSNR of 99\.00 dB"):
        plain(photo, tmp_path / "none", TargetMeasure(PSNR, 99.0))
    assert not (tmp_path / "none").exists()


def test_an_image_too_wide_for_jpeg(tmp_path):
    path = tmp_path / "panorama.png"
    Image.new("L", (65501, 1)).save(path)
    sentence = "has 65501x1 pixels; a JPEG has at most 65500 a side"
    with pytest.raises(ImageError, match=sentence):
        plain(path, tmp_path / "out", MatchQuality(50))


def test_one_that_fails_does_not_stop_the_others(photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(photo.read_bytes()[:1000])
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    given = [photo, bad, tmp_path / "no.png", other]
    results = list(photos.compressed(given, tmp_path / "out", "jpeg", MatchQuality(50), None))
    assert [isinstance(result, ImageError) for result in results] == [False, True, True, False]
    assert str(results[1]).startswith(f"{bad} can't be read as an image")
    assert str(results[2]) == f"{tmp_path / 'no.png'} is not there; check its name."
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["Straße am Fluß.jpg", "other.jpg"]


# metadata


@pytest.mark.parametrize("method", WITHOUT)
def test_metadata_survive(photo, tagged, tmp_path, method):
    goal = MatchQuality(50)
    results = list(photos.compressed([photo, tagged], tmp_path / "out", method, goal, None))
    without, with_them = (reopened(result) for result in results)
    assert with_them.info["icc_profile"] == SRGB
    assert with_them.info["dpi"] == (300, 300)
    exif = with_them.getexif()
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation]) == ("Kamera", 1)
    # the pixels are those of the photo without metadata, upright
    np.testing.assert_array_equal(np.asarray(with_them), np.asarray(without))
    # both sizes count them
    first, second = results
    added = second["bytes"] - first["bytes"]
    assert added > len(SRGB)
    assert second["target_bytes"] - first["target_bytes"] in (added, added - 18)  # or has no JFIF
    assert second["q_final"] == first["q_final"]


@pytest.mark.parametrize("target", [3000, 5000, 9001])
def test_target_bytes_counts_metadata(tagged, tmp_path, target):
    result = plain(tagged, tmp_path / "out", TargetBytes(target))
    size = Path(result["output"]).stat().st_size
    assert 0.95 * target < size == result["bytes"] <= target
    assert reopened(result).info["icc_profile"] == SRGB


def test_metadata_too_large_for_a_jpeg_are_left_out(photo, tmp_path, capsys):
    path = tmp_path / "large.png"
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = 70_000 * "x"
    with Image.open(photo) as image:
        image.save(path, exif=exif, dpi=(72, 72))
    result = plain(path, tmp_path / "out", MatchQuality(50))
    written = reopened(result)
    assert written.info["dpi"] == (72, 72)
    assert not written.getexif()
    said = capsys.readouterr().err
    assert re.fullmatch(
        rf"msroi: {re.escape(str(path))}: left out EXIF of 700\d\d bytes, "
        r"more than a JPEG can hold\.\n",
        said,
    )


# with a model


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=64)
    made.write_model()
    return made


def test_heatmaps_and_methods_with_a_map(made, photo):
    """The methods are those of stage compress with the map of the command heatmap."""
    out, experiment = Path("maps"), made.experiment
    names = one(photos.heatmaps([photo], out, "tiny"))
    assert names == {
        "image": str(photo),
        "saliency": "maps/Straße am Fluß.saliency.png",
        "overlay": "maps/Straße am Fluß.overlay.png",
    }
    pixels, saliency = read_rgb(photo), read_grey(Path(names["saliency"]))
    assert saliency.shape == pixels.shape[:2]
    assert saliency.max() > 0.9
    laid_over = read_rgb(Path(names["overlay"])).astype(int)
    assert np.abs(laid_over - overlay(pixels, saliency)).max() <= 4
    np.testing.assert_array_equal(photos.load_model("tiny").saliency(pixels), saliency)

    target = len(pillow(pixels, 70))
    for method in photos.WITH_SALIENCY:
        result = one(photos.compressed([photo], out, method, MatchQuality(70), "tiny"))
        made_by = encoder(method, experiment.compress)
        match = jpeg.match_size(made_by.prepare(pixels, saliency), target, start=70)
        assert Path(result["output"]).read_bytes() == match.data
        assert (result["method"], result["target_bytes"]) == (method, target)
        assert abs(result["size_error_pct"]) < 3
        # the map makes a difference
        alike = jpeg.match_size(made_by.prepare(pixels, None), target, start=70)
        assert match.data != alike.data

    fitted = one(photos.compressed([photo], out, "msroi", TargetBytes(4000), "tiny"))
    assert 3500 < fitted["bytes"] <= 4000


def test_the_packages_model_is_the_default(made, photo, tmp_path, monkeypatch):
    named = one(photos.compressed([photo], Path("a"), "roi-trellis", MatchQuality(50), "tiny"))
    expected = Path(named["output"]).read_bytes()
    carry(made, tmp_path / "carried", monkeypatch)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = one(photos.compressed([photo], Path("a"), "roi-trellis", MatchQuality(50), None))
    assert Path(result["output"]).read_bytes() == expected
    names = one(photos.heatmaps([photo], Path("maps"), None))
    assert read_grey(Path(names["saliency"])).shape == (121, 170)


def test_without_a_model(project, photo):
    project()
    for results in (
        photos.heatmaps([photo], Path("out"), "tiny"),
        photos.compressed([photo], Path("out"), "msroi", MatchQuality(50), "tiny"),
    ):
        with pytest.raises(MissingError, match=r"^results/tiny/model/weights\.safetensors is miss"):
            one(results)
    assert not Path("out").exists()


# measuring


def test_measured_is_the_experiments_metrics(photo, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(pillow(read_rgb(photo), 30))
    got = photos.measured(photo, other, None)
    assert (got["reference"], got["distorted"]) == (str(photo), str(other))
    error = np.mean((read_rgb(photo).astype(float) - read_rgb(other)) ** 2)
    assert got["mse_rgb"] == pytest.approx(error)
    assert "wpsnr_rgb_db" not in got

    weights = tmp_path / "map.png"
    Image.new("L", (170, 121), 255).save(weights)
    weighted = photos.measured(photo, other, weights)
    assert weighted["wpsnr_rgb_db"] == pytest.approx(got["psnr_rgb_db"])


def test_an_image_against_itself(photo):
    got = photos.measured(photo, photo, None)
    assert got["mse_rgb"] == 0
    assert got["psnr_rgb_db"] == float("inf")
    assert got["ssim_luma"] == pytest.approx(1)
