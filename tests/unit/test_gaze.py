"""Measures where people look, and the stage gaze; its statistics by hand."""

import csv
import dataclasses
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import skimage.data
from in_shards import move_into_shards

from msroi import images
from msroi.encoders import jpeg
from msroi.encoders.methods import encoder
from msroi.errors import ImageError, MissingError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.experiment.prepared_images import COLUMNS as INDEXED
from msroi.files import read_csv, write_bytes, write_csv
from msroi.measures import distortion
from msroi.measures import gaze as measures
from msroi.measures.gaze import GAZE
from msroi.measures.saliency_quality import fixation_density
from msroi.sources.annotations import SALICON_FIXATIONS, Fixated
from msroi.stages import gaze, metrics
from msroi.stages.compress import COLUMNS as COMPRESSED
from msroi.verify import recompute, tables

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
CAT, CUP, MAN = skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()
HEIGHT, WIDTH = 48, 64
PHOTO = CAT[60 : 60 + HEIGHT, 100 : 100 + WIDTH]
AT_FIXATIONS = [name for name in GAZE if name not in ("psnr_rgb_db", "ssim_luma", "ssimulacra2")]


def fixated(*points, size=(HEIGHT, WIDTH), viewers=None):
    viewers = range(len(points)) if viewers is None else viewers
    return Fixated(size, np.array(points).reshape(-1, 2), np.array(list(viewers)))


def values(distorted, density, reference=PHOTO):
    return measures.judging(reference, density)(distorted)


def disturbed(rows, columns, by=20):
    """Return the photograph with noise in a part of it."""
    noise = np.random.default_rng(7).integers(-by, by + 1, PHOTO.shape)
    part = np.zeros((HEIGHT, WIDTH, 1), bool)
    part[rows, columns] = True
    return np.clip(PHOTO + np.where(part, noise, 0), 0, 255).astype(np.uint8)


LEFT = disturbed(slice(None), slice(0, WIDTH // 2))
ALL_OVER = jpeg.decode(jpeg.encode(PHOTO, 40))


# --- the measures


@pytest.mark.parametrize("level", [1e-6, 0.3, 1, 7])
def test_a_uniform_density_gives_the_measures_of_the_whole_image(level):
    found = values(ALL_OVER, np.full((HEIGHT, WIDTH), level, np.float32))
    assert found["psnr_fixated_db"] == pytest.approx(found["psnr_rgb_db"], rel=1e-12)
    assert found["ssim_fixated"] == pytest.approx(found["ssim_luma"], rel=1e-12)
    assert found["psnr_rgb_db"] == distortion.psnr_rgb_db(PHOTO, ALL_OVER)
    assert found["ssim_luma"] == distortion.ssim_luma(PHOTO, ALL_OVER)


@pytest.mark.parametrize("name", AT_FIXATIONS)
def test_people_who_look_at_the_error_see_more_of_it(name):
    away = values(LEFT, measures.density(fixated((24, 54))))
    on = values(LEFT, measures.density(fixated((24, 10))))
    assert on[name] < away[name]
    assert {on[whole] for whole in ("psnr_rgb_db", "ssim_luma", "ssimulacra2")} == {
        away[whole] for whole in ("psnr_rgb_db", "ssim_luma", "ssimulacra2")
    }


def test_only_the_shape_of_a_density_counts():
    density = measures.density(fixated((10, 10), (30, 50)))
    assert values(ALL_OVER, density) == pytest.approx(values(ALL_OVER, 1000 * density), rel=1e-6)


def test_what_does_not_differ_has_the_best_values():
    found = values(PHOTO, measures.density(fixated((24, 10))))
    assert {name: math.inf for name in found if name.endswith("_db")}.items() <= found.items()
    assert (found["ssim_fixated"], found["ssimulacra2_fixated"]) == (1, pytest.approx(100))


def test_an_error_outside_of_the_most_fixated_fifth_is_not_seen_by_its_measure():
    found = values(LEFT, np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1)))
    assert found["ssimulacra2_fixated"] == pytest.approx(100)
    assert found["ssimulacra2"] < 90


def test_a_second_implementation_agrees():
    density = measures.density(fixated((8, 12), (33, 50), (30, 47)))
    found = values(ALL_OVER, density)
    luma = PHOTO @ np.array([0.299, 0.587, 0.114])
    ringed = np.pad(luma, 1, mode="edge")
    gradient = np.zeros((HEIGHT, WIDTH))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            part = ringed[y : y + 3, x : x + 3]
            down = sum(w * (part[2, i] - part[0, i]) for i, w in enumerate((1, 2, 1)))
            across = sum(w * (part[i, 2] - part[i, 0]) for i, w in enumerate((1, 2, 1)))
            gradient[y, x] = math.sqrt(down**2 + across**2)
    least = statistics.quantiles(gradient.ravel(), n=5, method="inclusive")[-1]
    edges = np.where(gradient > least, gradient, 0)
    np.testing.assert_allclose(measures.edges(PHOTO), edges, atol=1e-9)
    assert np.count_nonzero(edges) == pytest.approx(edges.size / 5, abs=2)

    def psnr(weights):
        sums = [0.0, 0.0]
        for y in range(HEIGHT):
            for x in range(WIDTH):
                error = (PHOTO[y, x].astype(float) - ALL_OVER[y, x]) ** 2
                sums[0] += float(weights[y, x]) * error.mean()
                sums[1] += float(weights[y, x])
        return 10 * math.log10(255**2 * sums[1] / sums[0])

    assert found["psnr_fixated_db"] == pytest.approx(psnr(density), rel=1e-9)
    assert found["psnr_edges_db"] == pytest.approx(psnr(density.astype(float) * edges), rel=1e-9)

    similarity = distortion.ssim_map_luma(PHOTO, ALL_OVER)
    sums = [0.0, 0.0]
    for y in range(5, HEIGHT - 5):
        for x in range(5, WIDTH - 5):
            sums[0] += float(density[y, x]) * similarity[y - 5, x - 5]
            sums[1] += float(density[y, x])
    assert found["ssim_fixated"] == pytest.approx(sums[0] / sums[1], rel=1e-9)


def test_without_edges_their_measure_is_that_at_fixations():
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    other = flat.copy()
    other[:, :20] += 9
    found = values(other, measures.density(fixated((20, 25))), flat)
    assert found["psnr_edges_db"] == found["psnr_fixated_db"]


def test_windows_that_nobody_looked_at_count_alike():
    density = np.zeros((HEIGHT, WIDTH), np.float32)
    density[0, 0] = 1
    assert values(ALL_OVER, density)["ssim_fixated"] == pytest.approx(
        distortion.ssim_luma(PHOTO, ALL_OVER), rel=1e-12
    )


def test_the_density_is_one_degree_wide_and_shrinks_with_the_photograph():
    points = np.array([(300, 400), (100, 200), (102, 210), (551, 700)])
    osie = Fixated((600, 800), points, np.arange(4))
    density = measures.density(osie)
    np.testing.assert_array_equal(density, fixation_density((600, 800), points))
    assert density[300, 424] / density[300, 400] == pytest.approx(math.exp(-0.5), rel=1e-3)
    half = measures.density(osie.at((300, 400)))
    means = density.reshape(300, 2, 400, 2).mean(axis=(1, 3))
    assert np.corrcoef(half.ravel(), means.ravel())[0, 1] > 0.999
    upright = Fixated((800, 600), points[:, ::-1], np.arange(4))
    np.testing.assert_allclose(measures.density(upright).T, density, rtol=1e-5, atol=1e-9)


def test_a_density_of_another_size_is_refused():
    with pytest.raises(ImageError) as caught:
        measures.judging(PHOTO, np.ones((HEIGHT, 30), np.float32))
    assert str(caught.value) == (
        "The photograph has 64x48 pixels and the density of fixations 30x48; "
        "they must be of one size."
    )


# --- who looks


@pytest.mark.parametrize(("viewers", "tell", "judge"), [(15, 7, 8), (2, 1, 1), (4, 2, 2)])
def test_the_viewers_whose_map_is_followed_are_not_those_who_judge(viewers, tell, judge):
    of = np.repeat(np.arange(viewers), 3)
    seen = Fixated((HEIGHT, WIDTH), np.zeros((len(of), 2), int), of)
    halves = gaze.halves(seen)
    assert halves.everyone is seen
    telling, judging = set(halves.telling.viewers), set(halves.judging.viewers)
    assert (len(telling), len(judging)) == (tell, judge)
    assert not telling & judging
    assert telling | judging == set(range(viewers))


# --- the stage

# four viewers, of whom 1 and 3 tell and 0 and 2 judge
LOOKS = {"a": [(10, 8), (12, 12), (8, 10), (13, 11)], "b": [(30, 40), (27, 43), (32, 38), (29, 45)]}
PHOTOS = {
    ("set", "a"): PHOTO,
    ("set", "b"): CUP[60 : 60 + HEIGHT, 100 : 100 + WIDTH],
    ("set", "unseen"): MAN[:HEIGHT, 100 : 100 + WIDTH],
    ("other", "unseen"): MAN[100 : 100 + HEIGHT, 100 : 100 + WIDTH],
}
# plain JPEG's quality, beyond the one that is matched, that stands for each method's file
SHIFTS = {"jpeg": 0, "trellis": 8, "roi-trellis": 12, "jpegli": 6}
QUALITIES = (30, 50, 60, 70)


def tiny(**parameters):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        demo = params.load("demo")
    values = {"images": 0, "match_qualities": QUALITIES, "maps_quality": 50} | parameters
    compress = dataclasses.replace(demo.compress, size_tolerance_pct=100.0)
    return dataclasses.replace(demo, name="tiny", compress=compress, gaze=params.Gaze(**values))


TINY = tiny()


def write_fixations(layout, looks):
    """Write a file like SALICON's, of which the points count from 1."""
    size = {"height": HEIGHT, "width": WIDTH}
    content = {
        "images": [{"id": name, "file_name": f"{name}.jpg", **size} for name in looks],
        "annotations": [
            {"image_id": name, "fixations": [[row + 1, column + 1]]}
            for name, points in looks.items()
            for row, column in points
        ],
    }
    path = layout.downloaded / SALICON_FIXATIONS / "fixations_train.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def laid_out():
    """Lay out four photographs as the stages before would; two have fixations."""
    layout = Layout("tiny")
    files, index = [], []
    for place, photo in PHOTOS.items():
        dataset, image = place
        row = {"split": "test", "dataset": dataset, "image": image, "row": len(index)}
        index.append(dict.fromkeys(INDEXED, "") | row | {"height": HEIGHT, "width": WIDTH})
        images.write_image(layout.test_image(*place), photo)
        for number, name in enumerate(TINY.heatmap.maps):
            ramp = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
            images.write_image(layout.saliency(name, *place), np.roll(ramp, 9 * number, axis=0))
        for quality in QUALITIES:
            for method, shift in SHIFTS.items():
                data = jpeg.encode(photo, quality + shift)
                write_bytes(layout.jpeg_file(dataset, method, quality, image), data)
                missed = (image, method, quality) == ("b", "jpegli", 50)
                row = {"dataset": dataset, "image": image, "method": method}
                row |= {"match_quality": quality, "bytes": len(data), "size_error_pct": "0.1000"}
                row |= {"matched": "false" if missed else "true"}
                files.append(dict.fromkeys(COMPRESSED, "") | row)
    write_csv(layout.index, INDEXED, index)
    write_csv(layout.jpeg / "index.csv", COMPRESSED, files)
    write_fixations(layout, LOOKS)
    return layout


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A folder of a test's own, before the stage."""
    monkeypatch.chdir(tmp_path)
    return laid_out()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the stage has run; leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("finished"))
        layout = laid_out()
        gaze.run(TINY, layout)
        yield layout


def written(layout, name):
    with (layout.gaze / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_of(layout):
    return json.loads((layout.gaze / "summary.json").read_text(encoding="utf-8"))


def every_file(layout):
    return {path.name: path.read_bytes() for path in sorted(layout.gaze.iterdir())}


def test_files_of_stage_compress_are_judged_by_all_viewers(finished):
    rows = written(finished, "per_image.csv")
    assert ",".join(rows[0]) == (
        "experiment,dataset,image,method,map,match_quality,bytes,size_error_pct,"
        "psnr_fixated_db,psnr_edges_db,ssim_fixated,ssimulacra2_fixated,"
        "psnr_rgb_db,ssim_luma,ssimulacra2"
    )
    assert [(row["image"], row["match_quality"], row["method"]) for row in rows] == [
        (image, str(quality), method)
        for image in "ab"
        for quality in QUALITIES
        for method in SHIFTS
    ]
    for row in rows:
        photo = PHOTOS["set", row["image"]]
        data = jpeg.encode(photo, int(row["match_quality"]) + SHIFTS[row["method"]])
        density = measures.density(fixated(*LOOKS[row["image"]]))
        expected = values(jpeg.decode(data), density, photo)
        assert {name: float(row[name]) for name in GAZE} == pytest.approx(expected, rel=1e-7)
        assert int(row["bytes"]) == len(data)
        assert row["map"] == TINY.compress.follows.get(row["method"], "")


def test_files_that_follow_maps_are_judged_by_half_of_the_viewers(finished):
    rows = written(finished, "maps_per_image.csv")
    names = ["human", *TINY.heatmap.maps, "hard", "centre", "uniform"]
    arms = [("jpeg", ""), *((m, name) for m in ("msroi", "roi-trellis") for name in names)]
    assert [(row["image"], row["method"], row["map"]) for row in rows] == [
        (image, *arm) for image in "ab" for arm in arms
    ]
    for row in rows:
        photo = PHOTOS["set", row["image"]]
        plain = jpeg.encode(photo, 50)
        assert row["match_quality"] == "50"
        if row["method"] == "jpeg":
            density = measures.density(fixated(*LOOKS[row["image"]][::2], viewers=(0, 2)))
            expected = values(jpeg.decode(plain), density, photo)
            assert {name: float(row[name]) for name in GAZE} == pytest.approx(expected, rel=1e-7)
            assert (int(row["bytes"]), row["size_error_pct"]) == (len(plain), "0.0000")
        error = 100 * (int(row["bytes"]) / len(plain) - 1)
        assert float(row["size_error_pct"]) == pytest.approx(error, abs=1e-4)


def test_judges_and_those_who_tell_do_not_hear_of_each_other(layout):
    """Other viewers who tell change the human map alone; other judges change no file."""

    def rows_with(elsewhere=None):
        """Let the viewers look elsewhere whose number is even (0) or odd (1)."""
        looks = {
            name: [(47 - y, 63 - x) if n % 2 == elsewhere else (y, x) for n, (y, x) in of_viewers]
            for name, of_viewers in ((name, enumerate(points)) for name, points in LOOKS.items())
        }
        write_fixations(layout, looks)
        gaze.run(tiny(images=1, match_qualities=(50,)), layout)
        return written(layout, "maps_per_image.csv")

    before, others_tell, others_judge = rows_with(), rows_with(1), rows_with(0)
    assert [row for row in others_tell if row["map"] != "human"] == [
        row for row in before if row["map"] != "human"
    ]
    assert all(
        new["psnr_fixated_db"] != old["psnr_fixated_db"]
        for new, old in zip(others_tell, before, strict=True)
        if new["map"] == "human"
    )
    whole = ("bytes", "size_error_pct", "psnr_rgb_db", "ssim_luma", "ssimulacra2")
    for new, old in zip(others_judge, before, strict=True):
        assert [new[name] for name in whole] == [old[name] for name in whole]
        assert new["psnr_fixated_db"] != old["psnr_fixated_db"]


@pytest.mark.parametrize("share", [0.3, 0.35, 0.5, 1.0])
def test_roi_trellis_with_the_uniform_map_is_trellis(share):
    trellis = dataclasses.replace(TINY.compress.trellis, saliency_share=share)
    compress = dataclasses.replace(TINY.compress, trellis=trellis)
    maps = gaze.all_maps({"m": np.eye(HEIGHT, WIDTH, dtype=np.float32)}, "m", fixated((3, 3)))
    made = [
        encoder(method, compress).prepare(PHOTO, maps["uniform"])(50)
        for method in ("trellis", "roi-trellis")
    ]
    assert made[0] == made[1]


def test_the_maps_beside_the_experiments():
    main = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    maps = gaze.all_maps({"x": 1 - main, "main": main}, "main", fixated((30, 10), (31, 10)))
    assert list(maps) == ["human", "x", "main", "hard", "centre", "uniform"]
    for saliency in maps.values():
        assert (saliency.shape, saliency.dtype) == ((HEIGHT, WIDTH), np.float32)
        assert 0 <= saliency.min() <= saliency.max() <= 1
    assert np.unravel_index(maps["human"].argmax(), main.shape) in [(30, 10), (31, 10)]
    assert maps["human"].max() == 1
    assert set(np.unique(maps["hard"])) == {0, 1}
    assert maps["hard"].sum() == round(0.2 * main.size)
    assert main[maps["hard"] == 1].min() > main[maps["hard"] == 0].max()


def test_a_missed_size_is_counted_and_in_no_difference(finished):
    rows = written(finished, "comparison.csv")
    assert ",".join(rows[0]) == (
        "dataset,match_quality,method,against,measure,role,n,n_missed,difference,sd,se,low,high,won"
    )
    of_quality = [row for row in rows if row["match_quality"] == "50"]
    methods = [(m, a) for m in SHIFTS for a in ("jpeg", "jpegli", "trellis") if a != m]
    assert [(row["method"], row["against"]) for row in of_quality][:: len(GAZE)] == methods
    for row in of_quality:
        missed = "jpegli" in (row["method"], row["against"])
        assert (row["n"], row["n_missed"]) == (("1", "1") if missed else ("2", "0"))
        assert (row["se"] == "") == (row["low"] == "") == missed
        better = SHIFTS[row["method"]] > SHIFTS[row["against"]]
        if row["measure"] == "psnr_rgb_db":
            assert (float(row["difference"]) > 0) == better
            assert float(row["won"]) == better
    assert summary_of(finished)["missed"] == {"set": {"files": 1, "files_of_maps": 0}}


def test_each_map_is_compared_with_plain_jpeg_and_other_maps_of_the_method(finished):
    rows = written(finished, "maps.csv")
    assert ",".join(rows[0]) == (
        "dataset,method,map,against,measure,role,n,n_missed,difference,sd,se,low,high,won"
    )
    files = written(finished, "maps_per_image.csv")
    measured = {(r["image"], r["method"], r["map"]): float(r["psnr_edges_db"]) for r in files}
    others = {"jpeg", "uniform", TINY.main_map, *TINY.compress.follows.values()}
    for method in ("msroi", "roi-trellis"):
        for name in ("human", *TINY.heatmap.maps, "hard", "centre", "uniform"):
            found = {
                row["against"]: row
                for row in rows
                if (row["method"], row["map"], row["measure"]) == (method, name, "psnr_edges_db")
            }
            assert set(found) == others - {name}
            for against, row in found.items():
                arm = ("jpeg", "") if against == "jpeg" else (method, against)
                gains = [measured[i, method, name] - measured[i, *arm] for i in "ab"]
                assert float(row["difference"]) == pytest.approx(statistics.mean(gains), abs=1e-6)


def test_the_summary_is_of_the_tables(finished):
    summary = summary_of(finished)
    assert summary["photographs"] == {
        "other": {"measured": 0, "without_fixations": 1},
        "set": {"measured": 2, "without_fixations": 1},
    }
    assert summary["roles"] == {name: one.role for name, one in GAZE.items()}
    (row,) = (
        row
        for row in written(finished, "comparison.csv")
        if list(row.values())[1:5] == ["70", "roi-trellis", "trellis", "ssimulacra2_fixated"]
    )
    of_set = summary["differences"]["set"]
    assert set(of_set) == {"jpeg", "jpegli", "trellis"}
    assert of_set["trellis"]["q70"]["ssimulacra2_fixated"] == float(row["difference"])
    gains = {
        row["map"]: float(row["difference"])
        for row in written(finished, "maps.csv")
        if (row["method"], row["against"], row["measure"])
        == ("roi-trellis", "uniform", "psnr_fixated_db")
    }
    assert gains["human"] > 0
    assert summary["of_human"]["set"]["roi-trellis"] == pytest.approx(
        {name: gain / gains["human"] for name, gain in gains.items() if name != "human"}
    )


def test_what_is_committed_can_be_computed_again(finished):
    """With the sizes that stage metrics tells; nothing tells how many have no fixations."""
    index = read_csv(finished.jpeg / "index.csv")
    measured = [
        dict.fromkeys(metrics.COLUMNS, 1)
        | {name: row[name] for name in ("dataset", "image", "method", "match_quality", "bytes")}
        | {"experiment": "tiny", "encoder": "", "size_error_pct": row["size_error_pct"]}
        | {"target_bytes": int(row["bytes"]) // (1 if row["matched"] == "true" else 3)}
        for row in index
    ]
    write_csv(finished.metrics / "per_image.csv", metrics.COLUMNS, measured)
    assert recompute.of_gaze in recompute.recomputations(TINY, finished)
    made = recompute.of_gaze(TINY, finished)
    assert {path.name for path in made} == every_file(finished).keys()
    assert [tables.differences(path, one) for path, one in made.items()] == [[]] * len(made)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_second_run_gives_the_same_bytes_whatever_the_threads(finished, monkeypatch, workers):
    first = every_file(finished)
    monkeypatch.setattr(gaze, "WORKERS", workers)
    gaze.run(TINY, finished)
    assert every_file(finished) == first


def test_the_first_photographs_by_name_are_those_with_fixations(layout):
    write_fixations(layout, {"b": LOOKS["b"], "unseen": LOOKS["a"]})
    gaze.run(tiny(images=1, match_qualities=(50,)), layout)
    assert {row["image"] for row in written(layout, "per_image.csv")} == {"b", "unseen"}
    assert {row["match_quality"] for row in written(layout, "per_image.csv")} == {"50"}
    # of a curve of one point nothing is known
    assert {(row["n"], row["ratio"]) for row in written(layout, "bytes.csv")} == {("0", "")}


@pytest.mark.parametrize("looks", [None, {}, {"a": [(1, 1)]}, {"elsewhere": LOOKS["a"]}])
def test_without_fixations_the_tables_are_empty(layout, looks):
    """One viewer alone can't both tell and judge."""
    (layout.downloaded / SALICON_FIXATIONS / "fixations_train.json").unlink()
    if looks is not None:
        write_fixations(layout, looks)
    gaze.run(TINY, layout)
    for name, columns in (
        ("per_image.csv", gaze.COLUMNS),
        ("maps_per_image.csv", gaze.COLUMNS),
        ("comparison.csv", gaze.COMPARISON_COLUMNS),
        ("maps.csv", gaze.MAPS_COLUMNS),
        ("bytes.csv", gaze.BYTES_COLUMNS),
    ):
        text = (layout.gaze / name).read_text(encoding="utf-8")
        assert text == ",".join(columns) + "\n"
    summary = summary_of(layout)
    assert summary.pop("photographs") == {
        "other": {"measured": 0, "without_fixations": 1},
        "set": {"measured": 0, "without_fixations": 3},
    }
    assert {key for key, value in summary.items() if value} == {"roles"}


def test_from_shards_the_same_tables(layout):
    gaze.run(TINY, layout)
    whole = every_file(layout)
    move_into_shards(layout)
    gaze.run(TINY, layout)
    assert every_file(layout) == whole


def test_a_missing_index_says_what_to_run(layout):
    (layout.jpeg / "index.csv").unlink()
    with pytest.raises(MissingError) as caught:
        gaze.run(TINY, layout)
    assert str(caught.value) == (
        "results/tiny/jpeg/index.csv is missing; run `snakemake` (or `dvc repro`) to make it."
    )


def test_a_missing_file_is_named(layout):
    path = layout.jpeg_file("set", "trellis", 50, "a")
    path.unlink()
    with pytest.raises(ImageError) as caught:
        gaze.run(TINY, layout)
    assert str(caught.value) == f"{path} is not there; check its name."
    assert not layout.gaze.exists()


def test_a_photograph_that_is_not_as_the_index_says_is_named(layout):
    path = layout.test_image("set", "a")
    images.write_image(path, PHOTO[:40])
    with pytest.raises(ImageError) as caught:
        gaze.run(TINY, layout)
    assert str(caught.value) == (
        f"{path}: The photograph has 64x40 pixels and the density of fixations 64x48; "
        "they must be of one size."
    )


# --- statistics by hand


def row(image, method, value, *, size=1000, matched="true", name=""):
    found = {"dataset": "set", "image": image, "method": method, "map": name, "matched": matched}
    return found | {"match_quality": 50, "bytes": size} | dict.fromkeys(GAZE, value)


def test_an_interval_is_students():
    found = gaze.interval([0.5, 1.5, 1.25, -0.25])
    expected = scipy.stats.t.interval(
        0.95, 3, loc=0.75, scale=scipy.stats.sem([0.5, 1.5, 1.25, -0.25])
    )
    assert found == pytest.approx(expected, rel=1e-7)
    assert gaze.interval([]) == gaze.interval([1.0]) == (None, None)


def test_differences_are_over_photographs_matched_in_both_and_finite():
    ours = [row("a", "x", 5), row("b", "x", 50, matched="false"), row("c", "x", math.inf)]
    ours += [row("d", "x", 6), row("e", "x", 1), row("f", "x", 3)]
    others = [row(image, "jpeg", 4) for image in "abcdf"]
    line = gaze.compared(ours, others)[0]
    assert (line["n"], line["n_missed"], line["difference"]) == (3, 1, pytest.approx(2 / 3))
    assert line["sd"] == pytest.approx(statistics.stdev([1, 2, -1]))
    assert line["se"] == pytest.approx(scipy.stats.sem([1, 2, -1]))
    assert line["won"] == pytest.approx(2 / 3)


def test_a_ratio_of_bytes_is_the_geometric_mean_over_photographs():
    table = []
    for image, factor in (("a", 0.5), ("b", 0.8)):
        for value, size in enumerate((1000, 1500, 2400, 4000), start=30):
            table.append(row(image, "jpeg", value, size=size))
            # a size that missed is a point of the curve like any other
            table.append(row(image, "x", value, size=factor * size, matched="false"))
    table += [row("c", "jpeg", 30), row("c", "x", 30)]  # no curve
    found = {(r["method"], r["against"], r["measure"]): r for r in gaze.byte_ratios(table)}
    assert {key[:2] for key in found} == {("x", "jpeg")}
    line = found["x", "jpeg", "ssim_fixated"]
    logs = [math.log(0.5), math.log(0.8)]
    low, high = scipy.stats.t.interval(0.95, 1, statistics.mean(logs), scipy.stats.sem(logs))
    assert (line["n"], line["n_dropped"]) == (2, 1)
    assert line["ratio"] == pytest.approx(math.sqrt(0.4), rel=1e-6)
    assert (line["low"], line["high"]) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-5)


def test_parts_of_the_human_gain_are_told_where_there_is_one():
    def gain(method, name, value):
        line = {"dataset": "set", "method": method, "map": name, "against": "uniform"}
        return line | {"measure": "psnr_fixated_db", "difference": value}

    gains = [gain("x", "human", 2.0), gain("x", "m", 1.5), gain("x", "none", None)]
    gains += [gain("y", "human", -1.0), gain("y", "m", 1.5)]
    assert list(gaze.parts_of_human(gains)) == [(("set", "x", "m"), 0.75)]
