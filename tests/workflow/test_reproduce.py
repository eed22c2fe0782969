"""`make reproduce`: what it compares, what it says, and that a small experiment passes."""

import os
from pathlib import Path

import pytest
import reproduce
from project import copy_of_project
from reproduce import Out, Setting, compare

SAME = Out("results/x/tables", 2, 1234, "a" * 64, ())


@pytest.fixture
def clones(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones with the same out, a file and a folder."""
    for name in ("first", "second"):
        folder = tmp_path / name / "out" / "deep"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(b"1,2\n")
        (folder.parent / "b.png").write_bytes(b"PNG")
        (tmp_path / name / "table.csv").write_bytes(b"1\n")
    return tmp_path / "first", tmp_path / "second"


def test_the_same_bytes_are_identical(clones: tuple[Path, Path]) -> None:
    folder, file = compare(*clones, "out"), compare(*clones, "table.csv")
    assert (folder.files, folder.bytes, folder.differing) == (2, 7, ())
    assert folder.row()["identical"] == "yes"
    assert (file.files, file.bytes, file.differing) == (1, 2, ())
    # printf '1\n' | sha256sum
    assert file.sha256 == "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"


def test_a_byte_that_differs_names_its_file(clones: tuple[Path, Path]) -> None:
    (clones[1] / "out/deep/a.csv").write_bytes(b"1,3\n")
    (clones[1] / "table.csv").write_bytes(b"2\n")
    assert compare(*clones, "out").differing == ("deep/a.csv",)
    assert compare(*clones, "out").row()["identical"] == "no: deep/a.csv"
    assert compare(*clones, "table.csv").differing == ("table.csv",)


def test_a_file_that_only_one_run_has_differs(clones: tuple[Path, Path]) -> None:
    (clones[0] / "out/b.png").unlink()
    (clones[1] / "table.csv").unlink()
    assert compare(*clones, "out").differing == ("b.png",)
    assert compare(*clones, "table.csv").differing == ("table.csv",)


def test_what_neither_run_has_is_not_identical(clones: tuple[Path, Path]) -> None:
    assert compare(*clones, "nothing").differing == ("nothing is there",)


def test_snakemakes_mark_in_a_folder_is_left_out(clones: tuple[Path, Path]) -> None:
    (clones[1] / "out/.snakemake_timestamp").touch()
    assert compare(*clones, "out").differing == ()


def test_a_long_list_of_files_is_cut() -> None:
    out = Out("out", 9, 9, "a" * 64, tuple("abcdefg"))
    assert out.row()["identical"] == "no: a, b, c, d, e and 2 more"


def test_a_setting_is_a_command_and_an_environment() -> None:
    command = " ".join(Setting(threads=1, chunks=3).command("demo"))
    assert command == (
        "snakemake --cores 1 --set-scatter heatmap=3 compress=3 metrics=3 -- .msroi/demo/agreed"
    )
    assert Setting(threads=1).environment["OMP_NUM_THREADS"] == "1"
    assert Setting().environment == {}
    assert "--cores all" in " ".join(Setting().command("demo"))


def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with reproduce.on_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("differing", "status", "said"),
    [
        ((), 0, "demo: all 2 files of 1 outs are identical in both runs."),
        (
            ("table1.csv",),
            1,
            "demo: 1 of 1 outs differ between the two runs, the first of them results/x/tables.",
        ),
    ],
)
def test_the_exit_status_is_the_verdict(
    differing: tuple[str, ...],
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Out(SAME.out, SAME.files, SAME.bytes, SAME.sha256, differing)
    monkeypatch.setattr(reproduce, "twice", lambda *_: [out])
    assert reproduce.main(["demo"]) == status
    printed = capsys.readouterr().out
    assert printed.endswith(f"\n{said}\n")
    assert "| results/x/tables | 2 | 1,234 | aaaaaaaaaaaaaaaa | " in printed


def test_an_experiment_that_is_not_committed_is_one_sentence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert reproduce.main(["no-such-experiment"]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said == (
        "reproduce: config/no-such-experiment.yaml is not committed; commit it, or name another "
        "experiment."
    )


def test_the_page_shows_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reproduce.ROOT)
    page = reproduce.PAGE.read_text(encoding="utf-8")
    assert page == reproduce.filled(page), "make reproduce REPRODUCE='… --write' writes both"
    assert "| results/demo/model/weights.safetensors | 1 | " in page


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_a_small_experiment_comes_out_the_same(tmp_path: Path) -> None:
    """In chunks, with one thread and with more threads than cores."""
    project = copy_of_project(tmp_path)
    for threads in ("1", "8"):
        command = ("env", "PYTHONPATH=.:src:tests/workflow", "python", "-m", "reproduce", "tiny")
        said = project.run(*command, "--threads", threads, "--chunks", "2")
        assert "are identical in both runs" in said
