"""Data parallelism: what --devices accepts, and the same training on four devices as on one."""

import json
import os
import re
import subprocess
import sys

import jax
import pytest

from msroi.cli import main
from msroi.errors import ParameterError
from msroi.network.devices import device_count

pytestmark = pytest.mark.numerics

TRAINING = """
import json, logging
import numpy as np
from msroi.experiment.params import Train
from msroi.network import training_step as steps
from msroi.network.checkpoints import Progress
from msroi.stages import train

class Kept:
    resume = save = lambda self, progress: progress
    last_good = lambda self, words: ""

def curve(devices):
    regularised = ("linear", 1, 0.3, 0.8, 0.9)
    head = ("plain", 16, "normal", 0.05, 0.1)
    params = Train("vgg16", "head", 3, 8, 1e-3, *regularised, *head, "float32")
    trainer = steps.Trainer(params, np.array([4, 9, 7]), devices)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 2, 2, 512)).astype(np.float32)
    inputs = lambda view, chosen, size: steps.padded(features[chosen], size)
    samples = steps.Samples(inputs, rng.integers(0, 3, 20).astype(np.int32), 1)
    start = trainer.init(0, {}, samples)
    trained, history = train.fit(trainer, start, samples, samples, 3, 0, Kept())
    assert len(trained["gap"]["kernel"].sharding.device_set) == devices
    return history

print(json.dumps([curve(devices) for devices in (1, 2, 4)]))
"""


def test_the_loss_curve_is_the_same_on_several_devices():
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiled in half the time
    }
    done = subprocess.run(
        [sys.executable, "-c", TRAINING], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    one, *several = json.loads(done.stdout)
    assert len(one) == 3
    assert one[2]["train_loss"] < one[0]["train_loss"]
    for curve in several:
        for row, expected in zip(curve, one, strict=True):
            assert row == pytest.approx(expected, rel=2e-5)


@pytest.fixture
def four_devices(monkeypatch):
    """Pretend that JAX sees four devices."""
    monkeypatch.setattr(jax, "devices", lambda: [None] * 4)


@pytest.mark.usefixtures("four_devices")
@pytest.mark.parametrize(
    ("asked", "batch_size", "expected"),
    [(None, 32, 4), (None, 6, 3), (None, 5, 1), (1, 5, 1), (2, 6, 2), (4, 32, 4)],
)
def test_devices_share_a_batch_equally(asked, batch_size, expected):
    assert device_count(asked, batch_size) == expected


@pytest.mark.usefixtures("four_devices")
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (5, "--devices 5 is more than this machine has: JAX sees 4 (cpu)."),
        (3, "--devices 3 does not divide train.batch_size, 32; choose a number that does."),
    ],
)
def test_what_can_not_be_shared_is_one_sentence(asked, sentence):
    with pytest.raises(ParameterError, match=f"^{re.escape(sentence)}$"):
        device_count(asked, 32)


def test_the_program_takes_devices_for_train_alone(project, capsys):
    project()
    assert main.main(["stage", "train", "--experiment", "tiny", "--devices", "64"]) == 2
    error = capsys.readouterr().err
    assert error == "msroi: --devices 64 is more than this machine has: JAX sees 1 (cpu).\n"
    for command in (["train", "--devices", "0"], ["anova", "--devices", "1"]):
        with pytest.raises(SystemExit, match="2"):
            main.main(["stage", *command, "--experiment", "tiny"])
        assert capsys.readouterr().err.count("\n") == 1
