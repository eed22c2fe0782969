"""What the files of stage compress cost in folders and in shards: inodes, `dvc status`, `dvc push`.

`python -m benchmarks.stores` writes files of random bytes through the module that stage compress
writes through, in a project of its own. It adds them to DVC, whose cache links instead of copying,
asks for the status, and pushes them to a remote that is a folder. Then it changes one photograph's
files and does the same again. Writes results/bench/stores.json.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import table
from msroi.experiment import encoded, params
from msroi.experiment.encoded import File
from msroi.experiment.layout import Layout
from msroi.experiment.prepared_images import TestImage
from msroi.files import read_json, write_json

NAME = "stores"
STORES = ("folders", "shards")
BYTES = 600  # of a file: what is measured is the cost of their number


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="photographs (20000)")
    parser.add_argument("--files", type=int, default=21, help="of a photograph (21)")
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    given = parser.parse_args(arguments)
    compress = params.load("demo").compress
    path = table.RESULTS / f"{NAME}.json"
    runs = read_json(path)["runs"] if path.exists() else {}
    for store in given.stores:
        with tempfile.TemporaryDirectory(prefix="msroi-stores-") as name:
            made = measured(Path(name), replace(compress, store=store), given.count, given.files)
        runs[f"{given.count} photographs, {given.files} files each, {store}"] = made
        sys.stderr.write(f"bench: {store} {made}\n")
        write_json(path, {"machine": table.machine(), "file_bytes": BYTES, "runs": runs})


def measured(folder: Path, kept: params.Compress, count: int, files: int) -> dict[str, Any]:
    """Return what so many photographs' files cost in a store."""
    items = [TestImage("set", f"{number:06d}", "") for number in range(count)]
    layout = Layout(NAME, folder / "results")
    images = layout.jpeg / "images"
    found: dict[str, Any] = {"shard_photographs": kept.shard_photographs}

    def dvc(*words: str) -> None:
        subprocess.run(
            ["dvc", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, env=quiet
        )

    def timed(step: str, work: Callable[[], None]) -> None:
        start, before = perf_counter(), processor_s()
        work()
        found[step] = {
            "s": round(perf_counter() - start, 1),
            "processor_s": round(processor_s() - before, 1),
        }

    quiet = os.environ | {"DVC_NO_ANALYTICS": "1"}
    dvc("init", "--no-scm")
    dvc("config", "cache.type", "hardlink,copy")
    dvc("remote", "add", "--default", "store", str(folder / "remote"))
    before = inodes(folder)
    timed("write", lambda: write(layout, kept, items, files, seed=0))
    found["inodes"] = inodes(folder) - before
    timed("add", lambda: dvc("add", str(images)))
    found["inodes_with_cache"] = inodes(folder) - before
    timed("status", lambda: dvc("status"))
    before = inodes(folder)
    timed("push", lambda: dvc("push"))
    found["inodes_of_remote"] = inodes(folder) - before
    rewrite_one(layout, kept, items, files)
    timed("add_changed", lambda: dvc("add", str(images)))
    timed("push_changed", lambda: dvc("push"))
    return found


def processor_s() -> float:
    """Return the processor time of this process, and of the commands that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def inodes(folder: Path) -> int:
    """Count the inodes below a folder; names of the same file count once."""
    return len({entry.inode() for entry in below(folder)})


def below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from below(Path(entry.path))


def write(
    layout: Layout, kept: params.Compress, items: Sequence[TestImage], files: int, seed: int
) -> None:
    """Write the files of all photographs, as stage compress does."""
    rng = np.random.default_rng(seed)
    for group in encoded.groups(items, kept):
        with encoded.writing(layout, kept, group) as add:
            for item in group.items:
                add(File(item.image, f"m{n}", 50, rng.bytes(BYTES)) for n in range(files))
    encoded.write_table(layout, kept, items)


def rewrite_one(
    layout: Layout, kept: params.Compress, items: Sequence[TestImage], files: int
) -> None:
    """Write the files of the first photograph anew, or its shard, with other bytes."""
    first = next(encoded.groups(items, kept))
    for path in (layout.jpeg / "images" / "set").rglob("*"):
        if path.name in (first.shard, f"{first.items[0].image}.jpg"):
            path.unlink()  # the cache has it read-only
    rng = np.random.default_rng(1)
    with encoded.writing(layout, kept, first) as add:
        for item in first.items:
            add(File(item.image, f"m{n}", 50, rng.bytes(BYTES)) for n in range(files))


if __name__ == "__main__":
    main()
