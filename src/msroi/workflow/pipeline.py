"""The stage list of dvc.yaml, read for Snakemake, for `record` and for the tests.

dvc.yaml holds the list once. Its `${item.experiment}` is Snakemake's wildcard `{experiment}`. A
stage's deps, outs and params are its rule's input, output and params.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msroi.errors import ParameterError
from msroi.experiment.params import config_path, load, read_yaml

STAGES = Path("dvc.yaml")
LOCK = Path("dvc.lock")
EXPERIMENTS = Path("params.yaml")
ADOPT = "adopt"
LOCKS = "locks"  # DVC's own: it always runs, and belongs to no experiment


@dataclass(frozen=True)
class Stage:
    """One stage, whose paths hold `{experiment}` where the experiment's name goes."""

    name: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    uncached: frozenset[str]
    sections: tuple[str, ...]

    def address(self, experiment: str) -> str:
        """Return DVC's name of this stage for one experiment."""
        return f"{self.name}@{experiment}"

    def values(self, experiment: str) -> dict[str, Any]:
        """Return the sections of the experiment's parameter file that this stage reads."""
        path = config_path(experiment)
        changed_ns = path.stat().st_mtime_ns if path.exists() else 0
        values = _values(path, changed_ns)
        return {section: values[section] for section in self.sections}


@functools.cache
def _values(path: Path, changed_ns: int) -> dict[str, Any]:
    """Read a parameter file once for all stages, and again when it has changed."""
    values: dict[str, Any] = read_yaml(path)
    return values


def read_stages() -> dict[str, Stage]:
    """Read the stages of an experiment in their order, `adopt` (DVC's last) included."""
    stages = read_yaml(STAGES)["stages"]
    return {name: _stage(name, entry) for name, entry in stages.items() if name != LOCKS}


def outputs(stages: Mapping[str, Stage]) -> list[str]:
    """Return every output of every stage, the mark of `adopt` left out."""
    return [out for stage in stages.values() if stage.name != ADOPT for out in stage.outs]


def experiments() -> list[str]:
    """Return the experiments that run if the user names none, each checked.

    Raises
    ------
    ParameterError
        If the list or one of the parameter files is wrong.
    """
    values = read_yaml(EXPERIMENTS)
    names = values.get("experiments") if isinstance(values, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ParameterError(
            f"{EXPERIMENTS}: experiments must be a list of names of files in config/, "
            f"such as [demo]; got {names!r}."
        )
    for name in names:
        load(name)
    return names


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    outs = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
    named = [_named(out) for out in outs]
    params = entry.get("params", [])
    sections = params[0][next(iter(params[0]))] if params else []
    return Stage(
        name=name,
        deps=tuple(_wildcard(dep) for dep in entry["deps"]),
        outs=tuple(_wildcard(path) for path, _ in named),
        uncached=frozenset(_wildcard(path) for path, flags in named if flags.get("cache") is False),
        sections=tuple(sections),
    )


def _named(out: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return an out's path and flags (a plain string has none)."""
    return (out, {}) if isinstance(out, str) else next(iter(out.items()))


def _wildcard(path: str) -> str:
    return path.replace("${item.experiment}", "{experiment}")
