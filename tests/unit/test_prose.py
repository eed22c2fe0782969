"""What `python docs/prose.py` counts, and what it says of a page."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import prose  # noqa: E402

OTHER_BITS = "“other bits”: bit-identical, or not"
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


def broken(text: str, rule: str) -> list[str]:
    return [found for one, found, _ in prose.breaches(text) if one == rule]


def test_a_sentence_of_22_words_is_not_too_long() -> None:
    assert broken(LONG.replace(" word", "", 1), "length") == []
    assert broken(f"Short. {LONG}", "length") == ["23 words"]


def test_signs_are_no_words() -> None:
    assert prose.words("a − b = 3 %") == 3


@pytest.mark.parametrize(
    ("text", "rule", "found"),
    [
        ("Read are AVIF and PNG.", "order", ["Read are"]),
        ("Not tested is the rest.", "order", ["Not tested is"]),
        ("msroi reads AVIF. Input is RGB.", "order", []),
        ("By each judge; to other bits.", "term", ["“judge”: metric", OTHER_BITS]),
        ("Two data sets.", "term", ["“data sets”: dataset"]),
        ("Judge whether it fits, reading a file.", "term", []),
        ("By no reading.", "term", ["“no reading”: interpretation"]),
        ("`judge` and `data set` are code.", "term", []),
        ("The file is quickly written.", "passive", ["is quickly written"]),
        ("The file is written by stage train.", "passive", []),
        ("The stage writes the file.", "passive", []),
        ("It gains; it loses; so it is.", "semicolon", ["gains;", "loses;"]),
        ("It gains, `a; b`.", "semicolon", []),
    ],
)
def test_what_breaks_a_rule(text: str, rule: str, found: list[str]) -> None:
    assert broken(text, rule) == found


def test_docstrings_are_held_with_their_package(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        '"""A module."""\n\nclass A:\n    """A class; it is kept.\n\n    Attributes\n'
        '    ----------\n    name\n        The name.\n    """\n\n    x = "no; docstring"\n'
    )
    (tmp_path / "below").mkdir()
    (tmp_path / "below/other.py").write_text('"""Another; package."""\n')
    text = prose.docstrings(tmp_path)
    assert list(prose.sentences(text)) == ["A module.", "A class; it is kept.", "name The name."]
    assert broken(text, "semicolon") == ["class;"]
    assert broken(text, "passive") == ["is kept"]


def test_more_and_fewer_than_are_left_are_both_told() -> None:
    key = ("a.md", "length")
    assert list(prose.problems({key: 2}, {key: 3})) == [
        "a.md breaks the rule “one idea, at most 22 words” 3 times, where 2 are left to it; "
        "rewrite what `python docs/prose.py a.md` lists as length"
    ]
    assert list(prose.problems({key: 2}, {key: 1})) == [
        "a.md breaks the rule “one idea, at most 22 words” 1 times, and 2 are left to it; "
        "run `python docs/prose.py --lower`, so that the number only shrinks"
    ]
    assert list(prose.problems({key: 2}, {key: 2})) == []
    assert len(list(prose.problems({}, {key: 1}))) == len(list(prose.problems({key: 1}, {}))) == 1


COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(["a.md", "b.md"]), st.sampled_from(list(prose.RULES))),
    st.integers(1, 5),
)


@given(baseline=COUNTS, found=COUNTS)
def test_a_baseline_only_shrinks(baseline: prose.Counts, found: prose.Counts) -> None:
    lowered = prose.lowered(baseline, found)
    assert all(left <= baseline[key] for key, left in lowered.items())
    more = {key for key, many in found.items() if many > baseline.get(key, 0)}
    assert len(list(prose.problems(lowered, found))) == len(more)


def test_pages_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/commands.md", "docs/a.md"):
        Path(name).write_text("Short.\n")
    prose.write_baseline({})
    assert prose.main([]) == 0
    Path("docs/commands.md").write_text(LONG)  # which a program writes
    assert prose.main([]) == 0
    Path("docs/a.md").write_text(f"{LONG} Read are both.\n")
    assert prose.main([]) == 1
    key = ("docs/a.md", "length")
    assert f"{next(prose.problems({}, {key: 1}))}\n" in capsys.readouterr().err
    assert prose.main(["--lower"]) == 0
    assert prose.read_baseline() == {}
    prose.write_baseline({key: 1, ("docs/a.md", "order"): 3, ("docs/gone.md", "term"): 2})
    assert prose.main([]) == 1
    assert prose.main(["--lower"]) == 0
    assert prose.read_baseline() == {key: 1, ("docs/a.md", "order"): 1}
    capsys.readouterr()
    assert prose.main([]) == 0
    assert prose.main(["docs/a.md"]) == 0
    assert capsys.readouterr().out == (
        f"docs/a.md: length: 23 words: {LONG}\ndocs/a.md: order: Read are: Read are both.\n"
    )
    assert prose.main(["docs/none.md"]) == 2
    assert capsys.readouterr().err.startswith("docs/none.md is no page; there are: README.md, ")


def test_messages_are_help_texts_and_errors(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        'parser.add_argument("--a", help="how many")\n'
        'raise UserError(f"{path} is missing; run it again.")\n'
        'raise UserError(other)\n"""A docstring."""\n'
    )
    found = prose.messages(tmp_path).split("\n\n")
    assert sorted(filter(None, found)) == ["`value` is missing. run it again.", "how many"]
