"""The methods on own photos: names, sizes, and what each writes."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from msroi import compress, jpeg, photos
from msroi.errors import ImageError, MissingError, ParameterError
from msroi.images import read_grey, read_rgb
from msroi.plots import overlay


def pillow(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "Straße am Fluß.png"
    Image.fromarray(skimage.data.chelsea()[:121, :170]).save(path)
    return path


def one(results):
    (result,) = results
    return result


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


# plain JPEG


@pytest.mark.parametrize("quality", [1, 30, 50, 97])
def test_jpeg_of_a_quality_is_pillows(photo, tmp_path, quality):
    size = photos.Size(quality, None)
    result = one(photos.compressed([photo], tmp_path / "out", size, None))
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
        "encoder": "pillow",
        "encoder_version": jpeg.encoder_version(),
    }


@pytest.mark.parametrize("target", [2000, 2001, 5000, 12345, 10**9])
def test_target_bytes_is_never_exceeded(photo, tmp_path, target):
    result = one(photos.compressed([photo], tmp_path / "out", photos.Size(50, target), None))
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
    size = photos.Size(50, smallest - 1)
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        one(photos.compressed([photo], tmp_path / "out", size, None))
    assert not (tmp_path / "out").exists()


def test_an_image_too_wide_for_jpeg(tmp_path):
    path = tmp_path / "panorama.png"
    Image.new("L", (65501, 1)).save(path)
    sentence = "has 65501x1 pixels; a JPEG has at most 65500 a side"
    with pytest.raises(ImageError, match=sentence):
        one(photos.compressed([path], tmp_path / "out", photos.Size(50, None), None))


# with a model


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=64)
    made.write_model()
    return made


def test_heatmaps_and_msroi(made, photo):
    """The two-pass method is that of stage compress with the map of the command heatmap."""
    out, experiment = Path("maps"), made.experiment
    names = one(photos.heatmaps([photo], out, experiment))
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

    exact = photos.load_model(experiment).saliency(pixels)
    assert np.abs(exact - saliency).max() <= 0.5 / 255 + 1e-6
    blended = compress.blend(pixels, exact, experiment.compress)
    target = len(pillow(pixels, 70))
    result = one(photos.compressed([photo], out, photos.Size(70, None), experiment))
    assert result["method"] == "msroi"
    assert result["target_bytes"] == target
    match = compress.matched_jpeg(blended, target)
    assert Path(result["output"]).read_bytes() == match.data
    assert result["size_error_pct"] == pytest.approx(match.size_error_pct, abs=1e-4)
    assert abs(result["size_error_pct"]) < 3
    # the bytes are not those of plain JPEG
    assert match.data != pillow(pixels, 70)

    fitted = one(photos.compressed([photo], out, photos.Size(50, 4000), experiment))
    assert 3500 < fitted["bytes"] <= 4000


def test_without_a_model(project, photo):
    made = project()
    for results in (
        photos.heatmaps([photo], Path("out"), made.experiment),
        photos.compressed([photo], Path("out"), photos.Size(50, None), made.experiment),
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
