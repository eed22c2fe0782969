"""Saliency maps by rule: class activation maps, features' energy, or a readout's density.

A class activation map is the weighted sum of the last convolution's features with that class's GAP
weights (paper, section 1.2). The paper's saliency map sums the maps of the five most probable
classes, with weights that favour the more probable. The sum, scaled to [0, 1], comes to the image's
own size. The features' energy needs no class to be right. A readout has learned where people look
(`readout`).
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from scipy.ndimage import gaussian_filter

from msroi.errors import MissingError
from msroi.experiment.params import ClassMap, FeatureMap, Heatmap, ReadoutMap, Train
from msroi.files import existing
from msroi.images import Pixels, enlarged, from_8_bit, resize, to_8_bit
from msroi.network import vgg
from msroi.network.backbones import BACKBONES
from msroi.network.centre_prior import centre_prior
from msroi.network.readout import ReadoutNetwork
from msroi.xla import jax, jnp

Map = NDArray[np.float32]
Probabilities = NDArray[np.float32]
# one image's features by the name of the layer, `(h, w, K)` each
Features = Mapping[str, NDArray[np.float32]]

# Where a map varies less than this share of its values, it is rounding that varies
CONSTANT = 1e-6


def scaled(values: NDArray[np.float64]) -> Map:
    """Scale to [0, 1] by minimum and maximum, and a constant map to 0."""
    low, high = values.min(), values.max()
    if high - low <= CONSTANT * np.abs(values).max():
        return np.zeros(values.shape, np.float32)
    return np.asarray((values - low) / (high - low), np.float32)


def rank_weights(probabilities: NDArray[np.float32], weighting: str) -> NDArray[np.float64]:
    """Return the weight of each rank, the most probable class first.

    `decay` is what the public code of Prakash et al. (2017) does. The least probable of the classes
    starts at 1.2 times its map. Then each more probable one enters an average with it, which gives
    1/2, 1/4, … and 1.2 times the last. `softmax` takes the probabilities, made to sum to 1.
    """
    if weighting == "softmax":
        return np.asarray(probabilities / probabilities.sum(), np.float64)
    count = len(probabilities)
    weights = np.float64(0.5) ** np.arange(1, count + 1)
    weights[-1] = 1.2 * 0.5 ** (count - 1)
    return weights


def network_map(
    features: Features,
    last_layer: str,
    class_weights: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    rule: ClassMap | FeatureMap,
) -> Map:
    """Make the map of a rule that reads the trained network.

    The rule classes sums the class activation maps of the most probable classes (paper, section
    1.2). The rule features takes the energy of all features of some layers (`energy`). Both
    multiply the result by the centre prior to the power of `centre`.

    Parameters
    ----------
    features
        One image's features by layer, `(h, w, K) float32` each: those that the rule reads.
    last_layer
        The one that the class weights are given.
    class_weights
        `(K, classes) float32`, the GAP layer's weights.
    probabilities
        `(classes,) float32`, softmax of the logits.
    rule
        Which classes or layers, and `centre`.

    Returns
    -------
    `(h, w) float32` in [0, 1], as large as the largest layer's features.
    """
    if isinstance(rule, FeatureMap):
        evidence = energy([features[layer] for layer in rule.layers])
    else:
        evidence = of_classes(features[last_layer], class_weights, probabilities, rule)
    if rule.centre == 0:
        return scaled(evidence)
    return scaled(scaled(evidence) * centre_prior(*evidence.shape) ** rule.centre)


def readout_map(density: NDArray[np.float32], rule: ReadoutMap) -> Map:
    """Make the map of a readout's density `(h, w)`: in [0, 1], its maximum 1.

    It divides by the maximum and does not stretch from the minimum. So values stay proportional to
    how likely people look there.
    """
    tempered = np.power(density, rule.power, dtype=np.float64)
    blurred = gaussian_filter(tempered, rule.blur * density.shape[1], mode="nearest")
    return np.asarray(blurred / blurred.max(), np.float32)


def energy(layers: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return the sum over layers of the squares of all features, `(h, w)`.

    It scales each layer's sum to [0, 1] and brings it to the size of the largest, so that all count
    alike. Early layers say where edges and textures are, late ones where objects are (Cornia et al.
    2016, "A deep multi-level network for saliency prediction").

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
    rule: ClassMap,
) -> NDArray[np.float64]:
    """Return the weighted sum of the most probable classes' activation maps, `(h, w)`."""
    top = most_probable(probabilities, rule.top_classes)
    # in float64, whose rounding is far below `CONSTANT` even where terms cancel
    activations = features.astype(np.float64) @ class_weights[:, top]
    maps = np.stack([scaled(activation) for activation in np.moveaxis(activations, -1, 0)])
    weights = rank_weights(probabilities[top], rule.weighting)
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
    """A trained network, ready to make the saliency maps whose rule reads it."""

    def __init__(self, file: Path, vgg16: vgg.Weights, params: Heatmap) -> None:
        """Load the trained layers in `file` over those of the pretrained VGG16.

        Raises
        ------
        MissingError
            If a file is missing or unsound, does not say which network it is for, or the
            weights do not fit together.
        """
        weights = vgg.read_weights(existing(file))
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
        self.rules = {
            name: rule for name, rule in params.maps.items() if not isinstance(rule, ReadoutMap)
        }
        backbone = BACKBONES[train.backbone]
        pretrained = backbone.pretrained(vgg16)
        network = backbone.network(train, len(self.classes))
        dropped = backbone.network(train, len(self.classes), params.dropout)
        self.variables = {"params": vgg.merge(network, pretrained, weights)}
        self.class_weights = np.asarray(self.variables["params"]["gap"]["kernel"])

        self.last_layer = backbone.LAST_LAYER
        layers = {self.last_layer}
        for rule in self.rules.values():
            layers.update(rule.layers if isinstance(rule, FeatureMap) else ())

        def needed(passed: tuple[jax.Array, dict[str, jax.Array]]) -> Passed:
            logits, features = passed
            return {name: features[name] for name in layers}, jax.nn.softmax(logits)

        def plain(pixels: jax.Array) -> Passed:
            """Return features by layer, `(1, h, w, K)` each, and probabilities `(1, classes)`."""
            return needed(network.apply(self.variables, vgg.normalise(pixels[None], pretrained)))

        def repeated(pixels: jax.Array, key: jax.Array) -> Passed:
            """Return the same for every pass, with dropout."""
            x = vgg.normalise(jnp.repeat(pixels[None], params.passes, axis=0), pretrained)
            return needed(dropped.apply(self.variables, x, rngs={"dropout": key}))

        self._plain = jax.jit(plain)
        self._repeated = jax.jit(repeated)

    def given(self, image: Pixels) -> Pixels:
        """Return the network's input for an image: `(input_px, input_px, 3) uint8`."""
        return resize(image, self.params.input_px)

    def plain(self, given: Pixels) -> tuple[dict[str, Map], Probabilities]:
        """Pass what `given` returns through the network once, without dropout.

        Returns
        -------
        maps
            `(h, w)` in [0, 1] by name, of the rules that read the network.
        probabilities
            `(classes,)`.
        """
        features, (probabilities,) = jax.tree.map(np.asarray, self._plain(given))
        seen = of_pass(features, 0)
        maps = {name: self._map(seen, probabilities, rule) for name, rule in self.rules.items()}
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
        Maps `(passes, h, w)` in [0, 1] by the rule of `heatmap.passes_map`.
        """
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
        features, probabilities = jax.tree.map(np.asarray, self._repeated(given, key))
        rule = self.rules[self.params.passes_map]
        maps = [
            self._map(of_pass(features, number), shares, rule)
            for number, shares in enumerate(probabilities)
        ]
        return np.stack(maps)

    def _map(self, features: Features, shares: Probabilities, rule: ClassMap | FeatureMap) -> Map:
        return network_map(features, self.last_layer, self.class_weights, shares, rule)


class MapMaker:
    """Makes one map of any photograph, by the network that its rule reads."""

    def __init__(self, name: str, weights: Path, vgg16: vgg.Weights, params: Heatmap) -> None:
        """Load the weights that the map `name` needs: of stage readout, or of stage train.

        Raises
        ------
        MissingError
            If the file is missing or unsound, or its weights are others than the rule needs.
        """
        rule = params.maps[name]
        if isinstance(rule, ReadoutMap):
            self._small = _readout_maker(ReadoutNetwork(vgg16, weights), rule)
        else:
            self._small = _network_maker(TrainedNetwork(weights, vgg16, params), name)

    def saliency(self, image: Pixels) -> Map:
        """Return the saliency map of an image `(H, W, 3) uint8` at its own size.

        It has the 256 levels of the files that stage heatmap writes, so that both serve alike.
        """
        return full_size(self._small(image), image)


def _readout_maker(network: ReadoutNetwork, rule: ReadoutMap) -> Callable[[Pixels], Map]:
    return lambda image: readout_map(network.density(network.given(image)), rule)


def _network_maker(network: TrainedNetwork, name: str) -> Callable[[Pixels], Map]:
    return lambda image: network.plain(network.given(image))[0][name]
