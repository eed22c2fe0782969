"""What each term of the encoder gains alone: the encoder without it, at the same file size.

`python -m benchmarks.encoder_terms` writes `results/bench/encoder_terms.csv`: for every term and
quality the mean difference that leaving the term out makes, over crops of the photographs that
ship with scikit-image. It takes ten minutes on two cores.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

import numpy as np
import skimage.data

from msroi.encoders import jpeg, search, steps
from msroi.encoders.trellis_jpeg import TrellisJpeg
from msroi.experiment import params
from msroi.experiment.params import Trellis
from msroi.files import write_csv
from msroi.images import Pixels
from msroi.measures import distortion, perceptual, ssimulacra2

TABLE = Path("results/bench/encoder_terms.csv")
QUALITIES = (15, 50, 85)
CROP = (300, 400)  # height, width
NAMES = ("astronaut", "coffee", "chelsea", "rocket", "retina", "hubble_deep_field")
MEASURES: dict[str, Callable[[Pixels, Pixels], float]] = {
    "ssimulacra2": lambda image, file: ssimulacra2.against(image)(file),
    "psnr_hvs_m_db": perceptual.psnr_hvs_m_db,
    "psnr_rgb_db": distortion.psnr_rgb_db,
}
COLUMNS = ("term", "quality", "n", *(f"{name}{end}" for name in MEASURES for end in ("", "_sd")))

# a term's name, and what the encoder is without it: constants of a module, or parameters
WITHOUT: dict[str, tuple[Any, dict[str, Any]]] = {
    "the trellis": (Trellis, {"lagrangian": 0.0}),
    "masking": (Trellis, {"masking": 0.0}),
    "coarser high luma frequencies": (
        steps,
        {
            "COARSE": steps.COARSE._replace(linear=0.0, square=0.0),
            "FINE": steps.FINE._replace(linear=0.0, square=0.0),
        },
    ),
    "finer DC of luma": (
        steps,
        {"COARSE": steps.COARSE._replace(dc=0.0), "FINE": steps.FINE._replace(dc=0.0)},
    ),
    "the first frequencies": (
        steps,
        {"COARSE": steps.COARSE._replace(first=0.0), "FINE": steps.FINE._replace(first=0.0)},
    ),
    "a luma shape of its own at fine steps": (steps, {"FINE": steps.COARSE}),
    "a chroma shape of its own": (steps, {"CHROMA": steps.COARSE}),
    "finer chroma at coarse steps": (steps, {"COARSE_CHROMA_POWER": 1.0}),
}


def crops() -> list[Pixels]:
    """Return the middle of each photograph."""
    found = []
    for name in NAMES:
        photo = getattr(skimage.data, name)()
        top, left = ((side - crop) // 2 for side, crop in zip(photo.shape, CROP, strict=False))
        found.append(photo[top : top + CROP[0], left : left + CROP[1]])
    return found


@contextmanager
def without(term: str | None) -> Iterator[Trellis]:
    """Yield the parameters of the encoder without a term; inside, its constants are replaced."""
    given = replace(params.load("paper-cpu").compress.trellis, chroma="half")
    where, values = WITHOUT[term] if term else (Trellis, {})
    with ExitStack() as stack:
        if where is Trellis:
            given = replace(given, **values)
        else:
            for name, value in values.items():
                stack.enter_context(patch.object(where, name, value))
        yield given


def values(term: str | None, quality: int, images: list[Pixels]) -> dict[str, list[float]]:
    """Return each measure of each image, at the size of plain JPEG of a quality."""
    with without(term) as given, ThreadPoolExecutor(2) as pool:

        def decoded(image: Pixels) -> Pixels:
            encode = TrellisJpeg("trellis", given, 0.0).prepare(image, None)
            target = len(jpeg.encode(image, quality))
            return jpeg.decode(search.match_size(encode, target, start=quality).data)

        files = list(pool.map(decoded, images))
        return {name: list(pool.map(measure, images, files)) for name, measure in MEASURES.items()}


def rows() -> Iterator[dict[str, Any]]:
    """Yield a row for each term and quality: the encoder without the term minus with it."""
    images = crops()
    for quality in QUALITIES:
        whole = values(None, quality, images)
        for term in WITHOUT:
            row: dict[str, Any] = {"term": term, "quality": quality, "n": len(images)}
            for name, found in values(term, quality, images).items():
                changes = np.subtract(found, whole[name]).tolist()
                row |= {name: f"{mean(changes):.3f}", f"{name}_sd": f"{stdev(changes):.3f}"}
            yield row


if __name__ == "__main__":
    write_csv(TABLE, COLUMNS, list(rows()))
