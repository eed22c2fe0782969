"""BD-rates by their properties and by a second implementation; the stage on tiny photographs."""

import csv
import dataclasses
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from msroi import images
from msroi.encoders import context, jpeg, methods
from msroi.encoders.peers import PEERS
from msroi.errors import ImageError, MissingError
from msroi.experiment import params, prepared_images
from msroi.experiment.layout import Layout
from msroi.experiment.selection import first_by_name
from msroi.files import write_csv
from msroi.measures import curves, distortion
from msroi.measures.curves import at_sizes, bd_rate_pct, efficient, overlap
from msroi.measures.distortion import HEADLINE
from msroi.stages import rate_distortion

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
PHOTOS = {name: getattr(skimage.data, name)() for name in ("astronaut", "coffee", "chelsea")}
QUALITIES = (10, 30, 50, 70, 90)


def photo_curve(name, encode=jpeg.encode, qualities=range(10, 95, 10)):
    image = PHOTOS[name][:160, :200]
    files = [encode(image, quality) for quality in qualities]
    values = [distortion.psnr_rgb_db(image, jpeg.decode(file)) for file in files]
    return efficient([len(file) for file in files], values)


# what an encoder may give: sizes and values that rise, by steps that are not all alike
rising = st.lists(
    st.tuples(st.floats(0.05, 1), st.floats(0.2, 4)), min_size=curves.FEWEST_POINTS, max_size=10
).map(
    lambda steps: efficient(
        1000 * np.exp(np.cumsum([size for size, _ in steps])),
        25 + np.cumsum([value for _, value in steps]),
    )
)


# --- efficient points


def test_efficient_points_by_hand():
    sizes, values = [400, 100, 200, 200, 300, 500], [34, 30, 29, 31, 33, 34]
    found = efficient(sizes, values)
    np.testing.assert_array_equal(found.sizes, [100, 200, 300, 400])
    np.testing.assert_array_equal(found.values, [30, 31, 33, 34])


def test_infinite_values_are_no_points():
    found = efficient([1, 2, 3], [30, math.inf, 31])
    np.testing.assert_array_equal(found.values, [30, 31])
    assert len(efficient([1], [math.inf]).sizes) == 0


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_efficient_points_are_those_that_none_beats(points):
    found = efficient([size for size, _ in points], [value for _, value in points])
    assert (np.diff(found.sizes) > 0).all()
    assert (np.diff(found.values) > 0).all()
    expected = {
        (size, value)
        for size, value in points
        if not any(s <= size and v >= value and (s, v) != (size, value) for s, v in points)
    }
    assert set(zip(found.sizes, found.values, strict=True)) == expected


# --- BD-rate


@given(rising)
def test_a_curve_against_itself_is_0(curve):
    assert bd_rate_pct(curve, curve) == pytest.approx(0, abs=1e-9)


@given(rising, st.floats(0.1, 10))
def test_a_factor_on_every_size_is_the_bd_rate(curve, factor):
    scaled = dataclasses.replace(curve, sizes=factor * curve.sizes)
    assert bd_rate_pct(curve, scaled) == pytest.approx(100 * (factor - 1), rel=1e-6, abs=1e-9)


def test_half_the_bytes_is_minus_50_pct():
    curve = photo_curve("coffee")
    half = dataclasses.replace(curve, sizes=curve.sizes / 2)
    assert bd_rate_pct(curve, half) == pytest.approx(-50)
    assert bd_rate_pct(half, curve) == pytest.approx(100)


@given(rising, rising)
def test_the_factors_of_both_directions_are_inverse(one, other):
    there, back = bd_rate_pct(one, other), bd_rate_pct(other, one)
    assert (there is None) == (back is None)
    assume(there is not None)
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


@given(rising, rising, st.floats(0.01, 100), st.floats(-20, 20))
def test_units_do_not_matter(one, other, per_byte, shift_db):
    def in_units(curve):
        return curves.Curve(per_byte * curve.sizes, curve.values + shift_db)

    expected = bd_rate_pct(one, other)
    assume(expected is not None and overlap(one, other) > curves.LEAST_OVERLAP + 1e-6)
    found = bd_rate_pct(in_units(one), in_units(other))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def bjontegaards(one, other):
    """Restate VCEG-M33: one cubic polynomial through each curve's log sizes."""
    low = max(one.values[0], other.values[0])
    high = min(one.values[-1], other.values[-1])
    middle = (low + high) / 2  # for the fit's sake

    def area(curve):
        line = np.polynomial.Polynomial.fit(curve.values - middle, np.log(curve.sizes), 3)
        integral = line.integ()
        return integral(high - middle) - integral(low - middle)

    return 100 * (math.exp((area(other) - area(one)) / (high - low)) - 1)


@pytest.mark.parametrize("method", ["jpeg-opt", "mozjpeg", "jpegli"])
@pytest.mark.parametrize("name", PHOTOS)
def test_bd_rate_is_bjontegaards_cubic_fit_within_one_percent(name, method):
    peer = PEERS[method]
    plain = photo_curve(name)
    other = photo_curve(name, lambda image, quality: peer.prepare(image, None)(quality))
    assert bd_rate_pct(plain, other) == pytest.approx(bjontegaards(plain, other), abs=1)


def test_optimised_huffman_tables_save_what_the_sizes_say():
    """The pixels are those of plain JPEG, so the mean log ratio of the sizes is the BD-rate."""
    opt = PEERS["jpeg-opt"]
    plain = photo_curve("coffee", qualities=QUALITIES)
    other = photo_curve("coffee", lambda i, q: opt.prepare(i, None)(q), QUALITIES)
    np.testing.assert_array_equal(plain.values, other.values)
    ratios = 100 * (other.sizes / plain.sizes - 1)
    assert ratios.min() < bd_rate_pct(plain, other) < ratios.max() < 0


def test_curves_that_share_too_little_have_no_bd_rate():
    one = efficient([1, 2, 3, 4], [30, 31, 32, 34])
    for shift, expected in ((0, 1), (1, 0.75), (2, 0.5), (3, 0.25), (5, 0)):
        other = dataclasses.replace(one, values=one.values + shift)
        assert overlap(one, other) == pytest.approx(expected)
        assert (bd_rate_pct(one, other) is None) == (expected < curves.LEAST_OVERLAP)


def test_a_curve_that_ends_early_is_compared_where_it_reaches():
    one = efficient([1, 2, 3, 4, 5, 6], [30, 31, 32, 33, 34, 35])
    other = efficient([2, 4, 6, 8], [30, 31, 32, 33])
    assert overlap(one, other) == overlap(other, one) == 1
    assert bd_rate_pct(one, other) == pytest.approx(100, abs=2)


def test_a_curve_of_three_points_has_no_bd_rate():
    four = efficient([1, 2, 3, 4], [30, 31, 32, 34])
    three = efficient([1, 2, 4], [30, 31, 34])
    assert bd_rate_pct(four, three) is None
    assert bd_rate_pct(three, four) is None


# --- values at sizes


@settings(deadline=None)
@given(rising)
def test_a_curve_passes_through_its_points_and_ends_there(curve):
    np.testing.assert_allclose(at_sizes(curve, curve.sizes), curve.values)
    between = at_sizes(curve, np.geomspace(curve.sizes[0], curve.sizes[-1], 50)[1:-1])
    assert (np.diff(between) >= 0).all()
    assert np.isnan(at_sizes(curve, curve.sizes[[0, -1]] * [0.99, 1.01])).all()


def test_a_curve_of_few_points_has_no_values():
    assert np.isnan(at_sizes(efficient([2], [30]), np.array([1.5, 2]))).all()
    assert at_sizes(efficient([1, 4], [30, 32]), np.array([2])) == pytest.approx(31)


def table(gain_db, images=("a", "b"), qualities=QUALITIES):
    """Two methods on images of different detail: `other` gains so much at any size."""
    return [
        {"dataset": "set", "image": image, "method": method, "quality": quality}
        | {"bytes": size, "psnr_rgb_db": value, "ssim_luma": 0.5 + value / 100}
        | {"wpsnr_rgb_db": value + 1}
        for number, image in enumerate(images, start=1)
        for method, gain in (("jpeg", 0), ("other", gain_db))
        for quality in qualities
        for size in [1000 * number * quality]
        for value in [20 + math.log(quality) / number + gain]
    ]


def test_gains_are_at_sizes_relative_to_plain_jpeg_of_quality_50():
    found = rate_distortion.gains(table(0.7))
    assert list(found) == [("set", "other", measure) for measure in HEADLINE]
    sizes = rate_distortion.SIZES_PCT
    assert (sizes[0], sizes[-1]) == pytest.approx((35, 200))
    there = sizes <= 180  # quality 90 is the last
    for measure, expected in (("psnr_rgb_db", 0.7), ("ssim_luma", 0.007), ("wpsnr_rgb_db", 0.7)):
        np.testing.assert_allclose(found["set", "other", measure][there], expected)
        assert np.isnan(found["set", "other", measure][~there]).all()


def test_a_mean_gain_ends_where_the_first_image_does():
    rows = [r for r in table(1) if (r["image"], r["method"], r["quality"]) != ("b", "other", 90)]
    found = rate_distortion.gains(rows)["set", "other", "psnr_rgb_db"]
    assert np.isnan(found[rate_distortion.SIZES_PCT > 141]).all()
    assert np.isfinite(found[rate_distortion.SIZES_PCT < 139]).all()


def test_bd_rates_by_hand():
    """Of b's points the last is worse than the one before; c's curves share no value."""
    rows = table(0, images=("a", "b", "c"))
    for row in rows:
        if row["method"] == "other":
            row["bytes"] /= {"a": 2, "b": 4, "c": 1}[row["image"]]
            if (row["image"], row["quality"]) == ("b", 90):
                row.update(dict.fromkeys(HEADLINE, 0))
            if row["image"] == "c":
                row.update({name: row[name] + 50 for name in HEADLINE})
    found = rate_distortion.bd_rates(rows)
    assert [row["measure"] for row in found] == list(HEADLINE)
    for row in found:
        assert tuple(row) == rate_distortion.BD_COLUMNS
        assert (row["dataset"], row["method"], row["against"]) == ("set", "other", "jpeg")
        assert (row["n"], row["n_dropped"], row["n_points_dropped"]) == (2, 1, 1)
        # PCHIP's last slopes differ where the last point is gone
        assert row["bd_rate_pct"] == pytest.approx(statistics.mean([-50, -75]), abs=0.5)
        assert row["sd"] == pytest.approx(statistics.stdev([-50, -75]), abs=0.5)


def test_a_mean_of_no_bd_rate_is_empty():
    rows = table(100)
    (row, *_) = rate_distortion.bd_rates(rows)
    assert (row["n"], row["n_dropped"], row["bd_rate_pct"], row["sd"]) == (0, 2, None, None)


# --- the selection


def test_the_first_by_name_of_each_set():
    photographs = [("b", "2"), ("a", "z"), ("b", "10"), ("a", "y"), ("b", "1"), ("b", "1")]
    assert first_by_name(photographs, 2) == [("a", "y"), ("a", "z"), ("b", "1"), ("b", "10")]
    assert first_by_name(photographs, 1) == [("a", "y"), ("b", "1")]
    assert first_by_name(photographs, 0) == sorted(set(photographs))
    assert first_by_name([], 3) == []


# --- the stage


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    demo = params.load("demo")
    return dataclasses.replace(
        demo,
        name="tiny",
        compress=dataclasses.replace(demo.compress, methods=("jpeg", "msroi", "mozjpeg")),
        rate_distortion=params.RateDistortion(QUALITIES, 2, ()),
    )


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Lay out three photographs of one set and one of another as the stages before would."""
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    rows = []
    for number, (dataset, image, photo) in enumerate(
        [
            ("set", "c", PHOTOS["astronaut"][:90, 100:190]),
            ("set", "a", PHOTOS["chelsea"][60:160, 100:221]),
            ("set", "b", PHOTOS["coffee"][100:181, 50:150]),
            ("other", "cat", PHOTOS["chelsea"][60:140, 100:180]),
        ]
    ):
        images.write_image(layout.test_image(dataset, image), photo)
        saliency = np.linspace(0, 255, photo.shape[1]).astype(np.uint8)
        saliency = np.broadcast_to(saliency, photo.shape[:2])
        for name in ("paper", "readout"):
            images.write_image(layout.saliency(name, dataset, image), saliency)
        row = {"row": number, "split": "test", "dataset": dataset, "image": image}
        rows.append(dict.fromkeys(prepared_images.COLUMNS, "") | row)
    write_csv(layout.index, prepared_images.COLUMNS, rows)
    return layout


def written(layout, name):
    with (layout.rate_distortion / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def every_file(layout):
    return {path.name: path.read_bytes() for path in sorted(layout.rate_distortion.iterdir())}


def test_the_stage_end_to_end(experiment, layout):
    rate_distortion.run(experiment, layout)
    assert set(every_file(layout)) == {
        *("bd_rate.csv", "curves.csv", "rate_distortion.png", "summary.json"),
    }
    rows = written(layout, "curves.csv")
    assert ",".join(rows[0]) == (
        "experiment,dataset,image,method,quality,bytes,bpp,psnr_rgb_db,ssim_luma,wpsnr_rgb_db"
    )
    found = [(r["dataset"], r["image"], r["method"], int(r["quality"])) for r in rows]
    photographs = (("other", "cat"), ("set", "a"), ("set", "b"))
    assert found == [
        (*photograph, method, quality)
        for photograph in photographs
        for method in ("jpeg", "msroi", "mozjpeg")
        for quality in QUALITIES
    ]
    for row in rows:
        place = row["dataset"], row["image"]
        photo = images.read_rgb(layout.test_image(*place))
        saliency = images.read_grey(layout.saliency("readout", *place))
        encode = methods.encoder(row["method"], experiment.compress).prepare(photo, saliency)
        data = encode(int(row["quality"]))
        decoded = jpeg.decode(data)
        assert row["experiment"] == "tiny"
        assert int(row["bytes"]) == len(data)
        expected = {
            "bpp": 8 * len(data) / (photo.shape[0] * photo.shape[1]),
            "psnr_rgb_db": distortion.psnr_rgb_db(photo, decoded),
            "ssim_luma": distortion.ssim_luma(photo, decoded),
            "wpsnr_rgb_db": distortion.wpsnr_rgb_db(photo, decoded, saliency),
        }
        for name, value in expected.items():
            assert float(row[name]) == pytest.approx(value, rel=1e-7)


def test_bd_rates_and_summary_are_those_of_the_curves(experiment, layout):
    rate_distortion.run(experiment, layout)
    rates = written(layout, "bd_rate.csv")
    assert ",".join(rates[0]) == (
        "dataset,method,against,measure,n,bd_rate_pct,sd,n_dropped,n_points_dropped"
    )
    assert [(row["dataset"], row["method"], row["measure"]) for row in rates] == [
        (dataset, method, measure)
        for dataset in ("other", "set")
        for method in ("msroi", "mozjpeg")
        for measure in ("psnr_rgb_db", "ssim_luma", "wpsnr_rgb_db")
    ]
    found = {}
    for row in written(layout, "curves.csv"):
        points = found.setdefault((row["dataset"], row["method"], row["image"]), [])
        points.append((float(row["bytes"]), float(row["psnr_rgb_db"])))
    expected = [
        bd_rate_pct(*(efficient(*zip(*found["set", m, i], strict=True)) for m in ("jpeg", method)))
        for method in ("mozjpeg",)
        for i in ("a", "b")
    ]
    row = next(r for r in rates if (r["dataset"], r["method"]) == ("set", "mozjpeg"))
    assert (row["n"], row["n_dropped"]) == ("2", "0")
    assert float(row["bd_rate_pct"]) == pytest.approx(statistics.mean(expected), rel=1e-7)
    assert float(row["sd"]) == pytest.approx(statistics.stdev(expected), rel=1e-7)
    summary = json.loads((layout.rate_distortion / "summary.json").read_text())
    assert summary["set"]["mozjpeg"]["psnr_rgb_db"] == {
        "n": 2,
        "bd_rate_pct": float(row["bd_rate_pct"]),
        "sd": float(row["sd"]),
        "n_dropped": 0,
    }
    assert list(summary) == ["other", "set"]
    assert summary["other"]["mozjpeg"]["ssim_luma"]["sd"] is None


@pytest.mark.parametrize("workers", [1, 8])
def test_two_runs_give_the_same_bytes_whatever_the_threads(
    experiment, layout, monkeypatch, workers
):
    rate_distortion.run(experiment, layout)
    first = every_file(layout)
    monkeypatch.setattr(rate_distortion, "WORKERS", workers)
    rate_distortion.run(experiment, layout)
    assert every_file(layout) == first


def test_plain_jpeg_alone_has_no_rates(experiment, layout):
    alone = dataclasses.replace(experiment.compress, methods=("jpeg",))
    rate_distortion.run(dataclasses.replace(experiment, compress=alone), layout)
    assert written(layout, "bd_rate.csv") == []
    assert json.loads((layout.rate_distortion / "summary.json").read_text()) == {}
    assert (layout.rate_distortion / "rate_distortion.png").exists()


def test_0_images_are_all(experiment, layout):
    everything = params.RateDistortion((10, 20, 50, 90), 0, ())
    rate_distortion.run(dataclasses.replace(experiment, rate_distortion=everything), layout)
    places = {(row["dataset"], row["image"]) for row in written(layout, "curves.csv")}
    assert places == {("set", "a"), ("set", "b"), ("set", "c"), ("other", "cat")}


def test_a_missing_index_says_what_to_run(experiment, layout):
    layout.index.unlink()
    with pytest.raises(MissingError) as caught:
        rate_distortion.run(experiment, layout)
    assert str(caught.value) == (
        "data/tiny/prepare/index.csv is missing; run `snakemake` (or `dvc repro`) to make it."
    )


def test_a_missing_map_is_named(experiment, layout):
    path = layout.saliency("readout", "set", "b")
    path.unlink()
    with pytest.raises(ImageError) as caught:
        rate_distortion.run(experiment, layout)
    assert str(caught.value) == f"{path} is not there; check its name."
    assert not layout.rate_distortion.exists()


def test_a_photograph_that_is_too_small_is_named(experiment, layout):
    path = layout.test_image("set", "a")
    maps = (layout.saliency(name, "set", "a") for name in ("paper", "readout"))
    for place in (path, *maps):
        images.write_image(place, PHOTOS["coffee"][:10, :40])
    with pytest.raises(ImageError) as caught:
        rate_distortion.run(experiment, layout)
    assert str(caught.value) == (
        f"{path}: The image has 40x10 pixels; SSIM and MS-SSIM need at least 11 a side."
    )


# --- the plot


def test_every_method_but_plain_jpeg_has_a_line_of_its_own():
    assert set(methods.lines()) == set(methods.METHODS) - {"jpeg"}
    colours = [style["color"] for style in methods.lines().values()]
    assert len(set(colours)) == len(colours)


def test_the_plot_is_the_same_bytes_every_time(tmp_path):
    lines = {
        (dataset, method, measure): np.full(len(rate_distortion.SIZES_PCT), 0.5)
        for dataset in ("one", "two")
        for method in methods.lines()
        for measure in HEADLINE
    }
    for name in ("first.png", "second.png"):
        rate_distortion.plot_gains(lines, {"one": 3, "two": 5}, tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    with Image.open(tmp_path / "first.png") as image:
        width, height = image.size
    assert 800 < width < 1400
    assert 700 < height < 1100


# --- formats other than JPEG


@pytest.mark.parametrize("name", context.FORMATS)
def test_a_format_of_the_context_is_what_it_says_and_better_at_higher_quality(name):
    image = PHOTOS["astronaut"][:90, 100:191]
    encode = context.FORMATS[name].prepare(image)
    files = [encode(quality) for quality in (20, 60, 90)]
    signature = {"webp": b"WEBPVP8", "avif": b"ftypavif", "jpeg-xl": b"\xff\x0a"}[name]
    assert all(signature in file[:16] for file in files)
    assert encode(60) == files[1]
    values = [distortion.psnr_rgb_db(image, context.decode(file)) for file in files]
    assert values == sorted(values)
    assert list(map(len, files)) == sorted(map(len, files))


def test_the_context_has_curves_beside_the_methods(experiment, layout):
    with_context = params.RateDistortion(QUALITIES, 1, ("webp", "jpeg-xl"))
    rate_distortion.run(dataclasses.replace(experiment, rate_distortion=with_context), layout)
    rows = written(layout, "curves.csv")
    per_photograph = ["jpeg", "msroi", "mozjpeg", "webp", "jpeg-xl"]
    assert [row["method"] for row in rows[:: len(QUALITIES)]] == per_photograph * 2
    assert {row["method"] for row in written(layout, "bd_rate.csv")} == set(per_photograph[1:])


def test_the_plot_says_what_is_context():
    assert set(context.lines()) == set(context.FORMATS)
    assert not set(context.FORMATS) & set(methods.METHODS)
    for name, style in context.lines().items():
        assert style["label"] == f"{context.FORMATS[name].label} (context)"


def test_the_formats_are_those_of_the_schema():
    schema = yaml.safe_load((ROOT / params.SCHEMA).read_text(encoding="utf-8"))
    section = schema["properties"]["rate_distortion"]["properties"]
    assert section["context"]["items"]["enum"] == list(context.FORMATS)
