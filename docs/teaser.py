"""Draw docs/images/teaser.jpg: a photograph, where people look, and files of one size close up.

`python docs/teaser.py`; the photograph comes with scikit-image.
"""

from pathlib import Path

import skimage.data
from matplotlib.figure import Figure
from PIL import Image

from msroi import Model, compress
from msroi.encoders.jpeg import decode
from msroi.images import Pixels
from msroi.measures.ssimulacra2 import against
from msroi.plots import overlay

QUALITY = 20  # of the plain JPEG whose size all files have
CLOSE_PX = (170, 50, 290, 190)  # left, top, right, bottom: the face
METHODS = {"jpeg": "plain JPEG", "mozjpeg": "mozjpeg", "roi-trellis": "ours"}
TEASER = Path("docs/images/teaser.jpg")


def main() -> None:
    """Draw and write it."""
    photo, model = skimage.data.astronaut(), Model()
    score = against(photo)
    panels = {
        "original": photo,
        "where people look": overlay(photo, model.saliency(photo)),
        "original, close up": close(photo),
    }
    for method, name in METHODS.items():
        data = compress(photo, model, method=method, match_quality=QUALITY)
        made = decode(data)
        panels[f"{name}: {len(data):,} bytes\nSSIMULACRA 2: {score(made):.1f}"] = close(made)
    figure = Figure(figsize=(12, 2.75), layout="constrained")
    widths = [1 if title in ("original", "where people look") else 0.86 for title in panels]
    axes = figure.subplots(1, len(panels), width_ratios=widths)
    for one, (title, pixels) in zip(axes, panels.items(), strict=True):
        one.imshow(pixels, interpolation="nearest")
        one.set_title(title, fontsize=10)
        one.set_axis_off()
    figure.savefig(TEASER, dpi=120, pil_kwargs={"quality": 92, "subsampling": 0})


def close(pixels: Pixels) -> Image.Image:
    """Cut out what people look at most."""
    return Image.fromarray(pixels).crop(CLOSE_PX)


if __name__ == "__main__":
    main()
