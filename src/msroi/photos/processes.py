"""Works on several photos at a time, each in a process that has cores of its own.

Threads of one process would wait for one another: NumPy's steps are short, and between two of them
one thread alone goes on. Two processes take a fifth less time than two threads for a folder.
"""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from msroi.cores import cores
from msroi.errors import ImageError

T = TypeVar("T")
Work = Callable[[Path], T]

# in a process of `mapped`, what starts its work, once
_started: list[Callable[[], Work[Any]]] = []


def mapped(
    start: Callable[[], Work[T]], images: Sequence[Path], jobs: int
) -> Generator[T | ImageError, None, None]:
    """Yield what work gives for each image, in the images' order.

    One job works in this process. If a process of several is killed, as the system does where there
    is no memory left, one process goes on alone. An image that has a process of its own killed gets
    an error. Once nobody listens, no other image begins.

    Parameters
    ----------
    start
        Returns the work. Each process calls it once, for its first image. For several jobs, it and
        what the work gives can be pickled.
    images
        To work on.
    jobs
        How many at a time.
    """
    if jobs == 1 or len(images) < 2:
        yield from map(start(), images)
        return
    left = list(images)
    while left:
        pool = _pool(start, jobs)
        try:
            for future in [pool.submit(_done, image) for image in left]:
                yield future.result()
                del left[0]
        except BrokenProcessPool:
            if jobs == 1:
                yield ImageError(
                    f"{left.pop(0)} takes more memory than there is, or the system has ended its "
                    "process for another reason; close other programs, or make the image smaller."
                )
            jobs = 1
        finally:
            pool.shutdown(cancel_futures=True)


def _pool(start: Callable[[], Work[Any]], jobs: int) -> ProcessPoolExecutor:
    """Return a pool of so many processes, which share the cores out among them."""
    context = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    shares: SimpleQueue[list[int]] = context.SimpleQueue()
    known = cores()
    for job in range(jobs):
        shares.put(known[job::jobs] or [known[job % len(known)]])
    return ProcessPoolExecutor(jobs, context, _begin, (start, shares))


def _begin(start: Callable[[], Work[Any]], shares: "SimpleQueue[list[int]]") -> None:
    """Begin a process of a pool: it keeps to its cores, and ends with the one that asked for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asked ends it
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, shares.get())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _started.append(functools.cache(functools.partial(_alone, start)))


def _alone(start: Callable[[], Work[T]]) -> Work[T]:
    """Start work whose products of matrices stay in one thread: others would wait for it."""
    work = start()
    threadpool_limits(1, "blas")
    return work


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _done(image: Path) -> Any:
    """Work on an image, in a process of a pool. What is wrong with the start, the image tells."""
    (start,) = _started
    return start()(image)
