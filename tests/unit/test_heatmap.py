"""Saliency maps by hand, against scikit-image, and from a network of random weights."""

import csv
import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import skimage.transform
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file
from skimage.metrics import structural_similarity

from msroi import heatmap, images, measures, spread, vgg
from msroi.errors import ImageError, MissingError
from msroi.images import read_rgb
from msroi.params import Heatmap
from msroi.plots import overlay

DECAY = Heatmap(
    input_px=96,
    evidence="classes",
    layers=("conv6_3",),
    top_classes=5,
    weighting="decay",
    centre=0.0,
    passes=3,
    passes_images=0,
    dropout=0.0,
)
SOFTMAX = replace(DECAY, weighting="softmax")


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def random_parts(seed, classes=7, filters=4):
    rng = np.random.default_rng(seed)
    features = rng.exponential(size=(3, 5, filters)).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(classes)).astype(np.float32)
    return features, rng.normal(size=(filters, classes)).astype(np.float32), probabilities


# weights of the classes


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_decay_is_the_recursion(count):
    """Run what the code of Prakash et al. does, on one indicator map a class."""
    maps = np.eye(count)
    combined = 1.2 * maps[-1]
    for more_probable in maps[-2::-1]:
        combined = (combined + more_probable) / 2
    np.testing.assert_allclose(heatmap.rank_weights(np.ones(count), "decay"), combined)


def test_decay_of_five_classes():
    weights = heatmap.rank_weights(np.ones(5), "decay")
    np.testing.assert_allclose(weights, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1.2 / 16])


def test_softmax_weights_are_probabilities_that_sum_to_1():
    probabilities = np.array([0.4, 0.2, 0.1], np.float32)
    weights = heatmap.rank_weights(probabilities, "softmax")
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, [4 / 7, 2 / 7, 1 / 7], rtol=1e-6)


def test_most_probable_first_and_ties_in_the_order_of_the_classes():
    probabilities = np.array([0.1, 0.3, 0.1, 0.3, 0.2], np.float32)
    assert heatmap.most_probable(probabilities, 5).tolist() == [1, 3, 4, 0, 2]
    assert heatmap.most_probable(probabilities, 2).tolist() == [1, 3]
    assert heatmap.most_probable(probabilities, 99).tolist() == [1, 3, 4, 0, 2]


# one map


def test_saliency_map_by_hand():
    """Two filters, two classes on 2x2.

    Class 0 = a - b = [[0, -2], [3, 1]], scaled [[0.4, 0], [1, 0.6]];
    class 1 = 2b = [[2, 4], [0, 2]], scaled [[0.5, 1], [0, 0.5]].
    Class 1 leads: decay weighs it 1/2, class 0 1.2/2; the sum is
    [[0.49, 0.5], [0.6, 0.61]], scaled [[0, 1/12], [11/12, 1]].
    """
    features = np.array([[[1, 1], [0, 2]], [[3, 0], [2, 1]]], np.float32)
    class_weights = np.array([[1, 0], [-1, 2]], np.float32)
    probabilities = np.array([0.25, 0.75], np.float32)
    got = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, DECAY)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[0, 1 / 12], [11 / 12, 1]], atol=1e-6)

    # softmax: 0.75 * class 1 + 0.25 * class 0 = [[0.475, 0.75], [0.25, 0.525]]
    got = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, SOFTMAX)
    np.testing.assert_allclose(got, [[0.45, 1], [0, 0.55]], atol=1e-6)

    # the leading class alone
    alone = replace(DECAY, top_classes=1)
    got = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, alone)
    np.testing.assert_allclose(got, [[0.5, 1], [0, 0.5]], atol=1e-6)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    top=st.integers(1, 12),
    weighting=st.sampled_from(["decay", "softmax"]),
    factor=st.floats(1e-3, 1e3),
)
def test_maps_fill_0_to_1_and_ignore_the_scale_of_features(seed, top, weighting, factor):
    features, class_weights, probabilities = random_parts(seed)
    params = replace(DECAY, top_classes=top, weighting=weighting)
    got = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, params)
    assert got.shape == (3, 5)
    assert (got.min(), got.max()) == (0, 1)
    larger = features * np.float32(factor)
    again = heatmap.saliency_map({"conv6_3": larger}, class_weights, probabilities, params)
    np.testing.assert_allclose(again, got, atol=2e-4)


def test_constant_features_give_a_zero_map():
    """Rounding, which differs from pixel to pixel, must not be stretched to [0, 1]."""
    for seed in range(20):
        features, class_weights, probabilities = random_parts(seed, filters=64)
        features[:] = features[0, 0]
        assert not heatmap.saliency_map(
            {"conv6_3": features}, class_weights, probabilities, DECAY
        ).any()


def test_one_class():
    features, class_weights, _ = random_parts(0, classes=1)
    certain = np.ones(1, np.float32)
    for params in (DECAY, SOFTMAX):
        got = heatmap.saliency_map({"conv6_3": features}, class_weights, certain, params)
        activation = features @ class_weights[:, 0]
        expected = (activation - activation.min()) / np.ptp(activation)
        np.testing.assert_allclose(got, expected, atol=1e-5)


# size


def test_enlarged_to_its_own_size_is_the_map():
    small = np.random.default_rng(0).random((7, 7), np.float32)
    np.testing.assert_array_equal(images.enlarged(small, 7, 7), small)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (224, 224), (7, 70), (63, 35)])
def test_enlarged_is_bilinear_between_pixel_centres(height, width):
    small = np.random.default_rng(1).random((7, 7), np.float32)
    expected = skimage.transform.resize(
        small, (height, width), order=1, mode="edge", anti_aliasing=False
    )
    got = images.enlarged(small, height, width)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (333, 501), (3, 5)])
@pytest.mark.parametrize("shape", [(7, 7), (1, 1), (2, 3)])
def test_enlarged_to_any_size_stays_within_0_and_1(size, shape):
    small = np.random.default_rng(2).integers(0, 2, shape).astype(np.float32)
    got = images.enlarged(small, *size)
    assert got.shape == size
    assert got.min() >= 0
    assert got.max() <= 1


def test_8_bits_round_to_nearest():
    assert images.to_8_bit(np.array([[0, 0.5 / 255 + 1e-4, 0.499, 1]], np.float32)).tolist() == [
        [0, 1, 127, 255]
    ]


# evidence of all features, and the centre


def test_evidence_of_features_is_their_energy_whatever_the_classes():
    features, class_weights, probabilities = random_parts(3)
    params = replace(DECAY, evidence="features")
    got = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, params)
    energy = np.einsum("hwk,hwk->hw", features, features)
    expected = (energy - energy.min()) / (energy.max() - energy.min())
    np.testing.assert_allclose(got, expected, atol=1e-6)
    other = heatmap.saliency_map({"conv6_3": features}, -class_weights, probabilities[::-1], params)
    np.testing.assert_array_equal(got, other)


def test_evidence_of_several_layers_is_the_sum_of_their_scaled_energies():
    """A layer of half the resolution comes in enlarged, whatever the scale of its values."""
    rng = np.random.default_rng(5)
    fine, coarse = (rng.exponential(size=(8 // n, 12 // n, 3)).astype(np.float32) for n in (1, 2))
    params = replace(DECAY, evidence="features", layers=("conv5_3", "conv6_3"))
    layers = {"conv5_3": fine, "conv6_3": 50 * coarse, "conv4_3": fine[::-1]}
    nothing = np.zeros((3, 1), np.float32), np.ones(1, np.float32)
    got = heatmap.saliency_map(layers, *nothing, params)
    small = heatmap.scaled(np.square(coarse, dtype=np.float64).sum(axis=2))
    large = heatmap.scaled(np.square(fine, dtype=np.float64).sum(axis=2))
    total = large + resize_by_hand(small)
    np.testing.assert_allclose(got, (total - total.min()) / (total.max() - total.min()), atol=1e-6)
    # the order of the layers does not count
    turned = replace(params, layers=params.layers[::-1])
    np.testing.assert_allclose(heatmap.saliency_map(layers, *nothing, turned), got, atol=1e-6)


def resize_by_hand(small):
    """Double a map's sides by the triangle filter: 3/4 of the nearer value, 1/4 of the next."""
    for _ in range(2):
        around = np.pad(small, ((1, 1), (0, 0)), mode="edge")
        upper, lower = (0.75 * small + 0.25 * around[rows] for rows in (slice(-2), slice(2, None)))
        small = np.stack([upper, lower], axis=1).reshape(-1, small.shape[1]).T
    return small


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_centre_prior_multiplies_the_map(power):
    features, class_weights, probabilities = random_parts(4)
    plain = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, DECAY)
    params = replace(DECAY, centre=power)
    got = heatmap.saliency_map({"conv6_3": features}, class_weights, probabilities, params)
    y, x = (np.arange(3)[:, None] - 1) / 3, (np.arange(5) - 2) / 5
    product = plain * np.exp(-8 * (y**2 + x**2)) ** power
    np.testing.assert_allclose(
        got, (product - product.min()) / (product.max() - product.min()), atol=1e-6
    )


# spread of passes


SAME = {"mean_correlation": 1.0, "min_correlation": 1.0, "mean_std": 0.0, "mean_ssim": 1.0}


def test_spread_of_three_maps():
    rng = np.random.default_rng(3)
    maps = rng.random((3, 4, 4)).astype(np.float32)
    matrix = np.corrcoef(maps.reshape(3, -1))[np.triu_indices(3, 1)]
    large = [images.enlarged(one, 32, 32) for one in maps]
    similar = [
        structural_similarity(
            *pair, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
        )
        for pair in combinations(large, 2)
    ]
    assert spread.measure(maps, 32) == {
        "mean_correlation": pytest.approx(matrix.mean(), abs=1e-6),
        "min_correlation": pytest.approx(matrix.min(), abs=1e-6),
        "mean_std": pytest.approx(maps.std(axis=0).mean()),
        "mean_ssim": pytest.approx(np.mean(similar), abs=1e-5),
    }


def test_spread_of_one_pass_and_of_constant_maps():
    varied = np.random.default_rng(4).random((1, 4, 4)).astype(np.float32)
    assert spread.measure(varied, 32) == SAME
    assert spread.measure(varied.repeat(5, axis=0), 32) == SAME
    assert spread.measure(np.zeros((3, 4, 4), np.float32), 32) == SAME
    one_constant = np.concatenate([varied, np.zeros((1, 4, 4), np.float32)])
    assert spread.measure(one_constant, 32)["mean_correlation"] == 0
    two_constant = np.zeros((2, 4, 4), np.float32)
    two_constant[1] = 1
    different = spread.measure(two_constant, 32)
    assert different["mean_correlation"] == 0
    assert different["mean_ssim"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("data_range", [1.0, 255.0, 1e-3])
def test_ssim_does_not_depend_on_the_unit(data_range):
    rng = np.random.default_rng(5)
    a, b = rng.random((2, 20, 30))
    expected = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    got = measures.ssim(a * data_range, b * data_range, data_range)
    assert got == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ImageError, match="at least 11"):
        measures.ssim(a[:10], b[:10], data_range)


# the network


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=96)
    made.write_model()
    return made


def model(made, **changes):
    params = replace(made.experiment.heatmap, **changes)
    return heatmap.Model(made.layout.model, vgg.read_weights(made.layout.vgg16), params)


def test_passes(made):
    """Without dropout all passes agree, with it none."""
    packed = np.load(made.layout.packed)
    certain, dropped = model(made, dropout=0.0, passes=2), model(made, dropout=0.3, passes=3)
    plain, probabilities = certain.plain(packed[0])
    assert plain.shape == (1, 3, 3)
    assert probabilities.shape == (1, 3)
    assert np.ptp(plain) == 1
    maps, probabilities = certain.passes(packed[0], 1, "a")
    assert maps.shape == (2, 3, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), [1, 1], rtol=1e-5)
    np.testing.assert_allclose(maps, plain[[0, 0]], atol=1e-4)
    np.testing.assert_array_equal(maps[0], maps[1])
    assert spread.measure(maps, 96) == SAME

    varied, probabilities = dropped.passes(packed[0], 1, "a")
    assert (varied.shape, probabilities.shape) == ((3, 3, 3), (3, 3))
    every = [plain[0], *varied]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in combinations(every, 2))
    # what is dropped follows from seed and name
    np.testing.assert_array_equal(dropped.passes(packed[0], 1, "a")[0], varied)
    assert np.abs(dropped.passes(packed[0], 2, "a")[0] - varied).max() > 1e-3
    assert np.abs(dropped.passes(packed[0], 1, "b")[0] - varied).max() > 1e-3

    # the map beside that of the leading class alone
    both = certain.compared(packed[0])
    np.testing.assert_array_equal(both["msroi"], plain[0])
    (alone,), _ = model(made, top_classes=1).plain(packed[0])
    np.testing.assert_array_equal(both["top1"], alone)
    assert np.abs(both["top1"] - both["msroi"]).max() > 1e-3
    assert list(both) == ["msroi", "top1"]
    layers = ("conv4_3", "conv5_3", "conv6_3")
    own = model(made, evidence="features", layers=layers, centre=1.0)
    assert own.plain(packed[0])[0].shape[1] == 4 * plain.shape[1]  # as fine as block 4
    three = own.compared(packed[0])
    assert list(three) == ["msroi", "paper", "top1"]
    # the same numbers from another compiled program, which gives also other layers
    np.testing.assert_allclose(three["paper"], both["msroi"], atol=2e-6)
    np.testing.assert_allclose(three["top1"], both["top1"], atol=2e-6)
    assert three["msroi"].shape != three["paper"].shape

    # a photo of the network's own size needs no resizing
    np.testing.assert_array_equal(
        certain.saliency(packed[0]), heatmap.full_size(plain[0], packed[0])
    )


def outputs(layout):
    files = sorted(path for path in layout.heatmaps.rglob("*") if path.is_file())
    return {str(path.relative_to(layout.heatmaps)): path.read_bytes() for path in files}


def test_run(made):
    layout, experiment = made.layout, made.experiment
    stale = layout.heatmaps / "saliency" / "photos" / "gone.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    heatmap.run(experiment, layout)
    first = outputs(layout)
    assert sorted(first) == [
        "overlay/photos/one.png",
        "overlay/photos/two.png",
        "passes.npy",
        "predictions.csv",
        "saliency/photos/one.png",
        "saliency/photos/two.png",
        "saliency_quality.csv",
        "spread.csv",
        "summary.json",
    ]
    for name in ("one", "two"):
        photo = read_rgb(layout.test_images / "photos" / f"{name}.png")
        with Image.open(layout.heatmaps / "saliency" / "photos" / f"{name}.png") as image:
            assert image.mode == "L"
            saliency = np.asarray(image)
        assert saliency.shape == photo.shape[:2]
        laid_over = read_rgb(layout.heatmaps / "overlay" / "photos" / f"{name}.png")
        near = overlay(photo, saliency.astype(np.float32) / 255).astype(int)
        assert np.abs(near - laid_over).max() <= 4  # the map is rounded to 8 bits

    passes = np.load(layout.heatmaps / "passes.npy")
    assert passes.shape == (2, 5, 3, 3)
    spreads = table(layout.heatmaps / "spread.csv")
    assert [(row["image"], row["dropout"], row["passes"]) for row in spreads] == [
        (image, dropout, "5") for image in ("one", "two") for dropout in ("0.0", "0.3")
    ]
    for row in spreads[::2]:
        assert {key: float(row[key]) for key in SAME} == SAME
    for row, maps in zip(spreads[1::2], passes, strict=True):
        differ = spread.measure(maps, 96)
        assert differ["mean_std"] > 0
        assert differ["mean_ssim"] < 1
        assert {key: float(row[key]) for key in SAME} == pytest.approx(differ, abs=1e-6)
    counts = {"images": 2, "images_with_passes": 2}
    assert json.loads(first["summary.json"]) == counts | {
        f"{key}_of_passes": pytest.approx(
            np.mean([float(row[key]) for row in spreads[1::2]]), abs=1e-6
        )
        for key in ("mean_correlation", "mean_ssim")
    }
    # neither fixations nor boxes were downloaded
    assert first["saliency_quality.csv"] == b"dataset,image,map,measure,value,n\n"

    predictions = table(layout.heatmaps / "predictions.csv")
    # five classes are asked for, three there are
    assert [row["rank"] for row in predictions] == ["1", "2", "3"] * 2
    for name in ("one", "two"):
        rows = [row for row in predictions if row["image"] == name]
        assert {row["class"] for row in rows} == {"checks", "plain", "stripes"}
        values = [float(row["probability"]) for row in rows]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1, abs=1e-5)

    # again for one image without the other: the same byte for byte
    index = layout.index.read_text()
    layout.index.write_text("".join(line for line in index.splitlines(True) if ",one," not in line))
    heatmap.run(experiment, layout)
    alone = outputs(layout)
    assert alone["saliency/photos/two.png"] == first["saliency/photos/two.png"]
    assert "saliency/photos/one.png" not in alone
    np.testing.assert_array_equal(np.load(layout.heatmaps / "passes.npy")[0], passes[1])


def test_passes_of_the_first_photographs_only(made):
    few = replace(made.experiment.heatmap, passes_images=1)
    heatmap.run(replace(made.experiment, heatmap=few), made.layout)
    assert np.load(made.layout.heatmaps / "passes.npy").shape == (1, 5, 3, 3)
    assert {row["image"] for row in table(made.layout.heatmaps / "spread.csv")} == {"one"}
    counts = json.loads((made.layout.heatmaps / "summary.json").read_text())
    assert (counts["images"], counts["images_with_passes"]) == (2, 1)
    assert len(list((made.layout.heatmaps / "saliency" / "photos").iterdir())) == 2


def test_without_dropout_no_pass_is_repeated(made, monkeypatch):
    experiment = replace(made.experiment, heatmap=replace(made.experiment.heatmap, dropout=0.0))
    monkeypatch.delattr(heatmap.Model, "passes")
    heatmap.run(experiment, made.layout)
    passes = np.load(made.layout.heatmaps / "passes.npy")
    assert passes.shape == (2, 5, 3, 3)
    assert (passes == passes[:, :1]).all()
    spreads = table(made.layout.heatmaps / "spread.csv")
    assert [(row["image"], row["dropout"], row["passes"]) for row in spreads] == [
        ("one", "0.0", "5"),
        ("two", "0.0", "5"),
    ]
    assert all({key: float(row[key]) for key in SAME} == SAME for row in spreads)


def test_a_file_of_weights_that_is_no_model(made):
    save_file(
        {"gap/kernel": np.zeros((8, 3), np.float32)}, made.layout.model / "weights.safetensors"
    )
    sentence = r"^results/tiny/model/weights\.safetensors is not from this version's stage train"
    with pytest.raises(MissingError, match=sentence):
        model(made)


def test_no_model_yet(project):
    made = project()
    sentence = r"^results/tiny/model/weights\.safetensors is missing; run `snakemake`"
    with pytest.raises(MissingError, match=sentence):
        model(made)
