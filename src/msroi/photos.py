"""The methods of the experiments on a user's own photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from msroi import compress, jpeg
from msroi.errors import ImageError, ParameterError
from msroi.files import write_bytes
from msroi.images import Pixels, read_grey, read_rgb, to_8_bit, write_image
from msroi.layout import Layout
from msroi.params import Experiment

JPEG_MAX_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION


@dataclass(frozen=True)
class Size:
    """The wanted file size: that of plain JPEG at `match_quality`, or `target_bytes` at most."""

    match_quality: int
    target_bytes: int | None

    def encode(self, image: Pixels, source: Pixels) -> jpeg.Match:
        """Encode `source`, the image itself or what the first pass made of it."""
        if self.target_bytes is not None:
            return compress.matched_jpeg(source, self.target_bytes, never_above=True)
        reference = jpeg.encode(image, self.match_quality)
        if source is image:
            return jpeg.Match(float(self.match_quality), reference, len(reference))
        return compress.matched_jpeg(source, len(reference))


def progress(images: Sequence[Path], what: str) -> Iterator[Path]:
    """Go through images, with a progress bar on stderr if there are several."""
    yield from tqdm(images, desc=what, unit="image", disable=len(images) < 2)


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
    sources = {image.resolve() for image in images}
    makers: dict[Path, Path] = {}
    for image, results in paths.items():
        for path in results:
            if path.resolve() in sources:
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


def load_model(experiment: Experiment) -> Any:
    """Load an experiment's trained network."""
    from msroi.heatmap import Model

    layout = Layout(experiment.name)
    return Model(layout.model, layout.vgg16, experiment.heatmap)


def heatmaps(images: Sequence[Path], out: Path, experiment: Experiment) -> Iterator[dict[str, Any]]:
    """Write `<image>.saliency.png` and `<image>.overlay.png` for each image."""
    from msroi.plots import overlay

    paths = output_paths(images, out, [".saliency.png", ".overlay.png"])
    model = load_model(experiment)
    for image in progress(list(paths), "heatmap"):
        pixels = read_rgb(image)
        saliency = model.saliency(pixels)
        map_path, overlay_path = paths[image]
        write_image(map_path, to_8_bit(saliency))
        write_image(overlay_path, overlay(pixels, saliency))
        yield {"image": str(image), "saliency": str(map_path), "overlay": str(overlay_path)}


def compressed(
    images: Sequence[Path], out: Path, size: Size, experiment: Experiment | None
) -> Iterator[dict[str, Any]]:
    """Write each image as JPEG of the wanted size.

    Parameters
    ----------
    images, out, size
        What to compress, into which folder, how small.
    experiment
        Whose model and parameters the two-pass MS-ROI takes, or None for plain JPEG.

    Raises
    ------
    ImageError
        If even the lowest quality needs more than `target_bytes`, or the image is too
        large for JPEG; nothing is written for it.
    """
    paths = output_paths(images, out, [".jpg"])
    model = None if experiment is None else load_model(experiment)
    for image in progress(list(paths), "compress"):
        pixels = source = read_jpeg_sized(image)
        if experiment is not None and model is not None:
            saliency = model.saliency(pixels)
            source = compress.blend(pixels, saliency, experiment.compress)
        match = size.encode(pixels, source)
        if size.target_bytes is not None and len(match.data) > size.target_bytes:
            raise ImageError(
                f"{image} can't be made as small as {size.target_bytes} bytes: "
                f"the lowest quality needs {len(match.data)}."
            )
        (output,) = paths[image]
        write_bytes(output, match.data)
        yield {
            "image": str(image),
            "output": str(output),
            "method": "jpeg" if model is None else "msroi",
            "q_final": round(match.quality, 3),
            "bytes": len(match.data),
            "target_bytes": match.target_bytes,
            "size_error_pct": round(match.size_error_pct, 4),
            "encoder": jpeg.ENCODER,
            "encoder_version": jpeg.encoder_version(),
        }


def read_jpeg_sized(path: Path) -> Pixels:
    """Read an image, `(H, W, 3) uint8` sRGB, that is not too large for JPEG."""
    pixels = read_rgb(path)
    height, width, _ = pixels.shape
    if max(height, width) > JPEG_MAX_SIDE:
        raise ImageError(
            f"{path} has {width}x{height} pixels; a JPEG has at most {JPEG_MAX_SIDE} a side."
        )
    return pixels


def measured(reference: Path, distorted: Path, saliency: Path | None) -> dict[str, Any]:
    """Measure one image against another, with every metric of the experiments."""
    from msroi.metrics import measure

    weights = None if saliency is None else read_grey(saliency)
    values = measure(read_rgb(reference), read_rgb(distorted), weights)
    return {"reference": str(reference), "distorted": str(distorted), **values}
