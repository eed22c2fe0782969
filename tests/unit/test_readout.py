"""The readout: shapes, what training minimises, the files, and the packaged weights."""

import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from scipy.ndimage import gaussian_filter, zoom

from msroi.errors import MissingError, ParameterError, UserError
from msroi.experiment import params
from msroi.files import read_csv, read_json
from msroi.images import read_rgb, write_image
from msroi.measures import saliency_quality as quality
from msroi.network import readout, vgg
from msroi.network import readout_training as training
from msroi.network.readout import ReadoutNetwork
from msroi.network.readout_training import Samples, Trainer
from msroi.sources.annotations import OSIE, SALICON_FIXATIONS, read_fixations
from msroi.sources.splits import FOLDER
from msroi.stages import readout as stage
from msroi.xla import jax, jnp

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
PACKAGED = stage.PACKAGED / stage.WEIGHTS
REAL = ROOT.parent / "shared" / "data" / "osie" / "osie.zip"
NO_DATA = "needs the real data in shared/data beside the checkout"

SMALL = params.Readout(
    weights="trained",
    dataset="osie",
    input_px=64,
    layers=("conv4_3", "conv5_2"),
    channels=4,
    epochs=3,
    batch_size=2,
    learning_rate=0.01,
    weight_decay=0.03,
    dropout=0.5,
    average=0.9,
)


# what the network is given


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([64, 512]))
def test_sides_are_multiples_of_16_and_keep_the_aspect(height, width, longest):
    down, across = readout.input_size(height, width, longest)
    assert down % 16 == across % 16 == 0
    assert max(down, across) == longest
    scale = longest / max(height, width)
    for side, got in ((height, down), (width, across)):
        assert got >= 16
        assert abs(got - side * scale) <= 8 or got == 16


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((600, 800), (384, 512)),
        ((300, 400), (384, 512)),
        ((800, 600), (512, 384)),
        ((100, 1000), (48, 512)),
        ((1, 5000), (16, 512)),
    ],
)
def test_sizes_by_hand(size, expected):
    assert readout.input_size(*size, 512) == expected
    image = np.zeros((*size, 3), np.uint8)
    assert readout.shown(image, 512).shape == (*expected, 3)


# the parts


@pytest.mark.parametrize(("layer", "factor"), [("conv3_3", 0.5), ("conv4_1", 1), ("conv5_3", 2)])
def test_layers_are_brought_to_the_same_places(layer, factor):
    x = np.random.default_rng(0).random((2, 6, 8, 3)).astype(np.float32)
    got = np.asarray(readout.brought(jnp.asarray(x), layer))
    assert got.shape == (2, int(6 * factor), int(8 * factor), 3)
    np.testing.assert_allclose(got.mean(axis=(1, 2)), x.mean(axis=(1, 2)), rtol=0.05)
    constant = np.asarray(readout.brought(jnp.full((1, 6, 8, 3), 0.7), layer))
    np.testing.assert_allclose(constant, 0.7, rtol=1e-6)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("sigma", [0.3, 1.2])
def test_the_blur_is_scipys(sigma):
    x = np.random.default_rng(0).normal(size=(2, 9, 14)).astype(np.float32)
    got = np.asarray(readout.blurred(jnp.asarray(x), jnp.float32(sigma)))
    truncate = readout.RADIUS / sigma
    expected = [gaussian_filter(one, sigma, mode="nearest", truncate=truncate) for one in x]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.usefixtures("quick_compiler")
def test_the_centre_is_as_wide_as_the_photograph():
    rng = np.random.default_rng(0)
    seen = np.clip(rng.normal(0.5, 0.15, (5000, 2)), 0, 0.999)
    density = training.centre_density(seen)
    assert (density.shape, density.dtype) == (readout.CENTRE_SHAPE, np.float32)
    assert density.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(density, density[:, ::-1], rtol=1e-4)  # left and right alike
    spread = {}
    for shape in ((48, 64), (64, 48), (8, 64), (64, 2)):
        at = np.exp(np.asarray(readout.centre_at(np.log(density), shape)))
        assert at.shape == shape
        assert at.sum() == pytest.approx(1, abs=1e-4)
        down = (np.arange(shape[0]) + 0.5) / shape[0] - 0.5
        spread[shape] = np.sqrt((at.sum(axis=1) * down**2).sum())
    # in shares of the side it is the same everywhere
    assert spread[48, 64] == pytest.approx(spread[64, 48], rel=0.02)
    assert spread[48, 64] == pytest.approx(spread[8, 64], rel=0.1)


def test_fixations_are_counted_by_place():
    seen = np.array([[0.0, 0.0], [0.99, 0.99], [0.5, 0.26], [0.5, 0.26]])
    assert training.fixation_counts(seen, (2, 4)).tolist() == [[1, 0, 0, 0], [0, 2, 0, 1]]


# training


def made(count, seed=0):
    """Return samples in which people look where the first channel of a layer is strong."""
    rng = np.random.default_rng(seed)
    features = {
        "conv4_3": rng.random((count, 8, 8, 512)).astype(np.float16),
        "conv5_2": rng.random((count, 4, 4, 512)).astype(np.float16),
    }
    strong = rng.integers(0, 8, (count, 2))
    features["conv4_3"][..., :40] = 0
    counts = np.zeros((count, 8, 8), np.float32)
    for number, (row, column) in enumerate(strong):
        features["conv4_3"][number, row, column, :40] = 4
        counts[number, row, column] = 9
    return Samples(features, counts)


@pytest.fixture(scope="module")
def uniform():
    return np.full(readout.CENTRE_SHAPE, -np.log(24 * 32), np.float32)


def test_the_loss_is_that_of_the_places(uniform):
    logs = np.log(np.full((2, 3, 4), 1 / 12, np.float32))
    counts = np.random.default_rng(0).integers(0, 3, (2, 3, 4)).astype(np.float32)
    assert float(training.loss(jnp.asarray(logs), jnp.asarray(counts))) == pytest.approx(np.log(12))
    trainer = Trainer(SMALL, made(4), uniform)
    assert trainer.of_centre(made(4)) == pytest.approx(np.log(64), rel=1e-5)


@pytest.mark.usefixtures("quick_compiler")
def test_training_finds_what_people_look_at_and_repeats_itself(uniform):
    small = replace(SMALL, epochs=12)
    train, other = made(12), made(6, seed=1)

    def fitted():
        return stage.fit(small, 7, train, other, uniform)

    weights, history = fitted()
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert history[-1]["validation_bits"] > max(history[0]["validation_bits"], 1)
    again, the_same = fitted()
    assert the_same == history
    for name, array in weights.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.usefixtures("quick_compiler")
def test_the_folded_weights_serve_features_as_they_are(uniform, tmp_path):
    train = made(4)
    trainer = Trainer(SMALL, train, uniform)
    weights, _ = trainer.start(3)
    flat = trainer.folded(weights)
    for layer, of in train.features.items():
        root = np.sqrt(np.mean(np.square(of, dtype=np.float64)))
        ratio = np.asarray(weights[layer]["kernel"]) / flat[f"{layer}/kernel"]
        np.testing.assert_allclose(ratio, root, rtol=1e-3)
    model = readout.Readout(SMALL.layers, SMALL.channels)
    features, counts = train.batch(np.arange(4))
    logs = model.apply({"params": vgg.nested(flat)}, features, trainer.centre)
    assert float(training.loss(logs, counts)) == pytest.approx(
        trainer.measure(weights, train), rel=1e-4
    )


def test_both_halves_of_joined_samples():
    first, second = made(3), made(2, seed=1)
    both = training.joined(first, second)
    features, counts = both.batch(np.array([4, 0, 2]))
    np.testing.assert_array_equal(counts, [first.counts[0], first.counts[2], second.counts[1]])
    expected = [first.features["conv5_2"][0], first.features["conv5_2"][2]]
    expected.append(second.features["conv5_2"][1])
    np.testing.assert_array_equal(features["conv5_2"], expected)


# files


def test_parameters_travel_with_the_weights(uniform, tmp_path):
    trainer = Trainer(SMALL, made(2), uniform)
    flat = trainer.folded(trainer.start(0)[0])
    file = tmp_path / "readout.safetensors"
    file.write_bytes(readout.to_file(flat, uniform, SMALL))
    assert readout.described(file) == SMALL
    kept = load_file(file)
    assert {array.dtype for array in kept.values()} == {np.dtype(np.float16)}
    np.testing.assert_allclose(kept["conv4_3/kernel"], flat["conv4_3/kernel"], atol=1e-3)
    assert readout.to_file(flat, uniform, SMALL) == file.read_bytes()


def test_files_that_do_not_fit(uniform, tmp_path, vgg16):
    weights = vgg.read_weights(vgg16)
    file = tmp_path / "w.safetensors"
    save_file({"a/b": np.zeros(1, np.float16)}, file)
    with pytest.raises(MissingError) as raised:
        ReadoutNetwork(weights, file)
    assert str(raised.value) == (f"{file} is not from this version's stage readout; run it again.")
    described = {"readout": json.dumps(asdict(replace(SMALL, layers=("conv5_2",), channels=2)))}
    save_file({"value/kernel": np.zeros((1, 1, 3, 1), np.float16)}, file, described)
    with pytest.raises(MissingError) as raised:
        ReadoutNetwork(weights, file)
    assert str(raised.value) == (
        f"{file} does not fit the readout: blur/log: expected (), got none; centre/log_density: "
        "expected (24, 32), got (0, 0); centre/weight: expected (), got none; conv5_2/bias: "
        "expected (2,), got none; conv5_2/kernel: expected (1, 1, 512, 2), got none; "
        "value/kernel: expected (1, 1, 2, 1), got (1, 1, 3, 1)."
    )
    with pytest.raises(MissingError, match=r"none\.safetensors"):
        ReadoutNetwork(weights, tmp_path / "none.safetensors")


# the packaged weights


def test_the_package_has_what_the_experiments_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert PACKAGED.stat().st_size <= 200_000
    own = readout.described(PACKAGED)
    for name in ("demo", "paper", "paper-cpu", "osie"):
        assert replace(params.load(name).readout, weights="trained") == own


@pytest.fixture(scope="module")
def network(tmp_path_factory, vgg16):
    return ReadoutNetwork(vgg.read_weights(vgg16), PACKAGED)


@pytest.mark.parametrize("size", [(120, 160), (160, 120), (40, 320)])
def test_a_face_is_found_in_any_format(network, size):
    import skimage.data

    face = skimage.data.astronaut()[:300, 80:380]  # her head is in the middle of the upper half
    image = np.full((*size, 3), 128, np.uint8)
    side = min(size)
    small = np.stack([zoom(face[..., c], side / 300, order=1) for c in range(3)], axis=-1)
    left, top = size[1] - side, size[0] - side  # into the corner at the bottom right
    image[top:, left:] = small[:side, :side]
    given_ = network.given(image)
    density = network.density(given_)
    assert density.shape == (given_.shape[0] // 8, given_.shape[1] // 8)
    assert density.dtype == np.float32
    assert density.min() > 0
    assert density.sum() == pytest.approx(1, abs=1e-4)
    rows, columns = (np.arange(n) / n for n in density.shape)
    part = density[rows >= top / size[0]][:, columns >= left / size[1]]
    area = side * side / (size[0] * size[1])
    assert part.sum() > max(0.5, area)


def test_packaged_weights_are_copied_and_other_parameters_refused(project):
    made_ = project()
    as_packaged = replace(readout.described(PACKAGED), weights="packaged")
    stage.run(replace(made_.experiment, readout=as_packaged), made_.layout)
    folder = made_.layout.readout
    assert (folder / "weights.safetensors").read_bytes() == PACKAGED.read_bytes()
    names = {"weights.safetensors", "history.csv", "history.png", "quality.csv", "summary.json"}
    assert {path.name for path in folder.iterdir()} == names
    summary = read_json(folder / "summary.json")
    assert summary["weights"] == "packaged"
    assert summary["quality_images"]["readout"]["auc_judd"] == 100
    rows = read_csv(folder / "quality.csv")
    assert summary["quality"] == quality.means(rows)
    other = replace(as_packaged, channels=8)
    with pytest.raises(ParameterError) as raised:
        stage.run(replace(made_.experiment, readout=other), made_.layout)
    assert str(raised.value) == (
        "readout.channels is 8, but the packaged weights were trained with 32; write that, or "
        "set readout.weights: trained."
    )


def photographs(layout, count, size=(48, 64)):
    """Write photographs with a bright square each, at which three people look, and their split."""
    rng = np.random.default_rng(0)
    folder = layout.downloaded / "mine" / "pictures"
    splits = ["train"] * (count - 4) + ["validation"] * 2 + ["test"] * 2
    images, annotations, rows = [], [], ["image,split"]
    for number, split in enumerate(splits):
        row, column = (int(rng.integers(0, side - 16)) for side in size)
        pixels = rng.integers(90, 120, (*size, 3)).astype(np.uint8)
        pixels[row : row + 16, column : column + 16] = (250, 60, 40)
        write_image_at(folder / f"p{number}.png", pixels)
        images.append({"id": number, "file_name": f"p{number}.png"})
        images[-1] |= {"height": size[0], "width": size[1]}
        for viewer in range(3):
            points = [[row + 6 + viewer, column + 5], [row + 9, column + 8 + viewer]]
            annotations.append({"image_id": number, "fixations": points})
        rows.append(f"p{number}.png,{split}")
    file = layout.downloaded / SALICON_FIXATIONS / "train.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    FOLDER.mkdir(parents=True)
    (FOLDER / "mine.csv").write_text("\n".join(rows) + "\n")


def write_image_at(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels)


def test_the_stage_trains_on_what_was_downloaded(project):
    made_ = project()
    photographs(made_.layout, 12)
    small = replace(SMALL, dataset="mine", epochs=6, average=0.5)
    experiment = replace(made_.experiment, readout=small)
    stage.run(experiment, made_.layout)
    folder = made_.layout.readout
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert readout.described(folder / "weights.safetensors") == small
    history = read_csv(folder / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3", "4", "5", "6"]
    rows = read_csv(folder / "quality.csv")
    maps = ("readout", "centre", "centre_prior", "human")
    measures = ("auc_judd", "nss", "cc", "auc_shuffled", "information_gain")
    # those of the test split alone
    expected = [(f"p{n}", m, x) for n in (10, 11) for m in maps for x in measures]
    assert [(row["image"], row["map"], row["measure"]) for row in rows] == expected
    summary = read_json(folder / "summary.json")
    assert summary["weights"] == "trained"
    assert summary["validation_bits"] == float(history[-1]["validation_bits"])
    assert summary["quality"] == quality.means(rows)

    # the same bytes again, from the features that are kept, which are those of both views
    kept = sorted((made_.layout.scratch / "readout").iterdir())
    assert len(kept) == 3 * len(small.layers)
    times = [path.stat().st_mtime_ns for path in kept]
    stage.run(experiment, made_.layout)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert [path.stat().st_mtime_ns for path in kept] == times


def test_the_mirrored_copy_is_what_the_network_is_given_of_it(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8))
    (plain,), (mirrored,) = (list(stage.inputs([path], view, 64)) for view in (False, True))
    np.testing.assert_array_equal(plain[:, ::-1], mirrored)


def test_what_the_readout_can_not_be_trained_on(project):
    made_ = project()
    photographs(made_.layout, 8)
    small = replace(SMALL, dataset="mine", epochs=1)
    experiment = replace(made_.experiment, readout=small)
    folder = made_.layout.downloaded / "mine"

    def refusal():
        with pytest.raises(UserError) as raised:
            stage.run(experiment, made_.layout)
        return str(raised.value)

    write_image_at(folder / "pictures" / "p1.png", np.zeros((64, 48, 3), np.uint8))
    assert refusal() == (
        "readout.dataset: mine has photographs of different shapes, of which the network would "
        "be given 64 × 48 and 48 × 64 pixels; it is trained on those of one shape."
    )
    (folder / "pictures" / "p1.png").unlink()
    assert refusal() == (
        f"mine: p1.png, a photograph of split 'train', is not in {folder}; run stage download "
        "again, or take it out of data/splits."
    )
    write_image_at(folder / "pictures" / "p1.png", np.zeros((48, 64, 3), np.uint8))
    (made_.layout.downloaded / SALICON_FIXATIONS / "train.json").unlink()
    assert refusal() == (
        "mine: there are no fixations of p0.png, a photograph of split 'train'; the readout is "
        "trained by where people looked."
    )


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=NO_DATA)
def test_the_packaged_weights_do_what_is_recorded(network, tmp_path, monkeypatch):
    with zipfile.ZipFile(REAL) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(ROOT)
    fixated, _ = read_fixations(tmp_path)
    paths = stage.photographs_of(tmp_path / OSIE, "osie", "test", fixated)
    aucs = [
        quality.auc_judd(
            quality.enlarged(network.density(network.given(read_rgb(path))), 600, 800),
            fixated[path.stem].points,
        )
        for path in paths
    ]
    recorded = quality.means(read_csv(stage.PACKAGED / stage.QUALITY))["readout"]["auc_judd"]
    assert np.mean(aucs) == pytest.approx(recorded, abs=0.002)
    assert recorded >= 0.91


@pytest.mark.usefixtures("quick_compiler")
def test_weight_shapes_are_those_of_flax():
    layers = ("conv3_3", "conv5_1")
    network = readout.Readout(layers, 4)
    features = {"conv3_3": jnp.zeros((1, 8, 8, 256)), "conv5_1": jnp.zeros((1, 2, 2, 512))}
    weights = network.init(jax.random.key(0), features, jnp.zeros((4, 4)))["params"]
    shapes = {name: array.shape for name, array in vgg.flattened(weights).items()}
    assert readout.weight_shapes(network) == shapes | {readout.CENTRE: readout.CENTRE_SHAPE}
