"""Saliency maps of a trained network, from its class activation maps or its features.

A class activation map is the weighted sum of the last convolution's features with that
class's GAP weights (paper, section 1.2). The maps of the five most probable classes are
summed with weights that favour the more probable; the sum, scaled to [0, 1] and brought
to the image's own size, is the saliency map.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from msroi.errors import MissingError
from msroi.experiment.params import Heatmap, Train
from msroi.files import existing
from msroi.images import Pixels, enlarged, from_8_bit, resize, to_8_bit
from msroi.network import vgg
from msroi.network.centre_prior import centre_prior
from msroi.xla import jax, jnp

Map = NDArray[np.float32]
Probabilities = NDArray[np.float32]
# one image's features by the name of the layer, `(h, w, K)` each
Features = Mapping[str, NDArray[np.float32]]

# the layer whose features have class weights
LAST_LAYER = "conv6_3"

CHOSEN = "msroi"  # the map that the experiment chooses, among those that it is compared with

# Where a map varies less than this share of its values, it is rounding that varies
CONSTANT = 1e-6


def scaled(values: NDArray[np.float64]) -> Map:
    """Scale to [0, 1] by minimum and maximum; a constant map becomes 0."""
    low, high = values.min(), values.max()
    if high - low <= CONSTANT * np.abs(values).max():
        return np.zeros(values.shape, np.float32)
    return np.asarray((values - low) / (high - low), np.float32)


def rank_weights(probabilities: NDArray[np.float32], weighting: str) -> NDArray[np.float64]:
    """Return the weight of each rank, the most probable class first.

    `decay` is what the public code of Prakash et al. (2017) does: the least probable of
    the classes starts at 1.2 times its map, then each more probable one is averaged in,
    which gives 1/2, 1/4, … and 1.2 times the last. `softmax` takes the probabilities,
    made to sum to 1.
    """
    if weighting == "softmax":
        return np.asarray(probabilities / probabilities.sum(), np.float64)
    count = len(probabilities)
    weights = np.float64(0.5) ** np.arange(1, count + 1)
    weights[-1] = 1.2 * 0.5 ** (count - 1)
    return weights


def saliency_map(
    features: Features,
    class_weights: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    params: Heatmap,
) -> Map:
    """Combine what the last features say about where things are.

    With `evidence` classes, the class activation maps of the most probable classes (paper,
    section 1.2); with features, the energy of all features of `layers`, which needs no class
    to be right (`energy`). Either is multiplied by the centre prior to the power of `centre`.

    Parameters
    ----------
    features
        One image's features by layer, `(h, w, K) float32` each: those of `params.layers`.
    class_weights
        `(K, classes) float32`, the GAP layer's weights.
    probabilities
        `(classes,) float32`, softmax of the logits.
    params
        Which evidence, of which layers, how many classes, how they are weighted, and `centre`.

    Returns
    -------
    `(h, w) float32` in [0, 1], as large as the largest layer's features.
    """
    if params.evidence == "features":
        evidence = energy([features[layer] for layer in params.layers])
    else:
        evidence = of_classes(features[LAST_LAYER], class_weights, probabilities, params)
    if params.centre == 0:
        return scaled(evidence)
    return scaled(scaled(evidence) * centre_prior(*evidence.shape) ** params.centre)


def energy(layers: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return the sum over layers of the squares of all features, `(h, w)`.

    Each layer's sum is scaled to [0, 1] and brought to the size of the largest, so that all
    count alike: early layers say where edges and textures are, late ones where objects are
    (Cornia et al. 2016, "A deep multi-level network for saliency prediction").

    Parameters
    ----------
    layers
        Features `(h_i, w_i, K_i) float32` of one image.
    """
    size = max(layer.shape[:2] for layer in layers)
    squares = [scaled(np.square(layer, dtype=np.float64).sum(axis=2)) for layer in layers]
    return np.asarray(np.sum([enlarged(of, *size) for of in squares], axis=0, dtype=np.float64))


def of_classes(
    features: NDArray[np.float32],
    class_weights: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    params: Heatmap,
) -> NDArray[np.float64]:
    """Return the weighted sum of the most probable classes' activation maps, `(h, w)`."""
    top = most_probable(probabilities, params.top_classes)
    # in float64, whose rounding is far below `CONSTANT` even where terms cancel
    activations = features.astype(np.float64) @ class_weights[:, top]
    maps = np.stack([scaled(activation) for activation in np.moveaxis(activations, -1, 0)])
    weights = rank_weights(probabilities[top], params.weighting)
    return np.tensordot(weights, maps, axes=1)


def most_probable(probabilities: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Return the classes with the highest probabilities, the most probable first."""
    return np.argsort(-probabilities, kind="stable")[:count]


def full_size(small: Map, image: Pixels) -> Map:
    """Return the saliency map of an image: its map at its own size, in 256 levels.

    The levels are those of the PNG file, so that whoever reads the file has the same map.
    """
    return from_8_bit(to_8_bit(enlarged(small, *image.shape[:2])))


# what a network gives: features by layer, and probabilities, with a row a pass
Passed = tuple[dict[str, jax.Array], jax.Array]


def of_pass(features: Features, number: int) -> Features:
    """Return one pass's features of those of all passes, `(passes, h, w, K)` each."""
    return {name: of[number] for name, of in features.items()}


class TrainedNetwork:
    """A trained network, ready to make saliency maps."""

    def __init__(self, folder: Path, vgg16: vgg.Weights, params: Heatmap) -> None:
        """Load the trained layers in `folder` over those of the pretrained VGG16.

        Raises
        ------
        MissingError
            If a file is missing or unsound, does not say which network it is for, or the
            weights do not fit together.
        """
        file = existing(folder / "weights.safetensors")
        weights = vgg.read_weights(file)
        with safe_open(file, "numpy") as opened:
            metadata = opened.metadata() or {}
        try:
            described = json.loads(metadata["model"])
            train = Train(**described["train"])
        except (KeyError, TypeError, json.JSONDecodeError):
            raise MissingError(
                f"{file} is not from this version's stage train; run it again."
            ) from None
        self.classes: list[str] = described["classes"]
        self.params = params
        network = vgg.network(train, len(self.classes))
        dropped = vgg.network(train, len(self.classes), params.dropout)
        self.variables = {"params": vgg.merge(network, vgg16, weights)}
        self.class_weights = np.asarray(self.variables["params"]["gap"]["kernel"])

        layers = {*params.layers, LAST_LAYER}

        def needed(passed: tuple[jax.Array, dict[str, jax.Array]]) -> Passed:
            logits, features = passed
            return {name: features[name] for name in layers}, jax.nn.softmax(logits)

        def plain(pixels: jax.Array) -> Passed:
            """Return features by layer, `(1, h, w, K)` each, and probabilities `(1, classes)`."""
            return needed(network.apply(self.variables, vgg.normalise(pixels[None], vgg16)))

        def repeated(pixels: jax.Array, key: jax.Array) -> Passed:
            """Return the same for every pass, with dropout."""
            x = vgg.normalise(jnp.repeat(pixels[None], params.passes, axis=0), vgg16)
            return needed(dropped.apply(self.variables, x, rngs={"dropout": key}))

        self._plain = jax.jit(plain)
        self._repeated = jax.jit(repeated)

    def saliency(self, image: Pixels) -> Map:
        """Return the saliency map of an image `(H, W, 3) uint8` at its own size.

        It has the 256 levels of the files that the stage writes, so that both serve alike.
        """
        maps, _ = self.plain(self.given(image))
        return full_size(maps[CHOSEN], image)

    def given(self, image: Pixels) -> Pixels:
        """Return what the network is given of an image: `(input_px, input_px, 3) uint8`."""
        return resize(image, self.params.input_px)

    def plain(self, given: Pixels) -> tuple[dict[str, Map], Probabilities]:
        """Pass what `given` returns through the network once, without dropout.

        Returns
        -------
        maps
            `(h, w)` in [0, 1] by name: `msroi`, the experiment's; `paper`, the paper's rule for
            the same features, if that is another; `top1`, the activation map of the most
            probable class alone.
        probabilities
            `(classes,)`.
        """
        features, (probabilities,) = jax.tree.map(np.asarray, self._plain(given))
        maps = {
            name: saliency_map(of_pass(features, 0), self.class_weights, probabilities, params)
            for name, params in compared_params(self.params).items()
        }
        return maps, probabilities

    def passes(self, given: Pixels, seed: int, name: str) -> Map:
        """Pass what `given` returns through the network `passes` times, with dropout.

        The dropout depends on the seed and the image's name alone, never on
        which other images are in the run.

        Parameters
        ----------
        given
            `(input_px, input_px, 3) uint8`.
        seed
            The experiment's seed.
        name
            A name that is the image's alone.

        Returns
        -------
        Maps `(passes, h, w)` in [0, 1].
        """
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
        features, probabilities = jax.tree.map(np.asarray, self._repeated(given, key))
        maps = [
            saliency_map(of_pass(features, number), self.class_weights, shares, self.params)
            for number, shares in enumerate(probabilities)
        ]
        return np.stack(maps)


def compared_params(params: Heatmap) -> dict[str, Heatmap]:
    """Return the parameters of the maps that `TrainedNetwork.plain` makes, by their names."""
    paper = replace(params, evidence="classes", layers=(LAST_LAYER,), centre=0.0)
    named = {CHOSEN: params, "paper": paper, "top1": replace(paper, top_classes=1)}
    if paper == params:
        del named["paper"]
    return named
