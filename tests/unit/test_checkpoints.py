"""Checkpoints: whole or not at all, bit for bit, and a killed run that goes on."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import yaml

from msroi.cli import main
from msroi.errors import TrainingError
from msroi.network import checkpoints
from msroi.network.checkpoints import Checkpoints, Progress
from msroi.stages import train

pytestmark = pytest.mark.numerics


def progress(epochs, size=50):
    """Progress that tells its epoch: every number follows from it."""
    rng = np.random.default_rng(epochs)
    params = {"gap": {"kernel": rng.normal(size=(size, 3)).astype(np.float32)}}
    update = {"gap": {"kernel": jnp.array(params["gap"]["kernel"]) / 7}}
    optimizer = optax.adam(1e-3)
    _, state = optimizer.update(update, optimizer.init(params))
    history = [{"epoch": epoch, "train_loss": 0.1 * epoch} for epoch in range(1, epochs + 1)]
    return Progress(params, state, history)


START = progress(0)._replace(history=[])


def assert_same(got, expected):
    np.testing.assert_array_equal(got.params["gap"]["kernel"], expected.params["gap"]["kernel"])
    assert type(got.state[0]) is type(expected.state[0])
    for name in ("mu", "nu"):
        moments = [getattr(one.state[0], name)["gap"]["kernel"] for one in (got, expected)]
        np.testing.assert_array_equal(*moments)
    assert got.state[0].count == expected.state[0].count == 1
    assert got.state[0].count.dtype == np.int32
    assert got.history == expected.history


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints" / "key"


def saved(folder, epochs):
    kept = Checkpoints(folder)
    for epoch in range(1, epochs + 1):
        kept.save(progress(epoch))
    return kept


def test_without_a_checkpoint_a_training_starts(folder):
    kept = Checkpoints(folder)
    assert kept.epoch == 0
    assert kept.resume(START) is START
    assert kept.last_good("; see") == ""


def test_the_last_progress_comes_back_bit_for_bit(folder):
    saved(folder, 3)
    kept = Checkpoints(folder)
    assert kept.epoch == 3
    assert_same(kept.resume(START), progress(3))
    assert kept.last_good("; see") == f"; see the checkpoint after epoch 3 in {folder}"


def test_the_last_two_are_kept(folder):
    saved(folder, 4)
    assert sorted(path.name for path in folder.iterdir()) == ["3", "4"]


def test_checkpoints_of_another_key_are_removed(folder):
    saved(folder, 1)
    other = folder.with_name("other")
    assert Checkpoints(other).resume(START) is START
    assert not folder.exists()


def test_removal(folder):
    saved(folder, 2).remove()
    assert not folder.exists()


def test_a_half_written_checkpoint_is_never_used(folder):
    saved(folder, 2)
    half = folder / "3.orbax-checkpoint-tmp"  # what a killed run leaves behind
    shutil.copytree(folder / "2", half)
    (half / "arrays" / "manifest.ocdbt").unlink()
    kept = Checkpoints(folder)
    assert not half.exists()
    assert_same(kept.resume(START), progress(2))


# tensorstore's failed read tells an event loop that Orbax has closed by then
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lost", ["arrays/manifest.ocdbt", "arrays/_METADATA", "history/metadata"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(folder, lost):
    saved(folder, 2)
    (folder / "2" / lost).write_bytes(b"")
    kept = Checkpoints(folder)
    assert_same(kept.resume(START), progress(1))
    kept.save(progress(2))
    assert_same(Checkpoints(folder).resume(START), progress(2))


def test_the_key_covers_all_that_a_training_depends_on(project):
    made = project()
    experiment, layout = made.experiment, made.layout
    first = checkpoints.checkpoint_folder(experiment, layout, "inputs")
    assert first.parent == layout.scratch / "checkpoints"
    assert first == checkpoints.checkpoint_folder(experiment, layout, "inputs")
    others = [
        (made.train(learning_rate=0.5), "inputs"),
        (made.train(compute="bfloat16"), "inputs"),
        (type(experiment)(**{**vars(experiment), "seed": 2}), "inputs"),
        (experiment, "other inputs"),
    ]
    folders = {checkpoints.checkpoint_folder(one, layout, key) for one, key in others}
    assert len(folders | {first}) == 5
    unrelated = replace(experiment, heatmap=replace(experiment.heatmap, passes=3))
    assert first == checkpoints.checkpoint_folder(unrelated, layout, "inputs")


# the disk is full

FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    # tensorstore's own words
    ValueError("RESOURCE_EXHAUSTED: Failed to write 115 bytes: No space left on device"),
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(folder, monkeypatch, error):
    kept = saved(folder, 2)

    def full(*_, **__):
        raise error

    monkeypatch.setattr(kept._manager, "save", full)
    with pytest.raises(TrainingError) as caught:
        kept.save(progress(3))
    assert str(caught.value) == (
        "The disk is full, so the checkpoint after epoch 3 could not be written; free some "
        f"space and run again, which resumes from the checkpoint after epoch 2 in {folder}."
    )
    assert_same(Checkpoints(folder).resume(START), progress(2))


def test_other_errors_pass(folder):
    with pytest.raises(ValueError, match=r"^a defect$"), Checkpoints(folder).room_for("x"):
        raise ValueError("a defect")
    with pytest.raises(PermissionError), Checkpoints(folder).room_for("x"):
        raise PermissionError(errno.EACCES, "no")


# SIGKILL

EPOCHS = 8

SAVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_checkpoints import Checkpoints, START, progress
kept = Checkpoints(Path(sys.argv[2]))
done = len(kept.resume(START).history)
for epoch in range(done + 1, done + 10_000):
    kept.save(progress(epoch, size=200_000))
"""


def killed(command, reached):
    """Start a program and kill it as soon as `reached()`."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output.decode()


@pytest.mark.parametrize("delay_s", [0.0, 0.012])
def test_killed_while_saving_the_last_whole_checkpoint_counts(folder, delay_s):
    def saving():
        half = any(folder.glob("[3-9]*.orbax-checkpoint-tmp"))
        time.sleep(delay_s if half else 0)
        return half

    killed([sys.executable, "-c", SAVER, str(Path(__file__).parent), str(folder)], saving)
    kept = Checkpoints(folder)
    assert kept.epoch >= 2
    start = START._replace(params={"gap": {"kernel": np.zeros((200_000, 3), np.float32)}})
    state = optax.adam(1e-3).init(start.params)
    expected = progress(kept.epoch, size=200_000)
    assert_same(kept.resume(start._replace(state=state)), expected)


def test_a_killed_run_resumes_and_ends_as_an_unbroken_one(project, monkeypatch):
    def build(name):
        made = project(folder=name)
        path = Path("config/tiny.yaml")
        values = yaml.safe_load(path.read_text())
        values["train"]["epochs"] = EPOCHS
        path.write_text(yaml.safe_dump(values))
        return made

    made = build("broken")
    first = made.layout.scratch / "checkpoints"
    command = [sys.executable, "-m", "msroi", "stage", "train", "--experiment", "tiny"]
    killed(command, lambda: any(first.glob("*/[1-9]")))
    assert not made.layout.model.exists()
    resumed = []
    resume = Checkpoints.resume

    def watched(self, start):
        resumed.append(self.epoch)
        return resume(self, start)

    monkeypatch.setattr(Checkpoints, "resume", watched)
    folder = Path.cwd()
    assert main.main(command[3:]) == 0
    assert list(first.iterdir()) == []
    build("unbroken")
    assert main.main(command[3:]) == 0
    assert resumed[1] == 0
    assert 1 <= resumed[0] < EPOCHS
    for name in ("weights.safetensors", "history.csv", "summary.json"):
        path = made.layout.model / name
        assert (folder / path).read_bytes() == path.read_bytes(), name


def test_a_run_with_a_time_limit_stops_with_status_0_and_ends_as_an_unbroken_one(
    project, monkeypatch, capsys
):
    command = ["stage", "train", "--experiment", "tiny"]
    made = project(folder="limited")
    monkeypatch.setattr(main, "deadline", lambda minutes: lambda: minutes == 7)
    assert main.main([*command, "--until-minutes", "7"]) == 0
    assert capsys.readouterr().out == (
        "The training stopped after epoch 1 of 2, as its time is up; run the same command again, "
        "and it goes on from there.\n"
    )
    assert not made.layout.model.exists()
    assert main.main(command) == 0
    limited = (Path.cwd() / made.layout.model / "weights.safetensors").read_bytes()
    project(folder="unbroken")
    assert main.main([*command, "--until-minutes", "600"]) == 0
    assert (made.layout.model / "weights.safetensors").read_bytes() == limited


def test_a_deadline_leaves_room_for_an_epoch_as_long_as_the_longest():
    ends = iter([0.0, 100.0, 250.0, 300.0, 449.0, 451.0])
    enough = main.deadline(10, lambda: next(ends))
    # 600 s; the longest epochs so far take 100, 150, 150, 150, 150
    assert [enough() for _ in range(5)] == [False, False, False, False, True]


def test_results_that_find_no_room_leave_the_last_checkpoint(project, monkeypatch):
    made = project()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(train, "write_csv", full)
        with pytest.raises(TrainingError) as caught:
            train.run(made.experiment, made.layout)
    assert str(caught.value).startswith(
        "The disk is full, so the results in results/tiny/model could not be written; free "
        "some space and run again, which resumes from the checkpoint after epoch 2 in .msroi/"
    )
