"""How long the methods take on one core, side by side: `python -m msroi.benchmark`.

For each method: one encode, and one search for the size of plain JPEG. The map of saliency is
a synthetic one, as making real maps is a stage of its own (`heatmap`).
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from msroi import jpeg, params
from msroi.encoders import METHODS, Encoder, Saliency, encoder
from msroi.images import Pixels, read_rgb
from msroi.params import Compress

PHOTOS = ("astronaut", "coffee", "chelsea")  # of skimage.data
WIDTH_PX, HEIGHT_PX = 640, 480
QUALITY = 50
REPEATS = 5
COLUMNS = ("method", "first s", "prepare ms", "encode ms", "search ms", "encodes")
# read when JAX is imported, which the encoders do when they are made
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """What one repeat on one image took, in ms, and how many encodes the search needed."""

    prepare_ms: float
    encode_ms: float
    search_ms: float
    encodes: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m msroi.benchmark", description=__doc__)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument("--experiment", default="demo", help="whose parameters (demo)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"an image ({REPEATS})")
    given = parser.parse_args(arguments)
    machine = on_one_core()
    compress = params.load(given.experiment).compress
    images = [read_rgb(path) for path in given.images] or default_photos()
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


def on_one_core() -> str:
    """Keep the program to one core where the system allows it; describe the machine."""
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} {ONE_THREAD}".strip()
    machine = f"{platform.system()} on {platform.machine()}"
    if not hasattr(os, "sched_setaffinity"):
        return f"{machine}, {os.cpu_count()} cores, any of them used"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return f"{machine}, {len(cores)} cores, one of them used"


def default_photos() -> list[Pixels]:
    """Return `PHOTOS`, cut to 4:3 about the middle and resized: `(480, 640, 3) uint8`."""
    import skimage.data

    size = (WIDTH_PX, HEIGHT_PX)
    photos = (Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOS)
    return [np.asarray(ImageOps.fit(photo, size, Image.Resampling.LANCZOS)) for photo in photos]


def centred_map(height: int, width: int) -> Saliency:
    """Return a Gaussian in the middle, `(height, width)` in [0, 1]."""
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    return np.asarray(np.exp(-(y[:, None] ** 2 + x**2) / 0.3), np.float32)


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


def encoded(made_by: Encoder, source: tuple[Pixels, Saliency]) -> bytes:
    """Return an image's file."""
    return made_by.prepare(*source)(QUALITY)


def timing(made_by: Encoder, image: Pixels, saliency: Saliency) -> Timing:
    """Time one repeat on one image."""
    prepare_ms, encode = timed(lambda: made_by.prepare(image, saliency))
    encode_ms, _ = timed(lambda: encode(QUALITY))
    target_bytes = len(jpeg.encode(image, QUALITY))
    tried = []

    def search() -> None:
        fresh = made_by.prepare(image, saliency)  # some keep the files that they have made

        def counted(quality: float) -> bytes:
            tried.append(quality)
            return fresh(quality)

        jpeg.match_size(counted, target_bytes, start=QUALITY)

    search_ms, _ = timed(search)
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
