"""How many chroma samples: photographs keep half, what half would ruin keeps all."""

import io

import numpy as np
import pytest
import skimage.data
from encoder_cases import opened, plain
from PIL import Image, ImageDraw, ImageFont

from msroi.encoders import chroma, jpeg, search
from msroi.measures import distortion

pytestmark = pytest.mark.numerics

INKS = ("red", "blue", "green", "magenta", "orange", "teal")


def text():
    image = Image.new("RGB", (400, 300), "white")
    for line, ink in enumerate(INKS):
        font = ImageFont.load_default(24)
        ImageDraw.Draw(image).text((10, 10 + 45 * line), "jumps over the lazy dog", ink, font)
    return np.asarray(image)


def lines():
    image = Image.new("RGB", (400, 300), "white")
    for at in range(40):
        ImageDraw.Draw(image).line([(10 * at, 0), (400 - 10 * at, 299)], INKS[at % 6])
    return np.asarray(image)


def bars():
    image = Image.new("RGB", (400, 300), "white")
    for at, ink in enumerate(INKS):
        box = (60 * at + 10, 100 - 10 * at, 60 * at + 50, 280)
        ImageDraw.Draw(image).rectangle(box, ink)
    return np.asarray(image)


DRAWN = {"coloured text": text(), "line art": lines(), "bars": bars()}
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "retina", "hubble_deep_field")


@pytest.mark.parametrize("name", PHOTOS)
def test_photographs_keep_half(name):
    photo = getattr(skimage.data, name)()[:500, :500]
    assert chroma.factor(photo, "auto") == 2
    assert chroma.factor(np.asarray(Image.fromarray(photo).resize((250, 250))), "auto") == 2


@pytest.mark.parametrize("name", DRAWN)
def test_drawings_keep_all_and_gain_by_it(name):
    """At the size of plain JPEG of quality 85 and with the same encoder."""
    image = DRAWN[name]
    assert chroma.factor(image, "auto") == 1
    target = len(jpeg.encode(image, 85))
    psnr = {}
    for setting in ("half", "auto"):
        found = search.match_size(plain(chroma=setting).prepare(image, None), target, start=85)
        psnr[setting] = distortion.psnr_rgb_db(image, jpeg.decode(found.data))
    assert psnr["auto"] > psnr["half"] + 2


def test_what_is_asked_for_is_what_the_file_has():
    photo = skimage.data.coffee()[:64, :64]
    for setting, factor in (("half", 2), ("full", 1), ("auto", 2)):
        assert opened(plain(chroma=setting).prepare(photo, None)(50)).layer[0][1] == factor


def test_grey_has_one_component_and_the_same_luma():
    grey = skimage.data.camera()[:61, :75]
    image = np.repeat(grey[..., None], 3, axis=2)
    file = opened(plain(chroma="auto").prepare(image, None)(80))
    assert (file.mode, file.layers, file.size) == ("L", 1, (75, 61))
    assert file.info["progressive"] == 1
    assert opened(plain(chroma="half").prepare(image, None)(80)).layers == 3
    coloured = image.copy()
    coloured[0, 0] = (0, 1, 0)  # one pixel of another colour, and it is no longer grey
    assert opened(plain(chroma="auto").prepare(coloured, None)(80)).layers == 3
    assert chroma.is_grey(image)
    assert not chroma.is_grey(coloured)


def test_greys_pixels_are_those_of_its_luma():
    grey = skimage.data.camera()[:64, :80]
    data = plain(chroma="auto").prepare(np.repeat(grey[..., None], 3, axis=2), None)(90)
    decoded = np.asarray(Image.open(io.BytesIO(data))).astype(float)
    assert np.sqrt(np.mean((decoded - grey) ** 2)) < 5


def test_the_error_of_halving_is_that_of_a_decoder():
    """At the best quality what is left of the error is what halving lost."""
    image = 64 + text() // 2  # no pixel is cut off at 0 or 255
    data = plain(chroma="half", lagrangian=0.0).prepare(image, None)(100)
    error = np.square(jpeg.decode(data).astype(float) - image).mean(axis=2)
    height, width = (side // 16 * 16 for side in error.shape)
    units = error[:height, :width].reshape(height // 16, 16, width // 16, 16).mean(axis=(1, 3))
    measured = np.sqrt(np.percentile(units, 99))
    assert chroma.halving_error(image[:height, :width]) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 15), (16, 16), (17, 33)])
def test_any_size_gets_an_answer(size):
    image = np.zeros((*size, 3), np.uint8)
    assert chroma.factor(image, "auto") == 2
    assert chroma.flat_share(image) == (1.0 if min(size) >= 16 else 0.0)
