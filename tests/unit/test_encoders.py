"""Every encoder's files as its own library writes them, and sizes that can be matched."""

import functools
import io
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import ajpegli
import jpeglib
import numpy as np
import pytest
import skimage.data
import yaml
from PIL import Image

from msroi.encoders import jpeg, libjpeg, methods, peers
from msroi.encoders.methods import METHODS
from msroi.encoders.peers import PEERS
from msroi.encoders.search import match_size
from msroi.errors import UserError
from msroi.experiment import params
from msroi.experiment.params import SCHEMA

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
PHOTOS = {name: getattr(skimage.data, name)() for name in ("astronaut", "coffee", "chelsea")}
ODD = PHOTOS["astronaut"][7:68, 9:46]
SIZES = {"odd": ODD, "pixel": ODD[:1, :1], "row": ODD[:1], "block": ODD[:16, :16]}
NOISE = np.random.default_rng(1).integers(0, 256, (700, 500, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def made():
    """Make the encoder of a method with the demo's parameters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        compress = params.load("demo").compress
    return functools.partial(methods.encoder, params=compress)


def bell(image):
    """A centred Gaussian map in [0, 1]."""
    y, x = (np.linspace(-1, 1, side) for side in image.shape[:2])
    return np.exp(-(y[:, None] ** 2 + x**2) / 0.3).astype(np.float32)


def opened(data):
    return Image.open(io.BytesIO(data))


def mozjpegs(image, quality):
    """Encode with mozjpeg's own integer quality."""
    with tempfile.TemporaryDirectory() as folder, jpeglib.version("mozjpeg403"):
        path = Path(folder) / "image.jpg"
        jpeglib.from_spatial(np.ascontiguousarray(image)).write_spatial(str(path), qt=quality)
        return path.read_bytes()


# --- all of them


def test_the_table_of_encoders(made):
    assert list(PEERS) == ["jpeg", "jpeg-opt", "mozjpeg", "jpegli"]
    for name, encoder in PEERS.items():
        assert encoder.name == name
        assert made(name) is encoder
    for name in METHODS:
        assert made(name).name == name


def test_methods_are_those_of_the_schema():
    schema = yaml.safe_load((ROOT / SCHEMA).read_text(encoding="utf-8"))
    compress = schema["properties"]["compress"]["properties"]
    assert compress["methods"]["items"]["enum"] == list(METHODS)


def test_versions_name_the_installed_libraries(made):
    assert PEERS["jpeg"].version == f"pillow {jpeg.encoder_version()}"
    assert PEERS["jpeg-opt"].version == PEERS["jpeg"].version
    assert PEERS["mozjpeg"].version == f"jpeglib {metadata.version('jpeglib')} (mozjpeg 4.0.3)"
    assert PEERS["jpegli"].version == (
        f"ajpegli {metadata.version('ajpegli')}, "
        f"mozjpeg-lossless-optimization {metadata.version('mozjpeg-lossless-optimization')}"
    )
    assert made("msroi").version == PEERS["jpeg"].version
    packages = ("msroi", "jpeglib", "mozjpeg-lossless-optimization")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    assert made("trellis").version == made("roi-trellis").version == versions


def test_only_the_guided_trellis_follows_the_map(made):
    assert made("trellis").saliency_share == 0
    assert made("roi-trellis").saliency_share > 0
    for name in METHODS:
        encoder = made(name)
        files = {encoder.prepare(ODD, saliency)(60) for saliency in (None, bell(ODD))}
        assert (len(files) == 2) == (name in ("msroi", "roi-trellis"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", METHODS)
def test_files_of_any_size_are_420_and_near_the_image(made, name, size):
    image = SIZES[size]
    before, saliency = image.copy(), bell(image)
    guide = None if name == "msroi" else saliency  # its first pass goes far from the image
    data = made(name).prepare(image, guide)(95.3)
    file = opened(data)
    assert file.format == "JPEG"
    assert file.mode == "RGB"
    assert [(h, v) for _, h, v, _ in file.layer] == [(2, 2), (1, 1), (1, 1)]
    assert [number for number, *_ in file.layer] == [1, 2, 3]
    decoded = jpeg.decode(data)
    assert decoded.shape == image.shape
    assert np.abs(decoded.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 4
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(saliency, bell(image))


@pytest.mark.parametrize("name", METHODS)
def test_files_grow_with_the_quality_and_are_repeatable(made, name):
    encode = made(name).prepare(PHOTOS["chelsea"], None)
    # a map that says nothing; to the paper's method even that is one: it blends
    ones = None if name == "msroi" else np.ones((300, 451), np.float32)
    again = made(name).prepare(PHOTOS["chelsea"], ones)
    files = [encode(quality) for quality in (1, 20, 49.7, 50.9, 80, 100)]
    assert sorted(files, key=len) == files
    assert len({len(file) for file in files}) == len(files)
    assert [again(quality) for quality in (1, 20, 49.7, 50.9, 80, 100)] == files


@pytest.mark.parametrize("name", METHODS)
def test_noise_at_the_highest_quality_fits(made, name):
    """Some libraries must hold the file whole and guess how large it gets."""
    decoded = jpeg.decode(made(name).prepare(NOISE, bell(NOISE))(100))
    assert decoded.shape == NOISE.shape


@pytest.mark.parametrize("name", METHODS)
def test_views_of_an_image_are_encoded_as_their_copies(made, name):
    view = PHOTOS["coffee"][::-2, 100:300]
    encoder, saliency = made(name), bell(view)
    copies = encoder.prepare(view.copy(), saliency[::-1].copy())
    assert encoder.prepare(view, saliency[::-1])(60) == copies(60)


def test_all_of_them_can_work_at_once(made):
    jobs = [(name, photo) for name in METHODS for photo in ("odd", "block")] * 3

    def encode(job):
        image = SIZES[job[1]]
        return [made(job[0]).prepare(image, bell(image))(quality) for quality in (30, 60.5, 90)]

    expected = {job: encode(job) for job in set(jobs)}
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(encode, jobs))
    assert [job for job, files in zip(jobs, results, strict=True) if files != expected[job]] == []


@pytest.mark.parametrize("quality", [30, 50, 70])
@pytest.mark.parametrize("name", ["jpeg-opt", "trellis", "roi-trellis", "mozjpeg"])
@pytest.mark.parametrize("photo", PHOTOS)
def test_plain_jpegs_size_is_matched_within_02_pct(made, photo, name, quality):
    image = PHOTOS[photo]
    calls = []
    encode = made(name).prepare(image, bell(image))

    def counted(quality):
        calls.append(quality)
        return encode(quality)

    target = len(jpeg.encode(image, quality))
    found = match_size(counted, target, start=quality)
    assert abs(found.size_error_pct) <= 0.2
    assert len(calls) <= 12


def test_the_program_starts_without_the_libraries():
    code = (
        "import sys; import msroi.encoders; "
        "print([m for m in ('jpeglib', 'ajpegli', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- Pillow


@pytest.mark.parametrize("quality", [1, 42, 67.3, 100])
def test_jpeg_is_the_reference(quality):
    encode = PEERS["jpeg"].prepare(ODD, None)
    assert encode(quality) == jpeg.encode(ODD, quality)


@pytest.mark.parametrize("quality", [1, 30, 50.4, 90, 100])
def test_optimised_files_have_the_same_pixels_and_tables_in_fewer_bytes(quality):
    image = PHOTOS["coffee"]
    data, plain = PEERS["jpeg-opt"].prepare(image, None)(quality), jpeg.encode(image, quality)
    assert len(data) < len(plain)
    assert "progressive" not in opened(data).info
    assert opened(data).quantization == opened(plain).quantization
    np.testing.assert_array_equal(jpeg.decode(data), jpeg.decode(plain))


def test_optimised_files_are_pillows_own():
    for quality in (15, 50, 85):
        file = io.BytesIO()
        Image.fromarray(ODD).save(file, "JPEG", quality=quality, optimize=True)
        assert PEERS["jpeg-opt"].prepare(ODD, None)(quality) == file.getvalue()


# --- mozjpeg


@pytest.mark.parametrize("quality", [1, 2, 7, 23, 24, 30, 49, 50, 51, 70, 75, 86, 90, 99, 100])
def test_whole_qualities_are_mozjpegs_byte_for_byte(quality):
    for image in (ODD, PHOTOS["chelsea"]):
        assert PEERS["mozjpeg"].prepare(image, None)(quality) == mozjpegs(image, quality)


def test_mozjpegs_files_are_progressive_and_use_the_trellis(tmp_path):
    image = PHOTOS["chelsea"]
    data = PEERS["mozjpeg"].prepare(image, None)(50)
    assert opened(data).info["progressive"] == 1
    with jpeglib.version("mozjpeg403"):
        path = str(tmp_path / "image.jpg")
        flags = ["-TRELLIS_QUANT", "-TRELLIS_QUANT_DC"]
        jpeglib.from_spatial(image).write_spatial(path, qt=50, flags=flags)
    assert len(data) < 0.95 * Path(path).stat().st_size


@pytest.mark.parametrize("quality", [1, 12.5, 50, 87.4, 100])
def test_mozjpegs_file_holds_the_tables_between(quality):
    tables = opened(PEERS["mozjpeg"].prepare(ODD, None)(quality)).quantization
    below, above = (
        opened(mozjpegs(ODD, whole)).quantization
        for whole in (int(quality), min(int(quality) + 1, 100))
    )
    for number in (0, 1):
        steps, low, high = (np.array(t[number]) for t in (tables, below, above))
        assert ((steps == low) | (steps == high)).all()
    assert (tables == below) == (quality == int(quality))


def test_a_component_number_is_changed_in_headers_only():
    """The bytes of a scan may look like a segment; a decoder tells them apart, so does this."""
    image = PHOTOS["astronaut"]
    for quality in (20, 80.5, 99):
        data = PEERS["mozjpeg"].prepare(image, None)(quality)
        tables = np.reshape(jpeg.passing(quality, peers._robidoux), (2, 8, 8))
        with libjpeg.using("mozjpeg403") as (library, path):
            library.from_spatial(image).write_spatial(path, qt=tables)
            raw = Path(path).read_bytes()
        assert len(raw) == len(data)
        assert sum(a != b for a, b in zip(raw, data, strict=True)) < 30
        np.testing.assert_array_equal(jpeg.decode(raw), jpeg.decode(data))


def test_threads_do_not_disturb_each_other():
    """Another thread that switches jpeglib to another version must not matter."""
    encode = PEERS["mozjpeg"].prepare(ODD, None)

    def old(quality):
        with libjpeg.using("6b") as (library, path):
            library.from_spatial(np.ascontiguousarray(ODD)).write_spatial(path, qt=quality)
            return Path(path).read_bytes()

    jobs = [(write, quality) for quality in (30, 60, 90) for write in (encode, old)] * 20
    expected = {job: job[0](job[1]) for job in set(jobs)}
    before = jpeglib.version.get()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda job: job[0](job[1]), jobs))
    assert [job for job, data in zip(jobs, results, strict=True) if data != expected[job]] == []
    assert jpeglib.version.get() == before


def test_nothing_is_left_in_the_folder_for_files(monkeypatch, tmp_path):
    monkeypatch.setattr(libjpeg, "MEMORY", tmp_path)
    with libjpeg.using("6b") as (_, path):
        assert Path(path).is_relative_to(tmp_path)
        Path(path).write_bytes(b"some")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_the_memory_folder_uses_another(monkeypatch, tmp_path):
    monkeypatch.setattr(libjpeg, "MEMORY", tmp_path / "missing")
    assert opened(PEERS["mozjpeg"].prepare(ODD, None)(50)).format == "JPEG"


# --- jpegli


def test_jpegli_packs_the_pixels_of_its_own_file_in_fewer_bytes():
    for photo in PHOTOS.values():
        encode = PEERS["jpegli"].prepare(photo, None)
        for quality in (20, 50.5, 95):
            own = ajpegli.encode(photo, distance=peers.distance(quality))
            data = encode(quality)
            assert len(data) <= len(own)
            assert opened(data).info["progressive"] == 1
            np.testing.assert_array_equal(jpeg.decode(data), jpeg.decode(own))


def test_jpeglis_distance_is_that_of_its_qualities():
    """At whole qualities jpegli itself makes the same table of luma out of the quality."""
    for quality in (1, 10, 29, 30, 50, 90, 99, 100):
        tables = [
            opened(ajpegli.encode(ODD, **{name: value})).quantization[0]
            for name, value in (("quality", quality), ("distance", peers.distance(quality)))
        ]
        assert tables[0] == tables[1]
    found = [peers.distance(quality) for quality in np.linspace(1, 100, 991)]
    assert (np.diff(found) < 0).all()


def test_without_its_package_jpegli_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ajpegli", None)
    with pytest.raises(UserError) as caught:
        PEERS["jpegli"].prepare(ODD, None)
    assert str(caught.value) == (
        "The method jpegli needs the package ajpegli, which has files for Python 3.11 to 3.13; "
        "take another Python or leave jpegli out of compress.methods."
    )
