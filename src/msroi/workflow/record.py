"""Snakemake and DVC agree: `record` tells DVC what Snakemake made, `adopt` the reverse.

Both leave the same mark. Snakemake knows it as the output of its last rule, and DVC as that of its
last stage. Where it is missing, the other tool has to learn what happened.

DVC decides by content what is up to date. An output may differ from what dvc.lock says although
nothing that its stage depends on has changed. Then either someone edited the file by hand or the
stage is not reproducible. `record` refuses to hide that.

A kill may end a run at any moment. DVC writes dvc.lock in place, so `record` keeps a copy while DVC
does. The next `record` restores it from that. Both commands sweep away what stages have left
half-written.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from msroi.errors import RecordError
from msroi.experiment.layout import Layout
from msroi.files import write_bytes, write_text
from msroi.workflow import pipeline, view
from msroi.workflow.dvc_hash import HALF_WRITTEN
from msroi.workflow.pipeline import ADOPT, LOCK, LOCKS

DVC_NOTES = Path(".dvc/tmp/rwlock")  # what each dvc reads and writes, and its process
DVC_LOCAL = Path(".dvc/config.local")  # what DVC is told of this machine alone
LOCK_BEFORE = Path(".msroi/dvc.lock")  # the copy: there only while DVC writes, or after a kill

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
    """Say which files `record` refuses, and the two ways out."""
    listed = "; ".join(f"{stage}: {', '.join(files)}" for stage, files in found.items())
    files = shlex.join(path for paths in found.values() for path in paths)
    return (
        f"Not recorded, since nothing explains these changed outputs ({listed}): either a "
        "file was edited by hand or a stage does not give the same result twice. "
        f"To go back to what was recorded: rm -r {files} && dvc repro. "
        f"To accept what is there: dvc commit --force --no-relink {' '.join(found)} && snakemake."
    )


def tool(*command: str) -> str:
    """Run one of the two tools and return what it prints.

    Raises
    ------
    RecordError
        If it fails; the message holds what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise RecordError(f"`{shlex.join(command)}` failed: {said}")
    return done.stdout


def record(experiment: str, where: Sequence[Path] = ()) -> None:
    """Commit all outputs of one experiment to DVC, after the check, and leave the mark.

    `where` are its files where Snakemake keeps them: the outputs first come from there.
    If the check fails there is no mark. So `dvc repro`, which may then only bring back files, has
    to tell Snakemake of them.

    Raises
    ------
    RecordError
        If an output changed without a cause, or DVC fails.
    """
    do_without_git()
    restore_lock()
    stages = pipeline.read_stages()
    layout = Layout(experiment)
    if where:
        layout.agreed.unlink(missing_ok=True)
        outs = (out.format(experiment=experiment) for out in pipeline.outputs(stages))
        view.bring(outs, view.root(where, layout))
    # the last stage depends on all; of each that it names DVC would read and write dvc.lock anew
    last = stages[ADOPT].address(experiment)
    status = json.loads(tool("dvc", "status", "--json", "--with-deps", last))
    status.pop(last, None)
    found = unexplained(status)
    if found:
        layout.agreed.unlink(missing_ok=True)
        raise RecordError(refusal(found))
    agree(experiment)
    write_bytes(LOCK_BEFORE, LOCK.read_bytes() if LOCK.exists() else b"")
    # without --no-relink DVC touches every file and Snakemake would run everything again
    tool("dvc", "commit", "--force", "--no-relink", "--with-deps", LOCKS, last)
    order = [stage.address(experiment) for stage in stages.values()]
    write_text(LOCK, in_order(LOCK.read_text(encoding="utf-8"), order))
    LOCK_BEFORE.unlink()


def in_order(lock: str, order: Sequence[str]) -> str:
    """Return the text of dvc.lock with some of its stages in an order, each where one of them was.

    DVC adds new stages in any order.
    """
    head, *entries = re.split(r"^(?=  \S)", lock, flags=re.MULTILINE)
    place = {f"  {name}:": number for number, name in enumerate(order)}

    def name(entry: str) -> str:
        return entry.partition("\n")[0]

    ours = (entry for entry in entries if name(entry) in place)
    ordered = iter(sorted(ours, key=lambda entry: place[name(entry)]))
    return head + "".join(next(ordered) if name(entry) in place else entry for entry in entries)


def in_git() -> bool:
    """Tell whether the working folder is in a git repository."""
    here = Path.cwd()
    return any((folder / ".git").exists() for folder in (here, *here.parents))


def do_without_git() -> None:
    """Tell DVC to do without git where there is none, as in an archive of a release.

    It leaves alone what DVC already knows of this machine.
    """
    if not in_git() and not DVC_LOCAL.exists():
        write_text(DVC_LOCAL, "[core]\n    no_scm = true\n")


def dvc_at_work() -> int | None:
    """Return the process of a `dvc` that writes outputs here, if there is one.

    DVC notes who writes what, and leaves the notes of killed processes.
    """
    try:
        notes = json.loads(DVC_NOTES.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):  # DVC never ran, or writes at this moment
        return None
    for note in notes.get("write", {}).values():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any("dvc" in word for word in psutil.Process(note["pid"]).cmdline()):
                return int(note["pid"])
    return None


def restore_lock() -> None:
    """Bring dvc.lock back if the last `record` ended early, or failed, while DVC wrote it.

    It leaves alone one that git has checked out since.
    """
    if not LOCK_BEFORE.exists():
        return
    if not in_git() or tool("git", "status", "--porcelain", "--", str(LOCK)):
        before = LOCK_BEFORE.read_bytes()
        if before:
            write_bytes(LOCK, before)
        else:
            LOCK.unlink()
    LOCK_BEFORE.unlink()


def adopt(experiment: str) -> None:
    """Tell Snakemake that what DVC ran or restored is up to date, and leave the mark.

    It asks DVC whether that is so. Results may belong to other parameters: after `dvc exp apply`,
    or where git has checked out parameters that nobody has run.

    Raises
    ------
    RecordError
        If DVC knows a stage that is due, or a tool fails.
    """
    stages = pipeline.read_stages().values()
    others = [stage.address(experiment) for stage in stages if stage.name != ADOPT]
    due = json.loads(tool("dvc", "status", "--json", *others))
    if due:
        Layout(experiment).agreed.unlink(missing_ok=True)
        raise RecordError(
            f"Snakemake was not told that {experiment} is up to date, since to DVC these stages "
            f"are due: {', '.join(due)}. Run `dvc repro`, which makes them and then runs adopt."
        )
    agree(experiment)
    LOCK_BEFORE.unlink(missing_ok=True)
    tool("snakemake", "--touch", "--", str(Layout(experiment).agreed))


def agree(experiment: str) -> None:
    """Sweep away what killed runs have left half-written, and write the mark.

    Its content never changes, so that DVC sees no change in it.
    """
    layout = Layout(experiment)
    for folder in (layout.data, layout.results):
        for left in folder.rglob(HALF_WRITTEN):
            left.unlink()
    write_text(layout.agreed, "Snakemake and DVC agree.\n")
