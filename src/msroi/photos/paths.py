"""Which files a command for own photos works on, and where its results go."""

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msroi.errors import ParameterError
from msroi.images import suffixes

RESULT = ".msroi.jpg"  # how a compressed photo's name ends that lies beside its source
PAGE = ".msroi.html"  # and that of the page which explains it
PATTERN_CHARACTERS = set("*?[")


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files among `paths`, and the images that folders and patterns stand for.

    A folder stands for the images directly in it, a pattern (`*`, `?`, `[...]`, `**` for
    folders within folders) for those that fit, where the shell has not resolved it. Images
    are files with a suffix of a format that is read, in the order of their names, but for
    hidden ones and for results of `msroi compress`. A file that is named is taken as it is;
    one that is named twice, once.

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
            inside = _images(map(Path, fitting))
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


def beside(image: Path, suffix: str = RESULT) -> Path:
    """Name a photo's result beside its source, such as the compressed photo."""
    return image.with_name(f"{image.stem}{suffix}")


def in_folder(out: Path, image: Path, suffix: str) -> Path:
    """Name a photo's result in another folder: the photo's name with another suffix."""
    return out / f"{image.stem}{suffix}"


def insist_on_names_of_their_own(results: Mapping[Path, Sequence[Path]]) -> None:
    """Insist that no result overwrites a photo or another result.

    Parameters
    ----------
    results
        By image, the paths of what is made of it.

    Raises
    ------
    ParameterError
        With the first that does.
    """
    # `resolve` raises on a loop of links
    sources = {os.path.realpath(image) for image in results}
    makers: dict[str, Path] = {}
    for image, paths in results.items():
        for path in paths:
            place = os.path.realpath(path)
            if place in sources:
                raise ParameterError(
                    f"{path}, a result for {image}, would overwrite one of the images; "
                    "choose another --out folder."
                )
            if place in makers:
                raise ParameterError(
                    f"{makers[place]} and {image} would both be written to {path}; rename one."
                )
            makers[place] = image


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
