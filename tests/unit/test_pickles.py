"""PyTorch's files, read without PyTorch: what is in them, and what they may not do."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_file
from torch_file import Numbers, View

from msroi.errors import SourceError
from msroi.sources.pickles import read_tensors

SIX = Numbers("7", np.arange(6, dtype=np.float32))


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(SourceError) as error:
        read_tensors(path)
    return str(error.value)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "conv.weight": rng.normal(size=(4, 3, 2, 5)).astype(np.float32),
        "norm.bias": rng.normal(size=7).astype(np.float32),
        "norm.num_batches_tracked": np.array(12345678901),
    }
    got = read_tensors(torch_file.write(tmp_path / "a.pth", arrays))
    assert list(got) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].dtype == array.dtype
        assert got[name].flags.c_contiguous


def test_tensors_may_be_parts_of_one_storage(tmp_path: Path) -> None:
    tree = {"rows": View(SIX, 0, (2, 3), (3, 1)), "column": View(SIX, 1, (2,), (3,))}
    (tmp_path / "a.pth").write_bytes(torch_file.file_of(tree, [SIX]))
    got = read_tensors(tmp_path / "a.pth")
    assert got["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert got["column"].tolist() == [1, 4]


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (2, 3), (3, 1)),  # ends beyond it
        (0, (7,), (1,)),
        (6, (), ()),
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
        (0, (2, 3), (3,)),
        (0, (1 << 20, 1 << 20), (0, 0)),  # one number, a terabyte of times
        (0, (1.5,), (1,)),
        (0, "ab", "cd"),
    ],
)
def test_no_tensor_reaches_beyond_its_storage(
    tmp_path: Path, offset: Any, shape: Any, strides: Any
) -> None:
    data = torch_file.file_of({"x": View(SIX, offset, shape, strides)}, [SIX])
    assert refusal(tmp_path / "a.pth", data) == (
        "a.pth is no file of PyTorch's tensors; fetch it again."
    )


WHOLE = torch_file.file_of({"x": View(SIX, 0, (6,), (1,))}, [SIX])
OTHER = Numbers("7", np.arange(5, dtype=np.float32))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        WHOLE[:-1],
        WHOLE[:40],
        torch_file.file_of({"x": View(SIX, 0, (6,), (1,))}, [SIX], magic=1),
        torch_file.file_of({"x": View(SIX, 0, (5,), (1,))}, [OTHER]),  # not as many as announced
        torch_file.file_of({"x": View(SIX, 0, (6,), (1,))}, []),
        torch_file.file_of({"x": 3}, [SIX]),
        torch_file.file_of([1, 2], [SIX]),
        pickle.dumps({"x": 1}),
        b"PK\x03\x04" + bytes(100),  # a file as PyTorch writes it since 1.6
    ],
)
def test_a_damaged_file(tmp_path: Path, data: bytes) -> None:
    assert refusal(tmp_path / "a.pth", data) == (
        "a.pth is no file of PyTorch's tensors; fetch it again."
    )


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_nothing_in_the_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for tree in ({"x": Evil(mark)}, OrderedDict(x=View(SIX, Evil(mark), (1,), (1,)))):
        said = refusal(tmp_path / "a.pth", torch_file.file_of(tree, [SIX]))
        assert said.startswith("The weights ask to load ")
        assert said.endswith(
            ", but a file of weights needs only arrays; nothing was run; do not use this file."
        )
        assert not mark.exists()


@pytest.mark.parametrize("name", ["torch.load", "torch._utils._rebuild_sparse", "numpy.ndarray"])
def test_only_what_tensors_need_is_allowed(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    said = refusal(tmp_path / "a.pth", f"c{module}\n{function}\n)R.".encode())
    assert said.startswith(f"The weights ask to load {name}, ")
