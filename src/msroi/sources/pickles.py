"""Pickles of weights, read without running what is in them.

A pickle is a program. `Restricted` lets it call nothing but what rebuilds arrays. The tensors of
PyTorch's files become arrays too, and need no PyTorch then.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msroi.errors import SourceError

ARRAYS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    # what rebuilds an array; taken from an array, since numpy moves it between its modules
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
}

# what a pickle that is none, or is made to do harm, makes the unpickler raise
DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError),
    *(MemoryError, OverflowError, RecursionError),
)

KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}  # of PyTorch's storages, that are read
# how its files begin that were written before version 1.6
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


class Storage(NamedTuple):
    """The numbers beneath one or more tensors: name, type and how many."""

    key: str
    kind: str
    numbers: int


class Tensor(NamedTuple):
    """A view of a storage: from which number on, how many along each axis, how far apart."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """Take what rebuilds a tensor in PyTorch, and leave gradients and hooks out."""
    return Tensor(storage, offset, shape, strides)


TENSORS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", name): kind for name, kind in KINDS.items()},
}


class Restricted(pickle.Unpickler):
    """An unpickler that knows nothing but the names in its table."""

    def __init__(self, file: BinaryIO, allowed: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file)
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the allowed names."""
        if (module, name) not in self.allowed:
            raise SourceError(
                f"The weights ask to load {module}.{name}, but a file of weights needs only "
                "arrays; nothing was run; do not use this file."
            )
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage that PyTorch's files mean by `("storage", type, key, …)`."""
        word, kind, key, _, numbers, *_ = pid
        if word != "storage" or kind not in KINDS.values():
            raise ValueError(f"{pid!r} is no storage")
        return Storage(key, kind, numbers)


def read_arrays(path: Path) -> Any:
    """Read a pickle of NumPy's arrays, in whatever lists and dictionaries.

    Raises
    ------
    SourceError
        If it is none, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            return Restricted(file, ARRAYS).load()
    except DAMAGE:
        raise SourceError(f"{path.name} is no pickle of arrays; fetch it again.") from None


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a PyTorch file in the form from before version 1.6.

    Such a file begins with five pickles. They hold a number, the format's version, the machine, the
    tensors by name, and the names of their storages. Then come the count and the numbers of every
    storage.

    Returns
    -------
    dict[str, NDArray[Any]]
        Contiguous arrays, float32 or int64.

    Raises
    ------
    SourceError
        If it is no such file, or asks for anything but tensors.
    """
    try:
        with path.open("rb") as file:
            magic, version, _, tree, keys = (Restricted(file, TENSORS).load() for _ in range(5))
            if magic != MAGIC or version != PROTOCOL:
                raise ValueError("neither number is PyTorch's")
            kinds = {tensor.storage.key: tensor.storage for tensor in tree.values()}
            stored = {key: _numbers(file, kinds[key]) for key in keys}
        return {str(name): _array(tensor, stored) for name, tensor in tree.items()}
    except DAMAGE:
        raise SourceError(f"{path.name} is no file of PyTorch's tensors; fetch it again.") from None


def _numbers(file: BinaryIO, storage: Storage) -> NDArray[Any]:
    """Read a storage: its count, which must be the one that the tensors named, and its numbers."""
    kind = np.dtype(storage.kind)
    count = int.from_bytes(file.read(8), "little")
    data = file.read(count * kind.itemsize) if count == storage.numbers else b""
    if len(data) != storage.numbers * kind.itemsize:
        raise ValueError(f"storage {storage.key} is not whole")
    return np.frombuffer(data, kind)


def _array(tensor: Tensor, stored: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Copy a tensor out of its storage, having seen to it that it lies within."""
    storage, offset, shape, strides = tensor
    numbers = stored[storage.key]
    if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
        raise ValueError("no shape of a tensor")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # each number is there once at most, so that a small file takes no large memory
    if 0 in shape or last >= len(numbers) or math.prod(shape) > len(numbers):
        raise ValueError("a tensor beyond its storage")
    steps = [step * numbers.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps).copy(order="C")
