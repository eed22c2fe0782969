# What the rules share: the stage list of dvc.yaml, with parameters checked before anything runs.

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from msroi.cli.parser import CHUNKED
from msroi.errors import UserError
from msroi.files import digest, file_hash
from msroi.workflow import code, pipeline, stored
from msroi.workflow.record import dvc_at_work

if not Path(pipeline.STAGES).exists():
    started = Path(workflow.basedir).resolve()
    homes = [
        home for home in (started, started.parent) if (home / pipeline.STAGES).exists()
    ]
    raise WorkflowError(
        f"There is no {pipeline.STAGES} in {Path.cwd()}; run snakemake in the project's folder"
        + (
            f", or with --directory {homes[0]}."
            if homes
            else ", a clone of its repository."
        )
    )
# also where the environment that Snakemake runs in is not activated
shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")
# whether all that stages make is in a storage (--default-storage-provider), and not in this folder
STORED = workflow.storage_settings.default_storage_provider is not None
if STORED and "DVC_STAGE" in os.environ:
    raise WorkflowError(
        "DVC looks for a stage's files in the project's folder, but this profile keeps them in a "
        "storage; run `snakemake` with it instead, whose last rule brings them here and tells DVC."
    )
if STORED:
    stored.see_new_folders()
try:
    EXPERIMENTS = pipeline.experiments()
    STAGES = pipeline.read_stages()
    code.insist_on_current(
        (name for name in STAGES if name != pipeline.ADOPT), keep=True
    )
except UserError as error:
    raise WorkflowError(str(error)) from None


# what `snakemake --report` shows: caption (workflow/report/<name>.rst) and category
REPORTED = {
    "results/{experiment}/augment/contact_sheet.png": ("augment", "Training"),
    "results/{experiment}/model/history.png": ("train", "Training"),
    "results/{experiment}/readout/history.png": ("readout", "Training"),
    "results/{experiment}/jpeg/images": ("compress", "Before and after"),
    "results/{experiment}/heatmaps/overlay": ("heatmap", "Heatmaps"),
    "results/{experiment}/metrics/per_image.csv": ("metrics", "Measurements"),
    "results/{experiment}/judges/comparison.csv": ("judges", "Measurements"),
    "results/{experiment}/gaze/comparison.csv": ("gaze", "Measurements"),
    "results/{experiment}/gaze/maps.csv": ("gaze_maps", "Measurements"),
    "results/{experiment}/gaze/bytes.csv": ("gaze_bytes", "Measurements"),
    "results/{experiment}/rate_distortion/bd_rate.csv": ("bd_rate", "Measurements"),
    "results/{experiment}/rate_distortion/rate_distortion.png": (
        "rate_distortion",
        "Measurements",
    ),
    "results/{experiment}/anova/anova.csv": ("anova", "Significance"),
    "results/{experiment}/conventions/per_image.csv": ("conventions", "Audit"),
    "results/{experiment}/audit/audit.csv": ("audit", "Audit"),
    "results/{experiment}/tables/table1.csv": ("table_images", "Tables"),
    "results/{experiment}/tables/table2.csv": ("table_images", "Tables"),
    "results/{experiment}/tables/table3.csv": ("table_means", "Tables"),
    "results/{experiment}/tables/table4.csv": ("table_means", "Tables"),
    "results/{experiment}/figures": ("figures", "Figures"),
    "results/{experiment}/report": ("report", "Page"),
}
# what is shown of a folder, and by which labels its files are told apart there
FOLDERS = {
    "results/{experiment}/jpeg/images": {
        "patterns": ["{set}/{method,jpeg|roi-trellis}/q{quality}/{name}.jpg"],
        "labels": lambda file: {
            "photograph": f"{file.set}/{file.name}",
            "size of plain JPEG of quality": file.quality,
            "version": "before" if file.method == "jpeg" else "after",
            "method": file.method,
        },
    },
    "results/{experiment}/heatmaps/overlay": {
        "patterns": ["{set}/{name}.png"],
        "labels": lambda file: {"photograph": f"{file.set}/{file.name}"},
    },
    "results/{experiment}/report": {
        "htmlindex": "index.html",
        "labels": lambda _: {"file": "the page"},
    },
}
FIGURES = {"patterns": ["{name}.png"], "labels": lambda file: {"file": file.name}}


# Stages of many photographs run in chunks, a job each, that the stage's own rule gathers. How
# many they are is set here, or by the profile or --set-scatter, and changes no result.
scattergather:
    heatmap=1,
    compress=1,
    metrics=1,


# where a chunk writes; `hash` stands for what decides its result: chunks that a stopped run has left
# are used again only if they are still right, and a rule of chunks needs no params
CHUNK = {
    stage: f".msroi/{{experiment}}/{stage}/{{hash}}/{{scatteritem}}"
    for stage in CHUNKED
}
# stages that take seconds or the network, which run where Snakemake runs
LOCAL = ("download", "augment", "anova")
# stages that share their work among all cores
PARALLEL = ("train", "readout", "judges", "gaze", "rate_distortion", "conventions")


wildcard_constraints:
    experiment=r"[A-Za-z0-9_-]+",
    hash=r"[0-9a-f]{16}",


def inputs(stage):
    """Return the files that a stage depends on, the lock of its code among them.

    Those of the source are in no storage; there they are parameters (`decides`).
    """
    made = [dep for dep in STAGES[stage].deps if "{" in dep]
    return made if STORED else of_source(stage) + made


def of_source(stage):
    """Return the files of the repository that a stage depends on.

    Of a folder these are the files in it, as Snakemake would not see that one of them has changed.
    """
    return [
        file for dep in STAGES[stage].deps if "{" not in dep for file in files_of(dep)
    ]


def files_of(dep):
    """Return a file, or the files in a folder."""
    if not Path(dep).is_dir():
        return [dep]
    return sorted(str(file) for file in Path(dep).rglob("*") if file.is_file())


def outputs(stage):
    """Return a stage's files, marked for the report; a path without suffix is a folder."""
    return [marked(out) for out in STAGES[stage].outs]


def marked(out):
    """Mark a folder as folder and what the report shows as such."""
    is_folder = not Path(out).suffix
    file = directory(out) if is_folder else out
    if out not in REPORTED:
        return file
    caption, category = REPORTED[out]
    if is_folder:
        how = FOLDERS.get(out, FIGURES)
    else:
        how = {"labels": lambda _: {"file": Path(out).name}}
    labels = how["labels"]
    return report(
        file,
        caption=f"../report/{caption}.rst",
        category=category,
        **how | {"labels": lambda w: {"experiment": w.experiment, **labels(w)}},
    )


def decides(stage):
    """Return a function that tells all that decides a stage's result, so that a change is seen.

    The names of what it depends on stand here, since Snakemake is told not to look at the set of
    input files (profiles/default): chunks belong to it, whose number decides nothing.
    """
    source = {"source": source_hashes(stage)} if STORED else {}
    return lambda wildcards: {
        "deps": STAGES[stage].deps,
        "params": STAGES[stage].values(wildcards.experiment),
        **source,
    }


def source_hashes(stage):
    """Return the hash of every file of the repository that a stage depends on."""
    return {file: file_hash(Path(file)) for file in of_source(stage)}


def chunks(stage):
    """Return a function that tells the folders of all chunks of a stage."""

    def folders(wildcards):
        of_all = digest(json.dumps(decides(stage)(wildcards)))
        collect = getattr(gather, stage)
        return collect(CHUNK[stage], experiment=wildcards.experiment, hash=of_all)

    return folders
