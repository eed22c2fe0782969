"""Data parallelism: each device takes an equal share of every batch.

Which devices share the work changes results by no more than floating-point rounding. So the user
chooses it at a stage's start, and it is no parameter of an experiment.
"""

import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from msroi.errors import ParameterError
from msroi.xla import jax


def device_count(asked: int | None, batch_size: int) -> int:
    """Return how many devices share a batch.

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
    present = len(jax.devices())
    if asked is None:
        return max(n for n in range(1, present + 1) if batch_size % n == 0)
    if asked > present:
        kind = jax.default_backend()
        raise ParameterError(
            f"--devices {asked} is more than this machine has: JAX sees {present} ({kind})."
        )
    if batch_size % asked:
        raise ParameterError(
            f"--devices {asked} does not divide train.batch_size, {batch_size}; "
            "choose a number that does."
        )
    return asked


def shardings(count: int) -> tuple[NamedSharding, NamedSharding]:
    """Return where arrays lie: whole on each of `count` devices, or split by the first axis."""
    mesh = Mesh(np.array(jax.devices()[:count]), ("batch",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))  # type: ignore[no-untyped-call]
