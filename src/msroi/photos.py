"""The methods of the experiments on a user's own photos."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from msroi import compress, jpeg, params
from msroi.errors import ImageError, ParameterError
from msroi.files import write_bytes
from msroi.images import Pixels, png_bytes, read_grey, read_rgb
from msroi.layout import Layout
from msroi.params import Experiment
from msroi.plots import overlay


@dataclass(frozen=True)
class Size:
    """The wanted file size: that of plain JPEG at `match_quality`, or `target_bytes` at most."""

    match_quality: int
    target_bytes: int | None

    def bytes_for(self, image: Pixels) -> int:
        """Return the target for one image in bytes."""
        if self.target_bytes is not None:
            return self.target_bytes
        return len(jpeg.encode(image, self.match_quality))


def progress(images: Sequence[Path], what: str) -> Iterator[Path]:
    """Go through images, with a progress bar on stderr if there are several."""
    yield from tqdm(images, desc=what, unit="image", disable=len(images) < 2)


def output_paths(images: Sequence[Path], out: Path, suffix: str) -> dict[Path, Path]:
    """Name each image's result in `out`: the image's name with another suffix.

    Raises
    ------
    ParameterError
        If a result would overwrite a source, or two results would share a name.
    """
    paths = {image: out / f"{image.stem}{suffix}" for image in images}
    for path, count in Counter(paths.values()).items():
        if count > 1:
            same = " and ".join(str(image) for image in paths if paths[image] == path)
            raise ParameterError(f"{same} would both be written to {path}; rename one.")
    for image, path in paths.items():
        if path.resolve() == image.resolve():
            raise ParameterError(f"{image} would overwrite itself; choose another --out folder.")
    return paths


def load_model(experiment: Experiment) -> Any:
    """Load an experiment's trained network."""
    from msroi.heatmap import Model

    layout = Layout(experiment.name)
    return Model(layout.model, layout.vgg16, experiment.heatmap)


def heatmaps(images: Sequence[Path], out: Path, name: str) -> Iterator[dict[str, Any]]:
    """Write `<image>.saliency.png` and `<image>.overlay.png` for each image."""
    from msroi.heatmap import to_8_bit

    experiment = params.load(name)
    paths = output_paths(images, out, ".saliency.png")
    model = load_model(experiment)
    for image in progress(images, "heatmap"):
        pixels = read_rgb(image)
        saliency = model.saliency(pixels, experiment.prepare.input_px)
        laid_over = out / f"{image.stem}.overlay.png"
        write_bytes(paths[image], png_bytes(to_8_bit(saliency)))
        write_bytes(laid_over, png_bytes(overlay(pixels, saliency)))
        yield {"image": str(image), "saliency": str(paths[image]), "overlay": str(laid_over)}


def compressed(
    images: Sequence[Path], out: Path, method: str, size: Size, name: str
) -> Iterator[dict[str, Any]]:
    """Write each image as JPEG of the wanted size, by one of the methods.

    Raises
    ------
    ImageError
        If even the lowest quality needs more than `target_bytes`; nothing is written.
    """
    experiment = params.load(name)
    paths = output_paths(images, out, ".jpg")
    model = load_model(experiment) if method == "msroi" else None
    for image in progress(images, "compress"):
        pixels = read_rgb(image)
        source = pixels
        if model is not None:
            saliency = model.saliency(pixels, experiment.prepare.input_px)
            source = compress.blend(pixels, saliency, experiment.compress)
        target = size.bytes_for(pixels)
        match = compress.matched_jpeg(source, target, never_above=size.target_bytes is not None)
        if size.target_bytes is not None and len(match.data) > target:
            raise ImageError(
                f"{image} can't be made as small as {target} bytes: "
                f"the lowest quality needs {len(match.data)}."
            )
        write_bytes(paths[image], match.data)
        yield {
            "image": str(image),
            "output": str(paths[image]),
            "method": method,
            "q_final": round(match.quality, 3),
            "bytes": len(match.data),
            "target_bytes": target,
            "size_error_pct": round(match.size_error_pct, 4),
            "encoder": jpeg.ENCODER,
            "encoder_version": jpeg.encoder_version(),
        }


def measured(reference: Path, distorted: Path, saliency: Path | None) -> dict[str, Any]:
    """Measure one image against another, with every metric of the experiments."""
    from msroi.metrics import measure

    weights = None if saliency is None else read_grey(saliency)
    values = measure(read_rgb(reference), read_rgb(distorted), weights)
    numbers = {key: value if value != float("inf") else None for key, value in values.items()}
    return {"reference": str(reference), "distorted": str(distorted), **numbers}
