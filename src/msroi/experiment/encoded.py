"""The files of stage compress: each alone in folders, or those of many photographs in a shard.

A shard is a zip archive without compression. `images/<set>/00000.zip` has the files of the set's
first photographs, with the names that they have in folders below `images/<set>`.
`images/shards.csv` says which photograph is in which shard. Bytes follow from the photographs
alone: all dates are the same, and members stand in the order of the index.
"""

import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path

from msroi.errors import ImageError
from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress
from msroi.experiment.prepared_images import TestImage
from msroi.files import csv_rows, existing, write_bytes, write_csv, written_whole

SHARDS = "shards"  # in place of folders, as the schema has it of `compress.store`
COLUMNS = ("dataset", "image", "shard")
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can give
UNIX, PLAIN_FILE = 3, 0o100644 << 16  # where a member comes from, and what it is
OPEN = 8  # archives that stay open for reading


@dataclass(frozen=True)
class Group:
    """Photographs of one set that share a place, with their number in the set, from 0."""

    dataset: str
    number: int
    items: tuple[TestImage, ...]

    @property
    def shard(self) -> str:
        """The name of its archive."""
        return f"{self.number:05d}.zip"


@dataclass(frozen=True)
class File:
    """A compressed photograph of the size that plain JPEG of this quality has."""

    image: str
    method: str
    quality: int
    data: bytes

    @property
    def member(self) -> str:
        """Its name in an archive."""
        return member(self.method, self.quality, self.image)


def groups(items: Iterable[TestImage], params: Compress) -> Iterator[Group]:
    """Yield the photographs that share a shard. Each has its own group in folders."""
    size = params.shard_photographs if params.store == SHARDS else 1
    numbers: Counter[str] = Counter()
    for dataset, of_set in groupby(items, key=attrgetter("dataset")):
        while some := tuple(islice(of_set, size)):
            yield Group(dataset, numbers[dataset], some)
            numbers[dataset] += 1


@contextmanager
def writing(
    layout: Layout, params: Compress, group: Group
) -> Iterator[Callable[[Iterable[File]], None]]:
    """Yield a function that writes a group's files, into folders or into one whole shard."""
    if params.store != SHARDS:
        yield lambda files: write_alone(layout, group.dataset, files)
        return
    with (
        written_whole(layout.jpeg / "images" / group.dataset / group.shard) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,
    ):
        yield lambda files: append(archive, files)


def write_alone(layout: Layout, dataset: str, files: Iterable[File]) -> None:
    """Write each file into its folder."""
    for file in files:
        path = layout.jpeg_file(dataset, file.method, file.quality, file.image)
        write_bytes(path, file.data)


def append(archive: zipfile.ZipFile, files: Iterable[File]) -> None:
    """Add files to an archive, with nothing of this machine or day."""
    for file in files:
        about = zipfile.ZipInfo(file.member, NO_TIME)
        about.create_system, about.external_attr = UNIX, PLAIN_FILE
        archive.writestr(about, file.data)


def write_table(layout: Layout, params: Compress, items: Iterable[TestImage]) -> None:
    """Write which photograph is in which shard, if there are any."""
    if params.store == SHARDS:
        rows = (
            {"dataset": group.dataset, "image": item.image, "shard": group.shard}
            for group in groups(items, params)
            for item in group.items
        )
        write_csv(table(layout), COLUMNS, rows)


def table(layout: Layout) -> Path:
    """Return where it stands which photograph is in which shard."""
    return layout.jpeg / "images" / "shards.csv"


def member(method: str, quality: int, image: str) -> str:
    """Return the name of a file in its shard."""
    return f"{method}/q{quality}/{image}.jpg"


class Encoded:
    """The files that stage compress has written, in either store."""

    def __init__(self, layout: Layout) -> None:
        """Read which photograph is in which shard."""
        self.layout = layout
        self.shards: dict[str, dict[str, str]] = {}  # by set and image
        if table(layout).exists():
            for row in csv_rows(table(layout)):
                self.shards.setdefault(row["dataset"], {})[row["image"]] = row["shard"]
        self.opened = lru_cache(maxsize=OPEN)(opened)

    def file(self, dataset: str, method: str, quality: int, image: str) -> Path | zipfile.Path:
        """Return the path of a file, which opens and reads like any other."""
        if not self.shards:
            return self.layout.jpeg_file(dataset, method, quality, image)
        shard = self.layout.jpeg / "images" / dataset / self.shards[dataset][image]
        # an archive for each thread, since they would move each other's place in it
        whole = self.opened(shard, threading.get_ident())
        return whole / member(method, quality, image)


def opened(shard: Path, _: int) -> zipfile.Path:
    """Open an archive for reading.

    Raises
    ------
    MissingError
        If it is not there.
    ImageError
        If it is no archive.
    """
    try:
        return zipfile.Path(existing(shard))
    except zipfile.BadZipFile as error:
        raise ImageError(
            f"{shard} is no whole zip archive ({error}); `snakemake --forcerun compress` makes it "
            "again."
        ) from None
