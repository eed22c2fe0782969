"""The lines of `msroi compress` say what became of each photo, and of all; not in which words."""

import re

import pytest

from msroi.photos.lines import line, total

PHOTO = {
    "image": "photo.jpg",
    "output": "photo.msroi.jpg",
    "outcome": "compressed",
    "bytes": 27_359,
    "original_bytes": 104_711,
    "encoded_bytes": 27_359,
    "gain_measure": "wpsnr_rgb_db",
    "gain_db": 2.4512,
    "plain_bytes": None,
}
ALONE = PHOTO | {"gain_db": None}
ALIKE = ALONE | {"ssimulacra2": 81.3412, "plain_bytes": 54_011}
COPY = PHOTO | {"outcome": "copied", "bytes": 20_000, "original_bytes": 20_000}
HARDLY = COPY | {"bytes": 27_500, "original_bytes": 27_500}
LEFT = COPY | {"image": "a.png", "outcome": "left", "bytes": None, "output": None}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (ALIKE, ["27,359 bytes", "73.9 % saved", "54,011 bytes", "(SSIMULACRA 2 81.3)"]),
        (PHOTO, ["photo.msroi.jpg", "27,359", "73.9 % saved", "weighted PSNR +2.45 dB"]),
        (PHOTO | {"gain_measure": "psnr_rgb_db", "gain_db": -1.0}, ["73.9 %", "; PSNR -1.00 dB"]),
        (ALONE | {"psnr_rgb_db": 38.1}, ["27,359", "73.9 % saved", "PSNR 38.10 dB"]),
        (ALONE | {"ssim_luma": 0.9512}, ["27,359", "73.9 % saved", "SSIM 0.9512"]),
        (ALONE | {"ssimulacra2": 90.04}, ["27,359", "73.9 % saved", "; SSIMULACRA 2 90.0"]),
        (ALONE, ["27,359 bytes", "73.9 % saved"]),
        (ALONE | {"original_bytes": 20_000}, ["27,359", "36.8 % larger"]),  # with --allow-larger
        (COPY, ["photo.msroi.jpg", "copy", "27,359", "20,000"]),
        (HARDLY, ["photo.msroi.jpg", "copy", "27,359", "only 0.5 % less", "27,500", "no gain"]),
        (LEFT, ["nothing written", "27,359", "20,000", "--allow-larger"]),
    ],
)
def test_a_photo(result, told):
    said = line(result)
    assert said.startswith(f"{result['image']}: ")
    assert [part for part in told if part not in said] == []
    assert ("dB" in said) == any("dB" in part for part in told)


@pytest.mark.parametrize(
    ("results", "numbers"),
    [
        ([PHOTO, PHOTO | {"gain_db": -0.4512}], ["2", "54,718", "73.9", "+1.00", "2"]),
        ([PHOTO, COPY, LEFT], ["3", "47,359", "62.0", "1", "1", "+2.45", "1"]),
        ([ALONE], ["1", "27,359", "73.9"]),
        ([ALIKE, ALIKE, COPY], ["3", "74,718", "67.4", "1", "108,022"]),
        ([ALIKE, ALONE], ["2", "54,718", "73.9"]),
        ([LEFT, LEFT], ["2"]),
    ],
)
def test_all_photos(results, numbers):
    assert re.findall(r"[+-]?\d[\d,.]*\d|\d", total(results)) == numbers
