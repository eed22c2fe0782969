"""VGG16's trunk forward: our JAX code beside PyTorch, and beside the cores' own peak."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks import torch_vgg
from benchmarks.comparison import Comparison, Work, seconds, side_by_side, speed_ratios
from msroi.network import vgg
from msroi.photos import packaged

BATCH = 16
SIDE_PX = 224
BLOCKS = len(vgg.CONVOLUTIONS)
MATRIX = 4096  # rows and columns of the product that measures the peak
# of the largest value: the sums of 4608 float32 products come in another order
TOLERANCE = 1e-4


def measure(repeats: int) -> list[Comparison]:
    """Time the trunk on a batch of 16 images of 224x224 px, float32."""
    weights = pretrained()
    images = normalised(weights, BATCH)
    ours, theirs, layout = works(weights, images, 0, BLOCKS)
    agree(ours(), theirs().numpy().transpose(0, 2, 3, 1))
    ours_s, theirs_s = side_by_side(ours, theirs, repeats)
    described = f"VGG16 trunk, batch {BATCH}, {SIDE_PX}x{SIDE_PX}, float32"
    against_torch = partial(
        Comparison,
        job="trunk",
        ours=f"{described}: JAX",
        against=f"PyTorch {torch_vgg.torch().__version__}, {layout}",
        ratios=speed_ratios(ours_s, theirs_s),
        unit="their time / our time",
        target=1.0,
        bound="at least",
        seconds={"ours": ours_s, "theirs": theirs_s},
    )
    reached = against_torch().reached
    rows = [against_torch(limit="" if reached else by_block(weights, images))]
    return [*rows, against_peak(ours, repeats, described)]


def pretrained() -> vgg.Weights:
    """Return the pretrained weights of VGG16."""
    return packaged.trunk()


def normalised(weights: vgg.Weights, count: int) -> NDArray[np.float32]:
    """Return images of noise as the network takes them: `(count, 224, 224, 3)`."""
    noise = np.random.default_rng(0).integers(0, 256, (count, SIDE_PX, SIDE_PX, 3))
    return np.asarray(vgg.normalise(jnp.asarray(noise), weights))


def works(
    weights: vgg.Weights, x: NDArray[np.float32], first: int, last: int
) -> tuple[Callable[[], jax.Array], Callable[[], Any], str]:
    """Return blocks `first` to `last` - 1 of `x`, ours and theirs, and their faster layout."""
    torch = torch_vgg.torch()
    variables = {"params": vgg.nested(weights)}
    # as `vgg.frozen_part` has it, from any block on
    ours = jax.jit(lambda x: vgg.PRETRAINED.apply(variables, x, first, last, method="blocks"))
    given = jnp.asarray(x)

    def theirs_in(memory_format: Any) -> Callable[[], Any]:
        model = torch.nn.Sequential(*torch_vgg.blocks(weights, first, last))
        model = model.to(memory_format=memory_format)
        images = torch_vgg.images(x).to(memory_format=memory_format)

        def forward() -> Any:
            with torch.inference_mode():
                return model(images)

        return forward

    layouts = {theirs_in(of): str(of) for of in torch_vgg.memory_formats()}
    theirs = fastest(layouts)
    return lambda: ours(given).block_until_ready(), theirs, layouts[theirs]


def fastest(candidates: Any) -> Any:
    """Return the one that takes least in the better of two runs, after one that is not timed."""
    took = {work: min([seconds(work) for _ in range(3)][1:]) for work in candidates}
    return min(took, key=lambda work: took[work])


def agree(ours: Any, theirs: Any) -> None:
    """Insist that both results are the same within rounding.

    Raises
    ------
    AssertionError
        If they are not: what would be timed then is not the same work.
    """
    apart = np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()
    if not apart <= TOLERANCE:
        raise AssertionError(f"The results differ by {apart:.2g} of the largest value.")


def gigaflop(first: int, last: int, batch: int) -> float:
    """Return the 10^9 additions and multiplications of the convolutions of some blocks."""
    total, given = 0, (3, *vgg.WIDTHS)
    for block in range(first, last):
        side, width = SIDE_PX >> block, vgg.WIDTHS[block]
        channels = given[block] + (vgg.CONVOLUTIONS[block] - 1) * width
        total += 2 * 3 * 3 * channels * width * side**2
    return total * batch / 1e9


def against_peak(ours: Work, repeats: int, described: str) -> Comparison:
    """Compare the trunk's rate with that of a large product of matrices on the same cores."""
    name, product = matrix_product()
    ours_s, product_s = side_by_side(ours, product, repeats)
    trunk, square = gigaflop(0, BLOCKS, BATCH), 2 * MATRIX**3 / 1e9
    rates = median(trunk / took for took in ours_s), median(square / took for took in product_s)
    return Comparison(
        job="trunk_peak",
        ours=f"{described}: {rates[0]:.0f} GFLOP/s",
        against=f"product of two {MATRIX}x{MATRIX} matrices by {name}, the fastest here: "
        f"{rates[1]:.0f} GFLOP/s",
        ratios=[
            (trunk / one) / (square / other) for one, other in zip(ours_s, product_s, strict=True)
        ],
        unit="our FLOP/s / theirs",
        target=0.6,
        bound="at least",
        seconds={"trunk": ours_s, "product": product_s},
    )


def matrix_product() -> tuple[str, Work]:
    """Return the fastest of NumPy, JAX and PyTorch at a float32 product, and its name."""
    one, other = np.random.default_rng(0).random((2, MATRIX, MATRIX), np.float32)
    pair = jnp.asarray(one), jnp.asarray(other)
    tensors = torch_vgg.tensor(one), torch_vgg.tensor(other)
    jitted = jax.jit(jnp.matmul)
    names: dict[Work, str] = {
        lambda: one @ other: "NumPy",
        lambda: jitted(*pair).block_until_ready(): "JAX",
        lambda: tensors[0] @ tensors[1]: "PyTorch",
    }
    product = fastest(names)
    return names[product], product


def by_block(weights: vgg.Weights, images: NDArray[np.float32], repeats: int = 3) -> str:
    """Say how fast each block is, ours and theirs."""
    return "GFLOP/s by block, ours and theirs: " + "; ".join(rates(weights, images, repeats))


def rates(weights: vgg.Weights, images: NDArray[np.float32], repeats: int) -> Sequence[str]:
    """Return each block's GFLOP/s, ours and theirs, the best of some repeats."""
    said, x = [], images
    for block in range(BLOCKS):
        ours, theirs, _ = works(weights, x, block, block + 1)
        both = side_by_side(ours, theirs, repeats)
        work = gigaflop(block, block + 1, len(images))
        said.append(f"block {block + 1}: " + " and ".join(f"{work / min(s):.0f}" for s in both))
        x = np.asarray(ours())
    return said
