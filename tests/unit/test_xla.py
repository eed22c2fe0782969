"""Sums have the same bits on however many cores, and every module that computes sees to it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from msroi import xla
from msroi.workflow import code

pytestmark = pytest.mark.numerics

# a mean, a sum of many numbers, and the gradient of a bias below a convolution
SUMS = """\
import hashlib
import os
import numpy as np
from msroi.xla import jax, jnp

def loss(bias, images, kernels):
    return (jax.lax.conv(images, kernels, (1, 1), "SAME") + bias[:, None, None]).clip(0).sum()

rng = np.random.default_rng(1)
images = rng.standard_normal((8, 16, 56, 56), np.float32)
kernels = rng.standard_normal((16, 16, 3, 3), np.float32)
bias = rng.standard_normal(16, np.float32)
results = (
    jax.jit(jnp.mean)(images),
    jax.jit(lambda x: jnp.sum(x, (0, 2, 3)))(images),
    jax.jit(jax.grad(loss))(bias, images, kernels),
)
print(os.environ["XLA_FLAGS"])
print(*(hashlib.sha256(np.asarray(one).tobytes()).hexdigest() for one in results))
"""


def summed(threads: int, flags: str = "") -> tuple[str, str]:
    """Return XLA's flags and the hashes of `SUMS` made by as many threads."""
    # NPROC is where XLA reads how many there are, whatever the number of cores
    environment = {**os.environ, "NPROC": str(threads), "XLA_FLAGS": flags}
    command = [sys.executable, "-c", SUMS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    used, hashes = done.stdout.splitlines()
    return used, hashes


def test_sums_have_the_same_bits_by_one_thread_and_by_many():
    assert summed(1) == summed(2) == summed(8)


def test_left_to_itself_xla_adds_in_another_order():
    """So the test above sees what it is there for; if this fails, the flag has lost its use."""
    itself = f"{xla.SUMS_BY}=LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    assert len({summed(threads, itself) for threads in (1, 2, 8)}) == 3


def test_the_users_flags_are_kept():
    other = "--xla_force_host_platform_device_count=2"
    assert summed(1, other)[0] == f"{xla.ONE_ORDER} {other}"


def imports(module: Path) -> tuple[set[str], set[str]]:
    """Return what a module imports as a whole, and the packages it imports names from."""
    tree = list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))
    whole = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module or "" for node in tree if isinstance(node, ast.ImportFrom)}
    return whole, {name.partition(".")[0] for name in whole | parts}


def test_whoever_uses_jax_has_it_from_here():
    users = set()
    for path in code.PACKAGE.rglob("*.py"):
        module = ".".join(("msroi", *path.relative_to(code.PACKAGE).with_suffix("").parts))
        whole, packages = imports(path)
        if module == xla.__name__:
            continue
        assert not {"jax", "jax.numpy"} & whole, f"{module}: from msroi.xla import jax, jnp"
        if {"jax", "flax", "optax", "orbax"} & packages:
            users.add(module)
            assert xla.__name__ in code.closure(module), module
    assert {"msroi.network.vgg", "msroi.network.training_step"} <= users
