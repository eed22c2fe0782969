"""Write a recorded run into a folder or an archive that can go to a repository as it is."""

import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import Any

from msroi import __version__
from msroi.errors import ParameterError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import fresh_folder, write_json, written_whole
from msroi.publish.crate import DOWNLOAD, METADATA, SNAKEFILE, Author, Run, document, elsewhere
from msroi.sources import table
from msroi.sources.table import Source
from msroi.verify import hashes
from msroi.verify.hashes import Locked
from msroi.workflow import code, pipeline
from msroi.workflow.dvc_hash import IGNORED, Version, version_of
from msroi.workflow.pipeline import LOCK

CITATION = Path("CITATION.cff")
# what git holds of these belongs to every run; folders with all that is in them
PROJECT = (
    *(SNAKEFILE, "dvc.yaml", "dvc.lock", "params.yaml", "pyproject.toml", "README.md", "LICENSE"),
    *(str(CITATION), "requirements/lock.txt", "requirements/build.txt", str(table.TABLE)),
    *("workflow", "profiles", "src"),
)
ARCHIVE = ".zip"
AUTHOR = re.compile(
    r"(?P<name>[^<>]*[^<>\s])"
    r"(?:\s*<(?:https://orcid\.org/)?(?P<orcid>\d{4}-\d{4}-\d{4}-\d{3}[\dX])>)?"
)
PACKAGE = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)$", re.MULTILINE)
# the earliest time that a zip archive can give
NO_TIME = (1980, 1, 1, 0, 0, 0)


def publish(
    experiment: str, out: Path, purposes: Mapping[str, str], authors: Sequence[Author] = ()
) -> str:
    """Write the crate of an experiment, and return a line that says what is in it.

    Parameters
    ----------
    experiment
        The name of an experiment that dvc.lock has.
    out
        The folder to make, or the archive if its name ends in .zip.
    purposes
        What each stage does, by its name.
    authors
        Who made the run, by default the authors that CITATION.cff names.

    Raises
    ------
    ParameterError
        If `out` is there already.
        If dvc.lock does not have the experiment, or has another version of a result.
        If git does not know the project.
    """
    if out.exists():
        raise ParameterError(f"{out} is there already; name one that is not, or remove it.")
    stages = recorded(experiment)
    citation = params.read_yaml(CITATION)
    outs = results(experiment, stages)
    deps = (path for locked in stages.values() for path in locked.deps)
    own = git_files([*PROJECT, str(params.config_path(experiment)), *deps])
    paths = sorted({*own, *(one for path in outs for one in inside(Path(path)))})
    with made_whole(out) as partial:
        copy(paths, partial)
        held = {path.as_posix(): version_of(partial / path) for path in paths}
        run = Run(
            experiment=experiment,
            title=" ".join(citation["abstract"].split()),
            licence=citation["license"],
            date=committed(LOCK),
            stages=stages,
            purposes=purposes,
            files=held,
            folders=whole_folders(stages, partial),
            sources=fetched(stages),
            packages=packages(stages),
            version=__version__,
            authors=authors or [cited(one) for one in citation["authors"]],
        )
        insist_on_recorded(outs, {**run.files, **run.folders})
        write_json(partial / METADATA, document(run))
    return said(out, run)


def recorded(experiment: str) -> dict[str, Locked]:
    """Return the stages of an experiment that dvc.lock has, in their order."""
    lock = hashes.read_lock() if LOCK.is_file() else {}
    stages = [stage for stage in pipeline.read_stages().values() if stage.name != pipeline.ADOPT]
    addresses = {stage.name: stage.address(experiment) for stage in stages}
    found = {name: lock[address] for name, address in addresses.items() if address in lock}
    if not found:
        raise ParameterError(
            f"{LOCK} has no stage of experiment {experiment!r}; run `snakemake`, which records "
            "what it made."
        )
    return found


def results(experiment: str, stages: Mapping[str, Locked]) -> dict[str, Version]:
    """Return the recorded results that are here: those that are for git, and the page."""
    of_git = [one for stage in pipeline.read_stages().values() for one in stage.uncached]
    page = Layout(experiment).report.as_posix()
    wanted = {page, *(path.format(experiment=experiment) for path in of_git)}
    written = (one for locked in stages.values() for one in locked.outs.items())
    return {path: version for path, version in written if path in wanted and Path(path).exists()}


def insist_on_recorded(outs: Mapping[str, Version], held: Mapping[str, Version]) -> None:
    """Raise a `ParameterError` if a result that the crate holds is not the recorded one."""
    for path, version in outs.items():
        if path not in held or held[path].md5 != version.md5:
            raise ParameterError(
                f"{path} is not the one that {LOCK} records; `msroi verify` says more. Run "
                "`dvc repro`, or take the recorded one back."
            )


def whole_folders(stages: Mapping[str, Locked], at: Path) -> dict[str, Version]:
    """Return the folders that stages read or wrote and that are below `at`, each as recorded."""
    named = chain.from_iterable((*one.deps.items(), *one.outs.items()) for one in stages.values())
    there = {path: version for path, version in named if (at / path).is_dir()}
    found = {path: version_of(at / path) for path in sorted(there)}
    return {path: one for path, one in found.items() if one.md5 == there[path].md5}


def fetched(stages: Mapping[str, Locked]) -> list[Source]:
    """Return the rows of the table of sources that the recorded stage `download` took."""
    if DOWNLOAD not in stages:
        return []
    (values,) = stages[DOWNLOAD].params.values()
    wanted = values[DOWNLOAD]
    rows = table.read(table.TABLE)
    names = (*wanted["datasets"], wanted["weights"])
    return [one for name in names for one in table.choose(rows, name, wanted["source"])]


def packages(stages: Mapping[str, Locked]) -> dict[str, dict[str, str]]:
    """Return the versions of the packages of each stage whose code is still the recorded one."""
    found = {}
    for name, locked in stages.items():
        lock = code.lock_path(name)
        then = locked.deps.get(lock.as_posix())
        if then is not None and lock.is_file() and version_of(lock).md5 == then.md5:
            pins = PACKAGE.finditer(lock.read_text(encoding="utf-8"))
            found[name] = {one["name"]: one["version"] for one in pins}
    return found


def said(out: Path, run: Run) -> str:
    """Return what the crate holds, what it only describes, and what nobody knows."""
    rest, unknown = len(elsewhere(run)), len(run.stages) - len(run.packages)
    parts = [
        f"{out}: {len(run.files)} files of experiment {run.experiment}.",
        *([f"Described by their hash, not copied: {rest} files and folders."] if rest else []),
        *([f"Stages without packages, as their code has changed: {unknown}."] if unknown else []),
    ]
    return " ".join(parts)


@contextmanager
def made_whole(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out`, which becomes `out` when the block ends well."""
    partial = fresh_folder(out.with_name(f".partial-{out.name}"))
    try:
        yield partial
        if out.suffix == ARCHIVE:
            with written_whole(out) as archive:
                pack(partial, archive)
        else:
            partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def copy(paths: Iterable[Path], to: Path) -> None:
    """Copy files, each to its path below `to`."""
    for path in paths:
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def pack(folder: Path, archive: Path) -> None:
    """Pack what a folder holds, so that the same files give the same bytes."""
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*")):
            name, is_folder = path.relative_to(folder).as_posix(), path.is_dir()
            about = zipfile.ZipInfo(f"{name}/" if is_folder else name, NO_TIME)
            about.external_attr = (0o40755 if is_folder else 0o100644) << 16
            packed.writestr(about, b"" if is_folder else path.read_bytes(), zipfile.ZIP_DEFLATED)


def inside(path: Path) -> list[Path]:
    """Return a file, or the files in a folder, without what DVC leaves out of its hash."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.rglob("*") if one.is_file())
    return [
        one
        for one in found
        if not any(fnmatch(part, left) for part in one.parts for left in IGNORED)
    ]


def git_files(paths: Iterable[str]) -> list[Path]:
    """Return the files at or below paths that git holds and that are here."""
    names = git("ls-files", "-z", "--", *paths).split("\0")
    return [Path(name) for name in names if name and Path(name).is_file()]


def committed(path: Path) -> str:
    """Return when a file was last committed, as ISO 8601.

    Raises
    ------
    ParameterError
        If git does not know.
    """
    date = git("log", "-1", "--format=%cI", "--", str(path)).strip()
    if not date:
        raise ParameterError(
            f"git does not know when {path} was committed; commit it, so that the crate has a date."
        )
    return date


def git(*arguments: str) -> str:
    """Return what git says.

    Raises
    ------
    ParameterError
        If there is no git, or this is no repository.
    """
    try:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise ParameterError(
            "git does not know this folder; run `msroi publish` in a clone of the project."
        ) from None


def cited(entry: Mapping[str, Any]) -> Author:
    """Return an author of CITATION.cff: a person or an organisation."""
    if "name" in entry:
        return Author(entry["name"], is_person=False)
    names = (entry.get("given-names"), entry.get("family-names"))
    return Author(" ".join(filter(None, names)), entry.get("orcid", "").rpartition("/")[2])


def author(text: str) -> Author:
    """Return the author of `Name` or `Name <ORCID>`.

    Raises
    ------
    ParameterError
        If the text is neither, or the ORCID has a slip.
    """
    found = AUTHOR.fullmatch(text.strip())
    if found is None:
        raise ParameterError(
            f"--author is a name, or a name and an ORCID, such as "
            f"'Josiah Carberry <0000-0002-1825-0097>'; got {text!r}."
        )
    orcid = found["orcid"] or ""
    if orcid and check_character(orcid) != orcid[-1]:
        raise ParameterError(
            f"--author has the ORCID {orcid}, whose last character does not fit the others; copy "
            "it from the person's page at orcid.org."
        )
    return Author(found["name"], orcid)


def check_character(orcid: str) -> str:
    """Return what an ORCID has to end with, by ISO 7064 MOD 11-2."""
    total = 0
    for digit in orcid.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return "0123456789X"[(12 - total % 11) % 11]
