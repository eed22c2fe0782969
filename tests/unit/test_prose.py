"""What `python docs/prose.py` counts, and what it says of a page."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import prose  # noqa: E402

LONG = "Word" + " word" * 22 + "."


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("A colon divides: so does this; No more.", ["A colon divides: so does this;", "No more."]),
        ("It is 0.5 dB, e.g. here.", ["It is 0.5 dB, e.g. here."]),
        ("So it is. msroi reads it.", ["So it is.", "msroi reads it."]),
        ("# A heading\n\nA text.", ["A text."]),
        ("| a | table |\n| --- | --- |\n\nA text.", ["A text."]),
        ("```\nmsroi compress photo.jpg. Now.\n```\n\nA text.", ["A text."]),
        ("- one\n- two", ["- one", "- two"]),
        ("Over two\nlines.", ["Over two lines."]),
        ("`a b c. D` is code.", ["Code is code."]),
        ("[A link](https://a.b/c?d. e) is text.", ["A link is text."]),
        ("<!-- made\n\nof this. And that. -->", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert list(prose.sentences(text)) == sentences


def test_a_sentence_of_22_words_is_not_too_long() -> None:
    assert prose.long_ones(LONG.replace(" word", "", 1)) == []
    assert prose.long_ones(f"Short. {LONG}") == [LONG]


def test_signs_are_no_words() -> None:
    assert prose.words("a − b = 3 %") == 3


def test_more_and_fewer_than_are_left_are_both_told() -> None:
    assert prose.problem("a.md", 3, 2) == (
        "a.md has 3 sentences of more than 22 words, where 2 are left to it; "
        "divide them: python docs/prose.py a.md"
    )
    assert prose.problem("a.md", 1, 2) == (
        "a.md has 1 long sentences and 2 are left to it; lower LEFT to 1"
    )
    assert prose.problem("a.md", 2, 2) == ""


def test_pages_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/commands.md", "docs/a.md"):
        Path(name).write_text("Short.\n")
    monkeypatch.setattr(prose, "LEFT", {})
    assert prose.main([]) == 0
    Path("docs/commands.md").write_text(LONG)  # which a program writes
    assert prose.main([]) == 0
    Path("docs/a.md").write_text(LONG)
    assert prose.main([]) == 1
    assert capsys.readouterr().err == f"{prose.problem('docs/a.md', 1, 0)}\n"
    monkeypatch.setattr(prose, "LEFT", {"docs/a.md": 1, "docs/gone.md": 2})
    assert prose.main([]) == 1
    assert capsys.readouterr().err == "docs/gone.md is no page; take it out of LEFT\n"
    assert prose.main(["docs/a.md"]) == 0
    assert capsys.readouterr().out == f"docs/a.md: 23 words: {LONG}\n"
