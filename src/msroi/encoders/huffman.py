"""What Huffman coding of AC coefficients costs in a JPEG file, to the bit.

An AC symbol is a run of zeros (0 to 15) and the size of the level after it. The size is the number
of the level's bits, 1 to 10. Run 0 with size 0 ends the block (EOB). Run 15 with size 0 stands for
16 zeros (ZRL). After a symbol's code follow as many bits as the size says (ITU-T T.81, F.1.2.2).
"""

import numpy as np
from numpy.typing import NDArray

RUNS, SIZES = 16, 11
EOB, ZRL = (0, 0), (15, 0)
LONGEST = 16  # bits of a code (T.81, K.2)

Counts = NDArray[np.int64]


def sizes(levels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many bits the magnitude of each level has, with 0 for 0 (T.81, Table F.1)."""
    return np.asarray(np.frexp(np.abs(levels).astype(np.float64))[1], np.int64)


def ac_counts(levels: NDArray[np.integer]) -> Counts:
    """Count the AC symbols of blocks: `(16, 11)`, by run and size.

    `levels` `(64, B)` has a column a block, in zigzag order. Row 0, DC, does not count.
    """
    by_block = levels[1:].T
    block, place = np.nonzero(by_block)
    first = np.r_[True, block[1:] != block[:-1]] if block.size else np.zeros(0, bool)
    before = np.where(first, -1, np.r_[-1, place[:-1]][: place.size])
    zeros = place - before - 1
    symbols = zeros % RUNS * SIZES + sizes(by_block[block, place])
    counts = np.bincount(symbols, minlength=RUNS * SIZES).reshape(RUNS, SIZES)
    counts[ZRL] += (zeros // RUNS).sum()
    counts[EOB] += (by_block[:, -1] == 0).sum()
    return counts


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the length in bits of each symbol's code in an optimised JPEG, or 0 without one.

    The procedure of T.81, Annex K.2 (Figures K.1 to K.3) is Huffman's. It keeps one point free so
    that no code is all ones, and shortens codes of more than 16 bits. `counts` is flat. Unless it
    shortens a code, a more frequent symbol never has the longer one.
    """
    frequency = np.append(counts, 1).astype(np.int64)
    reserved = frequency.size - 1
    others = np.full(frequency.size, -1)
    length = np.zeros(frequency.size, np.int64)
    while True:
        # the two least frequent; of equals the one with the larger number, as K.2 has it
        present = np.flatnonzero(frequency)
        if present.size < 2:
            break
        order = present[np.lexsort((-present, frequency[present]))]
        v1, v2 = int(order[0]), int(order[1])
        frequency[v1] += frequency[v2]
        frequency[v2] = 0
        while True:
            length[v1] += 1
            if others[v1] < 0:
                break
            v1 = int(others[v1])
        others[v1] = v2
        while v2 >= 0:
            length[v2] += 1
            v2 = int(others[v2])
    number = np.bincount(length, minlength=LONGEST + 1)
    number[0] = 0
    for bits in range(number.size - 1, LONGEST, -1):
        while number[bits] > 0:
            shorter = bits - 2
            while number[shorter] == 0:
                shorter -= 1
            number[bits] -= 2
            number[bits - 1] += 1
            number[shorter + 1] += 2
            number[shorter] -= 1
    # the reserved point has one of the longest codes
    longest = int(np.flatnonzero(number)[-1]) if number.any() else 0
    number[longest] -= 1
    used = np.flatnonzero(counts)
    ranked = used[np.lexsort((used, length[used]))]
    lengths = np.zeros(reserved, np.int64)
    lengths[ranked] = np.repeat(np.arange(number.size), number)
    return lengths


def ac_bits(counts: Counts) -> NDArray[np.float32]:
    """Return the bits of each AC symbol, those after its code included: `(16, 11) float32`.

    Symbols that do not occur get the longest code: whoever wants one must pay for it.
    """
    lengths = code_lengths(counts.ravel()).reshape(counts.shape)
    codes = np.where(lengths > 0, lengths, LONGEST)
    return np.asarray(codes + np.arange(SIZES), np.float32)
