"""The file that is written: it holds what was chosen, and every decoder shows the same."""

from importlib import metadata

import jpeglib
import numpy as np
import pytest
from encoder_cases import CHROMA, PHOTOS, SIZES, opened, photo_of, plain, squared_error

from msroi.encoders import coefficients, jpeg, libjpeg

pytestmark = pytest.mark.numerics

sizes = pytest.mark.parametrize("size", SIZES)
subsamplings = pytest.mark.parametrize("subsampling", CHROMA)
encoders = pytest.mark.parametrize("encoder", [plain, squared_error])


@sizes
@subsamplings
@encoders
def test_levels_and_tables_in_the_file_are_the_chosen_ones(
    chosen, tmp_path, encoder, size, subsampling
):
    path = tmp_path / "image.jpg"
    path.write_bytes(encoder(chroma=CHROMA[subsampling]).prepare(photo_of(size), None)(70))
    components, _, _ = chosen
    with libjpeg.using("turbo210") as (library, _):
        file = library.read_dct(str(path))
    planes = (file.Y, file.Cb, file.Cr)
    for plane, number, one in zip(planes, file.quant_tbl_no, components, strict=True):
        assert plane.shape == (one.shape[0] // 8, one.shape[1] // 8, 8, 8)
        np.testing.assert_array_equal(plane.reshape(-1, 64)[:, jpeg.ZIGZAG].T, one.levels)
        np.testing.assert_array_equal(file.qt[number].ravel()[jpeg.ZIGZAG], one.table)
    assert len(file.qt) == len({tuple(one.table) for one in components})


def restated_decoder(components, size, factor):
    """Decode with the functions that the encoder relies on, and round where decoders do."""

    def whole(values):
        return np.floor(values + 0.5 + 1e-3)  # halves up, those that floats miss as well

    planes = []
    for one in components:
        plane = coefficients.restored(np.float32(one.levels * one.table[:, None]), one.shape)
        planes.append(np.clip(whole(plane), 0, 255).astype(np.float32))
    if factor == 2:
        # beyond the image's last sample a decoder repeats it, whatever the block holds
        rows, columns = (-(-side // 2) for side in size)
        planes[1:] = [coefficients.enlarged(plane[:rows, :columns]) for plane in planes[1:]]
    y, cb, cr = (plane[: size[0], : size[1]] for plane in planes)
    cb, cr = whole(cb) - 128, whole(cr) - 128
    image = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(whole(image), 0, 255)


@pytest.mark.parametrize("quality", [20, 80, 100])
@pytest.mark.parametrize("size", ["block", "block and a bit", "unit", "odd", "even", "large"])
@subsamplings
@encoders
def test_pixels_are_those_that_the_encoder_assumes(chosen, encoder, size, subsampling, quality):
    """But for the decoder's rounding: of samples, of their enlargement, of colours."""
    image = photo_of(size)
    data = encoder(chroma=CHROMA[subsampling]).prepare(image, None)(quality)
    error = jpeg.decode(data) - restated_decoder(*chosen)
    assert np.abs(error).max() <= 4  # a chroma sample rounded the other way, twice
    assert np.abs(error).mean() < 0.3
    assert abs(error.mean()) < 0.1


@sizes
@subsamplings
def test_files_of_any_size_are_progressive_jfif(size, subsampling):
    image = photo_of(size)
    before = image.copy()
    file = opened(plain(chroma=CHROMA[subsampling]).prepare(image, None)(90))
    factor = 2 if subsampling == "4:2:0" else 1
    assert (file.format, file.mode, file.size) == ("JPEG", "RGB", image.shape[1::-1])
    assert file.info["progressive"] == 1
    assert file.info["jfif"] >= 257
    expected = [(1, factor, factor, 0), (2, 1, 1, 1), (3, 1, 1, 1)]
    assert file.layer == expected  # number, samples across and down, table
    assert np.abs(np.asarray(file).astype(int) - image).mean() < 4
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("version", ["6b", "9f", "turbo210", "mozjpeg403"])
@pytest.mark.parametrize("size", ["pixel", "odd", "even", "large"])
def test_other_decoders_see_the_same_pixels(tmp_path, version, size):
    """But 9f, which since version 7 enlarges chroma by its own DCT, sees 4:4:4 only."""
    path = tmp_path / "image.jpg"
    data = plain(chroma="full" if version == "9f" else "half").prepare(photo_of(size), None)(60)
    path.write_bytes(data)
    with libjpeg.using(version) as (library, _):
        pixels = library.read_spatial(str(path)).spatial
    assert np.abs(pixels.astype(int) - jpeg.decode(data)).max() <= 1


def test_the_version_names_what_fixes_the_bytes():
    version = plain().version
    for package in ("msroi", "jpeglib", "mozjpeg-lossless-optimization"):
        assert f"{package} {metadata.version(package)}" in version.split(", ")


def test_jpeglib_is_left_as_it_was():
    before = jpeglib.version.get()
    plain().prepare(PHOTOS["chelsea"][:20, :20], None)(50)
    assert jpeglib.version.get() == before
