"""Run the benchmarks, each in a process of its own: `python -m benchmarks [job …]`.

A job is a module of this package with a function `measure(repeats)` that returns rows. Its
rows are written to results/bench/<job>.json; summary.json and the table in
docs/performance.md are made anew from all files there, so jobs can be run one by one.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks import table
from benchmarks.comparison import Comparison
from msroi.errors import UserError

JOBS = ("trunk", "training", "heatmaps", "matching", "similarity", "encoders", "idle")
REPEATS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the jobs that are named, or all; return 1 if one could not run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)} (all)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"({REPEATS})")
    parser.add_argument("--here", action="store_true", help="in this process; for one job")
    given = parser.parse_args(arguments)
    unknown = set(given.jobs) - set(JOBS)
    if unknown:
        parser.error(f"no such job: {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    if given.here:
        return run_here(given.jobs, given.repeats)
    failed = [job for job in given.jobs or JOBS if not run_apart(job, given.repeats)]
    table.refresh()
    return 1 if failed else 0


def run_here(jobs: Sequence[str], repeats: int) -> int:
    """Run jobs in this process; return 2 and say why if the user can mend what is wrong."""
    for job in jobs:
        try:
            rows: Sequence[Comparison] = import_module(f"benchmarks.{job}").measure(repeats)
        except UserError as error:
            sys.stderr.write(f"bench: {job}: {error}\n")
            return 2
        table.write(job, rows)
    return 0


def run_apart(job: str, repeats: int) -> bool:
    """Run one job in a process of its own, so that no library's threads are in another's way."""
    sys.stderr.write(f"bench: {job}\n")
    command = [sys.executable, "-m", "benchmarks", "--here", "--repeats", str(repeats), job]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
