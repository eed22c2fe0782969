"""Code lengths and symbol counts against the tables that libjpeg writes for the same levels."""

import io

import jpeglib
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import huffman, jpeg


def tables_of(data):
    """Return the AC tables of a JPEG's DHT segments: table -> symbol -> length of its code."""
    found, at = {}, 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xC4:
            place = at + 4
            while place < end:
                kind, numbers = data[place], data[place + 1 : place + 17]
                symbols = data[place + 17 : place + 17 + sum(numbers)]
                lengths = np.repeat(np.arange(1, 17), list(numbers))
                if kind >= 0x10:
                    found[kind - 0x10] = dict(zip(symbols, lengths.tolist(), strict=True))
                place += 17 + sum(numbers)
        at = end
    return found


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("name", ["camera", "coins"])
def test_code_lengths_are_those_libjpeg_writes(name, quality, tmp_path):
    """An optimised grey JPEG by Pillow, its levels read by jpeglib."""
    buffer = io.BytesIO()
    Image.fromarray(getattr(skimage.data, name)()).save(
        buffer, "JPEG", quality=quality, optimize=True
    )
    path = tmp_path / "grey.jpg"
    path.write_bytes(buffer.getvalue())
    levels = jpeglib.read_dct(str(path)).Y.reshape(-1, 64)[:, jpeg.ZIGZAG].T
    counts = huffman.ac_counts(levels)
    lengths = huffman.code_lengths(counts.ravel()).reshape(counts.shape)
    expected = np.zeros((16, 11), int)
    for symbol, length in tables_of(buffer.getvalue())[0].items():
        expected[symbol >> 4, symbol & 15] = length
    np.testing.assert_array_equal(lengths, expected)


def test_sizes_are_bit_lengths():
    levels = np.array([0, 1, -1, 2, 3, -4, 7, 8, -1023])
    assert huffman.sizes(levels).tolist() == [abs(int(level)).bit_length() for level in levels]


def test_counts_of_a_block_by_hand():
    """17 zeros, 5, -1, and zeros to the end: ZRL, (1, 3), (0, 1), EOB; then 63 of 1."""
    levels = np.zeros((64, 3), np.int16)
    levels[0] = 7  # DC is not counted
    levels[18, 0], levels[19, 0] = 5, -1
    levels[1:, 1] = 1
    counts = huffman.ac_counts(levels)
    found = {(run, size): int(counts[run, size]) for run, size in np.argwhere(counts).tolist()}
    assert found == {huffman.ZRL: 1, (1, 3): 1, (0, 1): 64, huffman.EOB: 2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=176).filter(any))
def test_codes_fit_and_leave_one_free(counts):
    """Kraft's sum is below 1, since the code of all ones is not used; no code above 16 bits."""
    counts = np.array(counts)
    lengths = huffman.code_lengths(counts)
    assert ((lengths > 0) == (counts > 0)).all()
    assert lengths.max() <= 16
    assert (0.5 ** lengths[lengths > 0]).sum() < 1
    if lengths.max() == 16:  # codes may have been shortened, and given out by symbol
        return
    more = counts[:, None] > counts[None]
    present = (counts[:, None] > 0) & (counts[None] > 0)
    assert (lengths[:, None] <= lengths[None])[more & present].all()


def test_a_symbol_that_is_absent_costs_the_longest_code():
    counts = np.zeros((16, 11), np.int64)
    counts[huffman.EOB], counts[0, 1] = 5, 9
    bits = huffman.ac_bits(counts)
    assert bits[0, 1] == 1 + 1
    assert bits[huffman.EOB] == 2
    assert bits[3, 4] == 16 + 4
