"""Stage compress: every method's file of the size of plain JPEG.

Plain JPEG at whole qualities gives the sizes. For every other method the stage searches the quality
whose file has that size (paper, section 1.3).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from tqdm import tqdm

from msroi.encoders.matching import compress_image
from msroi.encoders.methods import Encoder
from msroi.encoders.search import Match
from msroi.experiment import chunks, encoded
from msroi.experiment.chunks import Chunk, link_files
from msroi.experiment.comparison import flag
from msroi.experiment.encoded import File
from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress, Experiment
from msroi.experiment.prepared_images import TestImage, followed, test_images
from msroi.files import csv_table, write_csv
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
    """Compress every test image. Write the files and their index."""
    chunks.run_whole("compress", run_chunk, gather, experiment, layout)


def run_chunk(experiment: Experiment, layout: Layout, chunk: Chunk, out: Layout) -> None:
    """Compress the test images of one chunk. Files and index go to `out`."""
    params = experiment.compress

    def compress_one(item: TestImage) -> tuple[list[dict[str, Any]], list[File]]:
        image = read_rgb(item.path(layout))
        maps = followed(params, layout, item.dataset, item.image)
        found = list(compress_image(image, maps, params))
        return (
            [index_row(item, *one, params) for one in found],
            [File(item.image, made_by.name, q, match.data) for made_by, q, match in found],
        )

    groups = chunks.taken(chunk, lambda: encoded.groups(test_images(layout), params))
    items = [item for group in groups for item in group.items]
    # the encoders work without holding the interpreter's lock
    with ThreadPoolExecutor() as pool, csv_table(out.jpeg / "index.csv", COLUMNS) as add:
        done = chunks.ahead(pool, compress_one, items, AHEAD)
        bar = iter(tqdm(done, desc="compress", total=len(items), unit="image"))
        for group in groups:
            with encoded.writing(out, params, group) as write:
                for rows, files in islice(bar, len(group.items)):
                    add(rows)
                    write(files)


def gather(experiment: Experiment, layout: Layout, parts: Sequence[Layout]) -> None:
    """Bring the files and indexes of all chunks together."""
    link_files((part.jpeg / "images" for part in parts), layout.jpeg / "images")
    encoded.write_table(layout, experiment.compress, test_images(layout))
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
