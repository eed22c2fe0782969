"""What larger sets would cost, from what `paper-cpu` took: `python -m benchmarks.plan`.

Prints the tables of docs/scale.md in Markdown. Every figure below is a measurement and its
source, or follows from them; nothing here is a measurement at the larger scale. Only the last
tables have figures at that scale, of results/bench/{scale,many_rows,stores}.json.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.table import RESULTS
from msroi.files import read_json

CORES = 2  # of the machine that the times are of
PHOTOS = (
    339  # of paper-cpu: 139 SALICON-type, 100 of General-100 and 100 of OSIE (results/paper-cpu)
)
MEGAPIXELS = 72.81  # of all of them together: width and height in index.csv
SALICON_MEGAPIXELS = 0.3072  # 640×480
# that do not grow with the number of photographs (config/paper-cpu.yaml), in minutes: features
# 25, training 22, passes of 60 photographs 9, judges 11, gaze 12, conventions 6, curves 4, the
# rest 1.5
FIXED_MINUTES = 90.5
READERS = ("anova", "judges", "rate_distortion", "report")  # of tables of all photographs
SHARD_PHOTOGRAPHS = 100  # compress.shard_photographs


@dataclass(frozen=True)
class Stage:
    """What a stage takes for one photograph of 640×480.

    Attributes
    ----------
    name
        Of the stage.
    seconds
        On both cores.
    kept, files
        Bytes and files that it writes, into folders.
    pulled
        Bytes that a worker without a shared disk has to fetch first.
    """

    name: str
    seconds: float
    kept: float
    files: int
    pulled: float


def per_photo(minutes: float) -> float:
    """Return seconds for a SALICON photograph of what all photographs took; pixels count."""
    return minutes * 60 / MEGAPIXELS * SALICON_MEGAPIXELS


# bytes: sizes of the folders of the 139 SALICON-type photographs, divided by 139
SOURCE = 23_550_985 / 139
PNG = 75_030_273 / 139
OVERLAY = 69_705_978 / 139
SALIENCY = 28_880_838 / 139  # six maps
JPEGS = 214_161_706 / 139  # 32 files: eight methods, four qualities
# tables: size of the file, divided by its photographs
INDEX_ROW = 1_941_913 / 9483
SERVICE_JPEG = 36_022  # mean of roi-trellis at the size of quality 50, in the same set
# CPU time of `msroi compress` (a map, and roi-trellis at the size of quality 50) with 24 of the
# SALICON-type photographs less that with 4, divided by 20, so that the start does not count;
# the mean of two such pairs, 2.88 and 2.62
SERVICE_SECONDS = 2.75
JPEG_INDEX = 1_280_711 / PHOTOS
PER_IMAGE = 1_892_921 / PHOTOS

STAGES = (
    Stage("download", 0.0, SOURCE, 1, 0.0),  # the network's speed decides
    # 9483 images in 40 s
    Stage("prepare", 40 / 9483, PNG + INDEX_ROW, 1, SOURCE),
    # minutes: config/paper-cpu.yaml
    Stage("heatmap", per_photo(9), OVERLAY + SALIENCY, 7, PNG),
    Stage("compress", per_photo(14.3), JPEGS + JPEG_INDEX, 32, PNG + SALIENCY),
    Stage("metrics", per_photo(3.3), PER_IMAGE, 0, PNG + SALIENCY + JPEGS),
)


@dataclass(frozen=True)
class Plan:
    """What one set of photographs costs."""

    name: str
    photos: int
    core_hours: float
    fixed_hours: float
    kept: float
    files: int
    in_shards: int
    network: float

    def days(self, cores: int) -> float:
        """Return the days on so many cores, all busy, after what does not spread."""
        return (self.fixed_hours + self.core_hours / cores) / 24


def experiment(name: str, photos: int) -> Plan:
    """Return the cost of the whole pipeline, every stage but the fixed ones by photograph."""
    seconds = sum(stage.seconds for stage in STAGES)
    kept = sum(stage.kept for stage in STAGES)
    pulled = sum(stage.pulled for stage in STAGES)
    return Plan(
        name,
        photos,
        photos * seconds * CORES / 3600,
        FIXED_MINUTES / 60,
        photos * kept,
        photos * sum(stage.files for stage in STAGES),
        photos * sum(stage.files for stage in STAGES if stage.name != "compress")
        + -(-photos // SHARD_PHOTOGRAPHS),
        photos * (kept + pulled),
    )


def service(name: str, photos: int) -> Plan:
    """Return the cost of a map and one file a photograph, of which only the file is kept."""
    return Plan(
        name,
        photos,
        photos * SERVICE_SECONDS / 3600,
        0.0,
        photos * SERVICE_JPEG,
        photos,
        -(-photos // SHARD_PHOTOGRAPHS),
        photos * (SOURCE + SERVICE_JPEG),
    )


PLANS = (
    experiment("SALICON", 20_000),
    experiment("COCO", 330_000),
    service("a million photos a day, roi-trellis alone", 1_000_000),
)


def stage_table() -> list[str]:
    """Return the figures of one photograph."""
    rows = [
        f"| `{stage.name}` | {stage.seconds:.2g} | {stage.kept / 1e3:.0f} | {stage.files} "
        f"| {stage.pulled / 1e3:.0f} |"
        for stage in STAGES
    ]
    return [
        f"| stage | s on {CORES} cores | kB kept | files | kB to fetch without a shared disk |",
        "| --- | --- | --- | --- | --- |",
        *rows,
    ]


def plan_table(plans: Sequence[Plan]) -> list[str]:
    """Return what each set costs."""
    rows = [
        f"| {plan.name} | {plan.photos:,} | {plan.core_hours:,.0f} "
        f"| {' / '.join(f'{plan.days(cores):.2g}' for cores in (CORES, 64, 1000))} "
        f"| {plan.kept / 1e9:,.0f} | {plan.files:,} | {plan.in_shards:,} "
        f"| {plan.network / 1e9:,.0f} |"
        for plan in plans
    ]
    return [
        f"| set | photographs | core-hours | days on {CORES} / 64 / 1000 cores | GB kept | files "
        "| files with shards | GB moved without a shared disk |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


def scale_table(scale: dict[str, Any], many: dict[str, Any]) -> list[str]:
    """Return time, memory, files and bytes by the number of photographs, and how each is known.

    `scale` and `many` are results/bench/scale.json and many_rows.json.
    """
    rows = []
    for count, stages in sorted(many["counts"].items(), key=lambda one: int(one[0])):
        plan = experiment("", int(count))
        chunks = scale["curve"].get(count)
        one = "–" if chunks is None else f"{most(chunks, 'chunk_mb'):.0f}"
        readers = {name: stages[name] for name in READERS}
        seconds = sum(found["processor_s"] for found in readers.values())
        rows.append(
            f"| {int(count):,} | {plan.core_hours:,.1f} | {one} | {seconds:,.0f} "
            f"| {most(readers, 'mb'):,.0f} | {plan.files:,} | {plan.in_shards:,} "
            f"| {plan.kept / 1e9:,.1f} |"
        )
    return [
        "| photographs | core-hours of all (planned) | MB of a chunk (measured) "
        f"| processor seconds of {', '.join(f'`{name}`' for name in READERS)} (simulated) "
        "| MB of the largest of these (simulated) "
        "| files in folders (planned) | with shards (planned) | GB kept (planned) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


def rows_table(many: dict[str, Any]) -> list[str]:
    """Return processor seconds and memory of each stage of tables; `many` is many_rows.json."""
    counts = sorted(many["counts"], key=int)
    stages = [name for name in many["counts"][counts[0]] if name != "per_image_mb"]

    def cell(count: str, stage: str) -> str:
        found = many["counts"][count].get(stage)
        return f"{found['processor_s']:g} s, {found['mb']:g} MB" if found else "–"

    return [
        f"| stage | {' | '.join(f'{int(count):,}' for count in counts)} |",
        f"| --- |{' --- |' * len(counts)}",
        *(f"| `{name}` | {' | '.join(cell(count, name) for count in counts)} |" for name in stages),
    ]


def stores_table(stores: dict[str, Any]) -> list[str]:
    """Return what files cost in folders and in shards, as results/bench/stores.json has it."""
    return [
        "| files | inodes | with DVC's cache | `dvc add` | `dvc status` | `dvc push` "
        "| push after one photograph changed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {run['inodes']:,} | {run['inodes_with_cache']:,} "
            + "".join(f"| {run[step]['processor_s']:g} s " for step in ("add", "status", "push"))
            + f"| {run['push_changed']['processor_s']:g} s |"
            for name, run in stores["runs"].items()
        ),
    ]


def most(stages: dict[str, Any], key: str) -> float:
    """Return the largest of the numbers that stages have by this name."""
    return float(max(found[key] for found in stages.values() if isinstance(found, dict)))


def tables() -> list[list[str]]:
    """Return all tables."""
    scale, many, stores = (
        read_json(RESULTS / f"{name}.json") for name in ("scale", "many_rows", "stores")
    )
    return [
        stage_table(),
        plan_table(PLANS),
        scale_table(scale, many),
        rows_table(many),
        stores_table(stores),
    ]


def main() -> int:
    """Print the tables."""
    sys.stdout.write("\n\n".join("\n".join(lines) for lines in tables()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
