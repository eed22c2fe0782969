"""The methods of the experiments on a user's own photos.

`experiment` names the experiment whose model and parameters to use. None stands for those that the
package carries (`packaged`), which serve in any folder.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from msroi.encoders.methods import METHODS
from msroi.errors import ImageError, ParameterError
from msroi.images import read_grey, read_rgb, save_image, to_8_bit
from msroi.photos import compressor, packaged, paths, processes
from msroi.photos.compressor import Compressor, Made
from msroi.photos.failures import outcome
from msroi.photos.goals import Goal
from msroi.photos.paths import Naming
from msroi.photos.results import Results

T = TypeVar("T")

# of one photo; or why there is none
Result = dict[str, Any] | ImageError

# less saved of a photo's pixels is no gain: each compression loses a little
SMALLEST_GAIN_PCT = 5.0

# what has become of a photo: the method's file, a copy of the original, or no file
COMPRESSED, COPIED, LEFT = "compressed", "copied", "left"


def each(
    images: Sequence[Path], what: str, one: Callable[[Path], dict[str, Any]]
) -> Iterator[Result]:
    """Go through images with `told`, and yield in the place of a result what is wrong with one."""
    yield from told(what, len(images), (outcome(image, partial(one, image)) for image in images))


def told(what: str, count: int, results: Iterable[T]) -> Iterator[T]:
    """Pass results on, with a progress bar for several if stderr is a terminal."""
    # None: where stderr is no terminal; a closed one is None itself
    hidden = None if count > 1 and sys.stderr is not None else True
    with tqdm(total=count, desc=what, unit="image", disable=hidden) as bar:
        for result in results:
            bar.update()
            yield result


def heatmaps(images: Sequence[Path], out: Path, experiment: str | None) -> Iterator[Result]:
    """Write `<image>.saliency.png` and `<image>.overlay.png` for each image."""
    from msroi.plots import overlay

    naming = Naming((".saliency.png", ".overlay.png"), out)
    results = Results(paths.image_files(images, out), naming, force=True)
    model = compressor.load_model(experiment)

    def heatmap_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        saliency = model.saliency(pixels)
        for number, shown in enumerate((to_8_bit(saliency), overlay(pixels, saliency))):
            with results.written(image, number) as partial_file:
                save_image(partial_file, shown)
        map_path, overlay_path = results.names[image]
        return {"image": str(image), "saliency": str(map_path), "overlay": str(overlay_path)}

    yield from each(list(results.names), "heatmap", heatmap_one)


@dataclass(frozen=True)
class Writing:
    """Where compressed photos go, and what may happen to files.

    Attributes
    ----------
    out
        The folder; None is beside each photo.
    force
        Overwrite results that are there.
    allow_larger
        Write a result even if it is hardly smaller than its photo, or larger.
    keep_folders
        Below `out`, keep the folders of a photo's path.
    """

    out: Path | None = None
    force: bool = False
    allow_larger: bool = False
    keep_folders: bool = False

    def results(
        self, images: Sequence[Path], beside: str = paths.RESULT, suffix: str = ".jpg"
    ) -> Results:
        """Name each image's result: by how the names end beside the images, and in a folder.

        Raises
        ------
        ParameterError
            As `Results` and `paths.image_files` do.
        """
        if self.keep_folders and self.out is None:
            raise ParameterError("--keep-folders needs a folder to keep them in: add --out DIR.")
        naming = Naming((beside if self.out is None else suffix,), self.out, self.keep_folders)
        return Results(paths.image_files(images, self.out), naming, force=self.force)


def compress_all(
    images: Sequence[Path],
    method: str,
    goal: Goal,
    experiment: str | None = None,
    writing: Writing = Writing(),
    jobs: int = 1,
) -> Iterator[Result]:
    """Write each image as a JPEG that reaches a goal, with the metadata of its source.

    Parameters
    ----------
    images
        What to compress: files, folders of them, or patterns.
    method
        One of `methods.METHODS`.
    goal
        How small or how good the file is to be.
    experiment
        Whose parameters are taken and, for methods that need a map, whose model.
    writing
        Where results go.
    jobs
        How many images at a time (`processes.mapped`). It changes no result.

    Yields
    ------
    dict or ImageError
        What has become of an image (docs/own-data.md explains every key); or what is wrong
        with it, and nothing was written: it can't be read, is too large for JPEG, or can't
        reach the goal.
    """
    results = writing.results(images)
    photos = list(results.names)
    mapped = processes.mapped(partial(Compressor, method, goal, experiment), photos, jobs)
    with closing(mapped):
        for image, made in zip(photos, told("compress", len(photos), mapped), strict=True):
            if isinstance(made, ImageError):
                yield made
            else:
                yield outcome(image, partial(written, image, made, results, writing, goal))


def written(
    image: Path, made: Made, results: Results, writing: Writing, goal: Goal
) -> dict[str, Any]:
    """Write what the method made of a photo, or copy the photo. Return what has become of it."""
    found, original_bytes = made.found, made.original_bytes
    worth = gains_enough(original_bytes, len(made.data), len(found.data)) or writing.allow_larger
    output: Path | None = results.names[image][0]
    if worth or goal.demands(original_bytes, len(made.data)):
        become, size_bytes = COMPRESSED, len(made.data)
        with results.written(image) as partial_file:
            partial_file.write_bytes(made.data)
    elif made.is_jpeg:
        become, size_bytes = COPIED, original_bytes
        with results.written(image) as partial_file:
            shutil.copyfile(image, partial_file)
    else:
        become, size_bytes, output = LEFT, None, None
    target = found.target_bytes
    return {
        "image": str(image),
        "output": output and str(output),
        "outcome": become,
        "method": made.method,
        "q_final": round(found.quality, 3),
        "bytes": size_bytes,
        "original_bytes": original_bytes,
        "encoded_bytes": len(made.data),
        "target_bytes": target,
        "size_error_pct": target and round(100 * (len(made.data) - target) / target, 4),
        **{name: round(value, 6) for name, value in found.values.items()},
        "sampled": found.sampled,
        "plain_quality": found.plain_quality,
        "plain_bytes": found.plain_bytes,
        "gain_measure": "wpsnr_rgb_db" if METHODS[made.method].needs_map else "psnr_rgb_db",
        "gain_db": made.gain_db and round(made.gain_db, 4),
        "encoder": made.encoder,
        "left_out": list(made.left_out),
    }


def gains_enough(original_bytes: int, encoded_bytes: int, pixels_bytes: int) -> bool:
    """Tell whether compressing a photo once more is worth what it loses.

    Parameters
    ----------
    original_bytes
        Of the photo's file.
    encoded_bytes
        Of the new one, with all that it keeps.
    pixels_bytes
        Of the new one without. So a long video kept beside a photo hides no gain.
    """
    before_bytes = original_bytes - (encoded_bytes - pixels_bytes)
    return 100 * (before_bytes - pixels_bytes) >= SMALLEST_GAIN_PCT * before_bytes > 0


def explain_all(
    images: Sequence[Path], quality: int, experiment: str | None, writing: Writing
) -> Iterator[Result]:
    """Write for each image a page that shows it by several methods at the same size.

    Parameters
    ----------
    images, experiment, writing
        As for `compress_all`.
    quality
        That of plain JPEG, whose size all files have.
    """
    from msroi.photos.explain import explained
    from msroi.report.page import render

    results = writing.results(images, paths.PAGE, ".html")
    params = packaged.parameters(experiment).compress
    model = compressor.load_model(experiment)

    def explain_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        try:
            page = explained(image.name, pixels, model.saliency(pixels), params, quality)
        except ImageError as error:  # too small to be measured
            raise ImageError(f"{image}: {error}") from None
        with results.written(image) as partial_file:
            partial_file.write_text(render(page), encoding="utf-8")
        return {"image": str(image), "page": str(results.names[image][0])}

    yield from each(list(results.names), "explain", explain_one)


def measured(reference: Path, distorted: Path, saliency: Path | None) -> dict[str, Any]:
    """Measure one image against another, with every metric of the experiments."""
    from msroi.measures.distortion import measure

    weights = None if saliency is None else read_grey(saliency)
    images = read_rgb(reference), read_rgb(distorted)
    try:
        values = measure(*images, weights)
    except ImageError as error:  # the sizes do not fit
        raise ImageError(f"{distorted}: {error}") from None
    return {"reference": str(reference), "distorted": str(distorted), **values}
