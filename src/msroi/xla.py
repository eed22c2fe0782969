"""JAX, told to add numbers in one order, on however many cores: `from msroi.xla import jax, jnp`.

XLA leaves sums to the library YNNPACK, which adds in another order on one core than on two, and in
yet another on eight. So trained weights, and all that depends on them, would have other bits on
another machine. XLA's own code for sums, which the flag below has it use in their place, has one
order. Products of matrices and convolutions are left to the library: each of their sums is made by
one thread, in one order.

The flag is read when JAX first computes, so that a program that has let JAX compute before it
imports msroi gets other bits; so does one whose XLA_FLAGS name the same flag.
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
