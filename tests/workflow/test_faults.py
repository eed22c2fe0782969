"""A disk that is full, that can only be read or belongs to someone else; a clock set back.

The disks are mounted in memory, which takes root; where it is refused, tests say so and skip.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from project import ROOT, Project, hashes, rules_run

from msroi.cli import main
from msroi.network import features, vgg

pytestmark = pytest.mark.workflow

COMPRESS = ["compress", "photo.png", "--out", "out", "--method", "jpeg"]
AGAIN = ", then run the same command again.\n"
NOBODY = 65534


@contextmanager
def disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """Mount a small disk on a folder."""
    folder.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mount(*options: str) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Work in a folder with a photo; return what it is compressed to where nothing is amiss."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((160, 120), 40).convert("RGB").save("photo.png")
    assert main.main([*COMPRESS[:3], "sound", *COMPRESS[4:]]) == 0
    return Path("sound/photo.jpg").read_bytes()


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main.main(COMPRESS) == 2
    return capsys.readouterr().err


def test_a_full_disk(capsys: pytest.CaptureFixture[str], expected: bytes) -> None:
    out = Path("out")
    with disk(out, 64 << 10):
        filler = out / "filler"
        filler.write_bytes(bytes(60 << 10))
        assert len(expected) > 4 << 10
        said = refused(capsys)
        assert (
            said
            == f"msroi: photo.png is not written: out: the disk is full; free some space{AGAIN}"
        )
        assert list(out.iterdir()) == [filler]
        filler.unlink()
        assert main.main(COMPRESS) == 0
        assert [path.read_bytes() for path in out.iterdir()] == [expected]


def test_features_on_a_full_disk(tmp_path: Path) -> None:
    """They are the largest file that a stage writes, and were mapped into memory."""

    def images(chosen: NDArray[np.intp], size: int) -> NDArray[np.float32]:
        return np.ones((size, 32, 32, 3), np.float32)

    with disk(tmp_path / "full", 64 << 10):
        file = tmp_path / "full/features.npy"
        with pytest.raises(OSError, match="No space left on device"):
            features.compute_features(vgg, images, (100, 32), {}, 0, file, "<f4")
        assert list((tmp_path / "full").iterdir()) == []


def test_a_disk_that_can_only_be_read(capsys: pytest.CaptureFixture[str], expected: bytes) -> None:
    with disk(Path("out"), 64 << 10):
        mount("-o", "remount,ro", "out")
        said = refused(capsys)
        assert said.startswith(
            "msroi: photo.png is not written: out: the file system is read-only; make it writable "
        )
        assert said.endswith(AGAIN)
        assert list(Path("out").iterdir()) == []
        mount("-o", "remount,rw", "out")
        assert main.main(COMPRESS) == 0
        assert Path("out/photo.jpg").read_bytes() == expected


def test_a_folder_of_someone_else(capsys: pytest.CaptureFixture[str], expected: bytes) -> None:
    out = Path("out")
    out.mkdir(0o555)
    user = os.geteuid()
    if user == 0:  # whom no permission stops
        os.seteuid(NOBODY)
    try:
        said = refused(capsys)
    finally:
        os.seteuid(user)
    assert said.startswith(
        "msroi: photo.png is not written: out: permission denied; get the right to use it or "
    )
    assert said.endswith(AGAIN)
    assert list(out.iterdir()) == []
    out.chmod(0o755)
    assert main.main(COMPRESS) == 0
    assert (out / "photo.jpg").read_bytes() == expected


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_a_clock_that_was_set_back(project: Project) -> None:
    """What was made before then comes from the future."""
    expected = hashes(project)
    for top in ("data/tiny", "results/tiny", ".msroi"):
        for path in (project.folder / top).rglob("*"):
            tomorrow = path.stat().st_mtime + 86400
            os.utime(path, (tomorrow, tomorrow))
    assert project.planned() == set()
    assert project.outdated() == set()
    project.edit("config/tiny.yaml", "images: 5\n", "images: 4\n")
    said = project.run("snakemake", status=1)
    assert "This could indicate a clock skew problem" in said
    remedy = 'find data results .msroi -newermt now -exec touch -d "$(date)" {} +'
    assert remedy in (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    project.run("bash", "-c", remedy)
    assert rules_run(project.run("snakemake")) == {"report", "record"}
    assert project.planned() == set()
    assert project.outdated() == set()
    project.edit("config/tiny.yaml", "images: 4\n", "images: 5\n")
    project.run("snakemake")
    assert hashes(project) == expected


@contextmanager
def results_on_a_disk(project: Project) -> Iterator[Path]:
    """Let the results lie on a small disk of their own for the length of a block."""
    results = project.folder / "results/tiny"
    kept = results.rename(results.with_name("kept"))
    try:
        with disk(results, 64 << 20):
            shutil.copytree(kept, results, dirs_exist_ok=True)
            yield results
    finally:
        results.rmdir()
        kept.rename(results)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("folder", ["model", "heatmaps", "jpeg", "metrics", "report"])
def test_a_stage_on_a_full_disk(project: Project, folder: str) -> None:
    expected = hashes(project)
    with results_on_a_disk(project) as results:
        shutil.rmtree(results / folder)
        filler = results / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(results).free))
        said = project.run("snakemake", status=1)
        assert re.search(r"[Tt]he disk is full.*; free some space,? (and|then) run", said), said
        assert "Traceback" not in said
        filler.unlink()
        project.run("snakemake")
        assert hashes(project) == expected


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_a_stage_on_a_disk_that_can_only_be_read(project: Project) -> None:
    expected = hashes(project)
    with results_on_a_disk(project) as results:
        shutil.rmtree(results / "anova")
        mount("-o", "remount,ro", str(results))
        said = project.run("snakemake", status=1)
        assert "Write-protected output files for rule" in said
        assert "Traceback" not in said
        mount("-o", "remount,rw", str(results))
        project.run("snakemake")
        assert hashes(project) == expected
