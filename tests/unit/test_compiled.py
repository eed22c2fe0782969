"""What is compiled for own photos is kept: the same files, sooner, and never a complaint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from msroi.photos import compiled

pytestmark = pytest.mark.numerics

FLAGS = "processor\t: {}\nmodel name\t: {}\ncpu MHz\t\t: {}\nflags\t\t: {}\n\n"


@pytest.fixture
def cpu_info(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(compiled, "CPU_INFO", path)
    return path


def test_a_folder_for_each_kind_of_processor(cpu_info):
    names = []
    for model, flags in (("A", "sse avx"), ("A", "sse"), ("B", "sse avx")):
        cpu_info.write_text(FLAGS.format(0, model, 1.0, flags))
        names.append(compiled.processor())
    assert len(set(names)) == 3
    # cores and clocks make no kind
    cpu_info.write_text("".join(FLAGS.format(n, "A", 2.5 + n, "sse avx") for n in range(8)))
    assert compiled.processor() == names[0]
    cpu_info.unlink()  # another system
    assert compiled.processor()


def test_the_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for base, expected in ((str(tmp_path / "x"), "x"), ("", ".cache"), ("relative", ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        folder = compiled.cache_folder()
        assert folder.parent == tmp_path / expected / "msroi" / "compiled"


def compressed(folder: Path, **variables: str) -> bytes:
    """Compress by the program, with the cache that a user has, not that of the tests."""
    known = {name: of for name, of in os.environ.items() if not name.startswith("JAX_")}
    arguments = "compress photo.png --force --method trellis --encoder-quality 60"
    done = subprocess.run(
        [sys.executable, "-m", "msroi", *arguments.split()],
        cwd=folder,
        env=known | variables,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "photo.msroi.jpg").read_bytes()


def test_files_do_not_depend_on_what_is_kept(tmp_path):
    Image.fromarray(skimage.data.chelsea()[:64, :80]).save(tmp_path / "photo.png")
    caches = tmp_path / "caches"
    first = compressed(tmp_path, XDG_CACHE_HOME=str(caches))
    kept = [path for path in caches.rglob("*-cache") if path.is_file()]
    assert any("best_levels" in path.name for path in kept)
    (folder,) = (caches / "msroi" / "compiled").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert compressed(tmp_path, XDG_CACHE_HOME=str(caches)) == first
    for path in kept:  # a run that was killed, a full disk
        path.write_bytes(path.read_bytes()[:1000])
    assert compressed(tmp_path, XDG_CACHE_HOME=str(caches)) == first


def test_without_a_folder_that_can_be_written(tmp_path):
    Image.fromarray(skimage.data.chelsea()[:64, :80]).save(tmp_path / "photo.png")
    (tmp_path / "file").touch()
    assert compressed(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file"))
