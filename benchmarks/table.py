"""The files of results/bench, and the table in docs/performance.md that is made from them."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison
from msroi.files import read_json, write_json, write_text

RESULTS = Path("results/bench")
SUMMARY = RESULTS / "summary.json"
PAGE = Path("docs/performance.md")
START, END = "<!-- bench: start -->", "<!-- bench: end -->"
HEADER = (
    "| job | ours | against | ratio (least to most) | what it is | n | target | |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def write(job: str, rows: Sequence[Comparison]) -> None:
    """Write one job's rows with everything that was timed, and the machine."""
    listed = [asdict(row) | row.summary() for row in rows]
    write_json(RESULTS / f"{job}.json", {"machine": machine(), "rows": listed})


def refresh() -> None:
    """Make summary.json and the page's table anew from the files of all jobs."""
    rows = measured()
    keys = ("ratio", "low", "high", "n", "target", "bound", "unit", "reached")
    write_json(SUMMARY, {row["job"]: {key: row[key] for key in keys} for row in rows})
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    write_text(PAGE, "\n".join([before + START, *lines(rows), END + after]))


def measured() -> list[dict[str, Any]]:
    """Return all rows of all jobs, by the name of the job's file."""
    files = sorted(file for file in RESULTS.glob("*.json") if file != SUMMARY)
    return [row for file in files for row in read_json(file).get("rows", [])]


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table as Markdown, and below it why a target is not reached."""
    table = [
        f"| `{row['job']}` | {row['ours']} | {row['against']} "
        f"| {row['ratio']:g} ({row['low']:g} to {row['high']:g}) | {row['unit']} | {row['n']} "
        f"| {'≥' if row['bound'] == 'at least' else '≤'} {row['target']:g} "
        f"| {'reached' if row['reached'] else 'not reached'} |"
        for row in rows
    ]
    limits = [f"- `{row['job']}`: {row['limit']}" for row in rows if row["limit"]]
    return [*HEADER, *table, *(["", "What limits some jobs:", "", *limits] if limits else [])]


def machine() -> dict[str, Any]:
    """Describe the machine, without its name."""
    cpuinfo = Path("/proc/cpuinfo")
    known = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = {line.partition(":")[2].strip() for line in known if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(models)) or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
