"""Small inputs that fell short once (shared/data/cases), through the program."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msroi import images
from msroi.cli import main
from msroi.encoders.chroma import is_grey
from msroi.photos.photo import opened

pytestmark = pytest.mark.numerics

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
needs_cases = pytest.mark.skipif(
    not CASES.is_dir(), reason="the folder shared/data with real data is not beside the checkout"
)
needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)


@pytest.fixture
def compressed(tmp_path, capsys):
    """Compress a case; return the result's path and what was left out, or the refusal."""

    def of(name):
        options = ["--method", "jpeg", "--allow-larger", "--json", "--out", str(tmp_path)]
        status = main.main(["compress", str(CASES / name), *options])
        out, err = capsys.readouterr()
        if status:
            return err.removeprefix(f"msroi: {CASES / name} ").removesuffix("\n"), None
        result = json.loads(out)
        return Path(result["output"]), result["left_out"]

    return of


def tags(path, *names):
    command = ["exiftool", "-s3", *(f"-{name}" for name in names), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_cases
@pytest.mark.parametrize(
    "name",
    [
        "02_exif_text_and_types.jpg",
        "03_maker_note_canon.jpg",
        "04_motion_photo.jpg",
        "04_ultra_hdr.jpg",
        "07_xmp_orientation_only.jpg",
    ],
)
def test_nothing_is_left_out(compressed, name):
    path, left_out = compressed(name)
    assert left_out == []
    with Image.open(path) as got, Image.open(CASES / name) as given:
        assert got.size == given.size


@needs_cases
def test_a_trailer_that_looks_like_scans(compressed):
    path, _ = compressed("01_trailer_looks_like_scans.jpg")
    assert images.read_rgb(path).shape == (64, 96, 3)


@needs_cases
@needs_exiftool
@pytest.mark.parametrize(
    ("name", "named"),
    [
        (
            "02_exif_text_and_types.jpg",
            ["Artist", "Copyright", "ImageDescription", "UserComment", "ComponentsConfiguration"],
        ),
        ("02_exif_text_and_types.jpg", ["SceneType"]),
        ("03_maker_note_canon.jpg", ["CanonImageType", "InternalSerialNumber", "Software"]),
        ("04_motion_photo.jpg", ["MotionPhoto", "MicroVideoOffset"]),
        ("04_ultra_hdr.jpg", ["GainMapMax", "HDRCapacityMax", "MPImage2"]),
    ],
)
def test_tags_are_those_of_the_source(compressed, name, named):
    path, _ = compressed(name)
    expected = tags(CASES / name, *named)
    assert expected
    assert tags(path, *named) == expected


@needs_cases
@pytest.mark.parametrize(
    ("name", "size"), [("04_motion_photo.jpg", 60032), ("04_ultra_hdr.jpg", 1116)]
)
def test_what_lies_behind_the_picture_is_kept(compressed, name, size):
    path, _ = compressed(name)
    assert path.read_bytes()[-size:] == (CASES / name).read_bytes()[-size:]


@needs_cases
@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("05_thumbnail_first.dng", "is a camera's raw file, whose first picture is a preview; "),
        ("06_avif_pq.avif", "is an image of HDR (PQ), brighter than sRGB can be; "),
    ],
)
def test_a_refusal_in_one_sentence(compressed, name, start):
    said, _ = compressed(name)
    assert said.startswith(start)
    assert "\n" not in said


@needs_cases
def test_white_is_zero():
    name = CASES / "05_grey16_min_is_white.tif"
    with Image.open(name) as image:
        negative = np.asarray(image, float) / 257
    assert np.abs(images.read_rgb(name)[..., 0] - (255 - negative)).max() <= 1


@needs_cases
def test_a_gamma_of_1():
    name = CASES / "06_png_gamma_1.png"
    with Image.open(name) as image:
        light = np.asarray(image, float) / 255
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(images.read_rgb(name) - 255 * encoded).max() <= 0.51


@needs_cases
def test_grey_is_grey():
    assert is_grey(opened(CASES / "09_grey.jpg").pixels)
