"""Measures of saliency against second implementations, and real fixations and boxes."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.io import savemat

from msroi.errors import SourceError
from msroi.experiment import prepared_images
from msroi.files import read_csv, read_json, write_csv
from msroi.images import read_grey, write_image
from msroi.measures import saliency_quality as quality
from msroi.sources import annotations
from msroi.sources.annotations import Box, Fixated, read_boxes, read_fixations
from msroi.sources.splits import SPLITS, read_split
from msroi.stages import heatmap

pytestmark = pytest.mark.numerics

REAL = Path(__file__).parents[3] / "shared" / "data"
OSIE = REAL / "osie" / "osie.zip"
SALICON = REAL / "salicon" / "salicon_fixations.zip"
CALTECH = REAL / "caltech-101" / "airplanes_boxes.csv"
NO_DATA = "needs the real data in shared/data beside the checkout"

SEEDS = st.integers(0, 2**32)


def drawn(seed, levels=0, shape=(9, 14)):
    """Return a map, of so many levels if not 0, and fixations with some pixels twice."""
    rng = np.random.default_rng(seed)
    saliency = rng.random(shape)
    if levels:
        saliency = np.floor(saliency * levels) / levels
    count = int(rng.integers(1, 40))
    points = np.stack([rng.integers(0, side, count) for side in shape], axis=1)
    return saliency.astype(np.float32), points


def split(saliency, points):
    """Return the map's values at fixated and at all other pixels."""
    fixated = set(map(tuple, points.tolist()))
    pixels = list(np.ndindex(saliency.shape))
    return (
        np.array([saliency[p] for p in pixels if p in fixated], np.float64),
        np.array([saliency[p] for p in pixels if p not in fixated], np.float64),
    )


def auc_judd_in_matlab(saliency, points):
    """Return what AUC_Judd.m computes, without its jitter."""
    fixated, others = split(saliency, points)
    pixels = np.concatenate([fixated, others])
    tp, fp = [0.0], [0.0]
    for rank, threshold in enumerate(sorted(fixated, reverse=True), start=1):
        above = (pixels >= threshold).sum()
        tp.append(rank / len(fixated))
        fp.append((above - rank) / len(others))
    return np.trapezoid([*tp, 1.0], [*fp, 1.0])


# against fixations


@settings(deadline=None)
@given(SEEDS, st.sampled_from([0, 1, 2, 5]))
def test_auc_is_the_share_of_pairs_in_order(seed, levels):
    saliency, points = drawn(seed, levels)
    fixated, others = split(saliency, points)
    pairs = np.sign(fixated[:, None] - others[None, :])
    assert quality.auc_judd(saliency, points) == pytest.approx((pairs.mean() + 1) / 2)
    # Mann and Whitney's U from ranks
    ranks = stats.rankdata(np.concatenate([fixated, others]))[: len(fixated)].sum()
    u = ranks - len(fixated) * (len(fixated) + 1) / 2
    expected = u / (len(fixated) * len(others))
    assert quality.auc_judd(saliency, points) == pytest.approx(expected)


@settings(deadline=None)
@given(SEEDS)
def test_auc_is_that_of_judds_code_but_for_its_trapezia(seed):
    saliency, points = drawn(seed)
    extra = auc_judd_in_matlab(saliency, points) - quality.auc_judd(saliency, points)
    fixated = quality.fixated_pixels(saliency.shape, points).sum()
    assert -1e-9 <= extra <= 1 / (2 * fixated) + 1e-9


@settings(deadline=None)
@given(SEEDS, st.sampled_from([0, 4]), st.floats(0.2, 5), st.floats(0.1, 10), st.floats(-3, 3))
def test_what_does_not_change_a_measure(seed, levels, power, factor, shift):
    saliency, points = drawn(seed, levels)
    auc = quality.auc_judd(saliency, points)
    # a monotone transform in float64 keeps order and ties
    assert quality.auc_judd(saliency.astype(np.float64) ** power, points) == pytest.approx(auc)
    assert quality.auc_judd(-saliency, points) == pytest.approx(1 - auc)
    # fixating a pixel again, or in another order, says nothing new
    again = np.concatenate([points[::-1], points[:1]])
    assert quality.auc_judd(saliency, again) == auc
    assert quality.nss(saliency, again) == quality.nss(saliency, points)

    moved = saliency.astype(np.float64) * factor + shift
    nss = quality.nss(saliency, points)
    assert quality.nss(moved, points) == pytest.approx(nss, abs=1e-6)
    assert quality.nss(-moved, points) == pytest.approx(-nss, abs=1e-6)

    other = drawn(seed + 1)[0]
    cc = quality.cc(saliency, other)
    assert quality.cc(other, saliency) == pytest.approx(cc, abs=1e-6)
    assert quality.cc(moved, other) == pytest.approx(cc, abs=1e-6)


@settings(deadline=None)
@given(SEEDS)
def test_nss_and_cc_by_scipy(seed):
    saliency, points = drawn(seed)
    fixated = sorted(set(map(tuple, points.tolist())))
    scores = stats.zscore(saliency.astype(np.float64), axis=None)
    expected = np.mean([scores[pixel] for pixel in fixated])
    assert quality.nss(saliency, points) == pytest.approx(expected, abs=1e-6)
    other = drawn(seed + 1)[0]
    expected = stats.pearsonr(saliency.ravel(), other.ravel()).statistic
    assert quality.cc(saliency, other) == pytest.approx(expected, abs=1e-5)


def test_perfect_reversed_and_constant_maps():
    points = np.array([[1, 2], [3, 4], [1, 2]])
    perfect = quality.fixated_pixels((6, 8), points).astype(np.float32)
    assert perfect.sum() == 2
    assert quality.auc_judd(perfect, points) == 1
    assert quality.auc_judd(1 - perfect, points) == 0
    # two of 48 pixels are 1: mean 1/24, variance 23/576
    assert quality.nss(perfect, points) == pytest.approx(23**0.5)
    assert quality.cc(perfect, perfect) == pytest.approx(1)
    assert quality.cc(perfect, 1 - perfect) == pytest.approx(-1)
    for value in (0, 0.1, 1):
        constant = np.full((6, 8), value, np.float32)
        assert quality.auc_judd(constant, points) == 0.5
        assert quality.nss(constant, points) == 0
        assert quality.cc(constant, perfect) == quality.cc(perfect, constant) == 0
    nobody = np.zeros((0, 2), np.intp)
    assert quality.auc_judd(perfect, nobody) == 0.5
    assert quality.nss(perfect, nobody) == 0


def test_density_is_a_sum_of_gaussians():
    points = np.array([[100, 230], [100, 230], [120, 190]])
    got = quality.fixation_density((220, 480), points)
    assert got.dtype == np.float32
    row, column = np.mgrid[:220, :480]
    sigma = 0.03 * 480  # of the longer side, about one degree
    expected = sum(
        np.exp(-((row - r) ** 2 + (column - c) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        for r, c in points
    )
    np.testing.assert_allclose(got, expected, atol=expected.max() * 1e-3)


@settings(deadline=None)
@given(SEEDS, st.sampled_from([0, 3]))
def test_shuffled_auc_is_the_share_of_pairs_in_order(seed, levels):
    saliency, points = drawn(seed, levels)
    others = drawn(seed + 1)[1]
    fixated = split(saliency, points)[0]
    negatives = np.array([saliency[tuple(point)] for point in others], np.float64)
    pairs = np.sign(fixated[:, None] - negatives[None, :])
    got = quality.shuffled_auc(saliency, points, others)
    assert got == pytest.approx((pairs.mean() + 1) / 2)
    # who only knows where people look elsewhere knows nothing
    unique = np.unique(points, axis=0)
    assert quality.shuffled_auc(saliency, points, unique) == pytest.approx(0.5)
    assert quality.shuffled_auc(saliency, points, others[:0]) == 0.5
    assert quality.shuffled_auc(saliency, points[:0], others) == 0.5


@settings(deadline=None)
@given(SEEDS, st.floats(0.1, 10))
def test_information_gain_by_hand(seed, factor):
    saliency, points = drawn(seed)
    baseline = quality.probability(drawn(seed + 1)[0])
    assert baseline.sum() == pytest.approx(1)
    shares = saliency.astype(np.float64) / saliency.sum(dtype=np.float64)
    bits = [
        np.log2(0.99 * shares[row, column] + 0.01 / saliency.size) - np.log2(baseline[row, column])
        for row, column in points
    ]
    gain = quality.information_gain(saliency, baseline, points)
    assert gain == pytest.approx(np.mean(bits), abs=1e-6)
    assert quality.information_gain(saliency * np.float32(factor), baseline, points) == (
        pytest.approx(gain, abs=1e-5)
    )
    assert quality.information_gain(saliency, quality.probability(saliency), points) == 0
    assert quality.information_gain(saliency, baseline, points[:0]) == 0


def test_a_map_of_zeros_is_the_uniform_one_and_none_is_impossible():
    zeros = np.zeros((4, 5), np.float32)
    np.testing.assert_allclose(quality.probability(zeros), 1 / 20)
    zeros[0, 0] = 7
    assert quality.probability(zeros).min() == pytest.approx(quality.FLOOR / 20)


def fixated_by(viewers, shape=(30, 40), seed=0):
    rng = np.random.default_rng(seed)
    points = np.stack([rng.integers(0, side, 4 * viewers) for side in shape], axis=1)
    return Fixated(shape, points, np.repeat(np.arange(viewers), 4))


def test_the_others_are_all_but_one():
    seen = {name: fixated_by(3, seed=number) for number, name in enumerate("abc")}
    others = quality.Crowd(seen).others("b")
    expected = np.concatenate([seen["a"].points, seen["c"].points])
    assert others.points.tolist() == expected.tolist()
    density = quality.fixation_density((30, 40), expected)
    np.testing.assert_allclose(others.baseline, quality.probability(density), rtol=1e-4)
    assert quality.Crowd({"a": seen["a"]}).others("a") is None


def test_half_of_the_viewers_tell_of_the_others():
    seen = fixated_by(15)
    tell, judge = quality.halves(seen)
    assert (len(set(tell.viewers)), len(set(judge.viewers))) == (7, 8)
    assert not set(tell.viewers) & set(judge.viewers)
    rows = {row["measure"]: float(row["value"]) for row in quality.human_rows(seen, None)}
    density = quality.fixation_density(seen.size, tell.points)
    told = quality.human_map(tell, None)
    assert told.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(told, density / density.sum(), rtol=1e-5)
    assert rows["nss"] == pytest.approx(quality.nss(told, judge.points), abs=1e-6)
    assert rows["auc_judd"] == pytest.approx(quality.auc_judd(told, judge.points), abs=1e-6)
    assert set(rows) == {"auc_judd", "nss", "cc"}  # no others are known
    assert not list(quality.human_rows(fixated_by(1), None))  # nobody to judge


def test_means_have_standard_errors_and_numbers():
    rows = [{"map": "m", "measure": "x", "value": value} for value in ("1", "2", "6")]
    assert quality.means(rows) == {"m": {"x": 3}}
    assert quality.counts(rows) == {"m": {"x": 3}}
    assert quality.standard_errors(rows)["m"]["x"] == pytest.approx(stats.sem([1, 2, 6]), abs=1e-6)
    assert quality.standard_errors(rows[:1]) == {"m": {"x": 0}}


@pytest.mark.parametrize("size", [(48, 64), (7, 7), (5, 40), (1, 1)])
def test_centre_prior(size):
    prior = quality.centre_prior(*size)
    assert (prior.shape, prior.dtype) == (size, np.float32)
    assert 0 < prior.min() <= prior.max() <= 1
    np.testing.assert_allclose(prior, prior[::-1, ::-1], rtol=1e-5)
    np.testing.assert_allclose(prior, quality.centre_prior(*size[::-1]).T, rtol=1e-5)
    for row, column in np.ndindex(size):
        down, across = (row + 0.5) / size[0] - 0.5, (column + 0.5) / size[1] - 0.5
        assert prior[row, column] == pytest.approx(np.exp(-8 * (down**2 + across**2)), rel=1e-5)


# against a box


def test_share_and_hit_by_hand():
    saliency = np.array([[0, 1, 2, 0], [1, 4, 2, 0]], np.float32)
    left = Box(0, 2, 0, 2)
    assert quality.box_share(saliency, left) == pytest.approx(0.6)
    assert quality.pointing_hit(saliency, left) == 1
    assert quality.box_share(saliency, Box(0, 1, 1.4, 9)) == pytest.approx(0.3)
    assert quality.pointing_hit(saliency, Box(0, 1, 0, 4)) == 0
    assert quality.box_share(saliency, Box(0, 2, 0, 4)) == 1
    # a map without a maximum of its own scores what chance does
    for value in (0, 0.5):
        constant = np.full((2, 4), value, np.float32)
        assert quality.box_share(constant, Box(0, 2, 0, 1)) == 0.25
        assert quality.pointing_hit(constant, Box(0, 2, 0, 1)) == 0.25


@settings(deadline=None)
@given(SEEDS, st.floats(0, 9), st.floats(0, 14))
def test_inside_and_outside_make_the_whole(seed, down, across):
    saliency, _ = drawn(seed)
    parts = [
        Box(top, bottom, left, right)
        for top, bottom in ((0, down), (down, 9))
        for left, right in ((0, across), (across, 14))
    ]
    assert sum(quality.box_share(saliency, part) for part in parts) == pytest.approx(1)
    assert sum(quality.pointing_hit(saliency, part) for part in parts) == 1


# readers


def fixations_file(path, points, name="COCO_train2014_000000000001.jpg", **changes):
    image = {"id": 7, "file_name": name, "height": 40, "width": 60}
    content = {
        "images": [image],
        "annotations": [{"image_id": 7, "fixations": part} for part in points],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes), encoding="utf-8")


SALICONS = Path(annotations.SALICON_FIXATIONS)


def test_the_two_conventions(tmp_path):
    folder = tmp_path / SALICONS
    fixations_file(folder / "fixations_train.json", [[[1, 60]], [[40, 1], [3, 2]]])
    fixations_file(folder / "fixations_val.json", [[[59.0, 0.0], [2.6, 39.4]]], "b.jpg")
    found, dropped = read_fixations(tmp_path)
    assert dropped == 0
    assert list(found) == ["COCO_train2014_000000000001", "b"]
    train, val = found.values()
    assert train.size == val.size == (40, 60)
    assert train.points.tolist() == [[0, 59], [39, 0], [2, 1]]
    assert train.viewers.tolist() == [0, 1, 1]
    assert val.points.tolist() == [[0, 59], [39, 3]]


def test_points_that_are_none_are_dropped_and_counted(tmp_path):
    bad = [[0, 5], [41, 5], [5, 61], [5], [5, 5, 5], [5, "5"], [5, None], 5, [float("nan"), 5]]
    bad.append([5, float("inf")])
    fixations_file(tmp_path / SALICONS / "train.json", [[*bad, [5, 5]], [], [[6, 6]]])
    found, dropped = read_fixations(tmp_path)
    assert dropped == len(bad)
    assert [seen.points.tolist() for seen in found.values()] == [[[4, 4], [5, 5]]]
    assert [seen.viewers.tolist() for seen in found.values()] == [[0, 2]]
    fixations_file(tmp_path / SALICONS / "train.json", [])
    found, dropped = read_fixations(tmp_path)
    assert [seen.points.shape for seen in found.values()] == [(0, 2)]


@pytest.mark.parametrize(
    "changes",
    [
        {"images": []},
        {"images": [{"id": 7}]},
        {"images": None},
        {"annotations": [{"image_id": 7, "fixations": None}]},
        {"annotations": ["a"]},
        {"annotations": 3},
    ],
)
def test_a_file_of_something_else(tmp_path, changes):
    path = tmp_path / SALICONS / "val.json"
    fixations_file(path, [[[1, 1]]], **changes)
    if changes == {"images": []}:  # an annotation of an image that is not listed
        assert read_fixations(tmp_path) == ({}, 0)
        return
    with pytest.raises(SourceError, match=r"val\.json is not a file of SALICON's fixations"):
        read_fixations(tmp_path)
    path.write_bytes(b"\xff no JSON")
    with pytest.raises(SourceError, match=r"^[^\n]+\.$"):
        read_fixations(tmp_path)


# OSIE


def osie_file(path, **photographs):
    """Write a file like OSIE's: of each photograph, the (x, y) from 1 of each viewer."""
    fixations = np.empty((len(photographs), 1), object)
    for number, (name, viewers) in enumerate(photographs.items()):
        subjects = np.empty((len(viewers), 1), object)
        for viewer, points in enumerate(viewers):
            x, y = np.array(points, np.float64).reshape(-1, 2).T
            subjects[viewer, 0] = {"fix_x": x, "fix_y": y, "fix_duration": np.full(len(x), 200.0)}
        fixations[number, 0] = {"img": f"{name}.jpg", "subjects": subjects}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"fixations": fixations})


def test_osies_file(tmp_path):
    path = tmp_path / annotations.OSIE / "eye" / "fixations.mat"
    first = [[[1, 1], [800, 600]], [], [[400.6, 300.4], [801, 5], [5, 0.2]]]
    osie_file(path, **{"1001": first, "1002": [[[7, 9]]]})
    found, dropped = read_fixations(tmp_path)
    assert list(found) == ["1001", "1002"]
    assert dropped == 2  # column 800 and row -1
    assert found["1001"].size == (600, 800)
    assert found["1001"].points.tolist() == [[0, 0], [599, 799], [299, 400]]
    assert found["1001"].viewers.tolist() == [0, 0, 2]
    assert found["1002"].points.tolist() == [[8, 6]]


def test_both_data_sets_at_once(tmp_path):
    osie_file(tmp_path / annotations.OSIE / "fixations.mat", **{"1001": [[[7, 9]]]})
    fixations_file(tmp_path / SALICONS / "train.json", [[[5, 5]]])
    assert list(read_fixations(tmp_path)[0]) == ["COCO_train2014_000000000001", "1001"]


@pytest.mark.parametrize("content", [None, {"other": [[1]]}, {"fixations": [[1.0]]}])
def test_what_is_no_file_of_osie(tmp_path, content):
    path = tmp_path / annotations.OSIE / "fixations.mat"
    path.parent.mkdir()
    if content is None:
        path.write_bytes(b"no MATLAB")
    else:
        savemat(path, content)
    with pytest.raises(SourceError) as raised:
        read_fixations(tmp_path)
    assert str(raised.value) == (
        f"{path} is not OSIE's file of fixations: expected a MATLAB file of version 5 with "
        "fixations{i}.img and .subjects{k}.fix_x and .fix_y."
    )


def test_fixations_at_another_size_and_of_some_viewers():
    seen = Fixated((600, 800), np.array([[1, 3], [599, 799], [300, 401]]), np.array([0, 1, 4]))
    half = seen.at((300, 400))
    assert half.points.tolist() == [[0, 1], [299, 399], [150, 200]]
    assert (half.size, half.viewers.tolist()) == ((300, 400), [0, 1, 4])
    assert seen.at((600, 800)).points.tolist() == seen.points.tolist()
    for other in ((300, 800), (1200, 1600), (400, 300), (599, 800)):
        assert seen.at(other) is None
    some = seen.of([1, 4, 9])
    assert (some.points.tolist(), some.viewers.tolist()) == ([[599, 799], [300, 401]], [1, 4])


HEADER = ",Image,x_top,y_top,x_bottom,y_bottom,label\n"


def test_boxes_and_rows_that_are_none(tmp_path):
    rows = [
        "0,image_0001.jpg,30,137,49,349,Airplanes",
        "119:0,image_0118.jpg,38,38,104,126,Airplanes",  # as in the real file: no height
        "0,a.jpg,30,137,,349,Airplanes",
        "0,b.jpg,30,137,x,349,Airplanes",
        "0,c.jpg,nan,137,49,349,Airplanes",
        "0,d.jpg,30,137,49,inf,Airplanes",
        "0,e.jpg,-1,137,49,349,Airplanes",
        "0,f.jpg,30",
        "",
    ]
    (tmp_path / "airplanes_boxes.csv").write_text(HEADER + "\n".join(rows))
    found, skipped = read_boxes(tmp_path)
    assert found == {"image_0001": Box(top=30, bottom=137, left=49, right=349)}
    assert skipped == 7


def test_nothing_was_downloaded(tmp_path):
    assert read_fixations(tmp_path / "none") == ({}, 0)
    assert read_boxes(tmp_path / "none") == ({}, 0)


# the table


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=96)
    made.write_model()
    return made


def test_the_stage_measures_what_was_downloaded(made):
    layout = made.layout
    fixations = layout.downloaded / annotations.SALICON_FIXATIONS / "fixations_train.json"
    image = {"id": 7, "file_name": "one.jpg", "height": 48, "width": 80}
    other = {"id": 8, "file_name": "two.jpg", "height": 1, "width": 1}  # of another size
    points = [[[20, 30], [22, 35]], [[20, 30], [49, 3]]]
    fixations_file(fixations, points, images=[image, other])
    boxes = layout.downloaded / annotations.BOXES / "airplanes_boxes.csv"
    boxes.parent.mkdir(parents=True)
    boxes.write_text(HEADER + "0,image_0005.jpg,10,30,40,180,A\n0,image_0002.jpg,0,0,0,0,A\n")
    rows = read_csv(layout.index)
    for number, row in enumerate(rows):
        row |= {"height": "48", "width": "80"}
        if row["split"] == "validate":
            row |= {"class": "airplanes", "image": f"airplanes__image_{number:04d}"}
        else:
            row |= {"image": f"folder__{row['image']}"}
    assert rows[5]["split"] == "validate"
    rows[-1] |= {"height": "61", "width": "37"}
    for path in (layout.test_images / "photos").iterdir():
        path.rename(path.with_name(f"folder__{path.name}"))
    for row in rows:  # where the maps are made from
        photo = layout.test_images / "photos" / f"{row['image']}.png"
        row["path"] = str(photo if row["split"] == "test" else layout.data / "plane.png")
    write_image(layout.data / "plane.png", np.full((48, 80, 3), 90, np.uint8))
    write_csv(layout.index, prepared_images.COLUMNS, rows)

    heatmap.run(made.experiment, layout)
    table = read_csv(layout.heatmaps / "saliency_quality.csv")
    maps, by_eye, by_box = (
        ("paper", "readout", "centre_prior"),
        ("auc_judd", "nss", "cc"),
        (
            "box_share",
            "pointing_hit",
        ),
    )
    expected = [("textures", "airplanes__image_0005", m, x, "1") for m in maps for x in by_box]
    expected += [("photos", "folder__one", m, x, "3") for m in maps for x in by_eye]
    # the second viewer, of whose fixations one lies in the photograph, tells of the first
    expected += [("photos", "folder__one", "human", x, "2") for x in by_eye]
    columns = ("dataset", "image", "map", "measure", "n")
    assert [tuple(row[column] for column in columns) for row in table] == expected
    value = {(row["map"], row["measure"]): float(row["value"]) for row in table}

    # by hand: the files' maps differ by the rounding to 8 bits
    kept = np.array([[19, 29], [21, 34]])
    saliency = read_grey(layout.saliency("paper", "photos", "folder__one"))
    assert value["paper", "nss"] == pytest.approx(quality.nss(saliency, kept), abs=0.02)
    prior = quality.centre_prior(48, 80)
    assert value["centre_prior", "auc_judd"] == pytest.approx(quality.auc_judd(prior, kept), 1e-5)
    inside = prior[10:30, 40:].sum() / prior.sum()
    assert value["centre_prior", "box_share"] == pytest.approx(inside, abs=1e-5)
    assert value["paper", "auc_judd"] != value["readout", "auc_judd"]

    summary = read_json(layout.heatmaps / "summary.json")
    assert (summary["fixations_dropped"], summary["boxes_skipped"]) == (1, 1)
    assert summary["saliency_quality"] == {
        name: {measure: value[name, measure] for measure in (*by_box, *by_eye)} for name in maps
    } | {"human": {measure: value["human", measure] for measure in by_eye}}
    assert {n for of in summary["saliency_quality_images"].values() for n in of.values()} == {1}


# the real files


@pytest.mark.skipif(not SALICON.exists(), reason=NO_DATA)
def test_real_fixations_and_how_far_the_centre_alone_goes(tmp_path):
    with zipfile.ZipFile(SALICON) as archive:
        archive.extractall(tmp_path / SALICONS)
    found, dropped = read_fixations(tmp_path)
    assert len(found) == 20
    assert {seen.size for seen in found.values()} == {(480, 640)}
    assert all(5000 < len(seen.points) < 30000 for seen in found.values())
    assert dropped == 2
    prior = quality.centre_prior(480, 640)
    means = {}
    for kind in ("train", "val"):
        of_kind = [seen for name, seen in found.items() if kind in name]
        assert len(of_kind) == 10
        means[kind] = np.mean(
            [[value(prior) for value in quality.by_fixations(seen).values()] for seen in of_kind],
            axis=0,
        )
    auc, nss, cc = np.mean(list(means.values()), axis=0)
    assert means["train"][0] == pytest.approx(0.718, abs=5e-4)  # as measured before
    assert auc == pytest.approx(0.725, abs=5e-4)
    assert nss == pytest.approx(0.764, abs=2e-3)
    assert cc == pytest.approx(0.634, abs=2e-3)


@pytest.mark.skipif(not SALICON.exists(), reason=NO_DATA)
def test_the_density_of_the_fixations_itself_is_near_the_best_map(tmp_path):
    with zipfile.ZipFile(SALICON) as archive:
        archive.extract("fixations_train2014examples.json", tmp_path / SALICONS)
    for seen in list(read_fixations(tmp_path)[0].values())[:3]:
        density = quality.fixation_density(seen.size, seen.points)
        assert quality.auc_judd(density, seen.points) > 0.8
        assert quality.cc(density, density) == pytest.approx(1)
        # the wrong convention would lose this
        mirrored = Fixated(seen.size, np.array([479, 639]) - seen.points, seen.viewers)
        assert quality.auc_judd(density, mirrored.points) < quality.auc_judd(density, seen.points)


@pytest.mark.skipif(not OSIE.exists(), reason=NO_DATA)
def test_osies_real_fixations(tmp_path, monkeypatch):
    with zipfile.ZipFile(OSIE) as archive:
        archive.extract("osie/eye/fixations.mat", tmp_path)
        names = {Path(name).name for name in archive.namelist() if name.endswith(".jpg")}
    found, dropped = read_fixations(tmp_path)
    assert {f"{name}.jpg" for name in found} == names
    assert len(found) == 550
    assert {seen.size for seen in found.values()} == {(600, 800)}
    assert {len(np.unique(seen.viewers)) for seen in found.values()} <= {14, 15}
    assert dropped < 0.01 * sum(len(seen.points) for seen in found.values())
    monkeypatch.chdir(Path(__file__).parents[2])
    assert set().union(*(read_split("osie", split) for split in SPLITS)) == names
    # people look near where others do, and not as near where they look in another photograph
    seen, other = found["1003"], found["1004"]
    tell, judge = quality.halves(seen)
    density = quality.fixation_density(seen.size, tell.points)
    assert quality.auc_judd(density, judge.points) > 0.85
    assert quality.auc_judd(density, judge.points) > quality.auc_judd(density, other.points) + 0.1


@pytest.mark.skipif(not CALTECH.exists(), reason=NO_DATA)
def test_real_boxes():
    found, skipped = read_boxes(CALTECH.parent)
    assert (len(found), skipped) == (799, 1)
    assert "image_0118" not in found
    assert found["image_0001"] == Box(top=30, bottom=137, left=49, right=349)
    with CALTECH.open(newline="") as file:
        assert sum(1 for _ in csv.reader(file)) == 801
