"""Saliency maps by hand, against scikit-image, and from a network of random weights."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import skimage.transform
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from skimage.metrics import structural_similarity

from msroi import images
from msroi.errors import ImageError, MissingError
from msroi.experiment.packed_images import PackedImages
from msroi.experiment.params import ClassMap, FeatureMap, ReadoutMap
from msroi.measures import distortion, spread
from msroi.network import saliency, vgg

pytestmark = pytest.mark.numerics

DECAY = ClassMap(top_classes=5, weighting="decay", centre=0.0)
SOFTMAX = replace(DECAY, weighting="softmax")
LAST = vgg.LAST_LAYER
ENERGY = FeatureMap(layers=("conv6_3",), centre=0.0)


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
    np.testing.assert_allclose(saliency.rank_weights(np.ones(count), "decay"), combined)


def test_decay_of_five_classes():
    weights = saliency.rank_weights(np.ones(5), "decay")
    np.testing.assert_allclose(weights, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1.2 / 16])


def test_softmax_weights_are_probabilities_that_sum_to_1():
    probabilities = np.array([0.4, 0.2, 0.1], np.float32)
    weights = saliency.rank_weights(probabilities, "softmax")
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, [4 / 7, 2 / 7, 1 / 7], rtol=1e-6)


def test_most_probable_first_and_ties_in_the_order_of_the_classes():
    probabilities = np.array([0.1, 0.3, 0.1, 0.3, 0.2], np.float32)
    assert saliency.most_probable(probabilities, 5).tolist() == [1, 3, 4, 0, 2]
    assert saliency.most_probable(probabilities, 2).tolist() == [1, 3]
    assert saliency.most_probable(probabilities, 99).tolist() == [1, 3, 4, 0, 2]


# one map


def test_class_map_by_hand():
    """Two filters, two classes on 2x2.

    Class 0 = a - b = [[0, -2], [3, 1]], scaled [[0.4, 0], [1, 0.6]];
    class 1 = 2b = [[2, 4], [0, 2]], scaled [[0.5, 1], [0, 0.5]].
    Class 1 leads: decay weighs it 1/2, class 0 1.2/2; the sum is
    [[0.49, 0.5], [0.6, 0.61]], scaled [[0, 1/12], [11/12, 1]].
    """
    features = np.array([[[1, 1], [0, 2]], [[3, 0], [2, 1]]], np.float32)
    class_weights = np.array([[1, 0], [-1, 2]], np.float32)
    probabilities = np.array([0.25, 0.75], np.float32)
    got = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, DECAY)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[0, 1 / 12], [11 / 12, 1]], atol=1e-6)

    # softmax: 0.75 * class 1 + 0.25 * class 0 = [[0.475, 0.75], [0.25, 0.525]]
    got = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, SOFTMAX)
    np.testing.assert_allclose(got, [[0.45, 1], [0, 0.55]], atol=1e-6)

    # the leading class alone
    alone = replace(DECAY, top_classes=1)
    got = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, alone)
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
    got = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, params)
    assert got.shape == (3, 5)
    assert (got.min(), got.max()) == (0, 1)
    larger = features * np.float32(factor)
    again = saliency.network_map({LAST: larger}, LAST, class_weights, probabilities, params)
    np.testing.assert_allclose(again, got, atol=2e-4)


def test_constant_features_give_a_zero_map():
    """Rounding, which differs from pixel to pixel, must not be stretched to [0, 1]."""
    for seed in range(20):
        features, class_weights, probabilities = random_parts(seed, filters=64)
        features[:] = features[0, 0]
        assert not saliency.network_map(
            {LAST: features}, LAST, class_weights, probabilities, DECAY
        ).any()


def test_one_class():
    features, class_weights, _ = random_parts(0, classes=1)
    certain = np.ones(1, np.float32)
    for params in (DECAY, SOFTMAX):
        got = saliency.network_map({LAST: features}, LAST, class_weights, certain, params)
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
    params = ENERGY
    got = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, params)
    energy = np.einsum("hwk,hwk->hw", features, features)
    expected = (energy - energy.min()) / (energy.max() - energy.min())
    np.testing.assert_allclose(got, expected, atol=1e-6)
    other = saliency.network_map(
        {LAST: features}, LAST, -class_weights, probabilities[::-1], params
    )
    np.testing.assert_array_equal(got, other)


def test_evidence_of_several_layers_is_the_sum_of_their_scaled_energies():
    """A layer of half the resolution comes in enlarged, whatever the scale of its values."""
    rng = np.random.default_rng(5)
    fine, coarse = (rng.exponential(size=(8 // n, 12 // n, 3)).astype(np.float32) for n in (1, 2))
    params = replace(ENERGY, layers=("conv5_3", "conv6_3"))
    layers = {"conv5_3": fine, "conv6_3": 50 * coarse, "conv4_3": fine[::-1]}
    nothing = np.zeros((3, 1), np.float32), np.ones(1, np.float32)
    got = saliency.network_map(layers, LAST, *nothing, params)
    small = saliency.scaled(np.square(coarse, dtype=np.float64).sum(axis=2))
    large = saliency.scaled(np.square(fine, dtype=np.float64).sum(axis=2))
    total = large + resize_by_hand(small)
    np.testing.assert_allclose(got, (total - total.min()) / (total.max() - total.min()), atol=1e-6)
    # the order of the layers does not count
    turned = replace(params, layers=params.layers[::-1])
    np.testing.assert_allclose(saliency.network_map(layers, LAST, *nothing, turned), got, atol=1e-6)


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
    plain = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, DECAY)
    params = replace(DECAY, centre=power)
    got = saliency.network_map({LAST: features}, LAST, class_weights, probabilities, params)
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
    got = distortion.ssim(a * data_range, b * data_range, data_range)
    assert got == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ImageError, match="at least 11"):
        distortion.ssim(a[:10], b[:10], data_range)


# the network


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=96)
    made.write_model()
    return made


def model(made, maps=None, **changes):
    heatmap = made.experiment.heatmap
    params = replace(heatmap, maps=maps or {"paper": DECAY}, **changes)
    vgg16 = vgg.read_weights(made.layout.vgg16)
    return saliency.TrainedNetwork(made.layout.model / "weights.safetensors", vgg16, params)


def test_passes(made):
    """Without dropout all passes agree, with it none."""
    packed = PackedImages(made.layout.packed)[[0]]
    certain, dropped = model(made, dropout=0.0, passes=2), model(made, dropout=0.3, passes=3)
    maps, probabilities = certain.plain(packed[0])
    plain = maps["paper"]
    assert plain.shape == (3, 3)
    assert probabilities.shape == (3,)
    assert probabilities.sum() == pytest.approx(1, rel=1e-5)
    assert np.ptp(plain) == 1
    maps = certain.passes(packed[0], 1, "a")
    assert maps.shape == (2, 3, 3)
    np.testing.assert_allclose(maps, [plain, plain], atol=1e-4)
    np.testing.assert_array_equal(maps[0], maps[1])
    assert spread.measure(maps, 96) == SAME

    varied = dropped.passes(packed[0], 1, "a")
    assert varied.shape == (3, 3, 3)
    every = [plain, *varied]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in combinations(every, 2))
    # what is dropped follows from seed and name
    np.testing.assert_array_equal(dropped.passes(packed[0], 1, "a"), varied)
    assert np.abs(dropped.passes(packed[0], 2, "a") - varied).max() > 1e-3
    assert np.abs(dropped.passes(packed[0], 1, "b") - varied).max() > 1e-3


def test_maps_of_several_rules_are_those_of_each_alone(made):
    pixels = PackedImages(made.layout.packed)[[0]][0]
    layers = ("conv4_3", "conv5_3", "conv6_3")
    rules = {
        "paper": DECAY,
        "top-1": replace(DECAY, top_classes=1),
        "features": FeatureMap(layers=layers, centre=1.0),
    }
    readout = {"readout": ReadoutMap(blur=0.0, power=1.0)}  # which another network makes
    together, _ = model(made, rules | readout).plain(pixels)
    assert list(together) == list(rules)
    assert together["features"].shape[0] == 4 * together["paper"].shape[0]  # as fine as block 4
    for name, rule in rules.items():
        alone, _ = model(made, {name: rule}, passes_map=name).plain(pixels)
        # the same numbers from another compiled program, which gives other layers
        np.testing.assert_allclose(together[name], alone[name], atol=2e-6)
    assert np.abs(together["top-1"] - together["paper"]).max() > 1e-3


@pytest.mark.parametrize("name", ["paper", "features"])
def test_a_photo_of_the_networks_own_size_needs_no_resizing(made, name):
    pixels = PackedImages(made.layout.packed)[[0]][0]
    rules = {"paper": DECAY, "features": FeatureMap(layers=("conv5_3",), centre=0.0)}
    params = replace(made.experiment.heatmap, maps=rules)
    file, vgg16 = made.layout.model / "weights.safetensors", vgg.read_weights(made.layout.vgg16)
    expected = model(made, rules).plain(pixels)[0][name]
    found = saliency.MapMaker(name, file, vgg16, params).saliency(pixels)
    np.testing.assert_allclose(found, saliency.full_size(expected, pixels), atol=1 / 255)


# a readout's density


def test_a_density_becomes_a_map_in_proportion():
    density = np.random.default_rng(8).dirichlet(np.ones(48)).reshape(6, 8).astype(np.float32)
    got = saliency.readout_map(density, ReadoutMap(blur=0, power=1))
    np.testing.assert_allclose(got, density / density.max(), rtol=1e-6)
    tempered = saliency.readout_map(density, ReadoutMap(blur=0, power=0.5))
    np.testing.assert_allclose(tempered, np.sqrt(density / density.max()), rtol=1e-5)
    assert got.dtype == tempered.dtype == np.float32


def test_a_density_is_blurred_by_a_share_of_its_width():
    density = np.zeros((41, 60), np.float32)
    density[20, 30] = 1
    got = saliency.readout_map(density, ReadoutMap(blur=0.05, power=1))  # 3 cells
    along = np.exp(-0.5 * (np.arange(-6, 7) / 3) ** 2)
    np.testing.assert_allclose(got[20, 24:37], along, rtol=1e-4)
    np.testing.assert_allclose(got[14:27, 30], along, rtol=1e-4)
    flat = saliency.readout_map(np.full((6, 8), 1 / 48, np.float32), ReadoutMap(0.05, 1))
    np.testing.assert_allclose(flat, 1, rtol=1e-6)


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
