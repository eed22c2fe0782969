"""After a full run by Snakemake, tell DVC what it made, unless that can't be right.

DVC decides by content what is up to date. If an output differs from what dvc.lock says
although nothing that its stage depends on has changed, either someone edited the file by
hand or the stage is not reproducible; recording it would hide that.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from msroi import pipeline
from msroi.errors import RecordError

# entries of `dvc status --json`
Status = Mapping[str, Sequence[Any]]


def unexplained(status: Status) -> dict[str, list[str]]:
    """Return the stages with changed outputs but nothing changed that explains it.

    Parameters
    ----------
    status
        What `dvc status --json` prints: by stage, a list of
        `{"changed deps": …}`, `{"changed outs": {path: kind}}`, `"changed command"`.

    Returns
    -------
    The changed files, by stage. An output that DVC has never seen (kind `new`) is no change.
    """
    found = {}
    for stage, changes in status.items():
        outs: dict[str, str] = {}
        explained = False
        for change in changes:
            if isinstance(change, dict) and "changed outs" in change:
                outs |= change["changed outs"]
            else:
                explained = True
        files = sorted(path for path, kind in outs.items() if kind in ("modified", "deleted"))
        if files and not explained:
            found[stage] = files
    return found


def refusal(found: Mapping[str, Sequence[str]]) -> str:
    """Say which files are refused, and the three ways out."""
    listed = "; ".join(f"{stage}: {', '.join(files)}" for stage, files in found.items())
    stages = " ".join(found)
    files = " ".join(path for paths in found.values() for path in paths)
    return (
        f"Not recorded, since nothing explains these changed outputs ({listed}): either the "
        "file was edited by hand or the stage does not give the same result twice. "
        f"To rebuild: rm -r {files} && snakemake. To restore: dvc checkout --force {stages} && "
        f"dvc repro --force --single-item {_adopt(found)}. "
        f"To accept: dvc commit --force --no-relink {stages} && snakemake."
    )


def _adopt(found: Mapping[str, Sequence[str]]) -> str:
    experiments = sorted({stage.partition("@")[2] for stage in found})
    return " ".join(f"{pipeline.ADOPT}@{experiment}" for experiment in experiments)


def dvc(*arguments: str) -> str:
    """Run DVC and return what it prints.

    Raises
    ------
    RecordError
        If DVC fails; the message holds what it said.
    """
    done = subprocess.run(["dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise RecordError(f"`dvc {' '.join(arguments)}` failed: {said}")
    return done.stdout


def record(experiment: str) -> None:
    """Commit all outputs of one experiment to DVC, after the check.

    Raises
    ------
    RecordError
        If an output changed without a cause, or DVC fails.
    """
    addresses = [stage.address(experiment) for stage in pipeline.read_stages().values()]
    found = unexplained(json.loads(dvc("status", "--json", *addresses)))
    if found:
        raise RecordError(refusal(found))
    # without --no-relink DVC touches every file and Snakemake would run everything again
    dvc("commit", "--force", "--no-relink", *addresses)
