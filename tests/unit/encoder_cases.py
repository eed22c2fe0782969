"""Photographs of many sizes, and encoders with the demo's parameters."""

import io
from pathlib import Path

import numpy as np
import skimage.data
import yaml
from PIL import Image

from msroi.encoders import jpeg
from msroi.encoders.trellis_jpeg import TrellisJpeg
from msroi.encoders.trellis_psnr import SquaredErrorJpeg
from msroi.experiment.params import Trellis, TrellisPsnr
from msroi.measures import distortion

ROOT = Path(__file__).parents[2]
COMPRESS = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))["compress"]
TRELLIS = Trellis(**COMPRESS["trellis"] | {"chroma": "half"})
PSNR = TrellisPsnr(**COMPRESS["trellis_psnr"] | {"chroma": "half"})
CHROMA = {"4:2:0": "half", "4:4:4": "full"}

# of one size, so that the trellis is compiled once
PHOTOS = {
    name: getattr(skimage.data, name)()[:300, :451] for name in ("astronaut", "coffee", "chelsea")
}
LARGE = np.asarray(Image.fromarray(PHOTOS["coffee"]).resize((640, 480)))
SIZES = {  # height, width
    "pixel": (1, 1),
    "row": (1, 37),
    "column": (37, 1),
    "block": (8, 8),
    "block and a bit": (9, 9),
    "wide": (8, 16),
    "unit": (16, 16),
    "odd": (61, 37),
    "even": (24, 40),
    "large": (480, 640),
}


def photo_of(size):
    height, width = SIZES[size]
    return LARGE if size == "large" else PHOTOS["astronaut"][7 : 7 + height, 9 : 9 + width]


def squared_error(**changes):
    return SquaredErrorJpeg(TrellisPsnr(**vars(PSNR) | changes))


def plain(**changes):
    return TrellisJpeg("trellis", Trellis(**vars(TRELLIS) | changes), 0.0)


def guided(share, **changes):
    return TrellisJpeg("roi-trellis", Trellis(**vars(TRELLIS) | changes), share)


def bell(size, width=0.3):
    """A centred Gaussian in [0, 1]."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    return np.exp(-(x**2 + y**2) / width).astype(np.float32)


def opened(data):
    return Image.open(io.BytesIO(data))


def mse(image, data):
    return distortion.mse_rgb(image, jpeg.decode(data))


def weighted_mse(image, data, saliency):
    error = np.square(jpeg.decode(data).astype(float) - image).mean(axis=2)
    return (saliency * error).sum() / saliency.sum()
