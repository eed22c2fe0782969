"""JAX, told to add numbers in one order, on however many cores: `from msroi.xla import jax, jnp`.

XLA leaves sums to the library YNNPACK. It adds in another order on one core than on two, and in yet
another on eight. So trained weights, and all that depends on them, would not be bit-identical on
another machine. XLA's own code for sums, which the flag below has it use in their place, has one
order. Products of matrices and convolutions stay with the library: one thread makes each of their
sums, in one order.

JAX reads the flag when it first computes. So a program that lets JAX compute before it imports
msroi gets results that are not bit-identical. So does one whose XLA_FLAGS name the same flag.
"""

import os

SUMS_BY = "--xla_cpu_experimental_ynn_fusion_type"
ONE_ORDER = f"{SUMS_BY}=-LIBRARY_FUSION_TYPE_REDUCE"

FLAGS = os.environ.get("XLA_FLAGS", "")
if SUMS_BY not in FLAGS:
    FLAGS = os.environ["XLA_FLAGS"] = f"{ONE_ORDER} {FLAGS}".strip()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

__all__ = ["FLAGS", "jax", "jnp"]
