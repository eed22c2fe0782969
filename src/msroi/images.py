"""Photographs in and out: any file becomes 8-bit RGB as a viewer would show it."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from msroi.errors import ImageError
from msroi.files import written_whole

Pixels = NDArray[np.uint8]

# Pillow opens no larger photo; as RGB it would need more than 500 MB
MAX_PIXELS = 178_956_970

_WARNING_FILTERS = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's remarks on odd files, in one thread at a time: filters are global."""
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_image(path: Path) -> Image.Image:
    """Open and fully decode an image file, turned as its EXIF orientation says.

    Raises
    ------
    ImageError
        If the file can't be read as an image: empty, truncated, not an image, or larger
        than `MAX_PIXELS`.
    """
    try:
        with quiet(), path.open("rb") as file:
            image = Image.open(file)
            image.load()
            with suppress(Exception):  # damaged EXIF is no obstacle
                ImageOps.exif_transpose(image, in_place=True)
                for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                    image.getexif().get_ifd(part)  # reads it now, while the file is open
            return image
    except FileNotFoundError:
        problem = "is not there"
    except IsADirectoryError:
        problem = "is a folder, not an image file"
    except Image.DecompressionBombError:
        problem = f"has more than {MAX_PIXELS:,} pixels, the most that are read; scale it down"
    except UnidentifiedImageError:
        problem = "can't be read as an image: its format is not known, or it is damaged"
    # Pillow's decoders raise anything from OSError to SyntaxError and struct.error on a
    # damaged file; all of them mean the same to the user
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        problem = f"can't be read as an image: {reason.rstrip('.')}"
    raise ImageError(f"{path} {problem}.")


def to_rgb(image: Image.Image) -> Pixels:
    """Return an image as a viewer shows it: `(H, W, 3) uint8` sRGB.

    Transparency is laid over white, 16-bit and float greys are scaled to 8 bits (what is
    no finite number is black), CMYK and every other mode go through Pillow's conversion.
    Of an animation the first frame is taken.
    """
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = np.asarray(image, dtype=np.float64)
        grey = np.where(np.isfinite(grey), grey, 0.0)
        if image.mode == "F":
            scale = 255.0 if grey.max(initial=0.0) <= 1.0 else 1.0
        else:
            scale = 255.0 / 65535.0
        image = Image.fromarray(np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def read_rgb(path: Path) -> Pixels:
    """Read an image file as `(H, W, 3) uint8` sRGB; raises `ImageError`."""
    return to_rgb(open_image(path))


def write_image(path: Path, pixels: Pixels, *, quick: bool = False) -> None:
    """Write `(H, W, 3)` RGB or `(H, W)` grey `uint8` in the format of the suffix.

    With `quick` a PNG takes a fifth of the time and is a tenth larger.
    """
    options = {"compress_level": 1} if quick else {}
    with written_whole(path) as partial:
        Image.fromarray(pixels).save(partial, None, **options)


def read_grey(path: Path) -> NDArray[np.float32]:
    """Read a saliency map: `(H, W) float32` in [0, 1]; raises `ImageError`."""
    return from_8_bit(np.asarray(Image.fromarray(read_rgb(path)).convert("L")))


def to_8_bit(saliency: NDArray[np.float32]) -> Pixels:
    """Round a map in [0, 1] to 256 levels."""
    return np.rint(saliency * 255).astype(np.uint8)


def from_8_bit(grey: Pixels) -> NDArray[np.float32]:
    """Turn 256 levels into a map in [0, 1]."""
    return grey.astype(np.float32) / np.float32(255)


def resize(pixels: Pixels, side: int) -> Pixels:
    """Resize `(H, W, 3) uint8` to a square of `side` pixels, without cropping (bilinear)."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def enlarged(small: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bring a map to an image's size, bilinearly: `(height, width) float32` in [0, 1]."""
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32).clip(0, 1)
