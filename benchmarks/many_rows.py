"""Memory and time of the stages that read tables of all photographs, up to 330 000 of them.

`python -m benchmarks.many_rows` makes tables with a row for each photograph, method and quality.
Their numbers are drawn for 10 000 photographs and repeat. It runs the real stages on them, each in
a process of its own: `anova`, `judges`, `rate_distortion`, `report` and the gathering of
`metrics`; and what most stages begin with, reading the `index`. All photographs are one picture of
128×128 px, wherever a stage looks for one.
Writes results/bench/many_rows.json, after each stage. `--source` measures other code, such as an
older version's `src`, and `--most-gb` stops a stage that wants more memory.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import yaml

from benchmarks import table
from msroi.encoders import jpeg
from msroi.experiment import params, prepared_images
from msroi.experiment.chunks import ALL, part
from msroi.experiment.layout import Layout
from msroi.files import csv_rows, csv_table, read_json, write_bytes, write_csv, write_json
from msroi.images import write_image
from msroi.stages import compress, gaze, metrics

COUNTS = (1000, 20_000, 330_000)
NAME = "many"
SETS = ("salient", "texture")
METHODS = ("jpeg", "jpeg-opt", "jpegli", "mozjpeg", "msroi", "roi-trellis", "trellis")
QUALITIES = (30, 50, 70)
CELLS = [(method, quality) for method in METHODS for quality in QUALITIES]
STAGES = ("index", "anova", "judges", "rate_distortion", "metrics", "report")
SIDE_PX = 128
SHOWN = 5  # photographs of a set in tables and figures
DRAWN = 10_000  # photographs whose numbers are drawn
MISSED = 0.002  # share of the files that miss the size
LINKED = ("workflow", "dvc.yaml", "src", "requirements")
# what earlier stages leave, of an experiment whose results are committed
COMMITTED = ("model/summary.json", "model/history.csv", "model/history.png")
AUDITED = ("audit/audit.csv", "audit/summary.json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_rows", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help=f"{COUNTS}")
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--source", type=Path, default=Path("src"), help="code to measure (src)")
    parser.add_argument("--most-gb", type=float, default=16, help="address space of a stage (16)")
    parser.add_argument("--name", default="many_rows", help="of the file in results/bench")
    parser.add_argument("--run", choices=STAGES, help=argparse.SUPPRESS)  # in a process of its own
    given = parser.parse_args(arguments)
    if given.run:
        run(given.run)
        return
    path = table.RESULTS / f"{given.name}.json"
    counts = read_json(path)["counts"] if path.exists() else {}
    for count in given.counts:
        sys.stderr.write(f"bench: many_rows, {count} photographs\n")
        with tempfile.TemporaryDirectory(prefix="msroi-many-") as name:
            folder, source = Path(name), given.source.resolve()
            found = counts.setdefault(str(count), {})
            found["per_image_mb"] = make_project(folder, count, source.parent)
            for stage in given.stages:
                found[stage] = usage(folder, stage, source, given.most_gb)
                sys.stderr.write(f"bench: {stage} {found[stage]}\n")
                about = {"machine": table.machine(), "rows_a_photograph": len(CELLS)}
                write_json(path, about | {"counts": counts})


@dataclass(frozen=True)
class OnePicture(Layout):
    """The layout of an experiment whose photographs, maps and files are all the same."""

    def test_image(self, dataset: str, image: str) -> Path:
        """Return the photograph."""
        return Path("one/photograph.png")

    def overlay(self, dataset: str, image: str) -> Path:
        """Return the photograph again."""
        return Path("one/photograph.png")

    def saliency(self, name: str, dataset: str, image: str) -> Path:
        """Return the map."""
        return Path("one/map.png")

    def jpeg_file(self, dataset: str, method: str, match_quality: int, image: str) -> Path:
        """Return the file."""
        return Path("one/file.jpg")


def run(stage: str) -> None:
    """Run a stage, or the gathering of metrics, in the folder of the project."""
    experiment, layout = params.load(NAME), OnePicture(NAME)
    if stage == "index":
        for _ in prepared_images.test_images(layout):
            pass
    elif stage == "metrics":
        metrics.gather(experiment, layout, [part(layout, Path("parts") / str(ALL))])
    else:
        import_module(f"msroi.stages.{stage}").run(experiment, layout)


def usage(folder: Path, stage: str, source: Path, most_gb: float) -> dict[str, Any]:
    """Run a stage; return seconds, processor seconds and the most memory (resident, MB)."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (int(most_gb * 1e9),) * 2)

    start = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.many_rows", "--run", stage],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(source), str(Path.cwd())])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limited,
    )
    assert process.stderr
    said = process.stderr.read().strip().splitlines()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    found: dict[str, Any] = {
        "s": round(perf_counter() - start, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "mb": round(used.ru_maxrss * 1024 / 1e6),
    }
    return found | ({"stopped": said[-1] if said else ""} if process.returncode else {})


def make_project(folder: Path, count: int, code: Path) -> float:
    """Make a project where all other stages have run; return the MB of metrics/per_image.csv."""
    here, layout = Path.cwd(), Layout(NAME)
    (folder / "config").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "published").symlink_to(here / "data" / "published")
    for name in LINKED:
        (folder / name).symlink_to(code / name)
    values = yaml.safe_load((code / "config" / "demo.yaml").read_text(encoding="utf-8"))
    values["compress"] |= {"methods": list(METHODS), "match_qualities": list(QUALITIES)}
    values["heatmap"] |= {"passes_images": 2}
    values["report"] |= {"images": SHOWN}
    config = folder / "config" / f"{NAME}.yaml"
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    for path in (*COMMITTED, *AUDITED):
        committed = here / Layout("paper-cpu").results / path
        write_bytes(folder / layout.results / path, committed.read_bytes())
    passes = np.random.default_rng(0).random((2 * len(SETS), 3, 14, 14), dtype=np.float32)
    (folder / layout.heatmaps).mkdir()
    np.save(folder / layout.heatmaps / "passes.npy", passes)
    lines = drawn()
    per_image = folder / layout.metrics / "per_image.csv"
    write_rows(per_image, metrics.COLUMNS, lines, count)
    write_rows(folder / layout.jpeg / "index.csv", compress.COLUMNS, lines, count)
    chunk = part(layout, folder / "parts" / str(ALL))
    write_rows(chunk.metrics / "measured.csv", metrics.MEASURED, lines, count)
    few = islice(csv_rows(chunk.metrics / "measured.csv"), 100 * len(CELLS))
    of_one_set = metrics.summarise(map(metrics.numbered, few))[SETS[0]]
    write_json(folder / layout.metrics / "summary.json", dict.fromkeys(SETS, of_one_set))
    # nobody has looked at these photographs
    write_csv(folder / layout.gaze / "comparison.csv", gaze.COMPARISON_COLUMNS, [])
    write_csv(folder / layout.gaze / "bytes.csv", gaze.BYTES_COLUMNS, [])
    write_index(folder / layout.index, count)
    write_picture(folder)
    for empty in (layout.test_images, layout.heatmaps / "saliency", layout.heatmaps / "overlay"):
        (folder / empty).mkdir(parents=True)
    (folder / layout.jpeg / "images").mkdir()
    return per_image.stat().st_size / 1e6


def names(count: int) -> Iterator[tuple[str, str]]:
    """Yield data set and name of each photograph, sorted."""
    for place, dataset in enumerate(SETS):
        for number in range(count * place // len(SETS), count * (place + 1) // len(SETS)):
            yield dataset, f"{number:06d}"


def drawn() -> list[list[dict[str, str]]]:
    """Return the rows of `DRAWN` photographs, with numbers such as real ones have."""
    rng, shape = np.random.default_rng(0), (DRAWN, len(CELLS))
    gain = np.array([0.4 * (method != "jpeg") + quality / 20 for method, quality in CELLS])
    psnrs = 28 + gain + rng.normal(0, 3, (DRAWN, 1)) + rng.normal(0, 1, shape)
    errors = np.where(rng.random(shape) < MISSED, 5, rng.normal(0, 0.2, shape))
    return [
        [
            row(method, quality, float(psnr), float(error))
            for (method, quality), psnr, error in zip(CELLS, *pair, strict=True)
        ]
        for pair in zip(psnrs, errors, strict=True)
    ]


def row(method: str, quality: int, psnr: float, error: float) -> dict[str, str]:
    """Return the row of a file of this PSNR and size error, but for the photograph."""
    target = 20_000 + 100 * quality
    values = {
        "experiment": NAME,
        "method": method,
        "match_quality": quality,
        "q_final": f"{quality}.000",
        "bytes": round(target * (1 + error / 100)),
        "target_bytes": target,
        "size_error_pct": f"{error:.4f}",
        "mse_rgb": f"{255**2 / 10 ** (psnr / 10):.8g}",
        "psnr_rgb_db": f"{psnr:.8g}",
        "ssim_luma": f"{1 - 1 / psnr:.8g}",
        "ms_ssim_luma": f"{1 - 0.5 / psnr:.8g}",
        "wpsnr_rgb_db": f"{psnr + 0.3:.8g}",
        "encoder": f"{method} 1.0 (drawn)",
        "matched": "true" if abs(error) <= 1 else "false",
        "ms_ssim_scales": 5,
    }
    return {name: str(value) for name, value in values.items()}


def write_rows(
    path: Path, columns: Sequence[str], rows: Sequence[Sequence[dict[str, str]]], count: int
) -> None:
    """Write a table with the rows of so many photographs, drawn ones again and again."""
    place = columns.index("dataset")  # before the image
    before, after = columns[:place], columns[place + 2 :]
    cut = [
        [[",".join(one[name] for name in part) for part in (before, after)] for one in of_one]
        for of_one in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(columns) + "\n")
        for number, name in enumerate(names(count)):
            middle = ",".join(name)
            for start, end in cut[number % DRAWN]:
                file.write(f"{start},{middle},{end}\n" if start else f"{middle},{end}\n")


def write_index(path: Path, count: int) -> None:
    """Write the index of the test photographs."""
    size = {"width": SIDE_PX, "height": SIDE_PX}
    with csv_table(path, prepared_images.COLUMNS) as add:
        for number, (dataset, image) in enumerate(names(count)):
            found = {"row": number, "split": "test", "dataset": dataset, "image": image}
            add([dict.fromkeys(prepared_images.COLUMNS, "") | found | size])


def write_picture(folder: Path) -> None:
    """Write the photograph, the map and the file that stand for all."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (SIDE_PX // 8, SIDE_PX // 8, 3))
    noisy = coarse.repeat(8, 0).repeat(8, 1) + rng.integers(-8, 9, (SIDE_PX, SIDE_PX, 3))
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    ramp = np.tile(np.linspace(0, 255, SIDE_PX).astype(np.uint8), (SIDE_PX, 1))
    write_image(folder / "one" / "photograph.png", pixels)
    write_image(folder / "one" / "map.png", ramp)
    write_bytes(folder / "one" / "file.jpg", jpeg.encode(pixels, 50))


if __name__ == "__main__":
    main()
