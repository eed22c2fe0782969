"""The whole chain on real photographs, by Snakemake and by DVC, as a user runs it."""

import csv
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image
from project import CONFIG, Project, hashes, ran_by_dvc, restored_by_dvc

pytestmark = pytest.mark.workflow

PER_IMAGE = "results/tiny/metrics/per_image.csv"
COLUMNS = (
    "experiment,dataset,image,method,match_quality,q_final,bytes,target_bytes,size_error_pct,"
    "mse_rgb,psnr_rgb_db,ssim_luma,ms_ssim_luma,wpsnr_rgb_db,encoder"
)


def read(project: Project, file: str) -> list[dict[str, str]]:
    with (project.folder / file).open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_after_a_full_run_nothing_is_due_and_a_second_takes_under_ten_seconds(
    project: Project,
) -> None:
    assert project.outdated() == set()
    start = time.monotonic()
    said = project.run("snakemake")
    assert time.monotonic() - start < 10
    assert "Nothing to be done" in said


def test_the_number_of_chunks_makes_nothing_outdated(project: Project) -> None:
    """The run was in several chunks (conftest.py)."""
    assert project.planned("--set-scatter", "heatmap=3", "compress=2", "metrics=7") == set()
    assert project.planned("--set-scatter", "heatmap=1", "compress=1", "metrics=1") == set()
    assert not list((project.folder / ".msroi").rglob("*-of-*"))  # chunks are gone


def test_per_image_has_the_promised_columns_and_one_row_each(project: Project) -> None:
    header = (project.folder / PER_IMAGE).read_text(encoding="utf-8").splitlines()[0]
    assert header == COLUMNS
    rows = read(project, PER_IMAGE)
    keys = {(r["dataset"], r["image"], r["method"], r["match_quality"]) for r in rows}
    assert len(keys) == len(rows) == 3 * 3 * 2
    assert {row["method"] for row in rows} == {"jpeg", "msroi", "roi-trellis"}
    assert all(abs(float(row["size_error_pct"])) <= 1 for row in rows)


def test_the_files_are_what_the_table_says(project: Project) -> None:
    for row in read(project, PER_IMAGE):
        file = project.folder / "results/tiny/jpeg/images" / row["dataset"] / row["method"]
        file = file / f"q{row['match_quality']}" / f"{row['image']}.jpg"
        assert file.stat().st_size == int(row["bytes"])
        with Image.open(file) as image:
            assert image.format == "JPEG"


def test_all_tables_and_figures_are_there(project: Project) -> None:
    results = project.folder / "results/tiny"
    # a row a method, and a photograph or a quality
    for number, rows in {1: 3 * 2, 2: 3 * 1, 3: 3 * 2, 4: 3 * 2}.items():
        assert len(read(project, f"results/tiny/tables/table{number}.csv")) == rows
        assert (results / "tables" / f"table{number}.md").read_text().startswith("| ")
    # Figures 1 to 4 show a photograph and two passes, 5 and 6 the photographs of a set
    for number, columns in {1: 3, 2: 3, 3: 3, 4: 3, 5: 2, 6: 1}.items():
        with Image.open(results / "figures" / f"figure{number}.png") as figure:
            assert figure.width > 260 * columns
    summary = (results / "report/summary.txt").read_text(encoding="utf-8")
    assert re.search(r"^salient +roi-trellis +2 ", summary, re.MULTILINE)


def test_the_tables_repeat_the_measurements(project: Project) -> None:
    measured = read(project, PER_IMAGE)
    for row in read(project, "results/tiny/tables/table3.csv"):
        values = [
            float(m["psnr_rgb_db"])
            for m in measured
            if m["dataset"] == "salient"
            and (m["method"], m["match_quality"]) == (row["method"], row["match_quality"])
        ]
        assert float(row["psnr_rgb_db"]) == pytest.approx(sum(values) / len(values), abs=5e-4)


def test_an_experiment_can_be_tried_compared_and_undone(
    project: Project, finished: Project
) -> None:
    project.commit("Before the trial")
    setting = f"{CONFIG}:compress.levels=3"
    project.run("dvc", "exp", "run", "--set-param", setting, "--name", "three")
    assert project.due() == set()
    compared = json.loads(project.run("dvc", "metrics", "diff", "--json", "HEAD", "three"))
    gain = "gain_psnr_db.salient.msroi"
    assert compared["results/tiny/summary.json"][gain]["diff"] != 0
    # back to what Snakemake made at first, which DVC remembers
    shutil.copy(finished.folder / CONFIG, project.folder / CONFIG)
    said = project.run("dvc", "repro")
    assert {"compress", "metrics", "anova", "report"} <= restored_by_dvc(said)
    assert ran_by_dvc(said) == {"adopt"}
    assert hashes(project) == hashes(finished)
    assert project.due() == set()


def test_a_clone_that_pulls_is_up_to_date_without_a_run(project: Project, tmp_path: Path) -> None:
    project.run("dvc", "remote", "add", "--default", "--force", "store", str(tmp_path / "remote"))
    project.commit("Results and the remote that holds them")
    project.run("dvc", "push", "--run-cache", "--quiet")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("dvc", "pull", "--quiet")
    assert ran_by_dvc(clone.run("dvc", "repro")) == {"adopt"}
    assert clone.due() == set()


def test_the_reports_of_both_tools_can_be_made(project: Project) -> None:
    project.run("snakemake", "--report", ".msroi/report.zip")
    assert (project.folder / ".msroi/report.zip").stat().st_size > 100_000
    said = project.run("dvc", "plots", "show", "--out", ".msroi/plots")
    assert "failed" not in said
    assert (project.folder / ".msroi/plots/index.html").exists()
    project.run("dvc", "exp", "show", "--only-changed", "--csv")
    shown = json.loads(project.run("dvc", "metrics", "show", "--json"))
    assert list(shown[""]["data"]) == ["results/tiny/summary.json"]


def test_an_own_photo_with_the_experiments_model(project: Project, tmp_path: Path) -> None:
    photo = project.folder / "data/tiny/prepare/test/salient/coins.png"
    out = tmp_path / "out"
    own = (str(photo), "--experiment", "tiny", "--out", str(out))
    same_size = ("--match-quality", "50", "--json")
    result = json.loads(project.run("msroi", "compress", *own, *same_size).splitlines()[-1])
    assert result["method"] == "roi-trellis"
    assert abs(result["size_error_pct"]) <= 1
    project.run("msroi", "heatmap", *own)
    # the model is the stage's, and so are the map and the file
    stage = project.folder / "results/tiny"
    made = (out / "coins.saliency.png").read_bytes()
    assert made == (stage / "heatmaps/saliency/readout/salient/coins.png").read_bytes()
    made = (out / "coins.jpg").read_bytes()
    assert made == (stage / "jpeg/images/salient/roi-trellis/q50/coins.jpg").read_bytes()
    measured = json.loads(
        project.run("msroi", "metrics", str(photo), str(out / "coins.jpg"), "--json")
    )
    row = next(
        row
        for row in read(project, PER_IMAGE)
        if (row["image"], row["method"], row["match_quality"]) == ("coins", "roi-trellis", "50")
    )
    assert measured["psnr_rgb_db"] == pytest.approx(float(row["psnr_rgb_db"]), rel=1e-7)
