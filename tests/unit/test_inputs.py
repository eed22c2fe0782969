"""What the trainable part reads: images by the plan, or the same features from scratch files."""

import re
import shutil

import jax
import numpy as np
import pytest

from msroi.errors import TrainingError
from msroi.experiment.layout import Layout
from msroi.network import features as network_features
from msroi.network import vgg
from msroi.stages import augment

pytestmark = pytest.mark.numerics

ROWS = np.array([5, 0, 3, 1, 7])  # not in order, not all


@pytest.fixture(scope="module")
def weights(vgg16):
    return vgg.read_weights(vgg16)


@pytest.fixture(scope="module")
def packed():
    return np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(1)
    angle, scale = rng.uniform(-30, 30, (2, 5)), rng.uniform(0.7, 1.3, (2, 5))
    flips = rng.integers(0, 2, (2, 5, 2))
    return np.concatenate([angle[..., None], scale[..., None], flips], 2).astype(np.float32)


@pytest.fixture(scope="module")
def images(packed, draws, weights):
    return network_features.image_inputs(packed, ROWS, draws, weights)


def direct_features(packed, draws, weights, blocks):
    """Compute every view's features image by image: `(views, N, h, w, c)`."""
    apply = jax.jit(vgg.frozen_part(weights, blocks))
    views = []
    for view in draws:
        shown = np.asarray(augment.transform(packed[ROWS], view))
        normalised = (shown - weights["input/mean"]) / weights["input/std"]
        views.append([np.asarray(apply(image[None]))[0] for image in normalised])
    return np.array(views)


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (0, 5, [])]
)
def test_batches_cover_everything_once(count, size, lengths):
    slices = list(network_features.batches(count, size))
    assert [part.stop - part.start for part in slices] == lengths
    assert [number for part in slices for number in range(count)[part]] == list(range(count))


def test_padded_repeats_the_last():
    assert network_features.padded(np.array([4, 2]), 5).tolist() == [4, 2, 2, 2, 2]
    assert network_features.padded(np.array([4, 2]), 2).tolist() == [4, 2]


def test_images_follow_the_plan(images, packed, draws, weights):
    chosen = np.array([4, 1])
    got = np.asarray(images(1, chosen, 3))
    shown = np.asarray(augment.transform(packed[ROWS[chosen]], draws[1, chosen]))
    expected = (shown - weights["input/mean"]) / weights["input/std"]
    np.testing.assert_allclose(got[:2], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got[2], got[1])


def test_images_without_a_plan_are_as_packed(packed, weights):
    plain = network_features.image_inputs(packed, ROWS, None, weights)
    expected = (packed[ROWS[[2, 0]]] - weights["input/mean"]) / weights["input/std"]
    np.testing.assert_allclose(plain(0, np.array([2, 0]), 2), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("blocks", [4, 5])
def test_stored_features_are_those_computed_directly(
    images, packed, draws, weights, blocks, tmp_path, monkeypatch
):
    """Batches of 3 for 5 images: the last is padded, and no padding may stay."""
    monkeypatch.setattr(network_features, "FEATURE_BATCH", 3)
    files = [tmp_path / "deep" / name for name in ("one.npy", "two.npy")]
    features = network_features.feature_inputs(vgg, images, (5, 32), weights, blocks, files, "<f4")
    expected = direct_features(packed, draws, weights, blocks)
    stored = np.stack([np.load(file) for file in files])
    assert stored.shape == (2, 5, *vgg.features_shape(32, blocks))
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, expected, rtol=1e-3, atol=1e-4)
    assert len({image.tobytes() for view in stored for image in view}) == 10
    assert sorted(files[0].parent.iterdir()) == files

    got = features(1, np.array([4, 0]), 4)
    np.testing.assert_array_equal(got, stored[1, [4, 0, 0, 0]])


def test_features_are_computed_once(images, weights, tmp_path):
    file = tmp_path / "train.npy"
    network_features.feature_inputs(vgg, images, (5, 32), weights, 1, [file], "<f4")
    before = file.stat().st_mtime_ns, file.read_bytes()

    def fail(*_):
        raise AssertionError("computed again")

    again = network_features.feature_inputs(vgg, fail, (5, 32), weights, 1, [file], "<f4")
    assert again(0, np.array([1]), 2).shape == (2, 16, 16, 64)
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before


def test_one_more_view_needs_only_its_own_features(images, weights, tmp_path):
    files = [tmp_path / "one.npy", tmp_path / "two.npy"]
    network_features.feature_inputs(vgg, images, (5, 32), weights, 1, files[:1], "<f4")
    asked = []

    def counted(view, chosen, size):
        asked.append(view)
        return images(view, chosen, size)

    network_features.feature_inputs(vgg, counted, (5, 32), weights, 1, files, "<f4")
    assert set(asked) == {1}


def test_an_interrupted_computation_leaves_nothing(weights, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network_features.feature_inputs(
            vgg, interrupt, (5, 32), weights, 5, [tmp_path / "train.npy"], "<f4"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    for path in (layout.vgg16, layout.packed / "00000.npy"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return layout


@pytest.fixture
def key(layout, weights):
    return lambda trainable="head", side=32: network_features.frozen_key(
        layout, vgg, trainable, weights, side, "<f4"
    )


def test_the_key_is_the_same_for_the_same_inputs(layout, key):
    first = key()
    shutil.copytree(layout.packed, "copy")
    shutil.rmtree(layout.packed)
    shutil.move("copy", layout.packed)
    assert key() == first


@pytest.mark.parametrize("name", ["vgg16", "packed"])
def test_the_key_changes_with_every_file_that_features_depend_on(layout, key, name):
    before = key()
    path = getattr(layout, name)
    (path / "00000.npy" if path.is_dir() else path).write_text("other")
    assert key() != before


def test_the_key_changes_with_what_is_computed(key, monkeypatch):
    keys = {key(), key("block5"), key("all"), key(side=64)}
    monkeypatch.setattr(network_features, "transform", lambda images, draws: 2 * images)
    assert len({*keys, key()}) == 5


def test_the_key_changes_with_the_type_that_is_kept(layout, weights):
    keys = {
        network_features.frozen_key(layout, vgg, "head", weights, 32, stored)
        for stored in network_features.STORED.values()
    }
    assert len(keys) == 2


def test_features_of_half_the_size_differ_by_a_bounded_share(images, weights, tmp_path):
    """Float16 has 11 significant bits, so a feature is off by at most 2⁻¹¹ of itself.

    Below 2⁻¹⁴ the steps no longer shrink: there it is off by at most 2⁻²⁵.
    """
    kept = {}
    for compute, stored in network_features.STORED.items():
        file = tmp_path / f"{compute}.npy"
        inputs = network_features.feature_inputs(vgg, images, (5, 32), weights, 4, [file], stored)
        kept[compute] = inputs(0, np.arange(5), 5)
        assert kept[compute].dtype == np.float32
    header = 128
    sizes = [(tmp_path / f"{compute}.npy").stat().st_size - header for compute in kept]
    assert sizes[0] == 2 * sizes[1]
    exact, half = kept["float32"], kept["bfloat16"]
    assert exact.max() > 1
    assert (np.abs(half - exact) <= np.maximum(np.abs(exact) * 2**-11, 2**-25)).all()
    assert (half != exact).mean() > 0.1  # else this compares a thing with itself


def test_a_feature_too_large_for_half_the_size_stops_the_stage(images, weights, tmp_path):
    file = tmp_path / "train.npy"
    large = {
        key: value * 1e6 if key == "conv1_1/kernel" else value for key, value in weights.items()
    }
    with pytest.raises(TrainingError) as stopped:
        network_features.feature_inputs(vgg, images, (5, 32), large, 1, [file], "<f2")
    assert re.fullmatch(
        r"A feature of \d+ is too large for float16, whose largest number is 65504; "
        r"set train\.compute to float32\.",
        str(stopped.value),
    )
    assert list(tmp_path.iterdir()) == []


def test_a_view_has_a_file_of_its_own(layout, draws):
    """Named by the rows and the draws of that view, not by how many views there are."""
    both = network_features.feature_files(layout, "key", ROWS, draws)
    assert network_features.feature_files(layout, "key", ROWS, draws[:1]) == both[:1]
    others = [
        *network_features.feature_files(layout, "another key", ROWS, draws[:1]),
        *network_features.feature_files(layout, "key", ROWS[::-1], draws[:1]),
        *network_features.feature_files(layout, "key", ROWS, None),
    ]
    assert len({*both, *others}) == 5
    assert {file.parent for file in [*both, *others]} == {layout.scratch / "features"}


def test_scratch_of_other_inputs_is_removed(layout, draws):
    mine, other = network_features.feature_files(layout, "key", ROWS, draws)
    elsewhere = Layout("neighbour").scratch / "features" / other.name
    for file in (mine, other, elsewhere):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    network_features.remove_other_features(layout, [mine])
    assert mine.exists()
    assert elsewhere.exists()
    assert not other.exists()
