"""Stage compress: the reference JPEG and the paper's two-pass MS-ROI at the same size.

The two-pass method (paper, section 1.3): the saliency map is cut into levels; the first
pass encodes the image once a level, with qualities from `quality_low` to
`quality_high`, and takes each pixel from its level's decoded image; the second pass
encodes that blend with one quality, searched so that the file has the reference's size.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from msroi import jpeg
from msroi.files import fresh_folder, write_bytes, write_csv
from msroi.images import Pixels, read_grey, read_rgb
from msroi.index import TestImage, test_images
from msroi.jpeg import Match
from msroi.layout import Layout
from msroi.params import Compress, Experiment

COLUMNS = (
    "dataset",
    "image",
    "method",
    "match_quality",
    "q_final",
    "bytes",
    "target_bytes",
    "size_error_pct",
    "matched",
    "encoder",
    "encoder_version",
)


def saliency_levels(saliency: NDArray[np.float32], levels: int) -> NDArray[np.intp]:
    """Cut a map `(H, W)` in [0, 1] into equal levels 0 (least salient) to `levels` - 1."""
    return np.minimum((saliency * levels).astype(np.intp), levels - 1)


def blend(image: Pixels, saliency: NDArray[np.float32], params: Compress) -> Pixels:
    """First pass: each pixel from the JPEG of its saliency level's quality.

    Parameters
    ----------
    image
        `(H, W, 3) uint8` sRGB.
    saliency
        `(H, W) float32` in [0, 1].
    params
        Number of levels and the qualities of the lowest and the highest.
    """
    level = saliency_levels(saliency, params.levels)
    qualities = np.linspace(params.quality_low, params.quality_high, params.levels)
    blended = np.empty_like(image)
    for number in np.unique(level):
        decoded = jpeg.decode(jpeg.encode(image, float(qualities[number])))
        blended[level == number] = decoded[level == number]
    return blended


def matched_jpeg(image: Pixels, target_bytes: int, *, never_above: bool = False) -> Match:
    """Encode an image as plain JPEG of a given size."""
    return jpeg.match_size(lambda q: jpeg.encode(image, q), target_bytes, never_above=never_above)


def compress_image(
    image: Pixels, saliency: NDArray[np.float32], params: Compress
) -> Iterator[tuple[str, int, Match]]:
    """Yield `(method, match_quality, file)` for every method and quality of one image."""
    blended = blend(image, saliency, params)
    for quality in params.match_qualities:
        reference = jpeg.encode(image, quality)
        yield "jpeg", quality, Match(float(quality), reference, len(reference))
        yield "msroi", quality, matched_jpeg(blended, len(reference))


def run(experiment: Experiment, layout: Layout) -> None:
    """Compress every test image; write the files and their index."""
    params = experiment.compress
    fresh_folder(layout.jpeg / "images")

    def compress_one(item: TestImage) -> list[dict[str, Any]]:
        image = read_rgb(item.path(layout))
        saliency = read_grey(layout.heatmap("saliency", item.dataset, item.image))
        rows = []
        for method, quality, match in compress_image(image, saliency, params):
            write_bytes(layout.jpeg_file(item.dataset, method, quality, item.image), match.data)
            rows.append(index_row(item, method, quality, match, params))
        return rows

    items = test_images(layout)
    # Pillow encodes and decodes without holding the interpreter's lock
    with ThreadPoolExecutor() as pool:
        done = tqdm(pool.map(compress_one, items), desc="compress", total=len(items), unit="image")
        rows = [row for rows in done for row in rows]
    write_csv(layout.jpeg / "index.csv", COLUMNS, rows)


def index_row(
    item: TestImage, method: str, quality: int, match: Match, params: Compress
) -> dict[str, Any]:
    """Describe one file for the index."""
    return {
        "dataset": item.dataset,
        "image": item.image,
        "method": method,
        "match_quality": quality,
        "q_final": f"{match.quality:.3f}",
        "bytes": len(match.data),
        "target_bytes": match.target_bytes,
        "size_error_pct": f"{match.size_error_pct:.4f}",
        "matched": "true" if match.within(params.size_tolerance_pct) else "false",
        "encoder": jpeg.ENCODER,
        "encoder_version": jpeg.encoder_version(),
    }
