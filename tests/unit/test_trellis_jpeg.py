"""The encoder against its own model of the decoder, real decoders, and its objective."""

import dataclasses
import hashlib
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import jpeglib
import numpy as np
import pytest
import skimage.data
import yaml
from PIL import Image

from msroi.encoders import coefficients, huffman, jpeg, libjpeg, search, trellis, trellis_jpeg
from msroi.encoders.trellis_jpeg import TrellisJpeg
from msroi.experiment.params import Trellis
from msroi.measures import distortion

ROOT = Path(__file__).parents[2]
DEMO = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
HALF = Trellis(**DEMO["compress"]["trellis"] | {"chroma": "half"})
FULL = dataclasses.replace(HALF, chroma="full")
BY_SUBSAMPLING = {"4:2:0": HALF, "4:4:4": FULL}
subsamplings = pytest.mark.parametrize("subsampling", BY_SUBSAMPLING)

# of one size, so that the trellis is compiled once
PHOTOS = {
    name: getattr(skimage.data, name)()[:300, :451] for name in ("astronaut", "coffee", "chelsea")
}
LARGE = np.asarray(Image.fromarray(PHOTOS["coffee"]).resize((640, 480)))
SIZES = {  # height, width
    "pixel": (1, 1),
    "row": (1, 37),
    "column": (37, 1),
    "block": (8, 8),
    "block and a bit": (9, 9),
    "wide": (8, 16),
    "unit": (16, 16),
    "odd": (61, 37),
    "even": (24, 40),
    "large": (480, 640),
}
sizes = pytest.mark.parametrize("size", SIZES)


def photo_of(size):
    height, width = SIZES[size]
    return LARGE if size == "large" else PHOTOS["astronaut"][7 : 7 + height, 9 : 9 + width]


def plain(params=HALF):
    return TrellisJpeg("trellis", params, 0.0)


def guided(share, params=HALF):
    return TrellisJpeg("roi-trellis", params, share)


def bell(size, width=0.3):
    """A centred Gaussian in [0, 1]."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    return np.exp(-(x**2 + y**2) / width).astype(np.float32)


def opened(data):
    return Image.open(io.BytesIO(data))


def mse(image, data):
    return distortion.mse_rgb(image, jpeg.decode(data))


def weighted_mse(image, data, saliency):
    error = np.square(jpeg.decode(data).astype(float) - image).mean(axis=2)
    return (saliency * error).sum() / saliency.sum()


@pytest.fixture
def chosen(monkeypatch):
    """Keep what the encoder gives to be written: levels, shapes, tables, size, factor."""
    kept = []
    write = trellis_jpeg.written

    def written(*args):
        kept[:] = args
        return write(*args)

    monkeypatch.setattr(trellis_jpeg, "written", written)
    return kept


# --- the file holds what was chosen


@sizes
@subsamplings
def test_levels_and_tables_in_the_file_are_the_chosen_ones(chosen, tmp_path, size, subsampling):
    path = tmp_path / "image.jpg"
    path.write_bytes(plain(BY_SUBSAMPLING[subsampling]).prepare(photo_of(size), None)(70))
    levels, shapes, tables, _, _ = chosen
    with libjpeg.using("turbo210") as (library, _):
        file = library.read_dct(str(path))
    for plane, expected, shape in zip((file.Y, file.Cb, file.Cr), levels, shapes, strict=True):
        assert plane.shape == (shape[0] // 8, shape[1] // 8, 8, 8)
        np.testing.assert_array_equal(plane.reshape(-1, 64)[:, trellis.ZIGZAG].T, expected)
    for number, table in zip(file.quant_tbl_no, (tables[0], tables[1], tables[1]), strict=True):
        np.testing.assert_array_equal(file.qt[number].ravel()[trellis.ZIGZAG], table)


def restated_decoder(levels, shapes, tables, size, factor):
    """Decode with the functions that the encoder relies on, and round where decoders do."""

    def whole(values):
        return np.floor(values + 0.5 + 1e-3)  # halves up, those that floats miss as well

    steps = (tables[0], tables[1], tables[1])
    planes = []
    for of, shape, step in zip(levels, shapes, steps, strict=True):
        plane = coefficients.restored(np.float32(of * step[:, None]), shape)
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
def test_pixels_are_those_that_the_encoder_assumes(chosen, size, subsampling, quality):
    """But for the decoder's rounding: of samples, of their enlargement, of colours."""
    image = photo_of(size)
    data = plain(BY_SUBSAMPLING[subsampling]).prepare(image, None)(quality)
    error = jpeg.decode(data) - restated_decoder(*chosen)
    assert np.abs(error).max() <= 4  # a chroma sample rounded the other way, twice
    assert np.abs(error).mean() < 0.3
    assert abs(error.mean()) < 0.1


@sizes
@subsamplings
def test_files_of_any_size_are_progressive_jfif(size, subsampling):
    image = photo_of(size)
    before = image.copy()
    file = opened(plain(BY_SUBSAMPLING[subsampling]).prepare(image, None)(90))
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
    data = plain(FULL if version == "9f" else HALF).prepare(photo_of(size), None)(60)
    path.write_bytes(data)
    with libjpeg.using(version) as (library, _):
        pixels = library.read_spatial(str(path)).spatial
    assert np.abs(pixels.astype(int) - jpeg.decode(data)).max() <= 1


# --- the line of qualities


@subsamplings
def test_sizes_rise_with_the_quality(subsampling):
    encode = plain(BY_SUBSAMPLING[subsampling]).prepare(PHOTOS["chelsea"], None)
    grid = (1, *range(5, 100, 5), 97, 99, 100)
    lengths = [len(encode(quality)) for quality in grid]
    assert (np.diff(lengths) > 0).all()


@pytest.mark.parametrize("quality", [30, 50, 70])
@pytest.mark.parametrize("photo", PHOTOS)
def test_plain_jpegs_size_is_matched_within_02_pct(photo, quality):
    image = PHOTOS[photo]
    calls = []
    encode = guided(0.5).prepare(image, bell(image.shape[:2]))

    def counted(quality):
        calls.append(quality)
        return encode(quality)

    found = search.match_size(counted, len(jpeg.encode(image, quality)), start=quality)
    assert abs(found.size_error_pct) <= 0.2
    assert len(calls) <= 12


def test_steps_fall_as_the_quality_rises():
    steps = [trellis_jpeg.step_of(quality) for quality in np.linspace(1, 99.75, 400)]
    assert (np.diff(steps) < 0).all()
    assert trellis_jpeg.step_of(100) == trellis_jpeg.step_of(99.9) > 0
    assert trellis_jpeg.step_of(50) == pytest.approx(2 * trellis_jpeg.step_of(75))


def test_without_a_price_for_bits_levels_are_rounded(chosen):
    free = dataclasses.replace(FULL, lagrangian=0.0)
    image = PHOTOS["chelsea"][:64, :80]
    data = plain(free).prepare(image, None)(100)
    levels, shapes, tables, _, _ = chosen
    assert set(np.concatenate(tables)) == {1}
    for of, plane in zip(levels, trellis_jpeg.components(image, 1), strict=True):
        assert np.abs(of - coefficients.transformed(plane)).max() <= 0.5 + 1e-3
    assert shapes == [(64, 80)] * 3
    assert mse(image, data) < 0.5


@pytest.mark.parametrize("step", [0.01, 3.3, 20, 1000])
def test_the_tables_lie_between_annex_k_and_flat_ones(step):
    def made(flatness, chroma_step=1.0):
        of = {"flatness_luma": flatness, "flatness_chroma": flatness, "chroma_step": chroma_step}
        return trellis_jpeg.tables(step, dataclasses.replace(HALF, **of))

    for of, table in zip(made(1), made(1, 2.0), strict=True):
        assert max(of) - min(of) <= 1
        assert ((table >= 1) & (table <= 255)).all()
    for of, annex_k in zip(made(0), (jpeg.LUMA_TABLE, jpeg.CHROMA_TABLE), strict=True):
        zigzag = annex_k.ravel()[trellis.ZIGZAG]
        scale = step / np.exp(np.log(zigzag[:10]).mean())
        exact = np.clip(zigzag * scale, 1, 255)
        assert (np.abs(of - exact) <= 0.75).all()
        near = np.abs(exact - np.rint(exact)) < 0.25  # where every rounding goes the same way
        np.testing.assert_array_equal(of[near], np.rint(exact[near]))
    ends = np.stack([made(0), made(1)])
    for table in (made(flatness) for flatness in (0.2, 0.7)):
        assert (np.stack(table) >= ends.min(axis=0)).all()
        assert (np.stack(table) <= ends.max(axis=0)).all()


def test_chroma_is_coarser_as_asked():
    twice = dataclasses.replace(HALF, flatness_luma=1, flatness_chroma=1, chroma_step=2.0)
    luma, chroma = trellis_jpeg.tables(30, twice)
    assert (set(luma), set(chroma)) == ({30}, {60})


# --- planes


@pytest.mark.parametrize("size", SIZES)
def test_planes_are_whole_blocks_that_cover_the_image(size):
    height, width = SIZES[size]
    for factor in (1, 2):
        shapes = [plane.shape for plane in trellis_jpeg.components(photo_of(size), factor)]
        covered = [8 * factor * -(-side // (8 * factor)) for side in (height, width)]
        assert shapes[0] == (8 * -(-height // 8), 8 * -(-width // 8))
        assert shapes[1:] == [(covered[0] // factor, covered[1] // factor)] * 2


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize("colours", [("blue", "yellow"), ("red", "cyan")])
def test_edges_of_pure_colours_fit_in_8_bits(colours, side):
    """The least squares samples reach from -381 to 637; with them the levels overflowed."""
    y, x = np.mgrid[:64, :64] // side
    squares = Image.new("RGB", (64, 64), colours[0])
    squares.paste(colours[1], mask=Image.fromarray((x + y) % 2 == 1))
    image = np.asarray(squares)
    for plane in trellis_jpeg.components(image, 2):
        assert 0 <= plane.min() <= plane.max() <= 255
    encode = plain().prepare(image, None)
    for quality in (50, 100):
        assert mse(image, encode(quality)) < 1.05 * mse(image, jpeg.encode(image, quality))


@pytest.mark.parametrize("frequency", [(0, 0), (0, 1), (2, 3), (5, 0), (6, 6)])
@pytest.mark.parametrize("plane", [1, 2])
def test_an_error_of_chroma_costs_what_the_objective_says(plane, frequency):
    """A wave in one chroma plane of a grey file, as Pillow's decoder shows it."""
    rows, columns, step = 8, 12, 240
    cost = (coefficients.CB_COST, coefficients.CR_COST)[plane - 1]
    place = list(trellis.ZIGZAG).index(8 * frequency[0] + frequency[1])
    y, x = np.mgrid[:rows, :columns]
    shapes = [(16 * rows, 16 * columns), *[(8 * rows, 8 * columns)] * 2]
    levels = [np.zeros((64, h * w // 64), np.int16) for h, w in shapes]
    # a wave that goes on from block to block
    levels[plane][place] = ((-1) ** (frequency[0] * y + frequency[1] * x)).ravel()
    tables = (np.full(64, step, np.float32), np.full(64, step, np.float32))
    data = trellis_jpeg.written(tuple(levels), shapes, tables, shapes[0], 2)
    pixels = jpeg.decode(data).astype(float) - 128
    inner = pixels[16:-16, 16:-16]
    expected = cost * coefficients.enlargement_energy()[place] * step**2 / 256
    assert np.square(inner).sum(axis=2).mean() == pytest.approx(expected, rel=0.03)


# --- weights


def test_a_bit_costs_its_squared_steps_at_quality_50_and_more_of_them_at_finer_steps():
    step = trellis_jpeg.step_of(50)
    assert trellis_jpeg.bit_price(step, 0.14) == pytest.approx(0.14 * step**2)
    assert trellis_jpeg.bit_price(step / 4, 0.14) == pytest.approx(2 * 0.14 * (step / 4) ** 2)


@pytest.mark.parametrize("masking", [0.0, 0.3, 1.0])
def test_visibility_is_ssims_share_of_each_blocks_variance(masking):
    """Restated pixel by pixel on an image of whole blocks, then cut at its edge."""
    luma = coefficients.planes(PHOTOS["coffee"][:24, :32])[0]
    found = trellis_jpeg.visibility(coefficients.transformed(luma), (21, 30), masking)
    expected = np.zeros((24, 32))
    for top in range(0, 24, 8):
        for left in range(0, 32, 8):
            block = luma[top : top + 8, left : left + 8]
            expected[top : top + 8, left : left + 8] = (2 * block.var() + 58.5225) ** -masking
    expected = expected[:21, :30]
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-4)
    if masking == 0:
        assert (found == 1).all()


def test_masking_trades_mse_for_ssim_at_the_same_size():
    photo = PHOTOS["coffee"]
    target = len(jpeg.encode(photo, 50))
    psnr, ssim = [], []
    for masking in (0.0, 0.3):
        encode = plain(dataclasses.replace(HALF, masking=masking)).prepare(photo, None)
        decoded = jpeg.decode(search.match_size(encode, target, start=50).data)
        psnr.append(distortion.psnr_rgb_db(photo, decoded))
        ssim.append(distortion.ssim_luma(photo, decoded))
    assert psnr[1] < psnr[0]
    assert ssim[1] > ssim[0]


def test_entries_of_a_table_pass_one_after_the_other():
    """From one step to the next: at first none has changed, then more and more, at last all."""
    flat = dataclasses.replace(HALF, flatness_luma=1.0)
    changed = [
        (trellis_jpeg.tables(step, flat)[0] == 11).sum() for step in np.linspace(10.2, 10.8, 49)
    ]
    assert changed[0] == 0
    assert changed[-1] == 64
    assert np.diff(changed).min() >= 0
    assert np.diff(changed).max() <= 2


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_pixel_weights_have_mean_1_and_the_stated_bounds(share):
    saliency = bell((37, 61))
    weights = trellis_jpeg.pixel_weights(saliency, saliency.shape, share)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, abs=1e-4)
    assert weights.min() >= 1 - share
    assert weights.max() <= 1 - share + share / saliency.mean() + 1e-4
    np.testing.assert_allclose(
        weights - (1 - share), share * saliency / saliency.mean(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("saliency", "share"),
    [(None, 0.7), (bell((5, 9)), 0), (np.zeros((5, 9), np.float32), 0.7)],
    ids=["no map", "no share", "a map of zeros"],
)
def test_without_a_say_of_the_map_all_pixels_count_alike(saliency, share):
    weights = trellis_jpeg.pixel_weights(saliency, (5, 9), share)
    np.testing.assert_array_equal(weights, np.ones((5, 9), np.float32))


@pytest.mark.parametrize("value", [1.0, 0.5])
def test_files_without_a_say_of_the_map_are_those_of_trellis(value):
    image = PHOTOS["astronaut"][:61, :37]
    expected = plain().prepare(image, bell((61, 37)))(50)
    assert guided(0.5).prepare(image, None)(50) == expected
    assert guided(0.0).prepare(image, bell((61, 37)))(50) == expected
    assert guided(0.5).prepare(image, np.full((61, 37), value, np.float32))(50) == expected


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (16, 32), (37, 61)])
def test_block_weights_against_a_loop(size, side):
    """What is beyond the edge counts nothing, so that blocks there count less."""
    weights = np.random.default_rng(0).uniform(0, 3, size).astype(np.float32)
    expected = [
        weights[y : y + side, x : x + side].sum() / side**2
        for y in range(0, size[0], side)
        for x in range(0, size[1], side)
    ]
    found = trellis_jpeg.block_weights(weights, side)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32
    assert found.sum() * side**2 == pytest.approx(weights.sum(), rel=1e-5)


def soft_photo():
    """A photo whose decoded pixels are never cut off at 0 or 255."""
    return 64 + PHOTOS["chelsea"][100:196, 100:244] // 2


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_objectives_error_is_that_of_the_decoded_pixels(chosen, share):
    """Parseval's theorem, at 4:4:4 and with a map that is constant in each block.

    Measured: (1 - a) MSE + a wMSE, plus what rounding to whole R, G and B adds.
    """
    image = soft_photo()
    blocks = np.random.default_rng(0).uniform(0.1, 1, (12, 18))
    saliency = np.kron(blocks, np.ones((8, 8))).astype(np.float32)
    # much lower, chroma blocks are flat, and their rounding is no noise that just adds up
    data = guided(share, dataclasses.replace(FULL, masking=0.0)).prepare(image, saliency)(40)
    levels, _, tables, size, _ = chosen
    weights = trellis_jpeg.block_weights(trellis_jpeg.pixel_weights(saliency, size, share), 8)
    planes = trellis_jpeg.components(image, 1)
    errors = np.stack(
        [
            coefficients.transformed(plane) - of * table[:, None]
            for plane, of, table in zip(planes, levels, (*tables, tables[1]), strict=True)
        ]
    )
    costs = np.array([coefficients.LUMA_COST, coefficients.CB_COST, coefficients.CR_COST])
    stated = (costs @ (weights * errors**2).sum(axis=(1, 2))) / image.size
    to_rgb = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
    exact = (weights * np.einsum("rp,pkb->rkb", to_rgb, errors) ** 2).sum() / image.size
    measured = (1 - share) * mse(image, data) + share * weighted_mse(image, data, saliency)
    rounding = (1 + costs.sum() / 3) / 12  # of colours, and of the planes' samples
    assert exact > 10
    assert measured == pytest.approx(exact + rounding, rel=0.01)
    # the objective leaves out how the errors of the three planes go together
    assert stated == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
def test_more_say_of_the_map_trades_plain_error_for_weighted_error(photo):
    """At the same size; share 0 is the method `trellis`."""
    image = PHOTOS[photo]
    saliency = bell(image.shape[:2], 0.1)
    target = len(jpeg.encode(image, 40))
    plain_errors, weighted_errors = [], []
    for share in (0.0, 0.3, 0.6, 0.9):
        encode = guided(share).prepare(image, saliency)
        found = search.match_size(encode, target, start=40)
        assert abs(found.size_error_pct) <= 0.2
        plain_errors.append(mse(image, found.data))
        weighted_errors.append(weighted_mse(image, found.data, saliency))
    assert plain_errors == sorted(plain_errors)
    assert weighted_errors == sorted(weighted_errors, reverse=True)
    assert weighted_errors[-1] < 0.9 * weighted_errors[0]


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
def test_the_price_of_bits_pays(photo):
    """At the same size, less error than plain JPEG and than the same tables without it."""
    image = PHOTOS[photo]
    reference = jpeg.encode(image, 50)
    found = search.match_size(plain().prepare(image, None), len(reference), start=50)
    free = dataclasses.replace(HALF, lagrangian=0.0)
    rounded = search.match_size(plain(free).prepare(image, None), len(reference), start=50)
    assert mse(image, found.data) < 0.8 * mse(image, reference)
    assert mse(image, found.data) < 0.97 * mse(image, rounded.data)


# --- bits


@pytest.mark.parametrize("quality", [20, 90])
def test_the_bits_are_those_of_a_real_scan(tmp_path, quality):
    """The luma levels alone as libjpeg's grey baseline file, with its tables for this file."""
    image = PHOTOS["chelsea"][:296, :448]
    luma = coefficients.transformed(trellis_jpeg.components(image, 1)[0])
    step = trellis_jpeg.step_of(quality)
    table = np.float32(trellis_jpeg.tables(step, HALF)[0])
    ones = np.ones(64, np.float32), np.ones(luma.shape[1], np.float32)
    price = trellis_jpeg.bit_price(step, HALF.lagrangian)
    levels = trellis.quantise(luma, table, *ones, price)
    natural = np.empty((luma.shape[1], 64), np.int16)
    natural[:, trellis.ZIGZAG] = levels.T
    steps = np.empty(64, np.uint16)
    steps[trellis.ZIGZAG] = table
    path = tmp_path / "grey.jpg"
    with libjpeg.using("6b") as (library, _):
        file = library.from_dct(natural.reshape(37, 56, 8, 8), qt=steps.reshape(1, 8, 8))
        file.write_dct(str(path), flags=["OPTIMIZE_CODING"])
    data = path.read_bytes()

    counts = huffman.ac_counts(levels)
    ac = (counts * huffman.ac_bits(counts)).sum()
    dc_counts = np.bincount(huffman.sizes(np.diff(levels[0].astype(int), prepend=0)))
    dc = (dc_counts * (huffman.code_lengths(dc_counts) + np.arange(dc_counts.size))).sum()
    start = data.index(b"\xff\xda")
    scan = data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") : -2]
    assert len(scan.replace(b"\xff\x00", b"\xff")) == -(-int(ac + dc) // 8)


# --- the same bytes whenever and wherever


def digest(image, saliency):
    """Of files of all sorts; run in a fresh process, too."""
    files = [
        guided(0.5, params).prepare(image, saliency)(quality)
        for params in (HALF, FULL)
        for quality in (10, 50.5, 100)
    ]
    return hashlib.sha256(b"".join(files)).hexdigest()


def test_bytes_do_not_depend_on_the_call():
    image = PHOTOS["chelsea"][:61, :37]
    encode = guided(0.5).prepare(image, bell((61, 37)))
    assert len({encode(50) for _ in range(30)}) == 1
    assert len({guided(0.5).prepare(image[:1, :1], None)(50) for _ in range(30)}) == 1
    backwards = PHOTOS["chelsea"][::-1]
    expected = plain().prepare(backwards.copy(), None)(60)
    assert plain().prepare(backwards, None)(60) == expected


def test_bytes_do_not_depend_on_the_thread():
    jobs = [(name, quality) for name in PHOTOS for quality in (20, 50, 80)]

    def encode(job):
        image = PHOTOS[job[0]]
        return guided(0.5).prepare(image, bell(image.shape[:2]))(job[1])

    expected = [encode(job) for job in jobs]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(encode, jobs * 3)) == expected * 3


def test_one_prepared_image_can_be_encoded_by_many_threads():
    encode = plain().prepare(PHOTOS["chelsea"], None)
    qualities = list(range(20, 80, 10))
    expected = [encode(quality) for quality in qualities]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(encode, qualities * 3)) == expected * 3


def test_a_fresh_process_writes_the_same_bytes():
    image, saliency = PHOTOS["chelsea"][:61, :37], bell((61, 37))
    code = (
        "import skimage.data, test_trellis_jpeg as t; "
        "print(t.digest(skimage.data.chelsea()[:61, :37], t.bell((61, 37))))"
    )
    command = [sys.executable, "-c", code]
    folder = Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(image, saliency)


def test_the_version_names_what_fixes_the_bytes():
    version = plain().version
    for package in ("msroi", "jpeglib", "mozjpeg-lossless-optimization"):
        assert f"{package} {metadata.version(package)}" in version.split(", ")


def test_jpeglib_is_left_as_it_was():
    before = jpeglib.version.get()
    plain().prepare(PHOTOS["chelsea"][:20, :20], None)(50)
    assert jpeglib.version.get() == before
