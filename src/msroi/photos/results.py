"""The files that a run makes of own photos: none replaces a photo or another file of the run."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msroi.errors import ImageError
from msroi.files import written_whole
from msroi.photos import paths
from msroi.photos.paths import Identity, Naming


class Results:
    """What a run writes, by photo.

    It compares files by device and inode, before the run and again before each file gets its name.
    Names can differ and mean one file.

    Parameters
    ----------
    images
        The photos. Among them, results of earlier runs that lie beside their photos are left
        out.
    naming
        How results are named.
    force
        Overwrite results that are there.

    Attributes
    ----------
    names : dict
        By photo, the paths of its results.

    Raises
    ------
    ParameterError
        If a result would overwrite a photo or another result, or, without `force`, is there
        already; if `naming.out` is no folder; or the photos are nothing but results.
    """

    def __init__(self, images: Sequence[Path], naming: Naming, *, force: bool) -> None:
        paths.insist_on_a_folder(naming.out)
        self.names: Mapping[Path, list[Path]] = naming.names(paths.without_results(images))
        paths.insist_on_no_photo(self.names)
        if not force:
            paths.insist_on_new_files(path for of_one in self.names.values() for path in of_one)
        self._force = force
        # with what was named and left out: a run overwrites nothing that it was given
        self._photos = {known for image in self.names if (known := paths.identity(image))}
        self._written: dict[Identity, Path] = {}
        self._lock = threading.Lock()

    @contextmanager
    def written(self, image: Path, number: int = 0) -> Iterator[Path]:
        """Yield a temporary path for a photo's result, which gets its name when the block ends.

        It has the photo's permissions.

        Raises
        ------
        ImageError
            If what is at the result's path must stay.
        OSError
            As the system refuses it, with the result's folder where it names no file.
        """
        path = self.names[image][number]
        try:
            source = image.stat()
            with self._lock:
                self._photos.add((source.st_dev, source.st_ino))
            self._insist_on_free(image, path)
            with written_whole(path, source.st_mode & 0o777) as partial:
                yield partial
                self._insist_on_free(image, path)
            with self._lock:
                if known := paths.identity(path):
                    self._written[known] = path
        except OSError as error:
            if error.filename is None and error.errno is not None:
                raise OSError(error.errno, os.strerror(error.errno), str(path.parent)) from error
            raise

    def _insist_on_free(self, image: Path, path: Path) -> None:
        with self._lock:
            there = paths.identity(path)
            if there is not None and there in self._photos:
                problem = "is itself one of the photos; choose another --out folder"
            elif there is not None and there in self._written:
                other = self._written[there]
                problem = f"is {other}, just written, under another name; rename one of the two"
            elif path.is_dir():
                problem = "is a folder; rename it, or choose another --out folder"
            elif not self._force and os.path.lexists(path):
                problem = "has come to be there meanwhile; add --force to overwrite it"
            else:
                return
        raise ImageError(f"{image} is not written: {path} {problem}.")
