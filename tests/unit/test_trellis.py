"""The trellis against an exhaustive search, and its limits."""

import itertools

import numpy as np
import pytest

from msroi.encoders import huffman, jpeg, trellis

pytestmark = pytest.mark.numerics

RNG = np.random.default_rng(0)


def cost(levels, coefficients, steps, weights, rates):
    """Restate what a block costs: weighted squared error of AC, and its symbols' rates."""
    error = (weights * (coefficients - levels * steps) ** 2)[1:].sum()
    rate, zeros = 0.0, 0
    for level in levels[1:]:
        if level == 0:
            zeros += 1
            continue
        rate += zeros // 16 * rates[huffman.ZRL]
        rate += rates[zeros % 16, abs(int(level)).bit_length()]
        zeros = 0
    return error + rate + (rates[huffman.EOB] if zeros else 0)


def test_zigzag_is_that_of_the_standard():
    expected = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48]
    assert jpeg.ZIGZAG[:22].tolist() == expected
    assert jpeg.ZIGZAG[-4:].tolist() == [47, 55, 62, 63]
    assert sorted(jpeg.ZIGZAG) == list(range(64))


@pytest.mark.parametrize("places", [(1, 2, 3, 4, 5), (1, 18, 35, 36, 63), (2, 20, 40, 50, 62)])
def test_levels_are_those_of_an_exhaustive_search(places):
    """All of 3^5 choices; runs beyond 16 and 32 zeros, last places 62 and 63."""
    rates = RNG.uniform(1, 12, (16, 11)).astype(np.float32)
    steps = RNG.integers(4, 20, 64).astype(np.float32)
    weights = RNG.uniform(0.5, 2, 64).astype(np.float32)
    blocks = trellis.shape_class(1)
    coefficients = np.zeros((64, blocks), np.float32)
    sizes = RNG.uniform(0.6, 4, (5, blocks)) * RNG.choice([-1, 1], (5, blocks))
    coefficients[list(places)] = sizes * steps[list(places), None]
    block_weights = np.full(blocks, 0.1, np.float32)
    found = np.asarray(trellis.best_levels(coefficients, steps, weights, block_weights, rates))
    for block in range(12):
        values = coefficients[:, block]
        nearest = np.floor(np.abs(values) / steps + 0.5)
        options = [{0, max(0, nearest[p] - 1), nearest[p]} for p in places]
        best = np.inf
        for chosen in itertools.product(*options):
            levels = np.zeros(64)
            levels[list(places)] = chosen * np.sign(values[list(places)])
            best = min(best, cost(levels, values, steps, 0.1 * weights, rates))
        got = cost(found[:, block].astype(float), values, steps, 0.1 * weights, rates)
        assert got == pytest.approx(best, rel=1e-4)


def photograph_like(blocks):
    scale = 300 / (1 + np.arange(64))[:, None]
    return RNG.laplace(0, scale, (64, blocks)).astype(np.float32)


def part(coefficients, steps, weights=None):
    weights = np.ones(coefficients.shape[1]) if weights is None else weights
    ones = np.ones(64, np.float32)
    return trellis.Part(coefficients, steps, ones, weights.astype(np.float32))


def chosen(coefficients, steps, price, weights=None):
    return trellis.quantise([part(coefficients, steps, weights)], price)[0]


def test_without_a_price_for_bits_levels_are_rounded():
    coefficients, steps = photograph_like(100), np.full(64, 10, np.float32)
    levels = chosen(coefficients, steps, 0.0)
    expected = np.rint(coefficients / 10)
    halves = np.abs(np.abs(coefficients / 10) % 1 - 0.5) < 1e-4
    np.testing.assert_array_equal(levels[~halves], expected[~halves])
    assert levels.dtype == np.int16


def test_a_dearer_bit_means_fewer_bits_and_more_error():
    coefficients, steps = photograph_like(300), np.full(64, 10, np.float32)
    bits, errors = [], []
    for price in (0.0, 5.0, 20.0, 80.0):
        levels = chosen(coefficients, steps, price)
        counts = huffman.ac_counts(levels)
        bits.append((counts * huffman.ac_bits(counts)).sum())
        errors.append(((coefficients - levels * 10.0) ** 2).sum())
    assert bits == sorted(bits, reverse=True)
    assert errors == sorted(errors)
    assert len(set(bits)) == 4


def test_a_block_of_more_weight_keeps_more():
    """The same block twice, one of them worth ten times as much."""
    block = photograph_like(1)
    coefficients = np.repeat(block, 200, axis=1)
    weights = np.where(np.arange(200) % 2, 10.0, 1.0)
    steps = np.full(64, 8, np.float32)
    levels = chosen(coefficients, steps, 60.0, weights)
    error = ((coefficients - levels * 8.0) ** 2).sum(axis=0)
    assert (error[1::2] < error[::2]).all()
    assert len(set(error[::2])) == len(set(error[1::2])) == 1


@pytest.mark.parametrize("blocks", [1, 63, 64, 65, 1000, 4800, 5121, 375_000])
def test_shape_classes_hold_the_blocks_and_waste_an_eighth_at_most(blocks):
    padded = trellis.shape_class(blocks)
    assert blocks <= padded <= max(64, blocks * 9 / 8 + 64)
    assert trellis.shape_class(padded) == padded


def test_other_blocks_and_padding_change_nothing():
    """Levels depend on a block, the prices and nothing else."""
    rates = 10 * trellis.starting_bits()
    steps, ones = np.full(64, 9, np.float32), np.ones(64, np.float32)
    coefficients = photograph_like(128)
    args = (steps, ones)
    whole = trellis.best_levels(coefficients, *args, np.ones(128, np.float32), rates)
    half = trellis.best_levels(coefficients[:, :64], *args, np.ones(64, np.float32), rates)
    np.testing.assert_array_equal(np.asarray(whole)[:, :64], half)


def test_bands_and_threads_change_nothing(monkeypatch):
    """An image of many bands has the levels of one that is a single band."""
    coefficients, steps = photograph_like(700), np.full(64, 9, np.float32)
    weights = RNG.uniform(0.5, 2, 700)
    whole = chosen(coefficients, steps, 30.0, weights)
    monkeypatch.setattr(trellis, "BAND", 128)
    np.testing.assert_array_equal(chosen(coefficients, steps, 30.0, weights), whole)


def test_parts_share_the_costs_of_symbols():
    """Two parts of one table are what they are together; other tables have a say, too."""
    coefficients, steps = photograph_like(400), np.full(64, 9, np.float32)
    together = chosen(coefficients, steps, 30.0)
    apart = trellis.quantise(
        [part(coefficients[:, :150], steps), part(coefficients[:, 150:], steps)], 30.0
    )
    np.testing.assert_array_equal(np.concatenate(apart, axis=1), together)
    other = trellis.quantise([part(coefficients, steps), part(coefficients, 4 * steps)], 30.0)
    assert (other[0] != together).any()
