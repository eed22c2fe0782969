"""The encoder that minimises the squared error, against its objective."""

import dataclasses

import numpy as np
import pytest
from encoder_cases import CHROMA, PHOTOS, PSNR, mse, squared_error
from PIL import Image

from msroi.encoders import (
    coefficients,
    huffman,
    jpeg,
    libjpeg,
    progressive,
    search,
    trellis,
    trellis_psnr,
)
from msroi.encoders.progressive import Component
from msroi.measures import distortion

pytestmark = pytest.mark.numerics

subsamplings = pytest.mark.parametrize("subsampling", CHROMA)


@subsamplings
def test_sizes_rise_with_the_quality(subsampling):
    encode = squared_error(chroma=CHROMA[subsampling]).prepare(PHOTOS["chelsea"], None)
    grid = (1, *range(5, 100, 5), 97, 99, 100)
    lengths = [len(encode(quality)) for quality in grid]
    assert (np.diff(lengths) > 0).all()


def test_steps_fall_as_the_quality_rises():
    steps = [trellis_psnr.step_of(quality) for quality in np.linspace(1, 99.75, 400)]
    assert (np.diff(steps) < 0).all()
    assert trellis_psnr.step_of(100) == trellis_psnr.step_of(99.9) > 0
    assert trellis_psnr.step_of(50) == pytest.approx(2 * trellis_psnr.step_of(75))


def test_without_a_price_for_bits_levels_are_rounded(chosen):
    image = PHOTOS["chelsea"][:64, :80]
    data = squared_error(chroma="full", lagrangian=0.0).prepare(image, None)(100)
    for one, plane in zip(chosen[0], coefficients.components(image, 1), strict=True):
        assert set(one.table) == {1}
        assert np.abs(one.levels - coefficients.transformed(plane)).max() <= 0.5 + 1e-3
        assert one.shape == (64, 80)
    assert mse(image, data) < 0.5


@pytest.mark.parametrize("step", [0.01, 3.3, 20, 1000])
def test_the_tables_lie_between_annex_k_and_flat_ones(step):
    def made(flatness, chroma_step=1.0):
        of = {"flatness_luma": flatness, "flatness_chroma": flatness, "chroma_step": chroma_step}
        return trellis_psnr.tables(step, dataclasses.replace(PSNR, **of))

    for of, table in zip(made(1), made(1, 2.0), strict=True):
        assert max(of) - min(of) <= 1
        assert ((table >= 1) & (table <= 255)).all()
    for of, annex_k in zip(made(0), (jpeg.LUMA_TABLE, jpeg.CHROMA_TABLE), strict=True):
        zigzag = annex_k.ravel()[jpeg.ZIGZAG]
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
    twice = dataclasses.replace(PSNR, flatness_luma=1, flatness_chroma=1, chroma_step=2.0)
    luma, chroma = trellis_psnr.tables(30, twice)
    assert (set(luma), set(chroma)) == ({30}, {60})


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize("colours", [("blue", "yellow"), ("red", "cyan")])
def test_edges_of_pure_colours_fit_in_8_bits(colours, side):
    """The least squares samples reach from -381 to 637; with them the levels overflowed."""
    y, x = np.mgrid[:64, :64] // side
    squares = Image.new("RGB", (64, 64), colours[0])
    squares.paste(colours[1], mask=Image.fromarray((x + y) % 2 == 1))
    image = np.asarray(squares)
    for plane in coefficients.components(image, 2):
        assert 0 <= plane.min() <= plane.max() <= 255
    encode = squared_error().prepare(image, None)
    for quality in (50, 100):
        assert mse(image, encode(quality)) < 1.05 * mse(image, jpeg.encode(image, quality))


@pytest.mark.parametrize("frequency", [(0, 0), (0, 1), (2, 3), (5, 0), (6, 6)])
@pytest.mark.parametrize("plane", [1, 2])
def test_an_error_of_chroma_costs_what_the_objective_says(plane, frequency):
    """A wave in one chroma plane of a grey file, as Pillow's decoder shows it."""
    rows, columns, step = 8, 12, 240
    cost = (coefficients.CB_COST, coefficients.CR_COST)[plane - 1]
    place = list(jpeg.ZIGZAG).index(8 * frequency[0] + frequency[1])
    y, x = np.mgrid[:rows, :columns]
    shapes = [(16 * rows, 16 * columns), *[(8 * rows, 8 * columns)] * 2]
    levels = [np.zeros((64, h * w // 64), np.int16) for h, w in shapes]
    # a wave that goes on from block to block
    levels[plane][place] = ((-1) ** (frequency[0] * y + frequency[1] * x)).ravel()
    table = np.full(64, step)
    components = [Component(of, shape, table) for of, shape in zip(levels, shapes, strict=True)]
    data = progressive.written(components, shapes[0], 2)
    pixels = jpeg.decode(data).astype(float) - 128
    inner = pixels[16:-16, 16:-16]
    expected = cost * coefficients.enlargement_energy()[place] * step**2 / 256
    assert np.square(inner).sum(axis=2).mean() == pytest.approx(expected, rel=0.03)


def test_a_bit_costs_its_squared_steps_at_quality_50_and_more_of_them_at_finer_steps():
    step = trellis_psnr.step_of(50)
    assert trellis_psnr.bit_price(step, 0.14) == pytest.approx(0.14 * step**2)
    assert trellis_psnr.bit_price(step / 4, 0.14) == pytest.approx(2 * 0.14 * (step / 4) ** 2)


@pytest.mark.parametrize("masking", [0.0, 0.3, 1.0])
def test_visibility_is_ssims_share_of_each_blocks_variance(masking):
    """Restated pixel by pixel on an image of whole blocks, then cut at its edge."""
    luma = next(coefficients.planes(PHOTOS["coffee"][:24, :32]))
    found = trellis_psnr.visibility(coefficients.transformed(luma), (21, 30), masking)
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
        encode = squared_error(masking=masking).prepare(photo, None)
        decoded = jpeg.decode(search.match_size(encode, target, start=50).data)
        psnr.append(distortion.psnr_rgb_db(photo, decoded))
        ssim.append(distortion.ssim_luma(photo, decoded))
    assert psnr[1] < psnr[0]
    assert ssim[1] > ssim[0]


def test_entries_of_a_table_pass_one_after_the_other():
    """From one step to the next: at first none has changed, then more and more, at last all."""
    flat = dataclasses.replace(PSNR, flatness_luma=1.0)
    changed = [
        (trellis_psnr.tables(step, flat)[0] == 11).sum() for step in np.linspace(10.2, 10.8, 49)
    ]
    assert changed[0] == 0
    assert changed[-1] == 64
    assert np.diff(changed).min() >= 0
    assert np.diff(changed).max() <= 2


def soft_photo():
    """A photo whose decoded pixels are never cut off at 0 or 255."""
    return 64 + PHOTOS["chelsea"][100:196, 100:244] // 2


def test_the_objectives_error_is_that_of_the_decoded_pixels(chosen):
    """Parseval's theorem, at 4:4:4; rounding to whole R, G and B adds a little."""
    image = soft_photo()
    # much lower, chroma blocks are flat, and their rounding is no noise that just adds up
    data = squared_error(chroma="full", masking=0.0).prepare(image, None)(40)
    components, _, _ = chosen
    planes = coefficients.components(image, 1)
    errors = np.stack(
        [
            coefficients.transformed(plane) - one.levels * one.table[:, None]
            for plane, one in zip(planes, components, strict=True)
        ]
    )
    costs = np.array([coefficients.LUMA_COST, coefficients.CB_COST, coefficients.CR_COST])
    stated = (costs @ (errors**2).sum(axis=(1, 2))) / image.size
    to_rgb = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
    exact = (np.einsum("rp,pkb->rkb", to_rgb, errors) ** 2).sum() / image.size
    rounding = (1 + costs.sum() / 3) / 12  # of colours, and of the planes' samples
    assert exact > 10
    assert mse(image, data) == pytest.approx(exact + rounding, rel=0.01)
    # the objective leaves out how the errors of the three planes go together
    assert stated == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
def test_the_price_of_bits_pays(photo):
    """At the same size, less error than plain JPEG and than the same tables without it."""
    image = PHOTOS[photo]
    reference = jpeg.encode(image, 50)
    found = search.match_size(squared_error().prepare(image, None), len(reference), start=50)
    free = squared_error(lagrangian=0.0).prepare(image, None)
    rounded = search.match_size(free, len(reference), start=50)
    assert mse(image, found.data) < 0.8 * mse(image, reference)
    assert mse(image, found.data) < 0.97 * mse(image, rounded.data)


@pytest.mark.parametrize("quality", [20, 90])
def test_the_bits_are_those_of_a_real_scan(tmp_path, quality):
    """The luma levels alone as libjpeg's grey baseline file, with its tables for this file."""
    image = PHOTOS["chelsea"][:296, :448]
    luma = coefficients.transformed(coefficients.components(image, 1)[0])
    step = trellis_psnr.step_of(quality)
    table = np.float32(trellis_psnr.tables(step, PSNR)[0])
    ones = np.ones(64, np.float32), np.ones(luma.shape[1], np.float32)
    price = trellis_psnr.bit_price(step, PSNR.lagrangian)
    levels = trellis.quantise([trellis.Part(luma, table, *ones)], price)[0]
    natural = np.empty((luma.shape[1], 64), np.int16)
    natural[:, jpeg.ZIGZAG] = levels.T
    steps = np.empty(64, np.uint16)
    steps[jpeg.ZIGZAG] = table
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
