"""Data parallelism: each device takes an equal share of every batch.

The devices may be those of several processes (`msroi.network.distributed`): all processes make the
same batches, each puts its own devices' shares there, and only the first writes files.
Which devices share the work changes results by no more than floating-point rounding, so
it is chosen when a stage is started and is no parameter of an experiment.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from msroi.errors import ParameterError, TrainingError
from msroi.files import digest
from msroi.xla import jax

# how long processes wait for the first, in ms: it may have hours of features to compute. If
# it ends before, JAX ends them within two minutes.
PATIENCE_MS = 7 * 24 * 3600 * 1000


def device_count(asked: int | None, batch_size: int) -> int:
    """Return how many devices share a batch; each process has as many of them.

    Parameters
    ----------
    asked
        The number that the user asks for, or None for as many as divide the batch.
    batch_size
        Images a batch.

    Raises
    ------
    ParameterError
        If there are fewer devices, or the batch can't be shared equally.
    """
    processes = jax.process_count()
    present = processes * min(Counter(one.process_index for one in jax.devices()).values())
    if batch_size % processes:
        raise ParameterError(
            f"{processes} processes do not divide train.batch_size, {batch_size}; "
            "start a number that does."
        )
    if asked is None:
        return max(n for n in range(processes, present + 1, processes) if batch_size % n == 0)
    if asked > present:
        where = "this machine has" if processes == 1 else f"{processes} processes have"
        kind = jax.default_backend()
        raise ParameterError(
            f"--devices {asked} is more than {where}: JAX sees {present} ({kind})."
        )
    if asked % processes:
        raise ParameterError(
            f"--devices {asked} can't be shared equally by {processes} processes; "
            f"choose a multiple of {processes}."
        )
    if batch_size % asked:
        raise ParameterError(
            f"--devices {asked} does not divide train.batch_size, {batch_size}; "
            "choose a number that does."
        )
    return asked


def shardings(count: int) -> tuple[NamedSharding, NamedSharding]:
    """Return where arrays lie: whole on each of `count` devices, or split by the first axis."""
    share = count // jax.process_count()
    chosen = [d for p in range(jax.process_count()) for d in jax.local_devices(p)[:share]]
    mesh = Mesh(np.array(chosen), ("batch",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))  # type: ignore[no-untyped-call]


def placed(tree: Any, sharding: NamedSharding) -> Any:
    """Put arrays, which every process has whole, where `sharding` says."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def spread(array: Any) -> jax.Array:
        whole = np.asarray(array)
        return jax.make_array_from_callback(whole.shape, sharding, lambda part: whole[part])

    return jax.tree.map(spread, tree)


def is_first() -> bool:
    """Return whether this is the process that writes: the only one, or the first of several."""
    return jax.process_index() == 0


@contextmanager
def first_goes_first(what: str) -> Iterator[None]:
    """Let the first process go through a block before the others, which find what it wrote.

    `what` names the block, for JAX's messages.
    """
    meet = ocp.multihost.get_barrier_sync_fn()
    if not is_first():
        meet(key=what, timeout_ms=PATIENCE_MS)
    yield
    if is_first():
        meet(key=what, timeout_ms=PATIENCE_MS)


def insist_on_same(*parts: str) -> None:
    """Insist that all processes come to the same `parts`.

    Raises
    ------
    TrainingError
        In every process, if one differs.
    """
    if jax.process_count() == 1:
        return
    mine = np.frombuffer(digest(*parts).encode(), np.uint8)
    if (multihost_utils.process_allgather(mine) != mine).any(axis=1).any():
        raise TrainingError(
            "The processes do not train on the same images, parameters, code and checkpoints; "
            "start all in one folder on a disk that they share."
        )
