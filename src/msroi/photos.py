"""The methods of the experiments on a user's own photos.

`experiment` is the name of the experiment whose model and parameters are used, or None for
those that the package carries (`packaged`), which serve in any folder.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm

from msroi import metadata, packaged, params
from msroi.encoders import WITH_SALIENCY, encoder
from msroi.errors import ImageError, ParameterError
from msroi.files import printable, write_bytes
from msroi.images import (
    open_image,
    read_grey,
    read_rgb,
    suffixes,
    to_8_bit,
    to_rgb,
    write_image,
)
from msroi.layout import Layout
from msroi.metadata import Metadata
from msroi.params import Experiment
from msroi.targets import Goal

if TYPE_CHECKING:
    from msroi.saliency import Model

JPEG_MAX_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION

# of one photo; or why there is none
Result = dict[str, Any] | ImageError


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files among `paths`, and in place of a folder the images directly in it.

    Those are the files with a suffix of a format that is read, in the order of their
    names, but for hidden ones.

    Raises
    ------
    ParameterError
        If there are none in a folder.
    """
    files = []
    for path in paths:
        inside = _images_in(path) if path.is_dir() else [path]
        if not inside:
            raise ParameterError(
                f"{path} is a folder without images; name a folder that has some directly in it."
            )
        files += inside
    return files


def _images_in(folder: Path) -> list[Path]:
    readable = suffixes()
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in readable and not path.name.startswith(".") and path.is_file()
    )


def output_paths(
    images: Sequence[Path], out: Path, suffixes: Sequence[str]
) -> dict[Path, list[Path]]:
    """Name each image's results in `out`: the image's name with other suffixes.

    Raises
    ------
    ParameterError
        If a result would overwrite one of the images, or two results would share a name.
    """
    paths = {image: [out / f"{image.stem}{suffix}" for suffix in suffixes] for image in images}
    sources = {os.path.realpath(image) for image in images}  # `resolve` raises on a loop of links
    makers: dict[Path, Path] = {}
    for image, results in paths.items():
        for path in results:
            if os.path.realpath(path) in sources:
                raise ParameterError(
                    f"{path}, a result for {image}, would overwrite one of the images; "
                    "choose another --out folder."
                )
            if path in makers:
                raise ParameterError(
                    f"{makers[path]} and {image} would both be written to {path}; rename one."
                )
            makers[path] = image
    return paths


def parameters(experiment: str | None) -> Experiment:
    """Return an experiment's parameters, or the package's."""
    if experiment is None:
        return packaged.experiment()
    if not params.SCHEMA.exists():
        raise ParameterError(
            f"There is no {params.SCHEMA} here; run msroi in the folder of the project that has "
            f"the experiment, or leave out --experiment for the model that comes with msroi."
        )
    return params.load(experiment)


def load_model(experiment: str | None) -> "Model":
    """Load an experiment's trained network, or the package's."""
    if experiment is None:
        return packaged.model()
    described = parameters(experiment)
    from msroi import vgg
    from msroi.saliency import Model

    layout = Layout(described.name)
    return Model(layout.model, vgg.read_weights(layout.vgg16), described.heatmap)


def each(
    paths: dict[Path, list[Path]], what: str, one: Callable[[Path], dict[str, Any]]
) -> Iterator[Result]:
    """Go through images, with a progress bar on stderr if there are several.

    What is wrong with one image is yielded in the place of its result; the others go on.
    """
    for image in tqdm(paths, desc=what, unit="image", disable=len(paths) < 2):
        try:
            yield one(image)
        except ImageError as error:
            yield error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                error.filename = error.filename or str(paths[image][0])  # a full disk names none
                raise
            yield ImageError(f"{image} has too long a name for its results; shorten it.")


def heatmaps(images: Sequence[Path], out: Path, experiment: str | None) -> Iterator[Result]:
    """Write `<image>.saliency.png` and `<image>.overlay.png` for each image."""
    from msroi.plots import overlay

    paths = output_paths(image_files(images), out, [".saliency.png", ".overlay.png"])
    model = load_model(experiment)

    def heatmap_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        saliency = model.saliency(pixels)
        map_path, overlay_path = paths[image]
        write_image(map_path, to_8_bit(saliency))
        write_image(overlay_path, overlay(pixels, saliency))
        return {"image": str(image), "saliency": str(map_path), "overlay": str(overlay_path)}

    yield from each(paths, "heatmap", heatmap_one)


def compressed(
    images: Sequence[Path], out: Path, method: str, goal: Goal, experiment: str | None
) -> Iterator[Result]:
    """Write each image as a JPEG that reaches a goal, with the metadata of its source.

    Parameters
    ----------
    images, out
        What to compress, files or folders of them, and into which folder.
    method
        One of `encoders.METHODS`.
    goal
        How small or how good the file is to be.
    experiment
        Whose parameters are taken and, for the methods `WITH_SALIENCY`, whose model.

    Yields
    ------
    dict or ImageError
        What was written; or what is wrong with an image, for which nothing was written: it
        can't be read, is too large for JPEG, or can't reach the goal. Sizes are those of
        files with their metadata.
    """
    paths = output_paths(image_files(images), out, [".jpg"])
    made_by = encoder(method, parameters(experiment).compress)
    model = load_model(experiment) if method in WITH_SALIENCY else None

    def compress_one(image: Path) -> dict[str, Any]:
        opened = open_jpeg_sized(image)
        kept = kept_metadata(opened, image)
        pixels = to_rgb(opened)
        saliency = None if model is None else model.saliency(pixels)
        encode = made_by.prepare(pixels, saliency)
        finished = partial(metadata.inserted, metadata=kept)
        found = goal.search(str(image), pixels, encode, finished)
        data = finished(found.data)
        (output,) = paths[image]
        write_bytes(output, data)
        target = found.target_bytes
        return {
            "image": str(image),
            "output": str(output),
            "method": made_by.name,
            "q_final": round(found.quality, 3),
            "bytes": len(data),
            "target_bytes": target,
            "size_error_pct": target and round(100 * (len(data) - target) / target, 4),
            **{name: round(value, 6) for name, value in found.values.items()},
            "encoder": made_by.version,
        }

    yield from each(paths, "compress", compress_one)


def open_jpeg_sized(path: Path) -> Image.Image:
    """Open an image that is not too large for JPEG."""
    image = open_image(path)
    if max(image.size) > JPEG_MAX_SIDE:
        width, height = image.size
        raise ImageError(
            f"{path} has {width}x{height} pixels; a JPEG has at most {JPEG_MAX_SIDE} a side."
        )
    return image


def kept_metadata(image: Image.Image, path: Path) -> Metadata:
    """Return the metadata of an image that a JPEG can hold; say on stderr what it can't."""
    kept, left_out = metadata.fitting(metadata.of(image))
    for what in left_out:
        sentence = f"msroi: {path}: left out {what}, more than a JPEG can hold."
        tqdm.write(printable(sentence), file=sys.stderr)
    return kept


def measured(reference: Path, distorted: Path, saliency: Path | None) -> dict[str, Any]:
    """Measure one image against another, with every metric of the experiments."""
    from msroi.metrics import measure

    weights = None if saliency is None else read_grey(saliency)
    images = read_rgb(reference), read_rgb(distorted)
    try:
        values = measure(*images, weights)
    except ImageError as error:  # the sizes do not fit
        raise ImageError(f"{distorted}: {error}") from None
    return {"reference": str(reference), "distorted": str(distorted), **values}
