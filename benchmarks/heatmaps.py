"""Maps of own photos from files to files, beside the network alone on as many images."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import cast

from benchmarks.comparison import Comparison, seconds, side_by_side, speed_ratios
from benchmarks.setting import HEIGHT_PX, WIDTH_PX, photographs
from msroi.experiment.params import ReadoutMap
from msroi.images import Pixels, read_rgb, to_8_bit, write_image
from msroi.network.readout import ReadoutNetwork
from msroi.network.saliency import Map, full_size, readout_map
from msroi.photos import packaged
from msroi.plots import overlay

IMAGES = 8


def measure(repeats: int) -> list[Comparison]:
    """Time the maps of 8 photographs of 640x480 px."""
    network = ReadoutNetwork(packaged.trunk(), packaged.carried(packaged.WEIGHTS))
    with tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder))
        given = [network.given(read_rgb(file)) for file in files]
        whole_s, alone_s = side_by_side(
            partial(files_to_files, network, files),
            lambda: [network.density(one) for one in given],
            repeats,
        )
        parts = profile(network, files)
    row = Comparison(
        job="heatmaps",
        ours=f"maps of {IMAGES} photographs of {WIDTH_PX}x{HEIGHT_PX}, files to files",
        against="the network alone on as many images",
        ratios=speed_ratios(whole_s, alone_s),
        unit="their time / our time",
        target=0.9,
        bound="at least",
        seconds={"ours": whole_s, "theirs": alone_s, **{name: [s] for name, s in parts.items()}},
    )
    return [row if row.reached else replace(row, limit=told(parts))]


def written(folder: Path) -> list[Path]:
    """Write `IMAGES` photographs; return their files."""
    photos = photographs()
    files = [folder / f"{number:02}.png" for number in range(IMAGES)]
    for number, file in enumerate(files):
        write_image(file, photos[number % len(photos)])
    return files


@cache
def packaged_rule() -> ReadoutMap:
    """Return the rule of the packaged map."""
    described = packaged.experiment()
    return cast(ReadoutMap, described.heatmap.maps[described.main_map])


def small(network: ReadoutNetwork, given: Pixels) -> Map:
    """Return the map of what the network is given."""
    return readout_map(network.density(given), packaged_rule())


def files_to_files(network: ReadoutNetwork, files: Sequence[Path]) -> None:
    """Write the map of each photograph, and the photograph under it."""
    for file in files:
        image = read_rgb(file)
        saliency = full_size(small(network, network.given(image)), image)
        write_image(file.with_suffix(".map.png"), to_8_bit(saliency))
        write_image(file.with_suffix(".overlay.png"), overlay(image, saliency), quick=True)


def profile(network: ReadoutNetwork, files: Sequence[Path]) -> dict[str, float]:
    """Return how long each part takes for all photographs, in s, one part after the other."""
    images = [read_rgb(file) for file in files]
    given = [network.given(image) for image in images]
    maps = [small(network, one) for one in given]
    full = [full_size(of, image) for of, image in zip(maps, images, strict=True)]
    parts: dict[str, Callable[[], object]] = {
        "read": lambda: [read_rgb(file) for file in files],
        "resize": lambda: [network.given(image) for image in images],
        "network and map": lambda: [small(network, one) for one in given],
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
