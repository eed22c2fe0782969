"""Which files a command for own photos works on, and where its results go."""

import glob
import itertools
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msroi.errors import ParameterError
from msroi.files import digest
from msroi.images import suffixes

RESULT = ".msroi.jpg"  # how a compressed photo's name ends that lies beside its source
PAGE = ".msroi.html"  # and that of the page which explains it
PATTERN_CHARACTERS = set("*?[")

Identity = tuple[int, int]  # of a file: device and inode
Place = tuple[Identity | str | None, ...]


def image_files(paths: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Return the files among `paths`, and the images that folders and patterns stand for.

    A folder stands for the images directly in it. A pattern (`*`, `?`, `[...]`, `**` for folders
    within folders) stands for those that fit, where the shell has not resolved it. Images are files
    with a suffix of a format that msroi reads, in the order of their names. Hidden ones do not
    count, nor do results of `msroi compress`. Those have the names of results, or lie in `out`, a
    folder within the pattern's. A named file counts as it is, and only once.

    Raises
    ------
    ParameterError
        If a folder or a pattern stands for no image.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = _images(path.iterdir())
            problem = "is a folder without images; name a folder that has some directly in it."
        elif PATTERN_CHARACTERS & set(str(path)) and not os.path.lexists(path):
            # unlike `Path.glob`, not in hidden folders: as shells do
            fitting = glob.iglob(str(path), recursive=True)  # noqa: PTH207
            inside = _outside(out, _images(map(Path, fitting)))
            problem = "fits no image; check the pattern."
        else:
            inside, problem = [path], ""
        if not inside:
            raise ParameterError(f"{path} {problem}")
        for file in inside:
            files.setdefault(Path(os.path.realpath(file.parent), file.name), file)
    return list(files.values())


def _images(paths: Iterable[Path]) -> list[Path]:
    readable = suffixes()
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in readable
        and not path.name.startswith(".")
        and not is_result(path)
        and path.is_file()
    )


def _outside(out: Path | None, images: list[Path]) -> list[Path]:
    """Leave out images in a folder below that which all of them share."""
    if out is None or not images:
        return images
    below = Path(os.path.realpath(out))
    folders = [Path(os.path.realpath(image)).parent for image in images]
    if Path(os.path.commonpath(folders)).is_relative_to(below):
        return images
    return [
        image
        for image, folder in zip(images, folders, strict=True)
        if not folder.is_relative_to(below)
    ]


def is_result(path: Path) -> bool:
    """Tell by its name whether a file is a result of `msroi compress`."""
    return path.name.lower().endswith(RESULT)


def without_results(files: Sequence[Path]) -> list[Path]:
    """Leave out results of earlier runs, which `*.jpg` names along with their sources.

    Raises
    ------
    ParameterError
        If nothing is left.
    """
    sources = [file for file in files if not is_result(file)]
    if not sources:
        raise ParameterError(
            f"{files[0]} is itself a result of msroi compress, by its name; "
            "name the photo that it was made of."
        )
    return sources


@dataclass(frozen=True)
class Naming:
    """How to name results.

    Attributes
    ----------
    endings
        What the names of a photo's results end in.
    out
        The folder; None is beside each photo.
    keep_folders
        Below `out`, keep the folders of a photo's path.
    """

    endings: tuple[str, ...]
    out: Path | None = None
    keep_folders: bool = False

    def named(self, image: Path, stem: str) -> list[Path]:
        """Return an image's results whose names begin with `stem`."""
        folder = image.parent if self.out is None else self.out
        if self.out is not None and self.keep_folders:
            folder /= _folders(image)
        return [folder / f"{stem}{ending}" for ending in self.endings]

    def names(self, images: Sequence[Path]) -> dict[Path, list[Path]]:
        """Name each image's results, so that no two share one.

        A result begins with its image's name without the suffix. Where that is the same for
        several, it begins with the whole name. Some volumes do not keep the case of letters. Where
        only that tells names apart, a hash of the name follows.

        Raises
        ------
        ParameterError
            With the first two images that no name tells apart.
        """
        results = {image: self.named(image, image.stem) for image in images}
        plain = {image: paths[0] for image, paths in results.items()}
        for stem in (_whole, _whole_and_hash):
            for image in itertools.chain(*_sharing(results)):
                results[image] = self.named(image, stem(image))
        for first, second, *_ in _sharing(results):
            how = "" if self.out is None or self.keep_folders else "add --keep-folders, or "
            raise ParameterError(
                f"{first} and {second} would both be written to {plain[first]}; {how}rename one."
            )
        return results


def _whole(image: Path) -> str:
    return image.name


def _whole_and_hash(image: Path) -> str:
    return f"{image.name}-{digest(image.name)[:8]}"


def _folders(image: Path) -> Path:
    """Return the folders of a path as given, without what leads up or to the root."""
    parts = Path(os.path.normpath(image.parent)).parts
    return Path(*(part for part in parts if part not in (os.sep, "//", "..")))


def _sharing(results: Mapping[Path, Sequence[Path]]) -> list[list[Path]]:
    """Return the groups of images that share a result."""
    makers: dict[Place, list[Path]] = {}
    for image, paths in results.items():
        for path in paths:
            makers.setdefault(place(path), []).append(image)
    return [images for images in makers.values() if len(images) > 1]


def identity(path: Path) -> Identity | None:
    """Return the device and the inode of what a path leads to, or None if nothing is there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def place(path: Path) -> Place:
    """Return what a path stands for that may not be there yet, whichever way leads to it.

    That is the nearest folder that is there, and the names below it. Neither case nor the
    composition of letters counts in these, since on many volumes they do not.
    """
    folder, names = Path(os.path.realpath(path.parent)), [path.name]
    while (known := identity(folder)) is None and folder != folder.parent:
        folder, names = folder.parent, [folder.name, *names]
    folded = (unicodedata.normalize("NFC", name).casefold() for name in names)
    return known, *(unicodedata.normalize("NFC", name) for name in folded)


def insist_on_no_photo(results: Mapping[Path, Sequence[Path]]) -> None:
    """Insist that no result is one of the photos, by whatever name.

    Parameters
    ----------
    results
        By image, the paths of what is made of it.

    Raises
    ------
    ParameterError
        With the first that is.
    """
    # `resolve` raises on a loop of links
    sources = {os.path.realpath(image) for image in results}
    known = {identity(image) for image in results} - {None}
    for image, paths in results.items():
        for path in paths:
            if os.path.realpath(path) in sources or identity(path) in known:
                raise ParameterError(
                    f"{path}, a result for {image}, would overwrite one of the images; "
                    "choose another --out folder."
                )


def insist_on_a_folder(out: Path | None) -> None:
    """Insist that results can go to `out`, which need not be there yet.

    Raises
    ------
    ParameterError
        If it, or a folder on its way, is a file.
    """
    for path in () if out is None else (out, *out.parents):
        if path.exists():
            if not path.is_dir():
                raise ParameterError(f"--out {out}: {path} is a file; name a folder.")
            return


def insist_on_new_files(paths: Iterable[Path]) -> None:
    """Insist that nothing is there yet.

    Raises
    ------
    ParameterError
        With the first path that is there, and how many more are.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        what, them = f"{there[0]} is", "it"
        if len(there) > 1:
            what, them = f"{there[0]} and {len(there) - 1} more of the results are", "them"
        raise ParameterError(
            f"{what} there already; add --force to overwrite {them}, or choose another folder "
            "with --out DIR."
        )
