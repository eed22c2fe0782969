"""What a check of the committed results found. `committed` says which checks there are."""

from dataclasses import dataclass

HASH, CHAIN, RECOMPUTED = "hash", "chain", "recomputed"
INTACT, MISSING, OUTDATED, DIFFERS = "intact", "missing", "outdated", "differs"


@dataclass(frozen=True)
class Checked:
    """What a check found, with what is missing or outdated but no failure in `allowed`.

    To `allowed` belongs what only DVC's cache holds. All outputs of an experiment without a record
    belong to it, and those of a stage that is newer than the results. So do tables of other
    parameters that today's code can't read.
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


def outdated(
    experiment: str,
    kind: str,
    path: str,
    why: str = "made with other parameters by older code",
) -> Checked:
    """Return that a file is of older results, and what makes it anew."""
    return Checked(experiment, kind, path, OUTDATED, True, f"{why}; `dvc repro` makes it anew")


def missing(experiment: str, kind: str, path: str, *, of_git: bool = True) -> Checked:
    """Return that a file is not there, and how to get it."""
    remedy = f"`git checkout -- {path}`" if of_git else "`dvc pull` (git does not hold it)"
    return Checked(experiment, kind, path, MISSING, not of_git, remedy)


def named(error: Exception) -> str:
    """Return an error's type and text, for a detail."""
    return f"{type(error).__name__}: {error}"
