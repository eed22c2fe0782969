"""The lines of `msroi compress`, word by word."""

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
}
COPY = PHOTO | {"outcome": "copied", "bytes": 20_000, "original_bytes": 20_000}
LEFT = COPY | {"image": "a.png", "outcome": "left", "bytes": None, "output": None}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            PHOTO,
            "photo.jpg: photo.msroi.jpg, 27,359 bytes, 26.1 % of the original; "
            "saliency-weighted PSNR +2.45 dB against plain JPEG of the same size",
        ),
        (
            PHOTO | {"gain_measure": "psnr_rgb_db", "gain_db": -1.0},
            "photo.jpg: photo.msroi.jpg, 27,359 bytes, 26.1 % of the original; "
            "PSNR -1.00 dB against plain JPEG of the same size",
        ),
        (
            PHOTO | {"gain_db": None, "psnr_rgb_db": 38.1},
            "photo.jpg: photo.msroi.jpg, 27,359 bytes, 26.1 % of the original, PSNR 38.10 dB",
        ),
        (
            PHOTO | {"gain_db": None, "ssim_luma": 0.9512},
            "photo.jpg: photo.msroi.jpg, 27,359 bytes, 26.1 % of the original, SSIM 0.9512",
        ),
        (
            PHOTO | {"gain_db": None, "original_bytes": 20_000},  # with --allow-larger
            "photo.jpg: photo.msroi.jpg, 27,359 bytes, 136.8 % of the original",
        ),
        (
            COPY,
            "photo.jpg: photo.msroi.jpg, a copy: compressed it would have 27,359 bytes, no less "
            "than its 20,000",
        ),
        (
            LEFT,
            "a.png: nothing written: as a JPEG it would have 27,359 bytes, no less than its "
            "20,000 (--allow-larger writes it)",
        ),
    ],
)
def test_a_photo(result, expected):
    assert line(result) == expected


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (
            [PHOTO, PHOTO | {"gain_db": -0.4512}],
            "2 photos: 54,718 bytes, 26.1 % of the originals; saliency-weighted PSNR +1.00 dB "
            "against "
            "plain JPEG of the same size (mean of 2)",
        ),
        (
            [PHOTO, COPY, LEFT],
            "3 photos: 47,359 bytes, 38.0 % of the originals, 1 copied, 1 not written; "
            "saliency-weighted PSNR +2.45 dB against plain JPEG of the same size (mean of 1)",
        ),
        ([PHOTO | {"gain_db": None}], "1 photo: 27,359 bytes, 26.1 % of the originals"),
        ([LEFT, LEFT], "2 photos: nothing written"),
    ],
)
def test_all_photos(results, expected):
    assert total(results) == expected
