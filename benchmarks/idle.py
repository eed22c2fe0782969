"""The tools when there is nothing to do: `snakemake`, `dvc repro` and `msroi --help`.

The experiments of params.yaml have to be there and up to date. Each tool's own start, without
this project, is timed beside it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.comparison import Bound, Comparison, side_by_side
from msroi.errors import MissingError
from msroi.workflow import pipeline

SNAKEMAKE = ("snakemake",)
DVC = ("dvc", "repro")
HELP = ("msroi", "--help")
# an import of JAX takes longer than the whole answer may
LIGHT = """
import sys
from msroi.cli import main
try:
    main.main(["--help"])
finally:
    assert "jax" not in sys.modules
"""
AT_MOST: Bound = "at most"


@dataclass(frozen=True)
class Idle:
    """A command that has nothing to do, and the start of its tool that it cannot do without."""

    job: str
    command: Sequence[str]
    start: Sequence[str]
    start_is: str
    most_s: float


IDLE = (
    Idle("snakemake_idle", SNAKEMAKE, ("snakemake", "--version"), "`snakemake --version`", 3.0),
    Idle("dvc_idle", DVC, DVC, "`dvc repro` of a project without stages", 5.0),
    Idle("help", HELP, (sys.executable, "-c", "pass"), "Python that does nothing", 0.3),
)


def measure(repeats: int) -> list[Comparison]:
    """Time the three commands in this folder."""
    require_nothing_to_do()
    ran((sys.executable, "-c", LIGHT))
    with TemporaryDirectory() as empty:
        make_empty_project(Path(empty))
        return [compared(idle, repeats, Path(empty)) for idle in IDLE]


def compared(idle: Idle, repeats: int, empty: Path) -> Comparison:
    """Time one command here and its tool's own start in a project without anything."""
    ours_s, start_s = side_by_side(
        partial(ran, idle.command), partial(ran, idle.start, empty), repeats
    )
    row = Comparison(
        job=idle.job,
        ours=f"`{' '.join(idle.command)}`",
        against=f"its own start: {idle.start_is}, {median(start_s):.2f} s",
        ratios=ours_s,
        unit="s",
        target=idle.most_s,
        bound=AT_MOST,
        seconds={"ours": ours_s, "start": start_s},
    )
    share = median(start_s) / row.ratio
    why = f"{100 * share:.0f} % is the tool's own start, {idle.start_is}: {median(start_s):.2f} s"
    return row if row.reached else replace(row, limit=why)


def ran(command: Sequence[str], folder: Path | None = None) -> str:
    """Run a command, in the working folder if none is given, and return what it says."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, env=environment()
    )
    return done.stdout + done.stderr


def environment() -> dict[str, str]:
    """Return the environment in which the tools of this Python come first."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def nothing_to_do(tool: str, said: str) -> bool:
    """Tell from what a tool says of a dry run whether it has nothing to do but check the locks."""
    if tool == "dvc":
        return set(re.findall(r"Running stage '([^']+)'", said)) == {pipeline.LOCKS}
    return "Nothing to be done" in said


def require_nothing_to_do() -> None:
    """Make sure that what is timed is doing nothing.

    Raises
    ------
    MissingError
        If Snakemake or DVC would run something.
    """
    for command in (("snakemake", "--dry-run"), ("dvc", "repro", "--dry")):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment()
        )
        if done.returncode or not nothing_to_do(command[0], done.stdout + done.stderr):
            raise MissingError(
                f"The benchmark `idle` times the tools when there is nothing to do, but "
                f"`{' '.join(command)}` has something; run `snakemake` first."
            )


def make_empty_project(folder: Path) -> None:
    """Make a folder a project of DVC without stages."""
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    ran(("dvc", "init", "--no-scm", "--quiet"), folder)
