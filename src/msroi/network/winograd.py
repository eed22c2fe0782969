"""Convolution with kernels of 3 × 3 in a quarter of the multiplications.

Winograd's minimal filtering F(4 × 4, 3 × 3), as Lavin and Gray 2016 ("Fast algorithms for
convolutional neural networks", section 4.3) write it: a tile of 6 × 6 values and a kernel are
transformed, multiplied and summed over the channels, and transformed back into 4 × 4 sums. On
CPUs that takes half of the time of XLA's convolution; values differ by some 1e-5 of the largest.
XLA needs half a second to compile it for a size, which is worth it from a hundred thousand pixels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msroi.xla import jax, jnp

SIDE = 4  # of what a tile gives
TILE = SIDE + 2
TILES = 160  # that are worked on at once: so few that they stay in the cache

Values = NDArray[np.float32]
Matrix = Sequence[Sequence[float]]

OF_TILE: Matrix = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
OF_KERNEL: Matrix = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OF_PRODUCT: Matrix = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def transformed(kernel: Values) -> Values:
    """Return a kernel `(3, 3, C, D)` as `convolve` takes it: `(36, C, D)`."""
    of_kernel = np.array(OF_KERNEL)
    found = np.einsum("ia,jb,abcd->ijcd", of_kernel, of_kernel, kernel.astype(np.float64))
    flat: Values = found.reshape(TILE * TILE, *kernel.shape[2:]).astype(np.float32)
    return flat


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve with stride 1 and zeros beyond the edges: `(H, W, C)` to `(H, W, D) float32`.

    Parameters
    ----------
    x
        `(H, W, C) float32`.
    kernel
        As `transformed` returns it.
    """
    height, width, channels = x.shape
    across = -(-width // SIDE)
    step = SIDE * max(round(TILES / across), 1)
    strips = -(-height // step)
    x = jnp.pad(x, ((1, step * strips + 1 - height), (1, SIDE * across + 1 - width), (0, 0)))

    def of_strip(number: jax.Array) -> jax.Array:
        size = (step + 2, SIDE * across + 2, channels)
        return _strip(jax.lax.dynamic_slice(x, (step * number, 0, 0), size), kernel)

    strips_of_y: jax.Array = jax.lax.map(of_strip, jnp.arange(strips))
    return strips_of_y.reshape(step * strips, SIDE * across, -1)[:height, :width]


def _strip(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve rows that tiles cover: `(4 n + 2, 4 m + 2, C)` to `(4 n, 4 m, D)`."""
    down, across = x.shape[0] // SIDE, x.shape[1] // SIDE
    rows = [x[i : i + SIDE * down - 3 : SIDE] for i in range(TILE)]
    half = jnp.stack([_combined(weights, rows) for weights in OF_TILE])
    columns = [half[:, :, i : i + SIDE * across - 3 : SIDE] for i in range(TILE)]
    tiles = jnp.stack([_combined(weights, columns) for weights in OF_TILE], 1)
    tiles = tiles.reshape(TILE * TILE, down * across, x.shape[2])
    products = jnp.einsum("ktc,kcd->ktd", tiles, kernel).reshape(TILE, TILE, down, across, -1)
    half = jnp.stack([_combined(weights, list(products)) for weights in OF_PRODUCT])
    columns = [half[:, i] for i in range(TILE)]
    y = jnp.stack([_combined(weights, columns) for weights in OF_PRODUCT], 3)
    return y.transpose(1, 0, 2, 3, 4).reshape(SIDE * down, SIDE * across, -1)


def _combined(weights: Sequence[float], arrays: Sequence[jax.Array]) -> jax.Array:
    """Return the weighted sum of arrays; those of weight 0 are left out."""
    first, *others = (w * x for w, x in zip(weights, arrays, strict=True) if w)
    return sum(others, start=first)
