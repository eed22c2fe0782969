"""The same network in PyTorch, as the peer: its own layers, our weights."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.errors import MissingError
from msroi.network import vgg


@contextmanager
def needed(what: str) -> Iterator[None]:
    """Say in a sentence, as a `MissingError`, that what a block imports is not installed."""
    try:
        yield
    except ImportError:
        raise MissingError(
            f"This benchmark compares with {what}, and not all of that is installed here; "
            "`make bench` installs it, and so does: "
            "pip install --require-hashes -r requirements/bench.txt"
        ) from None


def torch() -> Any:
    """Return PyTorch, set to as many threads as there are cores to run on.

    Raises
    ------
    MissingError
        If it is not installed.
    """
    with needed("PyTorch"):
        import torch
    torch.set_num_threads(cores())
    return torch


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_formats() -> tuple[Any, Any]:
    """Return the layouts to choose from: channels last, and PyTorch's usual one."""
    return torch().channels_last, torch().contiguous_format


def blocks(weights: vgg.Weights, first: int, last: int) -> list[Any]:
    """Return VGG16's blocks `first` to `last` - 1 (0 to 5), each a `Sequential`."""
    nn = torch().nn
    return [
        nn.Sequential(*convolutions(weights, block + 1, vgg.CONVOLUTIONS[block]), nn.MaxPool2d(2))
        for block in range(first, last)
    ]


def classifier(weights: vgg.Weights, first: int) -> Any:
    """Return blocks `first` on, the three new convolutions, GAP and class weights."""
    nn = torch().nn
    gap = nn.Linear(*weights["gap/kernel"].shape, bias=False)
    gap.weight.data = tensor(weights["gap/kernel"].T)
    return nn.Sequential(
        *blocks(weights, first, len(vgg.CONVOLUTIONS)),
        *convolutions(weights, len(vgg.CONVOLUTIONS) + 1, vgg.HEAD),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        gap,
    )


def convolutions(weights: vgg.Weights, block: int, count: int) -> Iterator[Any]:
    """Yield the convolutions of block 1 to 6, each followed by its ReLU."""
    nn = torch().nn
    for layer in range(1, count + 1):
        kernel = weights[f"conv{block}_{layer}/kernel"].transpose(3, 2, 0, 1)
        conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
        conv.weight.data = tensor(kernel)
        conv.bias.data = tensor(weights[f"conv{block}_{layer}/bias"])
        yield conv
        yield nn.ReLU(inplace=True)


def tensor(array: NDArray[np.float32]) -> Any:
    """Return a copy of an array as a tensor in the usual layout."""
    return torch().tensor(np.ascontiguousarray(array))


def images(array: NDArray[np.float32]) -> Any:
    """Turn `(B, H, W, C)` into a tensor `(B, C, H, W)` in the usual layout."""
    return tensor(array.transpose(0, 3, 1, 2))


def steps(model: Any, inputs: Any, labels: Any, learning_rate: float) -> Iterator[float]:
    """Train on one batch, over and over; yield the loss before each step.

    Adam in PyTorch's fastest form for CPUs, one fused kernel.
    """
    optimizer = torch().optim.Adam(model.parameters(), learning_rate, fused=True)
    loss_of = torch().nn.CrossEntropyLoss()
    while True:
        optimizer.zero_grad()
        loss = loss_of(model(inputs), labels)
        loss.backward()
        optimizer.step()
        yield loss.item()


def first(values: Iterator[float], count: int) -> list[float]:
    """Return the first values."""
    return list(islice(values, count))
