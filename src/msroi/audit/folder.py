"""An audit of a folder with a paper's numbers, without an experiment, checkout or run.

>>> from msroi import audit_paper
>>> found = audit_paper("my-paper")  # doctest: +SKIP
>>> [entry.finding for entry in found if entry.fails]  # doctest: +SKIP
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from msroi.audit.check import NO_RESULTS
from msroi.audit.entries import COLUMNS, Entry, entries, summarise, table_row
from msroi.audit.page import markdown
from msroi.audit.published import read_folder
from msroi.errors import ParameterError
from msroi.files import write_csv, write_json, write_text

FILES = ("paper.yaml", "tables.csv")


def audit_paper(folder: str | Path, photographs: str | Path | None = None) -> list[Entry]:
    """Return what every check finds in the paper that a folder holds.

    Checks that compare with a run say that they cannot tell. So do those that compare with
    photographs, unless `photographs` is a folder that has them, a folder a dataset.

    Raises
    ------
    ParameterError
        If `paper.yaml` or `tables.csv` is missing or wrong, or a claim has nothing to look at; the
        message names file, line and entry.
    """
    run = replace(NO_RESULTS, photographs=Path(photographs) if photographs else None)
    return list(entries(read_folder(Path(folder)), run))


def write_audit(folder: Path, found: Sequence[Entry], command: str) -> None:
    """Write the page `audit.md`, and `audit.csv` and `summary.json` as data."""
    rows = [table_row(entry) for entry in found]
    write_csv(folder / "audit.csv", COLUMNS, rows)
    write_json(folder / "summary.json", summarise(rows))
    write_text(folder / "audit.md", markdown(found, {}, command))


def write_template(folder: Path) -> None:
    """Write an example with comments to begin with: `paper.yaml` and `tables.csv`.

    Raises
    ------
    ParameterError
        If one of them is there already.
    """
    for name in FILES:
        if (folder / name).exists():
            raise ParameterError(f"{folder / name} is there already; choose another folder.")
    template = resources.files("msroi.audit") / "template"
    for name in FILES:
        write_text(folder / name, (template / name).read_text(encoding="utf-8"))
