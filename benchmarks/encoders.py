"""The encoders at matched size on one core: roi-trellis beside mozjpeg.

`python -m benchmarks.encoders [IMAGE …]` prints every method's times instead: one encode, and
one search for the size of plain JPEG. The map of saliency is a synthetic one, as making real
maps is a stage of its own (`heatmap`).
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

from benchmarks.comparison import Comparison, side_by_side
from benchmarks.setting import HEIGHT_PX, PHOTOS, WIDTH_PX, centred_map, on_one_core, photographs
from msroi.encoders import jpeg, search
from msroi.encoders.methods import METHODS, Encoder, encoder
from msroi.encoders.search import Match
from msroi.experiment import params
from msroi.experiment.params import Compress
from msroi.images import Pixels, Saliency, read_rgb

QUALITY = 50
REPEATS = 5
TIMES_MOZJPEG = 10.0
COLUMNS = ("method", "first s", "prepare ms", "encode ms", "search ms", "encodes")

T = TypeVar("T")
Source = tuple[Pixels, Saliency]


@dataclass(frozen=True)
class Timing:
    """What one repeat on one image took, in ms, and how many encodes the search needed."""

    prepare_ms: float
    encode_ms: float
    search_ms: float
    encodes: int


def measure(repeats: int) -> list[Comparison]:
    """Time roi-trellis and mozjpeg in the search for the size of plain JPEG."""
    on_one_core()
    compress = params.load("demo").compress
    images = photographs()
    ours, theirs = (encoder(name, compress) for name in ("roi-trellis", "mozjpeg"))
    sources = [(image, centred_map(*image.shape[:2])) for image in images]
    require_match(ours, sources, compress.size_tolerance_pct)
    require_match(theirs, sources, compress.size_tolerance_pct)
    ours_s, theirs_s = side_by_side(
        partial(matches, ours, sources), partial(matches, theirs, sources), repeats
    )
    ratios = [own / other for own, other in zip(ours_s, theirs_s, strict=True)]
    row = Comparison(
        job="roi_trellis",
        ours=f"`roi-trellis` at the size of plain JPEG {QUALITY}, {len(images)} photographs",
        against=f"mozjpeg, {theirs.version}, same search, one core each",
        ratios=ratios,
        unit="our time / their time",
        target=TIMES_MOZJPEG,
        bound="at most",
        seconds={"roi-trellis": ours_s, "mozjpeg": theirs_s},
    )
    return [row if row.reached else replace(row, limit=limit((ours, theirs), sources))]


def matches(made_by: Encoder, sources: Sequence[Source]) -> list[Match]:
    """Return each image's file of the size of plain JPEG of `QUALITY`."""
    return [
        search.match_size(
            made_by.prepare(image, saliency), len(jpeg.encode(image, QUALITY)), start=QUALITY
        )
        for image, saliency in sources
    ]


def require_match(made_by: Encoder, sources: Sequence[Source], tolerance_pct: float) -> None:
    """Make sure that the files that are timed have the size that is wanted."""
    for match in matches(made_by, sources):
        if not match.within(tolerance_pct):
            raise ValueError(f"{made_by.name} misses the size by {match.size_error_pct:.2f} %")


def limit(encoders: Sequence[Encoder], sources: Sequence[Source]) -> str:
    """Say what each encoder's preparation and encodes take, of all images together."""
    parts = []
    for made_by in encoders:
        all_of = [timing(made_by, *source) for source in sources]
        parts.append(
            f"{made_by.name} prepares in {sum(t.prepare_ms for t in all_of):.0f} ms and encodes "
            f"{sum(t.encodes for t in all_of)} times, {sum(t.encode_ms for t in all_of):.0f} ms "
            f"once for each of {len(all_of)} photographs"
        )
    return "; ".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument("--experiment", default="demo", help="whose parameters (demo)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"an image ({REPEATS})")
    given = parser.parse_args(arguments)
    machine = on_one_core()
    compress = params.load(given.experiment).compress
    images = [read_rgb(path) for path in given.images] or photographs()
    whose = "the images given" if given.images else ", ".join(PHOTOS) + " of scikit-image,"
    cut = "" if given.images else f" cut to 4:3 about the middle, {WIDTH_PX}x{HEIGHT_PX} px"
    lines = [
        f"{machine}. {given.repeats} repeats of {whose}{cut}.",
        f"encode: of quality {QUALITY}; search: for the size of plain JPEG of quality {QUALITY}, "
        "preparation included;",
        "first: the first file of the first image, compilation included. Median (least-most).",
        "",
    ]
    sys.stdout.write("\n".join(lines))
    for cells in (COLUMNS, *rows(compress, images, given.repeats)):
        sys.stdout.write("\n" + line(cells))
        sys.stdout.flush()
    sys.stdout.write("\n")


def rows(compress: Compress, images: Sequence[Pixels], repeats: int) -> Iterator[Sequence[str]]:
    """Yield the cells of each method's row, as `COLUMNS` has them."""
    sources = [(image, centred_map(*image.shape[:2])) for image in images]
    for method in METHODS:
        made_by = encoder(method, compress)
        # the first file, and what images of other sizes compile
        first_ms, *_ = [timed(partial(encoded, made_by, source))[0] for source in sources]
        timings = [timing(made_by, *source) for _ in range(repeats) for source in sources]
        yield (
            method,
            f"{first_ms / 1000:.2f}",
            spread([t.prepare_ms for t in timings]),
            spread([t.encode_ms for t in timings]),
            spread([t.search_ms for t in timings]),
            spread([t.encodes for t in timings]),
        )


def encoded(made_by: Encoder, source: Source) -> bytes:
    """Return an image's file."""
    return made_by.prepare(*source)(QUALITY)


def timing(made_by: Encoder, image: Pixels, saliency: Saliency) -> Timing:
    """Time one repeat on one image."""
    prepare_ms, encode = timed(lambda: made_by.prepare(image, saliency))
    encode_ms, _ = timed(lambda: encode(QUALITY))
    target_bytes = len(jpeg.encode(image, QUALITY))
    tried = []

    def whole_search() -> None:
        fresh = made_by.prepare(image, saliency)  # some keep the files that they have made

        def counted(quality: float) -> bytes:
            tried.append(quality)
            return fresh(quality)

        search.match_size(counted, target_bytes, start=QUALITY)

    search_ms, _ = timed(whole_search)
    return Timing(prepare_ms, encode_ms, search_ms, len(tried))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return how long the work took, in ms, and its result."""
    start = perf_counter()
    result = work()
    return 1000 * (perf_counter() - start), result


def spread(values: Sequence[float]) -> str:
    """Return the median, the least and the most as a cell."""
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def line(cells: Sequence[str]) -> str:
    """Return a row as text."""
    name, first, *rest = cells
    return f"{name:<12}{first:>8}" + "".join(f"{cell:>18}" for cell in rest)


if __name__ == "__main__":
    main()
