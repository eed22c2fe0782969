"""Hold pages, docstrings, help and errors to the project's five rules of prose.

`python docs/prose.py` fails if a page breaks a rule more often than docs/prose.csv leaves it, or
less often: then `python docs/prose.py --lower` lowers the number, so that it only shrinks.
`python docs/prose.py PAGE...` lists what breaks the rules on a page, in a package's
docstrings, or in its messages (`src/msroi/cli, help and errors`).
"""

import ast
import csv
import re
import sys
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path

LONGEST_WORDS = 22
WRITTEN_BY_PROGRAMS = ("docs/commands.md", "docs/parameters.md")
BASELINE = Path("docs/prose.csv")
MESSAGES = ", help and errors"  # behind a package's path
Counts = dict[tuple[str, str], int]  # by page and rule

NO_PROSE = (
    re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE),  # code
    re.compile(r"^\|.*$", re.MULTILINE),  # tables
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"^#.*$", re.MULTILINE),  # headings
    re.compile(r"^.*\n-{3,}$", re.MULTILINE),  # headings of a docstring
)
PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )")
END = re.compile(r"(?<=[.!?:;])(?:\*\*|”|\))?\s+(?=[^a-z]|msroi|mozjpeg|jpegli)")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"`[^`]*`")

BE = r"(?:is|are|was|were|be|been|being)"
PARTICIPLE = (
    r"(?:\w{3,}ed|built|chosen|cut|done|drawn|found|given|held|kept|known|left|lost|made|meant|put"
    r"|read|run|said|seen|sent|set|shown|taken|thrown|told|written)"
)
PASSIVE = re.compile(rf"\b{BE}\s+(?:\w+ly\s+|not\s+|never\s+|then\s+)?{PARTICIPLE}\b(?!\s+by\b)")
INVERTED = re.compile(rf"\A\W*((?:not )?{PARTICIPLE}\s+{BE})\b", re.IGNORECASE)
# private words, and the field's in their place
TERMS = {
    r"judges?(?!\s+(?:an?|some|whether)\b)": "metric",
    r"(?:an?|the|this|that|no|any|each|every|one|other) reading|readings": "interpretation",
    r"(?:other|the same) bits": "bit-identical, or not",
    r"arms?": "condition or baseline",
    r"data sets?": "dataset",
}
TERM = re.compile(rf"\b(?:{'|'.join(TERMS)})\b", re.IGNORECASE)


def words(sentence: str) -> int:
    """Count the words of a sentence: what has a letter or a digit, between spaces."""
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


def too_long(sentence: str) -> list[str]:
    """Return a sentence's number of words if it is more than `LONGEST_WORDS`."""
    return [f"{words(sentence)} words"] if words(sentence) > LONGEST_WORDS else []


def private_words(sentence: str) -> list[str]:
    """Return the private words of a sentence, each with the field's term."""
    return [f"“{found}”: {field_term(found)}" for found in TERM.findall(sentence)]


def field_term(private: str) -> str:
    """Return the field's term for a private word that `TERM` found."""
    return next(term for one, term in TERMS.items() if re.fullmatch(one, private, re.IGNORECASE))


# what a rule demands, and what of a sentence breaks it
RULES: dict[str, tuple[str, Callable[[str], list[str]]]] = {
    "order": ("subject, verb, object", INVERTED.findall),
    "term": ("the field's terms", private_words),
    "passive": ("active voice, or the actor by name", PASSIVE.findall),
    "semicolon": ("no caveat behind a semicolon", re.compile(r"\w*;").findall),
    "length": (f"one idea, at most {LONGEST_WORDS} words", too_long),
}


def pages() -> dict[str, str]:
    """Return what people write by its path: the pages; docstrings and messages of each package."""
    named = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    named += sorted(Path("docs").glob("*.md"))
    texts = {page.as_posix(): page.read_text(encoding="utf-8") for page in named}
    packages = sorted({module.parent for module in Path("src").rglob("*.py")})
    texts |= {package.as_posix(): docstrings(package) for package in packages}
    texts |= {f"{package.as_posix()}{MESSAGES}": messages(package) for package in packages}
    return {page: text for page, text in texts.items() if page not in WRITTEN_BY_PROGRAMS}


def docstrings(package: Path) -> str:
    """Return the docstrings of a package's own modules, classes and functions, as one text."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        ast.get_docstring(node, clean=False)
        for module in sorted(package.glob("*.py"))
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, documented)
    ]
    return "\n\n".join(cleandoc(one) for one in found if one)


def messages(package: Path) -> str:
    """Return the help texts and the errors of a package's own modules, as one text.

    What an error says to do stands behind a semicolon, which therefore ends a sentence here.
    """
    found: list[str] = []
    for module in sorted(package.glob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                found += map(literal, node.exc.args)
            elif isinstance(node, ast.keyword) and node.arg in ("help", "description"):
                found.append(literal(node.value))
    return "\n\n".join(found).replace(";", ".")


def literal(node: ast.expr) -> str:
    """Return the text of a string, its values as code; nothing of other expressions."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [str(of.value) if isinstance(of, ast.Constant) else "`value`" for of in parts]
    return "".join(texts) if texts != ["`value`"] else ""


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page in Markdown; code in them counts as one word."""
    for pattern in NO_PROSE:
        text = pattern.sub("\n", text)
    text = LINK.sub(r"\1", CODE.sub("Code", text))
    for paragraph in PARAGRAPH.split(text):
        yield from filter(None, END.split(" ".join(paragraph.split())))


def breaches(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield what breaks a rule: the rule, what of the sentence does so, and the sentence."""
    for sentence in sentences(text):
        for rule, (_, broken) in RULES.items():
            for found in broken(sentence):
                yield rule, found, sentence


def count(texts: dict[str, str]) -> Counts:
    """Count the breaches by page and rule; what has none is left out."""
    counts: Counts = {}
    for page, text in texts.items():
        for rule, _, _ in breaches(text):
            counts[page, rule] = counts.get((page, rule), 0) + 1
    return counts


def read_baseline() -> Counts:
    """Return how many breaches are left to a page and rule."""
    with BASELINE.open(encoding="utf-8", newline="") as table:
        return {(row["page"], row["rule"]): int(row["left"]) for row in csv.DictReader(table)}


def write_baseline(counts: Counts) -> None:
    """Write how many breaches are left to a page and rule, in the order of their names."""
    with BASELINE.open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("page", "rule", "left"))
        writer.writerows((*key, left) for key, left in sorted(counts.items()))


def lowered(baseline: Counts, found: Counts) -> Counts:
    """Return a baseline with what was found where that is less; it never grows."""
    smaller = {key: min(left, found.get(key, 0)) for key, left in baseline.items()}
    return {key: left for key, left in smaller.items() if left}


def problems(baseline: Counts, found: Counts) -> Iterator[str]:
    """Yield a sentence for each page and rule whose number is not that of the baseline."""
    for page, rule in sorted(baseline.keys() | found.keys()):
        many, left = found.get((page, rule), 0), baseline.get((page, rule), 0)
        if many > left:
            yield (
                f"{page} breaks the rule “{RULES[rule][0]}” {many} times, where {left} are left to "
                f"it; rewrite what `python docs/prose.py {page}` lists as {rule}"
            )
        if many < left:
            yield (
                f"{page} breaks the rule “{RULES[rule][0]}” {many} times, and {left} are left to "
                f"it; run `python docs/prose.py --lower`, so that the number only shrinks"
            )


def main(arguments: list[str]) -> int:
    """Check all pages, lower the baseline, or list a page's breaches; return the exit status."""
    texts = pages()
    if arguments == ["--lower"]:
        write_baseline(lowered(read_baseline(), count(texts)))
        return 0
    unknown = [page for page in arguments if page not in texts]
    if unknown:
        sys.stderr.write(f"{unknown[0]} is no page; there are: {', '.join(texts)}\n")
        return 2
    for page in arguments:
        for rule, found, sentence in breaches(texts[page]):
            sys.stdout.write(f"{page}: {rule}: {found}: {sentence}\n")
    told = [] if arguments else list(problems(read_baseline(), count(texts)))
    sys.stderr.writelines(f"{one}\n" for one in told)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
