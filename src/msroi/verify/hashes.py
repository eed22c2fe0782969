"""Whether files are those that dvc.lock describes, and come from one another.

The check `hash` compares what is on disk with dvc.lock. The check `chain` compares what dvc.lock
says that one stage wrote and the next one read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msroi.errors import ParameterError
from msroi.experiment import params
from msroi.verify.finding import (
    CHAIN,
    HASH,
    MISSING,
    Checked,
    differs,
    intact,
    missing,
    named,
    outdated,
)
from msroi.workflow import pipeline
from msroi.workflow.dvc_hash import Version, version_of
from msroi.workflow.pipeline import ADOPT, LOCK, Stage


@dataclass(frozen=True)
class Locked:
    """What a stage's record says that it read and wrote, by path, and its parameters, by file."""

    deps: Mapping[str, Version]
    outs: Mapping[str, Version]
    params: Mapping[str, Mapping[str, Any]]
    command: str


def read_lock() -> dict[str, Locked]:
    """Return what dvc.lock holds, by DVC's name of the stage.

    Raises
    ------
    ParameterError
        If it is missing, or not as DVC writes it.
    """
    values = params.read_yaml(LOCK)
    try:
        return {
            address: Locked(
                _versions(entry.get("deps", [])),
                _versions(entry.get("outs", [])),
                dict(entry.get("params", {})),
                " ".join(entry.get("cmd", "").split()),
            )
            for address, entry in values["stages"].items()
        }
    except (AttributeError, LookupError, TypeError) as error:
        raise ParameterError(
            f"{LOCK} is not as DVC writes it ({named(error)}); `git checkout -- {LOCK}`."
        ) from None


def against_lock(experiment: str) -> list[Checked]:
    """Compare an experiment's files with dvc.lock, and what dvc.lock says of its stages.

    Only the stages of dvc.yaml count, as for DVC. `adopt`, whose output is a mark in the scratch
    folder, does not.
    """
    if not LOCK.is_file():
        return [missing(experiment, HASH, str(LOCK))]
    try:
        lock = read_lock()
    except ParameterError as error:
        return [differs(experiment, HASH, str(LOCK), str(error))]
    stages = [stage for stage in pipeline.read_stages().values() if stage.name != ADOPT]
    addresses = [stage.address(experiment) for stage in stages]
    recorded = {address: lock[address] for address in addresses if address in lock}
    return [*hashes(experiment, stages, recorded), *chain(experiment, recorded)]


def hashes(
    experiment: str, stages: Sequence[Stage], lock: Mapping[str, Locked]
) -> Iterator[Checked]:
    """Compare what is on disk with every output in dvc.lock.

    What dvc.yaml marks `cache: false` is for git and must be there. An output of dvc.yaml that
    dvc.lock does not have counts as missing, since it has no record. `allowed` takes it only if
    nothing of the experiment has one. A stage that dvc.lock does not have, and that has left no
    file, is newer than the results.

    Parameters
    ----------
    stages
        Those of dvc.yaml.
    lock
        The experiment's part of dvc.lock.
    """
    of_git = {path.format(experiment=experiment) for stage in stages for path in stage.uncached}
    outs = {path: version for locked in lock.values() for path, version in locked.outs.items()}
    for path, version in outs.items():
        if not Path(path).exists():
            yield missing(experiment, HASH, path, of_git=path in of_git)
        elif (found := version_of(Path(path))).md5 != version.md5:
            detail = f"it has {found}; {LOCK} says {version}"
            yield differs(experiment, HASH, path, detail)
        else:
            yield intact(experiment, HASH, path)
    for stage in stages:
        paths = [out.format(experiment=experiment) for out in stage.outs]
        address = stage.address(experiment)
        newer = lock and address not in lock and not any(Path(path).exists() for path in paths)
        for path in (path for path in paths if path not in outs):
            if newer:
                yield outdated(experiment, HASH, path, "the results are from before this stage")
            else:
                detail = f"{LOCK} does not have it: `dvc repro {address}`"
                yield Checked(experiment, HASH, path, MISSING, not lock, detail)


def chain(experiment: str, lock: Mapping[str, Locked]) -> Iterator[Checked]:
    """Say of every output that other stages read whether they read the version it has.

    If not, what they wrote comes from something that is no longer there.
    """
    for maker, locked in lock.items():
        for path, version in locked.outs.items():
            readers = {name: other.deps[path] for name, other in lock.items() if path in other.deps}
            wrong = [
                f"{reader} read {read}"
                for reader, read in readers.items()
                if read.md5 != version.md5
            ]
            if wrong:
                detail = f"{maker} wrote {version}; {'; '.join(wrong)}"
                yield differs(experiment, CHAIN, path, detail)
            elif readers:
                yield intact(experiment, CHAIN, path)


def outdated_outputs(experiment: str) -> frozenset[str]:
    """Return outputs that are as recorded, but of stages with other parameters than today's."""
    try:
        lock = read_lock() if LOCK.is_file() else {}
    except ParameterError:
        return frozenset()  # `against_lock` says so
    of_experiment = [one for name, one in lock.items() if name.endswith(f"@{experiment}")]
    return frozenset(
        path
        for one in of_experiment
        for file, sections in one.params.items()
        if any(params.read_yaml(Path(file)).get(name) != value for name, value in sections.items())
        for path, version in one.outs.items()
        if Path(path).is_file() and version_of(Path(path)).md5 == version.md5
    )


def _versions(entries: Iterable[Mapping[str, Any]]) -> dict[str, Version]:
    return {
        entry["path"]: Version(entry["md5"], entry["size"], entry.get("nfiles"))
        for entry in entries
    }
