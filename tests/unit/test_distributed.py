"""Processes that train together: the same weights as by one with as many devices."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from msroi.cli import main
from msroi.network import distributed

# a head on random features; writes its weights and prints after which epoch it went on
TRAINING = """
import sys
from argparse import Namespace
from pathlib import Path
import jax
import numpy as np
from msroi import distributed, steps, train
from msroi.checkpoints import Checkpoints
from msroi.params import Train

folder, stop, coordinator, processes, process = sys.argv[1:]

def main():
    regularised = ("linear", 1, 0.3, 0.8, 0.9)
    params = Train("head", 3, 8, 1e-3, *regularised, "plain", 16, "normal", 0.05, 0.1, "float32")
    trainer = steps.Trainer(params, np.array([4, 9, 7]), jax.device_count())
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 2, 2, 512)).astype(np.float32)
    inputs = lambda view, chosen, size: steps.padded(features[chosen], size)
    samples = steps.Samples(inputs, rng.integers(0, 3, 20).astype(np.int32), 1)
    kept = Checkpoints(Path(folder))
    went_on_after = kept.epoch
    save = kept.save
    def save_and_stop(progress):
        save(progress)
        if len(progress.history) == int(stop):
            sys.exit(3)
    kept.save = save_and_stop
    start = trainer.init(0, {}, samples)
    trained, history = train.fit(trainer, start, samples, samples, 3, 0, kept)
    assert len(trained["gap"]["kernel"].sharding.device_set) == jax.device_count()
    weights = np.concatenate([np.ravel(value) for value in jax.tree.leaves(trained)])
    np.save(f"{folder}-{process}.npy", weights)
    print(went_on_after, [row["train_loss"] for row in history])

given = {"coordinator": None, "processes": None, "process": None}
if int(processes) > 1:
    given = {"coordinator": coordinator, "processes": int(processes), "process": int(process)}
with distributed.joined(Namespace(distributed=False, **given)):
    main()
"""


def together(commands, devices, status=0):
    """Run commands at the same time, each with so many devices; return what each printed."""
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    running = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        outputs = [process.communicate(timeout=180) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, output in zip(running, outputs, strict=True):
        assert process.returncode == status, "\n".join(output)
    return outputs


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def trained(folder, processes, devices, stop=0, status=0):
    """Train a head by so many processes; return the last line that each printed."""
    address = free_address()
    commands = [
        [sys.executable, "-c", TRAINING, folder, str(stop), address, str(processes), str(process)]
        for process in range(processes)
    ]
    return [out.splitlines()[-1] for out, _ in together(commands, devices, status) if not status]


def test_two_processes_train_as_one_does_and_go_on_after_a_stop(tmp_path):
    def weights(name, process):
        return np.load(tmp_path / f"{name}-{process}.npy")

    (expected,) = trained(tmp_path / "one", 1, 4)
    trained(tmp_path / "two", 2, 2, stop=2, status=3)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["1", "2"]
    assert trained(tmp_path / "two", 2, 2) == [expected.replace("0 ", "2 ", 1)] * 2
    np.testing.assert_array_equal(weights("two", 1), weights("two", 0))
    # not bit for bit: sums over devices are made in another order
    np.testing.assert_allclose(weights("two", 0), weights("one", 0), rtol=0, atol=1e-6)


def test_the_command_writes_the_files_of_one_process(project):
    made = project()
    path = Path("config/tiny.yaml")
    values = yaml.safe_load(path.read_text())
    values["train"]["batch_size"] = 4
    path.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "msroi", "train", "--experiment", "tiny"]

    def files():
        return {path.name: path.read_bytes() for path in made.layout.model.iterdir()}

    coordinator = ["--coordinator", free_address(), "--processes", "2"]
    outputs = together([[*command, *coordinator, "--process", str(i)] for i in range(2)], 1)
    assert "train" in outputs[0][1]
    assert "train" not in outputs[1][1]  # one progress bar
    of_two = files()
    together([command], 2)
    assert of_two == files()
    assert len(of_two) == 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            "--distributed --process 0",
            "--distributed asks srun or mpirun who the processes are, so it does not go with "
            "--coordinator, --processes and --process; leave one or the other out.",
        ),
        (
            "--coordinator a:1 --processes 2",
            "--coordinator, --processes and --process go together; for example: "
            "--coordinator node1:29400 --processes 2 --process 0",
        ),
        (
            "--coordinator a --processes 2 --process 0",
            "--coordinator is HOST:PORT, such as node1:29400, got 'a'.",
        ),
        (
            "--coordinator a:1 --processes 2 --process 2",
            "--process 2 must be at least 0 and below --processes 2.",
        ),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(project, capsys, options, sentence):
    project()
    assert main.main(["train", "--experiment", "tiny", *options.split()]) == 2
    assert capsys.readouterr().err == f"msroi: {sentence}\n"


def test_distributed_without_srun_or_mpirun_is_one_sentence(project):
    """In a process of its own: JAX has to be told before it is first used."""
    project()
    command = [sys.executable, "-m", "msroi", "train", "--experiment", "tiny", "--distributed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "msroi: --distributed finds neither srun nor mpirun behind it; start the processes by one "
        "of them or tell each: --coordinator node1:29400 --processes 2 --process 0\n"
    )


def test_a_process_0_that_is_not_there_is_one_sentence(project, capsys, monkeypatch):
    project()
    monkeypatch.setattr(distributed, "PATIENCE_S", 0.1)
    address = free_address()
    options = f"--coordinator {address} --processes 2 --process 1".split()
    assert main.main(["train", "--experiment", "tiny", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"msroi: Process 0 does not answer at {address} (")
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(project, capsys):
    project()
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        options = f"--coordinator 127.0.0.1:{port} --processes 2 --process 0".split()
        assert main.main(["train", "--experiment", "tiny", *options]) == 2
    assert capsys.readouterr().err == (
        f"msroi: Port {port} of --coordinator is taken or reserved on this machine; "
        "choose another.\n"
    )


def test_only_train_takes_them(capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(["anova", "--experiment", "tiny", "--distributed"])
    assert re.fullmatch("msroi: unrecognized arguments: .*\n", capsys.readouterr().err)
