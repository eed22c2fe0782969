"""Every way to measure, against scikit-image; every way to code, against what it should change."""

import io
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import skimage
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from conftest import ROOT, Project, changed
from msroi.encoders import jpeg, search
from msroi.encoders.methods import encoder
from msroi.experiment import params
from msroi.files import read_csv, read_json
from msroi.images import write_image
from msroi.measures import distortion
from msroi.measures.conventions import CONVENTIONS
from msroi.stages import conventions
from msroi.stages.conventions import AS_RUN, PROTOCOLS, arms, measured

BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()[100:300, 150:390]


@pytest.fixture(scope="module")
def saliency(photo):
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width]
    centre = (y - height / 2) ** 2 + (x - width / 2) ** 2
    return np.exp(-centre / 2 / 60**2).astype(np.float32)


@pytest.fixture(scope="module")
def compress():
    return params.from_values("demo", params.read_yaml(ROOT / "config/demo.yaml")).compress


def files(photo, saliency, protocol, compress):
    return {(m, q): match for m, q, match in arms(photo, saliency, BY_NAME[protocol], compress)}


# measures


def test_measures_equal_scikit_image(photo):
    other = jpeg.decode(jpeg.encode(photo, 40))
    grey, grey_other = (np.asarray(Image.fromarray(p).convert("L")) for p in (photo, other))
    wang = partial(
        structural_similarity,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    got = measured(photo, other)
    assert list(got) == list(CONVENTIONS)
    assert got["psnr_rgb_db"] == pytest.approx(peak_signal_noise_ratio(photo, other), rel=1e-12)
    expected = peak_signal_noise_ratio(grey, grey_other)
    assert got["psnr_luma_db"] == pytest.approx(expected, rel=1e-12)
    assert got["ssim_luma_uniform"] == structural_similarity(grey, grey_other)
    assert got["ssim_rgb_uniform"] == structural_similarity(photo, other, channel_axis=2)
    assert got["ssim_rgb"] == pytest.approx(wang(photo, other, channel_axis=2), rel=1e-12)
    assert got["ssim_luma"] == distortion.ssim_luma(photo, other)
    assert got["ms_ssim_luma"] == distortion.ms_ssim_luma(photo, other)


def test_an_image_measured_against_itself(photo):
    got = measured(photo, photo)
    assert got["psnr_rgb_db"] == got["psnr_luma_db"] == math.inf
    for name in list(CONVENTIONS)[2:]:
        assert got[name] == pytest.approx(1, abs=1e-12)


# protocols


def test_as_run_is_what_stage_compress_does(photo, saliency, compress):
    got = files(photo, saliency, AS_RUN, compress)
    encode = encoder("msroi", compress).prepare(photo, saliency)
    for quality in compress.match_qualities:
        reference = jpeg.encode(photo, quality)
        assert got["jpeg", quality].data == reference
        expected = search.match_size(encode, len(reference), start=quality)
        assert got["msroi", quality].data == expected.data


def test_full_chroma_is_in_the_files_and_costs_bytes(photo, saliency, compress):
    plain = files(photo, saliency, AS_RUN, compress)
    for place, match in files(photo, saliency, "4:4:4", compress).items():
        with Image.open(io.BytesIO(match.data)) as image:
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
        assert len(match.data) > len(plain[place].data)


def test_optimised_tables_change_plain_jpegs_bytes_and_no_pixel(photo, saliency, compress):
    plain = files(photo, saliency, AS_RUN, compress)
    for place, match in files(photo, saliency, "optimised Huffman tables", compress).items():
        assert len(match.data) < len(plain[place].data)
        if place[0] == "jpeg":
            np.testing.assert_array_equal(jpeg.decode(match.data), jpeg.decode(plain[place].data))


def test_larger_files_are_a_fifth_larger_and_better(photo, saliency, compress):
    plain = files(photo, saliency, AS_RUN, compress)
    larger = files(photo, saliency, "files 20 % larger", compress)
    for quality in compress.match_qualities:
        ratio = len(larger["msroi", quality].data) / len(plain["jpeg", quality].data)
        assert ratio == pytest.approx(1.2, rel=0.01)
        one, other = (
            distortion.mse_rgb(photo, jpeg.decode(of["msroi", quality].data))
            for of in (plain, larger)
        )
        assert other < one


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("3 levels", {"levels": 3}),
        ("9 levels", {"levels": 9}),
        ("first pass of qualities 10 to 90", {"quality_low": 10, "quality_high": 90}),
        ("first pass of qualities 50 to 90", {"quality_low": 50, "quality_high": 90}),
    ],
)
def test_the_first_pass_varies_as_if_compress_were_given_so(
    photo, saliency, compress, name, values
):
    plain = files(photo, saliency, AS_RUN, compress)
    got = files(photo, saliency, name, compress)
    for quality in compress.match_qualities:
        assert got["jpeg", quality].data == plain["jpeg", quality].data
        assert got["msroi", quality].data != plain["msroi", quality].data
    assert got == files(photo, saliency, AS_RUN, replace(compress, **values))


def test_a_source_that_was_jpeg_is_reproduced_better(photo):
    """Quantising twice at one quality loses almost nothing the second time."""
    stored = jpeg.decode(jpeg.encode(photo, 75))
    again = distortion.psnr_rgb_db(stored, jpeg.decode(jpeg.encode(stored, 75)))
    assert again > distortion.psnr_rgb_db(photo, jpeg.decode(jpeg.encode(photo, 75))) + 3


# the stage


def test_run_measures_the_first_photographs_in_every_way(project):
    made: Project = project(side=32)
    layout = made.layout
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        shape = jpeg.decode(layout.test_image("photos", name).read_bytes()).shape[:2]
        for of_map in ("paper", "readout"):
            noise = rng.integers(0, 256, shape, np.uint8)
            write_image(layout.saliency(of_map, "photos", name), noise)
    once = {"images": 1, "match_qualities": (50,)}  # not those that stage compress matches
    experiment = changed(made.experiment, conventions=once)
    conventions.run(experiment, layout)
    rows = read_csv(layout.conventions / "per_image.csv")
    assert tuple(rows[0]) == conventions.COLUMNS
    protocols = {
        name: [r["protocol"] for r in rows if r["image"] == name] for name in ("one", "two")
    }
    assert protocols["one"] == [p.name for p in PROTOCOLS for _ in range(2)]
    assert protocols["two"] == [AS_RUN] * 2
    cell = read_json(layout.conventions / "summary.json")["photos"][AS_RUN]["jpeg"]["q50"]
    values = [
        float(row["ssim_luma"])
        for row in rows
        if (row["protocol"], row["method"]) == (AS_RUN, "jpeg")
    ]
    assert cell["n"] == 2
    assert cell["mean"]["ssim_luma"] == pytest.approx(sum(values) / 2, rel=1e-7)
    first = (layout.conventions / "per_image.csv").read_bytes()
    conventions.run(experiment, layout)
    assert (layout.conventions / "per_image.csv").read_bytes() == first
