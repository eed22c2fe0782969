"""Photographs in and out: any file becomes 8-bit RGB as a viewer would show it."""

import os
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from msroi import system_errors
from msroi.errors import ImageError
from msroi.files import written_whole
from msroi.formats import boxes, colour, exif, jpeg_parts, tiff

Pixels = NDArray[np.uint8]
Saliency = NDArray[np.float32]  # a map `(H, W)` in [0, 1]
PEAK = 255.0  # the largest level of a sample
BLOCK_PX = 8  # the side of JPEG's blocks

# The formats that are decoded, by Pillow's names: those of photographs. Each decoder more is
# one more way in; that of EPS would even start Ghostscript.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
JPEG_FORMATS = ("JPEG", "MPO")  # MPO: several JPEGs in one file

# With these a photo is read in less than 1 GB of memory, whatever is in the file: decoders
# need up to 12 bytes a pixel, that of WebP up to 20, and some hold the whole file.
MAX_PIXELS = 56_000_000
MAX_PIXELS_WEBP = 40_000_000
MAX_FILE_BYTES = 2**28
# A file of this many pixels may be as small as it likes; a larger one has to hold a byte for
# every 100 pixels (JPEG of quality 1 holds two), or it is a decompression bomb.
FREE_PIXELS = 2**24
MAX_PIXELS_A_BYTE = 100
# Each scan of a progressive JPEG goes over all of its pixels; encoders write some ten.
MAX_SCANS = 100

STRIP_PIXELS = 2**20

ORDERS = {b"II": "<", b"MM": ">"}  # of a TIFF's bytes
SAVE_8_BIT = "save it anew with 8 or 16 bits a sample"
RAW = "is a camera's raw file, whose first picture is a preview; develop it, or name its JPEG"
FURTHER_FRAMES = "all frames but the first"
GAIN_MAP_OF_AVIF = "the gain map, which is not taken over from AVIF"
MOVED_NOTE = "the maker's note, whose offsets count from the start of the TIFF file"
UNREAD_TAGS = "EXIF, which is not in a classic TIFF file"

NO_MEMORY = "needs more memory than there is; scale it down, or let fewer photos share it (--jobs)"
SAVE = "save it anew as JPEG or PNG"
TOO_LARGE = "has more than {:,} pixels, the most that are read; scale it down"

_WARNING_FILTERS = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's remarks on odd files, in one thread at a time: filters are global."""
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def suffixes() -> frozenset[str]:
    """Return the suffixes of `FORMATS`, in lower case."""
    return frozenset(
        suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS
    )


@dataclass(frozen=True)
class Source:
    """An image file, opened and decoded.

    Attributes
    ----------
    image
        Its pixels, upright unless they were to stay as they are stored.
    orientation
        What its EXIF asks for, 1 to 8.
    exif
        Its EXIF block as it is, without a heading; empty if there is none. A TIFF file, which is
        such a block as a whole, gets one of its own.
    parts
        The structure of a JPEG.
    trailer
        What lies behind a JPEG's end.
    left_out
        What was not read, and why, in words.
    """

    image: Image.Image
    orientation: int = 1
    exif: bytes = b""
    parts: jpeg_parts.Parts | None = None
    trailer: bytes = b""
    left_out: tuple[str, ...] = ()

    @property
    def has_further_pictures(self) -> bool:
        """Whether pictures lie behind a JPEG's first, such as a gain map."""
        return self.parts is not None and jpeg_parts.further_pictures(
            self.trailer, self.parts.segments
        )


def open_image(path: Path | zipfile.Path) -> Image.Image:
    """Open and fully decode an image file, turned as its EXIF orientation says.

    It ignores that of XMP, as browsers and libvips do.

    Raises
    ------
    ImageError
        If the file can't be read as an image: empty, truncated, not of `FORMATS`, no plain
        file, or larger than the limits above; or if what its samples mean is not known.
    """
    return open_source(path).image


def open_source(path: Path | zipfile.Path, *, stored_with_pictures: bool = False) -> Source:
    """Open an image file as `open_image` does, with what lies beside its pixels.

    With `stored_with_pictures`, it does not turn pixels if further pictures lie behind them. It
    would have to turn those along. It raises `ImageError`.
    """
    try:
        # before it is opened: opening a named pipe waits for a writer
        if not (path.is_file() or path.is_dir()) and path.exists():
            raise ImageError("is no plain file; name an image file")
        with quiet(), path.open("rb") as file:
            return _decoded(cast("BinaryIO", file), stored_with_pictures)
    # Pillow's decoders raise anything from OSError to SyntaxError and struct.error on a
    # damaged file; all of them mean the same to the user
    except Exception as error:
        problem = _problem(error)
    raise ImageError(f"{path} {problem}.")


def _decoded(file: BinaryIO, stored_with_pictures: bool) -> Source:
    image = Image.open(file, formats=FORMATS)
    _insist_on_reasonable(image, file)
    source = Source(image, left_out=_frames_left_out(image))
    if image.format == "AVIF" and boxes.has_gain_map(_whole(file)):
        source = replace(source, left_out=(*source.left_out, GAIN_MAP_OF_AVIF))
    _insist_on_known_colours(image, file)
    if image.format in JPEG_FORMATS:
        source = _jpeg_source(image, file)
    if image.format == "TIFF":
        return _tiff_source(source, file)
    image.load()
    _insist_on_unit_floats(image)
    if source.parts is None:
        source = replace(source, exif=_exif_block(image))
    source = replace(source, orientation=exif.orientation(source.exif))
    if source.orientation != 1 and not (stored_with_pictures and source.has_further_pictures):
        with suppress(Exception):  # Pillow can fail to write what it has read
            ImageOps.exif_transpose(image, in_place=True)
    return source


def _frames_left_out(image: Image.Image) -> tuple[str, ...]:
    """Say whether an animation, or a TIFF, has more frames (those of a JPEG lie behind its end)."""
    with suppress(Exception):  # of a damaged file
        if getattr(image, "is_animated", False) and image.format not in JPEG_FORMATS:
            return (FURTHER_FRAMES,)
    return ()


def _insist_on_known_colours(image: Image.Image, file: BinaryIO) -> None:
    """Raise `ImageError` where nobody knows what a viewer shows, and note colours in `info`."""
    found = {"AVIF": boxes.colours, "PNG": boxes.png_colours}.get(image.format or "")
    cicp = found(_whole(file)) if found else None
    if image.format == "AVIF" and image.info.get("icc_profile"):
        cicp = None  # as viewers do; of PNG it is the other way round
    problem = colour.unread(cicp)
    if problem is not None:
        raise ImageError(problem)
    if cicp is not None:
        image.info["cicp"] = cicp


def _reading(file: BinaryIO) -> exif.Read:
    def read(at: int, size: int) -> bytes:
        file.seek(at)
        return file.read(size)

    return read


def _tiff_source(source: Source, file: BinaryIO) -> Source:
    read = _reading(file)
    tags = source.image.tag_v2  # type: ignore[attr-defined]
    if tiff.is_raw(tags, read):
        raise ImageError(RAW)
    if (kind := tiff.unread(tags, ORDERS[tags.prefix])) is not None:
        raise ImageError(f"holds {kind}, which are not read; {SAVE_8_BIT}")
    image, left_out = source.image, source.left_out
    try:
        block, noted = exif.of_tiff(read)
        left_out += (MOVED_NOTE,) if noted else ()
    except ValueError:
        block, left_out = b"", (*left_out, UNREAD_TAGS)
    found = tags.get(exif.ORIENTATION)
    # Pillow turns a TIFF when it loads it, without EXIF's orientation by that of XMP
    xmp = image.info.pop("xmp", None)
    image.load()
    if xmp is not None:
        image.info["xmp"] = xmp
    _insist_on_unit_floats(image)
    orientation = found if found in range(1, 9) else 1
    return replace(source, exif=block, orientation=orientation, left_out=left_out)


def _jpeg_source(image: Image.Image, file: BinaryIO) -> Source:
    data = _whole(file)
    parts = jpeg_parts.parse(data)
    if parts.scans > MAX_SCANS:
        raise ImageError(
            f"is a JPEG of {parts.scans} scans, and {MAX_SCANS} are read at most; {SAVE}"
        )
    block = b"".join(
        segment.content.removeprefix(exif.HEADING)
        for segment in parts.segments
        if segment.marker == jpeg_parts.APP1 and segment.content.startswith(exif.HEADING)
    )
    return Source(image, exif=block, parts=parts, trailer=data[parts.end :])


def _exif_block(image: Image.Image) -> bytes:
    """Return the EXIF block of a PNG, WebP or AVIF, without a heading."""
    block = image.info.get("exif", b"")
    if not block:  # as ImageMagick writes it into PNG
        block = raw_profile(image.info.get("Raw profile type exif", ""))
    return block.removeprefix(exif.HEADING) if isinstance(block, bytes) else b""


def raw_profile(text: object) -> bytes:
    """Return what ImageMagick wrote as text: a name, a length, and hexadecimal digits."""
    try:
        return bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        return b""


def _whole(file: BinaryIO) -> bytes:
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return data


def _problem(error: Exception) -> str:
    """Say what is wrong with a file that did not open, and what to do."""
    reason = " ".join((str(error) or type(error).__name__).split()).rstrip(".")
    if isinstance(error, ImageError):
        return reason
    kinds: dict[type[Exception] | tuple[type[Exception], ...], str] = {
        (FileNotFoundError, NotADirectoryError): "is not there; check its name",
        IsADirectoryError: "is a folder, not an image file; name an image in it",
        MemoryError: NO_MEMORY,
        # Pillow's own limit, of three times as many pixels
        Image.DecompressionBombError: TOO_LARGE.format(MAX_PIXELS),
        UnidentifiedImageError: "can't be read as an image: its format is not known, or it is "
        f"damaged; {SAVE}",
    }
    for kind, problem in kinds.items():
        if isinstance(error, kind):
            return problem
    refused = system_errors.unreadable(error) if isinstance(error, OSError) else None
    if refused is not None:
        return f"can't be read: {refused}"
    return f"can't be read as an image: {reason}; {SAVE}"


def _insist_on_reasonable(image: Image.Image, file: BinaryIO) -> None:
    """Raise `ImageError` for what would take too much memory or time to decode."""
    pixels = image.width * image.height
    most = MAX_PIXELS_WEBP if image.format == "WEBP" else MAX_PIXELS
    if pixels > most:
        raise ImageError(TOO_LARGE.format(most))
    place = file.tell()
    size = file.seek(0, os.SEEK_END)  # a file in an archive has no descriptor to ask
    file.seek(place)
    if size > MAX_FILE_BYTES:
        raise ImageError(f"has more than {MAX_FILE_BYTES:,} bytes, the most that are read; {SAVE}")
    if pixels > FREE_PIXELS and pixels > MAX_PIXELS_A_BYTE * size:
        raise ImageError(
            f"has {pixels:,} pixels in {size:,} bytes, as no photo of that size has; scale it down"
        )


def is_grey(image: Image.Image) -> bool:
    """Tell whether an image has no colours by its kind, whatever its levels are."""
    return image.mode in GREY_MODES


def to_rgb(image: Image.Image) -> Pixels:
    """Return an image as a viewer shows it: `(H, W, 3) uint8` sRGB.

    Transparency lies over white. 16-bit greys and floats from 0 to 1 scale to 8 bits (what is no
    number is black). Grey and CMYK with a colour profile of their own go through it. Colours by
    gamma, chromaticities or H.273 become sRGB. Every other mode goes through Pillow's conversion.
    RGB with a colour profile stays as it is. An animation gives its first frame.
    """
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    steps = _steps(image)
    # strip by strip, as the steps between need several times the image's own memory
    for strip in _strips(image):
        _, top, _, bottom = strip
        rgb[top:bottom] = _strip_to_rgb(image.crop(strip), steps)
    return rgb


@dataclass(frozen=True)
class Steps:
    """How an image's levels become those of sRGB.

    Attributes
    ----------
    scale
        From 16 bits or floats to 255.
    white_is_zero
        Whether the largest of such a level is black.
    by_profile
        Of the profile's mode, `L` or `CMYK`.
    convert
        Of RGB.
    """

    scale: float
    white_is_zero: bool
    by_profile: Callable[[Image.Image], Image.Image] | None
    convert: colour.Convert | None


def _steps(image: Image.Image) -> Steps:
    tags = getattr(image, "tag_v2", {})
    return Steps(
        255.0 if image.mode == "F" else 255.0 / 65535.0,
        bool(tags) and tags.get(tiff.PHOTOMETRIC, 0) == tiff.WHITE_IS_ZERO,
        profile_of(image),
        colour.conversion(image.info, grey=is_grey(image)),
    )


def profile_of(image: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    """Return what a grey or CMYK image's own profile makes of it, or None without such a one."""
    profile = image.info.get("icc_profile") or b""
    kind = "CMYK" if image.mode == "CMYK" else "L" if is_grey(image) else None
    return colour.by_profile(profile, kind) if profile and kind else None


def _strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    rows = max(1, STRIP_PIXELS // max(image.width, 1))
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _insist_on_unit_floats(image: Image.Image) -> None:
    """Raise `ImageError` for floats beyond 0 to 1, of which nothing says what is white."""
    if image.mode != "F":
        return
    for strip in _strips(image):
        levels = np.asarray(image.crop(strip))
        if np.nanmin(levels, initial=0.0) < 0 or np.nanmax(levels, initial=0.0) > 1:
            raise ImageError(f"holds floating-point samples beyond 0 to 1; {SAVE_8_BIT}")


def _strip_to_rgb(image: Image.Image, steps: Steps) -> Pixels:
    """Convert as `to_rgb` says."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        grey = np.nan_to_num(np.asarray(image, dtype=np.float64) * steps.scale)
        grey = 255 - grey if steps.white_is_zero else grey
        stored, transparent = image, image.info.get("transparency")
        image = Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))
        if isinstance(transparent, int):  # one level of the 65,536
            opaque = Image.fromarray(np.asarray(stored) != transparent).convert("L")
            image = Image.merge("LA", [image, opaque])
    if steps.by_profile is not None:
        image = _by_profile(image, steps.by_profile)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = _converted(image.convert("RGBA"), steps.convert)
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
        return np.asarray(image.convert("RGB"))
    return np.asarray(_converted(image.convert("RGB"), steps.convert))


def _by_profile(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if image.mode == "CMYK":
        return convert(image)
    if "transparency" in image.info or "A" in image.getbands() or "a" in image.getbands():
        with_alpha = image.convert("RGBA")
        shown = convert(with_alpha.convert("L"))
        return Image.merge("LA", [shown, with_alpha.getchannel("A")])
    return convert(image.convert("L"))


def _converted(image: Image.Image, convert: colour.Convert | None) -> Image.Image:
    """Convert the colours of RGB or RGBA."""
    if convert is None:
        return image
    levels = np.array(image)
    levels[..., :3] = convert(levels[..., :3])
    return Image.fromarray(levels)


def read_rgb(path: Path | zipfile.Path) -> Pixels:
    """Read an image file as `(H, W, 3) uint8` sRGB, or raise `ImageError`."""
    return to_rgb(open_image(path))


def write_image(path: Path, pixels: Pixels, *, quick: bool = False) -> None:
    """Write `(H, W, 3)` RGB or `(H, W)` grey `uint8` in the format of the suffix.

    With `quick` a PNG takes a fifth of the time and is a tenth larger.
    """
    with written_whole(path) as partial:
        save_image(partial, pixels, quick=quick)


def save_image(path: Path, pixels: Pixels, *, quick: bool = False) -> None:
    """Write as `write_image` does, straight to a path."""
    options = {"compress_level": 1} if quick else {}
    Image.fromarray(pixels).save(path, None, **options)


def read_grey(path: Path) -> NDArray[np.float32]:
    """Read a saliency map, `(H, W) float32` in [0, 1], or raise `ImageError`."""
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
