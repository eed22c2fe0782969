"""Formats other than JPEG, for a reader who asks why JPEG at all: context, no peers.

They draw a curve each in stage `rate_distortion` and are no methods. They match no size, and no
program of ours writes them. Pillow and its plugin encode with their defaults, on one thread.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from msroi.images import Pixels


@dataclass(frozen=True)
class Format:
    """A format of pictures, as Pillow writes and reads it.

    Attributes
    ----------
    name
        As in parameters and results.
    label
        As plots name it.
    pillow
        As Pillow names it.
    options
        What Pillow's `save` takes beside the quality.
    style
        What matplotlib's `plot` takes.
    """

    name: str
    label: str
    pillow: str
    options: dict[str, Any]
    style: dict[str, Any]

    def prepare(self, image: Pixels) -> Callable[[int], bytes]:
        """Return what gives the file of an image `(H, W, 3) uint8` for a quality, 1 to 100."""
        _know_jpeg_xl()
        picture = Image.fromarray(image)

        def encode(quality: int) -> bytes:
            file = io.BytesIO()
            picture.save(file, self.pillow, quality=quality, **self.options)
            return file.getvalue()

        return encode


def decode(data: bytes) -> Pixels:
    """Return the pixels of a file of any of the formats."""
    _know_jpeg_xl()
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _know_jpeg_xl() -> None:
    """Let Pillow know JPEG XL, which it reads and writes by a plugin."""
    import pillow_jxl  # noqa: F401


def _line(colour: str) -> dict[str, Any]:
    return {"color": colour, "linestyle": (0, (1, 2)), "linewidth": 1}


FORMATS = {
    one.name: one
    for one in (
        Format("webp", "WebP", "WEBP", {"method": 4}, _line("#7f7f7f")),
        Format("avif", "AVIF", "AVIF", {"max_threads": 1}, _line("#555555")),
        Format("jpeg-xl", "JPEG XL", "JXL", {"num_threads": 1}, _line("#000000")),
    )
}


def lines() -> dict[str, dict[str, Any]]:
    """Return the styles of the formats' lines, with the label that says that they are context."""
    return {name: one.style | {"label": f"{one.label} (context)"} for name, one in FORMATS.items()}
