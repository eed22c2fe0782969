"""The corpus as Markdown tables, for docs/reliability.md."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from hostile import LEFT_OUT, PROCESSED
from hostile.archives import ARCHIVES
from hostile.archives import fuzzed as fuzzed_archives
from hostile.downloads import DOWNLOADS, MANIFESTS
from hostile.parameters import PARAMETERS
from hostile.photo import Photo
from hostile.photos import PHOTOS, fuzzed
from hostile.situations import SITUATIONS
from msroi.stages.report import markdown

COMMANDS = ("compress", "heatmap", "metrics", "prepare")


def outcome(text: str) -> str:
    return text if text in (PROCESSED, LEFT_OUT) or text.startswith("either") else f"“{text}”"


def of_photo(photo: Photo) -> str:
    """Name the outcome, and behind it those of commands that have another."""
    others = [
        f"{command}: {outcome(photo.expected(command))}"
        for command in COMMANDS
        if photo.expected(command) != photo.outcome
    ]
    if photo.left_out:
        others.append(f"compress: “FILE: left out {photo.left_out}.”")
    return "; ".join([outcome(photo.outcome), *others])


def table(rows: Iterable[tuple[str, str]], what: str) -> str:
    """Return a table of cases and outcomes; cases of one outcome in a row share a line."""
    lines: list[tuple[Sequence[str], str]] = [
        ([case for case, _ in group], text) for text, group in groupby(rows, lambda row: row[1])
    ]
    return markdown(
        (what, "outcome"),
        [{what: escaped("; ".join(cases)), "outcome": escaped(text)} for cases, text in lines],
    )


def escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("_", "\\_").replace("`", "\\`")


def tables() -> dict[str, str]:
    """Return each table by the name of its markers."""
    bits = [(photo.case, of_photo(photo)) for photo in fuzzed(range(1))]
    return {
        "photos": table([*((photo.case, of_photo(photo)) for photo in PHOTOS), *bits], "file"),
        "situations": markdown(
            ("situation", "outcome", "test"),
            [
                {
                    "situation": escaped(one.case),
                    "outcome": escaped(one.outcome),
                    "test": f"`{one.test}`",
                }
                for one in SITUATIONS
            ],
        ),
        "archives": table(
            ((a.case, outcome(a.outcome)) for a in (*ARCHIVES, *fuzzed_archives(range(1)))),
            "archive",
        ),
        "parameters": table(((p.case, outcome(p.outcome)) for p in PARAMETERS), "file"),
        "downloads": table(
            ((d.case, f"{outcome(d.outcome)}, {d.requests} requests") for d in DOWNLOADS),
            "the server sends",
        ),
        "manifests": table(((name, outcome(text)) for name, _, text in MANIFESTS), "manifest.csv"),
    }


def filled(page: str) -> str:
    """Return the page with each table between its markers."""
    for name, text in tables().items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n{text}\n{end}{after}"
    return page
