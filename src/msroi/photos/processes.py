"""Works on several photos at a time, each in a process that has cores of its own.

Threads of one process would wait for one another: NumPy's steps are short, and between two of them
one thread alone goes on. Two processes take a fifth less time than two threads for a folder.
"""

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from msroi.cores import cores
from msroi.errors import ImageError, UserError

T = TypeVar("T")
Work = Callable[[Path], T]
Start = Callable[[], Work[Any]]


def mapped(
    start: Callable[[], Work[T]], images: Sequence[Path], jobs: int
) -> Generator[T | ImageError, None, None]:
    """Yield what work gives for each image, in the images' order.

    One job, or one image, works in this process. The system may kill one process of several, as for
    want of memory. Then its image gets another try while nothing else runs. If the system kills
    that too, the image gets an error. All ends at once when nobody listens any more.

    Parameters
    ----------
    start
        Returns the work. Each process calls it once, for its first image. For several jobs, pickle
        takes it and what the work gives.
    images
        To work on.
    jobs
        How many at a time.

    Raises
    ------
    Exception
        What `start` or the work raises.
    """
    jobs = min(jobs, len(images))
    if jobs <= 1:
        yield from map(start(), images)
        return
    processes = Processes(start, jobs)
    threads = ThreadPoolExecutor(jobs)
    try:
        yield from threads.map(processes.work, images)
    finally:
        processes.end()
        threads.shutdown(cancel_futures=True)


class KilledError(Exception):
    """A process ended before it gave its result."""


class Processes:
    """Processes that wait for images."""

    def __init__(self, start: Start, jobs: int) -> None:
        """Begin so many processes, which share the cores out among them."""
        known = cores()
        shares = [known[job::jobs] or [known[job % len(known)]] for job in range(jobs)]
        self._all = [Process(start, share) for share in shares]
        self._free: queue.Queue[Process] = queue.Queue()
        for process in self._all:
            self._free.put(process)
        self._gate = threading.Lock()  # so that who waits for all does get them

    def work(self, image: Path) -> Any:
        """Return what the work gives for an image."""
        for count in (1, len(self._all)):
            with self._gate:
                held = [self._free.get() for _ in range(count)]
            try:
                return held[0].work(image)
            except KilledError:
                held[0].begin()
            finally:
                for process in held:
                    self._free.put(process)
        return ImageError(
            f"{image} takes more memory than there is, or the system has ended its process for "
            "another reason; close other programs, or make the image smaller."
        )

    def end(self) -> None:
        """End all processes, whatever they do."""
        for process in self._all:
            process.end()


class Process:
    """A process that works on one image after another."""

    def __init__(self, start: Start, share: list[int]) -> None:
        """Begin one that keeps to its share of the cores."""
        self._given = start, share
        self._ended = False
        self.begin()

    def begin(self) -> None:
        """Begin it, or begin it anew, unless all is at an end."""
        if self._ended:
            return
        context = multiprocessing.get_context("spawn")  # a fork would lose JAX's threads
        self._connection, theirs = context.Pipe()
        given = (theirs, *self._given)
        self._process = context.Process(target=serve, args=given, daemon=True)
        with uninterrupted():
            self._process.start()
        theirs.close()  # so that reading fails when the process is no more

    def work(self, image: Path) -> Any:
        """Return what the work gives for an image, or raise what it raises."""
        try:
            self._connection.send(image)
            result, error = self._connection.recv()
        except (EOFError, OSError):
            raise KilledError from None
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """End it, whatever it does."""
        self._ended = True
        self._process.kill()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep interrupts from the processes that begin meanwhile: who began them ends them."""
    resource_tracker.ensure_running()  # as a process begins, which would let them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(connection: Connection, start: Start, share: list[int]) -> None:
    """Work on images that come through a connection, until the one that asked is no more."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share)
    work: Work[Any] | None = None
    try:
        while True:
            image = connection.recv()
            try:
                work = work or alone(start)
                answer: tuple[Any, Exception | None] = work(image), None
            except Exception as error:  # the one that asked raises it
                if not isinstance(error, UserError):
                    error.add_note(traceback.format_exc())
                answer = None, error
            connection.send(answer)
    except (EOFError, OSError):
        return


def alone(start: Start) -> Work[Any]:
    """Start work whose products of matrices stay in one thread: others would wait for it."""
    work = start()
    threadpool_limits(1, "blas")
    return work
