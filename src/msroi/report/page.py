"""The report as one HTML page that needs no other file and no network.

Jinja escapes every name and text. Scripts get their data as JSON, in which Jinja writes <, > and &
as escapes. The page's own policy allows nothing but what is in it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msroi.report.charts import TITLES, Chart
from msroi.report.gallery import SCORES, Opening
from msroi.report.verdict import Number

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
NUMBER = re.compile(r"[-+−]?[0-9][0-9.,e+-]*")


@dataclass(frozen=True)
class Table:
    """A table as the page shows it: a title, the names of columns, rows of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    id: str = ""

    @cached_property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers, which stand to the right."""
        columns = (
            [cell for cell in column if cell != "–"] for column in zip(*self.rows, strict=True)
        )
        return [bool(cells) and all(map(NUMBER.fullmatch, cells)) for cells in columns]


@dataclass(frozen=True)
class Figure:
    """A figure with its picture as a data URI."""

    number: int
    caption: str
    src: str


@dataclass(frozen=True)
class Page:
    """What the page shows, without empty parts."""

    title: str
    lead: str
    gallery_note: str
    error_note: str
    photographs: Sequence[Mapping[str, Any]]
    opening: Opening
    conventions: Sequence[str]
    provenance: Sequence[Table]
    verdict: str = ""
    verdict_note: str = ""
    numbers: Sequence[Number] = ()
    evidence: Table | None = None
    parameters: str = ""
    summary: Table | None = None
    tables: Sequence[Table] = ()
    curves_tables: Sequence[Table] = ()
    statistics: Table | None = None
    figures: Sequence[Figure] = ()
    training_note: str = ""
    audit: Table | None = None
    verdicts: Sequence[str] = ()
    charts: Mapping[str, Chart] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=lambda: TITLES)

    @property
    def drawn(self) -> dict[str, Chart]:
        """The charts that have anything to show: a set of one photograph has no intervals."""
        return {name: chart for name, chart in self.charts.items() if chart["data"]["values"]}

    @property
    def sections(self) -> dict[str, str]:
        """The sections that the page has, by id, with their titles."""
        every = {
            "gallery": ("Photographs" if len(self.photographs) > 1 else "The photograph", True),
            "evidence": ("Every measure", self.evidence),
            "curves": ("Quality against file size", "rate_distortion" in self.drawn),
            "summary": ("What each method gains", self.summary),
            "statistics": ("Statistics", self.statistics),
            "tables": ("Tables", self.tables),
            "figures": ("Figures", self.figures),
            "training": ("Training", "training" in self.drawn),
            "audit": ("Audit of published numbers", self.audit),
            "provenance": ("How this was made", True),
        }
        return {name: title for name, (title, there) in every.items() if there}


def render(page: Page) -> str:
    """Return the page as HTML."""
    own = {name: (TEMPLATES / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    return str(
        templates()
        .get_template("page.html")
        .render(
            page=page,
            style=own["css"],
            script=own["js"],
            scores=scores(),
            opening=asdict(page.opening),
            vega=vega() if page.drawn else "",
        )
    )


def scores() -> dict[str, dict[str, Any]]:
    """Return what the page's script knows of the measures of a photograph."""
    return {
        name: {
            "title": one.title,
            "digits": one.gain_digits,
            "higher": one.higher_is_better,
        }
        for name, one in SCORES.items()
    }


@cache
def templates() -> "Environment":
    """Return Jinja's environment: it escapes all text, and what is not there is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # methods and measures in our order, not in the alphabet's
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return made


@cache
def vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, as vl-convert carries them."""
    import vl_convert

    # whatever stands in a string of theirs, it must not end the script element
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace(
        "</script", r"<\/script"
    )


def table(
    title: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], **others: str
) -> Table:
    """Return rows as a table, where `columns` has their keys and what stands above them."""
    return Table(
        title,
        list(columns.values()),
        [[shown(row[key]) for key in columns] for row in rows],
        **others,
    )


def shown(value: Any) -> str:
    """Return a value as a table shows it: a dash for none."""
    return "–" if value is None or value == "" else str(value)
