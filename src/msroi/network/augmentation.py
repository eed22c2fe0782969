"""Augmentation: the draws, the plan that holds them, and the transformation.

The paper augments on the fly: rotation up to 30 degrees, central scaling up to 30 %, horizontal and
vertical flips. Here the plan holds every draw first, one row a view and training image, and
training applies exactly this plan. So anyone can rebuild any augmented image of any epoch from
`plan.csv` and the packed images.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jax.scipy.ndimage import map_coordinates
from numpy.typing import NDArray

from msroi.experiment.layout import Layout
from msroi.experiment.params import Augment
from msroi.files import read_csv
from msroi.xla import jax, jnp

COLUMNS = ("view", "row", "rotation_deg", "scale", "flip_horizontal", "flip_vertical")


def draw_view(params: Augment, count: int, seed: Sequence[int]) -> NDArray[np.float64]:
    """Draw one augmented view of `count` images.

    Returns `(count, 4)`. The first two are rotation in degrees, uniform in ±`rotation_deg`, and
    scale factor, uniform in 1 ± `scale_pct`/100. The others are horizontal and vertical flip, 0 or
    1. It rounds rotation and scale to 4 decimals, so that the table holds exactly what training
    applies.
    """
    rng = np.random.default_rng(seed)
    rotation = rng.uniform(-params.rotation_deg, params.rotation_deg, count)
    scale = 1 + rng.uniform(-params.scale_pct, params.scale_pct, count) / 100
    flips = rng.integers(0, 2, (count, 2)) * int(params.flips)
    return np.column_stack([rotation.round(4), scale.round(4), flips])


@jax.jit
@partial(jax.vmap, in_axes=(0, 0))
def transform(image: jax.Array, draw: jax.Array) -> jax.Array:
    """Flip, rotate and scale images about their centre, bilinearly.

    Parameters
    ----------
    image
        `(B, H, W, 3) uint8`.
    draw
        `(B, 4) float32`: rotation in degrees (positive turns the picture
        counter-clockwise), scale factor, horizontal flip, vertical flip.

    Returns
    -------
    `(B, H, W, 3) float32` in [0, 255]; what lies outside the image is mirrored at its edge.
    """
    height, width, _ = image.shape
    rotation, scale, flip_horizontal, flip_vertical = draw
    angle = jnp.deg2rad(rotation)
    y = jnp.arange(height, dtype=jnp.float32)[:, None] - (height - 1) / 2
    x = jnp.arange(width, dtype=jnp.float32)[None, :] - (width - 1) / 2
    # where each output pixel comes from: undo the scaling, the rotation, then the flips
    source_y = (jnp.cos(angle) * y + jnp.sin(angle) * x) / scale
    source_x = (jnp.cos(angle) * x - jnp.sin(angle) * y) / scale
    source_y = source_y * (1 - 2 * flip_vertical) + (height - 1) / 2
    source_x = source_x * (1 - 2 * flip_horizontal) + (width - 1) / 2

    def sample(channel: jax.Array) -> jax.Array:
        at = [source_y, source_x]
        sampled: jax.Array = map_coordinates(channel, at, order=1, mode="reflect")
        return sampled

    return jax.vmap(sample, in_axes=2, out_axes=2)(image.astype(jnp.float32))


def read_plan(layout: Layout) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Read the plan back.

    Returns
    -------
    `(N,)` rows of the training images in the pack, and `(views, N, 4) float32` draws.
    """
    table = read_csv(layout.plan)
    views = 1 + max(int(line["view"]) for line in table)
    rows = np.array([int(line["row"]) for line in table if line["view"] == "0"])
    draws = np.array([[line[c] for c in COLUMNS[2:]] for line in table], dtype=np.float32)
    return rows, draws.reshape(views, len(rows), 4)
