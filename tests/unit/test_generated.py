"""Committed tables are current: each page has what its command writes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile.page import filled

from benchmarks import plan, table
from msroi.experiment import comparison
from msroi.verify import tables as verify_tables

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import reference  # noqa: E402

import results  # noqa: E402


def planned(page: str) -> str:
    """Return the page as it is if it has the plan's tables, else these."""
    tables = ["\n".join(lines) for lines in plan.tables()]
    return page if all(one in page for one in tables) else "\n\n".join(tables)


def timed(page: str) -> str:
    """Return the page with the table of the committed results/bench."""
    before, _, rest = page.partition(table.START)
    _, _, after = rest.partition(table.END)
    return "\n".join([before + table.START, *table.lines(table.measured()), table.END + after])


def allowed(page: str) -> str:
    """Return the page as it is if it says what the audit allows, else what that is."""
    numbers = [
        f"{verify_tables.RELATIVE:g} of the value |",
        f"{verify_tables.ROUNDED:g} besides |",
        f"{comparison.DIGITS} significant digits",
    ]
    return page if all(one in page for one in numbers) else "\n".join(numbers)


def rewritten(page: Path) -> Callable[[str], str]:
    return lambda _: results.filled(page)


# the command that writes it, the page, and the page as it should be from the page as it is
PAGES = [
    *(
        ("python docs/results.py", str(page), rewritten(page))
        for page in sorted({page for page, _ in results.TABLES.values()})
    ),
    *(
        ("python docs/reference.py", f"docs/{name}", lambda _, write=write: write())
        for name, write in reference.PAGES.items()
    ),
    ("PYTHONPATH=src:tests/unit python -m hostile", "docs/reliability.md", filled),
    ("an editor, by msroi.own_tables and msroi.matched", "docs/reliability.md", allowed),
    ("python -m benchmarks.plan", "docs/scale.md", planned),
    ("make bench", "docs/performance.md", timed),
]


@pytest.mark.parametrize(
    ("command", "page", "current"), PAGES, ids=[f"{page} by {by}" for by, page, _ in PAGES]
)
def test_committed_tables_are_current(monkeypatch, command, page, current):
    if page == "docs/commands.md" and sys.version_info[:2] != (3, 11):
        pytest.skip("argparse of other Python versions breaks lines elsewhere")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "88")
    text = Path(page).read_text(encoding="utf-8")
    assert current(text) == text, f"write it anew: {command}"
