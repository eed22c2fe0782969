"""Photographs as the report's page shows them: the files side by side, the map, the errors.

Everything is a picture in a data URI, so that the page needs no other file. The JPEG files are in
it as they are, byte for byte.
"""

import io
import math
from array import array
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from msroi.encoders import jpeg
from msroi.experiment.comparison import BASELINE, difference, is_matched, significant
from msroi.files import Row
from msroi.images import BLOCK_PX, Pixels
from msroi.measures import distortion
from msroi.measures.distortion import HEADLINE
from msroi.measures.measure import Measure
from msroi.measures.perceptual import salient_region
from msroi.plots import jet
from msroi.report.verdict import MEASURES, SALIENT, WHOLE

BUDGET_BYTES = 9_000_000  # of all photographs: 12 MB in base64, of a page of at most 15 MB
ORIGINAL_QUALITY = 90  # of WebP: the original is there to be looked at, not to be measured
HEAT_PX, HEAT_QUALITY = 320, 60
THUMBNAIL_PX, THUMBNAIL_QUALITY = 160, 60
ERROR_LEVELS = 32.0  # root mean squared error of a block that is shown brightest, of 255
FOCUS_PX = 64  # the side of the square that is searched for where two files differ
MARKS = ("best", "median", "worst")
RANKED_BY = "wpsnr_rgb_db"
# of a photograph, in the order of the page
SCORES: dict[str, Measure] = {
    name: MEASURES[name] for name in dict.fromkeys((*WHOLE, *HEADLINE, SALIENT))
}

T = TypeVar("T")


@dataclass(frozen=True)
class Opening:
    """What the page shows before anyone touches it: two files of a photograph.

    Attributes
    ----------
    quality, left, right
        The matched quality of plain JPEG, and two methods.
    zoom
        How many pixels of the screen a pixel has. With 0 the page shows all of the photograph.
    """

    quality: int
    left: str
    right: str
    zoom: int = 0


def middle_quality(qualities: Sequence[int]) -> int:
    """Return the quality of Tables 1 and 2: the one nearest 50, the middle of the paper's three.

    Of two that are as near, the higher.
    """
    return min(qualities, key=lambda quality: (abs(quality - 50), -quality))


def photograph(
    name: tuple[str, str],
    original: Pixels,
    saliency: NDArray[np.float32],
    files: Mapping[int, Mapping[str, bytes]],
    opening: Opening,
) -> dict[str, Any]:
    """Put together what the page shows of a photograph, to which `with_numbers` adds its numbers.

    Parameters
    ----------
    name
        Dataset and image.
    original
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1].
    files
        JPEG files by quality and method.
    opening
        The two files that decide the photograph's `focus`.
    """
    height, width = original.shape[:2]
    left, right = (
        jpeg.decode(files[opening.quality][name]) for name in (opening.left, opening.right)
    )
    dataset, image = name
    return {
        "dataset": dataset,
        "image": image,
        "width": width,
        "height": height,
        "focus": focus(original, left, right, saliency),
        "thumbnail": webp(smaller(original, THUMBNAIL_PX), THUMBNAIL_QUALITY),
        "original": webp(original, ORIGINAL_QUALITY),
        "heat": webp(smaller(jet(saliency), HEAT_PX), HEAT_QUALITY),
        "qualities": {
            str(quality): {
                "files": {
                    method: {
                        "src": data_uri("image/jpeg", data),
                        "error": error_map(original, data),
                    }
                    for method, data in of_quality.items()
                }
            }
            for quality, of_quality in files.items()
        },
    }


def with_numbers(one: Mapping[str, Any], rows: Mapping[int, Sequence[Row]]) -> dict[str, Any]:
    """Return a `photograph` with its numbers from `rows`, those of `with_scores` by quality."""
    qualities = {
        str(quality): {
            **one["qualities"][str(quality)],
            "rows": [numbers(row, of_quality) for row in of_quality],
        }
        for quality, of_quality in rows.items()
    }
    return {**one, "qualities": qualities}


def numbers(row: Row, rows: Iterable[Row]) -> dict[str, Any]:
    """Return what stands beside a photograph of one file: its measures, and minus plain JPEG's.

    A measure that the photograph has no value of is None.
    """
    baseline = next(other for other in rows if other["method"] == BASELINE)
    return {
        "method": row["method"],
        "bytes": int(row["bytes"]),
        "matched": is_matched(row),
        **{name: known(row.get(name)) for name in SCORES},
        "gain": {name: gain(row, baseline, name) for name in HEADLINE},
    }


def known(value: str | float | None) -> float | None:
    """Return a value of a table as a number, None if it is not there or not finite."""
    found = float("nan" if value is None or value == "" else value)
    return found if math.isfinite(found) else None


def with_scores(rows: Iterable[Row], scores: Iterable[Row]) -> list[Row]:
    """Return rows of `metrics/per_image.csv` with the scores that `judges/per_image.csv` has."""
    key = itemgetter("dataset", "image", "method", "match_quality")
    of_file = {key(row): row for row in scores}
    return [{**of_file.get(key(row), {}), **row} for row in rows]


def focus(
    original: Pixels, one: Pixels, other: Pixels, saliency: NDArray[np.float32]
) -> tuple[int, int]:
    """Return the pixel (x, y) around which two images of a photograph differ most to the eye.

    It is the middle of a square of `FOCUS_PX`. Over this square the SSIM of the one and that of
    the other are furthest apart, whichever is higher. Only windows in the salient region count,
    the most salient fifth. The middle of the square lies there, too.

    Parameters
    ----------
    original, one, other
        `(H, W, 3) uint8` sRGB, at least 11 px a side.
    saliency
        `(H, W) float32` in [0, 1].
    """
    edge = distortion.REACH_PX
    region = salient_region(saliency)[edge:-edge, edge:-edge]
    apart = distortion.ssim_map_luma(original, one) - distortion.ssim_map_luma(original, other)
    mean = uniform_filter(np.where(region, apart, 0.0), FOCUS_PX, mode="constant")
    y, x = np.unravel_index(np.argmax(np.where(region, np.abs(mean), -1.0)), mean.shape)
    return int(x) + edge, int(y) + edge


def gain(row: Row, baseline: Row, measure: str) -> float | None:
    """Return a measure minus plain JPEG's, or None if it is not finite or the size is off."""
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
    measure: str = RANKED_BY,
) -> list[tuple[str, str]]:
    """Return the photographs, from that which a method serves worst to that which it serves best.

    Parameters
    ----------
    rows
        As for `gains`, of one quality. The list leaves out a photograph without a gain.
    """
    found = []
    for place, of_photograph in by_photograph(rows):
        by_method = {name: row for (_, name), row in of_photograph.items()}
        if method in by_method:
            value = gain(by_method[method], by_method[BASELINE], measure)
            if value is not None:
                found.append((value, place))
    return [place for _, place in sorted(found)]


def by_photograph(
    rows: Iterable[Row],
) -> Iterator[tuple[tuple[str, str], dict[tuple[int, str], Row]]]:
    """Yield each photograph with its rows by quality and method."""
    for place, of_place in groupby(rows, key=itemgetter("dataset", "image")):
        yield place, {(int(row["match_quality"]), row["method"]): row for row in of_place}


def middle(places: Sequence[T], seen: Collection[T]) -> int:
    """Return the number of the median of a list, or of the nearest item that has scores.

    The median of an even number is the lower of the two in the middle. Of two items that are as
    near, the lower counts. The first and the last item never count for their scores.

    Parameters
    ----------
    places
        From the worst to the best.
    seen
        The items that have scores of stage `judges`.
    """
    median = (len(places) - 1) // 2
    between = [place for place in range(1, len(places) - 1) if places[place] in seen]
    return min(between, key=lambda place: (abs(place - median), place), default=median)


def marks(places: Sequence[T], median: int) -> dict[T, str]:
    """Return which items are `MARKS`, of a list from the worst to the best.

    `median` is the number of the median. A list of fewer than three items has none.
    """
    if not places:
        return {}
    between = {places[median]: "median"} if len(places) > 2 else {}
    ends = {places[0]: "worst"} if len(places) > 1 else {}
    return {places[-1]: "best", **between, **ends}


def fitting(
    items: Sequence[T], median: int, size: Callable[[T], int], budget: int = BUDGET_BYTES
) -> list[T]:
    """Choose as many items as fit into a budget of bytes, and keep their order.

    The items are from the worst to the best. The best, the median and the worst come first. Each
    further one lies halfway between two of those. The function asks no `size` that it does not
    need.
    """
    chosen, total = [], 0
    for place in spread_out(len(items), median):
        total += size(items[place])
        if total > budget:
            break
        chosen.append(place)
    return [items[place] for place in sorted(chosen)]


def spread_out(count: int, median: int) -> list[int]:
    """Return the numbers from 0 to count - 1: last, median, first, then halves between them."""
    if count < 3:
        return list(reversed(range(count)))
    order, gaps = [count - 1, median, 0], [(0, median), (median, count - 1)]
    while gaps:
        between = [(low, (low + high) // 2, high) for low, high in gaps if high - low > 1]
        order += [half for _, half, _ in between]
        gaps = [gap for low, half, high in between for gap in ((low, half), (half, high))]
    return order


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
