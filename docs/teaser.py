"""Draw docs/images/teaser.jpg: a photograph, where the network looks, and two files of one size.

`python docs/teaser.py`, after the experiment `demo` has run.
"""

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from msroi.experiment.layout import Layout
from msroi.files import csv_rows
from msroi.images import Pixels, read_rgb

DATASET, IMAGE, QUALITY = "salient", "astronaut", 30
CLOSE_PX = (120, 340, 230, 450)  # left, top, right, bottom: the patch on the suit
TEASER = Path("docs/images/teaser.jpg")


def main() -> None:
    """Draw and write it."""
    layout = Layout("demo")
    rows = {
        row["method"]: row
        for row in csv_rows(layout.metrics / "per_image.csv")
        if row["image"] == IMAGE and int(row["match_quality"]) == QUALITY
    }

    def file(method: str) -> Pixels:
        return read_rgb(layout.jpeg_file(DATASET, method, QUALITY, IMAGE))

    def told(method: str) -> str:
        row = rows[method]
        size = f"{int(row['bytes']):,}".replace(",", " ")
        return f"{method}: {size} bytes, {float(row['wpsnr_rgb_db']):.1f} dB"

    panels = {
        "original": read_rgb(layout.test_image(DATASET, IMAGE)),
        "where the network looks": read_rgb(layout.overlay(DATASET, IMAGE)),
        told("jpeg"): close(file("jpeg")),
        told("roi-trellis"): close(file("roi-trellis")),
    }
    figure = Figure(figsize=(12, 3.3), layout="constrained")
    for axes, (title, pixels) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    TEASER.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TEASER, dpi=110, pil_kwargs={"quality": 90, "subsampling": 0})


def close(pixels: Pixels) -> Image.Image:
    """Cut out what is looked at most."""
    return Image.fromarray(pixels).crop(CLOSE_PX)


if __name__ == "__main__":
    main()
