"""The page as someone uses it, in a real Chromium without a window (`make report-test`)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_page import made_page, one_photograph
from PIL import Image

from msroi.report import page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"
    ),
]
WIDE = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PHONE_SMALL = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # without a sandbox it also runs as root; all it opens is the page
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("page")
    made = {"whole": made_page(), "one": one_photograph()}
    for name, content in made.items():
        (folder / f"{name}.html").write_text(page.render(content), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture
def open_page(browser, files) -> Iterator:
    contexts = []

    def opened(name: str = "whole", **how):
        context = browser.new_context(**(how or WIDE))
        contexts.append(context)
        tab = context.new_page()
        tab.said = []
        tab.on("console", lambda message: tab.said.append(message.text))
        tab.on("pageerror", lambda error: tab.said.append(str(error)))
        tab.on(
            "request",
            lambda request: request.url.startswith("data:") or tab.said.append(request.url),
        )
        tab.goto(files[name].as_uri())
        if tab.locator("[data-chart]").count():
            tab.wait_for_selector("body[data-charts=drawn]", timeout=60_000)
        assert tab.said.pop(0) == files[name].as_uri()
        return tab

    yield opened
    for context in contexts:
        # no error, no warning, no request but for the page itself
        assert [tab.said for tab in context.pages] == [[]] * len(context.pages)
        context.close()


def shown(tab) -> str:
    return tab.locator("#shown-name").inner_text()


def names(tab) -> list[str]:
    return tab.locator("#thumbnails .name").all_inner_texts()


def wipe(tab) -> float:
    return float(tab.evaluate("parseFloat(getComputedStyle(view).getPropertyValue('--wipe'))"))


def test_every_chart_is_drawn_and_the_menu_changes_it(open_page):
    tab = open_page()
    charts = tab.locator("[data-chart]")
    assert charts.count() == 5
    for number in range(5):
        assert charts.nth(number).locator("svg path").count() > 5
    curve = tab.locator("#chart-rate_distortion")
    before = curve.locator("svg.marks").inner_html()
    curve.locator("select").select_option("SSIM")
    for _ in range(100):  # the page lets nothing be evaluated in it, so ask from outside
        if curve.locator("svg.marks").inner_html() != before:
            return
        tab.wait_for_timeout(100)
    raise AssertionError("the chart does not change")


def test_the_border_moves_by_mouse_by_keyboard_and_by_slider(open_page):
    tab = open_page()
    view = tab.locator("#view")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    assert wipe(tab) == pytest.approx(50)
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20, steps=4)
    tab.mouse.up()
    assert wipe(tab) == pytest.approx(25, abs=1)
    tab.locator("#wipe").focus()
    tab.keyboard.press("End")
    assert wipe(tab) == 100
    tab.keyboard.press("ArrowLeft")
    assert wipe(tab) == pytest.approx(99.9)
    # the picture on top is really cut there
    clip = tab.evaluate("getComputedStyle(document.getElementById('side-left')).clipPath")
    assert clip.startswith("inset(0px ")


def test_any_two_of_original_and_files_can_be_compared(open_page):
    tab = open_page("one")
    options = tab.locator("#left option").all_inner_texts()
    assert options == ["original", "jpeg", "msroi", "roi-trellis"]
    seen = set()
    for name in options:
        tab.locator("#left").select_option(name)
        seen.add(tab.locator("#side-left .picture").get_attribute("src"))
        assert name in tab.locator("#side-left .tag").inner_text()
    assert len(seen) == 4
    tab.locator("#what").select_option("error")
    assert tab.locator("#side-left .picture").get_attribute("src").startswith("data:image/png")
    tab.locator("#left").select_option("original")
    assert tab.locator("#side-left .picture").is_hidden()


def test_zoom_follows_on_both_sides_and_the_keyboard_pans(open_page):
    tab = open_page("one")
    tab.locator("#view").focus()
    tab.keyboard.press("+")
    tab.keyboard.press("+")
    tab.keyboard.press("ArrowRight")
    transforms = tab.evaluate(
        "[...document.querySelectorAll('.pan')].map((one) => getComputedStyle(one).transform)"
    )
    assert transforms[0] == transforms[1]
    assert transforms[0].startswith("matrix(2.25, 0, 0, 2.25, ")
    assert tab.locator("#zoom-is").inner_text().endswith("%")
    tab.keyboard.press("0")
    assert tab.locator("#zoom-is").inner_text() == "fit"


def test_the_heatmap_has_an_opacity(open_page):
    tab = open_page("one")
    tab.locator("#heat").focus()
    tab.keyboard.press("End")
    opacities = tab.evaluate(
        "[...document.querySelectorAll('.heat')].map((one) => getComputedStyle(one).opacity)"
    )
    assert opacities == ["1", "1"]


def test_photographs_are_sorted_filtered_and_opened(open_page):
    tab = open_page()
    worst = names(tab)
    assert shown(tab).startswith(worst[0])
    tab.locator("#sort").select_option("gain-down")
    assert names(tab) == worst[::-1]
    tab.locator("#sort").select_option("name")
    assert names(tab) == sorted(worst)
    tab.locator("#of-set").select_option("set 1")
    assert names(tab) == ["dog"]
    assert tab.locator("#count").inner_text() == "1 of 3 photographs"
    tab.locator("#of-set").select_option("")
    tab.locator("#named").fill("DO")
    assert names(tab) == ["dog"]
    tab.locator("#thumbnails button").click()
    assert shown(tab).startswith("dog (set 1")
    tab.locator("#named").fill("")
    gains = tab.locator("#thumbnails .gain").all_inner_texts()
    middle = sorted(float(text.replace("−", "-")) for text in gains)[1]
    tab.locator("#most").fill(str(middle))
    assert len(names(tab)) == 2
    tab.locator("#next").click()
    tab.locator("#previous").click()


def test_a_hostile_name_is_text(open_page):
    tab = open_page()
    tab.on("dialog", lambda dialog: tab.said.append(f"dialog: {dialog.message}"))
    assert any("<script>" in name for name in names(tab))


def test_verdicts_are_filtered(open_page):
    tab = open_page()
    tab.locator("#verdict").select_option("inconsistent")
    assert tab.locator("#findings tbody tr:visible").count() == 1
    assert tab.locator("#findings-count").inner_text() == "1 of 3"


@pytest.mark.parametrize("how", [PHONE, PHONE_SMALL], ids=["390 px", "320 px"])
@pytest.mark.parametrize("name", ["whole", "one"])
def test_nothing_but_tables_and_charts_is_wider_than_a_phone(open_page, name, how):
    tab = open_page(name, **how)
    width = tab.evaluate("document.documentElement.scrollWidth")
    assert width <= how["viewport"]["width"]
    assert tab.locator("#view").bounding_box()["width"] > 0.75 * width


@pytest.mark.parametrize(("how", "columns"), [(WIDE, 3), (PHONE, 2)], ids=["wide", "phone"])
def test_the_layout_is_one_column_of_parts_with_thumbnails_side_by_side(open_page, how, columns):
    tab = open_page(**how)
    parts = [
        *("h1", "nav", "#summary", "#viewer", "#view", "#wipe", "#numbers", "#order"),
        *("#thumbnails", "#tables", "#curves", "#figures", "#audit", "#provenance"),
    ]
    tops = [tab.locator(part).first.bounding_box()["y"] for part in parts]
    assert tops == sorted(tops)
    boxes = [one.bounding_box() for one in tab.locator("#thumbnails li").all()]
    assert len({round(box["y"]) for box in boxes}) == -(-len(boxes) // columns)
    left, right = (tab.locator(f"#side-{side}").bounding_box() for side in ("left", "right"))
    assert left == right


def test_what_is_seen_left_and_right_of_the_border_are_the_two_files(open_page, tmp_path):
    tab = open_page("one")
    tab.locator("#what").select_option("error")
    tab.locator("#left").select_option("original")  # has no errors: black
    for element in (".tag", ".handle"):
        tab.add_style_tag(content=f"{element} {{ display: none }}")
    tab.locator("#view").screenshot(path=tmp_path / "view.png")
    seen = np.asarray(Image.open(tmp_path / "view.png").convert("RGB"), float).mean(-1)
    middle = seen.shape[1] // 2
    assert seen[3:-3, 3 : middle - 2].max() == 0
    assert seen[3:-3, middle + 2 : -3].mean() > 10


def test_a_finger_moves_the_border(open_page):
    tab = open_page("one", **PHONE)
    view = tab.locator("#view")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    tab.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert wipe(tab) == pytest.approx(75, abs=1)


def test_dark_mode_has_light_text_on_dark_ground(open_page):
    def luminance(tab, what: str) -> float:
        colour = tab.evaluate(f"getComputedStyle(document.body).{what}")
        return sum(map(float, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 765

    light, dark = open_page("one"), open_page("one", color_scheme="dark", **WIDE)
    assert luminance(light, "color") < 0.2 < 0.9 < luminance(light, "backgroundColor")
    assert luminance(dark, "backgroundColor") < 0.2 < 0.8 < luminance(dark, "color")


def test_all_of_the_page_is_reached_by_keyboard(open_page):
    tab = open_page()
    focused = set()
    for _ in range(120):
        tab.keyboard.press("Tab")
        focused.add(tab.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"left", "right", "what", "heat", "zoom", "view", "wipe", "previous", "next"} <= focused
    assert {"sort", "of-method", "of-measure", "of-set", "least", "most", "named"} <= focused
    assert {"verdict", "finding", "SUMMARY", "BUTTON", "A"} <= focused
