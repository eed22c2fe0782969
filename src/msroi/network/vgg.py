"""The network: VGG16 without its dense layers, three new convolutions, GAP and classes.

23 layers as the paper counts them: 16 convolutions with ReLU, 5 max-pools, one global
average pool, one softmax. Input 224x224, last features 7x7.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from jax import lax
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from msroi.errors import MissingError
from msroi.experiment.params import Train
from msroi.files import existing, file_hash
from msroi.xla import jax, jnp

CONVOLUTIONS = (2, 2, 3, 3, 3)
WIDTHS = (64, 128, 256, 512, 512)
HEAD = 3
SMALLEST = 1e-6  # what is added to features before their root
PATCHES_BYTES = 4 << 20  # of patches that are multiplied at once in `kernel_gradient`

# How many of the five blocks keep their pretrained weights, by `train.trainable`
FROZEN_BLOCKS = {"all": 0, "block5": 4, "head": 5}

LAST_LAYER = "conv6_3"  # whose features have class weights

# layer -> name -> array, as Flax nests them
Params = dict[str, dict[str, Any]]
# "layer/name" -> array, as the safetensors files hold them; `input/mean` and `input/std`
# say how the pretrained weights want their images
Weights = Mapping[str, NDArray[np.float32]]


def layer_names(first_block: int) -> list[str]:
    """Name the layers with weights from block `first_block` (0 to 5) on.

    `conv1_1` … `conv5_3` are VGG16's, `conv6_1` … `conv6_3` the new ones, `gap` holds the
    class weights.
    """
    counts = [*CONVOLUTIONS, HEAD][first_block:]
    numbered = enumerate(counts, start=first_block + 1)
    names = [f"conv{block}_{layer}" for block, count in numbered for layer in range(1, count + 1)]
    return [*names, "gap"]


def trained_layers(train: Train) -> list[str]:
    """Name the layers that learn."""
    return layer_names(FROZEN_BLOCKS[train.trainable])


def max_pool(x: jax.Array) -> jax.Array:
    """Pool 2x2 with stride 2: `(B, H, W, C)` to `(B, H/2, W/2, C)`, H and W even.

    Written as reshape and max: the gradient of XLA's window reduction has no
    deterministic kernel on a GPU (google/flax#4233).
    """
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def convolution(
    x: jax.Array, kernel: jax.Array, strides: Any, padding: Any, **options: Any
) -> jax.Array:
    """Convolve as `jax.lax.conv_general_dilated` does, with `kernel_gradient` on CPUs.

    It is for `nn.Conv` with kernels of 3x3, stride 1 and padding `SAME`, without dilation or
    groups. The values, and the gradient with respect to `x`, are XLA's.
    """

    def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, strides, padding, **options)

    def backward(kept: tuple[jax.Array, jax.Array], out: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, kernel = kept
        (of_x,) = jax.vjp(lambda x: plain(x, kernel), x)[1](out)

        def xla(x: jax.Array, out: jax.Array) -> jax.Array:
            gradients: tuple[jax.Array] = jax.vjp(lambda of: plain(x, of), kernel)[1](out)
            return gradients[0]

        return of_x, lax.platform_dependent(x, out, cpu=kernel_gradient, default=xla)

    convolved = jax.custom_vjp(plain)
    convolved.defvjp(lambda x, kernel: (plain(x, kernel), (x, kernel)), backward)
    result: jax.Array = convolved(x, kernel)
    return result


def kernel_gradient(x: jax.Array, out: jax.Array) -> jax.Array:
    """Return the gradient of a 3x3 convolution with respect to its kernel.

    It is the sum, over all places in all images, of what the kernel sees there times the gradient
    at that place. It takes a product of two matrices for a few rows of an image, whose patches fit
    into a core's cache (`PATCHES_BYTES`). XLA's own is a convolution with a kernel as large as the
    image. It is several times slower on CPUs (docs/performance.md).

    Parameters
    ----------
    x
        `(B, H, W, n_in)`, what was convolved.
    out
        `(B, H, W, n_out)`, the gradient with respect to the result.

    Returns
    -------
    `(3, 3, n_in, n_out)`
    """
    batch, height, width, n_in = x.shape
    n_out = out.shape[-1]
    row_bytes = width * 9 * n_in * x.dtype.itemsize
    fitting = range(1, max(PATCHES_BYTES // row_bytes, 1) + 1)
    rows = max(count for count in fitting if height % count == 0)
    edged = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def add(total: jax.Array, place: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        image, top = place
        seen = lax.dynamic_slice(edged, (image, top, 0, 0), (1, rows + 2, width + 2, n_in))
        shifted = [seen[:, y : y + rows, z : z + width] for y in range(3) for z in range(3)]
        patches = jnp.concatenate(shifted, axis=-1).reshape(rows * width, 9 * n_in)
        of_rows = lax.dynamic_slice(out, (image, top, 0, 0), (1, rows, width, n_out))
        of_rows = of_rows.reshape(rows * width, n_out)
        product = jnp.matmul(of_rows.T, patches, preferred_element_type=jnp.float32)
        return total + product, None

    images, tops = jnp.asarray(np.mgrid[:batch, :height:rows].reshape(2, -1))
    total, _ = lax.scan(add, jnp.zeros((n_out, 9 * n_in), jnp.float32), (images, tops))
    return total.T.reshape(3, 3, n_in, n_out).astype(x.dtype)


class VGG16GAP(nn.Module):  # type: ignore[misc]  # Flax has no types here
    """VGG16 with three new convolutions and global average pooling.

    Attributes
    ----------
    classes, features, filters, start, init_std, gap_init_std
        Number of classes; what the new convolutions are given, `plain` or `rooted` (see
        `rooted`); their filters; how they start, `normal` or `identity` (see
        `starting_kernel`), and with which std; std of the normal that starts the class
        weights.
    dropout
        Share of each convolution's outputs dropped before its ReLU: 0, but for training
        with `train.dropout`, and to measure how much maps differ between passes: the public
        code of Prakash et al. (2017) keeps dropout on at inference, in every convolution.
    compute
        The type in which convolutions are computed, `float32` or `bfloat16`; parameters,
        features for the class activation maps and logits are float32 with either.
    """

    classes: int
    features: str
    filters: int
    start: str
    init_std: float
    gap_init_std: float
    dropout: float
    compute: str

    def setup(self) -> None:
        """Create the layers under their names."""
        kernel = starting_kernel(self.start, self.init_std)
        conv = partial(nn.Conv, kernel_size=(3, 3), dtype=jnp.dtype(self.compute))
        # the new convolutions keep XLA's gradient: at 7x7 it costs little
        vgg16 = partial(conv, conv_general_dilated=convolution)
        for block, (count, width) in enumerate(zip(CONVOLUTIONS, WIDTHS, strict=True), start=1):
            for layer in range(1, count + 1):
                setattr(self, f"conv{block}_{layer}", vgg16(width))
        for layer in range(1, HEAD + 1):
            setattr(self, f"conv6_{layer}", conv(self.filters, kernel_init=kernel))
        self.gap = nn.Dense(
            self.classes, use_bias=False, kernel_init=nn.initializers.normal(self.gap_init_std)
        )
        self.drop = nn.Dropout(self.dropout, deterministic=self.dropout == 0)

    def activated(self, x: jax.Array, layer: str) -> jax.Array:
        """Apply one convolution with its ReLU."""
        of: jax.Array = nn.relu(self.drop(getattr(self, layer)(x)))
        return of

    def convolve(self, x: jax.Array, block: int, count: int) -> jax.Array:
        """Apply the convolutions of one block, each with its ReLU."""
        for layer in range(1, count + 1):
            x = self.activated(x, f"conv{block}_{layer}")
        return x

    def layers(self, x: jax.Array, names: Sequence[str]) -> dict[str, jax.Array]:
        """Return what some of VGG16's convolutions give, each after its ReLU, by name.

        Parameters
        ----------
        x
            `(B, H, W, 3) float32`, normalised; the sides are multiples of the pools before
            the last of the layers, 16 for those of block 5.
        names
            `conv1_1` … `conv5_3`, in any order. What comes after the last is not computed.
        """
        found: dict[str, jax.Array] = {}
        for block, count in enumerate(CONVOLUTIONS, start=1):
            for name in [f"conv{block}_{layer}" for layer in range(1, count + 1)]:
                x = self.activated(x, name)
                if name in names:
                    found[name] = x
                if len(found) == len(set(names)):
                    return found
            x = max_pool(x)
        raise ValueError(f"VGG16 has no layers {sorted(set(names) - set(found))}")

    def blocks(self, x: jax.Array, first: int, last: int) -> jax.Array:
        """Apply VGG16's blocks `first` to `last` - 1 (0 to 5), each with its max-pool."""
        return self.blocks_with_features(x, first, last)[0]

    def blocks_with_features(
        self, x: jax.Array, first: int, last: int
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Apply the same blocks. Return also what each one's last convolution gives, by name."""
        features = {}
        for block in range(first, last):
            count = CONVOLUTIONS[block]
            x = features[f"conv{block + 1}_{count}"] = self.convolve(x, block + 1, count)
            x = max_pool(x)
        return x, features

    def __call__(self, x: jax.Array, first: int = 0) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Classify normalised images, or features of block `first`.

        Parameters
        ----------
        x
            `(B, H, W, 3) float32`, normalised, or what `blocks(images, 0, first)` gives.
        first
            The first block to apply, 0 to 5.

        Returns
        -------
        `(B, classes)` logits, and features by the name of the layer, float32: `conv6_3`,
        `(B, H/32, W/32, filters)`, and the last convolution of each block that was applied,
        before its max-pool: `conv5_3`, `(B, H/16, W/16, 512)`, `conv4_3`, ….
        """
        pooled, features = self.blocks_with_features(x, first, len(CONVOLUTIONS))
        given = rooted(pooled) if self.features == "rooted" else pooled
        features["conv6_3"] = self.convolve(given, 6, HEAD)
        features = {name: of.astype(jnp.float32) for name, of in features.items()}
        return self.gap(features["conv6_3"].mean(axis=(1, 2))), features


def rooted(features: jax.Array) -> jax.Array:
    """Return the square roots of features `(B, h, w, C)`, not negative, of mean square 1 an image.

    A few features with large values no longer decide alone, and all images count alike
    (Perronnin et al. 2010, "Improving the Fisher kernel for large-scale image
    classification": power and L2 normalisation).
    """
    mean = features.mean(axis=(1, 2, 3), keepdims=True)
    # roots of 0 have no finite gradient, and an image may have no feature at all
    return jnp.sqrt(features / jnp.maximum(mean, SMALLEST) + SMALLEST)


def starting_kernel(start: str, std: float) -> nn.initializers.Initializer:
    """Return what starts a new convolution's kernel `(3, 3, n_in, n_out)`.

    `normal` draws from a normal of `std`, cut off at two std (paper, section 2, with 0.1). As in
    TensorFlow, that is the std before the cut: the weights' own is 0.88 of it. `identity` adds 1
    where filter k has its centre on channel k. But for the noise, the layer then passes its input
    on. So training starts from a linear classifier of the pretrained features (Le et al. 2015, "A
    simple way to initialize recurrent networks of rectified linear units").
    """
    drawn = nn.initializers.truncated_normal(std)
    if start == "normal":
        return drawn

    def identity(key: Any, shape: Any, dtype: Any = jnp.float32, **_: Any) -> Any:
        return drawn(key, shape, dtype).at[1, 1].add(jnp.eye(shape[2], shape[3], dtype=dtype))

    return identity


def network(train: Train, classes: int, dropout: float = 0.0, compute: str = "float32") -> VGG16GAP:
    """Build the network of an experiment.

    In training `dropout` and `compute` are those of `train`. Whatever uses a trained network
    computes in float32. It drops nothing out but for the passes of Figures 1 to 4.
    """
    return VGG16GAP(
        classes,
        train.features,
        train.filters,
        train.start,
        train.init_std,
        train.gap_init_std,
        dropout,
        compute,
    )


def normalise(images: jax.Array, weights: Weights) -> jax.Array:
    """Turn RGB in 0 to 255 into what the pretrained weights expect (`input/mean`, `input/std`)."""
    return (images.astype(jnp.float32) - weights["input/mean"]) / weights["input/std"]


# where only the pretrained layers are used; the new ones are none
PRETRAINED = VGG16GAP(
    classes=1,
    features="plain",
    filters=1,
    start="normal",
    init_std=1.0,
    gap_init_std=1.0,
    dropout=0.0,
    compute="float32",
)


def frozen_part(weights: Weights, blocks: int) -> Callable[[jax.Array], jax.Array]:
    """Return VGG16's first `blocks` blocks as a function of normalised images."""
    variables = {"params": nested(weights)}
    return lambda x: PRETRAINED.apply(variables, x, 0, blocks, method="blocks")


def features_shape(side: int, blocks: int) -> tuple[int, int, int]:
    """Return the shape `(h, w, c)` of one image's features after 1 to 5 blocks."""
    return side >> blocks, side >> blocks, WIDTHS[blocks - 1]


def pretrained(vgg16: Weights) -> Weights:
    """Return VGG16's weights unchanged."""
    return vgg16


def weights_hash(vgg16: Path) -> str:
    """Return the hash of the file of VGG16's weights."""
    return file_hash(vgg16)


def nested(flat: Weights) -> Params:
    """Turn `{"conv1_1/kernel": …}` into Flax's `{"conv1_1": {"kernel": …}}`.

    What is no layer (`input/…`) drops out.
    """
    params: Params = {}
    for key, value in flat.items():
        layer, name = key.split("/")
        if layer != "input":
            params.setdefault(layer, {})[name] = value
    return params


def flattened(params: Params) -> dict[str, NDArray[np.float32]]:
    """Turn Flax's nesting into `{"conv1_1/kernel": …}`, sorted, as NumPy arrays."""
    return {
        f"{layer}/{name}": np.asarray(params[layer][name])
        for layer in sorted(params)
        for name in sorted(params[layer])
    }


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a safetensors file of `layer/name` arrays, float32 or float16, as float32.

    Raises
    ------
    MissingError
        If it is missing or no sound safetensors file; nothing else is read.
    """
    try:
        weights = load_file(existing(path))
    except SafetensorError as error:
        raise unsound(path, error) from None
    return {key: value.astype(np.float32, copy=False) for key, value in weights.items()}


def unsound(path: Path, error: Exception) -> MissingError:
    """Say that a file of weights is no sound safetensors file."""
    return MissingError(
        f"{path} is no sound safetensors file ({error}), and no other kind is read; run stages "
        "download and train again, or, if it came with msroi, install that again."
    )


def merge(model: nn.Module, *sources: Weights) -> Params:
    """Put weights from several files together, later ones over earlier ones.

    Raises
    ------
    MissingError
        If names or shapes are not those of the network; the message lists both sides.
    """
    flat = {key: value for source in sources for key, value in source.items()}
    flat = {key: value for key, value in flat.items() if not key.startswith("input/")}
    image = jnp.zeros((1, 32, 32, 3))
    expected = jax.eval_shape(model.init, jax.random.key(0), image)
    shapes = {
        f"{layer}/{name}": leaf.shape
        for layer, leaves in expected["params"].items()
        for name, leaf in leaves.items()
    }
    found = {key: value.shape for key, value in flat.items()}
    if found != shapes:
        wrong = sorted(key for key in shapes | found if shapes.get(key) != found.get(key))
        listed = "; ".join(
            f"{key}: expected {shapes.get(key, 'none')}, got {found.get(key, 'none')}"
            for key in wrong
        )
        raise MissingError(f"The weights do not fit the network: {listed}.")
    return nested(flat)
