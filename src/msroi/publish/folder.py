"""Write a recorded run into a folder that can go to an archive as it is."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from importlib.metadata import metadata
from pathlib import Path

from msroi import __version__
from msroi.errors import ParameterError
from msroi.experiment import params
from msroi.files import fresh_folder, write_json
from msroi.publish.crate import METADATA, SNAKEFILE, Author, Run, document
from msroi.sources import table
from msroi.verify import hashes
from msroi.verify.hashes import Locked
from msroi.workflow import code, pipeline
from msroi.workflow.dvc_hash import version_of
from msroi.workflow.pipeline import LOCK

# what belongs to every run; folders with all that is in them
PROJECT = (
    *(SNAKEFILE, "dvc.yaml", "dvc.lock", "params.yaml", "pyproject.toml", "README.md"),
    *(
        "LICENSE",
        "CITATION.cff",
        "requirements/lock.txt",
        "requirements/build.txt",
        str(table.TABLE),
    ),
    *("workflow", "profiles", "src"),
)
LEFT_OUT = ("__pycache__", ".snakemake_timestamp", "*.egg-info")
ORGANISATION = Author("The msroi authors", is_person=False)
AUTHOR = re.compile(r"(?P<name>[^<>]*[^<>\s])(?:\s*<(?P<orcid>\d{4}-\d{4}-\d{4}-\d{3}[\dX])>)?")
PACKAGE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)")


def publish(
    experiment: str, out: Path, purposes: Mapping[str, str], authors: Sequence[Author] = ()
) -> str:
    """Write the crate of an experiment; return a sentence that says what is in it.

    Parameters
    ----------
    experiment
        Its name; dvc.lock has its stages.
    out
        The folder to make.
    purposes
        By the stages' names, what each does.
    authors
        Who made the run; the project's if there are none.

    Raises
    ------
    ParameterError
        If `out` is there, nothing is recorded, or a file is not the one that was recorded.
    """
    if out.exists():
        raise ParameterError(f"{out} is there already; name a folder that is not, or remove it.")
    stages = recorded(experiment)
    download = params.load(experiment).download
    wanted = {*download.datasets, download.weights}
    kept, absent = results(stages)
    own = [Path(one) for name in PROJECT for one in inside(Path(name))]
    paths = dict.fromkeys([*own, params.config_path(experiment), params.SCHEMA, *kept])
    partial = fresh_folder(out.with_name(f".partial-{out.name}"))
    try:
        for path in paths:
            target = partial / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        run = Run(
            experiment=experiment,
            title=metadata("msroi")["Summary"],
            licence="MIT",
            date=committed(LOCK),
            stages=stages,
            purposes=purposes,
            files={path.as_posix(): version_of(partial / path) for path in sorted(paths)},
            sources=[one for one in table.read(table.TABLE) if one.name in wanted],
            packages=packages(stages),
            version=__version__,
            authors=authors or [ORGANISATION],
        )
        write_json(partial / METADATA, document(run))
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    rest = (
        f"; {len(absent)} outputs that are not here are described by their hash" if absent else ""
    )
    return f"{out}: {len(paths)} files of experiment {experiment}{rest}."


def recorded(experiment: str) -> dict[str, Locked]:
    """Return the stages of an experiment that dvc.lock has, in their order."""
    lock = hashes.read_lock() if LOCK.is_file() else {}
    names = [name for name in pipeline.read_stages() if name != pipeline.ADOPT]
    found = {name: lock[f"{name}@{experiment}"] for name in names if f"{name}@{experiment}" in lock}
    if not found:
        raise ParameterError(
            f"{LOCK} has no stage of experiment {experiment!r}; run `snakemake`, which records "
            "what it made."
        )
    return found


def results(stages: Mapping[str, Locked]) -> tuple[list[Path], list[str]]:
    """Return the files of the outputs that are here as recorded, and the outputs that are not."""
    kept: list[Path] = []
    absent: list[str] = []
    for name, version in [one for locked in stages.values() for one in locked.outs.items()]:
        path = Path(name)
        if not path.exists():
            absent.append(name)
        elif version_of(path).md5 != version.md5:
            raise ParameterError(
                f"{path} is not the one that {LOCK} records; `msroi verify` says more. Run "
                "`dvc repro`, or take the recorded one back."
            )
        elif name.startswith("results/"):
            kept += inside(path)
    return kept, absent


def inside(path: Path) -> list[Path]:
    """Return a file, or the files in a folder, without what programs leave there."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.rglob("*") if one.is_file())
    return [
        one
        for one in found
        if not any(fnmatch(part, left) for part in one.parts for left in LEFT_OUT)
    ]


def packages(stages: Mapping[str, Locked]) -> dict[str, str]:
    """Return the versions of the packages that the locks of the stages' code name."""
    found: dict[str, str] = {}
    for name in stages:
        lock = code.lock_path(name)
        if lock.is_file():
            text = lock.read_text(encoding="utf-8")
            found |= {one["name"]: one["version"] for one in PACKAGE.finditer(text)}
    return dict(sorted(found.items()))


def committed(path: Path) -> str:
    """Return when a file was last committed, as ISO 8601.

    Raises
    ------
    ParameterError
        If git does not know.
    """
    command = ["git", "log", "-1", "--format=%cI", "--", str(path)]
    try:
        date = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        date = ""
    if not date:
        raise ParameterError(
            f"git does not know when {path} was committed; commit it, so that the crate has a date."
        )
    return date


def author(text: str) -> Author:
    """Return the author of `Name` or `Name <ORCID>`; `ParameterError` if it is neither."""
    found = AUTHOR.fullmatch(text.strip())
    if found is None:
        raise ParameterError(
            f"--author is a name, or a name and an ORCID, such as "
            f"'Josiah Carberry <0000-0002-1825-0097>'; got {text!r}."
        )
    return Author(found["name"], found["orcid"] or "")
