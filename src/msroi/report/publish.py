"""The report's page to hand out: with the commit and the time that each stage took.

Stage report itself writes neither, since two runs of it have to give the same bytes. So the
program notes each run of a stage in the scratch folder (`noted`), and `msroi publish` puts what it
finds there into a copy of the page.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from msroi.errors import MissingError
from msroi.experiment.layout import Layout
from msroi.files import existing, file_hash, write_text
from msroi.report.page import RUN, Table, as_html
from msroi.workflow.pipeline import LOCK

WHOLE = "1-of-1"


@contextmanager
def noted(layout: Layout, stage: str, chunk: str = WHOLE) -> Iterator[None]:
    """Note how long a stage, or a chunk of it, takes, if it ends well."""
    started, start = datetime.now(UTC), perf_counter()
    yield
    run = {
        "stage": stage,
        "chunk": chunk,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(perf_counter() - start, 1),
    }
    layout.durations.parent.mkdir(parents=True, exist_ok=True)
    # a short line is appended in one piece, also by jobs that run at the same time
    with layout.durations.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def publish(layout: Layout, out: Path) -> None:
    """Write a copy of the page with the commit, dvc.lock and durations.

    Raises
    ------
    MissingError
        If stage report has not run, or with a version that had no place for them.
    """
    page = existing(layout.report / "index.html").read_text(encoding="utf-8")
    if page.count(RUN) != 1:
        raise MissingError(
            f"{layout.report}/index.html has no place for the run; make it anew with `snakemake`."
        )
    lines = (
        layout.durations.read_text(encoding="utf-8").splitlines()
        if layout.durations.exists()
        else []
    )
    runs = last_runs(map(json.loads, lines))
    write_text(out, page.replace(RUN, as_html([origin(), stages(runs)])))


def last_runs(runs: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, float]]:
    """Return when each stage was last run and for how long, by stage.

    A stage that ran in chunks took as long as its chunks together; only chunks of the last
    number of them count, and what gathered them.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for run in runs:
        of_stage = found.setdefault(run["stage"], {})
        count = run["chunk"].partition("-of-")[2]
        for chunk in [one for one in of_stage if one.partition("-of-")[2] != count]:
            del of_stage[chunk]
        of_stage[run["chunk"]] = run
    return {
        stage: (
            min(run["started"] for run in of_stage.values()),
            sum(run["seconds"] for run in of_stage.values()),
        )
        for stage, of_stage in found.items()
    }


def origin() -> Table:
    """Return the commit and the hash of dvc.lock."""
    commit = git("rev-parse", "HEAD") or "not in a git repository"
    changed = " with changes that are not committed" if git("status", "--porcelain") else ""
    rows = [["commit", commit + changed]]
    rows += [[str(LOCK), f"sha256 {file_hash(LOCK)}"]] if LOCK.exists() else []
    return Table("This run", ["what", "version"], rows)


def git(*arguments: str) -> str:
    """Return what git says, or nothing where there is no repository or no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def stages(runs: Mapping[str, tuple[str, float]]) -> Table:
    """Return when each stage was run last, and how long it took."""
    rows = [[stage, started, f"{seconds:.1f}"] for stage, (started, seconds) in runs.items()]
    note = "On this machine; a stage that was restored from a cache is not here."
    return Table("Time of each stage's last run", ["stage", "started (UTC)", "seconds"], rows, note)
