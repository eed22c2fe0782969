"""The methods of the experiments on a user's own photos.

`experiment` is the name of the experiment whose model and parameters are used, or None for
those that the package carries (`packaged`), which serve in any folder.
"""

import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from msroi.encoders.methods import METHODS, encoder
from msroi.errors import ImageError
from msroi.files import printable, write_bytes, write_text
from msroi.images import read_grey, read_rgb, to_8_bit, write_image
from msroi.photos import packaged, paths
from msroi.photos.goals import Goal
from msroi.photos.photo import compressed, gain_db, opened

if TYPE_CHECKING:
    from msroi.photos.model import Model

# of one photo; or why there is none
Result = dict[str, Any] | ImageError

# what has become of a photo: the method's file, a copy of the original, or no file
COMPRESSED, COPIED, LEFT = "compressed", "copied", "left"


def load_model(experiment: str | None) -> "Model":
    """Load an experiment's trained network, or the package's."""
    from msroi.photos.model import Model  # needs JAX, which takes a second

    return Model(experiment=experiment)


def each(
    images: Sequence[Path], what: str, one: Callable[[Path], dict[str, Any]], jobs: int = 1
) -> Iterator[Result]:
    """Go through images, `jobs` at a time, and yield the results in the images' order.

    With several images there is a progress bar on stderr, if that is a terminal. What is
    wrong with one image is yielded in the place of its result; the others go on.

    Jobs are threads: they share the model, and all that takes long (JAX, NumPy, Pillow)
    lets other threads run meanwhile.
    """

    def tried(image: Path) -> Result:
        try:
            return one(image)
        except ImageError as error:
            return error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return ImageError(f"{image} has too long a name for its results; shorten it.")

    hidden = None if len(images) > 1 else True  # None: where stderr is no terminal
    with (
        tqdm(total=len(images), desc=what, unit="image", disable=hidden) as bar,
        pooled(jobs) as go,
    ):
        for result in go(tried, images):
            bar.update()
            yield result


@contextmanager
def pooled(jobs: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a `map` that works on so many items at a time; what has not begun at the end never is.

    One job is the thread that asks, which an interrupt ends at once.
    """
    if jobs == 1:
        yield map
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def heatmaps(images: Sequence[Path], out: Path, experiment: str | None) -> Iterator[Result]:
    """Write `<image>.saliency.png` and `<image>.overlay.png` for each image."""
    from msroi.plots import overlay

    names = {
        image: [paths.in_folder(out, image, suffix) for suffix in (".saliency.png", ".overlay.png")]
        for image in paths.image_files(images)
    }
    paths.insist_on_names_of_their_own(names)
    model = load_model(experiment)

    def heatmap_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        saliency = model.saliency(pixels)
        map_path, overlay_path = names[image]
        write_image(map_path, to_8_bit(saliency))
        write_image(overlay_path, overlay(pixels, saliency))
        return {"image": str(image), "saliency": str(map_path), "overlay": str(overlay_path)}

    yield from each(list(names), "heatmap", heatmap_one)


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
        Write a result even if it is no smaller than its photo.
    """

    out: Path | None = None
    force: bool = False
    allow_larger: bool = False

    def names(
        self, images: Sequence[Path], beside: str = paths.RESULT, suffix: str = ".jpg"
    ) -> dict[Path, Path]:
        """Name each image's result: by how the names end beside the images, and in a folder.

        Raises
        ------
        ParameterError
            If a result would overwrite an image or another result, or, without `force`, is
            there already; or the images are nothing but results.
        """
        names = {
            image: paths.beside(image, beside)
            if self.out is None
            else paths.in_folder(self.out, image, suffix)
            for image in paths.without_results(images)
        }
        paths.insist_on_names_of_their_own({image: [to] for image, to in names.items()})
        if not self.force:
            paths.insist_on_new_files(names.values())
        return names


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
        How many images at a time. It changes no result.

    Yields
    ------
    dict or ImageError
        What has become of an image (docs/own-data.md explains every key); or what is wrong
        with it, and nothing was written: it can't be read, is too large for JPEG, or can't
        reach the goal.
    """
    names = writing.names(paths.image_files(images))
    made_by = encoder(method, packaged.parameters(experiment).compress)
    model = load_model(experiment) if METHODS[method].needs_map else None

    def compress_one(image: Path) -> dict[str, Any]:
        photo = opened(image)
        tell(image, photo.left_out)
        saliency = None if model is None else model.saliency(photo.pixels)
        data, found = compressed(photo, made_by.prepare(photo.pixels, saliency), goal)
        original_bytes = image.stat().st_size
        output: Path | None = names[image]
        if len(data) < original_bytes or writing.allow_larger:
            outcome, size_bytes = COMPRESSED, len(data)
            write_bytes(names[image], data)
        elif photo.is_jpeg:
            outcome, size_bytes = COPIED, original_bytes
            write_bytes(names[image], image.read_bytes())
        else:
            outcome, size_bytes, output = LEFT, None, None
        target = found.target_bytes
        error_pct = target and round(100 * (len(data) - target) / target, 4)
        gain = None if method == "jpeg" else gain_db(photo.pixels, found.data, saliency)
        return {
            "image": str(image),
            "output": output and str(output),
            "outcome": outcome,
            "method": made_by.name,
            "q_final": round(found.quality, 3),
            "bytes": size_bytes,
            "original_bytes": original_bytes,
            "encoded_bytes": len(data),
            "target_bytes": target,
            "size_error_pct": error_pct,
            **{name: round(value, 6) for name, value in found.values.items()},
            "gain_measure": "psnr_rgb_db" if saliency is None else "wpsnr_rgb_db",
            "gain_db": gain and round(gain, 4),
            "encoder": made_by.version,
        }

    yield from each(list(names), "compress", compress_one, jobs)


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

    names = writing.names(paths.image_files(images), paths.PAGE, ".html")
    params = packaged.parameters(experiment).compress
    model = load_model(experiment)

    def explain_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        try:
            page = explained(image.name, pixels, model.saliency(pixels), params, quality)
        except ImageError as error:  # too small to be measured
            raise ImageError(f"{image}: {error}") from None
        write_text(names[image], render(page))
        return {"image": str(image), "page": str(names[image])}

    yield from each(list(names), "explain", explain_one)


def tell(image: Path, left_out: Sequence[str]) -> None:
    """Say on stderr which metadata of an image a JPEG can't hold."""
    for what in left_out:
        sentence = f"msroi: {image}: left out {what}, more than a JPEG can hold."
        tqdm.write(printable(sentence), file=sys.stderr)


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
