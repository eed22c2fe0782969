"""The tables of results on the pages are those in the files of results."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import results  # noqa: E402


@pytest.mark.parametrize("page", sorted({page for page, _ in results.TABLES.values()}), ids=str)
def test_the_page_has_the_tables_that_the_command_writes(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert results.filled(page) == page.read_text(encoding="utf-8"), "python docs/results.py"
