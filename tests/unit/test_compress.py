import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi import compress, images, index, jpeg, params
from msroi.errors import ImageError, MissingError
from msroi.files import write_csv
from msroi.layout import Layout
from msroi.params import Compress

ROOT = Path(__file__).parents[2]
PAPER = Compress(
    match_qualities=(30, 50, 70),
    levels=5,
    quality_low=30,
    quality_high=70,
    size_tolerance_pct=1.0,
)
CAT = skimage.data.chelsea()[40:140, 100:220]


def pillows(photo, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def constant(value, photo=CAT):
    return np.full(photo.shape[:2], value, np.float32)


def bell(photo, width=0.3):
    """A centred Gaussian in [0, 1]."""
    y, x = np.mgrid[-1 : 1 : photo.shape[0] * 1j, -1 : 1 : photo.shape[1] * 1j]
    height = np.exp(-(x**2 + y**2) / width)
    return ((height - height.min()) / (height.max() - height.min())).astype(np.float32)


def eight_bit(saliency):
    """A map as it comes back from its 8-bit file."""
    return np.rint(saliency * 255).astype(np.uint8).astype(np.float32) / np.float32(255)


# --- levels


@pytest.mark.parametrize(
    ("value", "level"),
    [(0, 0), (0.1999, 0), (0.2, 1), (0.3999, 1), (0.4, 2), (0.6, 3), (0.8, 4), (0.9999, 4), (1, 4)],
)
def test_edges_of_five_levels(value, level):
    assert compress.saliency_levels(constant(value), 5).tolist() == constant(level).tolist()


@pytest.mark.parametrize("levels", range(1, 101))
def test_8_bit_values_fall_in_the_level_that_whole_numbers_say(levels):
    """No rounding of floats moves a value across a boundary."""
    codes = np.arange(256)
    expected = np.minimum(codes * levels // 255, levels - 1)
    saliency = codes.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(compress.saliency_levels(saliency, levels), expected)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=2), st.integers(1, 100))
def test_levels_are_whole_in_range_and_monotone(values, levels):
    found = compress.saliency_levels(np.sort(np.array(values, np.float32)), levels)
    assert found.min() >= 0
    assert found.max() < levels
    assert (np.diff(found) >= 0).all()


# --- first pass


@pytest.mark.parametrize(
    ("value", "quality"), [(0, 30), (0.1, 30), (0.3, 40), (0.5, 50), (0.7, 60), (0.9, 70), (1, 70)]
)
def test_a_constant_map_is_plain_jpeg_of_its_levels_quality(value, quality):
    blended = compress.blend(CAT, constant(value), PAPER)
    np.testing.assert_array_equal(blended, pillows(CAT, quality))


def test_one_level_has_the_low_quality():
    one = dataclasses.replace(PAPER, levels=1)
    np.testing.assert_array_equal(compress.blend(CAT, bell(CAT), one), pillows(CAT, 30))


def test_equal_qualities_make_the_map_irrelevant():
    same = dataclasses.replace(PAPER, quality_low=45, quality_high=45)
    np.testing.assert_array_equal(compress.blend(CAT, bell(CAT), same), pillows(CAT, 45))


def test_two_halves_come_from_two_qualities():
    saliency = constant(0)
    saliency[:, 50:] = 1
    blended = compress.blend(CAT, saliency, PAPER)
    np.testing.assert_array_equal(blended[:, :50], pillows(CAT, 30)[:, :50])
    np.testing.assert_array_equal(blended[:, 50:], pillows(CAT, 70)[:, 50:])


@pytest.mark.parametrize("seed", range(3))
def test_blend_against_a_pixel_by_pixel_reference(seed):
    photo = CAT[: 31 + seed, : 45 - seed]
    saliency = np.random.default_rng(seed).random(photo.shape[:2]).astype(np.float32)
    saliency[0, :2] = [0, 1]
    decoded = {quality: pillows(photo, quality) for quality in (30, 40, 50, 60, 70)}
    expected = np.zeros_like(photo)
    for y in range(photo.shape[0]):
        for x in range(photo.shape[1]):
            level = min(int(float(saliency[y, x]) * 5), 4)
            expected[y, x] = decoded[30 + 10 * level][y, x]
    blended = compress.blend(photo, saliency, PAPER)
    np.testing.assert_array_equal(blended, expected)
    assert blended.dtype == np.uint8


def test_fractional_qualities_of_other_level_counts():
    four = dataclasses.replace(PAPER, levels=4)
    blended = compress.blend(CAT, constant(0.3), four)
    np.testing.assert_array_equal(blended, jpeg.decode(jpeg.encode(CAT, 30 + 40 / 3)))


def test_more_saliency_never_means_more_error():
    errors = [
        np.square(compress.blend(CAT, constant(v), PAPER) - CAT.astype(float)).mean()
        for v in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    assert errors == sorted(errors, reverse=True)


def test_blend_leaves_its_inputs_alone():
    photo, saliency = CAT.copy(), bell(CAT)
    before = saliency.copy()
    compress.blend(photo, saliency, PAPER)
    np.testing.assert_array_equal(photo, CAT)
    np.testing.assert_array_equal(saliency, before)


# --- second pass


def test_every_method_and_quality_once_in_order():
    found = [(m, q) for m, q, _ in compress.compress_image(CAT, bell(CAT), PAPER)]
    assert found == [(m, q) for q in (30, 50, 70) for m in ("jpeg", "msroi")]
    assert {m for m, _ in found} == {"jpeg", "msroi"}


def test_the_reference_is_pillows_jpeg_and_its_own_target():
    for method, quality, match in compress.compress_image(CAT, bell(CAT), PAPER):
        if method == "jpeg":
            np.testing.assert_array_equal(jpeg.decode(match.data), pillows(CAT, quality))
            assert match.size_error_pct == 0
            assert match.quality == quality


def test_msroi_is_the_blend_encoded_at_its_final_quality():
    blended = compress.blend(CAT, bell(CAT), PAPER)
    for method, quality, match in compress.compress_image(CAT, bell(CAT), PAPER):
        if method == "msroi":
            assert match.data == jpeg.encode(blended, match.quality)
            assert match.target_bytes == len(jpeg.encode(CAT, quality))


def test_photos_are_matched_within_1_pct_and_typically_within_03():
    names = ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "gravel", "brick")
    errors = []
    for name in names:
        photo = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"))
        for method, _, match in compress.compress_image(photo, bell(photo), PAPER):
            if method == "msroi":
                errors.append(abs(match.size_error_pct))
    assert max(errors) <= 1.0
    assert np.quantile(errors, 0.9) <= 0.3


@pytest.mark.parametrize("quality", [30, 50, 70])
def test_a_target_in_bytes_is_never_exceeded(quality):
    photo = skimage.data.coffee()
    target = len(jpeg.encode(photo, quality)) + 17
    match = compress.matched_jpeg(photo, target, never_above=True)
    assert len(match.data) <= target
    assert match.within(1.0)


# --- the stage


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    demo = params.load("demo")
    return dataclasses.replace(demo, name="tiny", compress=PAPER)


PHOTOS = {
    ("set", "cat"): skimage.data.chelsea()[40:240, 80:331],
    ("set", "sub__a cup ä.v2"): skimage.data.coffee()[100:281, 50:250],
    ("other", "cat"): skimage.data.astronaut()[:160, 100:259],
    ("other", "grey"): np.repeat(skimage.data.coins()[:100, :150, None], 3, axis=2),
}


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Lay out four test photographs and their maps as the stages before would."""
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    rows = [dict.fromkeys(index.COLUMNS, "") | {"row": 0, "split": "train", "dataset": "set"}]
    for number, ((dataset, image), photo) in enumerate(PHOTOS.items(), start=1):
        images.write_image(layout.test_images / dataset / f"{image}.png", photo)
        saliency = np.rint(bell(photo) * 255).astype(np.uint8)
        images.write_image(layout.heatmaps / "saliency" / dataset / f"{image}.png", saliency)
        row = {"row": number, "split": "test", "dataset": dataset, "image": image}
        rows.append(dict.fromkeys(index.COLUMNS, "") | row)
    write_csv(layout.index, index.COLUMNS, rows)
    return layout


def table(layout):
    with (layout.jpeg / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def every_file(layout):
    return {p.as_posix(): p.read_bytes() for p in sorted(layout.jpeg.rglob("*")) if p.is_file()}


def test_the_stage_end_to_end(experiment, layout):
    compress.run(experiment, layout)
    rows = table(layout)
    assert tuple(rows[0]) == compress.COLUMNS
    keys = [(r["dataset"], r["image"], int(r["match_quality"]), r["method"]) for r in rows]
    expected = [(*photo, q, m) for photo in PHOTOS for q in (30, 50, 70) for m in ("jpeg", "msroi")]
    assert keys == expected
    for row in rows:
        photo = PHOTOS[row["dataset"], row["image"]]
        quality = int(row["match_quality"])
        path = layout.jpeg_file(row["dataset"], row["method"], quality, row["image"])
        data = path.read_bytes()
        assert images.read_rgb(path).shape == photo.shape
        assert len(data) == int(row["bytes"])
        assert int(row["target_bytes"]) == len(jpeg.encode(photo, quality))
        error = 100 * (len(data) / int(row["target_bytes"]) - 1)
        assert float(row["size_error_pct"]) == pytest.approx(error, abs=5e-5)
        assert row["matched"] == "true"
        assert abs(error) <= 1
        assert (row["encoder"], row["encoder_version"]) == ("pillow", jpeg.encoder_version())
        if row["method"] == "jpeg":
            assert data == jpeg.encode(photo, quality)
            assert row["q_final"] == f"{quality}.000"
        else:
            blended = compress.blend(photo, eight_bit(bell(photo)), PAPER)
            assert (
                images.read_rgb(path).tolist()
                == jpeg.decode(
                    compress.matched_jpeg(blended, int(row["target_bytes"])).data
                ).tolist()
            )


def test_the_stage_writes_nothing_but_its_files(experiment, layout):
    compress.run(experiment, layout)
    listed = {
        layout.jpeg_file(r["dataset"], r["method"], int(r["match_quality"]), r["image"]).as_posix()
        for r in table(layout)
    }
    assert set(every_file(layout)) == listed | {(layout.jpeg / "index.csv").as_posix()}


def test_two_runs_give_the_same_bytes_and_leave_nothing_old(experiment, layout):
    compress.run(experiment, layout)
    first = every_file(layout)
    stray = layout.jpeg / "images" / "gone" / "old.jpg"
    stray.parent.mkdir()
    stray.write_bytes(b"old")
    compress.run(experiment, layout)
    assert every_file(layout) == first


@pytest.mark.parametrize("workers", [1, 16])
def test_results_do_not_depend_on_the_threads(experiment, layout, monkeypatch, workers):
    compress.run(experiment, layout)
    first = every_file(layout)
    pool = compress.ThreadPoolExecutor
    monkeypatch.setattr(compress, "ThreadPoolExecutor", lambda: pool(workers))
    compress.run(experiment, layout)
    assert every_file(layout) == first


def test_a_target_out_of_reach_is_marked(experiment, layout):
    """The second pass can't make a blend of quality 2 as large as the original's JPEG."""
    poor = dataclasses.replace(PAPER, match_qualities=(99,), quality_low=2, quality_high=2)
    compress.run(dataclasses.replace(experiment, compress=poor), layout)
    marks = {(r["method"], r["matched"]) for r in table(layout)}
    assert marks == {("jpeg", "true"), ("msroi", "false")}


def test_the_tolerance_decides_what_is_matched(experiment, layout):
    strict = dataclasses.replace(PAPER, size_tolerance_pct=1e-9)
    compress.run(dataclasses.replace(experiment, compress=strict), layout)
    for row in table(layout):
        assert (row["matched"] == "true") == (float(row["size_error_pct"]) == 0)


def test_a_missing_map_is_named(experiment, layout):
    path = layout.heatmaps / "saliency" / "other" / "cat.png"
    path.unlink()
    with pytest.raises(ImageError) as caught:
        compress.run(experiment, layout)
    assert str(caught.value) == f"{path} is not there."
    assert not (layout.jpeg / "index.csv").exists()


def test_a_missing_index_says_what_to_run(experiment, layout):
    layout.index.unlink()
    with pytest.raises(MissingError, match=r"index\.csv is missing; run `snakemake`"):
        compress.run(experiment, layout)
