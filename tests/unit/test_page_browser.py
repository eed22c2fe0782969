"""The page as someone uses it, in a real Chromium without a window (`make report-test`)."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_page import HOSTILE, made_page, one_photograph
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
    whole = made_page()
    # a page is open in a third of the time where no chart has to be drawn
    made = {"whole": whole, "no charts": replace(whole, charts={}), "one": one_photograph()}
    for name, content in made.items():
        (folder / f"{name}.html").write_text(page.render(content), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture
def open_page(browser, files) -> Iterator:
    contexts = []

    def opened(name: str = "no charts", at: str = "", **how):
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
        tab.goto(files[name].as_uri() + at)
        if tab.locator("[data-chart]").count():
            tab.wait_for_selector("body[data-charts=drawn]", timeout=60_000)
        assert tab.said.pop(0) == files[name].as_uri()  # a request has no fragment
        return tab

    yield opened
    for context in contexts:
        # no error, no warning, no request but for the page itself
        assert [tab.said for tab in context.pages] == [[]] * len(context.pages)
        context.close()


def shown(tab) -> str:
    return tab.locator("#shown-name").inner_text()


def names(tab) -> list[str]:
    """Return the names in the list of all photographs, which has to be unfolded."""
    if not tab.locator("#thumbnails").is_visible():
        tab.locator("#all > summary").click()
    return tab.locator("#thumbnails .name").all_inner_texts()


def until(tab, expression: str) -> None:
    """Wait until something is true; the page evaluates no text itself, so ask from outside."""
    for _ in range(100):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def wipe(tab) -> float:
    return float(tab.evaluate("parseFloat(getComputedStyle(view).getPropertyValue('--wipe'))"))


def test_every_chart_is_drawn_and_the_menu_changes_it(open_page):
    tab = open_page("whole")
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
    tab.mouse.move(box["x"] + wipe(tab) / 100 * box["width"], box["y"] + box["height"] / 2)
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


def transforms(tab) -> list[list[float]]:
    """Return scale and shift of both pictures."""
    matrices = tab.evaluate(
        "[...document.querySelectorAll('.pan')].map((one) => getComputedStyle(one).transform)"
    )
    numbers = [one.removeprefix("matrix(").removesuffix(")").split(", ") for one in matrices]
    return [[float(one[place]) for place in (0, 4, 5)] for one in numbers]


def test_zoom_follows_on_both_sides_and_the_keyboard_pans(open_page):
    tab = open_page("one")
    assert tab.locator("[data-zoom='0']").get_attribute("aria-pressed") == "true"
    left, right = transforms(tab)
    width = tab.locator("#view").bounding_box()["width"]
    assert left == right == pytest.approx([width / 240, 0, 0])
    tab.locator("#view").focus()
    tab.keyboard.press("4")
    before, _ = transforms(tab)
    tab.keyboard.press("ArrowLeft")
    left, right = transforms(tab)
    assert left == right == pytest.approx([4, before[1] + 40, before[2]])
    assert tab.locator("#zoom-is").inner_text() == "400 %"
    for _ in range(100):
        tab.keyboard.press("ArrowRight")
    # and no further than the picture's edge
    assert transforms(tab)[0][1] == pytest.approx(width - 4 * 240)
    tab.keyboard.press("0")
    assert transforms(tab)[0] == pytest.approx([width / 240, 0, 0])


def test_buttons_zoom_to_whole_screen_pixels_a_pixel(open_page):
    tab = open_page()
    pressed = tab.locator("[data-zoom][aria-pressed=true]")
    for zoom in (1, 2, 4):
        tab.locator(f"[data-zoom='{zoom}']").click()
        assert transforms(tab)[0][0] == zoom
        assert pressed.all_inner_texts() == [f"{zoom}×"]


def test_zoom_keeps_what_is_under_the_pointer(open_page):
    tab = open_page()
    view = tab.locator("#view")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    tab.locator("[data-zoom='4']").click()
    px, py = 0.4 * box["width"], 0.6 * box["height"]
    zoom, x, y = transforms(tab)[0]
    seen = ((px - x) / zoom, (py - y) / zoom)
    tab.mouse.move(box["x"] + px, box["y"] + py)
    tab.keyboard.down("Control")
    tab.mouse.wheel(0, -200)
    tab.keyboard.up("Control")
    until(tab, "document.querySelector('#zoom-is').textContent !== '400 %'")
    zoom, x, y = transforms(tab)[0]
    assert zoom > 4
    assert ((px - x) / zoom, (py - y) / zoom) == pytest.approx(seen, abs=0.5)


def test_the_page_opens_with_verdict_numbers_and_the_median_at_twice_its_size(open_page):
    tab = open_page()
    page_ = made_page()
    assert tab.locator("header .verdict").inner_text() == page_.verdict
    numbers = tab.locator("header .numbers li").all_inner_texts()
    assert len(numbers) == 3
    assert all("95 % interval +1.00 to +2.00, n = 7" in one for one in numbers)
    assert shown(tab).startswith("set 1/dog")
    assert tab.locator("#marked .name").all_inner_texts() == [HOSTILE, "dog", "cat"]
    assert tab.locator("#marked .mark").all_inner_texts() == ["Best ", "Median ", "Worst "]
    zoom, x, y = transforms(tab)[0]
    assert zoom == 2
    # the place that is looked at is in view
    box = tab.locator("#view").bounding_box()
    focus_x, focus_y = page_.photographs[1]["focus"]
    assert 0 <= 2 * focus_x + x <= box["width"]
    assert 0 <= 2 * focus_y + y <= box["height"]
    # and the border goes through it
    border = wipe(tab) / 100 * box["width"]
    assert border == pytest.approx(2 * focus_x + x, abs=1) or wipe(tab) in (15, 85)
    assert tab.evaluate("location.hash") == ""


def seen_in(tab, path: Path, place: str) -> np.ndarray:
    """Return the pixels of the left or right half of the view, as they are seen."""
    tab.locator("#view").screenshot(path=path)
    pixels = np.asarray(Image.open(path).convert("RGB"), float)
    middle = pixels.shape[1] // 2
    return pixels[3:-3, 3 : middle - 2] if place == "left" else pixels[3:-3, middle + 2 : -3]


def plain(tab) -> None:
    """Leave nothing in the view but the pictures: errors left, of the original, are black."""
    tab.locator("#what").select_option("error")
    tab.locator("#left").select_option("original")
    for element in (".tag", ".handle"):
        tab.add_style_tag(content=f"{element} {{ display: none }}")


def test_a_held_key_exchanges_left_and_right(open_page, tmp_path):
    tab = open_page("one")
    plain(tab)
    before = [seen_in(tab, tmp_path / "view.png", place).max() for place in ("left", "right")]
    assert before[0] == 0 < before[1]
    tab.locator("#view").focus()
    tab.keyboard.down("b")
    held = [seen_in(tab, tmp_path / "view.png", place).max() for place in ("left", "right")]
    assert held[1] == 0 < held[0]
    tab.keyboard.up("b")
    assert seen_in(tab, tmp_path / "view.png", "left").max() == 0


@pytest.mark.parametrize("how", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_held_button_exchanges_left_and_right(open_page, how, tmp_path):
    tab = open_page("one", **how)
    plain(tab)
    button = tab.locator("#blink")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    tab.mouse.move(box["x"] + 10, box["y"] + 10)
    tab.mouse.down()
    assert button.get_attribute("aria-pressed") == "true"
    assert seen_in(tab, tmp_path / "view.png", "right").max() == 0
    tab.mouse.move(5, 5)  # wherever it is let go
    tab.mouse.up()
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    tab.keyboard.down("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    tab.keyboard.up("Enter")
    assert button.get_attribute("aria-pressed") == "false"


def test_the_key_is_a_letter_where_one_types(open_page):
    tab = open_page()
    names(tab)
    tab.locator("#named").focus()
    tab.keyboard.down("b")
    assert tab.locator("#blink").get_attribute("aria-pressed") == "false"
    tab.keyboard.up("b")
    assert tab.locator("#named").input_value() == "b"


def test_scores_of_both_files_stand_beside_and_the_better_is_marked(open_page):
    tab = open_page()
    tab.locator("#photo").select_option(label="set 0/cat (worst)")
    lines = {
        line.locator("th").inner_text(): line.locator("td")
        for line in tab.locator("#scores tbody tr").all()
    }
    tab.locator("#left").select_option("jpeg")
    tab.locator("#right").select_option("roi-trellis")

    def better(name: str) -> list[bool]:
        return ["better" in (one.get_attribute("class") or "") for one in lines[name].all()]

    assert lines["SSIMULACRA 2"].all_inner_texts() == ["60.00", "62.00"]
    assert better("SSIMULACRA 2") == [False, True]
    assert lines["LPIPS, less is better"].all_inner_texts() == ["0.5000", "0.3000"]
    assert better("LPIPS, less is better") == [False, True]
    assert better("bytes") == [False, False]
    tab.locator("#left").select_option("original")
    assert tab.locator("#scores tbody td").first.inner_text() == "–"
    # the others have none
    assert "judges did not score" not in tab.locator("#scores-note").inner_text()
    tab.locator("#photo").select_option(label="set 1/dog (median)")
    assert "SSIMULACRA 2" not in tab.locator("#scores").inner_text()
    assert "judges did not score" in tab.locator("#scores-note").inner_text()


def test_a_page_of_one_photograph_offers_no_choice_where_there_is_none(open_page):
    tab = open_page("one")
    for name in ("photo", "quality", "previous", "next"):
        assert tab.locator(f"#{name}").is_hidden()
    assert "judges" not in tab.locator("#scores-note").inner_text()


def told(tab) -> dict[str, str]:
    """Return what the viewer shows, as a reader finds it."""
    values = tab.evaluate(
        "(names) => names.map((name) => document.getElementById(name).value)", CHOICES
    )
    return dict(zip(CHOICES, values, strict=True)) | {
        "name": shown(tab),
        "wipe": f"{wipe(tab):.0f}",
        "place": str([round(number) for number in transforms(tab)[0]]),
    }


CHOICES = ("photo", "left", "right", "quality", "what", "heat")


@pytest.mark.parametrize("how", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_link_shows_the_same_state_in_a_new_tab(open_page, how):
    tab = open_page(**how)
    tab.locator("#photo").select_option(label=f"set 0/{HOSTILE} (best)")
    tab.locator("#quality").select_option("30")
    tab.locator("#left").select_option("original")
    tab.locator("#right").select_option("msroi")
    tab.locator("[data-zoom='4']").click()
    tab.locator("#view").focus()
    tab.keyboard.press("ArrowDown")
    tab.locator("#wipe").focus()
    tab.keyboard.press("Home")
    tab.locator("#heat").focus()
    tab.keyboard.press("ArrowRight")
    link = tab.locator("#link").get_attribute("href")
    until(tab, f"location.hash === {json.dumps(link)}")  # the address follows in a moment
    other = open_page(at=link, **how)
    seen = told(other)
    assert seen == told(tab)
    assert seen["name"].startswith(f"set 0/{HOSTILE}")
    assert (seen["wipe"], seen["heat"]) == ("0", "1")


def test_a_link_that_names_what_is_not_there_shows_what_is(open_page):
    as_opened = told(open_page())
    assert told(open_page(at="#photo=nowhere&left=jpeg")) == as_opened
    odd = open_page(at="#photo=set+0%2Fcat&left=gone&right=&quality=99&zoom=x&wipe=900&at=a,b")
    seen = told(odd)
    assert seen["name"].startswith("set 0/cat")
    assert (wipe(odd), seen["left"], seen["right"]) == (100, "jpeg", "roi-trellis")
    assert told(open_page(at="#curves")) == as_opened


def test_back_leaves_the_page_at_once(open_page):
    tab = open_page()
    before = tab.evaluate("history.length")
    for quality in ("30", "50"):
        tab.locator("#quality").select_option(quality)
        until(tab, f"location.hash.includes('quality={quality}')")
    assert tab.evaluate("history.length") == before


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
    assert worst[0] == "cat"
    tab.locator("#sort").select_option("gain-down")
    assert names(tab) == worst[::-1]
    tab.locator("#sort").select_option("name")
    assert names(tab) == sorted(worst)
    tab.locator("#of-set").select_option("set 1")
    assert names(tab) == ["dog"]
    assert tab.locator("#count").inner_text().startswith("1 of 3 photographs")
    tab.locator("#of-set").select_option("")
    tab.locator("#named").fill("DO")
    assert names(tab) == ["dog"]
    tab.locator("#thumbnails button").click()
    assert shown(tab).startswith("set 1/dog")
    tab.locator("#named").fill("")
    gains = tab.locator("#thumbnails .gain").all_inner_texts()
    middle = sorted(float(text.replace("−", "-")) for text in gains)[1]
    tab.locator("#most").fill(f"{middle + 0.005:.3f}")  # the page shows two digits
    assert len(names(tab)) == 2
    tab.locator("#next").click()
    tab.locator("#previous").click()


def test_a_hostile_name_is_text(open_page):
    tab = open_page("whole")
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
    tab = open_page("whole", **how)
    parts = [
        *("h1", ".verdict", ".numbers", "nav", "#viewer", "#view", "#wipe", "#photo", "#marked"),
        *("#order", "#thumbnails", "#evidence", "#curves", "#summary", "#statistics"),
        *("#tables", "#figures", "#training", "#audit", "#provenance"),
    ]
    names(tab)
    tops = [tab.locator(part).first.bounding_box()["y"] for part in parts]
    assert tops == sorted(tops)
    boxes = [one.bounding_box() for one in tab.locator("#thumbnails li").all()]
    marked = [one.bounding_box() for one in tab.locator("#marked li").all()]
    assert len({round(box["y"]) for box in marked}) == 1
    beside = tab.locator("#scores").bounding_box()["y"] < tab.locator("#wipe").bounding_box()["y"]
    assert beside == (how is WIDE)
    assert len({round(box["y"]) for box in boxes}) == -(-len(boxes) // columns)
    left, right = (tab.locator(f"#side-{side}").bounding_box() for side in ("left", "right"))
    assert left == right


def test_what_is_seen_left_and_right_of_the_border_are_the_two_files(open_page, tmp_path):
    tab = open_page("one")
    plain(tab)
    assert seen_in(tab, tmp_path / "view.png", "left").max() == 0
    assert seen_in(tab, tmp_path / "view.png", "right").mean() > 10


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
    tab = open_page("whole")
    names(tab)
    left = {
        *("left", "right", "what", "heat", "blink", "view", "wipe", "previous", "next"),
        *("photo", "quality", "link"),
        *("sort", "of-method", "of-measure", "of-set", "least", "most", "named"),
        *("verdict", "finding", "SUMMARY", "BUTTON", "A"),
    }
    for _ in range(140):
        tab.keyboard.press("Tab")
        left.discard(tab.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if not left:
            return
    raise AssertionError(f"not reached: {left}")


def test_who_wants_less_motion_gets_none(open_page):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert open_page("one").evaluate(behaviour) == "smooth"
    assert open_page("one", reduced_motion="reduce", **WIDE).evaluate(behaviour) == "auto"


def test_a_finger_scrolls_the_page_over_the_photograph(open_page):
    """Wherever the photograph is zoomed in: a page must not be trapped in it."""
    tab = open_page(**PHONE)
    assert transforms(tab)[0][0] == 2
    assert "pan-y" in tab.evaluate("getComputedStyle(view).touchAction")
