"""Stage readout: train the readout of where people look or take the package's. Measure it.

`network.readout` says how it reads and trains. The stage computes the features of the photographs
and of their mirrored copies once, and keeps them as scratch. The test photographs choose nothing.
The stage only measures them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.lib import format as npy
from numpy.typing import NDArray
from tqdm import tqdm

from msroi.errors import ParameterError, SourceError, TrainingError
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.params import Readout as Parameters
from msroi.files import (
    digest,
    existing,
    file_hash,
    read_csv,
    write_bytes,
    write_csv,
    write_json,
    written_whole,
)
from msroi.images import Pixels, read_rgb
from msroi.measures import saliency_quality as quality
from msroi.network import readout, vgg
from msroi.network import readout_training as training
from msroi.network.readout import ReadoutNetwork
from msroi.network.readout_training import Samples, Trainer
from msroi.plots import save_figure
from msroi.sources.annotations import Fixated, read_fixations
from msroi.sources.splits import read_split
from msroi.xla import FLAGS, jax, jnp

COLUMNS = ("epoch", "train_bits", "validation_bits")
READOUT, CENTRE = "readout", "centre"
PACKAGED = Path(readout.__file__).parents[1] / "photos" / "data"
WEIGHTS, HISTORY, QUALITY = "weights.safetensors", "history.csv", "quality.csv"

Fixations = Mapping[str, Fixated]


def run(experiment: Experiment, layout: Layout) -> None:
    """Write the readout's weights, how they came about, and how good they are."""
    params = experiment.readout
    if params.weights == "packaged":
        weights, history, rows = packaged(params)
    else:
        weights, history, rows = trained(params, experiment.seed, layout)
    write_bytes(layout.readout / "weights.safetensors", weights)
    write_csv(layout.readout / "history.csv", COLUMNS, history)
    write_csv(layout.readout / "quality.csv", quality.COLUMNS, rows)
    plot_history(history, layout.readout / "history.png")
    write_json(layout.readout / "summary.json", summary(params, history, rows))


def summary(
    params: Parameters, history: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the last epoch, and means, standard errors and numbers of the test photographs."""
    last = {column: float(history[-1][column]) for column in COLUMNS[1:]}
    return {
        "weights": params.weights,
        **last,
        "quality": quality.means(rows),
        "quality_se": quality.standard_errors(rows),
        "quality_images": quality.counts(rows),
    }


def packaged(params: Parameters) -> tuple[bytes, list[dict[str, str]], list[dict[str, str]]]:
    """Return the package's weights, their history and quality.

    Raises
    ------
    ParameterError
        If the parameters are not those that they were trained by.
    """
    file = existing(PACKAGED / WEIGHTS)
    own = replace(readout.described(file), weights=params.weights)
    for name, value in asdict(own).items():
        if getattr(params, name) != value:
            raise ParameterError(
                f"readout.{name} is {shown(getattr(params, name))}, but the packaged weights were "
                f"trained with {shown(value)}; write that, or set readout.weights: trained."
            )
    return file.read_bytes(), read_csv(PACKAGED / HISTORY), read_csv(PACKAGED / QUALITY)


def shown(value: Any) -> str:
    """Return a parameter's value as its file has it."""
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def trained(
    params: Parameters, seed: int, layout: Layout
) -> tuple[bytes, list[dict[str, Any]], list[dict[str, Any]]]:
    """Train on the downloaded photographs, and return as `packaged` does."""
    fixated, _ = read_fixations(layout.downloaded)
    folder = existing(layout.downloaded / params.dataset)
    photographs = {
        split: photographs_of(folder, params.dataset, split, fixated)
        for split in ("train", "validation", "test")
    }
    vgg16 = vgg.read_weights(layout.vgg16)
    seen = np.concatenate([relative(fixated[path.stem]) for path in photographs["train"]])
    log_centre = np.log(training.centre_density(seen))
    scratch = layout.scratch / "readout"
    files = {
        name: feature_files(scratch, params, layout.vgg16, photographs[split], mirrored)
        for name, split, mirrored in (
            ("train", "train", False),
            ("mirrored", "train", True),
            ("validation", "validation", False),
        )
    }
    kept = {file for of in files.values() for file in of.values()}
    for other in set(scratch.glob("*.npy")) - kept:
        other.unlink()

    def samples(name: str, mirrored: bool = False) -> Samples:
        paths = photographs["train" if mirrored else name]
        features = features_of(paths, mirrored, params, vgg16, files[name])
        shape = places(features)
        counts = [training.fixation_counts(relative(fixated[path.stem]), shape) for path in paths]
        return Samples(features, np.stack(counts)[:, :, :: -1 if mirrored else 1])

    train = training.joined(samples("train"), samples("mirrored", mirrored=True))
    validation = samples("validation")
    weights, history = fit(params, seed, train, validation, log_centre)
    data = readout.to_file(weights, log_centre, params)
    write_bytes(layout.readout / "weights.safetensors", data)
    network = ReadoutNetwork(vgg16, layout.readout / "weights.safetensors")
    of_test = {path: fixated[path.stem] for path in photographs["test"]}
    return data, history, list(quality_rows(network, params.dataset, of_test))


def photographs_of(folder: Path, dataset: str, split: str, fixated: Fixations) -> list[Path]:
    """Return the photographs of a split, by name.

    Raises
    ------
    SourceError
        If one is not there, or it is not known where people looked in it.
    """
    found = {path.name: path for path in folder.rglob("*") if path.is_file()}
    names = sorted(read_split(dataset, split))
    for name in names:
        if name not in found:
            raise SourceError(
                f"{dataset}: {name}, a photograph of split {split!r}, is not in {folder}; "
                "run stage download again, or take it out of data/splits."
            )
        if Path(name).stem not in fixated or not len(fixated[Path(name).stem].points):
            raise SourceError(
                f"{dataset}: there are no fixations of {name}, a photograph of split {split!r}; "
                "the readout is trained by where people looked."
            )
    return [found[name] for name in names]


def relative(seen: Fixated) -> NDArray[np.float64]:
    """Return the fixations `(N, 2)` in shares of height and width, in (0, 1)."""
    return (seen.points + 0.5) / seen.size


# features


def feature_files(
    scratch: Path, params: Parameters, vgg16: Path, photographs: Sequence[Path], mirrored: bool
) -> dict[str, Path]:
    """Name the scratch file of each layer by all that its features depend on."""
    hashes = [file_hash(path) for path in (vgg16, *photographs)]
    key = digest(jax.__version__, FLAGS, str(params.input_px), str(mirrored), *hashes)
    return {layer: scratch / f"{key}-{layer}.npy" for layer in params.layers}


def features_of(
    photographs: Sequence[Path],
    mirrored: bool,
    params: Parameters,
    vgg16: vgg.Weights,
    files: Mapping[str, Path],
) -> dict[str, NDArray[Any]]:
    """Return the features by layer, `(N, h, w, C) float16`, computed if they are not there."""
    if not all(file.exists() for file in files.values()):
        compute_features(photographs, mirrored, params, vgg16, files)
    return {layer: np.load(file, mmap_mode="r") for layer, file in files.items()}


def compute_features(
    photographs: Sequence[Path],
    mirrored: bool,
    params: Parameters,
    vgg16: vgg.Weights,
    files: Mapping[str, Path],
) -> None:
    """Write the features of all photographs, a file a layer.

    Raises
    ------
    ParameterError
        If the photographs are not all of one shape.
    """
    trunk = {"params": vgg.nested(vgg16)}

    def features(pixels: jax.Array) -> dict[str, jax.Array]:
        x = vgg.normalise(pixels[None], vgg16)
        found = vgg.PRETRAINED.apply(trunk, x, params.layers, method="layers")
        return {name: of.astype(jnp.float16) for name, of in found.items()}

    apply = jax.jit(features)
    shapes = set()
    parts: dict[str, list[NDArray[Any]]] = {layer: [] for layer in files}
    for given in tqdm(inputs(photographs, mirrored, params.input_px), total=len(photographs)):
        shapes.add(given.shape)
        if len(shapes) > 1:
            sizes = " and ".join(f"{width} × {height}" for height, width, _ in sorted(shapes))
            raise ParameterError(
                f"readout.dataset: {params.dataset} has photographs of different shapes, of which "
                f"the network would be given {sizes} pixels; it is trained on those of one shape."
            )
        for layer, of in jax.device_get(apply(given)).items():
            parts[layer].append(of)
    for layer, file in files.items():
        with written_whole(file) as partial, partial.open("wb") as out:
            shape = len(photographs), *parts[layer][0].shape[1:]
            npy.write_array_header_1_0(
                out, {"descr": "<f2", "fortran_order": False, "shape": shape}
            )
            for part in parts.pop(layer):
                out.write(part.tobytes())


def inputs(photographs: Sequence[Path], mirrored: bool, input_px: int) -> Iterator[Pixels]:
    """Yield the network's input of each photograph, or of its mirrored copy."""
    for path in photographs:
        given = readout.shown(read_rgb(path), input_px)
        yield given[:, ::-1] if mirrored else given


def places(features: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
    """Return the places `(H/8, W/8)` of photographs whose features are these."""
    layer, of = next(iter(features.items()))
    block = int(layer.removeprefix("conv")[0])
    return of.shape[1] * 2 ** (block - 1) // 8, of.shape[2] * 2 ** (block - 1) // 8


# training


def fit(
    params: Parameters, seed: int, train: Samples, validation: Samples, log_centre: NDArray[Any]
) -> tuple[dict[str, NDArray[np.float32]], list[dict[str, Any]]]:
    """Train. Return the average of the weights and a row of `COLUMNS` an epoch.

    Raises
    ------
    TrainingError
        If the loss is no longer a number.
    """
    trainer = Trainer(params, train, log_centre)
    centre = {name: trainer.of_centre(of) for name, of in (("t", train), ("v", validation))}
    weights, state = trainer.start(seed)
    history = []
    for epoch in tqdm(range(params.epochs), desc="readout", unit="epoch"):
        weights, state, of_train = trainer.epoch(weights, state, seed, epoch)
        of_validation = trainer.measure(trainer.kept(state), validation)
        if not np.isfinite([of_train, of_validation]).all():
            raise TrainingError(
                f"The readout's loss is no number in epoch {epoch + 1} of {params.epochs}; "
                "lower readout.learning_rate."
            )
        history.append(
            {
                "epoch": epoch + 1,
                "train_bits": round((centre["t"] - of_train) / np.log(2), 6),
                "validation_bits": round((centre["v"] - of_validation) / np.log(2), 6),
            }
        )
    return trainer.folded(trainer.kept(state)), history


def plot_history(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot by epoch what the readout knows of a fixation beyond the centre."""
    figure = Figure(figsize=(4.5, 3.2))
    axes = figure.subplots()
    epochs = [int(row["epoch"]) for row in history]
    for column, label in zip(COLUMNS[1:], ("training, with dropout", "validation"), strict=True):
        axes.plot(epochs, [float(row[column]) for row in history], marker="o", ms=3, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("bits a fixation beyond the centre")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)


# quality


def quality_rows(
    network: ReadoutNetwork, dataset: str, photographs: Mapping[Path, Fixated]
) -> Iterator[dict[str, Any]]:
    """Yield rows of `quality.COLUMNS`: the readout, two centres, and half of the viewers.

    `centre` is where people look in the other photographs, `centre_prior` a Gaussian.
    """
    marked = quality.Marked({path.stem: seen for path, seen in photographs.items()}, {}, {})
    for path, seen in tqdm(photographs.items(), desc="quality", unit="image"):
        height, width = seen.size
        row = {"split": "test", "dataset": dataset, "image": path.stem}
        row |= {"height": str(height), "width": str(width)}
        maps = {READOUT: network.density(network.given(read_rgb(path)))}
        others = marked.others(row)
        if others is not None:
            maps[CENTRE] = np.asarray(others.baseline, np.float32)
        yield from marked.rows(row, maps)
