"""Several processes that train together, on one machine or on many, through jax.distributed.

They find each other by what SLURM or Open MPI tells every process, or by explicit options.
"""

import argparse
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from msroi.errors import ParameterError, TrainingError

EXPLICIT = ("coordinator", "processes", "process")
PATIENCE_S = 300.0  # as long as JAX waits for all to come
EXAMPLE = "--coordinator node1:29400 --processes 2 --process 0"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that several processes may run together."""
    command.add_argument(
        "--distributed",
        action="store_true",
        help="train together with the other processes that srun or mpirun has started",
    )
    command.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="without srun or mpirun: where process 0 runs and a free port there",
    )
    command.add_argument("--processes", metavar="N", type=int, help="how many there are")
    command.add_argument("--process", metavar="I", type=int, help="which one this is, from 0")


@contextmanager
def joined(arguments: argparse.Namespace) -> Iterator[None]:
    """Join the other processes for the length of a block, if the options say so.

    To be entered before JAX is first used. A process that fails leaves at once, and JAX ends
    those that wait for it.

    Raises
    ------
    ParameterError
        If the options do not go together or nothing says who the processes are.
    TrainingError
        If the others can't be reached.
    """
    coordinator, processes, process = (getattr(arguments, name, None) for name in EXPLICIT)
    together = (getattr(arguments, "distributed", False), coordinator, processes, process)
    if together == (False, None, None, None):
        yield
        return
    insist_on_a_way(arguments)
    if coordinator is not None:
        host, _, port = coordinator.rpartition(":")
        if process == 0:
            insist_on_free(int(port))
        else:
            wait_for(host.strip("[]"), int(port))
    from msroi.xla import jax  # only now: `--help` must answer at once

    try:
        # explicit means explicit: else JAX would take from SLURM which devices are this process's
        detection = None if arguments.distributed else "deactivate"
        jax.distributed.initialize(
            coordinator, processes, process, cluster_detection_method=detection
        )
    except ValueError as error:  # JAX finds no cluster
        raise ParameterError(
            "--distributed finds neither srun nor mpirun behind it; start the processes by one "
            f"of them or tell each: {EXAMPLE}"
        ) from error
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"The processes could not find each other ({reason}).") from error
    yield
    jax.distributed.shutdown()  # type: ignore[no-untyped-call]


def insist_on_free(port: int) -> None:
    """Insist that nobody listens on a port; JAX would crash.

    Raises
    ------
    ParameterError
        If somebody does.
    """
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise ParameterError(
            f"Port {port} of --coordinator is taken or reserved on this machine; choose another."
        ) from error


def wait_for(host: str, port: int) -> None:
    """Wait until process 0 listens; JAX would abort, with a stack trace, where nobody does.

    Raises
    ------
    TrainingError
        If it does not within `PATIENCE_S`.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection((host, port), timeout=10).close()
        except OSError as error:
            if time.monotonic() > end:
                raise TrainingError(
                    f"Process 0 does not answer at {host}:{port} ({error}); start it there, and "
                    "let --coordinator name its host and a port that the others may reach."
                ) from error
            time.sleep(0.5)
        else:
            return


def insist_on_a_way(arguments: argparse.Namespace) -> None:
    """Insist that the options say in one way, and wholly, who the processes are."""
    coordinator, processes, process = (getattr(arguments, name) for name in EXPLICIT)
    given = [one is not None for one in (coordinator, processes, process)]
    if arguments.distributed and any(given):
        raise ParameterError(
            "--distributed asks srun or mpirun who the processes are, so it does not go with "
            "--coordinator, --processes and --process; leave one or the other out."
        )
    if arguments.distributed:
        return
    if not all(given):
        raise ParameterError(
            f"--coordinator, --processes and --process go together; for example: {EXAMPLE}"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ParameterError(
            f"--coordinator is HOST:PORT, such as node1:29400, got {coordinator!r}."
        )
    if not 0 <= process < processes:
        raise ParameterError(
            f"--process {process} must be at least 0 and below --processes {processes}."
        )
