"""Memory and time of the stages that read tables of all photographs, up to 330 000 of them.

`python -m benchmarks.many_rows` makes tables with a row for each photograph, method and quality
whose numbers are drawn, and photographs that are all one picture of 64×48 px. It runs the real
stages on them, each in a process of its own: the gathering of `metrics`, then `anova`, `judges`,
`rate_distortion` and `report`. Writes results/bench/many_rows.json. `--source` measures other
code, such as an older version's `src`.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import yaml

from benchmarks import table
from msroi.encoders import jpeg
from msroi.encoders.methods import in_gallery
from msroi.experiment import prepared_images
from msroi.experiment.chunks import ALL, part
from msroi.experiment.layout import Layout
from msroi.files import csv_table, write_bytes, write_json
from msroi.images import write_image
from msroi.stages import compress, metrics

COUNTS = (1000, 20_000, 330_000)
NAME = "many"
SETS = ("salient", "texture")
METHODS = ("jpeg", "jpeg-opt", "jpegli", "mozjpeg", "msroi", "roi-trellis", "trellis")
QUALITIES = (30, 50, 70)
STAGES = ("metrics", "anova", "judges", "rate_distortion", "report")
HEIGHT_PX, WIDTH_PX = 48, 64
SEVERAL = 5  # photographs of a set that tables and figures show
TOGETHER = 10_000  # photographs whose numbers are drawn at once
MISSED = 0.002  # share of the files that miss the size
LIMIT_S = 3600
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
    parser.add_argument("--name", default="many_rows", help="of the file in results/bench")
    given = parser.parse_args(arguments)
    found = {}
    for count in given.counts:
        sys.stderr.write(f"bench: many_rows, {count} photographs\n")
        with tempfile.TemporaryDirectory(prefix="msroi-many-") as folder:
            found[str(count)] = measured(Path(folder), count, given.stages, given.source.resolve())
        write_json(
            table.RESULTS / f"{given.name}.json",
            {"machine": table.machine(), "rows_a_photograph": len(cells()), "counts": found},
        )


def measured(folder: Path, count: int, stages: Sequence[str], source: Path) -> dict[str, Any]:
    """Return what each stage took with so many photographs."""
    make_project(folder, count, source.parent)
    layout = Layout(NAME, folder / "results")
    found: dict[str, Any] = {}
    for stage in dict.fromkeys(["metrics", *stages]):
        into = ["--gather", str(folder / "parts" / str(ALL))] if stage == "metrics" else []
        found[stage] = usage(folder, [stage, "--experiment", NAME, *into], source)
        sys.stderr.write(f"bench: {stage} {found[stage]}\n")
        if "stopped" in found[stage] and stage == "metrics":
            raise SystemExit("bench: without metrics nothing follows")
    found["per_image_mb"] = (layout.metrics / "per_image.csv").stat().st_size / 1e6
    return found


def usage(folder: Path, words: Sequence[str], source: Path) -> dict[str, Any]:
    """Run a stage; return seconds, processor seconds and the most memory (resident, MB)."""
    start = perf_counter()
    command = [sys.executable, "-m", "msroi", "stage", *words]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S)),
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    found: dict[str, Any] = {
        "s": round(perf_counter() - start, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "mb": round(used.ru_maxrss * 1024 / 1e6),
    }
    if process.returncode:
        lines = said.strip().splitlines() or ["nothing"]
        found["stopped"] = f"status {process.returncode}: {lines[-1]}"
    return found


def cells() -> list[tuple[str, int]]:
    """Return methods and qualities, as the table has them."""
    return [(method, quality) for method in METHODS for quality in QUALITIES]


def names(count: int) -> Iterator[tuple[str, str]]:
    """Yield data set and name of each photograph, sorted."""
    for place, dataset in enumerate(SETS):
        for number in range(count * place // len(SETS), count * (place + 1) // len(SETS)):
            yield dataset, f"{number:06d}"


def make_project(folder: Path, count: int, code: Path) -> None:
    """Make a project where every stage before the gathering of metrics has run."""
    here = Path.cwd()
    (folder / "config").mkdir()
    for name in LINKED:
        (folder / name).symlink_to(code / name)
    (folder / "data").mkdir()
    (folder / "data" / "published").symlink_to(here / "data" / "published")
    values = yaml.safe_load((here / "config" / "demo.yaml").read_text(encoding="utf-8"))
    values["compress"] |= {"methods": list(METHODS), "match_qualities": list(QUALITIES)}
    values["heatmap"] |= {"passes_images": 2}
    values["report"] |= {"images": SEVERAL}
    values["judges"] |= {"images": 2}
    (folder / "config" / f"{NAME}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    made, committed = folder / Layout(NAME).results, here / Layout("paper-cpu").results
    for path in (*COMMITTED, *AUDITED):
        write_bytes(made / path, (committed / path).read_bytes())
    passes = np.random.default_rng(0).random((2 * len(SETS), 3, 14, 14), dtype=np.float32)
    (made / "heatmaps").mkdir()
    np.save(made / "heatmaps" / "passes.npy", passes)
    write_index(folder, count)
    write_pictures(folder, count)
    write_tables(folder, count)


def write_index(folder: Path, count: int) -> None:
    """Write the index of the test photographs."""
    layout = Layout(NAME)
    with csv_table(folder / layout.index, prepared_images.COLUMNS) as add:
        for number, (dataset, image) in enumerate(names(count)):
            row = {"row": number, "split": "test", "dataset": dataset, "image": image}
            size = {"path": f"{image}.png", "width": WIDTH_PX, "height": HEIGHT_PX}
            add([dict.fromkeys(prepared_images.COLUMNS, "") | row | size])


def write_pictures(folder: Path, count: int) -> None:
    """Write one photograph, its map and its files; all others are links to them."""
    layout = Layout(NAME)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (HEIGHT_PX // 8, WIDTH_PX // 8, 3), dtype=np.uint8)
    pixels = coarse.repeat(8, axis=0).repeat(8, axis=1)
    ramp = np.tile(np.linspace(0, 255, WIDTH_PX).astype(np.uint8), (HEIGHT_PX, 1))
    kept = folder / "one"
    write_image(kept / "photograph.png", pixels)
    write_image(kept / "map.png", ramp)
    write_bytes(kept / "file.jpg", jpeg.encode(pixels, 50))
    for number, (dataset, image) in enumerate(names(count)):
        links = {
            layout.test_image(dataset, image): "photograph.png",
            layout.saliency("readout", dataset, image): "map.png",
        }
        first = number % -(-count // len(SETS)) <= SEVERAL
        if first:
            links[layout.saliency("paper", dataset, image)] = "map.png"
            links[layout.overlay(dataset, image)] = "photograph.png"
        for method in METHODS if first else in_gallery():
            links[layout.jpeg_file(dataset, method, 50, image)] = "file.jpg"
        for path, name in links.items():
            link(folder / path, kept / name)


def link(path: Path, target: Path) -> None:
    """Make a path stand for a file that is there."""
    try:
        path.symlink_to(target)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.symlink_to(target)


def write_tables(folder: Path, count: int) -> None:
    """Write the index of the files, and what one chunk of metrics would have measured."""
    layout = Layout(NAME)
    tables = {
        folder / layout.jpeg / "index.csv": compress.COLUMNS,
        part(layout, folder / "parts" / str(ALL)).metrics / "measured.csv": metrics.MEASURED,
    }
    for path, columns in tables.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        line = ",".join(f"{{{name}}}" for name in columns) + "\n"
        with path.open("w", encoding="utf-8") as file:
            file.write(",".join(columns) + "\n")
            file.writelines(line.format_map(row) for row in drawn(count))


def drawn(count: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each file, with numbers such as real ones have; always the same."""
    rng = np.random.default_rng(0)
    gain = np.array([0.4 * (method != "jpeg") + quality / 20 for method, quality in cells()])
    shape = (TOGETHER, len(cells()))
    for number, (dataset, image) in enumerate(names(count)):
        place = number % TOGETHER
        if not place:
            psnrs = 28 + gain + rng.normal(0, 3, (TOGETHER, 1)) + rng.normal(0, 1, shape)
            errors = np.where(rng.random(shape) < MISSED, 5, rng.normal(0, 0.2, shape))
            squared = (65025 / 10 ** (psnrs / 10)).tolist()
            psnrs, errors = psnrs.tolist(), errors.tolist()
        for cell, (method, quality) in enumerate(cells()):
            psnr, error = psnrs[place][cell], errors[place][cell]
            target = 20_000 + 100 * quality
            yield {
                "experiment": NAME,
                "dataset": dataset,
                "image": image,
                "method": method,
                "match_quality": quality,
                "q_final": f"{quality}.000",
                "bytes": round(target * (1 + error / 100)),
                "target_bytes": target,
                "size_error_pct": f"{error:.4f}",
                "mse_rgb": f"{squared[place][cell]:.8g}",
                "psnr_rgb_db": f"{psnr:.8g}",
                "ssim_luma": f"{1 - 1 / psnr:.8g}",
                "ms_ssim_luma": f"{1 - 0.5 / psnr:.8g}",
                "wpsnr_rgb_db": f"{psnr + 0.3:.8g}",
                "encoder": f"{method} 1.0 (drawn)",
                "matched": "true" if abs(error) <= 1 else "false",
                "ms_ssim_scales": 5,
            }


if __name__ == "__main__":
    main()
