"""What the trainable part of the network reads: augmented images, or cached features.

With all layers trained, each batch is augmented on the device as the plan says. With
frozen blocks, their features are computed once for every planned view and kept as
scratch, keyed by everything they depend on.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from msroi import vgg
from msroi.augment import transform
from msroi.files import file_hash, written_whole
from msroi.images import Pixels
from msroi.layout import Layout

# (view, indices of the chosen images, number of rows to return) -> inputs of the
# trainable part, the last repeated so that one compiled shape serves every batch
Inputs = Callable[[int, NDArray[np.intp], int], Any]

FEATURE_BATCH = 16


def batches(count: int, size: int) -> Iterator[slice]:
    """Cut `count` items into slices of `size`; the last may be shorter."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def padded(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Repeat the last item until there are `size`."""
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])


def image_inputs(
    packed: Pixels,
    rows: NDArray[np.intp],
    draws: NDArray[np.float32] | None,
    weights: vgg.Weights,
) -> Inputs:
    """Give normalised images as the plan shows them, made on the device when asked for.

    Parameters
    ----------
    packed
        All packed images, `(M, H, W, 3) uint8`; may lie on disk.
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
    images: Inputs,
    shape: tuple[int, int, int],
    weights: vgg.Weights,
    frozen_blocks: int,
    file: Path,
) -> Inputs:
    """Give the features of the frozen blocks, computed once and kept in `file`.

    Parameters
    ----------
    images
        Normalised images by view.
    shape
        Number of views, number of images, side of the images in pixels.
    weights
        The pretrained weights.
    frozen_blocks
        How many of VGG16's blocks are applied, 1 to 5.
    file
        The `.npy` scratch file; if it is there it is used as it is.
    """
    if not file.exists():
        compute_features(images, shape, weights, frozen_blocks, file)
    stored = np.load(file, mmap_mode="r")
    return lambda view, chosen, size: padded(stored[view, chosen], size)


def compute_features(
    images: Inputs,
    shape: tuple[int, int, int],
    weights: vgg.Weights,
    frozen_blocks: int,
    file: Path,
) -> None:
    """Write the frozen blocks' features, `(views, N, h, w, c) float32`; see `feature_inputs`."""
    views, count, side = shape
    apply = jax.jit(vgg.frozen_part(weights, frozen_blocks))
    features_shape = vgg.features_shape(side, frozen_blocks)
    with (
        written_whole(file) as partial,
        tqdm(total=views * count, desc=f"features {file.stem}", unit="image") as bar,
    ):
        out = open_memmap(partial, "w+", np.float32, (views, count, *features_shape))
        for view in range(views):
            for part in batches(count, FEATURE_BATCH):
                chosen = np.arange(part.start, part.stop)
                out[view, part] = apply(images(view, chosen, FEATURE_BATCH))[: len(chosen)]
                bar.update(len(chosen))
        out.flush()


def scratch_folder(layout: Layout, trainable: str) -> Path:
    """Return the scratch folder for features, keyed by all that they depend on.

    Folders of other keys are removed: the features of one set of inputs stay at most.
    """
    modules = [Path(__file__).with_name(name) for name in ("inputs.py", "augment.py", "vgg.py")]
    files = [layout.vgg16, layout.packed, layout.index, layout.plan, *modules]
    parts = [trainable, jax.__version__, jax.default_backend(), *map(file_hash, files)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = layout.scratch / "features"
    for other in folder.glob("*"):
        if other.name != key:
            shutil.rmtree(other, ignore_errors=True)
    return folder / key
