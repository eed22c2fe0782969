"""Two judges that need programs outside the lock: Butteraugli and ColorVideoVDP.

`python -m benchmarks.eye` judges the photographs of stage `judges` of an experiment, whose files
stage `compress` has left on this disk, and writes `butteraugli.csv` and `colorvideovdp.csv`, one
row a photograph, method and quality, `comparison.csv`, differences from plain JPEG, mozjpeg and
jpegli as in stage `judges`, and `about.json` into results/bench/eye. It goes on where it stopped.

Butteraugli is Debian's `butteraugli_main` (package libjxl-devtools). ColorVideoVDP is the package
`cvvdp` in an environment of its own, whose Python `--cvvdp-python` names; it needs PyTorch.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from msroi.errors import MissingError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.selection import first_by_name
from msroi.files import Row, csv_rows, write_csv, write_json
from msroi.images import read_rgb, write_image
from msroi.measures.measure import LOOKED_AT, TUNED, Measure, by_column
from msroi.stages.judges import COMPARISON_COLUMNS, compare

FOLDER = Path("results/bench/eye")
PLACE = ("dataset", "image", "method", "match_quality", "matched")
WORKERS = 2
ROWS = 32
DISPLAY = "standard_4k"
BUTTERAUGLI = "butteraugli_main"
NORM = 3


def _measure(column: str, label: str, role: str, *, higher_is_better: bool) -> Measure:
    return Measure(
        column=column,
        label=label,
        short=label,
        plane="",
        unit="",
        digits=3,
        gain_digits=3,
        higher_is_better=higher_is_better,
        role=role,
        needs_map=False,
        function=lambda: float("nan"),  # another program's
    )


MEASURES = by_column(
    (
        _measure("butteraugli_3norm", "Butteraugli, 3-norm", TUNED, higher_is_better=False),
        _measure("butteraugli_max", "Butteraugli, maximum", TUNED, higher_is_better=False),
        _measure("colorvideovdp_jod", "ColorVideoVDP", LOOKED_AT, higher_is_better=True),
    )
)

# what cvvdp's own Python runs: a line of JSON with the paths of a pair gives a line with the value
SERVER = f"""
import json, sys
import numpy as np, pycvvdp
from PIL import Image
metric = pycvvdp.cvvdp(display_name="{DISPLAY}")
def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))
for line in sys.stdin:
    reference, distorted = map(pixels, json.loads(line))
    value, _ = metric.predict(distorted, reference, dim_order="HWC")
    print(json.dumps(float(value)), flush=True)
"""


@dataclass(frozen=True)
class File:
    """A compressed photograph: its row of the index, and both files as PNG can hold them."""

    row: Row
    original: Path
    compressed: Path

    @property
    def place(self) -> dict[str, Any]:
        """What the tables say of it first."""
        return {name: self.row[name] for name in PLACE}


def files(experiment: Experiment, layout: Layout, images: int | None) -> list[File]:
    """Return the files of the judges' photographs, of a set only so many if `images` is given.

    Raises
    ------
    MissingError
        If stage compress has not run here.
    """
    qualities = experiment.judges.match_qualities
    rows: list[Row] = [
        row for row in csv_rows(layout.jpeg / "index.csv") if int(row["match_quality"]) in qualities
    ]
    count = experiment.judges.images if images is None else images
    chosen = set(first_by_name(((row["dataset"], row["image"]) for row in rows), count))
    return [
        File(
            row,
            layout.test_image(row["dataset"], row["image"]),
            layout.jpeg_file(
                row["dataset"], row["method"], int(row["match_quality"]), row["image"]
            ),
        )
        for row in rows
        if (row["dataset"], row["image"]) in chosen
    ]


def butteraugli(file: File, scratch: Path) -> dict[str, float]:
    """Return Butteraugli's 3-norm and maximum of a file."""
    return butteraugli_of(*as_png(file, scratch))


def butteraugli_of(reference: Path, distorted: Path) -> dict[str, float]:
    """Return Butteraugli's 3-norm and maximum of two files, PNG or PPM."""
    done = subprocess.run(
        [BUTTERAUGLI, str(reference), str(distorted), "--pnorm", str(NORM)],
        capture_output=True,
        text=True,
        check=True,
    )
    return butteraugli_values(done.stdout)


def butteraugli_values(said: str) -> dict[str, float]:
    """Return the numbers in what `butteraugli_main` prints: the maximum, then the 3-norm."""
    found = re.fullmatch(rf"(\S+)\n{NORM}-norm: (\S+)\n", said)
    if found is None:
        raise MissingError(
            f"{BUTTERAUGLI} printed {said!r}; expected a number and its {NORM}-norm."
        )
    return {"butteraugli_3norm": float(found[2]), "butteraugli_max": float(found[1])}


def png(source: Path, path: Path) -> Path:
    """Write a file's pixels as PNG, whole before another thread can see it; return the path."""
    if not path.exists():
        partial = path.with_name(f"{threading.get_ident()}-{path.name}")
        write_image(partial, read_rgb(source))
        partial.replace(path)
    return path


def as_png(file: File, scratch: Path) -> tuple[Path, Path]:
    """Write the pixels of both files of a photograph as PNG, each once; return the paths."""
    dataset, image, method, quality, _ = (str(file.row[name]) for name in PLACE)
    folder = scratch / dataset / image
    pair = folder / "original.png", folder / f"{method}-{quality}.png"
    return png(file.original, pair[0]), png(file.compressed, pair[1])


def judge(
    path: Path,
    columns: Sequence[str],
    todo: Iterable[File],
    value: Callable[[File], dict[str, float]],
    workers: int,
) -> None:
    """Add a row for every file that the table at `path` does not have yet.

    The table is written after every `ROWS` files, so that a run that is killed loses few.
    """
    rows: list[Row] = list(csv_rows(path)) if path.exists() else []
    there = {tuple(row[name] for name in PLACE) for row in rows}
    left = [one for one in todo if tuple(map(str, one.place.values())) not in there]
    with ThreadPoolExecutor(workers) as pool:
        done = tqdm(pool.map(value, left), desc=path.stem, total=len(left), unit="file")
        for count, (one, values) in enumerate(zip(left, done, strict=True), start=1):
            rows.append({**one.place, **values})
            if count % ROWS == 0 or count == len(left):
                write_csv(path, (*PLACE, *columns), rows)


def colorvideovdp(python: str, scratch: Path) -> Iterator[Callable[[File], dict[str, float]]]:
    """Yield what judges a file by ColorVideoVDP, in a process that loads it once."""
    with subprocess.Popen(
        [python, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        asked, said = server.stdin, server.stdout

        def value(file: File) -> dict[str, float]:
            asked.write(json.dumps([str(path) for path in as_png(file, scratch)]) + "\n")
            asked.flush()
            answer = said.readline()
            if not answer:
                raise MissingError(f"{python} can't run cvvdp; see what it says above.")
            return {"colorvideovdp_jod": float(json.loads(answer))}

        yield value
        asked.close()


def comparison() -> list[dict[str, Any]]:
    """Return the differences between methods by every measure that has a table."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.csv")):
        if path.name == "comparison.csv":
            continue
        for row in csv_rows(path):
            rows.setdefault(tuple(row[name] for name in PLACE), {}).update(row)
    names = [name for name in MEASURES if all(name in row for row in rows.values())]
    return compare(rows.values(), {name: MEASURES[name] for name in names})


def version(command: Sequence[str]) -> str:
    """Return what a command prints, or that it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not known"
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge, as the module says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.eye", description="Butteraugli and ColorVideoVDP of the files."
    )
    parser.add_argument("--experiment", default="paper-cpu")
    parser.add_argument("--images", type=int, help="photographs of each set; else the judges' own")
    parser.add_argument("--cvvdp-python", help="a Python that has cvvdp; else no ColorVideoVDP")
    given = parser.parse_args(arguments)
    experiment = params.load(given.experiment)
    todo = files(experiment, Layout(experiment.name), given.images)
    if shutil.which(BUTTERAUGLI) is None:
        raise MissingError(
            f"{BUTTERAUGLI} is not there; install it: apt-get install libjxl-devtools."
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        judge(
            FOLDER / "butteraugli.csv",
            ("butteraugli_3norm", "butteraugli_max"),
            todo,
            lambda file: butteraugli(file, scratch),
            WORKERS,
        )
        if given.cvvdp_python:
            for value in colorvideovdp(given.cvvdp_python, scratch):
                judge(FOLDER / "colorvideovdp.csv", ("colorvideovdp_jod",), todo, value, 1)
    write_csv(FOLDER / "comparison.csv", COMPARISON_COLUMNS, comparison())
    packaged = "from importlib import metadata as m; print(m.version('cvvdp'), m.version('torch'))"
    about = {
        "command": "python -m benchmarks.eye",
        "experiment": experiment.name,
        "photographs": len({(one.row["dataset"], one.row["image"]) for one in todo}),
        "files": len(todo),
        "libjxl-devtools": version(["dpkg-query", "--show", "-f", "${Version}", "libjxl-devtools"]),
        "display of ColorVideoVDP": DISPLAY,
    }
    if given.cvvdp_python:
        about["cvvdp and torch"] = version([given.cvvdp_python, "-c", packaged])
    write_json(FOLDER / "about.json", about)


if __name__ == "__main__":
    main()
