"""The page needs nothing but itself, and takes nothing that a file says for HTML or script."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import vl_convert
from made_page import HOSTILE, made_page, one_photograph

from msroi.encoders.methods import METHODS
from msroi.report import charts, page

pytestmark = pytest.mark.numerics


class Outline(HTMLParser):
    """What a page is made of: elements with their attributes, ids, scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def whole():
    return page.render(made_page())


@pytest.fixture(scope="module")
def of_one():
    return page.render(one_photograph())


@pytest.mark.numerics
def test_the_page_names_no_other_file(whole):
    for tag, attributes in Outline(whole).elements:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)


def test_the_policy_lets_nothing_in_but_what_is_in_the_page(whole):
    (policy,) = (
        attributes["content"]
        for tag, attributes in Outline(whole).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )


def test_names_and_texts_of_files_are_escaped(whole):
    assert HOSTILE not in whole
    assert "<script>alert" not in whole
    scripts = [attributes for tag, attributes in Outline(whole).elements if tag == "script"]
    assert [attributes.get("id") for attributes in scripts] == [
        *("photographs", "charts", "measures", "opening"),
        *(None, None),
    ]


def test_every_label_and_anchor_leads_somewhere(whole):
    elements = Outline(whole).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes.get("aria-labelledby") for _, attributes in elements]
    anchors = [(attributes.get("href") or "").removeprefix("#") for _, attributes in elements]
    assert {one for one in [*named, *anchors] if one and not one.startswith("data:")} <= set(ids)


def test_every_picture_and_control_has_a_text(whole):
    elements = Outline(whole).elements
    assert all("alt" in attributes for tag, attributes in elements if tag == "img")
    labelled = len(re.findall(r"<label>.*?<(?:select|input)", whole, re.DOTALL))
    of_their_own = sum("aria-label" in a for tag, a in elements if tag in ("select", "input"))
    heat = 1  # stands in a label and has a text of its own
    controls = sum(tag in ("select", "input") for tag, _ in elements)
    assert labelled + of_their_own - heat == controls


def test_a_page_of_one_photograph_has_no_list_no_charts_and_no_empty_sections(of_one):
    ids = {attributes.get("id") for _, attributes in Outline(of_one).elements}
    assert "gallery" in ids
    assert not ids & {
        "thumbnails",
        "order",
        "marked",
        "evidence",
        "tables",
        "curves",
        "audit",
        "figures",
    }
    assert len(of_one) < 1_000_000


def test_the_same_page_has_the_same_bytes(whole):
    page.vega.cache_clear()
    assert page.render(made_page()) == whole


@pytest.mark.parametrize("name", ["spread", "rate_distortion", "intervals", "training", "verdicts"])
def test_charts_are_drawn(name):
    chart = made_page().charts[name]
    drawn = vl_convert.vegalite_to_svg(chart)
    assert len(re.findall(r"<path|<rect|<circle", drawn)) > 10
    assert chart["description"].endswith(".")


def test_a_chart_of_nothing_is_left_out():
    nothing = {
        "intervals": charts.intervals([]),
        "spread": charts.spread({}),
        "verdicts": charts.verdicts([]),
        "rate_distortion": charts.rate_distortion([]),
        "training": charts.training([]),
    }
    html = page.render(replace(made_page(), charts=nothing))
    ids = {attributes.get("id") for _, attributes in Outline(html).elements}
    assert not {"curves", "training", *(f"chart-{name}" for name in nothing)} & ids
    assert {"statistics", "audit"} <= ids
    assert "vegaEmbed=" not in html


def test_every_method_has_a_colour_of_its_own():
    assert len({one.colour for one in METHODS.values()}) == len(METHODS)


def test_numbers_stand_to_the_right_and_a_dash_decides_nothing():
    table = page.Table("t", ["a", "b", "c"], [["x", "−1.5", "–"], ["1", "–", "–"]])
    assert table.numeric == [False, True, False]
