"""Hold the pages to short sentences: at most 22 words each.

`python docs/prose.py` fails if a page has more long sentences than `LEFT` leaves it, or fewer: then
lower the number, so that it only shrinks. `python docs/prose.py PAGE...` lists those of a page.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST_WORDS = 22
WRITTEN_BY_PROGRAMS = ("docs/commands.md", "docs/parameters.md")
# long sentences that pages had before this rule
LEFT = {
    "docs/audit.md": 25,
    "docs/backbone.md": 1,
    "docs/encoder.md": 32,
    "docs/findings.md": 6,
    "docs/gaze.md": 12,
    "docs/gpu.md": 1,
    "docs/heads.md": 2,
    "docs/locks.md": 1,
    "docs/method.md": 3,
    "docs/performance.md": 1,
    "docs/pipeline.md": 1,
}
NO_PROSE = (
    re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE),  # code
    re.compile(r"^\|.*$", re.MULTILINE),  # tables
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"^#.*$", re.MULTILINE),  # headings
)
PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )")
END = re.compile(r"(?<=[.!?:;])(?:\*\*|”|\))?\s+(?=[^a-z]|msroi|mozjpeg|jpegli)")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"`[^`]*`")


def pages() -> list[Path]:
    """Return the pages that people write, as paths below the project's folder."""
    found = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    found += sorted(Path("docs").glob("*.md"))
    return [page for page in found if page.as_posix() not in WRITTEN_BY_PROGRAMS]


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page in Markdown; code in them counts as one word."""
    for pattern in NO_PROSE:
        text = pattern.sub("\n", text)
    text = LINK.sub(r"\1", CODE.sub("Code", text))
    for paragraph in PARAGRAPH.split(text):
        yield from filter(None, END.split(" ".join(paragraph.split())))


def long_ones(text: str) -> list[str]:
    """Return the sentences of a page that have more than `LONGEST_WORDS` words."""
    return [one for one in sentences(text) if words(one) > LONGEST_WORDS]


def words(sentence: str) -> int:
    """Count the words of a sentence: what has a letter or a digit, between spaces."""
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


def problem(page: str, found: int, left: int) -> str:
    """Return what is wrong with a page's number of long sentences; "" if nothing."""
    if found > left:
        return (
            f"{page} has {found} sentences of more than {LONGEST_WORDS} words, where {left} are "
            f"left to it; divide them: python docs/prose.py {page}"
        )
    if found < left:
        return f"{page} has {found} long sentences and {left} are left to it; lower LEFT to {found}"
    return ""


def main(arguments: list[str]) -> int:
    """Check all pages, or list the long sentences of some; return the exit status."""
    if arguments:
        for page in map(Path, arguments):
            for one in long_ones(page.read_text(encoding="utf-8")):
                sys.stdout.write(f"{page}: {words(one)} words: {one}\n")
        return 0
    found = {page.as_posix(): len(long_ones(page.read_text(encoding="utf-8"))) for page in pages()}
    problems = [problem(page, found[page], LEFT.get(page, 0)) for page in found]
    problems += [f"{page} is no page; take it out of LEFT" for page in LEFT.keys() - found.keys()]
    sys.stderr.writelines(f"{one}\n" for one in problems if one)
    return int(any(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
