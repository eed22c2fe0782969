"""VGG16's features of one image by NumPy, in half the time that XLA's convolutions take on CPUs.

The method is F(4 × 4, 3 × 3) of Lavin & Gray 2016 ("Fast algorithms for convolutional neural
networks"). It computes 4 × 4 places at once, from the 6 × 6 places of the input that they depend
on. It transforms these, multiplies them by a transformed kernel, and transforms the product back.
That takes 36 multiplications in place of 144. Values are those of `vgg.PRETRAINED` but for
rounding, a hundred thousandth of the largest. It compiles nothing, so a new size of image takes no
longer than another.

Features lie as tiles of 4 × 4 places, `(4, 4, 2 + tiles down, 2 + tiles across, C)`. The place of
row 4 t + i and column 4 u + j is `[i, j, 1 + t, 1 + u]`. So each step goes through long runs of
memory. Around the image lies a tile of zeros, and what its last tiles have beyond it is 0 too.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from msroi.cores import cores
from msroi.images import Pixels
from msroi.network import vgg

Array = NDArray[np.float32]

SIDE = 4  # places of a tile
SEEN = SIDE + 2  # places of the input that a tile's side depends on
# how many tiles at once: fewer of many channels, so that a thread needs 30 MB at most
TILES, VALUES = 256, 128 * 512
MOST_THREADS = 8
# a kernel's side of 3 to SEEN, which is G in the paper
FILTER = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


def to_tiles(features: Array) -> Array:
    """Bring features `(h, w, C)` to tiles."""
    height, width, channels = features.shape
    tiles = _no_tiles(-(-height // SIDE), -(-width // SIDE), channels)
    for i, j in product(range(SIDE), repeat=2):
        of = features[i::SIDE, j::SIDE]
        tiles[i, j, 1 : 1 + of.shape[0], 1 : 1 + of.shape[1]] = of
    return tiles


def from_tiles(tiles: Array, height: int, width: int) -> Array:
    """Bring tiles back to features `(h, w, C)`."""
    features = np.empty((height, width, tiles.shape[-1]), np.float32)
    for i, j in product(range(SIDE), repeat=2):
        of = features[i::SIDE, j::SIDE]
        of[:] = tiles[i, j, 1 : 1 + of.shape[0], 1 : 1 + of.shape[1]]
    return features


def pooled(tiles: Array) -> Array:
    """Pool tiles of even height and width 2 × 2 by their maximum."""
    down, across = tiles.shape[2] - 2, tiles.shape[3] - 2
    out = _no_tiles(-(-down // 2), -(-across // 2), tiles.shape[-1])
    for i, j in product(range(SIDE), repeat=2):
        (t, a), (u, b) = divmod(i, 2), divmod(j, 2)
        four = [
            tiles[2 * a + e, 2 * b + f, 1 + t : 1 + down : 2, 1 + u : 1 + across : 2]
            for e, f in product(range(2), repeat=2)
        ]
        rows, columns = four[0].shape[:2]
        of = out[i, j, 1 : 1 + rows, 1 : 1 + columns]
        np.maximum(np.maximum(four[0], four[1], out=of), np.maximum(four[2], four[3]), out=of)
    return out


def _no_tiles(down: int, across: int, channels: int) -> Array:
    return np.zeros((SIDE, SIDE, 2 + down, 2 + across, channels), np.float32)


def transformed(kernel: Array) -> Array:
    """Transform a kernel `(3, 3, n_in, n_out)` to `(36, n_in, n_out)`: columns first, then rows."""
    both = np.einsum("ai,bj->baij", FILTER, FILTER).reshape(SEEN**2, -1).astype(np.float32)
    n_in, n_out = kernel.shape[2:]
    return np.asarray(both @ kernel.reshape(9, -1)).reshape(SEEN**2, n_in, n_out)


def bands(down: int, across: int, channels: int) -> Iterator[slice]:
    """Yield the rows of tiles to compute at once: even in number, for two cores."""
    count = 2 * -(-down * across // (2 * min(TILES, VALUES // channels)))
    rows = -(-down // count)
    yield from (slice(top, min(top + rows, down)) for top in range(0, down, rows))


class Rooms(threading.local):
    """A thread's own three pieces of memory, which each step overwrites."""

    def __init__(self) -> None:
        """Begin with none."""
        self.pieces: list[Array] = [np.empty(0, np.float32)] * 3

    def of(self, size: int) -> list[Array]:
        """Return pieces of at least so many values."""
        if self.pieces[0].size < size:
            self.pieces = [np.empty(size, np.float32) for _ in self.pieces]
        return self.pieces


def _in(room: Array, *shape: int) -> Array:
    """Return the beginning of a piece of memory as an array of a shape."""
    return room[: np.prod(shape)].reshape(shape)


def fill(out: Array, tiles: Array, kernels: Array, bias: Array, band: slice, rooms: Rooms) -> None:
    """Compute a band of rows of tiles by `transformed` kernels, with the ReLU."""
    n_in, n_out = kernels.shape[1:]
    rows, across = band.stop - band.start, tiles.shape[3] - 2
    one, two, three = rooms.of(SEEN**2 * rows * (across + 2) * max(n_in, n_out))

    inner, before, after = (slice(band.start + n, band.stop + n) for n in (1, 0, 2))
    down = [tiles[SIDE - 1, :, before], *tiles[:, :, inner], tiles[0, :, after]]
    shape = SIDE, rows, across + 2, n_in
    seen = _transform(down, _in(one, SEEN, *shape), _in(three, 2, *shape))
    middle = seen[:, :, :, 1:-1].swapaxes(0, 1)
    sides = [seen[:, SIDE - 1, :, :-2], *middle, seen[:, 0, :, 2:]]
    shape = SEEN, rows, across, n_in
    data = _transform(sides, _in(two, SEEN, *shape), _in(three, 2, *shape))

    products = _in(one, SEEN, SEEN, rows, across, n_out)
    given = data.reshape(SEEN**2, -1, n_in)
    np.matmul(given, kernels, out=products.reshape(SEEN**2, -1, n_out))

    shape = SEEN, rows, across, n_out
    columns = _back(products, _in(two, SIDE, *shape), _in(three, 2, *shape))
    shape = SIDE, rows, across, n_out
    places = _back(columns.swapaxes(0, 1), _in(one, SIDE, *shape), _in(three, 2, *shape))
    places += bias
    np.maximum(places, 0, out=out[:, :, inner, 1:-1])


def fill_directly(
    out: Array, tiles: Array, kernel: Array, bias: Array, band: slice, rooms: Rooms
) -> None:
    """Compute the same by patches and a kernel `(3, 3, n_in, n_out)`: quicker for few channels."""
    n_in, n_out = kernel.shape[2:]
    rows, across = band.stop - band.start, tiles.shape[3] - 2
    one, two, _ = rooms.of(rows * across * max(9 * n_in, n_out))
    patches, places = _in(one, rows, across, 3, 3, n_in), _in(two, rows, across, n_out)
    for i, j in product(range(SIDE), repeat=2):
        for y, x in product(range(3), repeat=2):
            (t, row), (u, column) = divmod(i + y - 1, SIDE), divmod(j + x - 1, SIDE)
            seen = tiles[row, column, band.start + 1 + t : band.stop + 1 + t]
            patches[:, :, y, x] = seen[:, 1 + u : 1 + u + across]
        np.matmul(patches.reshape(rows, across, -1), kernel.reshape(-1, n_out), out=places)
        places += bias
        np.maximum(places, 0, out=out[i, j, band.start + 1 : band.stop + 1, 1:-1])


def _transform(given: Sequence[Array], out: Array, room: Array) -> Array:
    """Transform six places of the input, each an array, to six: Bᵀ in the paper."""
    d0, d1, d2, d3, d4, d5 = given
    even, odd = room
    np.subtract(d4, d2, out=even)
    np.subtract(d3, d1, out=odd)
    np.subtract(d0, d2, out=out[0])  # 4 d0 - 5 d2 + d4
    out[0] *= 4
    out[0] += even
    np.multiply(odd, -4, out=out[5])  # 4 d1 - 5 d3 + d5
    out[5] += d5
    out[5] -= d3
    odd *= 2
    np.add(even, odd, out=out[3])
    np.subtract(even, odd, out=out[4])
    np.multiply(d2, -4, out=even)
    even += d4
    np.multiply(d1, -4, out=odd)
    odd += d3
    np.add(even, odd, out=out[1])
    np.subtract(even, odd, out=out[2])
    return out


def _back(given: Array, out: Array, room: Array) -> Array:
    """Transform six products, each an array, to four places: Aᵀ in the paper."""
    m0, m1, m2, m3, m4, m5 = given
    plus, minus = room
    np.add(m1, m2, out=out[0])
    np.subtract(m1, m2, out=out[1])
    np.add(m3, m4, out=plus)
    np.subtract(m3, m4, out=minus)
    np.multiply(plus, 4, out=out[2])
    out[2] += out[0]
    out[0] += plus
    out[0] += m0
    minus *= 2
    np.multiply(minus, 4, out=out[3])
    out[3] += out[1]
    out[3] += m5
    out[1] += minus
    return out


class Trunk:
    """VGG16's convolutions up to one of them, for images of any size."""

    def __init__(self, vgg16: vgg.Weights, last: str) -> None:
        """Take the convolutions up to `last`, `conv1_1` … `conv5_3`."""
        names = [name for name in vgg.layer_names(0) if name.startswith("conv")]
        self.names = names[: names.index(last) + 1]
        self.weights = vgg16
        # BLAS would share each product out to threads, which then wait for one another
        self._blas = ThreadpoolController().select(user_api="blas")
        self._alone = threading.Lock()
        self._pool = ThreadPoolExecutor(min(len(cores()), MOST_THREADS))

    def layers(self, image: Pixels, names: Sequence[str]) -> dict[str, Array]:
        """Return what some of the convolutions give, each after its ReLU, by name.

        Values depend on nothing but the image, however many cores there are. Where several threads
        ask, one image waits for the other.

        Parameters
        ----------
        image
            `(H, W, 3) uint8`, with sides that are multiples of 16.
        names
            Of the convolutions, in any order.

        Returns
        -------
        `(h, w, C) float32` each: H and W, or a half, …, a sixteenth of them.
        """
        tiles = to_tiles((image - self.weights["input/mean"]) / self.weights["input/std"])
        height, width = image.shape[:2]
        found: dict[str, Array] = {}
        with self._alone, self._blas.limit(limits=1):
            rooms = Rooms()
            for name in self.names:
                if name.endswith("_1") and name != self.names[0]:
                    tiles = pooled(tiles)
                    height, width = height // 2, width // 2
                tiles = self._convolved(name, tiles, height, width, rooms)
                if name in names:
                    found[name] = from_tiles(tiles, height, width)
        return found

    def _convolved(self, name: str, tiles: Array, height: int, width: int, rooms: Rooms) -> Array:
        """Return the tiles that a convolution makes of those of `(height, width, n_in)`."""
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        n_in, n_out = kernel.shape[2:]
        down, across = tiles.shape[2] - 2, tiles.shape[3] - 2
        out = _no_tiles(down, across, n_out)
        few = n_in < SEEN
        fill_by = fill_directly if few else fill
        given = kernel if few else transformed(kernel)

        def fill_band(band: slice) -> None:
            fill_by(out, tiles, given, bias, band, rooms)

        found = self._pool.map(fill_band, bands(down, across, max(n_in, n_out)))
        list(found)  # waits, and raises what a thread has raised
        if height % SIDE:
            out[height % SIDE :, :, down] = 0
        if width % SIDE:
            out[:, width % SIDE :, :, across] = 0
        return out
