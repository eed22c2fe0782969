import csv
import dataclasses
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from msroi.errors import SourceError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import file_hash
from msroi.sources.table import TABLE, Source
from msroi.stages.download import flatten, place, run

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the folder shared/data with real data is not beside the checkout"
)


@pytest.fixture
def experiment() -> Experiment:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        return params.load("demo")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the table of sources, to work in."""
    monkeypatch.chdir(tmp_path)
    TABLE.parent.mkdir()
    shutil.copyfile(PROJECT / TABLE, TABLE)
    return tmp_path


def asking(experiment: Experiment, source: str, *datasets: str) -> Experiment:
    download = dataclasses.replace(experiment.download, source=source, datasets=datasets)
    return dataclasses.replace(experiment, download=download)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def manifest(layout: Layout) -> list[dict[str, str]]:
    with layout.manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def source(location: str, name: str = "set") -> Source:
    return Source(name, "local", location, "", None, "", "")


def test_the_demo_needs_no_network(experiment: Experiment) -> None:
    layout = Layout("demo")
    run(experiment, layout)
    wanted = {n for names in experiment.prepare.classes.values() for n in names}
    assert wanted <= set(files(layout.downloaded / "skimage-photos"))
    assert len(files(layout.downloaded / "skimage-photos")) == 15
    assert layout.vgg16.stat().st_size > 58_000_000
    rows = manifest(layout)
    assert list(rows[0]) == ["name", "file", "bytes", "sha256", "source", "location", "licence"]
    assert [(row["name"], row["file"]) for row in rows] == sorted(
        (row["name"], row["file"]) for row in rows
    )
    assert len(rows) == 16
    assert rows[0]["location"] == "scikit-image:skimage/data/astronaut.png"
    assert rows[-1]["file"] == "vgg16.ckpt"
    for row in rows[:-1]:
        assert file_hash(layout.downloaded / row["name"] / row["file"]) == row["sha256"]


def test_a_second_run_gives_the_same_and_clears_the_folder(experiment: Experiment) -> None:
    layout = Layout("demo")
    layout.downloaded.mkdir(parents=True)
    (layout.downloaded / "leftover").touch()
    run(experiment, layout)
    first = [(name, file_hash(layout.data / name)) for name in files(layout.data)]
    run(experiment, layout)
    assert [(name, file_hash(layout.data / name)) for name in files(layout.data)] == first
    assert not (layout.downloaded / "leftover").exists()


@needs_shared
def test_a_mirror_folder(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSROI_MIRROR", str(SHARED))
    layout = Layout("demo")
    wanted = ("general-100", "salicon", "salicon-fixations", "caltech-101-boxes")
    run(asking(experiment, "mirror", *wanted), layout)
    general = files(layout.downloaded / "general-100")
    assert (len(general), general[0]) == (100, "im_001.png")
    assert sorted(p.name for p in (layout.downloaded / "salicon").iterdir()) == [
        "coco_640x480",
        "salicon_examples",
    ]
    assert len(files(layout.downloaded / "salicon")) == 139
    assert len(files(layout.downloaded / "salicon-fixations")) == 2
    assert files(layout.downloaded / "caltech-101-boxes") == ["airplanes_boxes.csv"]
    assert str(SHARED) not in layout.manifest.read_text()
    assert [row["location"] for row in manifest(layout)][:2] == [
        "caltech-101/airplanes_boxes.csv",
        "general-100/General-100.zip",
    ]


@needs_shared
@pytest.mark.numerics
def test_caltech_from_a_mirror(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSROI_MIRROR", str(SHARED))
    layout = Layout("demo")
    run(asking(experiment, "mirror", "caltech-101"), layout)
    folder = layout.downloaded / "caltech-101"
    assert (folder / "accordion" / "image_0001.jpg").is_file()
    assert (folder / "BACKGROUND_Google" / "tmp").is_file()
    assert len(list(folder.iterdir())) == 102
    assert len(list(folder.rglob("*.jpg"))) == 9144


def test_a_mirror_that_is_not_named(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MSROI_MIRROR", raising=False)
    with pytest.raises(SourceError, match="the environment variable MSROI_MIRROR is not set"):
        run(asking(experiment, "mirror", "general-100"), Layout("demo"))


def test_a_mirrors_own_manifest(
    experiment: Experiment, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = project / "mirror"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "mine.zip", "w") as file:
        file.writestr("top/a.png", b"a")
    digest, size = file_hash(mirror / "mine.zip"), (mirror / "mine.zip").stat().st_size
    (mirror / "manifest.csv").write_text(
        f"name,file,sha256,bytes\ngeneral-100,mine.zip,{digest},{size}\n"
    )
    monkeypatch.setenv("MSROI_MIRROR", str(mirror))
    layout = Layout("demo")
    run(asking(experiment, "mirror", "general-100"), layout)
    assert files(layout.downloaded) == ["general-100/a.png"]
    assert manifest(layout)[0] == {
        "name": "general-100",
        "file": "mine.zip",
        "bytes": str(size),
        "sha256": digest,
        "source": "mirror",
        "location": "mine.zip",
        "licence": "not stated",
    }


def test_a_local_folder_stands_in_for_its_archive(experiment: Experiment) -> None:
    folder = Path("data/local/General-100/sub")
    folder.mkdir(parents=True)
    (folder / "im_001.bmp").write_bytes(b"1")
    (folder.parent / "im_002.bmp").write_bytes(b"2")
    layout = Layout("demo")
    run(asking(experiment, "official", "general-100"), layout)
    assert files(layout.downloaded / "general-100") == ["im_002.bmp", "sub/im_001.bmp"]
    assert [row["file"] for row in manifest(layout)][:2] == [
        "General-100/im_002.bmp",
        "General-100/sub/im_001.bmp",
    ]
    assert (folder / "im_001.bmp").is_file()


def official_caltech(path: Path) -> Path:
    """An archive built like the official one: the images' archive, others, Mac rubbish."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        entry = tarfile.TarInfo("101_ObjectCategories/accordion/image_0001.jpg")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"jpg"))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("caltech-101/101_ObjectCategories.tar.gz", inner.getvalue())
        file.writestr("caltech-101/Annotations.tar", b"not looked at")
        file.writestr("__MACOSX/caltech-101/._101_ObjectCategories.tar.gz", b"rubbish")
    return path


def test_the_archive_inside_the_official_caltech(project: Path) -> None:
    archive = official_caltech(project / "abc-caltech-101.zip")
    fetched = [(source("caltech-101.zip#101_ObjectCategories.tar.gz"), archive)]
    place(fetched, project / "caltech-101")
    assert files(project / "caltech-101") == ["accordion/image_0001.jpg"]
    assert not list(project.glob(".partial-*"))


def test_an_archive_inside_that_is_not_there(project: Path) -> None:
    archive = official_caltech(project / "c.zip")
    with pytest.raises(SourceError) as error:
        place([(source("c.zip#x.tar.gz"), archive)], project / "caltech-101")
    assert str(error.value) == "c.zip holds 0 files named x.tar.gz; expected one."
    assert not list(project.glob(".partial-*"))


def test_several_archives_stay_apart(project: Path) -> None:
    for name in ("a", "b"):
        with zipfile.ZipFile(project / f"{name}.zip", "w") as file:
            file.writestr("same.png", name)
    fetched = [(source(f"{name}.zip"), project / f"{name}.zip") for name in ("a", "b")]
    place(fetched, project / "set")
    assert files(project / "set") == ["a/same.png", "b/same.png"]


def test_flatten_takes_one_level_and_only_a_lone_folder(project: Path) -> None:
    (project / "set/set/set").mkdir(parents=True)
    (project / "set/set/set/a").touch()
    flatten(project / "set")
    assert files(project / "set") == ["set/a"]
    (project / "set/b").touch()
    flatten(project / "set")
    assert files(project / "set") == ["b", "set/a"]
