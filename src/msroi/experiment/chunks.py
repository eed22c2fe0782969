"""Photographs in chunks: one job makes all files of a stage, or several jobs a part each.

A chunk makes the files of some photographs as if they were all, below a folder of its own (`part`).
The folder's layout is the experiment's but for where its results lie. When all are there, the stage
gathers them. `link_files` brings files to their place, `rows` reads the tables one after the other.
So what a stage gives does not depend on how many chunks there were. How many there are is for
whoever runs the pipeline to say (`snakemake --set-scatter`), not a parameter of the experiment.
"""

import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from msroi.errors import ParameterError
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import csv_rows, existing, fresh_folder, written_whole

NAME = re.compile(r"([1-9][0-9]*)-of-([1-9][0-9]*)")  # as Snakemake's scattergather writes it

# that measure at the same time; each holds some 15 float planes of its image
WORKERS = min(4, os.cpu_count() or 1)

T = TypeVar("T")
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, order=True)
class Chunk:
    """Number `number` of `count` parts, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        """Return its name, such as `3-of-8`."""
        return f"{self.number}-of-{self.count}"

    def places(self, total: int) -> slice:
        """Return where it lies in so many: neighbours, as many as in any other, or one more."""
        return slice(*(total * number // self.count for number in (self.number - 1, self.number)))

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return this part of the items."""
        return items[self.places(len(items))]


ALL = Chunk(1, 1)


def taken(chunk: Chunk, items: Callable[[], Iterable[T]]) -> list[T]:
    """Return a chunk of what can be gone through twice: once to count, once to take.

    So it keeps no more than the chunk, however much the whole is.
    """
    places = chunk.places(sum(1 for _ in items()))
    return list(islice(items(), places.start, places.stop))


def chunk(text: str) -> Chunk:
    """Read the name of a chunk.

    Raises
    ------
    ParameterError
        If it is no `N-of-M` with N from 1 to M.
    """
    match = NAME.fullmatch(text)
    if not match or int(match[1]) > int(match[2]):
        raise ParameterError(
            f"A chunk is named N-of-M with N from 1 to M, such as 3-of-8; got {text!r}."
        )
    return Chunk(int(match[1]), int(match[2]))


def part(layout: Layout, into: Path) -> Layout:
    """Return where a chunk writes: the experiment's layout with its results in a folder."""
    return replace(layout, results_in=into)


def parts(layout: Layout, folders: Iterable[Path]) -> list[Layout]:
    """Return where the chunks have written whose folders these are, in their order.

    Raises
    ------
    ParameterError
        If they are not all parts of one whole.
    MissingError
        If one is not there.
    """
    by_chunk = {chunk(path.name): existing(path) for path in folders}
    found = sorted(by_chunk)
    if found != [Chunk(number, found[0].count) for number in range(1, found[0].count + 1)]:
        raise ParameterError(
            "Only all chunks of one whole, such as 1-of-2 and 2-of-2, can be gathered; "
            f"got {', '.join(map(str, found))}."
        )
    return [part(layout, by_chunk[one]) for one in found]


def run_whole(
    stage: str,
    run_chunk: Callable[[Experiment, Layout, Chunk, Layout], None],
    gather: Callable[[Experiment, Layout, Sequence[Layout]], None],
    experiment: Experiment,
    layout: Layout,
) -> None:
    """Run a stage as one chunk, and gather it."""
    whole = part(layout, fresh_folder(layout.scratch / stage / str(ALL)))
    run_chunk(experiment, layout, ALL, whole)
    gather(experiment, layout, [whole])
    shutil.rmtree(layout.scratch / stage)  # with what stopped runs may have left


def link_files(sources: Iterable[Path], destination: Path) -> None:
    """Bring the files below several folders together in a fresh one.

    They stay where they were, so that a gathering cut short can start again. Each gets a second
    name. Where the file system has no hard links, it is a copy.
    """
    fresh_folder(destination)
    for source in sources:
        for path in source.rglob("*"):
            if path.is_dir():
                continue
            target = destination / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                with written_whole(target) as partly:
                    shutil.copyfile(path, partly)


def rows(tables: Iterable[Path]) -> Iterator[dict[str, str]]:
    """Read CSV files of the same columns one after the other, a row at a time."""
    for table in tables:
        yield from csv_rows(table)


def ahead(
    pool: Executor, work: Callable[[Given], Made], items: Iterable[Given], most: int
) -> Iterator[Made]:
    """Yield `work(item)` in the order of the items, working on at most `most` of them ahead.

    `pool.map` would take all items at once. Here memory does not grow with their number. The caller
    may make items while threads work on others.
    """
    waiting: deque[Future[Made]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
