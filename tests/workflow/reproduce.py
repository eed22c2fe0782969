"""Run an experiment twice, each time in a clone of its own, and compare every file of every out.

Run it from the project's folder: PYTHONPATH=.:src:tests/workflow python -m reproduce --help
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmarks.table import machine
from msroi.cli.parser import CHUNKED
from msroi.errors import UserError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import file_hash, fresh_folder, read_json, write_json
from msroi.stages.report import markdown
from msroi.workflow import pipeline
from msroi.workflow.dvc_hash import IGNORED

ROOT = Path(__file__).parents[2]
RESULTS = Path("results/reproduce")
PAGE = Path("docs/reliability.md")
START, END = "<!-- reproduce -->\n", "<!-- end of reproduce -->"
SHOWN = 16  # digits of a hash in a table
NAMED = 5  # files that are named of an out that differs
# where XLA (the first) and the linear algebra below NumPy and SciPy read how many threads to start
THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Setting:
    """How a run is made; `threads` None is as many as there are cores."""

    threads: int | None = None
    chunks: int = 1

    def __str__(self) -> str:
        """Return it in words."""
        threads = "a thread a core" if self.threads is None else f"threads: {self.threads}"
        return f"{threads}, chunks a stage: {self.chunks}"

    @property
    def environment(self) -> dict[str, str]:
        """What is added to the environment of the run."""
        return {} if self.threads is None else dict.fromkeys(THREADS, str(self.threads))

    def command(self, experiment: str) -> list[str]:
        """Return the command that runs an experiment from download to report."""
        cores = "all" if self.threads is None else str(self.threads)
        scatter = [f"{stage}={self.chunks}" for stage in CHUNKED]
        target = str(Layout(experiment).agreed)
        return ["snakemake", "--cores", cores, "--set-scatter", *scatter, "--", target]


@dataclass(frozen=True)
class Out:
    """One out of both runs; its size and hash are those of the first."""

    out: str
    files: int
    bytes: int
    sha256: str
    differing: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return the table's row."""
        row: dict[str, Any] = asdict(self)
        named = ", ".join(self.differing[:NAMED])
        more = len(self.differing) - NAMED
        row["identical"] = f"no: {named}" if named else "yes"
        row["identical"] += f" and {more} more" if more > 0 else ""
        return row | {"bytes": f"{self.bytes:,}", "sha256": self.sha256[:SHOWN]}


def clone(folder: Path, experiment: str) -> None:
    """Clone what is committed, without the results of the experiment.

    Raises
    ------
    UserError
        If the experiment is not committed.
    """
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    with chdir(folder):
        if not params.config_path(experiment).is_file():
            raise UserError(
                f"{params.config_path(experiment)} is not committed; commit it, or name another "
                "experiment."
            )
        fresh_folder(Layout(experiment).results)
        pipeline.EXPERIMENTS.write_text(f"experiments: [{experiment}]\n", encoding="utf-8")


def run(folder: Path, experiment: str, setting: Setting) -> None:
    """Run an experiment in a clone.

    Raises
    ------
    UserError
        If the run fails; what it said is on stderr.
    """
    environment = os.environ | {"PYTHONPATH": str(folder / "src")} | setting.environment
    with on_cores(setting.threads):
        done = subprocess.run(
            setting.command(experiment), cwd=folder, env=environment, stdout=sys.stderr, check=False
        )
    if done.returncode:
        raise UserError(f"The run ({setting}) failed with exit status {done.returncode}.")


@contextmanager
def on_cores(threads: int | None) -> Iterator[None]:
    """Leave at most `threads` cores to what is started, where the system can."""
    if threads is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def outs_of(folder: Path, experiment: str) -> list[str]:
    """Return every out of dvc.yaml but the mark of `adopt`, which lies among the scratch."""
    with chdir(folder):
        stages = pipeline.read_stages().values()
    return [
        out.format(experiment=experiment)
        for stage in stages
        if stage.name != pipeline.ADOPT
        for out in stage.outs
    ]


def files_of(path: Path) -> dict[str, Path]:
    """Return an out's files by their path in it ("" for an out that is a file itself)."""
    if path.is_file():
        return {"": path}
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return {
        file.relative_to(path).as_posix(): file
        for file in files
        if not any(fnmatchcase(file.name, pattern) for pattern in IGNORED)
    }


def compare(first: Path, second: Path, out: str) -> Out:
    """Compare one out of two clones, file by file.

    The hash of a folder is that of its files' hashes and paths, a line each as `sha256sum`
    prints them, sorted by path.
    """
    files = files_of(first / out)
    hashes = {name: file_hash(file) for name, file in files.items()}
    others = {name: file_hash(file) for name, file in files_of(second / out).items()}
    differing = sorted(
        name or out for name in hashes | others if hashes.get(name) != others.get(name)
    )
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return Out(
        out=out,
        files=len(files),
        bytes=sum(file.stat().st_size for file in files.values()),
        sha256=hashes.get("") or hashlib.sha256(listed.encode()).hexdigest(),
        differing=tuple(differing) if hashes else ("nothing is there",),
    )


def twice(experiment: str, settings: Sequence[Setting]) -> list[Out]:
    """Run an experiment in each of two settings, and compare all outs."""
    with tempfile.TemporaryDirectory(prefix="msroi-reproduce-") as scratch:
        clones = [Path(scratch) / name for name in ("first", "second")]
        for folder in clones:
            clone(folder, experiment)
        for folder, setting in zip(clones, settings, strict=True):
            sys.stderr.write(f"reproduce: {experiment}, {setting}\n")
            run(folder, experiment, setting)
        first, second = clones
        return [compare(first, second, out) for out in outs_of(first, experiment)]


def table(outs: Sequence[Out]) -> str:
    """Return all outs as a Markdown table."""
    columns = ("out", "files", "bytes", "sha256", "identical")
    return markdown(columns, [out.row() for out in outs])


def verdict(experiment: str, outs: Sequence[Out]) -> str:
    """Say in one sentence whether both runs gave the same."""
    files = sum(out.files for out in outs)
    differing = [out.out for out in outs if out.differing]
    if differing:
        return (
            f"{experiment}: {len(differing)} of {len(outs)} outs differ between the two runs, the "
            f"first of them {differing[0]}."
        )
    return f"{experiment}: all {files} files of {len(outs)} outs are identical in both runs."


def head() -> str:
    """Return the short name of the commit that is run."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def write(experiment: str, commit: str, settings: Sequence[Setting], outs: Sequence[Out]) -> None:
    """Write what was found to results/reproduce, and the page's table anew."""
    about = {"commit": commit, "machine": machine(), "runs": [str(s) for s in settings]}
    write_json(RESULTS / f"{experiment}.json", about | {"outs": [asdict(out) for out in outs]})
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """Return the page with the tables of all experiments in results/reproduce."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    texts = [section(file.stem, read_json(file)) for file in sorted(RESULTS.glob("*.json"))]
    return "\n".join([before + START, *texts, END + after])


def section(experiment: str, found: Mapping[str, Any]) -> str:
    """Return what stands on the page of one experiment."""
    outs = [Out(**out | {"differing": tuple(out["differing"])}) for out in found["outs"]]
    first, second = found["runs"]
    where = found["machine"]
    return (
        f"{verdict(experiment, outs)} Commit {found['commit']}; {where['processor']}, "
        f"{where['cores']} cores, Python {where['python']}. First run: {first}; second: {second}."
        f"\n\n{table(outs)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare, print; return 1 if anything differs, 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(prog="python -m reproduce", description=__doc__)
    parser.add_argument("experiment", nargs="?", default="demo", help="(%(default)s)")
    parser.add_argument("--threads", type=int, help="threads of the second run (one a core)")
    parser.add_argument("--chunks", type=int, default=1, help="its chunks a stage (%(default)s)")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS} and {PAGE}, too")
    given = parser.parse_args(arguments)
    for name in ("threads", "chunks"):
        if (value := getattr(given, name)) is not None and value < 1:
            parser.error(f"--{name}: {value} is less than 1")
    settings = (Setting(), Setting(given.threads, given.chunks))
    commit = head()
    try:
        outs = twice(given.experiment, settings)
    except UserError as error:
        sys.stderr.write(f"reproduce: {error}\n")
        return 2
    if given.write:
        write(given.experiment, commit, settings, outs)
    sys.stdout.write(f"{table(outs)}\n{verdict(given.experiment, outs)}\n")
    return 1 if any(out.differing for out in outs) else 0


if __name__ == "__main__":
    sys.exit(main())
