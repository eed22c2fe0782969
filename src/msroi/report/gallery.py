"""Photographs as the report's page shows them: the files side by side, the map, the errors.

Everything is a picture in a data URI, so that the page needs no other file. The JPEG files are in
it as they are, byte for byte.
"""

import io
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, takewhile
from operator import itemgetter
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from msroi.encoders import jpeg
from msroi.experiment.comparison import BASELINE, difference, is_matched, significant
from msroi.files import Row
from msroi.images import BLOCK_PX, Pixels
from msroi.measures.distortion import HEADLINE
from msroi.plots import jet

BUDGET_BYTES = 16_500_000  # of all pictures: 22 MB in base64, and 25 MB is the most for a page
ORIGINAL_QUALITY = 90  # of WebP: the original is there to be looked at, not to be measured
HEAT_PX, HEAT_QUALITY = 320, 60
THUMBNAIL_PX, THUMBNAIL_QUALITY = 160, 60
ERROR_LEVELS = 32.0  # root mean squared error of a block that is shown brightest, of 255

T = TypeVar("T")


def middle_quality(qualities: Sequence[int]) -> int:
    """Return the quality of Tables 1 and 2: the one nearest 50, the middle of the paper's three.

    Of two that are as near, the higher.
    """
    return min(qualities, key=lambda quality: (abs(quality - 50), -quality))


def photograph(
    name: tuple[str, str],
    original: Pixels,
    saliency: NDArray[np.float32],
    files: Mapping[str, bytes],
    rows: Sequence[Row],
) -> dict[str, Any]:
    """Put together what the page needs to know of a photograph.

    Parameters
    ----------
    name
        Data set and image.
    original
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1].
    files
        JPEG files by method.
    rows
        Those of metrics/per_image.csv of the photograph at one quality, with numbers as text
        and `matched`.
    """
    height, width = original.shape[:2]
    dataset, image = name
    return {
        "dataset": dataset,
        "image": image,
        "width": width,
        "height": height,
        "thumbnail": webp(smaller(original, THUMBNAIL_PX), THUMBNAIL_QUALITY),
        "original": webp(original, ORIGINAL_QUALITY),
        "heat": webp(smaller(jet(saliency), HEAT_PX), HEAT_QUALITY),
        "files": {
            method: {"src": data_uri("image/jpeg", data), "error": error_map(original, data)}
            for method, data in files.items()
        },
        "rows": [numbers(row, rows) for row in rows],
    }


def numbers(row: Row, rows: Iterable[Row]) -> dict[str, Any]:
    """Return what stands under a photograph of one file: its measures, and minus plain JPEG's."""
    baseline = next(other for other in rows if other["method"] == BASELINE)
    return {
        "method": row["method"],
        "bytes": int(row["bytes"]),
        "matched": is_matched(row),
        **{name: float(row[name]) for name in HEADLINE},
        "gain": {name: gain(row, baseline, name) for name in HEADLINE},
    }


def gain(row: Row, baseline: Row, measure: str) -> float | None:
    """Return a measure minus plain JPEG's, or None if the size was missed or it is not finite."""
    found = difference(row, baseline, measure)
    return None if found is None else significant(found)


def gains(rows: Iterable[Row]) -> dict[tuple[str, int, str, str], Sequence[float]]:
    """Return what photographs gain over plain JPEG, by dataset, quality, method and measure.

    Those that miss the size do not count. Rows are those of metrics/per_image.csv with
    `matched`, where those of a photograph stand together.
    """
    found: dict[tuple[str, int, str, str], array[float]] = {}
    for (dataset, _), of_photograph in by_photograph(rows):
        for (quality, method), row in of_photograph.items():
            if method == BASELINE:
                continue
            baseline = of_photograph[quality, BASELINE]
            for measure in HEADLINE:
                value = gain(row, baseline, measure)
                if value is not None:
                    of_measure = found.setdefault((dataset, quality, method, measure), array("d"))
                    of_measure.append(value)
    return dict(found)


def ranked(
    rows: Iterable[Row],
    method: str,
    measure: str = "wpsnr_rgb_db",
) -> list[tuple[str, str]]:
    """Return the photographs, from that which a method serves worst to that which it serves best.

    Parameters
    ----------
    rows
        As for `gains`, of one quality. A photograph without a gain comes last.
    """

    def key(place: tuple[str, str]) -> tuple[bool, float, tuple[str, str]]:
        return gained[place] is None, gained[place] or 0.0, place

    gained: dict[tuple[str, str], float | None] = {}
    for place, of_photograph in by_photograph(rows):
        by_method = {name: row for (_, name), row in of_photograph.items()}
        gained[place] = gain(by_method[method], by_method[BASELINE], measure)
    return sorted(gained, key=key)


def by_photograph(
    rows: Iterable[Row],
) -> Iterator[tuple[tuple[str, str], dict[tuple[int, str], Row]]]:
    """Yield each photograph with its rows by quality and method."""
    for place, of_place in groupby(rows, key=itemgetter("dataset", "image")):
        yield place, {(int(row["match_quality"]), row["method"]): row for row in of_place}


def evenly(items: Sequence[T], count: int) -> list[T]:
    """Choose `count` items at even distances, the first and the last among them."""
    if count >= len(items):
        return list(items)
    if count < 2:
        return list(items[:count])
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def fitting(items: Sequence[T], size: Callable[[T], int], budget: int = BUDGET_BYTES) -> list[T]:
    """Choose as many items at even distances as fit into a budget of bytes.

    `size` is asked only of those that may be chosen, not of all.
    """
    count = len(items)
    while count:
        chosen = evenly(items, count)
        totals = list(takewhile(lambda total: total <= budget, accumulate(map(size, chosen))))
        if len(totals) == count:
            return chosen
        # as many as would fit if all were like those asked so far, but at least one fewer
        count = min(count - 1, len(totals))
    return []


def error_map(original: Pixels, data: bytes) -> str:
    """Return the errors of a JPEG file by block, as a PNG of one pixel a block.

    Brightness is the root mean squared error over the block's samples, up to `ERROR_LEVELS`.
    """
    squared = (original.astype(np.float32) - jpeg.decode(data)) ** 2
    height, width = squared.shape[:2]
    edges = [np.arange(0, side, BLOCK_PX) for side in (height, width)]
    sums = np.add.reduceat(np.add.reduceat(squared.sum(-1), edges[0], 0), edges[1], 1)
    ends = [np.append(edge[1:], side) for edge, side in zip(edges, (height, width), strict=True)]
    samples = 3 * np.outer(ends[0] - edges[0], ends[1] - edges[1])
    levels = np.clip(np.sqrt(sums / samples) / ERROR_LEVELS, 0, 1)
    shown = Image.fromarray(np.rint(255 * levels).astype(np.uint8), mode="L")
    shown = shown.convert("P")
    shown.putpalette(mpl.colormaps["magma"](np.arange(256), bytes=True)[:, :3].tobytes())
    file = io.BytesIO()
    shown.save(file, "PNG", optimize=True)
    return data_uri("image/png", file.getvalue())


def smaller(pixels: Pixels, side: int) -> Pixels:
    """Scale an image down, if need be, so that its longer side has `side` pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def webp(pixels: Pixels, quality: int) -> str:
    """Return an image as WebP in a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=4)
    return data_uri("image/webp", file.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """Return a file as a URI that holds it."""
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"
