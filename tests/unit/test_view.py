"""Where a stage runs, whose files Snakemake keeps elsewhere."""

from pathlib import Path

import pytest

from msroi.errors import MissingError, ParameterError
from msroi.experiment.layout import Layout
from msroi.files import write_text
from msroi.workflow import view

TINY = Layout("tiny")


@pytest.mark.parametrize(
    ("file", "root"),
    [
        ("data/tiny/download/images", "."),
        ("store/s3/bucket/data/tiny/download/images", "store/s3/bucket"),
        ("/a/results/tiny/b/results/tiny/model/summary.json", "/a/results/tiny/b"),
        ("/a/.msroi/tiny/heatmap/0123/1-of-2", "/a"),
        ("a/data/other/data/tiny", "a/data/other"),
    ],
)
def test_the_folder_above_is_found(file, root):
    assert view.root([Path(file)], TINY) == Path(root)


@pytest.mark.parametrize("file", ["", "tiny", "data/other/x", "data", "results/x/tiny/data"])
def test_what_is_no_file_of_the_experiment(file):
    with pytest.raises(ParameterError, match="is no file of experiment tiny"):
        view.root([Path(file)], TINY)


def test_files_of_several_folders():
    with pytest.raises(ParameterError, match="name those of one of a, b"):
        view.root([Path("a/data/tiny/x"), Path("b/results/tiny/y")], TINY)
    assert view.root([Path("a/data/tiny/x"), Path("a/results/tiny/y")], TINY) == Path("a")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a source, another experiment, and old files of the same one."""
    folder = tmp_path / "project"
    for name in ("config/tiny.yaml", "data/sources.csv", "data/other/x", "data/tiny/old"):
        write_text(folder / name, name)
    monkeypatch.chdir(folder)
    return folder


def test_the_experiment_lies_elsewhere_and_all_else_is_the_projects(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write_text(elsewhere / "data/tiny/prepare/index.csv", "here")
    with view.files_in(elsewhere, TINY):
        assert TINY.index.read_text() == "here"
        assert not Path("data/tiny/old").exists()
        assert Path("data/sources.csv").read_text() == "data/sources.csv"
        assert Path("data/other/x").exists()
        assert Path("config/tiny.yaml").exists()
        write_text(TINY.summary, "made")
    assert Path.cwd() == project
    assert (elsewhere / "results/tiny/summary.json").read_text() == "made"
    assert not (project / "results").exists()
    assert list((project / ".msroi").iterdir()) == []


def test_scratch_stays_with_the_project(project, tmp_path):
    with view.files_in(tmp_path / "elsewhere", TINY):
        write_text(TINY.scratch / "checkpoints/1", "kept")
    assert (project / ".msroi/tiny/checkpoints/1").exists()


def test_in_the_project_nothing_is_linked(project):
    with view.files_in(Path(), TINY):
        assert Path.cwd() == project
    assert not (project / ".msroi").exists()


def test_outputs_are_brought_and_what_was_there_goes(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write_text(elsewhere / "data/tiny/images/new", "new")
    write_text(elsewhere / "data/tiny/images" / view.MARK, "")
    write_text(elsewhere / "results/tiny/summary.json", "1")
    write_text(project / "data/tiny/images/old", "old")
    view.bring(["data/tiny/images", "results/tiny/summary.json"], elsewhere)
    assert [path.name for path in (project / "data/tiny/images").iterdir()] == ["new"]
    assert (project / "results/tiny/summary.json").read_text() == "1"
    with pytest.raises(MissingError, match="is missing; run the same `snakemake` command again"):
        view.bring(["results/tiny/tables"], elsewhere)


def test_what_lies_here_is_left_alone(project):
    view.bring(["data/tiny/old", "results/tiny/tables"], Path())
    assert (project / "data/tiny/old").exists()
