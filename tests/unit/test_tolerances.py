"""What docs/reliability.md says of other versions and machines is what the audit allows."""

from pathlib import Path

from msroi import matched, own_tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def test_the_page_has_the_tolerances_of_the_code():
    _, _, rest = PAGE.partition("<!-- tolerances -->")
    table, _, after = rest.partition("<!-- end of tolerances -->")
    allowed = [line.split(" | ")[-1].removesuffix(" |") for line in table.splitlines()[4:] if line]
    assert allowed == [
        "nothing",
        f"{own_tables.RELATIVE:g} of the value",
        f"{own_tables.ROUNDED:g} besides",
        "nothing: hashes are compared",
    ]
    assert f"{matched.DIGITS} significant digits" in after


def test_what_the_tables_round_is_far_below_what_is_allowed():
    half_a_unit = 0.5 * 10 ** (1 - matched.DIGITS)  # of the last digit, where the first is a 1
    assert half_a_unit <= own_tables.RELATIVE / 10


def test_the_audit_allows_it():
    value = 27.123456
    assert own_tables.same_value(value * (1 + 0.9 * own_tables.RELATIVE), value)
    assert not own_tables.same_value(value * (1 + 1.1 * own_tables.RELATIVE), value)
    assert own_tables.same_value(0.5 + own_tables.ROUNDED, 0.5, unit=own_tables.ROUNDED)
    assert not own_tables.same_value(0.5 + 2 * own_tables.ROUNDED, 0.5, unit=own_tables.ROUNDED)
