"""What a change makes due, and what both tools refuse, with the way out."""

import json

import pytest
from project import CONFIG, Project, hashes, ran_by_dvc, restored_by_dvc, rules_run

pytestmark = pytest.mark.workflow

PER_IMAGE = "results/tiny/metrics/per_image.csv"
EVERYTHING = {
    *("download", "prepare", "augment", "train", "heatmap", "compress", "metrics"),
    *("judges", "gaze", "rate_distortion", "conventions", "anova", "audit", "report", "record"),
}
BEFORE_COMPRESS = {"download", "prepare", "augment", "train", "heatmap"}


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
    assert project.due() == set()


def test_a_changed_alpha_reruns_anova_and_report_by_either_tool(project: Project) -> None:
    """Each goes on where the other has stopped, to a new value and back to a known one."""
    project.edit(CONFIG, "alpha: 0.05", "alpha: 0.02")
    assert project.planned() == {"anova", "report", "record"}
    assert project.outdated() == {"anova", "report"}
    assert ran_by_dvc(project.run("dvc", "repro")) == {"anova", "report", "adopt"}
    assert project.due() == set()
    for before, after in (("0.02", "0.05"), ("0.05", "0.01")):
        project.edit(CONFIG, f"alpha: {before}", f"alpha: {after}")
        assert rules_run(project.run("snakemake")) == {"anova", "report", "record"}
        assert project.due() == set()
    project.edit(CONFIG, "alpha: 0.01", "alpha: 0.05")
    said = project.run("dvc", "repro")  # which remembers the result
    assert restored_by_dvc(said) == {"anova", "report"}
    assert ran_by_dvc(said) == {"adopt"}
    assert project.due() == set()


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
    assert project.due() == set()


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
    assert project.due() == set()


WRONG_SENTENCE = (
    "config/tiny.yaml: compress.quality_low: 130 is greater than the maximum of 100 "
    "(JPEG quality of the least salient level (paper 30))."
)


def test_a_wrong_parameter_stops_both_tools_and_what_dvc_put_away_comes_back(
    project: Project,
) -> None:
    before = hashes(project)
    project.edit(CONFIG, "quality_low: 30", "quality_low: 130")
    said = project.run("snakemake", status=1)
    assert WRONG_SENTENCE in " ".join(said.split())
    assert "Traceback" not in said
    assert rules_run(said) == set()
    assert hashes(project) == before
    said = project.run("dvc", "repro", status=255)
    assert WRONG_SENTENCE in " ".join(said.split())
    assert "Traceback" not in said
    project.edit(CONFIG, "quality_low: 130", "quality_low: 30")
    # DVC removes a stage's outputs before it runs the stage; they are in its cache
    assert ran_by_dvc(project.run("dvc", "repro")) <= {"adopt"}
    project.run("dvc", "repro", "--force", "--single-item", "adopt@tiny")
    assert hashes(project) == before
    assert project.due() == set()
