"""Stage heatmap: the saliency maps of all test images, how far passes differ, and quality.

`saliency` says how it makes a map.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from msroi.experiment import chunks
from msroi.experiment.chunks import Chunk, link_files
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment, ReadoutMap
from msroi.experiment.prepared_images import rows_of
from msroi.experiment.selection import first_by_name
from msroi.files import csv_table, write_csv, write_json, written_whole
from msroi.images import Pixels, read_rgb, to_8_bit, write_image
from msroi.measures import saliency_quality, spread
from msroi.measures.saliency_quality import Marked, read_marked
from msroi.network import vgg
from msroi.network.readout import ReadoutNetwork
from msroi.network.saliency import (
    Map,
    Probabilities,
    TrainedNetwork,
    full_size,
    most_probable,
    readout_map,
)
from msroi.plots import overlay

TABLES = {
    "predictions": ("dataset", "image", "rank", "class", "probability"),
    "spread": spread.COLUMNS,
    "saliency_quality": saliency_quality.COLUMNS,
}

WORKERS = 2  # threads that read and write beside the network
TOP_CLASSES = 5  # of which the probabilities are listed
AHEAD = 4  # images that are read before the network is ready for them, or wait to be written


def predictions(
    name: dict[str, str], probabilities: Probabilities, classes: Sequence[str], count: int
) -> list[dict[str, Any]]:
    """Return the rows of an image's `count` most probable classes."""
    top = most_probable(probabilities, count)
    return [
        name | {"rank": rank, "class": classes[number], "probability": f"{share:.6f}"}
        for rank, (number, share) in enumerate(zip(top, probabilities[top], strict=True), start=1)
    ]


# an image of the index, and whether it is among those that are passed several times
Wanted = tuple[dict[str, str], bool]


@dataclass(frozen=True)
class Source:
    """An image as the stage read it: its row of the index, pixels, and the networks' input."""

    row: dict[str, str]
    image: Pixels
    given: Pixels
    given_readout: Pixels | None
    repeated: bool


@dataclass(frozen=True)
class Seen:
    """What the networks saw in an image: maps by name, probabilities, and maps by dropout."""

    source: Source
    maps: dict[str, Map]
    probabilities: Probabilities
    passes: dict[float, Map]


@dataclass(frozen=True)
class Rows:
    """What the tables say of an image, by table, and the maps of its passes, if there are any."""

    predictions: list[dict[str, Any]]
    spread: list[dict[str, Any]]
    quality: list[dict[str, Any]]
    passes: list[Map]


def wanted(experiment: Experiment, layout: Layout, marked: Marked) -> list[Wanted]:
    """Return all images that the stage makes maps of, in the order of the index.

    Beside the test photographs these are the validation images with known boxes. The stage writes
    no file of these.
    """
    rows = [
        row for row in rows_of(layout, ["test", "validate"]) if is_test(row) or marked.boxed(row)
    ]
    photographs = [(row["dataset"], row["image"]) for row in rows if is_test(row)]
    repeated = set(first_by_name(photographs, experiment.heatmap.passes_images))
    return [(row, is_test(row) and (row["dataset"], row["image"]) in repeated) for row in rows]


def is_test(row: Mapping[str, str]) -> bool:
    """Say whether an image of the index is a test photograph."""
    return row["split"] == "test"


def run(experiment: Experiment, layout: Layout) -> None:
    """Make all maps of every test image, and measure how they differ and how good they are."""
    chunks.run_whole("heatmap", run_chunk, gather, experiment, layout)


def run_chunk(experiment: Experiment, layout: Layout, chunk: Chunk, out: Layout) -> None:
    """Make the maps and tables of one chunk. They go to `out`."""
    vgg16 = vgg.read_weights(layout.vgg16)
    model = TrainedNetwork(layout.model / "weights.safetensors", vgg16, experiment.heatmap)
    rules = experiment.heatmap.maps.values()
    reads = any(isinstance(rule, ReadoutMap) for rule in rules)
    weights = layout.readout / "weights.safetensors"
    readout = ReadoutNetwork(vgg16, weights) if reads else None
    marked = read_marked(layout.downloaded)
    items = chunk.of(wanted(experiment, layout, marked))
    make_maps(model, readout, items, marked, experiment, layout, out)


def make_maps(
    model: TrainedNetwork,
    readout: ReadoutNetwork | None,
    items: Sequence[Wanted],
    marked: Marked,
    experiment: Experiment,
    layout: Layout,
    out: Layout,
) -> None:
    """Make the maps and tables of some images.

    Other threads read and write images while the network works on the next.
    """
    params = experiment.heatmap
    passes: list[Map] = []

    def read(item: Wanted) -> Source:
        row, repeated = item
        test = layout.test_image(row["dataset"], row["image"])
        image = read_rgb(test if is_test(row) else Path(row["path"]))
        wide = None if readout is None else readout.given(image)
        return Source(row, image, model.given(image), wide, repeated)

    def look(source: Source) -> Seen:
        maps, probabilities = model.plain(source.given)
        if readout is not None and source.given_readout is not None:
            maps |= readout_maps(readout.density(source.given_readout), experiment)
        if not source.repeated:
            return Seen(source, maps, probabilities, {})
        # nothing varies without dropout: one pass is all
        of_passes = {0.0: np.repeat(maps[params.passes_map][None], params.passes, axis=0)}
        if params.dropout > 0:
            key = f"{source.row['dataset']}/{source.row['image']}"
            of_passes[params.dropout] = model.passes(source.given, experiment.seed, key)
        return Seen(source, maps, probabilities, of_passes)

    def finish(seen: Seen) -> Rows:
        row = seen.source.row
        quality = marked.rows(row, seen.maps)
        if not is_test(row):
            return Rows([], [], quality, [])
        write_maps(out, row, seen, experiment.main_map)
        name = {"dataset": row["dataset"], "image": row["image"]}
        predicted = predictions(name, seen.probabilities, model.classes, TOP_CLASSES)
        spreads = [spread.row(name, *drawn, params.input_px) for drawn in seen.passes.items()]
        return Rows(predicted, spreads, quality, [*seen.passes.values()][-1:])

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))
        add = {
            table: stack.enter_context(csv_table(out.heatmaps / f"{table}.csv", columns))
            for table, columns in TABLES.items()
        }
        sources = chunks.ahead(pool, read, items, AHEAD)
        done = chunks.ahead(pool, finish, map(look, sources), AHEAD)
        for rows in tqdm(done, desc="heatmap", total=len(items), unit="image"):
            add["predictions"](rows.predictions)
            add["spread"](rows.spread)
            add["saliency_quality"](rows.quality)
            passes += rows.passes
    if passes:
        with written_whole(out.heatmaps / "passes.npy") as partial_file:
            np.save(partial_file, np.stack(passes))


def readout_maps(density: Map, experiment: Experiment) -> dict[str, Map]:
    """Return the maps that a readout's density gives, by name."""
    rules = experiment.heatmap.maps.items()
    return {
        name: readout_map(density, rule) for name, rule in rules if isinstance(rule, ReadoutMap)
    }


def write_maps(out: Layout, row: Mapping[str, str], seen: Seen, main: str) -> None:
    """Write the saliency maps of a test photograph, and the photograph under the main one."""
    image = seen.source.image
    of = row["dataset"], row["image"]
    maps = {name: full_size(small, image) for name, small in seen.maps.items()}
    for name, saliency in maps.items():
        write_image(out.saliency(name, *of), to_8_bit(saliency))
    write_image(out.overlay(*of), overlay(image, maps[main]), quick=True)


def gather(experiment: Experiment, layout: Layout, parts: Sequence[Layout]) -> None:
    """Bring the files and tables of all chunks together, and summarise them."""
    for kind in ("saliency", "overlay"):
        link_files((part.heatmaps / kind for part in parts), layout.heatmaps / kind)
    for table, columns in TABLES.items():
        write_csv(layout.heatmaps / f"{table}.csv", columns, table_rows(parts, table))
    files = [part.heatmaps / "passes.npy" for part in parts]
    passes = np.concatenate([np.load(file) for file in files if file.exists()])
    with written_whole(layout.heatmaps / "passes.npy") as partial_file:
        np.save(partial_file, passes)
    drawn = f"{experiment.heatmap.dropout}"
    of_passes = spread.means(row for row in table_rows(parts, "spread") if row["dropout"] == drawn)
    counts = {"images": len(rows_of(layout, ["test"])), "images_with_passes": len(passes)}
    quality = read_marked(layout.downloaded).summary(table_rows(parts, "saliency_quality"))
    write_json(layout.heatmaps / "summary.json", counts | of_passes | quality)


def table_rows(parts: Sequence[Layout], table: str) -> Iterator[dict[str, str]]:
    """Read one of `TABLES` of all chunks."""
    return chunks.rows(part.heatmaps / f"{table}.csv" for part in parts)
