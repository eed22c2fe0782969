"""The encoders that know neither saliency nor parameters: JPEG as others make it.

Packages are imported by the encoder that needs them.
"""

import functools
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import jpeg, libjpeg
from msroi.errors import UserError
from msroi.images import Pixels, Saliency

if TYPE_CHECKING:
    from msroi.encoders.methods import Encoder


class Jpeg:
    """Plain JPEG, the reference: baseline, Annex K tables, standard Huffman tables."""

    name = "jpeg"

    @property
    def version(self) -> str:
        """Pillow and its JPEG library."""
        return jpeg.library()

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return `jpeg.encode` of the image."""
        return functools.partial(jpeg.encode, image)


class JpegOptimised:
    """Plain JPEG with Huffman tables made for the file: the same pixels in fewer bytes."""

    name = "jpeg-opt"

    @property
    def version(self) -> str:
        """Pillow and its JPEG library."""
        return jpeg.library()

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the encoder of the image, whose tables are those of `jpeg.encode`."""
        return functools.partial(jpeg.encode, image, optimise=True)


# mozjpeg's default for luma and chroma, number 3 in its jcparam.c ("ImageMagick table by
# N. Robidoux"), row by row
ROBIDOUX = np.array(
    [
        [16, 16, 16, 18, 25, 37, 56, 85],
        [16, 17, 20, 27, 34, 40, 53, 75],
        [16, 20, 24, 31, 43, 62, 91, 135],
        [18, 27, 31, 40, 53, 74, 106, 156],
        [25, 34, 43, 53, 69, 94, 131, 189],
        [37, 40, 62, 74, 94, 124, 169, 238],
        [56, 53, 91, 106, 131, 169, 226, 311],
        [85, 75, 135, 156, 189, 238, 311, 418],
    ]
)
ROBIDOUX_TWICE = np.concatenate([ROBIDOUX.ravel(), ROBIDOUX.ravel()])
# mozjpeg's files are progressive, whose tables may have 16 bits; libjpeg stops at 15
PROGRESSIVE_LARGEST = 32767


class MozJpeg:
    """mozjpeg with its defaults: progressive, trellis quantisation, its own tables.

    At whole qualities the files are byte for byte mozjpeg's own.
    """

    name = "mozjpeg"

    @property
    def version(self) -> str:
        """Jpeglib and the mozjpeg in it."""
        return f"jpeglib {metadata.version('jpeglib')} (mozjpeg 4.0.3)"

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the encoder of the image, for one thread at a time."""
        source = np.ascontiguousarray(image)

        def encode(quality: float) -> bytes:
            tables = np.reshape(jpeg.passing(quality, _robidoux), (2, 8, 8))
            with libjpeg.using("mozjpeg403") as (jpeglib, path):
                jpeglib.from_spatial(source).write_spatial(path, qt=tables)
                data = Path(path).read_bytes()
            return libjpeg.numbered_from_1(data)

        return encode


def _robidoux(quality: int) -> NDArray[np.int64]:
    scale_pct = int(jpeg.SCALES_PCT[quality - 1])
    return jpeg.scaled(ROBIDOUX_TWICE, scale_pct, PROGRESSIVE_LARGEST)


class Jpegli:
    """jpegli as its program has it, by distance: progressive, tables of its own for Cb and Cr.

    Its scans are those that `mozjpeg_lossless_optimization` finds for the same pixels, where that
    is smaller, since jpegli's own never change.
    """

    name = "jpegli"

    @property
    def version(self) -> str:
        """Ajpegli, which brings jpegli along, and what packs its files."""
        packages = ("ajpegli", "mozjpeg-lossless-optimization")
        return ", ".join(f"{package} {metadata.version(package)}" for package in packages)

    def prepare(self, image: Pixels, saliency: Saliency | None) -> Callable[[float], bytes]:
        """Return the encoder of the image.

        Raises
        ------
        UserError
            If the package is not there, which has no files for Python 3.14.
        """
        import mozjpeg_lossless_optimization  # type: ignore[import-untyped]

        try:
            import ajpegli
        except ImportError:
            raise UserError(
                "The method jpegli needs the package ajpegli, which has files for Python 3.11 to "
                "3.13; take another Python or leave jpegli out of compress.methods."
            ) from None
        pixels = np.ascontiguousarray(image)

        def encode(quality: float) -> bytes:
            data: bytes = ajpegli.encode(pixels, distance=distance(quality))
            packed: bytes = mozjpeg_lossless_optimization.optimize(data)
            return min(data, packed, key=len)

        return encode


def distance(quality: float) -> float:
    """Return jpegli's distance for a quality in [1, 100]: 23.9 down to 0.01, less is better.

    `jpegli_quality_to_distance` of google/jpegli (lib/jpegli/encode.cc), for real qualities.
    """
    if quality >= 100:
        return 0.01
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


PEERS: dict[str, "Encoder"] = {
    encoder.name: encoder for encoder in (Jpeg(), JpegOptimised(), MozJpeg(), Jpegli())
}
