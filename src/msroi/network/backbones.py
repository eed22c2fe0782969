"""The backbones: modules that know one pretrained network each, by `train.backbone`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import flax.linen as nn

from msroi.experiment.params import Train
from msroi.network import efficientnet, vgg
from msroi.network.vgg import Weights
from msroi.xla import jax


class Backbone(Protocol):
    """What training and saliency maps need of such a module.

    Attributes
    ----------
    FROZEN_BLOCKS
        How many blocks keep their pretrained weights, by `train.trainable`.
    LAST_LAYER
        The layer whose means the class weights `gap/kernel` are given.
    """

    @property
    def FROZEN_BLOCKS(self) -> Mapping[str, int]: ...  # noqa: D102, N802

    @property
    def LAST_LAYER(self) -> str: ...  # noqa: D102, N802

    def network(
        self, train: Train, classes: int, dropout: float = 0.0, compute: str = "float32"
    ) -> nn.Module:
        """Build the network: images `(B, H, W, 3)` to class scores and features by layer."""

    def trained_layers(self, train: Train) -> list[str]:
        """Name the layers that learn."""

    def frozen_part(self, weights: Weights, blocks: int) -> Callable[[jax.Array], jax.Array]:
        """Return the first blocks as a function of normalised images."""

    def features_shape(self, side: int, blocks: int) -> tuple[int, int, int]:
        """Return the shape `(h, w, c)` of what these give of one image."""

    def pretrained(self, vgg16: Weights, /) -> Weights:
        """Return the pretrained weights, given those of VGG16."""

    def weights_hash(self, vgg16: Path, /) -> str:
        """Return the hash of the pretrained weights, given the file of those of VGG16."""


BACKBONES: dict[str, Backbone] = {"vgg16": vgg, "efficientnet-lite0": efficientnet}
