"""Maps from files to files, beside the network alone on as many images."""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import jax
from PIL import Image, ImageOps

from benchmarks.comparison import Comparison, side_by_side
from msroi import packaged
from msroi.heatmap import Model, Passed, full_size
from msroi.images import Pixels, read_rgb, resize, to_8_bit, write_image

PHOTOS = ("astronaut", "coffee", "chelsea")  # of skimage.data
WIDTH_PX, HEIGHT_PX = 640, 480  # as the SALICON photographs
IMAGES = 8
JPEG_QUALITY = 90


def measure(repeats: int) -> list[Comparison]:
    """Time 8 maps of JPEG files of 640x480 px."""
    model = packaged.model()
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder))
        pixels = [read(model, file)[1] for file in files]
        whole_s, alone_s = side_by_side(
            lambda: maps(model, files), lambda: network(model, pixels), repeats
        )
        parts = profile(model, files)
    row = Comparison(
        job="heatmaps",
        ours=f"{IMAGES} maps of JPEG files of {WIDTH_PX}x{HEIGHT_PX}, to PNG files",
        against="the network alone on as many images",
        ratios=[alone / whole for alone, whole in zip(alone_s, whole_s, strict=True)],
        unit="their time / our time",
        target=0.9,
        bound="at least",
        seconds={"ours": whole_s, "theirs": alone_s}
        | {name: [took] for name, took in parts.items()},
    )
    return [row if row.reached else replace(row, limit=told(parts))]


def photographs(folder: Path) -> list[Path]:
    """Write `IMAGES` JPEG files."""
    import skimage.data

    originals = [Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOS]
    fitted = [ImageOps.fit(photo, (WIDTH_PX, HEIGHT_PX)) for photo in originals]
    files = [folder / f"{number:02}.jpg" for number in range(IMAGES)]
    for number, file in enumerate(files):
        fitted[number % len(fitted)].save(file, quality=JPEG_QUALITY)
    return files


def network(model: Model, pixels: Sequence[Pixels]) -> None:
    """Pass resized images through the network, one by one, and wait for the last."""
    waited([model._plain(image) for image in pixels])


def waited(passed: Sequence[Passed]) -> Sequence[Passed]:
    """Return what the network gave once it is there."""
    jax.block_until_ready(passed)  # type: ignore[no-untyped-call]
    return passed


def maps(model: Model, files: Sequence[Path]) -> None:
    """Write the map of every file beside it: a thread that reads ahead, and one that writes."""
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        read_ahead = reader.map(lambda file: read(model, file), files)
        written = [
            writer.submit(write, model, image, model._plain(small), file)
            for file, (image, small) in zip(files, read_ahead, strict=True)
        ]
        for future in written:
            future.result()


def read(model: Model, file: Path) -> tuple[Pixels, Pixels]:
    """Return an image `(H, W, 3)`, and as the network takes it."""
    image = read_rgb(file)
    return image, resize(image, model.params.input_px)


def write(model: Model, image: Pixels, passed: Passed, file: Path) -> None:
    """Write the map of what the network gave."""
    (small,), _ = model._maps(passed)
    write_image(file.with_suffix(".png"), to_8_bit(full_size(small, image)))


def profile(model: Model, files: Sequence[Path]) -> dict[str, float]:
    """Return how long each part takes for all files, in s, one part after the other."""
    clock = [perf_counter()]

    def lap() -> float:
        clock.append(perf_counter())
        return clock[-1] - clock[-2]

    took = {}
    images = [read_rgb(file) for file in files]
    took["decode"] = lap()
    resized = [resize(image, model.params.input_px) for image in images]
    took["resize"] = lap()
    passed = waited([model._plain(small) for small in resized])
    took["network"] = lap()
    small_maps = [model._maps(one)[0][0] for one in passed]
    took["map"] = lap()
    full = [to_8_bit(full_size(of, image)) for of, image in zip(small_maps, images, strict=True)]
    took["enlarge"] = lap()
    for file, pixels in zip(files, full, strict=True):
        write_image(file.with_suffix(".png"), pixels)
    took["PNG"] = lap()
    return took


def told(parts: dict[str, float]) -> str:
    """Say how long each part takes an image."""
    each = ", ".join(f"{name} {1000 * took / IMAGES:.1f}" for name, took in parts.items())
    return f"ms an image, one part after the other: {each}"
