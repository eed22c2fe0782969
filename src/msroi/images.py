"""Photographs in and out: any file becomes 8-bit RGB as a viewer would show it."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from msroi.errors import ImageError
from msroi.files import written_whole

Pixels = NDArray[np.uint8]

# A photo larger than this is refused: as RGB it would need more than 750 MB.
MAX_PIXELS = 250_000_000


def open_image(path: Path) -> Image.Image:
    """Open and fully decode an image file.

    Raises
    ------
    ImageError
        If the file can't be read as an image: empty, truncated, not an image, or larger
        than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # the size is checked below, before a pixel is decoded; odd EXIF is no obstacle
            warnings.simplefilter("ignore")
            image = Image.open(path)
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"{path} has {image.width}x{image.height} pixels; "
                    f"at most {MAX_PIXELS:,} are read. Scale it down first."
                )
            image.load()
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path} is not there.") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image file.") from None
    # Pillow's decoders raise anything from OSError to SyntaxError and struct.error on a
    # damaged file; all of them mean the same to the user
    except Exception as error:
        reason = str(error).replace(str(path), "it").strip("'\" .") or type(error).__name__
        raise ImageError(f"{path} can't be read as an image: {reason}.") from None
    return image


def to_rgb(image: Image.Image) -> Pixels:
    """Return an image as a viewer shows it: `(H, W, 3) uint8` sRGB.

    The EXIF orientation is applied, transparency is laid over white, 16-bit and float
    greys are scaled to 8 bits, CMYK and every other mode go through Pillow's conversion.
    Of an animation the first frame is taken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = np.asarray(image, dtype=np.float64)
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


def write_image(path: Path, pixels: Pixels) -> None:
    """Write `(H, W, 3)` RGB or `(H, W)` grey `uint8` in the format of the suffix."""
    with written_whole(path) as partial:
        Image.fromarray(pixels).save(partial)


def png_bytes(pixels: Pixels) -> bytes:
    """Return `pixels` as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def read_grey(path: Path) -> NDArray[np.float32]:
    """Read a saliency map: `(H, W) float32` in [0, 1]; raises `ImageError`."""
    grey = np.asarray(open_image(path).convert("L"), dtype=np.float32)
    return grey / np.float32(255)


def resize(pixels: Pixels, side: int) -> Pixels:
    """Resize `(H, W, 3) uint8` to a square of `side` pixels, without cropping (bilinear)."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
