"""Training: its arithmetic against NumPy and Kingma & Ba, and whole runs on a tiny problem."""

import csv
import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file
from scipy import stats
from scipy.special import log_softmax

from msroi.errors import TrainingError
from msroi.experiment.packed_images import PackedImages
from msroi.experiment.params import Train
from msroi.network import saliency, training_step, vgg
from msroi.network.checkpoints import Progress
from msroi.network.features import feature_inputs, image_inputs
from msroi.stages import train

pytestmark = pytest.mark.numerics

CLASSES = ["checks", "plain", "stripes"]
HEAD = ("plain", 8, "normal", 0.05, 0.1)
TINY = Train("vgg16", "head", 2, 5, 1e-3, "constant", 0, 0, 0, 0, *HEAD, "float32")
COUNTS = np.array([2, 6, 12])
KEY = jax.random.key(0)


def history(layout):
    with (layout.model / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights_file(project):
    return project.layout.model / "weights.safetensors"


# arithmetic


def test_loss_and_hits_against_scipy():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (40, 9)).astype(np.float32)
    labels = rng.integers(0, 9, 40)
    weights = np.ones(40, np.float32)
    weights[33:] = 0  # padding
    loss, sums = training_step.loss_and_hits(
        jnp.array(logits), jnp.array(labels), jnp.array(weights)
    )

    logits, labels = logits[:33], labels[:33]
    losses = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(33), labels]
    order = np.argsort(-logits, axis=1)
    assert loss == pytest.approx(losses.mean(), rel=1e-5)
    assert sums["loss"] == pytest.approx(losses.sum(), rel=1e-5)
    assert sums["top1"] == sum(order[:, 0] == labels)
    assert sums["top5"] == sum(label in row[:5] for label, row in zip(labels, order, strict=True))
    assert sums["count"] == 33
    assert 0 < sums["top1"] < sums["top5"] < 33


def test_padding_has_no_gradient():
    logits = jax.random.normal(jax.random.key(0), (4, 3))
    labels, weights = jnp.array([0, 1, 2, 2]), jnp.array([1.0, 1.0, 0.0, 0.0])
    gradient = jax.grad(lambda x: training_step.loss_and_hits(x, labels, weights)[0])(logits)
    assert (np.asarray(gradient[:2]) != 0).all()
    assert (np.asarray(gradient[2:]) == 0).all()


def test_totals_weigh_batches_by_their_count():
    totals = training_step.Totals()
    totals.add({"loss": jnp.float32(8), "top1": 3, "top5": 4, "count": 4})
    totals.add({"loss": jnp.float32(1), "top1": 0, "top5": 1, "count": 1})
    assert totals.means() == {"loss": 9 / 5, "top1": 3 / 5, "top5": 1.0}


@pytest.fixture(scope="module")
def weights(vgg16):
    return vgg.read_weights(vgg16)


@pytest.fixture(scope="module")
def samples(weights, tmp_path_factory):
    """Six random images, as images and as their features."""
    packed = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    labels = np.array([0, 1, 2, 2, 1, 0], np.int32)
    images = image_inputs(packed, np.arange(6), None, weights)
    file = tmp_path_factory.mktemp("features") / "train.npy"
    features = feature_inputs(vgg, images, (6, 32), weights, 5, [file], "<f4")
    return training_step.Samples(images, labels, 1), training_step.Samples(features, labels, 1)


def head_gradient(trainer, params, batch):
    inputs, labels, weights = batch

    def loss(params):
        logits, _ = trainer.model.apply({"params": params}, inputs, trainer.first)
        return training_step.loss_and_hits(logits, labels, weights)[0]

    return vgg.flattened(jax.jit(jax.grad(loss))(params))


def test_cached_features_give_the_gradient_of_the_full_network(weights, samples):
    images, features = samples
    trainer = training_step.Trainer(TINY, COUNTS, 1)
    params = trainer.init(1, vgg.nested(weights), features)
    chosen = np.arange(4)
    cached = head_gradient(trainer, params, trainer.batch(features, 0, chosen))

    inputs, labels, counted = trainer.batch(images, 0, chosen)

    def loss(everything):
        frozen = trainer.model.apply({"params": everything}, inputs, 0, 5, method="blocks")
        stopped = jax.lax.stop_gradient(frozen)
        logits, _ = trainer.model.apply({"params": everything}, stopped, 5)
        return training_step.loss_and_hits(logits, labels, counted)[0]

    full = vgg.flattened(jax.jit(jax.grad(loss))({**vgg.nested(weights), **params}))
    assert sorted(full) == sorted([*cached, *(key for key in weights if key[0] == "c")])
    for key, gradient in full.items():
        if key in cached:
            scale = np.abs(gradient).max()
            assert scale > 0
            np.testing.assert_allclose(cached[key], gradient, rtol=1e-3, atol=1e-4 * scale)
        else:
            assert not gradient.any()


def test_first_step_is_adams(weights, samples):
    """Kingma & Ba 2015, Algorithm 1 at t = 1: the step is lr * g / (|g| + eps)."""
    _, features = samples
    trainer = training_step.Trainer(TINY, COUNTS, 1)
    params = trainer.init(1, vgg.nested(weights), features)
    batch = trainer.batch(features, 0, np.arange(5))
    before, gradients = vgg.flattened(params), head_gradient(trainer, params, batch)
    before = {key: value.copy() for key, value in before.items()}
    after, _, _ = trainer.step(params, trainer.optimizer.init(params), KEY, *batch)
    for key, new in vgg.flattened(after).items():
        gradient = gradients[key].astype(np.float64)
        step = TINY.learning_rate * gradient / (np.abs(gradient) + 1e-8)
        clear = np.abs(gradient) > 1e-6  # where rounding can't turn the sign
        assert clear.any()
        np.testing.assert_allclose((before[key] - new)[clear], step[clear], rtol=1e-3, atol=1e-7)


def test_optimizer_has_the_papers_settings(samples):
    """Adam's defaults: beta1 0.9, beta2 0.999, eps 1e-8, over three steps by the formulas."""
    optimizer = training_step.Trainer(TINY, COUNTS, 1).optimizer
    value, state, m, v = np.float64(1.0), optimizer.init(jnp.float32(1)), 0.0, 0.0
    expected = value
    for t, gradient in enumerate((0.3, -2.0, 0.01), start=1):
        update, state = optimizer.update(jnp.float32(gradient), state)
        value += float(update)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected -= 1e-3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        assert value == pytest.approx(expected, rel=1e-6)


def test_the_linear_schedule_ends_at_zero():
    """A line from the given rate to 0 after the last step: here 2 epochs of 4 steps."""
    params = replace(TINY, schedule="linear")
    rate = training_step.learning_rate(params, images=18)
    np.testing.assert_allclose([rate(step) for step in range(9)], np.linspace(1e-3, 0, 9))
    assert {float(training_step.learning_rate(TINY, 18)(step)) for step in (0, 4, 8)} == {1e-3}


def test_logit_adjustment_makes_classes_count_alike():
    """With scores that say nothing, the adjusted softmax is the classes' shares themselves."""
    np.testing.assert_allclose(np.exp(training_step.adjustment(COUNTS, 1)), COUNTS / 20, rtol=1e-6)
    half = training_step.adjustment(COUNTS, 0.5)
    np.testing.assert_allclose(half, training_step.adjustment(COUNTS, 1) / 2, rtol=1e-6)
    assert not training_step.adjustment(COUNTS, 0).any()


def test_dropout_is_in_training_only_and_follows_its_key(weights, samples):
    _, features = samples
    plain = training_step.Trainer(TINY, COUNTS, 1)
    dropping = training_step.Trainer(replace(TINY, dropout=0.5), COUNTS, 1)
    start = plain.init(1, vgg.nested(weights), features)
    assert dropping.measure(start, features) == plain.measure(start, features)
    batch = plain.batch(features, 0, np.arange(5))

    def loss(trainer, seed):
        params = jax.tree.map(jnp.copy, start)
        state = trainer.optimizer.init(params)
        return float(trainer.step(params, state, jax.random.key(seed), *batch)[2]["loss"])

    assert loss(plain, 0) == loss(plain, 1)
    assert loss(dropping, 0) == loss(dropping, 0) != loss(dropping, 1)


def test_average_is_that_of_all_steps_and_is_what_is_kept(weights, samples):
    """The recursion restated on the weights that a training without it goes through."""
    _, features = samples
    plain = training_step.Trainer(TINY, COUNTS, 1)
    averaged = training_step.Trainer(replace(TINY, average=0.6), COUNTS, 1)
    start = plain.init(1, vgg.nested(weights), features)
    expected = jax.tree.map(np.array, start)
    runs = {}
    for trainer in (plain, averaged):
        params = jax.tree.map(jnp.copy, start)
        runs[trainer] = params, trainer.optimizer.init(params)
    for step in range(1, 8):
        batch = plain.batch(features, 0, (np.arange(5) + step) % 6)
        for trainer, (params, state) in runs.items():
            runs[trainer] = trainer.step(params, state, KEY, *batch)[:2]
        now, decay = runs[plain][0], min(0.6, (1 + step) / (10 + step))
        expected = jax.tree.map(lambda e, n, d=decay: d * e + (1 - d) * np.array(n), expected, now)
    kept = averaged.kept(*runs[averaged])
    jax.tree.map(
        lambda k, e: np.testing.assert_allclose(k, e, rtol=1e-4, atol=1e-6), kept, expected
    )
    for trainer in (plain, averaged):
        jax.tree.map(np.testing.assert_array_equal, runs[trainer][0], runs[plain][0])
    assert plain.kept(*runs[plain]) is runs[plain][0]


@pytest.mark.usefixtures("quick_compiler")
def test_mixing_shares_are_those_of_the_beta_distribution_folded():
    keys = jax.random.split(jax.random.key(0), 4000)
    shares = np.asarray(jax.vmap(lambda key: training_step.mixing_share(key, 0.8))(keys))
    assert shares.min() >= 0.5
    folded = stats.beta(0.8, 0.8)
    assert stats.kstest(shares, lambda x: 2 * folded.cdf(x) - 1).pvalue > 0.01


def test_mixup_mixes_inputs_and_classes_alike_in_training_only(weights, samples):
    """Each sample with the next of its batch; the loss restated sample by sample."""
    _, features = samples
    plain = training_step.Trainer(TINY, COUNTS, 1)
    mixing = training_step.Trainer(replace(TINY, mixup=0.8), COUNTS, 1)
    start = plain.init(1, vgg.nested(weights), features)
    assert mixing.measure(start, features) == plain.measure(start, features)
    batch = plain.batch(features, 0, np.arange(5))
    inputs, labels, counted = (np.asarray(part) for part in batch)
    share = float(training_step.mixing_share(jax.random.fold_in(KEY, 1), 0.8))
    expected = 0.0
    for row in range(len(labels)):
        mixed = share * inputs[row] + (1 - share) * inputs[row - 1]
        logits, _ = plain.model.apply({"params": start}, mixed[None], plain.first)
        chances = np.log(np.asarray(jax.nn.softmax(logits[0])))
        loss = -share * chances[labels[row]] - (1 - share) * chances[labels[row - 1]]
        expected += counted[row] * loss
    params = jax.tree.map(jnp.copy, start)
    _, _, sums = mixing.step(params, mixing.optimizer.init(params), KEY, *batch)
    assert float(sums["loss"]) == pytest.approx(expected, rel=1e-5)


def test_logit_adjustment_is_in_the_training_loss_only(weights, samples):
    _, features = samples
    plain = training_step.Trainer(TINY, COUNTS, 1)
    adjusted = training_step.Trainer(replace(TINY, logit_adjustment=1), COUNTS, 1)
    start = plain.init(1, vgg.nested(weights), features)
    assert adjusted.measure(start, features) == plain.measure(start, features)
    batch = plain.batch(features, 0, np.arange(5))
    logits, _ = plain.model.apply({"params": start}, batch[0], plain.first)
    expected = training_step.loss_and_hits(
        logits + training_step.adjustment(COUNTS, 1), *batch[1:]
    )[1]
    params = jax.tree.map(jnp.copy, start)
    _, _, sums = adjusted.step(params, adjusted.optimizer.init(params), KEY, *batch)
    assert float(sums["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-5)


@pytest.mark.parametrize(("trainable", "pretrained"), [("head", 0), ("block5", 3)])
def test_init_takes_pretrained_layers_and_draws_the_rest(weights, samples, trainable, pretrained):
    images, features = samples
    if trainable == "block5":
        features = training_step.Samples(lambda *_: jnp.zeros((1, 2, 2, 512)), images.labels, 1)
    trainer = training_step.Trainer(replace(TINY, trainable=trainable), COUNTS, 1)
    first = trainer.init(1, vgg.nested(weights), features)
    assert sum(name.startswith("conv5") for name in first) == pretrained
    for name in vgg.layer_names(trainer.first):
        for key, value in first[name].items():
            if name.startswith("conv5"):
                np.testing.assert_array_equal(value, weights[f"{name}/{key}"])
    other = trainer.init(2, vgg.nested(weights), features)
    again = trainer.init(1, vgg.nested(weights), features)
    np.testing.assert_array_equal(first["gap"]["kernel"], again["gap"]["kernel"])
    assert not np.array_equal(first["gap"]["kernel"], other["gap"]["kernel"])


# the loop


class Recorder:
    """A trainer that only writes down what it is shown."""

    batch_size = 4

    def __init__(self, losses=(1.0,), validation=0.5):
        self.losses, self.validation, self.shown = list(losses), validation, []
        self.keys = []
        self.optimizer = self

    def init(self, params):
        return None

    def placed(self, params, state):
        return params, state

    def batch(self, samples, view, chosen):
        self.shown.append((view, chosen.tolist()))
        return (len(chosen),)

    def step(self, params, state, key, count):
        self.keys.append(tuple(jax.random.key_data(key).tolist()))
        loss = self.losses.pop(0) if len(self.losses) > 1 else self.losses[0]
        return params, state, {"loss": loss * count, "top1": 1, "top5": 2, "count": count}

    def kept(self, params, state):
        return params

    def measure(self, params, samples):
        return {"loss": self.validation, "top1": 0.25, "top5": 0.75}


class Kept:
    """Checkpoints in memory, with the rows of history of earlier epochs."""

    def __init__(self, history=()):
        self.history, self.saved = list(history), []

    def resume(self, start):
        return start._replace(history=self.history)

    def save(self, progress):
        self.saved.append(Progress(*progress[:2], list(progress.history)))

    def last_good(self, words):
        return f"{words} {len(self.saved)} epochs old" if self.saved else ""


def fitted(recorder, epochs, seed=0, views=3, kept=None, enough=lambda: False):
    samples = training_step.Samples(None, np.zeros(6, np.int32), views)
    return train.fit(recorder, {}, samples, samples, epochs, seed, kept or Kept(), enough)[1]


def test_epoch_e_shows_view_e_modulo_views_and_every_image_once():
    recorder = Recorder()
    fitted(recorder, epochs=5)
    assert [view for view, _ in recorder.shown] == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1]
    orders = [a + b for (_, a), (_, b) in zip(*[iter(recorder.shown)] * 2, strict=True)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5  # another order each epoch


def test_order_depends_on_seed_and_epoch_alone():
    def shown(epochs, seed):
        recorder = Recorder()
        fitted(recorder, epochs, seed)
        return recorder.shown

    assert shown(4, 7)[:4] == shown(2, 7)
    assert shown(2, 7) != shown(2, 8)


def test_every_step_drops_out_anew_by_seed_and_epoch_alone():
    def keys(epochs, seed):
        recorder = Recorder()
        fitted(recorder, epochs, seed)
        return recorder.keys

    four = keys(4, 7)
    assert len(set(four)) == len(four) == 8
    assert keys(2, 7) == four[:4]
    assert not set(keys(2, 8)) & set(four)


def test_history_has_one_row_an_epoch():
    rows = fitted(Recorder(losses=[1.0, 4.0, 2.0]), epochs=2)
    assert [tuple(row) for row in rows] == [train.COLUMNS] * 2
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["train_loss"] == 2.0  # (4 * 1 + 2 * 4) / 6
    assert rows[0]["train_top1"] == pytest.approx(2 / 6, abs=1e-6)
    assert (rows[1]["val_loss"], rows[1]["val_top1"], rows[1]["val_top5"]) == (0.5, 0.25, 0.75)


def test_every_epoch_is_saved_and_none_is_repeated():
    whole, kept = Recorder(), Kept()
    rows = fitted(whole, epochs=4, kept=kept)
    assert [len(progress.history) for progress in kept.saved] == [1, 2, 3, 4]
    assert kept.saved[-1].history == rows
    resumed, later = Recorder(), Kept(rows[:3])
    assert fitted(resumed, epochs=4, kept=later) == rows
    assert resumed.shown == whole.shown[-2:]
    assert [len(progress.history) for progress in later.saved] == [4]
    finished = Recorder()
    assert fitted(finished, epochs=4, kept=Kept(rows)) == rows
    assert finished.shown == []


@pytest.mark.parametrize(
    ("recorder", "epoch", "kind"),
    [
        (Recorder([np.inf]), 1, "training loss is inf"),
        (Recorder(validation=np.nan), 1, "validation loss is nan"),
    ],
)
def test_divergence_stops_with_a_sentence(recorder, epoch, kind):
    expected = f"The {kind} in epoch {epoch} of 9; lower train.learning_rate or train.init_std."
    with pytest.raises(TrainingError, match=f"^{re.escape(expected)}$"):
        fitted(recorder, epochs=9)


def test_divergence_says_where_the_last_good_state_is():
    expected = (
        "The training loss is nan in epoch 2 of 9; lower train.learning_rate or "
        "train.init_std; the last good state is 1 epochs old."
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(expected)}$"):
        fitted(Recorder([1.0, 1.0, 1.0, np.nan]), epochs=9)


def test_a_training_whose_time_is_up_ends_after_an_epoch_and_goes_on_from_there():
    whole = Recorder()
    rows = fitted(whole, epochs=4)
    answers = iter([False, True])
    paused, kept = Recorder(), Kept()
    assert fitted(paused, epochs=4, kept=kept, enough=lambda: next(answers)) == rows[:2]
    assert paused.shown == whole.shown[:4]
    resumed = Recorder()
    # after its last epoch a training is not asked, and ends
    last = iter([False])
    later = Kept(kept.saved[-1].history)
    assert fitted(resumed, epochs=4, kept=later, enough=lambda: next(last)) == rows
    assert resumed.shown == whole.shown[4:]


# whole runs


@pytest.mark.parametrize(("trainable", "kept"), [("head", 5), ("block5", 4), ("all", 0)])
def test_a_run_trains_what_it_should(project, weights, trainable, kept):
    made = project()
    layout = made.layout
    # pretrained layers bear smaller steps than the new ones
    rate = 1e-3 if trainable == "head" else 1e-4
    experiment = made.train(trainable=trainable, learning_rate=rate)
    train.run(experiment, layout)

    rows = history(layout)
    assert tuple(rows[0]) == train.COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])

    trained = load_file(weights_file(made))
    assert {key.split("/")[0] for key in trained} == set(vgg.layer_names(kept))
    pretrained = [key for key in trained if key in weights]
    assert bool(pretrained) == (trainable != "head")
    for key in pretrained:
        assert trained[key].shape == weights[key].shape
        assert not np.array_equal(trained[key], weights[key])
        assert np.abs(trained[key] - weights[key]).max() < 20 * rate
    assert all(np.isfinite(value).all() for value in trained.values())

    with safe_open(weights_file(made), "numpy") as file:
        assert list(file.metadata()) == ["model"]
        described = json.loads(file.metadata()["model"])
    assert described == {"classes": CLASSES, "train": vars(experiment.train)}

    assert all(value.dtype == np.float16 for value in trained.values())
    # measured with the weights as they are in the file, which float16 rounds
    summary = json.loads((layout.model / "summary.json").read_text())
    assert summary == {
        key: pytest.approx(float(value), rel=0.01) for key, value in rows[1].items()
    } | {
        "train_images": 12,
        "val_images": 6,
        "classes": 3,
        "trained_parameters": sum(value.size for value in trained.values()),
    }
    with Image.open(layout.model / "history.png") as plot:
        assert plot.format == "PNG"
    assert sorted(path.name for path in layout.model.iterdir()) == [
        "history.csv",
        "history.png",
        "summary.json",
        "weights.safetensors",
        "worst_classes.csv",
    ]


def test_weights_too_large_for_the_file_are_a_divergence():
    with pytest.raises(TrainingError, match=r"^gap/kernel has weights above 65504\.0, so the"):
        train.to_half({"gap": {"kernel": np.array([1.0, -7e4], np.float32)}})


def test_the_same_seed_gives_the_same_bytes(project):
    made = project()
    train.run(made.experiment, made.layout)
    first = weights_file(made).read_bytes()
    other = type(made.experiment)(**{**vars(made.experiment), "seed": 2})
    train.run(other, made.layout)
    assert weights_file(made).read_bytes() != first
    again = project(folder="again")
    train.run(again.experiment, again.layout)
    assert weights_file(again).read_bytes() == first


def test_a_diverged_run_leaves_no_final_files(project):
    made = project()
    with pytest.raises(TrainingError, match=r"^The \w+ loss is (nan|inf) in epoch \d+ of 2; lower"):
        train.run(made.train(learning_rate=1e38), made.layout)
    assert not made.layout.model.exists()


# bfloat16


def test_bfloat16_computes_near_float32_and_leaves_float32(weights, samples):
    _, features = samples
    sums, traced = {}, {}
    for compute in ("float32", "bfloat16"):
        trainer = training_step.Trainer(replace(TINY, compute=compute), COUNTS, 1)
        params = trainer.init(1, vgg.nested(weights), features)
        batch = trainer.batch(features, 0, np.arange(5))
        traced[compute] = str(jax.make_jaxpr(trainer.evaluate)(params, *batch))
        before = vgg.flattened(params)
        after, _, sums[compute] = trainer.step(params, trainer.optimizer.init(params), KEY, *batch)
        for key, value in vgg.flattened(after).items():
            assert value.dtype == np.float32
            assert not np.array_equal(value, before[key]), key
    assert "bf16" in traced["bfloat16"]
    assert "bf16" not in traced["float32"]
    assert sums["bfloat16"]["loss"].dtype == np.float32
    assert sums["bfloat16"]["loss"] != sums["float32"]["loss"]
    assert sums["bfloat16"]["loss"] == pytest.approx(float(sums["float32"]["loss"]), rel=0.02)


def test_heatmaps_compute_in_float32_whatever_the_training(project):
    made = project()
    pixels = PackedImages(made.layout.packed)[[0]][0]
    maps = []
    for compute in ("float32", "bfloat16"):
        type(made)(made.train(compute=compute), made.layout).write_model()
        model = saliency.TrainedNetwork(
            made.layout.model / "weights.safetensors",
            vgg.read_weights(made.layout.vgg16),
            made.experiment.heatmap,
        )
        maps.append(model.plain(pixels))
    np.testing.assert_array_equal(maps[0][0]["paper"], maps[1][0]["paper"])
    np.testing.assert_array_equal(maps[0][1], maps[1][1])


def test_worst_classes_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2], np.int32)
    predicted = np.array([0, 2, 2, 1, 1, 0, 1, 2])
    rows = train.worst_classes(labels, predicted, ["ant", "bee", "cat"])
    assert [tuple(row.values()) for row in rows] == [
        ("ant", 3, 0.333333, "cat", 2),
        ("cat", 3, 0.333333, "ant", 1),  # a tie goes to the first class
        ("bee", 2, 1.0, "", ""),
    ]


def test_only_the_ten_worst_classes_are_listed():
    labels = np.repeat(np.arange(12, dtype=np.int32), 2)
    predicted = labels.astype(int)
    predicted[10] = 0
    rows = train.worst_classes(labels, predicted, list("abcdefghijkl"))
    assert len(rows) == 10
    assert (rows[0]["class"], rows[0]["val_top1"], rows[0]["confused_with"]) == ("f", 0.5, "a")
