"""Every file of the corpus `hostile.photos` through the program."""

import csv
import dataclasses
import re
import sys
from pathlib import Path

import pytest
from hostile import EITHER, LEFT_OUT, PROCESSED, fits
from hostile.limited import MOST_BYTES, MOST_SECONDS, run
from hostile.photo import Photo
from hostile.photos import PHOTOS, fuzzed, names, sizes
from hostile.situations import SITUATIONS
from PIL import Image

from msroi import images
from msroi.cli import main
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.experiment.params import TestSet
from msroi.files import printable
from msroi.photos import compressor
from msroi.stages import prepare

pytestmark = pytest.mark.numerics

TestSet.__test__ = False
ROOT = Path(__file__).parents[2]
TOLERANCE = 12  # of a colour after JPEG
QUIET = [photo for photo in PHOTOS if not photo.dangerous]
FUZZED = fuzzed(range(8))


def by_case(cases):
    return pytest.mark.parametrize("photo", cases, ids=[ascii(photo.case) for photo in cases])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def put(photo: Photo, number: int = 0) -> Path:
    path = Path(f"in{number}") / photo.file
    path.parent.mkdir()
    photo.put(path)
    return path


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """All that lies in a folder but for the program's own results in `out…`."""
    results = str(folder / "work" / "out")
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir() and not str(path).startswith(results)
    }


def wrong(photo: Photo, command: str, path: Path, status: int, err: str) -> str:
    """Say how an outcome is not the documented one; nothing if it is."""
    sentence = err.removeprefix("msroi: ").removesuffix("\n")
    expected, lines = photo.expected(command), err.splitlines()
    left_out = photo.left_out or ("…" if expected == EITHER else "")
    said = [fits(f"msroi: FILE: left out {left_out}.", line, path) for line in lines]
    told = command == "compress" and left_out
    processed = status == 0 and expected in (PROCESSED, EITHER)
    if processed and all(said) and (told or not lines):
        silent = command == "compress" and photo.left_out and not lines
        return f"{photo.case}: {photo.left_out} left out silently" if silent else ""
    refused = "…." if expected == EITHER else expected
    if status == 2 and "\n" not in sentence and fits(refused, sentence, path):
        return ""
    return f"{photo.case}: {command}: expected {expected!r}, got {status}: {err!r}"


def shows(photo: Photo, path: Path) -> str:
    """Say how a result does not show its photo; nothing if it does."""
    if photo.expected("compress") == EITHER:
        return ""
    with Image.open(path) as image:
        first = image.convert("RGB").getpixel((0, 0))
        off = [abs(got - wanted) for got, wanted in zip(first, photo.colour, strict=False)]
        fine = image.size == photo.size and max(off, default=0) <= TOLERANCE
        return "" if fine else f"{photo.case}: shows {first}, {image.size}"


@by_case([*QUIET, *FUZZED])
def test_compress_and_metrics(capfd, folder, photo):
    path = put(photo)
    before = everything(folder)
    options = ["--out", "out", "--method", "jpeg", "--allow-larger"]
    status = main.main(["compress", str(path), *options])
    out, err = capfd.readouterr()
    assert not wrong(photo, "compress", path, status, err)
    written = list(Path("out").iterdir()) if Path("out").exists() else []
    assert len(written) == (status == 0)
    assert all(not shows(photo, file) for file in written)
    if status == 0:
        assert out.startswith(f"{printable(str(path))}: ")
        assert out.count("\n") == 1

    status = main.main(["metrics", str(path), str(path)])
    _, err = capfd.readouterr()
    assert not wrong(photo, "metrics", path, status, err)
    assert everything(folder) == before


@pytest.mark.parametrize(
    "cases",
    [
        [*sizes()[::2], *names()[::3], *QUIET[::12]],
        pytest.param([*QUIET, *FUZZED], marks=pytest.mark.torture),
    ],
    ids=["some", "all"],
)
def test_heatmap_and_compress_by_the_map(capfd, folder, project, monkeypatch, cases):
    """One model for all: loading it for each file would take minutes."""
    project(side=32).write_model()
    model = compressor.load_model("tiny")
    monkeypatch.setattr(compressor, "load_model", lambda _: model)
    monkeypatch.chdir(folder / "work")
    problems = []
    paths = [(photo, put(photo, number)) for number, photo in enumerate(cases)]
    before = everything(folder)
    for number, (photo, path) in enumerate(paths):
        for command in ("heatmap", "compress"):
            more = ["--allow-larger"] if command == "compress" else []
            status = main.main([command, str(path), "--out", f"out-{command}-{number}", *more])
            _, err = capfd.readouterr()
            problems.append(wrong(photo, command, path, status, err))
        if status == 0:
            problems += [shows(photo, file) for file in Path(f"out-compress-{number}").iterdir()]
    assert not list(filter(None, problems))
    assert everything(folder) == before


@pytest.mark.parametrize("command", ["compress", "heatmap"])
def test_dangerous_files_take_little_time_and_memory(folder, command):
    """All of them in one run, with the model that comes with msroi."""
    batch = [photo for photo in PHOTOS if photo.dangerous]
    paths = [put(photo, number) for number, photo in enumerate(batch)]
    method = ["--method", "jpeg"] if command == "compress" else []
    done = run(folder / "peak", command, *paths, "--out", "out", *method)
    said = [line for line in re.split(r"[\r\n]+", done.err) if line.startswith("msroi: ")]
    assert done.status == 2
    assert not Path("out").exists()
    for photo, path, line in zip(batch, paths, said, strict=True):
        assert not wrong(photo, command, path, 2, f"{line}\n")
    if command == "compress":  # the network alone takes longer, and more memory
        assert done.seconds < MOST_SECONDS
        assert done.peak_bytes < MOST_BYTES


def test_stage_prepare(folder, monkeypatch):
    """All files as one test set: sound ones are prepared, the rest is in rejected.csv."""
    monkeypatch.chdir(ROOT)
    demo = params.load("demo")
    monkeypatch.chdir(folder / "work")
    layout = Layout("tiny")
    settings = {"layout": "folders", "classes": {}, "training_set": "train", "validate_last": 1}
    settings |= {"input_px": 32, "test_sets": {"odd": TestSet("odd", ("*",), "", 1, 0)}}
    changed = dataclasses.replace(demo.prepare, **settings)
    experiment = dataclasses.replace(demo, name="tiny", prepare=changed)
    for name in ("a", "b"):
        file = layout.downloaded / "train" / "class" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(file)
    (layout.downloaded / "odd").mkdir()
    paths = {}
    for number, photo in enumerate([*PHOTOS, *FUZZED]):
        path = layout.downloaded / "odd" / f"{number:03}" / photo.file
        path.parent.mkdir()
        photo.put(path)
        paths[photo] = path
    before = everything(folder)

    prepare.run(experiment, layout)

    with layout.rejected.open(newline="", encoding="utf-8") as file:
        rejected = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    with layout.index.open(newline="", encoding="utf-8") as file:
        stored = {row["path"]: row for row in csv.DictReader(file)}
    problems = []
    for photo, path in paths.items():
        expected, name = photo.expected("prepare"), printable(path.as_posix())
        reason = rejected.pop(name, None)
        if reason is not None:
            refused = "…." if expected == EITHER else expected
            fine = name not in stored and fits(refused, reason, path)
        elif name not in stored:
            fine = expected == LEFT_OUT
        else:
            fine = expected in (PROCESSED, EITHER)
            file = layout.test_image("odd", stored[name]["image"])
            problems.append(shows(photo, file))
        problems.append("" if fine else f"{photo.case}: expected {expected!r}, got {reason!r}")
    assert not list(filter(None, problems))
    assert not rejected
    after = everything(folder)
    inside = str(layout.index.parent.resolve())
    assert {path for path in after.keys() - before.keys() if not path.startswith(inside)} == set()


@pytest.mark.parametrize("situation", SITUATIONS, ids=[one.case for one in SITUATIONS])
def test_every_situation_has_its_test(situation):
    file, _, name = situation.test.partition("::")
    assert f"\ndef {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")


LARGEST = {
    "jpg": {"progressive": True, "subsampling": 0},
    "png": {"compress_level": 1},
    "tif": {"compression": "tiff_lzw"},
    "gif": {},
    "avif": {"speed": 10, "quality": 30},
    "webp": {"method": 0},
    "lossless.webp": {"method": 0, "quality": 0, "lossless": True},
}


@pytest.mark.torture
@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_photo_is_read_in_1_gb(folder, kind):
    """And written as plain JPEG; what other methods do with so many pixels takes its own time."""
    most = images.MAX_PIXELS_WEBP if kind.endswith("webp") else images.MAX_PIXELS
    noise = Image.effect_noise((most // 4096, 4096), 40)
    path = Path(f"large.{kind}")
    turned = Image.Exif()
    turned[0x0112] = 6
    image = noise if kind == "gif" else Image.merge("RGB", [noise] * 3)
    options = LARGEST[kind] if kind == "gif" else LARGEST[kind] | {"exif": turned}
    image.save(path, **options)
    done = run(folder / "peak", "compress", path, "--out", "out", "--method", "jpeg")
    assert (done.status, done.err) == (0, "")
    assert done.seconds < 3 * MOST_SECONDS  # with two encodes
    assert done.peak_bytes < MOST_BYTES
    # what docs/reliability.md says, shown by pytest -rP
    sys.stdout.write(f"{kind}: {done.seconds:.1f} s, {done.peak_bytes / 1e6:.0f} MB\n")


@pytest.mark.torture
@by_case(fuzzed(range(8, 200)))
def test_many_more_flipped_bits(capfd, folder, photo):
    test_compress_and_metrics(capfd, folder, photo)
