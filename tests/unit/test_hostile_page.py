"""docs/reliability.md shows the corpus as it is."""

from pathlib import Path

from hostile.archives import ARCHIVES
from hostile.page import filled, tables
from hostile.parameters import PARAMETERS
from hostile.photos import PHOTOS

PAGE = Path(__file__).parents[2] / "docs/reliability.md"


def test_the_page_shows_the_corpus():
    page = PAGE.read_text(encoding="utf-8")
    assert page == filled(page), "run PYTHONPATH=src:tests/unit python -m hostile"
    for name in tables():
        assert f"<!-- {name} -->" in page
        assert f"<!-- end of {name} -->" in page


def test_no_case_is_there_twice():
    for cases in (PHOTOS, ARCHIVES, PARAMETERS):
        names = [case.case for case in cases]
        assert len(names) == len(set(names))
    files = [photo.file for photo in PHOTOS]
    assert len(files) == len(set(files))
