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


@given(st.lists(st.integers(), max_size=40, unique=True), st.integers(0, 50))
def test_items_at_even_distances_keep_order_and_both_ends(items, count):
    chosen = gallery.evenly(items, count)
    assert len(chosen) == min(count, len(items))
    places = [items.index(item) for item in chosen]
    assert places == sorted(set(places))
    if count >= 2 and items:
        assert (chosen[0], chosen[-1]) == (items[0], items[-1])
        gaps = np.diff(places)
        assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(0, 3000))
def test_as_many_as_fit_are_chosen_and_no_more(sizes, budget):
    items = list(enumerate(sizes))
    chosen = gallery.fitting(items, lambda item: item[1], budget)
    assert sum(size for _, size in chosen) <= budget
    if sum(sizes) <= budget:
        assert chosen == items
    if not chosen:
        assert not items or items[0][1] > budget


def test_sizes_are_asked_only_of_what_may_be_chosen():
    asked = []
    gallery.fitting(range(10_000), lambda item: asked.append(item) or 10, 100)
    assert len(asked) < 100


def test_photographs_are_ranked_from_worst_to_best_and_missed_sizes_come_last():
    msroi = {"a": (31, "true"), "b": (29, "true"), "c": (99, "false")}
    rows = [
        one
        for image, measured in msroi.items()
        for one in (row("jpeg", 30, image=image), row("msroi", *measured, image=image))
    ]
    names = [image for _, image in gallery.ranked(rows, "msroi")]
    assert names == ["b", "a", "c"]


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
    one = gallery.photograph(("set", "a"), original, saliency, {"jpeg": data}, rows)
    assert decoded(one["files"]["jpeg"]["src"], "image/jpeg") == data
    assert (one["width"], one["height"]) == (60, 40)
    assert [line["gain"]["psnr_rgb_db"] for line in one["rows"]] == [0.0, 1.0]
    shown = Image.open(io.BytesIO(decoded(one["original"], "image/webp")))
    assert shown.size == (60, 40)


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
