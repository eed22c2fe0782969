"""Stage compress: every method's file of the size of plain JPEG.

Plain JPEG at whole qualities gives the sizes; of every other method the quality is searched
whose file has that size (paper, section 1.3).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tqdm import tqdm

from msroi.encoders.matching import compress_image
from msroi.encoders.methods import Encoder
from msroi.encoders.search import Match
from msroi.experiment import chunks
from msroi.experiment.chunks import Chunk, link_files
from msroi.experiment.comparison import flag
from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress, Experiment
from msroi.experiment.prepared_images import TestImage, followed, test_images
from msroi.files import csv_table, write_bytes, write_csv
from msroi.images import read_rgb

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
)
AHEAD = 32  # images that wait for their turn


def run(experiment: Experiment, layout: Layout) -> None:
    """Compress every test image; write the files and their index."""
    chunks.run_whole("compress", run_chunk, gather, experiment, layout)


def run_chunk(experiment: Experiment, layout: Layout, chunk: Chunk, out: Layout) -> None:
    """Compress the test images of one chunk; `out` is where files and index go."""
    params = experiment.compress

    def compress_one(item: TestImage) -> list[dict[str, Any]]:
        image = read_rgb(item.path(layout))
        maps = followed(params, layout, item.dataset, item.image)
        rows = []
        for made_by, quality, match in compress_image(image, maps, params):
            file = out.jpeg_file(item.dataset, made_by.name, quality, item.image)
            write_bytes(file, match.data)
            rows.append(index_row(item, made_by, quality, match, params))
        return rows

    items = chunks.taken(chunk, partial(test_images, layout))
    # the encoders work without holding the interpreter's lock
    with ThreadPoolExecutor() as pool, csv_table(out.jpeg / "index.csv", COLUMNS) as add:
        done = chunks.ahead(pool, compress_one, items, AHEAD)
        for rows in tqdm(done, desc="compress", total=len(items), unit="image"):
            add(rows)


def gather(_: Experiment, layout: Layout, parts: Sequence[Layout]) -> None:
    """Bring the files and indexes of all chunks together."""
    link_files((part.jpeg / "images" for part in parts), layout.jpeg / "images")
    rows = chunks.rows(part.jpeg / "index.csv" for part in parts)
    write_csv(layout.jpeg / "index.csv", COLUMNS, rows)


def index_row(
    item: TestImage, made_by: Encoder, quality: int, match: Match, params: Compress
) -> dict[str, Any]:
    """Describe one file for the index."""
    return {
        "dataset": item.dataset,
        "image": item.image,
        "method": made_by.name,
        "match_quality": quality,
        "q_final": f"{match.quality:.3f}",
        "bytes": len(match.data),
        "target_bytes": match.target_bytes,
        "size_error_pct": f"{match.size_error_pct:.4f}",
        "matched": flag(match.size_error_pct, params.size_tolerance_pct),
        "encoder": made_by.version,
    }
