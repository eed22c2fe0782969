"""Stage prepare: from downloaded files to classes, splits, test sets and packed images.

The stage reads every file once. `rejected.csv` lists what is unusable, with the reason. `index.csv`
lists the rest. The stage packs images to learn from at the network's input size. It stores a test
photograph as RGB PNG at its full size.
"""

import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from msroi.encoders import jpeg
from msroi.errors import ImageError, ParameterError
from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import PackWriter
from msroi.experiment.params import Experiment, Prepare, TestSet
from msroi.experiment.prepared_images import COLUMNS
from msroi.files import (
    existing,
    file_hash,
    fresh_folder,
    printable,
    write_csv,
)
from msroi.images import Pixels, open_image, resize, suffixes, to_rgb, write_image
from msroi.sources.splits import read_split

REJECTED_COLUMNS = ("path", "reason")
MAX_NAME_BYTES = 255  # what file systems allow

# Training crops come from the first 70 % of a photograph along its longer side,
# validation crops from the rest; a crop's side is at least half of what its region allows.
TRAIN_SHARE = 0.7
SMALLEST_CROP = 0.5


@dataclass(frozen=True)
class Box:
    """A rectangle of a photograph, in pixels after the EXIF orientation."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, pixels: Pixels) -> Pixels:
        """Return the rectangle's pixels."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Wanted:
    """One image to prepare: a whole file, or crops of it, for one split."""

    path: Path
    split: str
    dataset: str
    class_name: str
    crops: int


@dataclass(frozen=True)
class Photo:
    """A decoded file and what the index says about it."""

    pixels: Pixels
    mode: str
    sha256: str
    jpeg_quality: str


def split_last(rows: Sequence[dict[str, Any]], validate_last: int) -> list[dict[str, Any]]:
    """Split each class as the paper does: its last `validate_last` images validate.

    Only readable images count, so a stray file can't shift the split.

    Raises
    ------
    ParameterError
        If a class has too few images to leave one for training.
    """
    left = Counter(row["class"] for row in rows)
    for class_name, count in left.items():
        if count <= validate_last:
            raise ParameterError(
                f"prepare.validate_last is {validate_last}, but class {class_name} has only "
                f"{count} images that can be read. Lower it, so that one is left to train."
            )
    split = []
    for row in rows:
        last = left[row["class"]] <= validate_last
        left[row["class"]] -= 1
        split.append({**row, "split": "validate" if last else "train"})
    return split


def wanted_folders(folder: Path, params: Prepare) -> Iterator[Wanted]:
    """List a dataset with one folder a class, in the order of the names.

    All are `train` at first. `split_last` splits them once it knows which are readable.
    """
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(path for path in class_folder.iterdir() if path.is_file()):
            yield Wanted(path, "train", params.training_set, class_folder.name, 1)


def wanted_crops(folder: Path, params: Prepare) -> Iterator[Wanted]:
    """List the crops of each class, dealt evenly to the class's photographs."""
    train = params.crops_per_class - params.validate_last
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for class_name, names in params.classes.items():
        for name in names:
            if name not in files:
                raise ParameterError(
                    f"prepare.classes.{class_name}: {name} is not among the files of "
                    f"{params.training_set} in {folder}."
                )
        for split, crops in (("train", train), ("validate", params.validate_last)):
            for name, share in zip(names, shares(crops, len(names)), strict=True):
                yield Wanted(folder / name, split, params.training_set, class_name, share)


def shares(total: int, parts: int) -> list[int]:
    """Deal `total` into `parts` whole shares that differ by at most one."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def crop_boxes(height: int, width: int, split: str, crops: int, seed: Sequence[int]) -> list[Box]:
    """Draw square crops from the region of a photograph that belongs to `split`.

    The regions of `train` and `validate` are disjoint parts along the longer side.

    Raises
    ------
    ImageError
        If the photograph is a single pixel and has no two regions.
    """
    rng = np.random.default_rng(seed)
    along = max(height, width)
    if along < 2:
        raise ImageError("A photograph of a single pixel can't be cut into crops; replace it.")
    cut = max(1, int(along * TRAIN_SHARE))
    start, stop = (0, cut) if split == "train" else (cut, along)
    boxes = []
    for _ in range(crops):
        largest = min(stop - start, height, width)
        smallest = max(1, int(largest * SMALLEST_CROP))
        side = int(rng.integers(smallest, largest, endpoint=True))
        first = int(rng.integers(start, stop - side, endpoint=True))
        second = int(rng.integers(0, min(height, width) - side, endpoint=True))
        left, top = (first, second) if width >= height else (second, first)
        boxes.append(Box(left, top, side, side))
    return boxes


def wanted_tests(
    folder: Path, set_name: str, test_set: TestSet, seed: Sequence[int]
) -> Iterator[Wanted]:
    """List the photographs of one test set: those of its split, drawn if `draw` is not 0."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    relative = {path: path.relative_to(folder).as_posix() for path in files}
    chosen = [
        path
        for path in files
        if any(fnmatch.fnmatchcase(relative[path], pattern) for pattern in test_set.include)
    ]
    for pattern in test_set.include:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in relative.values()):
            raise ParameterError(
                f"prepare.test_sets.{set_name}: {pattern} is not among the "
                f"{len(files)} files of {test_set.dataset} in {folder}."
            )
    if test_set.split:
        chosen = of_split(chosen, set_name, test_set)
    if test_set.draw > len(chosen):
        raise ParameterError(
            f"prepare.test_sets.{set_name}: draw is {test_set.draw}, "
            f"but only {len(chosen)} files of {test_set.dataset} match. Draw at most those."
        )
    if test_set.draw:
        picked = np.random.default_rng(seed).permutation(len(chosen))[: test_set.draw]
        chosen = [chosen[i] for i in sorted(picked)]
    names: dict[str, Path] = {}
    for path in chosen:
        first = names.setdefault(image_name(path, folder), path)
        if first != path:
            raise ParameterError(
                f"prepare.test_sets.{set_name}: {relative[first]} and {relative[path]} would both "
                f"be stored as {image_name(path, folder)}.png. Include only one of them."
            )
        yield Wanted(path, "test", set_name, "", 1)


def of_split(files: Sequence[Path], set_name: str, test_set: TestSet) -> list[Path]:
    """Return the files whose names are in the test set's split.

    Raises
    ------
    ParameterError
        If there is no such split, or one of its photographs is not among the files.
    """
    names = read_split(test_set.dataset, test_set.split)
    missing = sorted(names - {path.name for path in files})
    if missing:
        raise ParameterError(
            f"prepare.test_sets.{set_name}: {len(missing)} of the {len(names)} photographs in "
            f"split {test_set.split!r} are not among the {len(files)} files of {test_set.dataset} "
            f"that match, such as {missing[0]}; fetch all of them, or leave the split empty."
        )
    return [path for path in files if path.name in names]


def reduced(pixels: Pixels, by: int) -> Pixels:
    """Return `(H // by, W // by, 3)`: each pixel the mean of `by` × `by`, rounded, halves up.

    The mean is that of the 8-bit values. Rows and columns at the bottom and the right that make no
    whole block drop out.

    Raises
    ------
    ImageError
        If a side is shorter than `by`.
    """
    height, width = (side // by for side in pixels.shape[:2])
    if not height or not width:
        raise ImageError(f"A photograph of fewer than {by} pixels a side can't be reduced by {by}.")
    if by == 1:
        return pixels
    blocks = pixels[: height * by, : width * by].reshape(height, by, width, by, 3)
    sums = blocks.sum(axis=(1, 3), dtype=np.uint32)
    means: Pixels = ((sums + by * by // 2) // (by * by)).astype(np.uint8)
    return means


def all_wanted(experiment: Experiment, downloaded: Path) -> list[Wanted]:
    """List everything to prepare, in a fixed order: training set, then the test sets."""
    params = experiment.prepare
    folder = downloaded / params.training_set
    lister = {"folders": wanted_folders, "crops": wanted_crops}[params.layout]
    wanted = list(lister(folder, params))
    if not wanted:
        raise ParameterError(
            f"prepare.training_set: {params.training_set} has no images in folders of classes "
            f"in {folder}."
        )
    for number, (name, test_set) in enumerate(params.test_sets.items()):
        seed = (experiment.seed, 1, number)
        wanted += wanted_tests(downloaded / test_set.dataset, name, test_set, seed)
    return wanted


def read_photo(path: Path) -> Photo:
    """Decode one file, or raise `ImageError`.

    It refuses a file without the suffix of an image format even if it holds an image. Caltech-101
    has a stray `BACKGROUND_Google/tmp`, a JPEG that is none of its 9144 images.
    """
    if path.suffix.lower() not in suffixes():
        raise ImageError(f"{path} has no suffix of an image format, such as .jpg or .png.")
    image = open_image(path)
    tables = getattr(image, "quantization", None)  # only JPEGs have any
    quality = str(jpeg.nearest_quality(tables)) if tables else ""
    return Photo(to_rgb(image), image.mode, file_hash(path), quality)


def image_name(path: Path, folder: Path) -> str:
    """Name an image by its path in the dataset without suffix, as one file name."""
    return path.relative_to(folder).with_suffix("").as_posix().replace("/", "__")


def check_name(path: Path, folder: Path) -> None:
    """Raise `ImageError` for a name that no table or no file of a result can have."""
    name = image_name(path, folder)
    if printable(name) != name:
        raise ImageError(f"{path} has a control character or no UTF-8 in its name; rename it.")
    if len(f"{name}.png".encode()) > MAX_NAME_BYTES:
        raise ImageError(
            f"{path} has too long a name: {name}.png, the name of its result, has more than "
            f"{MAX_NAME_BYTES} bytes; shorten it."
        )


def index_row(row: int, item: Wanted, photo: Photo, box: Box, folder: Path) -> dict[str, Any]:
    """Describe one prepared image."""
    return {
        "row": row,
        "split": item.split,
        "dataset": item.dataset,
        "class": item.class_name,
        "image": image_name(item.path, folder),
        "path": item.path.as_posix(),
        "left": box.left,
        "top": box.top,
        "width": box.width,
        "height": box.height,
        "mode": photo.mode,
        "sha256": photo.sha256,
        "jpeg_quality": photo.jpeg_quality,
    }


def boxes_of(item: Wanted, photo: Photo, experiment: Experiment, number: int) -> list[Box]:
    """Return the parts of a photograph that the stage prepares: crops, or the whole."""
    height, width, _ = photo.pixels.shape
    if item.split == "test" or experiment.prepare.layout == "folders":
        return [Box(0, 0, width, height)]
    seed = (experiment.seed, 0, number)
    return crop_boxes(height, width, item.split, item.crops, seed)


def run(experiment: Experiment, layout: Layout) -> None:
    """Prepare every image of the experiment."""
    side = experiment.prepare.input_px
    wanted = all_wanted(experiment, existing(layout.downloaded))
    fresh_folder(layout.test_images)
    index: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    packed = PackWriter(layout.packed)
    # the training set comes first, so an image's number in the index is that in the pack
    for number, item in enumerate(tqdm(wanted, desc="prepare", unit="file")):
        try:
            folder = dataset_folder(item, experiment, layout)
            check_name(item.path, folder)
            photo = read_photo(item.path)
            if item.split == "test":
                by = experiment.prepare.test_sets[item.dataset].reduce
                photo = replace(photo, pixels=reduced(photo.pixels, by))
            boxes = boxes_of(item, photo, experiment, number)
        except ImageError as error:
            path, reason = printable(item.path.as_posix()), printable(str(error))
            rejected.append({"path": path, "reason": reason})
            continue
        for box in boxes:
            index.append(index_row(len(index), item, photo, box, folder))
        if item.split == "test":
            name = image_name(item.path, folder)
            write_image(layout.test_image(item.dataset, name), photo.pixels)
        else:
            for box in boxes:
                packed.add(resize(box.cut(photo.pixels), side))
    packed.close()
    if experiment.prepare.layout == "folders":
        training = [row for row in index if row["split"] == "train"]
        tests = index[len(training) :]
        index = split_last(training, experiment.prepare.validate_last) + tests
    check_classes(wanted, index)
    write_csv(layout.index, COLUMNS, index)
    write_csv(layout.rejected, REJECTED_COLUMNS, rejected)


def check_classes(wanted: Sequence[Wanted], index: Sequence[dict[str, Any]]) -> None:
    """Raise `ParameterError` if no image of a class is readable for training."""
    trained = {row["class"] for row in index if row["split"] == "train"}
    for item in wanted:
        if item.split == "train" and item.class_name not in trained:
            raise ParameterError(
                f"prepare: no training image of class {item.class_name} can be read, "
                f"such as {item.path}. Replace its images or remove the class."
            )


def dataset_folder(item: Wanted, experiment: Experiment, layout: Layout) -> Path:
    """Return the downloaded folder that an image's name is relative to."""
    if item.split == "test":
        return layout.downloaded / experiment.prepare.test_sets[item.dataset].dataset
    return layout.downloaded / experiment.prepare.training_set
