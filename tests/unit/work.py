"""What `processes.mapped` does in the tests of it, for its processes to import."""

import os
import signal
import time
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_info

from msroi.cores import cores
from msroi.errors import MissingError


def name(image: Path) -> str:
    return image.name


def name_it():
    return name


def missing():
    raise MissingError("no model is there.")


def defect(image: Path) -> str:
    raise ValueError(f"a defect of {image}")


def have_a_defect():
    return defect


def noted(image: Path) -> None:
    image.touch()
    time.sleep(0.05)


def note_it():
    return noted


def told(image: Path) -> tuple[int, list[int], set[int]]:
    time.sleep(0.2)  # so that the others begin
    threads = {of["num_threads"] for of in threadpool_info() if of["user_api"] == "blas"}
    return os.getpid(), cores(), threads


def tell():
    import numpy  # noqa: F401  # has the products

    return told


def unlucky(image: Path) -> str:
    if "killed" in image.name:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return image.name


def be_unlucky():
    return unlucky


def counted(begun: Path, image: Path) -> str:
    return f"{image.name} {len(begun.read_text().split())}"


def count(begun: Path):
    with begun.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return partial(counted, begun)


def slow(folder: Path, image: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(1)


def be_slow(folder: Path):
    return partial(slow, folder)
