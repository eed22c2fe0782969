"""What the page shows of photographs: pictures that are exact where they claim to be."""

import io
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from msroi.encoders import jpeg
from msroi.report import gallery

RNG = np.random.default_rng(3)


def decoded(uri: str, kind: str) -> bytes:
    start = f"data:{kind};base64,"
    assert uri.startswith(start)
    return b64decode(uri.removeprefix(start))


def row(method: str, psnr: float, matched: str = "true", image: str = "a") -> dict[str, str]:
    return {
        "dataset": "set",
        "image": image,
        "method": method,
        "match_quality": "50",
        "bytes": "1000",
        "matched": matched,
        "psnr_rgb_db": str(psnr),
        "ssim_luma": "0.9",
        "wpsnr_rgb_db": str(psnr),
    }


@given(st.integers(0, 70), st.integers(0, 100))
def test_best_median_and_worst_come_first_and_then_all_others_halfway_between(count, part):
    median = 1 + part * (count - 3) // 100
    order = gallery.spread_out(count, median)
    assert sorted(order) == list(range(count))
    if count > 2:
        assert order[:3] == [count - 1, median, 0]
    for taken in range(4, count + 1):
        # each new one lies between two that are there, as near to the middle as numbers go
        before, new = sorted(order[: taken - 1]), order[taken - 1]
        low = max(place for place in before if place < new)
        high = min(place for place in before if place > new)
        assert abs((new - low) - (high - new)) <= 1


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(0, 3000))
def test_as_many_as_fit_are_chosen_and_no_more(sizes, budget):
    items = list(enumerate(sizes))
    chosen = gallery.fitting(items, gallery.middle(items, ()), lambda item: item[1], budget)
    assert sum(size for _, size in chosen) <= budget
    assert chosen == sorted(chosen)
    if sum(sizes) <= budget:
        assert chosen == items
    if not chosen:
        assert not items or items[-1][1] > budget


def test_sizes_are_asked_only_of_what_may_be_chosen():
    asked = []
    gallery.fitting(range(10_000), 5000, lambda item: asked.append(item) or 10, 100)
    assert len(asked) == 11


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, {}),
        (1, {0: "best"}),
        (2, {1: "best", 0: "worst"}),
        (3, {2: "best", 1: "median", 0: "worst"}),
        (6, {5: "best", 2: "median", 0: "worst"}),
        (7, {6: "best", 3: "median", 0: "worst"}),
    ],
)
def test_of_a_list_from_worst_to_best_the_ends_and_the_middle_have_a_mark(count, expected):
    assert gallery.marks(range(count), gallery.middle(range(count), ())) == expected
    assert set(expected.values()) <= set(gallery.MARKS)


@pytest.mark.parametrize(
    ("seen", "median"),
    [((), 4), ((4,), 4), ((3, 5), 3), ((6, 1), 6), ((0, 8), 4), ((0, 7), 7), (range(9), 4)],
)
def test_the_median_is_the_nearest_that_has_scores_but_never_best_or_worst(seen, median):
    assert gallery.middle(range(9), seen) == median


def test_photographs_are_ranked_from_worst_to_best_and_missed_sizes_are_left_out():
    msroi = {"a": (31, "true"), "b": (29, "true"), "c": (99, "false")}
    rows = [
        one
        for image, measured in msroi.items()
        for one in (row("jpeg", 30, image=image), row("msroi", *measured, image=image))
    ]
    names = [image for _, image in gallery.ranked(rows, "msroi")]
    assert names == ["b", "a"]


def test_gains_leave_out_missed_sizes():
    rows = [row("jpeg", 30), row("msroi", 28.5), row("trellis", 33, "false")]
    assert {key: list(values) for key, values in gallery.gains(rows).items()} == {
        ("set", 50, "msroi", "psnr_rgb_db"): [-1.5],
        ("set", 50, "msroi", "ssim_luma"): [0.0],
        ("set", 50, "msroi", "wpsnr_rgb_db"): [-1.5],
    }


def test_the_jpeg_file_is_in_the_page_byte_for_byte():
    original = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    data = jpeg.encode(original, 50)
    rows = [row("jpeg", 30), row("msroi", 31)]
    saliency = np.ones((40, 60), np.float32)
    opening = gallery.Opening(50, "jpeg", "jpeg")
    files = {50: {"jpeg": data}}
    one = gallery.with_numbers(
        gallery.photograph(("set", "a"), original, saliency, files, opening), {50: rows}
    )
    shown = one["qualities"]["50"]
    assert decoded(shown["files"]["jpeg"]["src"], "image/jpeg") == data
    assert (one["width"], one["height"]) == (60, 40)
    assert [line["gain"]["psnr_rgb_db"] for line in shown["rows"]] == [0.0, 1.0]
    seen = Image.open(io.BytesIO(decoded(one["original"], "image/webp")))
    assert seen.size == (60, 40)


def test_a_photograph_has_the_scores_of_its_own_files_and_else_none():
    rows = [row("jpeg", 30), row("msroi", 31), row("jpeg", 40, image="b")]
    scores = [
        {**row("msroi", 0), "ssimulacra2": "71.5", "psnr_hvs_m_db": "inf"},
        {**row("msroi", 0), "match_quality": "30", "ssimulacra2": "1"},
    ]
    joined = gallery.with_scores(rows, scores)
    assert [one.get("ssimulacra2") for one in joined] == [None, "71.5", None]
    assert [one["psnr_rgb_db"] for one in joined] == ["30", "31", "40"]  # those of metrics
    plain, made = (gallery.numbers(one, joined[:2]) for one in joined[:2])
    assert (made["ssimulacra2"], plain["ssimulacra2"]) == (71.5, None)
    assert made["psnr_hvs_m_db"] is None  # JSON has no infinity
    assert made["gain"]["psnr_rgb_db"] == 1.0


@pytest.mark.parametrize(("x", "y"), [(40, 40), (150, 110), (230, 60)])
@pytest.mark.parametrize("swap", [False, True])
def test_the_focus_is_where_two_files_differ_most_whichever_is_better(x, y, swap):
    original = RNG.integers(64, 192, (160, 280, 3), dtype=np.uint8)
    coarse, fine = original ^ 16, original ^ 16
    coarse[y - 16 : y + 16, x - 16 : x + 16] ^= 63
    pair = (fine, coarse) if swap else (coarse, fine)
    saliency = np.ones((160, 280), np.float32)
    # the salient fifth of a flat map are its first rows, so put the place into it
    saliency[y - 30 : y + 30, x - 30 : x + 30] = 2
    found = gallery.focus(original, *pair, saliency)
    assert np.hypot(found[0] - x, found[1] - y) < 24


def test_the_focus_stays_in_the_salient_region():
    original = RNG.integers(64, 192, (160, 280, 3), dtype=np.uint8)
    other = original.copy()
    other[:, 200:] ^= 63  # the largest difference is where no one looks
    other[60:70, 50:60] ^= 15
    saliency = np.zeros((160, 280), np.float32)
    saliency[:, :56] = 1
    x, y = gallery.focus(original, original, other, saliency)
    assert x < 56
    assert abs(y - 65) < 40


@pytest.mark.parametrize(("height", "width"), [(11, 11), (12, 40)])
def test_a_photograph_no_larger_than_the_window_has_a_focus(height, width):
    image = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    x, y = gallery.focus(image, image, image, np.zeros((height, width), np.float32))
    assert 0 <= x < width
    assert 0 <= y < height


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 30), (5, 9)])
def test_errors_are_the_root_mean_square_of_each_block(height, width):
    original = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = jpeg.encode(original, 30)
    shown = Image.open(io.BytesIO(decoded(gallery.error_map(original, data), "image/png")))
    got = np.asarray(shown)
    difference = original.astype(float) - jpeg.decode(data)
    assert got.shape == (-(-height // 8), -(-width // 8))
    for y, x in np.ndindex(got.shape):
        block = difference[8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
        level = min(np.sqrt((block**2).mean()) / gallery.ERROR_LEVELS, 1)
        assert abs(got[y, x] - 255 * level) <= 0.51


def test_no_error_is_black():
    original = np.full((8, 8, 3), 128, np.uint8)
    shown = Image.open(
        io.BytesIO(decoded(gallery.error_map(original, jpeg.encode(original, 100)), "image/png"))
    )
    assert shown.convert("RGB").getpixel((0, 0)) == (0, 0, 3)  # magma's darkest
