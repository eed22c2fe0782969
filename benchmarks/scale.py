"""Memory and time of the stages that work in chunks, from 100 to 20 000 photographs.

`python -m benchmarks.scale` runs them under Snakemake in a project of its own with small
synthetic photographs and a head of random weights: what is measured is how cost grows with their
number, not what a real photograph costs. Writes results/bench/scale.json and draws
docs/images/scale.png.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import yaml
from matplotlib.figure import Figure
from safetensors.numpy import save_file

from benchmarks import table
from benchmarks.comparison import Comparison
from msroi.experiment import params, prepared_images
from msroi.experiment.layout import Layout
from msroi.experiment.params import Train
from msroi.files import existing, write_csv, write_json
from msroi.images import write_image

COUNTS = (100, 1000, 5000, 20000)
CHUNK_IMAGES = 1000
HEIGHT_PX, WIDTH_PX = 48, 64
NAME = "scale"
STAGES = {
    "heatmap": "results/scale/heatmaps/summary.json",
    "compress": "results/scale/jpeg/index.csv",
    "metrics": "results/scale/metrics/summary.json",
}
LINKED = ("Snakefile", "workflow", "profiles", "dvc.yaml", "src")
FIGURE = Path("docs/images/scale.png")
INTERVAL_S = 0.05

# by stage: seconds and processor seconds a photograph, and the most memory in MB of a chunk and of
# the gathering
Measured = dict[str, dict[str, float]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help=f"{COUNTS}")
    parser.add_argument(
        "--maps-to",
        type=int,
        default=max(COUNTS),
        metavar="N",
        help="run heatmap, the slowest, up to N photographs; above, maps are synthetic (all)",
    )
    given = parser.parse_args(arguments)
    curve = {}
    for count in given.counts:
        sys.stderr.write(f"bench: scale, {count} photographs\n")
        curve[str(count)] = measured(count, with_maps=count <= given.maps_to)
    write_json(
        table.RESULTS / f"{NAME}.json",
        {
            "machine": table.machine(),
            "chunk_images": CHUNK_IMAGES,
            "photograph_px": [WIDTH_PX, HEIGHT_PX],
            "curve": curve,
            "rows": [asdict(row) | row.summary() for row in rows(curve)],
        },
    )
    draw(curve, FIGURE)
    table.refresh()


def measured(count: int, *, with_maps: bool) -> dict[str, Any]:
    """Run the stages on so many photographs; without maps all but heatmap, on synthetic maps."""
    chunks = -(-count // CHUNK_IMAGES)
    scatter = [f"{stage}={chunks}" for stage in STAGES]
    with tempfile.TemporaryDirectory(prefix="msroi-scale-") as name:
        folder = Path(name)
        make_project(folder, count)
        if not with_maps:
            write_maps(folder, count)
        start = perf_counter()
        snakemake(folder, "--dry-run", "--set-scatter", *scatter)
        found: dict[str, Any] = {"dry_run_s": perf_counter() - start, "chunks": chunks}
        for stage, target in STAGES.items():
            if stage == "heatmap" and not with_maps:
                continue
            start, busy = perf_counter(), processor_s()
            with most_memory(stage) as most_mb:
                snakemake(folder, "--set-scatter", *scatter, "--", target)
            took, worked = perf_counter() - start, processor_s() - busy
            found[stage] = {"s": took, "processor_s_per_image": worked / count, **most_mb}
        return found


def processor_s() -> float:
    """Return the processor time of all commands that have ended, and of what they started.

    Unlike time by the clock it hardly depends on what else the machine does.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def snakemake(folder: Path, *arguments: str) -> None:
    """Run Snakemake in a folder; what earlier stages made is taken as it is."""
    target = arguments[-1] if "--" in arguments else ""
    stages = [stage for stage in STAGES if target in ("", STAGES[stage])]
    rules = [*stages, *(f"{stage}_chunk" for stage in stages)]
    command = ["snakemake", "--quiet", "all", "--allowed-rules", *rules]
    targets = [] if "--" in arguments else ["--", *STAGES.values()]
    said = subprocess.DEVNULL if "--dry-run" in arguments else None
    subprocess.run(
        [*command, *arguments, *targets], cwd=folder, check=True, stdout=said, stderr=said
    )


@contextmanager
def most_memory(stage: str) -> Iterator[dict[str, float]]:
    """Yield what will hold the most memory (resident, MB) of one job of a stage, by its kind."""
    most = {"chunk_mb": 0.0, "gather_mb": 0.0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL_S):
            for process in psutil.Process().children(recursive=True):
                try:
                    words, memory = process.cmdline(), process.memory_info().rss / 1e6
                except psutil.Error:  # it has ended meanwhile
                    continue
                if words[1:4] == ["-m", "msroi", stage]:
                    kind = "chunk_mb" if "--chunk" in words else "gather_mb"
                    most[kind] = max(most[kind], memory)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def make_project(folder: Path, count: int) -> None:
    """Make a project whose photographs are prepared and whose network is trained."""
    here = Path.cwd()
    for name in LINKED:
        (folder / name).symlink_to(here / name)
    shutil.copytree(here / "config", folder / "config")
    (folder / "data").mkdir()
    (folder / "data" / "published").symlink_to(here / "data" / "published")
    (folder / params.SCHEMA).parent.mkdir(parents=True, exist_ok=True)
    values = yaml.safe_load((here / "config" / "demo.yaml").read_text(encoding="utf-8"))
    values["heatmap"] |= {"input_px": 32, "passes_images": 10}
    values["compress"] |= {"methods": ["jpeg", "msroi"], "match_qualities": [50]}
    values["train"] |= {"filters": 16}
    config = folder / "config" / f"{NAME}.yaml"
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    (folder / "params.yaml").write_text(f"experiments: [{NAME}]\n", encoding="utf-8")
    layout = Layout(NAME, folder / "results")
    write_photographs(folder, count)
    (folder / layout.vgg16).parent.mkdir(parents=True)
    (folder / layout.vgg16).symlink_to(existing(here / Layout("demo").vgg16))
    (folder / layout.downloaded).mkdir()
    write_head(layout.model / "weights.safetensors", values["train"])


def write_photographs(folder: Path, count: int) -> None:
    """Write synthetic photographs, blurred noise, and their index."""
    layout = Layout(NAME)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        coarse = rng.integers(0, 256, (HEIGHT_PX // 8, WIDTH_PX // 8, 3))
        noise = rng.integers(-8, 9, (HEIGHT_PX, WIDTH_PX, 3))
        pixels = np.clip(coarse.repeat(8, axis=0).repeat(8, axis=1) + noise, 0, 255)
        path = layout.test_image("small", f"{number:06d}")
        write_image(folder / path, pixels.astype(np.uint8))
        row = {"row": number, "split": "test", "dataset": "small", "image": path.stem}
        size = {"path": path.as_posix(), "width": WIDTH_PX, "height": HEIGHT_PX}
        rows.append(dict.fromkeys(prepared_images.COLUMNS, "") | row | size)
    write_csv(folder / layout.index, prepared_images.COLUMNS, rows)


def write_maps(folder: Path, count: int) -> None:
    """Write maps of saliency, ramps from left to right."""
    layout = Layout(NAME)
    ramp = np.tile(np.linspace(0, 255, WIDTH_PX).astype(np.uint8), (HEIGHT_PX, 1))
    for number in range(count):
        write_image(folder / layout.saliency("readout", "small", f"{number:06d}"), ramp)


def write_head(path: Path, train: Mapping[str, Any]) -> None:
    """Write a head of random weights, for ten classes, in place of a trained one."""
    rng = np.random.default_rng(0)
    weights = {}
    filters = train["filters"]
    for layer, channels in (("conv6_1", 512), ("conv6_2", filters), ("conv6_3", filters)):
        kernel = rng.normal(0, (9 * channels) ** -0.5, (3, 3, channels, filters))
        weights[f"{layer}/kernel"] = kernel.astype(np.float32)
        weights[f"{layer}/bias"] = np.zeros(filters, np.float32)
    weights["gap/kernel"] = rng.normal(0, 0.5, (filters, 10)).astype(np.float32)
    described = {"classes": [f"class {n}" for n in range(10)], "train": asdict(Train(**train))}
    path.parent.mkdir(parents=True)
    save_file(weights, path, {"model": json.dumps(described)})


def rows(curve: Mapping[str, Any]) -> Iterator[Comparison]:
    """Compare the most photographs with the 1000 of one whole chunk."""
    most, one = max(curve, key=int), str(CHUNK_IMAGES)
    if one not in curve or most == one:
        return
    for stage in (stage for stage in STAGES if stage in curve[most]):
        for key, what in (
            ("chunk_mb", "memory of a chunk"),
            ("processor_s_per_image", "processor time a photograph"),
        ):
            pair = [curve[count][stage][key] for count in (most, one)]
            yield Comparison(
                job=f"scale_{stage}_{'memory' if key == 'chunk_mb' else 'time'}",
                ours=f"`{stage}`: {what}, of {most} photographs",
                against=f"the same, of {one}",
                ratios=[pair[0] / pair[1]],
                unit="of that of one chunk",
                target=1.1,
                bound="at most",
                seconds={},
            )
    yield Comparison(
        job="scale_dry_run",
        ours=f"`snakemake -n` of {most} photographs in {curve[most]['chunks']} chunks a stage",
        against="–",
        ratios=[curve[most]["dry_run_s"]],
        unit="s",
        target=15,
        bound="at most",
        seconds={},
    )


def draw(curve: Mapping[str, Any], path: Path) -> None:
    """Draw memory and time against the number of photographs."""
    counts = sorted(curve, key=int)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    memory, time = figure.subplots(1, 2)
    for stage in STAGES:
        cells = [curve[count][stage] for count in counts if stage in curve[count]]
        numbers = [int(count) for count in counts if stage in curve[count]]
        memory.plot(numbers, [cell["chunk_mb"] for cell in cells], "o-", label=f"{stage}: a chunk")
        memory.plot(
            numbers,
            [cell["gather_mb"] for cell in cells],
            "s:",
            color=memory.lines[-1].get_color(),
            label=f"{stage}: gathering",
        )
        time.plot(
            numbers, [1000 * cell["processor_s_per_image"] for cell in cells], "o-", label=stage
        )
    memory.set_ylabel("most memory of a job (MB)")
    time.set_ylabel("processor time a photograph,\nstart of jobs included (ms)")
    for axes in (memory, time):
        axes.set_xscale("log")
        axes.set_xticks([int(n) for n in counts], [f"{int(n):,}".replace(",", " ") for n in counts])
        axes.minorticks_off()
        axes.set_xlabel("photographs")
        axes.set_ylim(0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
