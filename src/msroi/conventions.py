"""Stage conventions: what the paper leaves open, measured in every way that it may be meant.

The paper does not say over which samples its PSNR is taken, which SSIM, which chroma
subsampling, which Huffman tables, how a size counts as equal, or what its sources had been
through. This stage measures plain JPEG and the two-pass MS-ROI under each of these, so that
stage audit can say which of them, if any, explains a printed number.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity
from tqdm import tqdm

from msroi import jpeg, measures
from msroi.files import write_csv, write_json
from msroi.images import Pixels, read_grey, read_rgb
from msroi.index import TestImage, test_images
from msroi.layout import Layout
from msroi.matched import BASELINE, mean, sd, significant
from msroi.params import Compress, Experiment
from msroi.selection import first_by_name
from msroi.two_pass import MsRoi, blend

AS_RUN = "as run"
MEASURES = (
    *("psnr_rgb_db", "psnr_luma_db"),
    *("ssim_luma", "ssim_luma_uniform", "ssim_rgb", "ssim_rgb_uniform", "ms_ssim_luma"),
)
COLUMNS = (
    *("dataset", "image", "protocol", "method", "match_quality"),
    *("q_final", "bytes", "size_error_pct", *MEASURES),
)
WORKERS = min(4, os.cpu_count() or 1)

Saliency = NDArray[np.float32]
Encode = Callable[..., bytes]  # as `jpeg.encode`


@dataclass(frozen=True)
class Protocol:
    """One reading of what the paper leaves open.

    Attributes
    ----------
    name
        As results have it.
    encode
        Gives the JPEG of an image for a quality; both passes and both arms use it.
    optimised
        Whether the files get Huffman tables of their own, in both arms.
    source_quality
        The JPEG quality at which the source is stored before the experiment, or None for
        the source as it is.
    more_bytes_pct
        By how much the file of MS-ROI may be larger than plain JPEG's.
    """

    name: str
    encode: Encode = jpeg.encode
    optimised: bool = False
    source_quality: int | None = None
    more_bytes_pct: float = 0.0


# the public code of Prakash et al. (2017) takes a file up to 20 % larger, by default
PROTOCOLS = (
    Protocol(AS_RUN),
    Protocol("4:4:4", encode=partial(jpeg.encode, subsampling="4:4:4")),
    Protocol("optimised Huffman tables", optimised=True),
    Protocol("sources stored as JPEG of quality 90", source_quality=90),
    Protocol("sources stored as JPEG of quality 75", source_quality=75),
    Protocol("files 20 % larger", more_bytes_pct=20.0),
)


def measured(reference: Pixels, distorted: Pixels) -> dict[str, float]:
    """Return every convention's value by name, of `MEASURES`.

    Parameters
    ----------
    reference, distorted
        `(H, W, 3) uint8` sRGB of one size.

    Returns
    -------
    dict
        PSNR over RGB samples and over luma as Pillow rounds it to 8 bits (mode L). SSIM of
        luma and of RGB (the mean of the three channels), each with Wang's Gaussian window and
        with a uniform window of 7 × 7 px and the sample covariance, which is what
        scikit-image's `structural_similarity` does when nothing is said. MS-SSIM of luma.
    """
    reference_grey, grey = (
        np.asarray(Image.fromarray(image).convert("L")) for image in (reference, distorted)
    )
    channels = [np.moveaxis(image.astype(np.float64), 2, 0) for image in (reference, distorted)]
    return {
        "psnr_rgb_db": measures.psnr_rgb_db(reference, distorted),
        "psnr_luma_db": measures.psnr_db(
            float(np.mean(np.square(np.subtract(reference_grey, grey, dtype=np.float64))))
        ),
        "ssim_luma": measures.ssim_luma(reference, distorted),
        "ssim_luma_uniform": uniform_ssim(reference_grey, grey),
        "ssim_rgb": fmean(
            measures.ssim(a, b, measures.PEAK) for a, b in zip(*channels, strict=True)
        ),
        "ssim_rgb_uniform": uniform_ssim(reference, distorted),
        "ms_ssim_luma": measures.ms_ssim_luma(reference, distorted),
    }


def uniform_ssim(reference: NDArray[np.uint8], distorted: NDArray[np.uint8]) -> float:
    """Return scikit-image's SSIM with its defaults, of `(H, W)` or `(H, W, 3) uint8`."""
    channels = 2 if reference.ndim == 3 else None
    return float(structural_similarity(reference, distorted, channel_axis=channels))


def arms(
    image: Pixels, saliency: Saliency, protocol: Protocol, params: Compress
) -> Iterator[tuple[str, int, jpeg.Match]]:
    """Yield `(method, match_quality, file)` of both arms under one protocol.

    Parameters
    ----------
    image, saliency
        `(H, W, 3) uint8` sRGB, the source as the protocol has it; `(H, W) float32` in [0, 1].
    protocol, params
        The reading; qualities, levels and what else the two passes need.
    """
    final = partial(protocol.encode, optimise=True) if protocol.optimised else protocol.encode
    blended = blend(image, saliency, params, protocol.encode)
    for quality in params.match_qualities:
        reference = final(image, quality)
        yield BASELINE, quality, jpeg.Match(quality, reference, len(reference))
        target = round(len(reference) * (1 + protocol.more_bytes_pct / 100))
        yield MsRoi.name, quality, jpeg.match_size(partial(final, blended), target, start=quality)


def photograph_rows(
    item: TestImage, layout: Layout, protocols: tuple[Protocol, ...], params: Compress
) -> list[dict[str, Any]]:
    """Measure one photograph under some protocols: rows of `COLUMNS`."""
    original = read_rgb(item.path(layout))
    saliency = read_grey(layout.heatmap("saliency", item.dataset, item.image))
    rows = []
    for protocol in protocols:
        source = original
        if protocol.source_quality is not None:
            source = jpeg.decode(jpeg.encode(original, protocol.source_quality))
        for method, quality, match in arms(source, saliency, protocol, params):
            values = measured(source, jpeg.decode(match.data))
            rows.append(
                {
                    "dataset": item.dataset,
                    "image": item.image,
                    "protocol": protocol.name,
                    "method": method,
                    "match_quality": quality,
                    "q_final": f"{match.quality:.4f}",
                    "bytes": len(match.data),
                    "size_error_pct": f"{match.size_error_pct:.4f}",
                    **{name: significant(value) for name, value in values.items()},
                }
            )
    return rows


def run(experiment: Experiment, layout: Layout) -> None:
    """Measure every test photograph as it was run, and the first of each set in every way."""
    params = experiment.compress
    items = list(test_images(layout))
    photographs = [(item.dataset, item.image) for item in items]
    chosen = set(first_by_name(photographs, experiment.conventions.images))

    def of(item: TestImage) -> list[dict[str, Any]]:
        everything = (item.dataset, item.image) in chosen
        return photograph_rows(item, layout, PROTOCOLS if everything else PROTOCOLS[:1], params)

    # the encoders and NumPy work without holding the interpreter's lock
    with ThreadPoolExecutor(WORKERS) as pool:
        done = tqdm(pool.map(of, items), desc="conventions", total=len(items), unit="image")
        rows = [row for rows in done for row in rows]
    write_csv(layout.conventions / "per_image.csv", COLUMNS, rows)
    write_json(layout.conventions / "summary.json", summarise(rows))


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return dataset -> protocol -> method -> `q<match_quality>` -> n, mean and sd by measure."""
    cells: dict[tuple[str, str, str, int], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["dataset"], row["protocol"], row["method"], int(row["match_quality"]))
        cells.setdefault(key, []).append(row)
    summary: dict[str, Any] = {}
    for (dataset, protocol, method, quality), of_cell in cells.items():
        values = {name: [float(row[name]) for row in of_cell] for name in MEASURES}
        cell = {"n": len(of_cell)}
        statistics = {
            "mean": {name: mean(found) for name, found in values.items()},
            "sd": {name: sd(found) for name, found in values.items()},
        }
        by_method = summary.setdefault(dataset, {}).setdefault(protocol, {}).setdefault(method, {})
        by_method[f"q{quality}"] = cell | statistics
    return summary
