"""Every archive of the corpus through stage `download`."""

import hashlib
from pathlib import Path

import pytest
from hostile import EITHER, PROCESSED, fits
from hostile.archives import ARCHIVES, SOUND, Archive, fuzzed
from hostile.limited import MOST_BYTES, MOST_SECONDS, run

from msroi.cli import main

ROOT = Path(__file__).parents[2]


def project(folder: Path, archive: Archive) -> None:
    """Make a project that has the archive as its one data set."""
    data = archive.make()
    file = folder / "data" / "local" / archive.file
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    table = (ROOT / "data/sources.csv").read_text(encoding="utf-8")
    row = f"photos,local,data/local/{archive.file},sha256:{digest},{len(data)},CC0-1.0,made\n"
    (folder / "data/sources.csv").write_text(table + row, encoding="utf-8")
    for name in ("workflow", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    values = (ROOT / "config/demo.yaml").read_text(encoding="utf-8")
    (folder / "config").mkdir()
    (folder / "config/x.yaml").write_text(values.replace("skimage-photos", "photos"))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def by_case(archives: list[Archive]):
    return pytest.mark.parametrize("archive", archives, ids=[ascii(a.case) for a in archives])


@by_case([*ARCHIVES, *fuzzed(range(10))])
def test_stage_download(tmp_path, monkeypatch, capfd, archive):
    folder = tmp_path / "project"
    project(folder, archive)
    monkeypatch.chdir(folder)
    # the weights, 60 MB, are no part of this
    monkeypatch.setattr("msroi.stages.download.convert", lambda *_: None)
    before = files(tmp_path)
    if archive.dangerous:
        done = run(tmp_path / "peak", "stage", "download", "--experiment", "x")
        assert done.seconds < MOST_SECONDS
        assert done.peak_bytes < MOST_BYTES
        (tmp_path / "peak").unlink()
        status, err = done.status, done.err
    else:
        status, err = main.main(["stage", "download", "--experiment", "x"]), capfd.readouterr().err
    placed = {Path(name).name for name in files(tmp_path) - before}
    if archive.outcome == PROCESSED or (archive.outcome == EITHER and status == 0):
        assert status == 0
        assert placed >= {"x", "download", "images", "photos", "manifest.csv"}
        assert placed >= set(SOUND) or archive.outcome == EITHER
        assert len(placed) <= 5 + len(SOUND)
        return
    assert (status, err.count("\n")) == (2, 1)
    sentence = err.removeprefix("msroi: ").removesuffix("\n")
    expected = "FILE …." if archive.outcome == EITHER else archive.outcome
    assert fits(expected, sentence, archive.file), sentence
    assert placed == {"x", "download", "images"}


@pytest.mark.torture
@by_case(fuzzed(range(10, 500)))
def test_many_more_flipped_bits(tmp_path, monkeypatch, capfd, archive):
    test_stage_download(tmp_path, monkeypatch, capfd, archive)
