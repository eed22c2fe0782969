"""The project's own encoder: a standard JPEG whose levels the trellis has chosen for the eye.

One scalar, the quality, sets the quantisation tables (`steps`). An error counts in units of its
step, times what the place is worth (`visibility`). docs/encoder.md derives the terms.
"""

from collections.abc import Callable

import numpy as np

from msroi.encoders import chroma, coefficients, progressive, trellis, visibility
from msroi.encoders.progressive import Component, whole
from msroi.encoders.steps import steps_of
from msroi.encoders.trellis import Part
from msroi.experiment.params import Trellis
from msroi.images import Pixels, Saliency

KINDS = (0, 1, 1)  # of Y, Cb and Cr: luma or chroma


class TrellisJpeg:
    """JPEG by trellis quantisation for the eye, better where a saliency map says so."""

    def __init__(self, name: str, params: Trellis, saliency_share: float) -> None:
        """Name the method. `saliency_share` is that of `visibility.of_map`."""
        self.name = name
        self.params = params
        self.saliency_share = saliency_share

    @property
    def version(self) -> str:
        """The project's and those of the packages that write the file."""
        return progressive.version()

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the encoder of the image. Without a map all of it counts alike."""
        size = image.shape[:2]
        factor = chroma.factor(image, self.params.chroma)
        planes = coefficients.components(image, factor)
        if self.params.chroma == "auto" and chroma.is_grey(image):
            planes = planes[:1]
        shapes = [plane.shape for plane in planes]
        luma = planes[0][: size[0], : size[1]]
        weights = visibility.block_weights(luma, saliency, factor, self.params, self.saliency_share)
        del luma
        # a plane is given back once it is transformed, as those of a large photo take much memory
        blocks = [coefficients.transformed(planes.pop(0)) for _ in shapes]
        price = self.params.lagrangian

        def encode(quality: float) -> bytes:
            steps = steps_of(quality)
            tables = [whole(of) for of in steps]
            # an error counts in units of its step, before this was cut to a whole number
            parts = [
                Part(of, tables[kind].astype(np.float32), steps[kind] ** -2, weights[kind])
                for of, kind in zip(blocks, KINDS, strict=False)
            ]
            # both chroma planes share a Huffman table
            levels = trellis.quantise(parts[:1], price)
            levels += trellis.quantise(parts[1:], price) if len(parts) > 1 else []
            made = [
                Component(of, shape, tables[kind])
                for of, shape, kind in zip(levels, shapes, KINDS, strict=False)
            ]
            return progressive.written(made, size, factor)

        return encode
