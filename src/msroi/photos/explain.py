"""One photograph explained: the report's page for a photo of one's own."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msroi.encoders import jpeg
from msroi.encoders.matching import compress_image
from msroi.encoders.methods import in_gallery
from msroi.experiment.comparison import flag
from msroi.experiment.params import Compress
from msroi.images import Pixels
from msroi.measures.distortion import measure
from msroi.report.contents import ERROR_NOTE, packages
from msroi.report.gallery import ORIGINAL_QUALITY, Opening, photograph, with_numbers
from msroi.report.page import Page


def explained(
    name: str, image: Pixels, saliency: NDArray[np.float32], params: Compress, quality: int
) -> Page:
    """Return the page that shows a photograph by every method of `methods.in_gallery`.

    Parameters
    ----------
    name
        As it is shown.
    image, saliency
        `(H, W, 3) uint8` sRGB and `(H, W) float32` in [0, 1].
    params
        What the methods need; its own methods and qualities do not count.
    quality
        That of plain JPEG, whose size all files have.

    Raises
    ------
    ImageError
        If the image is smaller than SSIM's window.
    """
    settings = replace(params, methods=in_gallery(), match_qualities=(quality,))
    files: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    for made_by, _, match in compress_image(
        image, dict.fromkeys(settings.methods, saliency), settings
    ):
        files[made_by.name] = match.data
        rows.append(
            {
                "method": made_by.name,
                "bytes": len(match.data),
                "matched": flag(match.size_error_pct, params.size_tolerance_pct),
                **measure(image, jpeg.decode(match.data), saliency),
                "encoder": made_by.version,
            }
        )
    opening = Opening(quality, settings.methods[0], settings.methods[-1])
    shown = photograph(("", name), image, saliency, {quality: files}, opening)
    return Page(
        title=f"MS-ROI: {name}",
        lead="One photograph, compressed to the same size with and without regard to what matters.",
        gallery_note=(
            f"All files have the size of plain JPEG of quality {quality} and are in this page byte "
            f"for byte; the original is shown as WebP of quality {ORIGINAL_QUALITY}. Move "
            "the border, zoom in, or lay the heatmap over it: red is where the network looks, and "
            "where msroi and roi-trellis spend their bytes."
        ),
        error_note=ERROR_NOTE,
        photographs=[{**with_numbers(shown, {quality: rows}), "mark": ""}],
        opening=opening,
        conventions=[f"{row['method']}: {row['encoder']}." for row in rows],
        provenance=[packages()],
    )
