import csv
import dataclasses
import functools
import io
import shutil
from contextlib import chdir
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml
from PIL import Image

from msroi import images
from msroi.encoders import jpeg, search, two_pass
from msroi.encoders.methods import METHODS, encoder
from msroi.errors import ImageError, MissingError
from msroi.experiment import params, prepared_images
from msroi.experiment.chunks import Chunk, part, parts
from msroi.experiment.encoded import Encoded
from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress, Trellis, TrellisPsnr
from msroi.files import write_bytes, write_csv

pytestmark = pytest.mark.numerics

compress = import_module("msroi.stages.compress")  # `from msroi import compress` is the function

ROOT = Path(__file__).parents[2]
DEMO = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
PAPER = Compress(
    methods=("jpeg", "msroi"),
    follows={"msroi": "paper", "roi-trellis": "readout"},
    match_qualities=(30, 50, 70),
    levels=5,
    quality_low=30,
    quality_high=70,
    size_tolerance_pct=1.0,
    store="folders",
    shard_photographs=100,
    trellis=Trellis(**DEMO["compress"]["trellis"]),
    trellis_psnr=TrellisPsnr(**DEMO["compress"]["trellis_psnr"]),
)
ALL = dataclasses.replace(PAPER, methods=tuple(METHODS))
CAT = skimage.data.chelsea()[40:140, 100:220]


def pillows(photo, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def bell(photo, width=0.3):
    """A centred Gaussian in [0, 1]."""
    y, x = np.mgrid[-1 : 1 : photo.shape[0] * 1j, -1 : 1 : photo.shape[1] * 1j]
    height = np.exp(-(x**2 + y**2) / width)
    return ((height - height.min()) / (height.max() - height.min())).astype(np.float32)


def followed(photo):
    """The same map for each method that follows one."""
    return dict.fromkeys(PAPER.follows, bell(photo))


def eight_bit(saliency):
    """A map as it comes back from its 8-bit file."""
    return np.rint(saliency * 255).astype(np.uint8).astype(np.float32) / np.float32(255)


# --- one image


def test_every_method_and_quality_once_in_order():
    found = [(e.name, q) for e, q, _ in compress.compress_image(CAT, followed(CAT), ALL)]
    assert found == [(m, q) for m in METHODS for q in (30, 50, 70)]


def test_methods_come_in_the_order_asked():
    some = dataclasses.replace(PAPER, methods=("trellis", "jpeg"), match_qualities=(60, 40))
    found = [(e.name, q) for e, q, _ in compress.compress_image(CAT, followed(CAT), some)]
    assert found == [("trellis", 60), ("trellis", 40), ("jpeg", 60), ("jpeg", 40)]


def test_the_reference_is_pillows_jpeg_and_its_own_target():
    for made_by, quality, match in compress.compress_image(CAT, followed(CAT), PAPER):
        if made_by.name == "jpeg":
            np.testing.assert_array_equal(jpeg.decode(match.data), pillows(CAT, quality))
            assert match.size_error_pct == 0
            assert match.quality == quality


def test_msroi_is_the_blend_encoded_at_its_final_quality():
    blended = two_pass.blend(CAT, bell(CAT), PAPER)
    for made_by, quality, match in compress.compress_image(CAT, followed(CAT), PAPER):
        if made_by.name == "msroi":
            assert match.data == jpeg.encode(blended, match.quality)
            assert match.target_bytes == len(jpeg.encode(CAT, quality))


def test_every_file_is_its_encoders_for_the_map_at_its_final_quality():
    encoders = []
    for made_by, quality, match in compress.compress_image(CAT, followed(CAT), ALL):
        assert match.data == made_by.prepare(CAT, bell(CAT))(match.quality)
        assert match.target_bytes == len(jpeg.encode(CAT, quality))
        encoders.append(made_by)
    assert len(set(encoders)) == len(METHODS)  # one for all qualities


def test_photos_are_matched_within_1_pct_and_typically_within_03():
    names = ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "gravel", "brick")
    errors = []
    for name in names:
        photo = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"))
        for made_by, _, match in compress.compress_image(photo, followed(photo), PAPER):
            if made_by.name == "msroi":
                errors.append(abs(match.size_error_pct))
    assert max(errors) <= 1.0
    assert np.quantile(errors, 0.9) <= 0.3


@pytest.mark.parametrize("quality", [30, 50, 70])
def test_a_target_in_bytes_is_never_exceeded(quality):
    photo = skimage.data.coffee()
    target = len(jpeg.encode(photo, quality)) + 17
    match = search.match_size(functools.partial(jpeg.encode, photo), target, never_above=True)
    assert len(match.data) <= target
    assert match.within(1.0)


# --- the stage


@pytest.fixture(scope="module")
def experiment():
    with chdir(ROOT):
        demo = params.load("demo")
    one_quality = dataclasses.replace(ALL, match_qualities=(50,))
    return dataclasses.replace(demo, name="tiny", compress=one_quality)


PHOTOS = {
    ("set", "cat"): skimage.data.chelsea()[40:240, 80:331],
    ("set", "sub__a cup ä.v2"): skimage.data.coffee()[100:281, 50:250],
    ("other", "cat"): skimage.data.astronaut()[:160, 100:259],
    ("other", "grey"): np.repeat(skimage.data.coins()[:100, :150, None], 3, axis=2),
}


def laid_out():
    """Lay out four test photographs and their maps as the stages before would."""
    layout = Layout("tiny")
    rows = [
        dict.fromkeys(prepared_images.COLUMNS, "") | {"row": 0, "split": "train", "dataset": "set"}
    ]
    for number, ((dataset, image), photo) in enumerate(PHOTOS.items(), start=1):
        images.write_image(layout.test_images / dataset / f"{image}.png", photo)
        saliency = np.rint(bell(photo) * 255).astype(np.uint8)
        for name in ("paper", "readout"):
            images.write_image(layout.saliency(name, dataset, image), saliency)
        row = {"row": number, "split": "test", "dataset": dataset, "image": image}
        rows.append(dict.fromkeys(prepared_images.COLUMNS, "") | row)
    write_csv(layout.index, prepared_images.COLUMNS, rows)
    return layout


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return laid_out()


@pytest.fixture(scope="module")
def whole(experiment, tmp_path_factory):
    """Return every file of a run, by its path."""
    with chdir(tmp_path_factory.mktemp("whole")):
        layout = laid_out()
        compress.run(experiment, layout)
        return every_file(layout)


ENCODED = {}


@pytest.fixture
def encoded_once(monkeypatch):
    """Encode each photograph once, for tests that ask only where its files go."""
    encode = compress.compress_image

    def compress_image(photo, maps, compressed):
        key = photo.tobytes(), repr((compressed.methods, compressed.match_qualities))
        if key not in ENCODED:
            ENCODED[key] = list(encode(photo, maps, compressed))
        return ENCODED[key]

    monkeypatch.setattr(compress, "compress_image", compress_image)


def table(layout):
    with (layout.jpeg / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def every_file(layout):
    return {p.as_posix(): p.read_bytes() for p in sorted(layout.jpeg.rglob("*")) if p.is_file()}


def test_the_stage_end_to_end(experiment, layout):
    compress.run(dataclasses.replace(experiment, compress=ALL), layout)
    rows = table(layout)
    assert tuple(rows[0]) == compress.COLUMNS
    keys = [(r["dataset"], r["image"], r["method"], int(r["match_quality"])) for r in rows]
    assert keys == [(*photo, m, q) for photo in PHOTOS for m in METHODS for q in (30, 50, 70)]
    for row in rows:
        photo = PHOTOS[row["dataset"], row["image"]]
        quality = int(row["match_quality"])
        path = layout.jpeg_file(row["dataset"], row["method"], quality, row["image"])
        data = path.read_bytes()
        assert images.read_rgb(path).shape == photo.shape
        assert len(data) == int(row["bytes"])
        assert int(row["target_bytes"]) == len(jpeg.encode(photo, quality))
        error = 100 * (len(data) / int(row["target_bytes"]) - 1)
        assert float(row["size_error_pct"]) == pytest.approx(error, abs=5e-5)
        assert row["matched"] == ("true" if abs(error) <= 1 else "false")
        if row["method"] != "jpegli":  # which takes whole qualities only
            assert abs(error) <= 1
        made_by = encoder(row["method"], ALL)
        assert row["encoder"] == made_by.version
        if row["method"] == "jpeg":
            assert data == jpeg.encode(photo, quality)
            assert row["q_final"] == f"{quality}.000"
        elif row["method"] == "msroi" or quality == 50:
            encode = made_by.prepare(photo, eight_bit(bell(photo)))
            match = search.match_size(encode, int(row["target_bytes"]), start=quality)
            assert data == match.data
            assert row["q_final"] == f"{match.quality:.3f}"


def test_the_stage_writes_nothing_but_its_files(whole):
    layout = Layout("tiny")
    index = (layout.jpeg / "index.csv").as_posix()
    listed = {
        layout.jpeg_file(r["dataset"], r["method"], int(r["match_quality"]), r["image"]).as_posix()
        for r in csv.DictReader(io.StringIO(whole[index].decode()))
    }
    assert set(whole) == listed | {index}


def test_two_runs_give_the_same_bytes_and_leave_nothing_old(experiment, layout, whole):
    for path, data in whole.items():
        write_bytes(Path(path), data)
    write_bytes(layout.jpeg / "images" / "gone" / "old.jpg", b"old")
    compress.run(experiment, layout)
    assert every_file(layout) == whole


def test_in_chunks_the_same_files(experiment, layout, whole):
    """Also with a chunk more than there are photographs."""
    count = len(PHOTOS) + 1
    for one in (Chunk(number, count) for number in range(1, count + 1)):
        compress.run_chunk(experiment, layout, one, part(layout, layout.scratch / str(one)))
    compress.gather(experiment, layout, parts(layout, layout.scratch.iterdir()))
    assert every_file(layout) == whole


@pytest.mark.parametrize("workers", [1, 16])
def test_results_do_not_depend_on_the_threads(experiment, layout, whole, monkeypatch, workers):
    pool = compress.ThreadPoolExecutor
    monkeypatch.setattr(compress, "ThreadPoolExecutor", lambda: pool(workers))
    compress.run(experiment, layout)
    assert every_file(layout) == whole


def test_a_target_out_of_reach_is_marked(experiment, layout):
    """The second pass can't make a blend of quality 2 as large as the original's JPEG."""
    poor = dataclasses.replace(PAPER, match_qualities=(99,), quality_low=2, quality_high=2)
    compress.run(dataclasses.replace(experiment, compress=poor), layout)
    marks = {(r["method"], r["matched"]) for r in table(layout)}
    assert marks == {("jpeg", "true"), ("msroi", "false")}


def test_the_tolerance_decides_what_is_matched(experiment, layout):
    strict = dataclasses.replace(PAPER, size_tolerance_pct=1e-9)
    compress.run(dataclasses.replace(experiment, compress=strict), layout)
    for row in table(layout):
        assert (row["matched"] == "true") == (float(row["size_error_pct"]) == 0)


def test_a_missing_map_is_named(experiment, layout):
    path = layout.saliency("paper", "other", "cat")
    path.unlink()
    with pytest.raises(ImageError) as caught:
        compress.run(experiment, layout)
    assert str(caught.value) == f"{path} is not there; check its name."
    assert not (layout.jpeg / "index.csv").exists()


def test_a_missing_index_says_what_to_run(experiment, layout):
    layout.index.unlink()
    with pytest.raises(MissingError, match=r"index\.csv is missing; run `snakemake`"):
        compress.run(experiment, layout)


def sharded(experiment, size):
    """Return the experiment with its files in shards of so many photographs."""
    kept = dataclasses.replace(experiment.compress, store="shards", shard_photographs=size)
    return dataclasses.replace(experiment, compress=kept)


@pytest.mark.usefixtures("encoded_once")
def test_shards_have_the_bytes_of_the_files_in_folders(experiment, layout):
    compress.run(experiment, layout)
    rows = table(layout)
    names = [(r["dataset"], r["method"], int(r["match_quality"]), r["image"]) for r in rows]
    alone = {name: Encoded(layout).file(*name).read_bytes() for name in names}
    compress.run(sharded(experiment, 2), layout)
    assert table(layout) == rows
    assert {name: Encoded(layout).file(*name).read_bytes() for name in names} == alone
    assert not list(layout.jpeg.rglob("*.jpg"))


@pytest.mark.usefixtures("encoded_once")
@pytest.mark.parametrize("size", [1, 2, 100])
def test_in_chunks_the_same_shards(experiment, layout, size):
    """Also with more chunks than shards: a shard is written by one chunk alone."""
    experiment = sharded(experiment, size)
    compress.run(experiment, layout)
    whole = every_file(layout)
    for count in (2, len(PHOTOS) + 1):
        for one in (Chunk(number, count) for number in range(1, count + 1)):
            compress.run_chunk(experiment, layout, one, part(layout, layout.scratch / str(one)))
        compress.gather(experiment, layout, parts(layout, layout.scratch.iterdir()))
        assert every_file(layout) == whole
        shutil.rmtree(layout.scratch)
