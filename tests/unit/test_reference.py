"""The reference pages say what the schema and the program say."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import reference  # noqa: E402

PAGES = list(reference.PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_what_the_command_writes(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if page == "commands.md" and sys.version_info[:2] != (3, 11):
        pytest.skip("argparse of other Python versions breaks lines elsewhere")
    monkeypatch.setenv("COLUMNS", "88")
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert reference.PAGES[page]() == written, "python docs/reference.py"


def test_every_parameter_has_a_line() -> None:
    text = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    values = reference.params.read_yaml(ROOT / "config" / "demo.yaml")
    count = sum(len(one) if isinstance(one, dict) else 1 for one in values.values())
    assert len(lines) == count
