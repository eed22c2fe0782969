"""The two-pass MS-ROI at matched size, beside the loops of its published code.

What the stage `compress` does for the method `msroi`: blend once, then search the size of
plain JPEG for each of its qualities. The published code (Prakash et al. 2017,
github.com/iamaaditya/image-compression-cnn, combine_images.py) is restated here with the
levels and qualities of the experiment, so that both make the same blend.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.comparison import Comparison, seconds, side_by_side, speed_ratios
from benchmarks.setting import PHOTOS, centred_map, on_one_core, photographs
from msroi.encoders import jpeg, search
from msroi.encoders.two_pass import MsRoi, blend
from msroi.experiment import params
from msroi.experiment.params import Compress
from msroi.images import Pixels, Saliency

TIMES_PUBLISHED = 100.0
DECADES = range(10, 101, 10)  # the qualities of which the published code makes files
LIMIT_REPEATS = 5  # of which the quickest counts, as the time that cannot be saved
SCAN = range(90, 20, -1)  # the final qualities that it tries


def measure(repeats: int) -> list[Comparison]:
    """Time both on one photograph, for the sizes of all qualities of plain JPEG."""
    on_one_core()
    compress = params.load("demo").compress
    image = photographs()[0]
    saliency = centred_map(*image.shape[:2])
    targets = [len(jpeg.encode(image, quality)) for quality in compress.match_qualities]
    ours = partial(matched, image, saliency, compress, targets)
    theirs = partial(published, image, saliency, compress, targets)
    for files in (ours(), theirs()):
        require_sizes(files, targets, compress.size_tolerance_pct)
    ours_s, theirs_s = side_by_side(ours, theirs, repeats)
    height, width = image.shape[:2]
    row = Comparison(
        job="matching",
        ours=f"MS-ROI at the size of JPEG {', '.join(map(str, compress.match_qualities))}, "
        f"{width}x{height} `{PHOTOS[0]}`",
        against="the published code's loops over pixels and its scan of qualities, restated",
        ratios=speed_ratios(ours_s, theirs_s),
        unit="their time / our time",
        target=TIMES_PUBLISHED,
        bound="at least",
        seconds={"ours": ours_s, "published": theirs_s},
    )
    return [row if row.reached else replace(row, limit=limit(row, image, saliency, compress))]


def matched(
    image: Pixels, saliency: Saliency, compress: Compress, targets: Sequence[int]
) -> list[bytes]:
    """Return the files of the wanted sizes, those of `compress.match_qualities`."""
    encode = MsRoi(compress).prepare(image, saliency)
    return [
        search.match_size(encode, target, start=quality).data
        for target, quality in zip(targets, compress.match_qualities, strict=True)
    ]


def published(
    image: Pixels, saliency: Saliency, compress: Compress, targets: Sequence[int]
) -> list[bytes]:
    """Return files of at most the wanted sizes plus the tolerance, as the published code would.

    It is a program that is run once for each size and so makes the blend anew.
    """
    return [
        scanned(looped(image, saliency, compress), target * (1 + compress.size_tolerance_pct / 100))
        for target in targets
    ]


def looped(image: Pixels, saliency: Saliency, compress: Compress) -> Pixels:
    """Return the blend: each sample, in a loop, from the file of its level's quality.

    Raises
    ------
    ValueError
        If a level's quality is not one of `DECADES`.
    """
    qualities = np.linspace(compress.quality_low, compress.quality_high, compress.levels)
    places = [DECADES.index(quality) for quality in qualities]
    decoded = []
    with TemporaryDirectory() as folder:
        for quality in DECADES:
            file = Path(folder) / f"{quality}.jpg"
            Image.fromarray(image).save(file, quality=quality)
            decoded.append(np.asarray(Image.open(file)))
    blended = decoded[-1].copy()
    for y in range(blended.shape[0]):
        for x in range(blended.shape[1]):
            for channel in range(blended.shape[2]):
                level = min(int(saliency[y, x] * compress.levels), compress.levels - 1)
                blended[y, x, channel] = decoded[places[level]][y, x, channel]
    return blended


def scanned(blended: Pixels, most_bytes: float) -> bytes:
    """Return the file of the highest quality in `SCAN` that is not too large, or the last."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "final.jpg"
        for quality in SCAN:
            Image.fromarray(blended).save(file, quality=quality)
            if file.stat().st_size <= most_bytes:
                break
        return file.read_bytes()


def require_sizes(files: Sequence[bytes], targets: Sequence[int], tolerance_pct: float) -> None:
    """Make sure that what is timed keeps the tolerance.

    Raises
    ------
    ValueError
        If a file is too small or too large.
    """
    for file, target in zip(files, targets, strict=True):
        error_pct = search.size_error_pct(len(file), target)
        if abs(error_pct) > tolerance_pct:
            raise ValueError(f"a file misses its size by {error_pct:.2f} %")


def limit(row: Comparison, image: Pixels, saliency: Saliency, compress: Compress) -> str:
    """Say how much of our time is the JPEG library's, and what ratio its time alone bounds."""
    qualities: list[tuple[Pixels, float]] = []

    def noted(source: Pixels, quality: float) -> bytes:
        qualities.append((source, quality))
        return jpeg.encode(source, quality)

    blended = blend(image, saliency, compress, noted)
    first = [jpeg.encode(source, quality) for source, quality in qualities]
    for quality in compress.match_qualities:
        target_bytes = len(jpeg.encode(image, quality))
        search.match_size(partial(noted, blended), target_bytes, start=quality)

    def library() -> None:
        for tried in qualities:
            jpeg.encode(*tried)
        for file in first:
            jpeg.decode(file)

    library_s = min(seconds(library) for _ in range(LIMIT_REPEATS))
    ours_s, theirs_s = (min(taken) for taken in row.seconds.values())
    return (
        f"at best, of our {1000 * ours_s:.0f} ms the JPEG library takes {1000 * library_s:.0f}, "
        f"{len(qualities)} encodes and {len(first)} decodes; with those alone the ratio would be "
        f"{theirs_s / library_s:.0f}"
    )
