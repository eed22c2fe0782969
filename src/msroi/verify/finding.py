"""What a check of the committed results found; `committed` says which checks there are."""

from dataclasses import dataclass

HASH, CHAIN, RECOMPUTED = "hash", "chain", "recomputed"
INTACT, MISSING, DIFFERS = "intact", "missing", "differs"


@dataclass(frozen=True)
class Checked:
    """What a check found; `allowed` is what is missing and need not be here.

    That is what only DVC's cache holds, and all outputs of an experiment that was never
    recorded.
    """

    experiment: str
    kind: str
    path: str
    state: str
    allowed: bool
    detail: str


def intact(experiment: str, kind: str, path: str) -> Checked:
    """Return that a file is as it should be."""
    return Checked(experiment, kind, path, INTACT, False, "")


def differs(experiment: str, kind: str, path: str, detail: str) -> Checked:
    """Return that a file is not what it should be."""
    return Checked(experiment, kind, path, DIFFERS, False, detail)


def missing(experiment: str, kind: str, path: str, *, of_git: bool = True) -> Checked:
    """Return that a file is not there, and how to get it."""
    remedy = f"`git checkout -- {path}`" if of_git else "`dvc pull` (git does not hold it)"
    return Checked(experiment, kind, path, MISSING, not of_git, remedy)


def named(error: Exception) -> str:
    """Return an error's type and text, for a detail."""
    return f"{type(error).__name__}: {error}"
