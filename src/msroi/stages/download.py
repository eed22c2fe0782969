"""Stage `download`: fetch the datasets and the pretrained network.

The stage checks everything against `data/sources.csv`. A manifest lists what it fetched.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from msroi.errors import SourceError
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import file_hash, fresh_folder, write_csv
from msroi.sources.archives import extract, is_archive, without_suffix
from msroi.sources.fetch import fetch, with_mirror
from msroi.sources.table import TABLE, Source, choose, read
from msroi.sources.weights import convert

DOWNLOADS = "downloads"
COLUMNS = ("name", "file", "bytes", "sha256", "source", "location", "licence")


def run(experiment: Experiment, layout: Layout) -> None:
    """Place the images of every dataset, convert the weights, write the manifest.

    Raises
    ------
    SourceError
        If something can't be fetched or is not what was declared.
    """
    wanted = experiment.download
    scratch = layout.scratch.parent / DOWNLOADS  # shared by all experiments
    sources = read(TABLE)
    if wanted.source == "mirror":
        sources = with_mirror(sources, scratch)
    rows: list[dict[str, str | int]] = []
    fresh_folder(layout.downloaded)
    for name in wanted.datasets:
        chosen = choose(sources, name, wanted.source)
        fetched = [(source, fetch(source, scratch)) for source in chosen]
        place(fetched, layout.downloaded / name)
        rows += [row for source, path in fetched for row in manifest_rows(source, path)]
    for source in choose(sources, wanted.weights, wanted.source):
        path = fetch(source, scratch)
        convert(source, path, layout.vgg16)
        rows += manifest_rows(source, path)
    write_csv(layout.manifest, COLUMNS, sorted(rows, key=lambda row: (row["name"], row["file"])))


def place(fetched: list[tuple[Source, Path]], folder: Path) -> None:
    """Put a dataset's files into the new folder `folder`, as plain files.

    Unpacks an archive and copies a folder. Each of several goes to a folder of its own name. A
    folder that then holds just one folder gives way to that one.
    """
    for source, path in fetched:
        archive = path.is_dir() or is_archive(source.file)
        alone = archive and len(fetched) == 1
        into = folder if alone or not archive else folder / without_suffix(source.file)
        if not archive:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into / source.file)
        elif path.is_dir():
            shutil.copytree(path, into, copy_function=shutil.copyfile)
        elif source.member:
            _extract_member(path, source.member, into)
        else:
            extract(path, into)
    flatten(folder)


def flatten(folder: Path) -> None:
    """Replace `folder` by the one folder in it, if it holds nothing else."""
    inside = list(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        only = inside[0].rename(_beside(folder))
        folder.rmdir()
        only.rename(folder)


def manifest_rows(source: Source, path: Path) -> Iterator[dict[str, str | int]]:
    """Yield one row for a fetched file, or for each file in a fetched folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        inside = file.relative_to(path.parent).as_posix() if path.is_dir() else source.file
        yield {
            "name": source.name,
            "file": inside,
            "bytes": file.stat().st_size,
            "sha256": file_hash(file),
            "source": source.source,
            "location": source.location,
            "licence": source.licence,
        }


def _extract_member(archive: Path, member: str, into: Path) -> None:
    """Unpack only the archive `member` that `archive` holds, in whatever folder."""
    outer = _beside(into)
    try:
        extract(archive, outer)
        found = list(outer.rglob(member))
        if len(found) != 1:
            raise SourceError(
                f"{archive.name} holds {len(found)} files named {member}; expected one."
            )
        extract(found[0], into)
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".partial-{os.getpid()}-outer-{folder.name}")
