"""What docs/reliability.md says of other versions and machines is what the audit allows."""

from pathlib import Path

from msroi.experiment import comparison
from msroi.verify import tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def test_the_page_has_the_tolerances_of_the_code():
    _, _, rest = PAGE.partition("<!-- tolerances -->")
    table, _, after = rest.partition("<!-- end of tolerances -->")
    allowed = [line.split(" | ")[-1].removesuffix(" |") for line in table.splitlines()[4:] if line]
    assert allowed == [
        "nothing",
        f"{tables.RELATIVE:g} of the value",
        f"{tables.ROUNDED:g} besides",
        "nothing: hashes are compared",
    ]
    assert f"{comparison.DIGITS} significant digits" in after


def test_what_the_tables_round_is_far_below_what_is_allowed():
    half_a_unit = 0.5 * 10 ** (1 - comparison.DIGITS)  # of the last digit, where the first is a 1
    assert half_a_unit <= tables.RELATIVE / 10


def test_the_audit_allows_it():
    value = 27.123456
    assert tables.same_value(value * (1 + 0.9 * tables.RELATIVE), value)
    assert not tables.same_value(value * (1 + 1.1 * tables.RELATIVE), value)
    assert tables.same_value(0.5 + tables.ROUNDED, 0.5, unit=tables.ROUNDED)
    assert not tables.same_value(0.5 + 2 * tables.ROUNDED, 0.5, unit=tables.ROUNDED)
