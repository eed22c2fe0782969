"""Maps from files to files, as the stage makes them, beside the network alone on as many images."""

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax

from benchmarks.comparison import Comparison, seconds, side_by_side, speed_ratios
from benchmarks.setting import HEIGHT_PX, WIDTH_PX, photographs
from msroi import Model
from msroi.experiment.layout import Layout
from msroi.images import Pixels, read_rgb, to_8_bit, write_image
from msroi.measures.saliency_quality import Marked
from msroi.network.saliency import CHOSEN, full_size
from msroi.plots import overlay
from msroi.stages import heatmap
from msroi.stages.heatmap import Wanted

IMAGES = 8
UNKNOWN = Marked({}, {}, {})  # the quality of maps belongs to the experiment, not to the maps


def measure(repeats: int) -> list[Comparison]:
    """Time the maps of 8 photographs of 640x480 px."""
    model = Model()
    experiment = model.experiment
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        layout = Layout(experiment.name)
        items = written(layout)
        given = [model.given(read_rgb(path)) for path in paths(layout, items)]
        whole_s, alone_s = side_by_side(
            partial(heatmap.make_maps, model, items, UNKNOWN, experiment, layout, layout),
            lambda: network(model, given),
            repeats,
        )
        parts = profile(model, layout, items)
    row = Comparison(
        job="heatmaps",
        ours=f"stage heatmap, {IMAGES} photographs of {WIDTH_PX}x{HEIGHT_PX}, files to files",
        against="the network alone on as many images",
        ratios=speed_ratios(whole_s, alone_s),
        unit="their time / our time",
        target=0.9,
        bound="at least",
        seconds={"ours": whole_s, "theirs": alone_s, **{name: [s] for name, s in parts.items()}},
    )
    return [row if row.reached else replace(row, limit=told(parts))]


def written(layout: Layout) -> list[Wanted]:
    """Write `IMAGES` photographs where the stage looks for them; return what it would want."""
    photos = photographs()
    items = []
    for number in range(IMAGES):
        row = {"split": "test", "dataset": "bench", "image": f"{number:02}"}
        size = {"height": str(HEIGHT_PX), "width": str(WIDTH_PX)}
        items.append((row | size, False))
        write_image(layout.test_image("bench", row["image"]), photos[number % len(photos)])
    return items


def paths(layout: Layout, items: Sequence[Wanted]) -> list[Path]:
    """Return the files of the photographs."""
    return [layout.test_image(row["dataset"], row["image"]) for row, _ in items]


def network(model: Model, given: Sequence[Pixels]) -> None:
    """Pass resized images through the network, one by one, and wait for the last."""
    jax.block_until_ready([model._plain(image) for image in given])  # type: ignore[no-untyped-call]


def profile(model: Model, layout: Layout, items: Sequence[Wanted]) -> dict[str, float]:
    """Return how long each part takes for all photographs, in s, one part after the other."""
    files = paths(layout, items)
    images = [read_rgb(file) for file in files]
    given = [model.given(image) for image in images]
    maps = [model.plain(one)[0][CHOSEN] for one in given]
    full = [full_size(of, image) for of, image in zip(maps, images, strict=True)]
    parts: dict[str, Callable[[], object]] = {
        "read": lambda: [read_rgb(file) for file in files],
        "resize": lambda: [model.given(image) for image in images],
        "network and map": lambda: [model.plain(one) for one in given],
        "enlarge": lambda: [full_size(of, image) for of, image in zip(maps, images, strict=True)],
        "write map": lambda: [
            write_image(file.with_suffix(".map.png"), to_8_bit(of))  # type: ignore[func-returns-value]
            for file, of in zip(files, full, strict=True)
        ],
        "write overlay": lambda: [
            write_image(file.with_suffix(".overlay.png"), overlay(image, of), quick=True)  # type: ignore[func-returns-value]
            for file, image, of in zip(files, images, full, strict=True)
        ],
    }
    return {name: seconds(part) for name, part in parts.items()}


def told(parts: dict[str, float]) -> str:
    """Say how long each part takes an image."""
    each = ", ".join(f"{name} {1000 * took / IMAGES:.1f}" for name, took in parts.items())
    return f"ms an image, one part after the other: {each}"
