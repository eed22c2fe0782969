"""Every parameter file of the corpus through the program."""

import shutil
from pathlib import Path

import pytest
import skimage.data
from hostile import PROCESSED, fits
from hostile.limited import MOST_BYTES, MOST_SECONDS, run
from hostile.parameters import PARAMETERS

from msroi.cli import main

ROOT = Path(__file__).parents[2]
LARGE = [case for case in PARAMETERS if any(digits in case.case for digits in ("000", "billion"))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project whose data set is there, so that stage prepare could run."""
    folder = tmp_path / "project"
    (folder / "config").mkdir(parents=True)
    for name in ("workflow", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    photos = folder / "data/x/download/images/skimage-photos"
    photos.mkdir(parents=True)
    for name in ("camera.png", "chelsea.png"):
        shutil.copy(Path(skimage.data.__file__).parent / name, photos)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("case", PARAMETERS, ids=[ascii(case.case) for case in PARAMETERS])
def test_parameter_file(folder, monkeypatch, capfd, case):
    made = case.make()
    file = Path("config/x.yaml")
    file.write_bytes(made.encode() if isinstance(made, str) else made)
    reached = []
    if case.outcome == PROCESSED:
        monkeypatch.setattr("msroi.stages.prepare.run", lambda *_: reached.append("prepare"))
    status = main.main(["stage", "prepare", "--experiment", "x"])
    err = capfd.readouterr().err
    if case.outcome == PROCESSED:
        assert (status, err, reached) == (0, "", ["prepare"])
        return
    sentence = err.removeprefix("msroi: ").removesuffix("\n")
    assert (status, "\n" in sentence) == (2, False)
    assert fits(case.outcome, sentence, file), sentence
    assert len(sentence) < 600
    written = {path.name for path in folder.parent.rglob("*") if "evil" in path.name}
    assert not written
    assert not (folder / "data/x/prepare/index.csv").exists()


@pytest.mark.parametrize("case", LARGE, ids=[case.case for case in LARGE])
def test_large_parameter_files_take_little_time_and_memory(folder, tmp_path, case):
    Path("config/x.yaml").write_text(case.make())
    done = run(tmp_path / "peak", "stage", "prepare", "--experiment", "x")
    assert done.status == 2
    assert done.seconds < MOST_SECONDS
    assert done.peak_bytes < MOST_BYTES


@pytest.mark.parametrize("name", ["../config/x", "/etc/x", "a b", "x;touch evil", "x\n", "é", "."])
def test_the_name_of_an_experiment_leads_nowhere(folder, capfd, name):
    assert main.main(["stage", "prepare", "--experiment", name]) == 2
    assert capfd.readouterr().err == (
        f"msroi: {name!r} is no name of an experiment; name a file in config/ without its suffix, "
        "of letters, digits, _ and - only.\n"
    )
