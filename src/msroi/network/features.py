"""What the trainable part of the network reads: augmented images, or cached features.

If all layers learn, the device augments each batch as the plan says. With frozen blocks, stage
train computes their features once for every planned view. It keeps them as scratch, keyed by
everything they depend on.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from tqdm import tqdm

from msroi.errors import TrainingError
from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import PackedImages, pack_hash
from msroi.files import digest, written_whole
from msroi.network import vgg
from msroi.network.augmentation import transform
from msroi.network.backbones import Backbone
from msroi.xla import FLAGS, jax

# (view, indices of the chosen images, number of rows to return) -> inputs of the
# trainable part, the last repeated so that one compiled shape serves every batch
Inputs = Callable[[int, NDArray[np.intp], int], Any]

# how features are kept, by what the training computes in: bfloat16 rounds them more coarsely than
# float16 does
STORED = {"float32": "<f4", "bfloat16": "<f2"}

# what the first layers give of more images does not fit into the caches of a CPU
FEATURE_BATCH = 4


def batches(count: int, size: int) -> Iterator[slice]:
    """Cut `count` items into slices of `size`, the last of which may be shorter."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def padded(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Repeat the last item until there are `size`."""
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])


def image_inputs(
    packed: PackedImages,
    rows: NDArray[np.intp],
    draws: NDArray[np.float32] | None,
    weights: vgg.Weights,
) -> Inputs:
    """Give normalised images as the plan shows them, made on the device when asked for.

    Parameters
    ----------
    packed
        All packed images, `(M, H, W, 3) uint8`.
    rows
        The rows of the N images of this split.
    draws
        `(views, N, 4) float32`, or None for the images as they are.
    weights
        The pretrained weights, for `input/mean` and `input/std`.
    """

    def inputs(view: int, chosen: NDArray[np.intp], size: int) -> Any:
        pixels: Any = padded(packed[rows[chosen]], size)
        if draws is not None:
            pixels = transform(pixels, padded(draws[view, chosen], size))
        return vgg.normalise(pixels, weights)

    return inputs


def feature_inputs(
    backbone: Backbone,
    images: Inputs,
    shape: tuple[int, int],
    weights: vgg.Weights,
    frozen_blocks: int,
    files: list[Path],
    stored_as: str,
) -> Inputs:
    """Give the features of the frozen blocks, computed once and kept in a file a view.

    Parameters
    ----------
    backbone
        Whose blocks are frozen.
    images
        Normalised images by view.
    shape
        Number of images, side of the images in pixels.
    weights
        The pretrained weights.
    frozen_blocks
        How many of the backbone's blocks are applied, at least 1.
    files
        The `.npy` scratch file of each view; those that are there are used as they are.
    stored_as
        Of `STORED`: the type in the files. What this gives is float32 in any case.

    Raises
    ------
    TrainingError
        If a feature is too large for float16, which is above 65504.
    """
    for view, file in enumerate(files):
        if not file.exists():
            compute_features(
                backbone, partial(images, view), shape, weights, frozen_blocks, file, stored_as
            )
    stored = [np.load(file, mmap_mode="r") for file in files]
    return lambda view, chosen, size: padded(stored[view][chosen].astype(np.float32), size)


def compute_features(
    backbone: Backbone,
    images: Callable[[NDArray[np.intp], int], Any],
    shape: tuple[int, int],
    weights: vgg.Weights,
    frozen_blocks: int,
    file: Path,
    stored_as: str,
) -> None:
    """Write one view's features, `(N, h, w, c)` of type `stored_as`, for `feature_inputs`."""
    count, side = shape
    apply = jax.jit(backbone.frozen_part(weights, frozen_blocks))
    features_shape = backbone.features_shape(side, frozen_blocks)
    with (
        written_whole(file) as partly,
        partly.open("wb") as out,  # not mapped into memory: a full disk would end the process
        tqdm(total=count, desc=f"features {file.stem}", unit="image") as bar,
    ):
        whole = {"descr": stored_as, "fortran_order": False, "shape": (count, *features_shape)}
        npy.write_array_header_1_0(out, whole)
        for part in batches(count, FEATURE_BATCH):
            chosen = np.arange(part.start, part.stop)
            features = np.asarray(apply(images(chosen, FEATURE_BATCH))[: len(chosen)], "<f4")
            with np.errstate(over="ignore"):
                stored = features.astype(stored_as)
            if np.isinf(stored).any():
                raise TrainingError(
                    f"A feature of {features.max():.0f} is too large for float16, whose largest "
                    "number is 65504; set train.compute to float32."
                )
            out.write(stored.tobytes())
            bar.update(len(chosen))


def frozen_key(
    layout: Layout,
    backbone: Backbone,
    trainable: str,
    weights: vgg.Weights,
    side: int,
    stored_as: str,
) -> str:
    """Return a key of all that features depend on but the choice of images and their view.

    The computation enters in the form that XLA gets, with XLA's flags. So an edit that leaves both
    as they are does not throw away an hour of work. `side` is that of an image in pixels.
    """
    frozen = backbone.FROZEN_BLOCKS[trainable]

    def features(weights: vgg.Weights, images: jax.Array, draws: jax.Array) -> Any:
        shown = vgg.normalise(transform(images, draws), weights)
        return backbone.frozen_part(weights, frozen)(shown)

    images = np.zeros((FEATURE_BATCH, side, side, 3), np.uint8)
    draws = np.zeros((FEATURE_BATCH, 4), np.float32)
    computation = jax.jit(features).lower(dict(weights), images, draws).as_text()
    hashes = backbone.weights_hash(layout.vgg16), pack_hash(layout.packed)
    return digest(jax.__version__, jax.default_backend(), FLAGS, computation, stored_as, *hashes)


def feature_files(
    layout: Layout, key: str, rows: NDArray[np.intp], draws: NDArray[np.float32] | None
) -> list[Path]:
    """Name the scratch file of each view by all that its features depend on.

    So a plan with one more view needs only that view's features. `key` is `frozen_key`'s. `rows`
    and `draws` are as for `image_inputs`.
    """
    views = [b""] if draws is None else [draw.tobytes() for draw in draws]
    names = [digest(key, rows.tobytes().hex(), view.hex()) for view in views]
    return [layout.scratch / "features" / f"{name}.npy" for name in names]


def remove_other_features(layout: Layout, files: list[Path]) -> None:
    """Remove the scratch features that are none of `files`: one experiment's stay at most."""
    for other in (layout.scratch / "features").glob("*"):
        if other not in files:
            other.unlink()
