"""What `msroi compress` says of the photos of `photos.compress_all`."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from msroi.measures.distortion import METRICS
from msroi.photos.batch import COMPRESSED, COPIED, LEFT

Result = Mapping[str, Any]

COMPARED = "against plain JPEG of the same size"


def line(result: Result) -> str:
    """Say what has become of a photo, and what that saved and gained."""
    image, output = result["image"], result["output"]
    encoded = f"{result['encoded_bytes']:,}"
    if result["outcome"] == LEFT:
        why = f"as a JPEG {no_gain(result)}"
        return f"{image}: nothing written: {why} (--allow-larger writes it)"
    if result["outcome"] == COPIED:
        return f"{image}: {output}, a copy: compressed {no_gain(result)}"
    share = percent(result["encoded_bytes"], result["original_bytes"])
    return f"{image}: {output}, {encoded} bytes, {share} of the original{reached(result)}" + (
        "" if result["gain_db"] is None else gained(result["gain_measure"], result["gain_db"])
    )


def no_gain(result: Result) -> str:
    """Say why a photo was left as it is."""
    original, encoded = result["original_bytes"], result["encoded_bytes"]
    if encoded >= original:
        return f"it would have {encoded:,} bytes, no less than its {original:,}"
    saved = percent(original - encoded, original)
    return f"it would have {encoded:,} bytes, only {saved} less than its {original:,}: no gain"


def percent(part: int, whole: int) -> str:
    """Return a share as text."""
    return f"{100 * part / whole:.1f} %"


def reached(result: Result) -> str:
    """Say which quality was reached, where one was the target."""
    if "psnr_rgb_db" in result:
        return f", PSNR {result['psnr_rgb_db']:.2f} dB"
    return f", SSIM {result['ssim_luma']:.4f}" if "ssim_luma" in result else ""


def gained(measure: str, gain_db: float) -> str:
    """Say how much better a measure is than that of plain JPEG."""
    return f"; {METRICS[measure].label} {gain_db:+.2f} dB {COMPARED}"


def total(results: Sequence[Result]) -> str:
    """Say what was saved and gained with all photos; `results` holds at least one."""
    count = f"{len(results)} photo{'s' if len(results) > 1 else ''}"
    written = [result for result in results if result["outcome"] != LEFT]
    if not written:
        return f"{count}: nothing written"
    size_bytes = sum(result["bytes"] for result in written)
    share = percent(size_bytes, sum(result["original_bytes"] for result in written))
    text = f"{count}: {size_bytes:,} bytes, {share} of the originals"
    for outcome, what in ((COPIED, "copied"), (LEFT, "not written")):
        number = sum(result["outcome"] == outcome for result in results)
        text += f", {number} {what}" if number else ""
    gains = [
        result["gain_db"]
        for result in results
        if result["outcome"] == COMPRESSED and result["gain_db"] is not None
    ]
    if gains:
        text += f"{gained(results[0]['gain_measure'], fmean(gains))} (mean of {len(gains)})"
    return text
