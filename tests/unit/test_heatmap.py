"""The stage heatmap on a network of random weights."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from msroi.experiment.chunks import Chunk, part, parts
from msroi.images import read_rgb
from msroi.measures import spread
from msroi.network import saliency
from msroi.plots import overlay
from msroi.stages import heatmap

pytestmark = pytest.mark.numerics

SAME = {"mean_correlation": 1.0, "min_correlation": 1.0, "mean_std": 0.0, "mean_ssim": 1.0}


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=96)
    made.write_model()
    return made


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def outputs(layout):
    files = sorted(path for path in layout.heatmaps.rglob("*") if path.is_file())
    return {str(path.relative_to(layout.heatmaps)): path.read_bytes() for path in files}


def test_run(made):
    layout, experiment = made.layout, made.experiment
    stale = layout.saliency("paper", "photos", "gone")
    stale.parent.mkdir(parents=True)
    stale.touch()
    heatmap.run(experiment, layout)
    first = outputs(layout)
    assert sorted(first) == [
        "overlay/photos/one.png",
        "overlay/photos/two.png",
        "passes.npy",
        "predictions.csv",
        "saliency/paper/photos/one.png",
        "saliency/paper/photos/two.png",
        "saliency/readout/photos/one.png",
        "saliency/readout/photos/two.png",
        "saliency_quality.csv",
        "spread.csv",
        "summary.json",
    ]
    for name in ("one", "two"):
        photo = read_rgb(layout.test_images / "photos" / f"{name}.png")
        with Image.open(layout.saliency("readout", "photos", name)) as image:
            assert image.mode == "L"
            grey = np.asarray(image)
        assert grey.shape == photo.shape[:2]
        laid_over = read_rgb(layout.heatmaps / "overlay" / "photos" / f"{name}.png")
        near = overlay(photo, grey.astype(np.float32) / 255).astype(int)
        assert np.abs(near - laid_over).max() <= 4  # the map is rounded to 8 bits

    passes = np.load(layout.heatmaps / "passes.npy")
    assert passes.shape == (2, 5, 3, 3)
    spreads = table(layout.heatmaps / "spread.csv")
    assert [(row["image"], row["dropout"], row["passes"]) for row in spreads] == [
        (image, dropout, "5") for image in ("one", "two") for dropout in ("0.0", "0.3")
    ]
    for row in spreads[::2]:
        assert {key: float(row[key]) for key in SAME} == SAME
    for row, maps in zip(spreads[1::2], passes, strict=True):
        differ = spread.measure(maps, 96)
        assert differ["mean_std"] > 0
        assert differ["mean_ssim"] < 1
        assert {key: float(row[key]) for key in SAME} == pytest.approx(differ, abs=1e-6)
    counts = {"images": 2, "images_with_passes": 2}
    assert json.loads(first["summary.json"]) == counts | {
        f"{key}_of_passes": pytest.approx(
            np.mean([float(row[key]) for row in spreads[1::2]]), abs=1e-6
        )
        for key in ("mean_correlation", "mean_ssim")
    }
    # neither fixations nor boxes were downloaded
    assert first["saliency_quality.csv"] == b"dataset,image,map,measure,value,n\n"

    predictions = table(layout.heatmaps / "predictions.csv")
    # five classes are asked for, three there are
    assert [row["rank"] for row in predictions] == ["1", "2", "3"] * 2
    for name in ("one", "two"):
        rows = [row for row in predictions if row["image"] == name]
        assert {row["class"] for row in rows} == {"checks", "plain", "stripes"}
        values = [float(row["probability"]) for row in rows]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1, abs=1e-5)

    # again for one image without the other: the same byte for byte
    index = layout.index.read_text()
    layout.index.write_text("".join(line for line in index.splitlines(True) if ",one," not in line))
    heatmap.run(experiment, layout)
    alone = outputs(layout)
    for name in ("paper", "readout"):
        kept = f"saliency/{name}/photos/two.png"
        assert alone[kept] == first[kept]
        assert f"saliency/{name}/photos/one.png" not in alone
    np.testing.assert_array_equal(np.load(layout.heatmaps / "passes.npy")[0], passes[1])


def test_passes_of_the_first_photographs_only(made):
    few = replace(made.experiment.heatmap, passes_images=1)
    heatmap.run(replace(made.experiment, heatmap=few), made.layout)
    assert np.load(made.layout.heatmaps / "passes.npy").shape == (1, 5, 3, 3)
    assert {row["image"] for row in table(made.layout.heatmaps / "spread.csv")} == {"one"}
    counts = json.loads((made.layout.heatmaps / "summary.json").read_text())
    assert (counts["images"], counts["images_with_passes"]) == (2, 1)
    assert len(list(made.layout.saliency("paper", "photos", "one").parent.iterdir())) == 2


def test_without_dropout_no_pass_is_repeated(made, monkeypatch):
    experiment = replace(made.experiment, heatmap=replace(made.experiment.heatmap, dropout=0.0))
    monkeypatch.delattr(saliency.TrainedNetwork, "passes")
    heatmap.run(experiment, made.layout)
    passes = np.load(made.layout.heatmaps / "passes.npy")
    assert passes.shape == (2, 5, 3, 3)
    assert (passes == passes[:, :1]).all()
    spreads = table(made.layout.heatmaps / "spread.csv")
    assert [(row["image"], row["dropout"], row["passes"]) for row in spreads] == [
        ("one", "0.0", "5"),
        ("two", "0.0", "5"),
    ]
    assert all({key: float(row[key]) for key in SAME} == SAME for row in spreads)


def test_in_chunks_the_same_files(made):
    """With a chunk for each photograph, and one more, which has nothing to do."""
    experiment, layout, count = made.experiment, made.layout, 3
    heatmap.run(experiment, layout)
    whole = outputs(layout)
    below = layout.scratch / "some"
    for number in range(count, 0, -1):
        one = Chunk(number, count)
        heatmap.run_chunk(experiment, layout, one, part(layout, below / str(one)))
    heatmap.gather(experiment, layout, parts(layout, below.iterdir()))
    assert outputs(layout) == whole
    heatmap.gather(experiment, layout, parts(layout, below.iterdir()))  # cut short and repeated
    assert outputs(layout) == whole
