"""What `msroi compress` says of the photos of `photos.compress_all`."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from msroi.measures.distortion import METRICS
from msroi.photos.batch import COMPRESSED, COPIED, LEFT

Result = Mapping[str, Any]

# what can be the goal, by the key of its value
VALUES = {
    "ssimulacra2": "SSIMULACRA 2 {:.1f}",
    "psnr_rgb_db": "PSNR {:.2f} dB",
    "ssim_luma": "SSIM {:.4f}",
}
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
    saving = saved(result["encoded_bytes"], result["original_bytes"])
    return f"{image}: {output}, {encoded} bytes, {saving}{looks(result)}"


def no_gain(result: Result) -> str:
    """Say why msroi left a photo as it is."""
    original, encoded = result["original_bytes"], result["encoded_bytes"]
    if encoded >= original:
        return f"it would have {encoded:,} bytes, no less than its {original:,}"
    saved = percent(original - encoded, original)
    return f"it would have {encoded:,} bytes, only {saved} less than its {original:,}: no gain"


def percent(part: int, whole: int) -> str:
    """Return a share as text."""
    return f"{100 * part / whole:.1f} %"


def saved(size_bytes: int, original_bytes: int) -> str:
    """Say how much smaller a file is than the original, or how much larger."""
    if size_bytes > original_bytes:
        return f"{percent(size_bytes - original_bytes, original_bytes)} larger"
    return f"{percent(original_bytes - size_bytes, original_bytes)} saved"


def looks(result: Result) -> str:
    """Say how a photo looks, by what was its goal."""
    if result["gain_db"] is not None:
        return gained(result["gain_measure"], result["gain_db"])
    for name, text in VALUES.items():
        if name in result:
            value = text.format(result[name])
            if result["plain_bytes"] is None:
                return f"; {value}"
            return f"; as good as a plain JPEG of {result['plain_bytes']:,} bytes ({value})"
    return ""


def gained(measure: str, gain_db: float) -> str:
    """Say how much better a measure is than that of plain JPEG."""
    return f"; {METRICS[measure].label} {gain_db:+.2f} dB {COMPARED}"


def total(results: Sequence[Result]) -> str:
    """Say what all photos saved and gained, with at least one in `results`."""
    count = f"{len(results)} photo{'s' if len(results) > 1 else ''}"
    written = [result for result in results if result["outcome"] != LEFT]
    if not written:
        return f"{count}: nothing written"
    size_bytes = sum(result["bytes"] for result in written)
    saving = saved(size_bytes, sum(result["original_bytes"] for result in written))
    text = f"{count}: {size_bytes:,} bytes, {saving}"
    for outcome, what in ((COPIED, "copied"), (LEFT, "not written")):
        number = sum(result["outcome"] == outcome for result in results)
        text += f", {number} {what}" if number else ""
    compressed = [result for result in results if result["outcome"] == COMPRESSED]
    plain = [r["plain_bytes"] for r in compressed if r["plain_bytes"] is not None]
    if plain and len(plain) == len(compressed):
        text += f"; those compressed are as good as plain JPEGs of {sum(plain):,} bytes"
    gains = [result["gain_db"] for result in compressed if result["gain_db"] is not None]
    if gains:
        text += f"{gained(results[0]['gain_measure'], fmean(gains))} (mean of {len(gains)})"
    return text
