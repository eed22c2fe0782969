"""PyTorch's files of weights as before its version 1.6, written without PyTorch."""

import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.sources.pickles import MAGIC, PROTOCOL


def _rebuild_tensor_v2(*_: Any) -> None:
    """Stand for PyTorch's function of this name."""


class FloatStorage:
    """Stand for PyTorch's class of this name."""


class LongStorage:
    """Stand for PyTorch's class of this name."""


KINDS = {"f": FloatStorage, "i": LongStorage}
PLACES = {"torch._utils": [_rebuild_tensor_v2], "torch": [FloatStorage, LongStorage]}


class Numbers:
    """A storage: its numbers, and the name it goes by."""

    def __init__(self, key: str, numbers: NDArray[Any]) -> None:
        self.key, self.numbers = key, numbers


class View:
    """A tensor: a part of a storage."""

    def __init__(self, storage: Numbers, offset: Any, shape: Any, strides: Any) -> None:
        self.parts = storage, offset, shape, strides, False, OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_tensor_v2, self.parts


class Pickler(pickle.Pickler):
    """Writes storages as PyTorch does, by name."""

    def persistent_id(self, obj: Any) -> Any:
        """Name a storage."""
        if not isinstance(obj, Numbers):
            return None
        kind = KINDS[obj.numbers.dtype.kind]
        return "storage", kind, obj.key, "cpu", obj.numbers.size, None


def pickled(value: Any) -> bytes:
    """Pickle with PyTorch's names for the stand-ins above."""
    before = {name: sys.modules.get(name) for name in PLACES}
    for name, members in PLACES.items():
        module = sys.modules[name] = ModuleType(name)
        for member in members:
            member.__module__ = name
            setattr(module, member.__name__, member)
    try:
        file = io.BytesIO()
        Pickler(file, 2).dump(value)
        return file.getvalue()
    finally:
        for name, there in before.items():
            del sys.modules[name]
            if there is not None:
                sys.modules[name] = there


def file_of(tree: Any, storages: list[Numbers], magic: int = MAGIC) -> bytes:
    """Return a file of a tree of tensors."""
    machine = {"little_endian": True, "protocol_version": PROTOCOL}
    head = [magic, PROTOCOL, machine, tree, [of.key for of in storages]]
    data = [of.numbers.size.to_bytes(8, "little") + of.numbers.tobytes() for of in storages]
    return b"".join([*map(pickled, head), *data])


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays, each in a storage of its own, with the last axis first in memory.

    The file that the project reads came out of TensorFlow, so its axes lie in another order.
    """
    tree, storages = OrderedDict(), []
    for number, (name, array) in enumerate(arrays.items()):
        array = np.asarray(array)
        numbers = np.asarray(array, order="F").ravel(order="K")
        storages.append(Numbers(str(1000 - number), numbers))
        strides = tuple(step // array.itemsize for step in np.asarray(array, order="F").strides)
        tree[name] = View(storages[-1], 0, array.shape, strides)
    path.write_bytes(file_of(tree, storages[::-1]))
    return path
