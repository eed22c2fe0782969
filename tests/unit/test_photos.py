"""The methods on own photos: sizes, and what each writes; their names are `test_photo_files`'."""

import errno
import io
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import ExifTags, Image, ImageCms
from stand_in import carry

from msroi.encoders import jpeg, search
from msroi.encoders.methods import METHODS, encoder
from msroi.errors import ImageError, MissingError, ParameterError
from msroi.images import NO_MEMORY, read_grey, read_rgb
from msroi.measures import distortion
from msroi.photos import batch, compressor, packaged
from msroi.photos.goals import PSNR, MatchQuality, TargetBytes, TargetMeasure
from msroi.plots import overlay

pytestmark = pytest.mark.numerics

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WITHOUT = [method for method, one in METHODS.items() if not one.needs_map]


def pillow(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "Straße am Fluß.png"
    Image.fromarray(skimage.data.chelsea()[:121, :170]).save(path)
    return path


@pytest.fixture
def tagged(photo):
    """The photo lying on its side, with a profile, EXIF and a resolution."""
    path = photo.with_name("tagged.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kamera"
    exif[ExifTags.Base.Orientation] = 8
    with Image.open(photo) as image:
        turned = image.transpose(Image.Transpose.ROTATE_270)
    turned.save(path, exif=exif, icc_profile=SRGB, dpi=(300, 300))
    return path


def one(results):
    """Return the one result; raise what was wrong with the image."""
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


def reopened(result):
    return Image.open(io.BytesIO(Path(result["output"]).read_bytes()))


def compress(images, out, method, goal, experiment=None, jobs=1, **writing):
    """Compress into a folder, over what is there."""
    options = {"force": True, "allow_larger": True} | writing
    return batch.compress_all(images, method, goal, experiment, batch.Writing(out, **options), jobs)


def plain(photo, out, goal, **writing):
    return one(compress([photo], out, "jpeg", goal, **writing))


# without a saliency map


@pytest.mark.parametrize("quality", [1, 30, 50, 97])
def test_jpeg_of_a_quality_is_pillows(photo, tmp_path, quality):
    result = plain(photo, tmp_path / "out", MatchQuality(quality))
    data = Path(result["output"]).read_bytes()
    assert data == pillow(read_rgb(photo), quality)
    assert result == {
        "image": str(photo),
        "output": str(tmp_path / "out" / "Straße am Fluß.jpg"),
        "outcome": "compressed",
        "method": "jpeg",
        "q_final": quality,
        "bytes": len(data),
        "original_bytes": photo.stat().st_size,
        "encoded_bytes": len(data),
        "target_bytes": len(data),
        "size_error_pct": 0,
        "sampled": False,
        "plain_quality": None,
        "plain_bytes": None,
        "gain_measure": "psnr_rgb_db",
        "gain_db": None,  # it is plain JPEG
        "encoder": f"pillow {jpeg.encoder_version()}",
        "left_out": [],
    }


@pytest.mark.parametrize("method", WITHOUT)
def test_every_method_that_needs_no_map_needs_no_model(photo, tmp_path, monkeypatch, method):
    monkeypatch.delattr(compressor, "load_model")
    goal = MatchQuality(60)
    result = one(compress([photo], tmp_path / "out", method, goal, None))
    made_by = encoder(method, packaged.experiment().compress)
    pixels = read_rgb(photo)
    plain_bytes = len(pillow(pixels, 60))
    match = search.match_size(made_by.prepare(pixels, None), plain_bytes, start=60)
    assert Path(result["output"]).read_bytes() == match.data
    assert (result["method"], result["encoder"]) == (method, made_by.version)
    assert (result["bytes"], result["target_bytes"]) == (len(match.data), plain_bytes)
    assert result["size_error_pct"] == pytest.approx(match.size_error_pct, abs=1e-4)


@pytest.mark.parametrize("target", [2000, 2001, 5000, 12345, 10**9])
def test_target_bytes_is_never_exceeded(photo, tmp_path, target):
    result = plain(photo, tmp_path / "out", TargetBytes(target))
    data = Path(result["output"]).read_bytes()
    assert len(data) == result["bytes"] <= target == result["target_bytes"]
    if target == 10**9:
        assert data == pillow(read_rgb(photo), 100)
    else:
        assert len(data) > 0.95 * target
    assert Image.open(io.BytesIO(data)).size == (170, 121)


def test_too_small_a_target_is_refused(photo, tmp_path):
    smallest = len(pillow(read_rgb(photo), 1))
    expected = (
        f"{photo} can't be made as small as {smallest - 1} bytes: "
        f"the lowest quality needs {smallest}."
    )
    with pytest.raises(ImageError, match=f"^{re.escape(expected)}$"):
        plain(photo, tmp_path / "out", TargetBytes(smallest - 1))
    assert not (tmp_path / "out").exists()


def test_a_target_of_quality(photo, tmp_path):
    result = plain(photo, tmp_path / "out", TargetMeasure(PSNR, 33.0))
    assert (result["target_bytes"], result["size_error_pct"]) == (None, None)
    measured = batch.measured(photo, Path(result["output"]), None)["psnr_rgb_db"]
    assert result["psnr_rgb_db"] == pytest.approx(measured, abs=1e-5)
    assert 33 <= measured < 33.1

    with pytest.raises(ImageError, match=r"can't be made to reach a PSNR of 99\.00 dB"):
        plain(photo, tmp_path / "none", TargetMeasure(PSNR, 99.0))
    assert not (tmp_path / "none").exists()


def test_an_image_too_wide_for_jpeg(tmp_path):
    path = tmp_path / "panorama.png"
    Image.new("L", (65501, 1)).save(path)
    sentence = "has 65501x1 pixels; a JPEG has at most 65500 a side"
    with pytest.raises(ImageError, match=sentence):
        plain(path, tmp_path / "out", MatchQuality(50))


def test_one_that_fails_does_not_stop_the_others(photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(photo.read_bytes()[:1000])
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    given = [photo, bad, tmp_path / "no.png", other]
    results = list(compress(given, tmp_path / "out", "jpeg", MatchQuality(50), None))
    assert [isinstance(result, ImageError) for result in results] == [False, True, True, False]
    assert str(results[1]).startswith(f"{bad} can't be read as an image")
    assert str(results[2]) == f"{tmp_path / 'no.png'} is not there; check its name."
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["Straße am Fluß.jpg", "other.jpg"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), f"{NO_MEMORY}."),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), f"{NO_MEMORY}."),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "is not written: OUT: the disk is full; free some space, then run the same command "
            "again.",
        ),
    ],
)
def test_what_the_system_refuses_one_photo_does_not_stop_the_others(
    photo, tmp_path, monkeypatch, error, said
):
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    write = Path.write_bytes

    def refused(path, data):
        if not asked:
            asked.append(path)
            raise error
        write(path, data)

    asked = []
    monkeypatch.setattr(Path, "write_bytes", refused)
    out = tmp_path / "out"
    first, second = compress([photo, other], out, "jpeg", MatchQuality(50))
    assert str(first) == f"{photo} {said.replace('OUT', str(out))}"
    assert [path.name for path in out.iterdir()] == ["other.jpg"]
    assert second["output"] == str(out / "other.jpg")


def test_two_photos_of_one_name_have_a_result_each(photo, tmp_path):
    Image.fromarray(read_rgb(photo)).save(photo.with_suffix(".jpg"))
    results = compress([photo, photo.with_suffix(".jpg")], None, "jpeg", MatchQuality(50))
    written = [Path(result["output"]).name for result in results]
    assert written == ["Straße am Fluß.png.msroi.jpg", "Straße am Fluß.jpg.msroi.jpg"]


# never larger than the photo


def test_a_jpeg_that_would_grow_is_copied(photo, tmp_path):
    small = tmp_path / "small.jpg"
    small.write_bytes(pillow(read_rgb(photo), 20))
    original = small.read_bytes()
    result = plain(small, tmp_path / "out", MatchQuality(60), allow_larger=False)
    assert (tmp_path / "out/small.jpg").read_bytes() == original == small.read_bytes()
    assert (result["outcome"], result["bytes"]) == ("copied", len(original))
    assert result["encoded_bytes"] > result["original_bytes"] == len(original)
    # unless it may
    result = plain(small, tmp_path / "out", MatchQuality(60))
    assert (tmp_path / "out/small.jpg").stat().st_size == result["encoded_bytes"]
    assert result["outcome"] == "compressed"


def test_a_jpeg_of_the_same_size_is_copied(photo, tmp_path):
    """Its pixels would be those of one compression more, for nothing."""
    once = tmp_path / "once.jpg"
    once.write_bytes(pillow(np.full((64, 64, 3), 90, np.uint8), 50))
    result = plain(once, tmp_path / "out", MatchQuality(50), allow_larger=False)
    assert result["encoded_bytes"] == result["original_bytes"]
    assert result["outcome"] == "copied"


def test_of_another_format_nothing_larger_is_written(tmp_path):
    icon = tmp_path / "icon.png"
    Image.new("RGB", (40, 30), "red").save(icon)
    before = icon.read_bytes()
    result = plain(icon, tmp_path / "out", MatchQuality(90), allow_larger=False)
    assert not (tmp_path / "out").exists()
    assert (result["outcome"], result["output"], result["bytes"]) == ("left", None, None)
    assert result["encoded_bytes"] >= result["original_bytes"] == len(before)
    result = plain(icon, tmp_path / "out", MatchQuality(90))
    assert (tmp_path / "out/icon.jpg").stat().st_size == result["encoded_bytes"]


def test_a_small_gain_is_no_gain(photo, tmp_path):
    """A JPEG of quality 50 would lose a generation for less than 5 %."""
    once = tmp_path / "once.jpg"
    once.write_bytes(pillow(read_rgb(photo), 50))
    size = once.stat().st_size
    for quality, outcome in ((48, "copied"), (20, "compressed")):
        result = plain(once, tmp_path / "out", MatchQuality(quality), allow_larger=False)
        saved = 1 - result["encoded_bytes"] / size
        assert result["outcome"] == outcome
        assert (0 < saved < 0.05) == (outcome == "copied")
    # unless it is too large for what was asked
    target = TargetBytes(round(0.98 * size))
    result = plain(once, tmp_path / "out", target, allow_larger=False)
    assert result["outcome"] == "compressed"
    assert result["bytes"] <= 0.98 * size < size


@pytest.mark.parametrize(
    ("sizes", "enough"),
    [
        ((1000, 950, 950), True),
        ((1000, 951, 951), False),
        ((1000, 1000, 1000), False),
        ((1000, 1200, 1200), False),
        # a video of a million bytes beside the pixels
        ((1_001_000, 1_000_950, 950), True),
        ((1_001_000, 1_000_960, 960), False),
        # what was kept is more than the photo had in all
        ((1000, 1100, 90), False),
    ],
)
def test_the_gain_is_that_of_the_pixels(sizes, enough):
    assert batch.gains_enough(*sizes) == enough


def test_what_is_smaller_is_written(photo, tmp_path):
    large = tmp_path / "large.jpg"
    large.write_bytes(pillow(read_rgb(photo), 95))
    result = plain(large, tmp_path / "out", MatchQuality(60), allow_larger=False)
    assert result["outcome"] == "compressed"
    assert (tmp_path / "out/large.jpg").stat().st_size < large.stat().st_size


# beside the photo, never over anything


def test_results_lie_beside_their_photos_and_are_no_photos(photo):
    folder = photo.parent
    (first,) = compress([folder], None, "jpeg", MatchQuality(50), force=False)
    assert first["output"] == str(folder / "Straße am Fluß.msroi.jpg")
    with pytest.raises(ParameterError, match="is there already; add --force to overwrite it"):
        list(compress([folder], None, "jpeg", MatchQuality(20), force=False))
    before = Path(first["output"]).read_bytes()
    (again,) = compress([folder], None, "jpeg", MatchQuality(20))
    assert again["image"] == str(photo)
    assert Path(again["output"]).read_bytes() != before


# several at a time


def test_jobs_change_nothing(photo, tmp_path):
    for number in range(5):
        side = 60 + 16 * number
        Image.fromarray(read_rgb(photo)[:side, :side]).save(tmp_path / f"{number}.png")
    (tmp_path / "33.jpg").write_bytes(b"no image")
    given, goal = [tmp_path], MatchQuality(50)
    alone = list(compress(given, tmp_path / "alone", "trellis", goal))
    together = list(compress(given, tmp_path / "together", "trellis", goal, jobs=4))
    assert len(alone) == 7
    for one, other in zip(alone, together, strict=True):
        if isinstance(one, ImageError):
            assert str(one) == str(other)
            continue
        one_file, other_file = Path(one.pop("output")), Path(other.pop("output"))
        assert one == other
        assert one_file.read_bytes() == other_file.read_bytes()


# metadata


@pytest.mark.parametrize("method", WITHOUT)
def test_metadata_survive(photo, tagged, tmp_path, method):
    goal = MatchQuality(50)
    results = list(compress([photo, tagged], tmp_path / "out", method, goal, None))
    without, with_them = (reopened(result) for result in results)
    assert with_them.info["icc_profile"] == SRGB
    assert with_them.info["dpi"] == (300, 300)
    exif = with_them.getexif()
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation]) == ("Kamera", 1)
    # the pixels are those of the photo without metadata, upright
    np.testing.assert_array_equal(np.asarray(with_them), np.asarray(without))
    # both sizes count them
    first, second = results
    added = second["bytes"] - first["bytes"]
    assert added > len(SRGB)
    assert second["target_bytes"] - first["target_bytes"] in (added, added - 18)  # or has no JFIF
    assert second["q_final"] == first["q_final"]


@pytest.mark.parametrize("target", [3000, 5000, 9001])
def test_target_bytes_counts_metadata(tagged, tmp_path, target):
    result = plain(tagged, tmp_path / "out", TargetBytes(target))
    size = Path(result["output"]).stat().st_size
    assert 0.95 * target < size == result["bytes"] <= target
    assert reopened(result).info["icc_profile"] == SRGB


def test_metadata_too_large_for_a_jpeg_are_left_out(photo, tmp_path):
    path = tmp_path / "large.png"
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = 70_000 * "x"
    with Image.open(photo) as image:
        image.save(path, exif=exif, dpi=(72, 72))
    result = plain(path, tmp_path / "out", MatchQuality(50))
    written = reopened(result)
    assert written.info["dpi"] == (72, 72)
    assert not written.getexif()
    (left,) = result["left_out"]
    assert re.fullmatch(r"EXIF of 700\d\d bytes, more than a JPEG can hold", left)


# with a model


@pytest.fixture
def made(project, quick_compiler):
    made = project(side=64)
    made.write_model()
    return made


def test_heatmaps_and_methods_with_a_map(made, photo):
    """The methods are those of stage compress with the map of the command heatmap."""
    out, experiment = Path("maps"), made.experiment
    names = one(batch.heatmaps([photo], out, "tiny"))
    assert names == {
        "image": str(photo),
        "saliency": "maps/Straße am Fluß.saliency.png",
        "overlay": "maps/Straße am Fluß.overlay.png",
    }
    pixels, saliency = read_rgb(photo), read_grey(Path(names["saliency"]))
    assert saliency.shape == pixels.shape[:2]
    assert saliency.max() > 0.9
    laid_over = read_rgb(Path(names["overlay"])).astype(int)
    assert np.abs(laid_over - overlay(pixels, saliency)).max() <= 4
    np.testing.assert_array_equal(compressor.load_model("tiny").saliency(pixels), saliency)

    target = len(pillow(pixels, 70))
    for method in (name for name in METHODS if name not in WITHOUT):
        result = one(compress([photo], out, method, MatchQuality(70), "tiny"))
        made_by = encoder(method, experiment.compress)
        match = search.match_size(made_by.prepare(pixels, saliency), target, start=70)
        assert Path(result["output"]).read_bytes() == match.data
        assert (result["method"], result["target_bytes"]) == (method, target)
        assert abs(result["size_error_pct"]) < 3
        # the map makes a difference
        alike = search.match_size(made_by.prepare(pixels, None), target, start=70)
        assert match.data != alike.data

    fitted = one(compress([photo], out, "msroi", TargetBytes(4000), "tiny"))
    assert 3500 < fitted["bytes"] <= 4000


def test_the_packages_model_is_the_default(made, photo, tmp_path, monkeypatch):
    named = one(compress([photo], Path("a"), "roi-trellis", MatchQuality(50), "tiny"))
    expected = Path(named["output"]).read_bytes()
    carry(made, tmp_path / "carried", monkeypatch)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = one(compress([photo], Path("a"), "roi-trellis", MatchQuality(50), None))
    assert Path(result["output"]).read_bytes() == expected
    # and what it says of its gain is measured
    pixels = read_rgb(photo)
    saliency = compressor.load_model(None).saliency(pixels)
    match = search.match_size(lambda q: jpeg.encode(pixels, q), len(expected))
    gain = [
        distortion.wpsnr_rgb_db(pixels, jpeg.decode(data), saliency)
        for data in (expected, match.data)
    ]
    assert result["gain_measure"] == "wpsnr_rgb_db"
    assert result["gain_db"] == pytest.approx(gain[0] - gain[1], abs=1e-4)
    names = one(batch.heatmaps([photo], Path("maps"), None))
    assert read_grey(Path(names["saliency"])).shape == (121, 170)


def test_without_a_model(project, photo):
    project()
    for results in (
        batch.heatmaps([photo], Path("out"), "tiny"),
        compress([photo], Path("out"), "msroi", MatchQuality(50), "tiny"),
    ):
        with pytest.raises(
            MissingError, match=r"^results/tiny/readout/weights\.safetensors is miss"
        ):
            one(results)
    assert not Path("out").exists()


# measuring


def test_measured_is_the_experiments_metrics(photo, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(pillow(read_rgb(photo), 30))
    got = batch.measured(photo, other, None)
    assert (got["reference"], got["distorted"]) == (str(photo), str(other))
    error = np.mean((read_rgb(photo).astype(float) - read_rgb(other)) ** 2)
    assert got["mse_rgb"] == pytest.approx(error)
    assert "wpsnr_rgb_db" not in got

    weights = tmp_path / "map.png"
    Image.new("L", (170, 121), 255).save(weights)
    weighted = batch.measured(photo, other, weights)
    assert weighted["wpsnr_rgb_db"] == pytest.approx(got["psnr_rgb_db"])


def test_an_image_against_itself(photo):
    got = batch.measured(photo, photo, None)
    assert got["mse_rgb"] == 0
    assert got["psnr_rgb_db"] == float("inf")
    assert got["ssim_luma"] == pytest.approx(1)
