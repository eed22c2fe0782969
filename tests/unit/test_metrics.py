import csv
import dataclasses
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage.data
import yaml
from in_shards import move_into_shards
from PIL import Image

from msroi.errors import ImageError, MissingError
from msroi.experiment import params
from msroi.experiment.chunks import Chunk, part, parts
from msroi.experiment.layout import Layout
from msroi.files import write_csv
from msroi.measures import distortion
from msroi.stages import metrics

ROOT = Path(__file__).parents[2]
INDEX = (
    *("dataset", "image", "method", "match_quality", "q_final", "bytes", "target_bytes"),
    *("size_error_pct", "matched", "encoder"),
)
IMAGES = ("cat", "cup", "small")


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    return dataclasses.replace(params.load("demo"), name="tiny")


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Lay out three images, two methods and two qualities as the stages before would."""
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    cat, cup = skimage.data.chelsea(), skimage.data.coffee()
    crops = {"cat": cat[:170, :200], "cup": cup[100:281, 50:230], "small": cat[60:93, 100:140]}
    rows = []
    for image, pixels in crops.items():
        save(layout.test_images / "set" / f"{image}.png", pixels)
        saliency = np.linspace(0, 255, pixels.shape[0] * pixels.shape[1]).astype(np.uint8)
        path = layout.saliency("readout", "set", image)
        save(path, saliency.reshape(pixels.shape[:2]))
        for quality in (30, 50):
            for method, shift in (("jpeg", 0), ("msroi", 8)):
                folder = layout.jpeg / "images" / "set" / method / f"q{quality}"
                save(folder / f"{image}.jpg", pixels, quality=quality + shift)
                missed = (image, method, quality) == ("cup", "msroi", 50)
                rows.append(
                    {
                        "dataset": "set",
                        "image": image,
                        "method": method,
                        "match_quality": quality,
                        "q_final": f"{quality + shift}.000",
                        "bytes": 1000 + shift,
                        "target_bytes": 1000,
                        "size_error_pct": "-2.5000" if missed else f"0.{shift}000",
                        "matched": "false" if missed else "true",
                        "encoder": "pillow 13.0.0",
                    }
                )
    write_csv(layout.jpeg / "index.csv", INDEX, rows[::-1])
    return layout


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def table(layout):
    with (layout.metrics / "per_image.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def summary(layout):
    return json.loads((layout.metrics / "summary.json").read_text())


def test_table(experiment, layout):
    metrics.run(experiment, layout)
    rows = table(layout)
    assert ",".join(rows[0]) == (
        "experiment,dataset,image,method,match_quality,q_final,bytes,target_bytes,size_error_pct,"
        "mse_rgb,psnr_rgb_db,ssim_luma,ms_ssim_luma,wpsnr_rgb_db,encoder"
    )
    assert [(row["image"], row["method"], row["match_quality"]) for row in rows] == [
        (image, method, quality)
        for image in IMAGES
        for method in ("jpeg", "msroi")
        for quality in ("30", "50")
    ]
    row = next(row for row in rows if (row["image"], row["method"]) == ("cup", "msroi"))
    assert row["q_final"] == "38.000"
    original = np.asarray(Image.open(layout.test_images / "set" / "cup.png"))
    decoded = np.asarray(Image.open(layout.jpeg / "images" / "set" / "msroi" / "q30" / "cup.jpg"))
    for name in ("mse_rgb", "psnr_rgb_db", "ssim_luma", "ms_ssim_luma"):
        expected = getattr(distortion, name)(original, decoded)
        assert float(row[name]) == pytest.approx(expected, rel=1e-7)


def test_comparison_is_what_pandas_says(experiment, layout):
    metrics.run(experiment, layout)
    found = pd.read_csv(layout.metrics / "comparison.csv")
    assert tuple(found.columns) == metrics.COMPARISON_COLUMNS
    keys = found[["dataset", "match_quality", "method", "against"]].values.tolist()
    assert keys == [
        [name, quality, "msroi", "jpeg"] for name in ("all", "set") for quality in (30, 50)
    ]
    rows = pd.read_csv(layout.metrics / "per_image.csv")
    index = pd.read_csv(layout.jpeg / "index.csv")
    rows = rows.merge(index[["image", "method", "match_quality", "matched"]])
    wide = rows[rows["matched"]].pivot(index=["match_quality", "image"], columns="method")
    for name in metrics.METRICS:
        values = (wide[name]["msroi"] - wide[name]["jpeg"]).dropna().groupby("match_quality")
        for dataset in ("all", "set"):
            part = found[found["dataset"] == dataset].set_index("match_quality")
            assert part["n"].to_dict() == values.count().to_dict() == {30: 3, 50: 2}
            np.testing.assert_allclose(part[name], values.mean(), rtol=1e-6)
            np.testing.assert_allclose(part[f"{name}_sd"], values.std(), rtol=1e-6)


def test_comparison_pairs_images_of_one_name_in_two_sets_apart():
    row = dict.fromkeys(metrics.METRICS, 1.0) | {"image": "a", "match_quality": 50}
    table = [
        row | {"dataset": dataset, "method": method, "matched": "true", "psnr_rgb_db": value}
        for dataset, method, value in (
            *(("x", "jpeg", 30.0), ("x", "trellis", 32.0)),
            *(("y", "jpeg", 40.0), ("y", "trellis", 43.0)),
        )
    ]
    found = {
        (line["dataset"], line["method"], line["against"]): (line["n"], line["psnr_rgb_db"])
        for line in metrics.compare(table)
    }
    assert found == {
        ("all", "jpeg", "trellis"): (2, -2.5),
        ("all", "trellis", "jpeg"): (2, 2.5),
        ("x", "jpeg", "trellis"): (1, -2.0),
        ("x", "trellis", "jpeg"): (1, 2.0),
        ("y", "jpeg", "trellis"): (1, -3.0),
        ("y", "trellis", "jpeg"): (1, 3.0),
    }


def test_summary(experiment, layout):
    metrics.run(experiment, layout)
    rows = table(layout)
    cells = summary(layout)["set"]
    assert list(cells) == ["jpeg", "msroi"]
    assert list(cells["jpeg"]) == ["q30", "q50"]

    def psnr(method, quality, images):
        return [
            float(row["psnr_rgb_db"])
            for row in rows
            if (row["method"], row["match_quality"]) == (method, quality) and row["image"] in images
        ]

    cell = cells["jpeg"]["q50"]
    assert (cell["n"], cell["n_missed"], cell["n_infinite"], cell["n_fewer_scales"]) == (3, 0, 0, 1)
    assert cell["mean"]["psnr_rgb_db"] == pytest.approx(
        statistics.mean(psnr("jpeg", "50", IMAGES)), rel=1e-7
    )
    assert cell["sd"]["psnr_rgb_db"] == pytest.approx(
        statistics.stdev(psnr("jpeg", "50", IMAGES)), rel=1e-6
    )
    assert "minus_jpeg" not in cell

    missed = cells["msroi"]["q50"]
    both = ("cat", "small")
    assert (missed["n"], missed["n_missed"], missed["size_error_pct_max"]) == (2, 1, 2.5)
    assert missed["mean"]["q_final"] == 58
    assert missed["minus_jpeg"]["n"] == 2
    assert missed["minus_jpeg"]["psnr_rgb_db"] == pytest.approx(
        statistics.mean(psnr("msroi", "50", both)) - statistics.mean(psnr("jpeg", "50", both)),
        rel=1e-6,
    )


def test_the_same_files_with_any_number_of_workers(experiment, layout, monkeypatch):
    found = []
    for workers in (1, 3):
        monkeypatch.setattr(metrics, "WORKERS", workers)
        metrics.run(experiment, layout)
        found.append(
            [(layout.metrics / name).read_bytes() for name in ("per_image.csv", "summary.json")]
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("count", [2, 5])
def test_in_chunks_the_same_files(experiment, layout, count):
    """Also with more chunks than photographs."""
    metrics.run(experiment, layout)
    whole = {path.name: path.read_bytes() for path in layout.metrics.iterdir()}
    assert set(whole) == {"per_image.csv", "summary.json", "comparison.csv"}
    for one in (Chunk(number, count) for number in range(1, count + 1)):
        metrics.run_chunk(experiment, layout, one, part(layout, layout.scratch / str(one)))
    metrics.gather(experiment, layout, parts(layout, layout.scratch.iterdir()))
    assert {path.name: path.read_bytes() for path in layout.metrics.iterdir()} == whole


def test_infinite_psnr_is_in_the_table_and_not_in_the_means(experiment, layout):
    path = layout.jpeg / "images" / "set" / "jpeg" / "q30" / "cat.jpg"
    path.write_bytes((layout.test_images / "set" / "cat.png").read_bytes())
    metrics.run(experiment, layout)
    row = table(layout)[0]
    assert (row["image"], row["mse_rgb"], row["ssim_luma"]) == ("cat", "0.0", "1.0")
    assert row["psnr_rgb_db"] == row["wpsnr_rgb_db"] == "inf"
    cells = summary(layout)["set"]
    assert (cells["jpeg"]["q30"]["n"], cells["jpeg"]["q30"]["n_infinite"]) == (3, 1)
    assert math.isfinite(cells["jpeg"]["q30"]["mean"]["psnr_rgb_db"])
    assert math.isfinite(cells["msroi"]["q30"]["minus_jpeg"]["psnr_rgb_db"])


def test_nothing_matched_has_no_means(experiment, layout):
    index = layout.jpeg / "index.csv"
    index.write_text(index.read_text().replace("true", "false"))
    metrics.run(experiment, layout)
    cell = summary(layout)["set"]["msroi"]["q30"]
    assert (cell["n"], cell["n_missed"]) == (0, 3)
    assert set(cell["mean"].values()) == set(cell["sd"].values()) == {None}
    assert cell["minus_jpeg"]["psnr_rgb_db"] is None


def test_a_file_of_another_size_is_named(experiment, layout):
    path = layout.jpeg / "images" / "set" / "msroi" / "q50" / "cup.jpg"
    save(path, np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(ImageError) as error:
        metrics.run(experiment, layout)
    assert str(error.value) == (
        f"{path}: The reference has 180x181 pixels and the distorted image 48x64; "
        "they must be of one size."
    )


def test_from_shards_the_same_tables(experiment, layout):
    metrics.run(experiment, layout)
    whole = {path.name: path.read_bytes() for path in layout.metrics.iterdir()}
    move_into_shards(layout)
    metrics.run(experiment, layout)
    assert {path.name: path.read_bytes() for path in layout.metrics.iterdir()} == whole


def test_missing_index(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=r"index\.csv is missing"):
        metrics.run(experiment, Layout("tiny"))


def test_measure_with_and_without_a_map():
    image = skimage.data.chelsea()[:50, :60]
    without = metrics.measure(image, image // 2, None)
    assert tuple(without) == (*list(metrics.METRICS)[:-1], "ms_ssim_scales")
    assert without["ms_ssim_scales"] == 3
    saliency = np.ones((50, 60), np.float32)
    with_map = metrics.measure(image, image // 2, saliency)
    assert with_map["wpsnr_rgb_db"] == pytest.approx(without["psnr_rgb_db"])


@pytest.mark.parametrize(
    ("distorted", "saliency", "message"),
    [
        (
            (20, 31),
            None,
            "The reference has 30x20 pixels and the distorted image 31x20; "
            "they must be of one size.",
        ),
        (
            (20, 30),
            (30, 20),
            "The reference has 30x20 pixels and the saliency map 20x30; they must be of one size.",
        ),
    ],
)
def test_measure_names_both_sizes(distorted, saliency, message):
    reference = np.zeros((20, 30, 3), np.uint8)
    saliency = None if saliency is None else np.ones(saliency, np.float32)
    with pytest.raises(ImageError) as error:
        metrics.measure(reference, np.zeros((*distorted, 3), np.uint8), saliency)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(30.123456789, 30.123457), (0.91234567891, 0.91234568), (1e-30 / 3, 3.3333333e-31), (0.0, 0)],
)
def test_significant(value, rounded):
    assert metrics.significant(value) == rounded
    assert metrics.significant(math.inf) == math.inf


def test_schema_offers_the_measures_there_are():
    schema = yaml.safe_load((ROOT / params.SCHEMA).read_text())
    offered = schema["properties"]["anova"]["properties"]["metrics"]["items"]["enum"]
    assert offered == list(metrics.METRICS)
