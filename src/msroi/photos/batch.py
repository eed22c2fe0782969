"""The methods of the experiments on a user's own photos.

`experiment` names the experiment whose model and parameters to use. None stands for those that the
package carries (`packaged`), which serve in any folder.
"""

import errno
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from msroi import system_errors
from msroi.encoders.methods import METHODS, encoder
from msroi.errors import ImageError, ParameterError
from msroi.images import NO_MEMORY, Saliency, read_grey, read_rgb, save_image, to_8_bit
from msroi.photos import memory, packaged, paths
from msroi.photos.compiled import keep_compiled
from msroi.photos.goals import Goal
from msroi.photos.paths import Naming
from msroi.photos.photo import compressed, gain_db, opened
from msroi.photos.results import Results
from msroi.photos.sample import places

if TYPE_CHECKING:
    from msroi.photos.model import Model

# the methods without a map that JAX computes for
COMPILED = frozenset({"trellis-psnr", "trellis"})

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"  # as JAX says it

# of one photo; or why there is none
Result = dict[str, Any] | ImageError

# less saved of a photo's pixels is no gain: each compression loses a little
SMALLEST_GAIN_PCT = 5.0

# what has become of a photo: the method's file, a copy of the original, or no file
COMPRESSED, COPIED, LEFT = "compressed", "copied", "left"


def load_model(experiment: str | None) -> "Model":
    """Load an experiment's trained network, or the package's."""
    from msroi.photos.model import Model  # needs JAX, which takes a second

    keep_compiled()
    return Model(experiment=experiment)


def each(
    images: Sequence[Path], what: str, one: Callable[[Path], dict[str, Any]], jobs: int = 1
) -> Iterator[Result]:
    """Go through images, `jobs` at a time, and yield the results in the images' order.

    With several images there is a progress bar on stderr, if that is a terminal. It yields what is
    wrong with one image in the place of its result. The others go on.

    Jobs are threads: they share the model, and all that takes long (JAX, NumPy, Pillow)
    lets other threads run meanwhile.
    """

    def tried(image: Path) -> Result:
        try:
            return one(image)
        except ImageError as error:
            return error
        except MemoryError:
            return ImageError(f"{image} {NO_MEMORY}.")
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return ImageError(f"{image} has too long a name for its results; shorten it.")
            refused = system_errors.sentence(error)
            if refused is None:
                raise
            return ImageError(f"{image} is not written: {refused}")
        except RuntimeError as error:  # as JAX says it
            if OUT_OF_MEMORY not in str(error):
                raise
            return ImageError(f"{image} {NO_MEMORY}.")

    # None: where stderr is no terminal; a closed one is None itself
    hidden = None if len(images) > 1 and sys.stderr is not None else True
    with (
        tqdm(total=len(images), desc=what, unit="image", disable=hidden) as bar,
        pooled(jobs) as go,
    ):
        for result in go(tried, images):
            bar.update()
            yield result


@contextmanager
def pooled(jobs: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a `map` that works on so many items at a time, and drop what has not begun at the end.

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

    naming = Naming((".saliency.png", ".overlay.png"), out)
    results = Results(paths.image_files(images, out), naming, force=True)
    model = load_model(experiment)

    def heatmap_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        saliency = model.saliency(pixels)
        for number, shown in enumerate((to_8_bit(saliency), overlay(pixels, saliency))):
            with results.written(image, number) as partial:
                save_image(partial, shown)
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
        How many images at a time. It changes no result.

    Yields
    ------
    dict or ImageError
        What has become of an image (docs/own-data.md explains every key); or what is wrong
        with it, and nothing was written: it can't be read, is too large for JPEG, or can't
        reach the goal.
    """
    results = writing.results(images)
    memory.suit(large=False)  # also before JAX starts its threads
    params = packaged.parameters(experiment).compress
    if method in COMPILED:
        keep_compiled()
    made_by = encoder(method, params)
    model = load_model(experiment) if METHODS[method].needs_map else None

    def compress_one(image: Path) -> dict[str, Any]:
        photo = opened(image)
        large = places(*photo.pixels.shape[:2]) is not None
        memory.suit(large=large)

        def made() -> Saliency | None:
            return None if model is None else photo.as_stored(model.saliency(photo.upright()))

        saliency = maps.submit(made).result
        if large:
            saliency()  # a large photo's comes first, as both at once would take more memory
        data, found = compressed(photo, method, params, saliency, goal)
        original_bytes = image.stat().st_size
        worth = gains_enough(original_bytes, len(data), len(found.data)) or writing.allow_larger
        output: Path | None = results.names[image][0]
        if worth or goal.demands(original_bytes, len(data)):
            outcome, size_bytes = COMPRESSED, len(data)
            with results.written(image) as partial:
                partial.write_bytes(data)
        elif photo.is_jpeg:
            outcome, size_bytes = COPIED, original_bytes
            with results.written(image) as partial:
                shutil.copyfile(image, partial)
        else:
            outcome, size_bytes, output = LEFT, None, None
        target = found.target_bytes
        error_pct = target and round(100 * (len(data) - target) / target, 4)
        of_a_size = target is not None and method != "jpeg"
        gain = gain_db(photo.pixels, found.data, saliency()) if of_a_size else None
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
            "sampled": found.sampled,
            "plain_quality": found.plain_quality,
            "plain_bytes": found.plain_bytes,
            "gain_measure": "psnr_rgb_db" if model is None else "wpsnr_rgb_db",
            "gain_db": gain and round(gain, 4),
            "encoder": made_by.version,
            "left_out": list(photo.left_out),
        }

    # a map is made while its photo's plain JPEG is judged, and one at a time
    with ThreadPoolExecutor(1) as maps:
        yield from each(list(results.names), "compress", compress_one, jobs)


def gains_enough(original_bytes: int, encoded_bytes: int, pixels_bytes: int) -> bool:
    """Tell whether compressing a photo once more is worth what it loses.

    Parameters
    ----------
    original_bytes, encoded_bytes
        Of the photo's file, and of the new one with all that it keeps.
    pixels_bytes
        Of the new one without: a long video kept beside a photo hides no gain.
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
    model = load_model(experiment)

    def explain_one(image: Path) -> dict[str, Any]:
        pixels = read_rgb(image)
        try:
            page = explained(image.name, pixels, model.saliency(pixels), params, quality)
        except ImageError as error:  # too small to be measured
            raise ImageError(f"{image}: {error}") from None
        with results.written(image) as partial:
            partial.write_text(render(page), encoding="utf-8")
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
