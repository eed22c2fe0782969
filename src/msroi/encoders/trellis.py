"""The trellis: quantisation that weighs each block's distortion against its bits.

For every 8x8 block the trellis chooses the levels that minimise `w D + lambda R`. D is the squared
error of the coefficients, and w the block's weight. R is the bits of run, size and level with the
Huffman tables of the file. The tables depend on the levels, so the trellis estimates them anew a
few times. Any JPEG decoder reads the result: only the encoder's choice of levels differs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import huffman
from msroi.xla import jax, jnp

NEVER = 1e30  # a cost that no path has
ROUNDS = 2  # a third is worth less than 0.01 dB
PER_OCTAVE = 8  # shapes between one power of two and the next
SAMPLE = 2048  # blocks from which the costs of symbols are estimated
BAND = 4096  # blocks that are worked on at once, at most: some 20 MB
NOTHING = np.zeros((huffman.RUNS, huffman.SIZES), np.int64)


def starting_bits() -> NDArray[np.float32]:
    """Return AC symbol costs from which the estimation starts: `(16, 11)`.

    They are roughly those of a photograph in the middle of the qualities. Each zero more halves the
    symbols, and each bit more leaves a third. Ends of blocks are a quarter of all.
    """
    run, size = np.mgrid[: huffman.RUNS, : huffman.SIZES]
    counts = np.where(size > 0, 2.0 ** (14 - run) * 3.0 ** (1 - size), 0.0)
    counts[huffman.ZRL] = 1
    counts[huffman.EOB] = counts.sum() / 3
    return huffman.ac_bits(np.ceil(counts).astype(np.int64))


class Part(NamedTuple):
    """Blocks that have a quantisation table in common.

    Attributes
    ----------
    coefficients
        `(64, B) float32`, a column a block, in zigzag order, of the orthonormal DCT.
    steps
        `(64,) float32`, the quantisation table in zigzag order.
    frequency_weights, block_weights
        `(64,)` and `(B,) float32`: what a squared error counts, by frequency and by block.
    """

    coefficients: NDArray[np.float32]
    steps: NDArray[np.float32]
    frequency_weights: NDArray[np.float32]
    block_weights: NDArray[np.float32]


def quantise(parts: Sequence[Part], bit_price: float) -> list[NDArray[np.int16]]:
    """Choose the levels of all blocks that share a Huffman table.

    It works on blocks in bands, so that memory does not grow with the image.

    Parameters
    ----------
    parts
        The blocks, by quantisation table.
    bit_price
        What a bit counts, in weighted squared error; 0 rounds to the nearest level.

    Returns
    -------
    The levels of each part, `(64, B) int16`. DC is rounded to the nearest level.
    """
    sample = [_sampled(part) for part in parts]
    bits = starting_bits()
    for _ in range(ROUNDS - 1):
        counts = [huffman.ac_counts(_cheapest(part, bit_price * bits)) for part in sample]
        bits = huffman.ac_bits(sum(counts, NOTHING))
    return [_cheapest(part, bit_price * bits) for part in parts]


def _sampled(part: Part) -> Part:
    """Return every n-th block of a part, at least `SAMPLE` of them: enough for symbols' costs."""
    every = max(1, part.block_weights.size // SAMPLE)
    coefficients = np.ascontiguousarray(part.coefficients[:, ::every])
    return part._replace(coefficients=coefficients, block_weights=part.block_weights[::every])


def _cheapest(part: Part, rates: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return the best levels of a part for given costs of symbols, band by band."""
    blocks = part.coefficients.shape[1]
    levels = np.empty((64, blocks), np.int16)
    size = -(-blocks // -(-blocks // BAND))  # bands of one size, which is compiled once

    def fill(start: int) -> None:
        band = slice(start, min(start + size, blocks))
        spare = shape_class(band.stop - start) - (band.stop - start)  # blocks of zeros
        chosen = best_levels(
            np.pad(part.coefficients[:, band], ((0, 0), (0, spare))),
            part.steps,
            part.frequency_weights,
            np.pad(part.block_weights[band], (0, spare)),
            rates,
        )
        levels[:, band] = np.asarray(chosen)[:, : band.stop - start]

    starts = range(0, blocks, size)
    if len(starts) == 1:
        fill(0)
    else:  # JAX works without holding the interpreter's lock
        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, starts))
    return levels


def shape_class(blocks: int) -> int:
    """Return the next number of blocks for which JAX compiles the trellis.

    There are eight to an octave, from 64 on, so that at most an eighth goes to waste. A folder of
    photographs of all sizes compiles a few times.
    """
    grain = max(64, 1 << max(0, (blocks - 1).bit_length() - PER_OCTAVE.bit_length()))
    return -(-max(blocks, 1) // grain) * grain


@jax.jit
def best_levels(
    coefficients: jax.Array,
    steps: jax.Array,
    frequency_weights: jax.Array,
    block_weights: jax.Array,
    rates: jax.Array,
) -> jax.Array:
    """Find each block's levels of the least cost for given costs of symbols.

    Dynamic programming along the zigzag. The state is the number of zeros since the last nonzero
    level, modulo 16. At the 16th the path pays a ZRL at once, as it must before the next nonzero
    level. It pays for the end of a block at its last nonzero level, so that zeros after it pay for
    no ZRL. At each place a coefficient may become the nearest level, the next one towards zero, or
    zero.

    Parameters
    ----------
    rates
        `(16, 11)`: the cost of each symbol with the bits after it, in units of the
        weighted squared error. The others as in `Part`, B of a `shape_class`.

    Returns
    -------
    `(64, B) int16`.
    """
    scaled = jnp.abs(coefficients) / steps[:, None]
    worth = (frequency_weights * steps**2)[:, None] * block_weights
    zeroed = worth * scaled**2  # the cost of a zero at each place
    after = jnp.cumsum(zeroed[::-1], axis=0)[::-1] - zeroed  # of zeros at all later places
    step = partial(_step, rates)
    start = _start(zeroed, rates)
    places = jnp.arange(1, 64)
    by_place = (places, scaled[1:], worth[1:], zeroed[1:], after[1:])
    finish, choices = jax.lax.scan(step, start, by_place)
    levels = _traced_back(finish[3], places, *choices)
    signed = levels * jnp.sign(coefficients[1:]).astype(jnp.int16)
    dc = jnp.round(coefficients[:1] / steps[0]).astype(jnp.int16)
    return jnp.concatenate([dc, signed])


def _start(zeroed: jax.Array, rates: jax.Array) -> Any:
    """Return the state before place 1: costs and last nonzero place by run, and best end so far."""
    blocks = zeroed.shape[1]
    costs = jnp.full((huffman.RUNS, blocks), NEVER).at[0].set(0.0)
    last = jnp.zeros((huffman.RUNS, blocks), jnp.int32)
    all_zero = zeroed[1:].sum(axis=0) + rates[huffman.EOB]
    return costs, last, all_zero, jnp.zeros(blocks, jnp.int32)


def _step(rates: jax.Array, state: Any, at: Any) -> Any:
    """Go on by one place, and return its best nonzero level and the nonzero place before it too."""
    costs, last, best, best_place = state
    place, scaled, worth, zeroed, after = at

    def ending_in(level: jax.Array) -> tuple[jax.Array, jax.Array]:
        size = jnp.frexp(level)[1]
        paths = costs + rates[:, jnp.clip(size, 0, huffman.SIZES - 1)]
        run = paths.argmin(axis=0)
        before = jnp.take_along_axis(last, run[None], axis=0)[0]
        cost = paths.min(axis=0) + worth * (scaled - level) ** 2
        return jnp.where(level >= 1, cost, NEVER), before

    nearest = jnp.floor(scaled + 0.5)
    (cost, before), (lower_cost, lower_before) = ending_in(nearest), ending_in(nearest - 1)
    lower = lower_cost < cost
    level = jnp.where(lower, nearest - 1, nearest).astype(jnp.int16)
    cost = jnp.where(lower, lower_cost, cost)
    before = jnp.where(lower, lower_before, before)

    with_zero = costs + zeroed
    sixteen = with_zero[15] + rates[huffman.ZRL]
    costs = jnp.concatenate([jnp.minimum(cost, sixteen)[None], with_zero[:15]])
    newest = jnp.where(cost <= sixteen, place, last[15])
    last = jnp.concatenate([newest[None], last[:15]])
    end = cost + after + jnp.where(place < 63, rates[huffman.EOB], 0.0)
    ends_here = end < best
    best = jnp.where(ends_here, end, best)
    best_place = jnp.where(ends_here, place, best_place)
    return (costs, last, best, best_place), (level, before)


def _traced_back(
    ends: jax.Array, places: jax.Array, levels: jax.Array, before: jax.Array
) -> jax.Array:
    """Follow each block's best path back from its last nonzero place: `(63, B) int16`."""

    def step(current: jax.Array, at: Any) -> Any:
        place, level, previous = at
        here = current == place
        return jnp.where(here, previous, current), jnp.where(here, level, 0)

    kept: jax.Array
    _, kept = jax.lax.scan(step, ends, (places, levels, before), reverse=True)
    return kept
