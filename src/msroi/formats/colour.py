"""Levels of other colour spaces as levels of sRGB.

Primaries and transfer functions are ITU-T H.273's. Gamma and chromaticities are PNG's.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Levels = NDArray[np.uint8]
Convert = Callable[[Levels], Levels]  # of `(H, W, 3)` or any other shape that ends in 3
Corners = tuple[float, ...]  # x and y of white, red, green and blue

D65, DCI, ILLUMINANT_C = (0.3127, 0.329), (0.314, 0.351), (0.31, 0.316)
SRGB_CORNERS = (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
PRIMARIES: dict[int, Corners] = {
    1: SRGB_CORNERS,
    2: SRGB_CORNERS,  # not said
    4: (*ILLUMINANT_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (*DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
# by transfer function the exponent; None is sRGB's, as which viewers show video's (BT.709) too
EXPONENTS = {1: None, 2: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
HDR = {16: "PQ", 18: "HLG"}
SAVE_SDR = "brighter than sRGB can be; save it anew without HDR"

# LittleCMS's tables are 10 levels off for dark linear greys
EXACT = ImageCms.Flags.NOOPTIMIZE

BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
SRGB_GAMMA = 0.45455
GAMMA_TOLERANCE = 0.05  # libpng's, relative: what is nearer to sRGB's is sRGB's
CORNER_TOLERANCE = 0.01
STEPS = 2**16  # of linear light, enough to tell all 256 levels apart


def unread(cicp: tuple[int, int] | None) -> str | None:
    """Say why msroi reads no colours of these H.273 numbers, and what to do, or None if it does."""
    if cicp is None:
        return None
    primaries, transfer = cicp
    if transfer in HDR:
        return f"is an image of HDR ({HDR[transfer]}), {SAVE_SDR}"
    if transfer not in EXPONENTS or primaries not in PRIMARIES:
        return (
            f"has colours that are not read (primaries {primaries}, transfer function "
            f"{transfer} of H.273); save it anew as sRGB"
        )
    return None


def conversion(info: Mapping[Any, Any], *, grey: bool = False) -> Convert | None:
    """Return what brings an image's RGB levels to sRGB, or None if they are, or have a profile.

    Parameters
    ----------
    info
        As Pillow has it, with `cicp`, primaries and transfer function. They go before a colour
        profile, that before `srgb`, that before gamma and chromaticities (PNG, third edition).
    grey
        Whether primaries do not matter, as there are no colours.
    """
    if cicp := info.get("cicp"):
        primaries, transfer = cicp
        return _conversion(EXPONENTS[transfer], SRGB_CORNERS if grey else PRIMARIES[primaries])
    gamma = info.get("gamma", 0)
    if info.get("icc_profile") or "srgb" in info or gamma <= 0:
        return None
    like_srgb = abs(gamma / SRGB_GAMMA - 1) < GAMMA_TOLERANCE
    corners = SRGB_CORNERS if grey else info.get("chromaticity", SRGB_CORNERS)
    return _conversion(None if like_srgb else 1 / gamma, corners)


def _conversion(exponent: float | None, corners: Corners) -> Convert | None:
    near = np.allclose(corners, SRGB_CORNERS, atol=CORNER_TOLERANCE)
    try:
        matrix = np.eye(3) if near else _to_srgb(corners)
    except np.linalg.LinAlgError:  # of nonsense, which is ignored
        matrix = np.eye(3)
    if exponent is None and np.array_equal(matrix, np.eye(3)):
        return None
    levels = np.arange(256) / 255
    linear = _linear(levels) if exponent is None else levels**exponent
    if np.array_equal(matrix, np.eye(3)):
        table = _levels(linear)
        return lambda image: _looked_up(table, image)
    encoded = _levels(np.linspace(0, 1, STEPS))
    light = linear.astype(np.float32)
    mixed_by = matrix.T.astype(np.float32)

    def convert(image: Levels) -> Levels:
        mixed = (light[image] @ mixed_by).clip(0, 1)
        return _looked_up(encoded, np.rint(mixed * (len(encoded) - 1)).astype(np.intp))

    return convert


def _looked_up(table: Levels, indices: NDArray[Any]) -> Levels:
    found: Levels = table[indices]
    return found


def _linear(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decode sRGB (IEC 61966-2-1)."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _levels(linear: NDArray[np.float64]) -> Levels:
    """Encode linear light in [0, 1] as levels of sRGB."""
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: Levels = np.rint(encoded * 255).astype(np.uint8)
    return levels


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    if y <= 0:
        raise np.linalg.LinAlgError
    return np.array([x / y, 1, (1 - x - y) / y])


def _to_xyz(corners: Corners) -> NDArray[np.float64]:
    white, *primaries = (_xyz(*corners[at : at + 2]) for at in range(0, 8, 2))
    columns = np.stack(primaries, axis=1)
    scaled: NDArray[np.float64] = columns * np.linalg.solve(columns, white)
    return scaled


def _to_srgb(corners: Corners) -> NDArray[np.float64]:
    """Return the matrix from linear RGB of some corners to that of sRGB, white to white."""
    from_white, to_white = (BRADFORD @ _xyz(*white) for white in (corners[:2], D65))
    adapted = np.linalg.inv(BRADFORD) @ np.diag(to_white / from_white) @ BRADFORD
    matrix: NDArray[np.float64] = np.linalg.inv(_to_xyz(SRGB_CORNERS)) @ adapted @ _to_xyz(corners)
    return matrix


def by_profile(profile: bytes, mode: str) -> Callable[[Image.Image], Image.Image] | None:
    """Return what brings a grey or CMYK image to sRGB by its colour profile.

    The intent is relative colorimetric, as libvips has it. Grey stays grey.

    Parameters
    ----------
    profile
        Of ICC.
    mode
        `L` or `CMYK`.

    Returns
    -------
    The function; None if the profile is none of that mode.
    """
    if profile[16:20] != {"L": b"GRAY", "CMYK": b"CMYK"}[mode]:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            EXACT if mode == "L" else ImageCms.Flags.NONE,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "CMYK":
        return lambda image: ImageCms.applyTransform(image, transform) or image
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    shown = np.asarray(ImageCms.applyTransform(ramp, transform), float)[0]
    table = np.rint(shown.mean(axis=1)).astype(int).tolist()
    return lambda image: image.point(table)
