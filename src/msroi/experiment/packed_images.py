"""The images that the network learns from, at its input size, in files of some hundred images.

A file at a time, DVC hashes, keeps and sends them: a new image changes one file, not all. Each file
is small enough to travel alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msroi.errors import MissingError
from msroi.files import digest, existing, file_hash, fresh_folder, written_whole
from msroi.images import Pixels

FILE_IMAGES = 400  # 60 MB at 224 px


class PackWriter:
    """Writes images one after the other. `close` writes those that fill no whole file."""

    def __init__(self, folder: Path) -> None:
        """Start an empty pack in `folder`, and remove what was there."""
        self.folder = fresh_folder(folder)
        self.waiting: list[Pixels] = []
        self.files = 0

    def add(self, image: Pixels) -> None:
        """Add one image, `(side, side, 3) uint8`. All have the same side."""
        self.waiting.append(image)
        if len(self.waiting) == FILE_IMAGES:
            self.close()

    def close(self) -> None:
        """Write the images that wait, if there are any."""
        if self.waiting:
            with written_whole(self.folder / f"{self.files:05d}.npy") as partial:
                np.save(partial, np.stack(self.waiting))
            self.files += 1
            self.waiting = []


class PackedImages:
    """The images of a pack, mapped into memory: `(N, side, side, 3) uint8`, by number.

    `pack[rows]` reads the images of these numbers, in their order.

    Raises
    ------
    MissingError
        If the folder is missing or holds no images.
    """

    def __init__(self, folder: Path) -> None:
        """Open every file in `folder`."""
        files = files_of(folder)
        self.parts: list[Pixels] = [np.load(file, mmap_mode="r") for file in files]
        self.side = self.parts[0].shape[1]

    def __len__(self) -> int:
        """Return how many images there are."""
        return sum(len(part) for part in self.parts)

    def __getitem__(self, rows: Sequence[int] | NDArray[np.intp]) -> Pixels:
        """Return `(len(rows), side, side, 3) uint8`."""
        where = [divmod(int(row), FILE_IMAGES) for row in rows]
        return np.stack([self.parts[file][place] for file, place in where])


def files_of(folder: Path) -> list[Path]:
    """Return the files of a pack in their order, or raise `MissingError`."""
    files = sorted(existing(folder).glob("*.npy"))
    if not files:
        raise MissingError(f"{folder} holds no images; run stage prepare again.")
    return files


def pack_hash(folder: Path) -> str:
    """Return a hash of all images of a pack."""
    return digest(*map(file_hash, files_of(folder)))
