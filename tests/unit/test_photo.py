"""One photo: how it is opened, and what its file gains over plain JPEG."""

import io
import re

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

from msroi import compress
from msroi.encoders import jpeg, search
from msroi.errors import ImageError
from msroi.measures import distortion
from msroi.photos.photo import gain_db, opened

CAT = skimage.data.chelsea()[:121, :170]
LEFT_HALF = np.zeros(CAT.shape[:2], np.float32)
LEFT_HALF[:, :85] = 1


@pytest.mark.parametrize(
    ("suffix", "is_jpeg"), [("jpg", True), ("jpeg", True), ("png", False), ("webp", False)]
)
def test_a_photo_knows_whether_it_is_a_jpeg(tmp_path, suffix, is_jpeg):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(CAT).save(path, quality=90)
    photo = opened(path)
    assert (photo.is_jpeg, photo.pixels.shape) == (is_jpeg, CAT.shape)


def test_the_name_does_not_make_a_jpeg(tmp_path):
    Image.fromarray(CAT).save(tmp_path / "photo.jpg", "PNG")
    assert not opened(tmp_path / "photo.jpg").is_jpeg


def test_an_image_too_wide_for_jpeg(tmp_path):
    path = tmp_path / "panorama.png"
    Image.new("L", (65501, 1)).save(path)
    expected = f"{path} has 65501x1 pixels; a JPEG has at most 65500 a side."
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        opened(path)


@pytest.mark.parametrize("saliency", [None, LEFT_HALF], ids=["alike", "weighted"])
def test_plain_jpeg_gains_nothing(saliency):
    assert gain_db(CAT, jpeg.encode(CAT, 50), saliency) == pytest.approx(
        0, abs=0.05
    )  # of nearly the same size


def test_the_gain_is_that_at_the_same_size():
    """The same pixels in fewer bytes: the gain is what plain JPEG lacks when it is as small."""
    data = jpeg.encode(CAT, 60, optimise=True)
    smaller = search.match_size(lambda quality: jpeg.encode(CAT, quality), len(data))
    assert abs(smaller.size_error_pct) < 0.5
    expected = distortion.psnr_rgb_db(CAT, jpeg.decode(data)) - distortion.psnr_rgb_db(
        CAT, jpeg.decode(smaller.data)
    )
    assert expected > 0.1
    assert gain_db(CAT, data, None) == pytest.approx(expected)


def test_a_map_weighs_the_gain():
    """A file that is better in one half only gains where the map looks there."""
    mixed = CAT.copy()
    mixed[:, 85:] = jpeg.decode(jpeg.encode(CAT, 10))[:, 85:]
    data = jpeg.encode(mixed, 60)
    left, right = gain_db(CAT, data, LEFT_HALF), gain_db(CAT, data, 1 - LEFT_HALF)
    assert left is not None
    assert right is not None
    assert left > 0 > right


def test_no_gain_without_plain_jpeg_of_that_size():
    assert gain_db(CAT, jpeg.encode(CAT, 1, optimise=True), None) is None


def test_no_gain_of_what_is_perfect():
    flat = np.full((64, 64, 3), 128, np.uint8)
    data = jpeg.encode(flat, 50)
    assert distortion.psnr_rgb_db(flat, jpeg.decode(data)) == np.inf
    assert gain_db(flat, data, None) is None


@pytest.mark.numerics
def test_a_profile_of_rgb_keeps_three_components(tmp_path):
    """A picture without colours has one component, unless its colour profile asks for three."""
    path = tmp_path / "grey.png"
    grey = np.repeat(skimage.data.camera()[:64, :64, None], 3, axis=2)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    modes = []
    for kept in (b"", profile):
        Image.fromarray(grey).save(path, icc_profile=kept or None)
        file = Image.open(io.BytesIO(compress(path, method="trellis", match_quality=50)))
        assert file.info.get("icc_profile", b"") == kept
        modes.append(file.mode)
    assert modes == ["L", "RGB"]
