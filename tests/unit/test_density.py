"""The density by NumPy: against the stages' network, by the package's weights and others."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from stand_in import insist_alike

from msroi import Model
from msroi.errors import MissingError
from msroi.network import readout, vgg
from msroi.network.readout import ReadoutNetwork
from msroi.network.saliency import MapMaker
from msroi.photos import packaged
from msroi.photos.density import DensityMaker

pytestmark = pytest.mark.numerics

COFFEE = skimage.data.coffee()
PHOTOS = {"wide": COFFEE[:, :600], "tall": COFFEE[:333, :100], "flat": np.full_like(COFFEE, 90)}
PHOTOS |= {"one pixel": COFFEE[:1, :1], "strip": COFFEE[:8]}


def insist_same(file, vgg16, photo):
    """Insist on the density of the stages' network, place by place."""
    network = ReadoutNetwork(vgg16, file)
    expected = network.density(network.given(photo))
    got = DensityMaker(vgg16, file).density(photo)
    assert got.dtype == expected.dtype
    assert got.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(got, expected, rtol=2e-4)


@pytest.mark.parametrize("photo", PHOTOS)
def test_the_packages_density(quick_compiler, photo):
    file = packaged.carried(packaged.WEIGHTS)
    insist_same(file, packaged.trunk(), PHOTOS[photo])


@pytest.mark.parametrize("layers", [("conv3_1", "conv3_3"), ("conv5_2", "conv4_1", "conv3_2")])
def test_other_layers(quick_compiler, tmp_path, layers):
    params = replace(
        readout.described(packaged.carried(packaged.WEIGHTS)),
        weights="trained",
        input_px=80,
        layers=layers,
        channels=5,
    )
    rng = np.random.default_rng(0)
    shapes = readout.weight_shapes(readout.Readout(params.layers, params.channels))
    flat = {name: np.asarray(rng.normal(size=of) / 8, np.float32) for name, of in shapes.items()}
    centre = flat.pop(readout.CENTRE)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(readout.to_file(flat, centre, params))
    for photo in ("wide", "tall"):
        insist_same(file, packaged.trunk(), PHOTOS[photo])


def test_the_packages_maps_are_the_stages_but_for_rounding(quick_compiler):
    model, weights = Model(), packaged.carried(packaged.WEIGHTS)
    own = model.experiment
    maker = MapMaker(own.main_map, weights, packaged.trunk(), own.heatmap)
    for photo in (COFFEE, skimage.data.chelsea(), skimage.data.astronaut()):
        insist_alike(model.saliency(photo), maker.saliency(photo))


def test_a_file_of_another_readout(vgg16, tmp_path):
    trunk = vgg.read_weights(vgg16)
    with pytest.raises(MissingError, match=r"none\.safetensors"):
        DensityMaker(trunk, tmp_path / "none.safetensors")
    with pytest.raises(MissingError, match="is not from this version's stage readout"):
        DensityMaker(trunk, vgg16)
