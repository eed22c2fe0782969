"""The whole chain on real photographs, by Snakemake and by DVC, as a user runs it."""

import csv
import json
import re
import time
from pathlib import Path

import pytest
from PIL import Image
from project import Project, rules_run

pytestmark = pytest.mark.workflow

CONFIG = "config/tiny.yaml"
PER_IMAGE = "results/tiny/metrics/per_image.csv"
COLUMNS = (
    "experiment,dataset,image,method,match_quality,q_final,bytes,target_bytes,size_error_pct,"
    "mse_rgb,psnr_rgb_db,ssim_luma,ms_ssim_luma,wpsnr_rgb_db,encoder"
)
EVERYTHING = {
    *("download", "prepare", "augment", "train", "heatmap", "compress", "metrics"),
    *("judges", "gaze", "rate_distortion", "conventions", "anova", "audit", "report", "record"),
}
BEFORE_COMPRESS = {"download", "prepare", "augment", "train", "heatmap"}


def ran_by_dvc(said: str) -> set[str]:
    return set(re.findall(r"^Running stage '(\w+)@tiny'", said, re.MULTILINE))


def restored_by_dvc(said: str) -> set[str]:
    return set(re.findall(r"^Stage '(\w+)@tiny' is cached", said, re.MULTILINE))


def assert_up_to_date(project: Project) -> None:
    assert project.planned() == set()
    assert project.outdated() == set()


def read(project: Project, file: str) -> list[dict[str, str]]:
    with (project.folder / file).open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_a_full_run_leaves_both_tools_up_to_date(project: Project) -> None:
    assert_up_to_date(project)


def test_the_number_of_chunks_makes_nothing_outdated(project: Project) -> None:
    """The run was in several chunks (conftest.py)."""
    assert project.planned("--set-scatter", "heatmap=3", "compress=2", "metrics=7") == set()
    assert project.planned("--set-scatter", "heatmap=1", "compress=1", "metrics=1") == set()
    assert not list((project.folder / ".msroi").rglob("*-of-*"))  # chunks are gone


def test_a_second_run_does_nothing_and_takes_under_ten_seconds(project: Project) -> None:
    start = time.monotonic()
    said = project.run("snakemake")
    assert time.monotonic() - start < 10
    assert "Nothing to be done" in said


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


def test_a_changed_alpha_reruns_anova_and_report_by_snakemake(project: Project) -> None:
    project.edit(CONFIG, "alpha: 0.05", "alpha: 0.01")
    assert project.planned() == {"anova", "report", "record"}
    assert project.outdated() == {"anova", "report"}
    assert rules_run(project.run("snakemake")) == {"anova", "report", "record"}
    assert_up_to_date(project)
    # and back, by the other tool, which remembers the result
    project.edit(CONFIG, "alpha: 0.01", "alpha: 0.05")
    said = project.run("dvc", "repro")
    assert restored_by_dvc(said) == {"anova", "report"}
    assert ran_by_dvc(said) == {"adopt"}
    assert_up_to_date(project)


def test_a_changed_alpha_reruns_anova_and_report_by_dvc(project: Project) -> None:
    project.edit(CONFIG, "alpha: 0.05", "alpha: 0.02")
    assert ran_by_dvc(project.run("dvc", "repro")) == {"anova", "report", "adopt"}
    assert_up_to_date(project)
    project.edit(CONFIG, "alpha: 0.02", "alpha: 0.05")
    assert rules_run(project.run("snakemake")) == {"anova", "report", "record"}
    assert_up_to_date(project)


def test_a_change_reruns_only_what_depends_on_it(project: Project) -> None:
    changes = [
        ("levels: 5", "levels: 4", EVERYTHING - BEFORE_COMPRESS),
        ("epochs: 1", "epochs: 2", EVERYTHING - {"download", "prepare", "augment"}),
        ("rotation_deg: 30", "rotation_deg: 20", EVERYTHING - {"download", "prepare"}),
        ("images: 5", "images: 4", {"report", "record"}),
    ]
    for old, new, expected in changes:
        project.edit(CONFIG, old, new)
        assert project.planned() == expected
        project.edit(CONFIG, new, old)
    assert_up_to_date(project)


ANOVA = "src/msroi/stages/anova.py"
STALE_SENTENCE = (
    "workflow/code/anova.lock is not current, since the code has changed "
    f"({ANOVA}); write it with `msroi stage locks`, which makes stage anova due."
)


def test_prose_in_the_code_makes_nothing_due(project: Project) -> None:
    project.edit(ANOVA, '"""Stage anova: ', '"""The stage anova: ')
    project.edit(ANOVA, "SHAPIRO_MAX = 5000", "SHAPIRO_MAX: int = 5000")
    assert json.loads(project.run("dvc", "status", "--json")) == {"locks": ["always changed"]}
    assert "Nothing to be done" in project.run("snakemake", "--dry-run")
    assert project.locks() == ""


def test_code_that_its_lock_does_not_hold_stops_every_tool(project: Project) -> None:
    project.edit(ANOVA, "SHAPIRO_MAX: int = 5000", "SHAPIRO_MAX: int = 4000")
    commands = {
        ("snakemake",): 1,
        ("dvc", "repro"): 255,
        ("msroi", "stage", "anova", "--experiment", "tiny"): 2,
    }
    for command, status in commands.items():
        said = project.run(*command, status=status)
        assert STALE_SENTENCE in " ".join(said.split())
        assert "Traceback" not in said
    assert project.locks() == f"anova becomes due: {ANOVA}\n"
    assert project.planned() == {"anova", "report", "record"}
    assert project.outdated() == {"anova"}
    project.edit(ANOVA, "SHAPIRO_MAX: int = 4000", "SHAPIRO_MAX: int = 5000")
    assert project.locks() == f"anova becomes due: {ANOVA}\n"
    assert_up_to_date(project)


def test_an_output_edited_by_hand_is_refused_with_the_ways_out(project: Project) -> None:
    path = project.folder / PER_IMAGE
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(",30,30", ",30,31", 1), encoding="utf-8")
    said = project.run("snakemake", status=1)
    assert (
        "msroi: Not recorded, since nothing explains these changed outputs "
        f"(metrics@tiny: {PER_IMAGE}): either a file was edited by hand or a stage does not give "
        f"the same result twice. To go back to what was recorded: rm -r {PER_IMAGE} && dvc repro. "
        "To accept what is there: dvc commit --force --no-relink metrics@tiny && snakemake."
    ) in said
    path.unlink()
    project.run("dvc", "repro")
    assert path.read_text(encoding="utf-8") == before
    assert_up_to_date(project)


WRONG_SENTENCE = (
    "config/tiny.yaml: compress.quality_low: 130 is greater than the maximum of 100 "
    "(JPEG quality of the least salient level (paper 30))."
)


def test_a_wrong_parameter_stops_snakemake_before_anything_runs(project: Project) -> None:
    project.edit(CONFIG, "quality_low: 30", "quality_low: 130")
    said = project.run("snakemake", status=1)
    assert WRONG_SENTENCE in " ".join(said.split())
    assert "Traceback" not in said
    project.edit(CONFIG, "quality_low: 130", "quality_low: 30")
    assert_up_to_date(project)


def test_a_wrong_parameter_stops_dvc_and_what_it_put_away_comes_back(project: Project) -> None:
    project.edit(CONFIG, "quality_low: 30", "quality_low: 130")
    said = project.run("dvc", "repro", status=255)
    assert WRONG_SENTENCE in " ".join(said.split())
    assert "Traceback" not in said
    project.edit(CONFIG, "quality_low: 130", "quality_low: 30")
    # DVC removes a stage's outputs before it runs the stage; they are in its cache
    assert ran_by_dvc(project.run("dvc", "repro")) <= {"adopt"}
    project.run("dvc", "repro", "--force", "--single-item", "adopt@tiny")
    assert_up_to_date(project)


def test_a_clone_that_pulls_is_up_to_date_without_a_run(project: Project, tmp_path: Path) -> None:
    project.run("dvc", "remote", "add", "--default", "--force", "store", str(tmp_path / "remote"))
    project.commit("Results and the remote that holds them")
    project.run("dvc", "push", "--run-cache", "--quiet")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("dvc", "pull", "--quiet")
    assert ran_by_dvc(clone.run("dvc", "repro")) == {"adopt"}
    assert_up_to_date(clone)


def test_an_experiment_can_be_tried_and_compared(project: Project) -> None:
    project.commit("Before the trial")
    setting = f"{CONFIG}:compress.levels=3"
    project.run("dvc", "exp", "run", "--set-param", setting, "--name", "three")
    assert_up_to_date(project)
    compared = json.loads(project.run("dvc", "metrics", "diff", "--json", "HEAD", "three"))
    gain = "gain_psnr_db.salient.msroi"
    assert compared["results/tiny/summary.json"][gain]["diff"] != 0
    project.edit(CONFIG, "levels: 3", "levels: 5")
    assert ran_by_dvc(project.run("dvc", "repro")) == {"adopt"}
    assert_up_to_date(project)


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
