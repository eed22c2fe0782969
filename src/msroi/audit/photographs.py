"""Checks against photographs that anyone can have: plain JPEG of them needs no run and no network.

These checks compare a printed number of the baseline with plain JPEG, under every known
interpretation of the measure (`Reading`). Without photographs they can't tell.
"""

import math
import re
import statistics
from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from msroi.audit.check import (
    CANNOT_TELL,
    CONSISTENT,
    EXPLAINED,
    NOT_REPRODUCED,
    REPLICATION,
    UNUSUAL,
    AbsentError,
    Finding,
    Run,
    check,
    within,
)
from msroi.audit.published import Paper, Place, Printed, difference

if TYPE_CHECKING:
    from PIL import Image

    from msroi.measures.distortion import Plane

FILES = "the photographs given with --photographs"
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
SHIFT = 4  # px by which the second of two compressions is shifted, in rows and columns

# measure -> the readings of it, the usual one first
READINGS: Mapping[str, tuple[str, ...]] = {
    "psnr_db": (
        *("PSNR over RGB", "PSNR over 8-bit luma", "PSNR over the file's own Y"),
        *("PSNR of grey JPEG", "PSNR over luma in video range, peak 255"),
        "PSNR of grey JPEG in video range, peak 255",
    ),
    "ssim": (
        *("SSIM of luma, Gaussian window", "SSIM of luma, uniform window"),
        *("SSIM of grey JPEG, Gaussian window", "SSIM of grey JPEG, uniform window"),
        *("SSIM of luma at half size", "SSIM of grey JPEG at half size"),
    ),
    "psnr_b_db": ("PSNR-B of luma", "PSNR-B of grey JPEG"),
    "bytes": ("size of a colour file", "size of a grey file"),
}


@check(
    REPLICATION,
    "the photographs are the paper's; the baseline is libjpeg's JPEG with its own tables at the "
    "setting, or of two qualities one after the other, 4 px apart; a mean fits to its last digit",
    FILES,
    wants="numbers of the baseline in psnr_db, ssim, psnr_b_db or bytes",
)
def baseline_reproduced(
    paper: Paper, run: Run, table: str, dataset: str, photographs: str
) -> Iterator[Finding]:
    """The baseline's printed numbers are those of plain JPEG, in one reading or another."""
    places = {
        place: printed
        for place, printed in paper.of_table(table).items()
        if (place.method, place.dataset) == (paper.baseline, dataset) and place.measure in READINGS
    }
    if not run.photographs:
        for place, printed in places.items():
            yield not_given(place, printed)
        return
    files = photographs_of(run.photographs / photographs, paper.sample(dataset).images)
    means = {place: read(place, files) for place in places}
    for place, printed in places.items():
        yield judged(place, printed, means, places)


def not_given(place: Place, printed: str) -> Finding:
    """Say that the user gave no photographs."""
    return Finding(
        place=str(place),
        published=printed,
        found=None,
        low=None,
        high=None,
        verdict=CANNOT_TELL,
        evidence="no photographs were given; add --photographs",
        cells=(place,),
    )


def judged(
    place: Place,
    printed: Printed,
    means: Mapping[Place, Mapping[str, float]],
    places: Mapping[Place, Printed],
) -> Finding:
    """Judge a printed number by every interpretation, or name the nearest and its offset."""
    of_place = means[place]
    own = next(iter(of_place))
    fitting = [name for name, mean in of_place.items() if within(mean, printed.low, printed.high)]
    nearest = min(of_place, key=lambda name: abs(of_place[name] - printed.value))
    if fitting:
        verdict = CONSISTENT if own in fitting else f"{EXPLAINED}{fitting[0]}"
        evidence = f"{of_place[fitting[0]]:.4f} by {fitting[0]}"
    else:
        offsets = [
            places[at].value - means[at][nearest]
            for at in places
            if at.measure == place.measure and nearest in means[at]
        ]
        verdict = NOT_REPRODUCED
        evidence = (
            f"nearest of {len(of_place)} readings: {of_place[nearest]:.4f} by {nearest}, "
            f"{printed.value - of_place[nearest]:+.4f} away; over the column {min(offsets):+.4f} "
            f"to {max(offsets):+.4f} (n = {len(offsets)})"
        )
    return Finding(
        place=f"{place}, {place.dataset}",
        published=printed,
        found=of_place[fitting[0] if fitting else nearest],
        low=printed.low,
        high=printed.high,
        verdict=verdict,
        evidence=evidence,
        cells=(place,),
    )


def photographs_of(folder: Path, images: int | None) -> list[Path]:
    """Return a folder's photographs, or raise `AbsentError` if their number is not as stated."""
    if not folder.is_dir():
        raise AbsentError(f"there is no folder {folder} with photographs.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files or (images is not None and len(files) != images):
        raise AbsentError(
            f"{folder} has {len(files)} photographs ({', '.join(SUFFIXES)}); expected "
            f"{images or 'some'}."
        )
    return files


def qualities(setting: str) -> tuple[int, ...]:
    """Read a setting: one quality, or those of a first and a second compression."""
    if not re.fullmatch(r"\(?\s*[0-9]+\s*(,\s*[0-9]+\s*)?\)?", setting):
        raise AbsentError(f"the setting {setting!r} is no quality, such as 30 or (30, 10).")
    return tuple(int(text) for text in re.findall("[0-9]+", setting))


def read(place: Place, files: list[Path]) -> dict[str, float]:
    """Return the mean of each interpretation over the photographs, or its value of one image."""
    wanted = [path for path in files if place.image in ("", path.stem)]
    if not wanted:
        raise AbsentError(f"there is no photograph {place.image} in {files[0].parent}.")
    each = [measured(path, qualities(place.setting), place.measure) for path in wanted]
    return {name: statistics.fmean(of[name] for of in each) for name in each[0]}


def measured(path: Path, at: tuple[int, ...], measure: str) -> dict[str, float]:
    """Return every value of a measure, however meant, of the JPEG of 1 or 2 qualities."""
    from PIL import Image  # the rest of an audit needs no pixels

    image = opened(path)
    grey = image.convert("L")
    found: dict[str, float] = {}
    if image.mode == "RGB":
        reference, data = compressed(image, at)
        decoded = Image.open(BytesIO(data)).convert("RGB")
        found |= of_luma(measure, reference.convert("L"), decoded.convert("L"), "luma")
        if measure == "psnr_db":
            own = Image.open(BytesIO(data))
            own.draft("L", own.size)
            found["PSNR over RGB"] = psnr_of(reference, decoded)
            found["PSNR over the file's own Y"] = psnr_of(reference.convert("L"), own)
        found["size of a colour file"] = float(len(data))
    reference, data = compressed(grey, at)
    found |= of_luma(measure, reference, Image.open(BytesIO(data)), "grey JPEG")
    found["size of a grey file"] = float(len(data))
    return {name: found[name] for name in READINGS[measure] if name in found}


def opened(path: Path) -> "Image.Image":
    """Return a photograph as grey or as RGB."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("L" if image.mode in ("L", "LA", "1") else "RGB")


def of_luma(
    measure: str, reference: "Image.Image", decoded: "Image.Image", kind: str
) -> dict[str, float]:
    """Return each interpretation of a measure over one plane, which is luma or a grey JPEG."""
    import numpy as np

    from msroi.images import PEAK
    from msroi.measures.conventions import uniform_ssim
    from msroi.measures.distortion import ssim

    of, planes = (reference, decoded), [np.asarray(each) for each in (reference, decoded)]
    one, other = (each.astype(np.float64) for each in planes)
    if measure == "psnr_db":
        video = (np.rint(16 + each * 219 / 255) for each in (one, other))
        usual = "PSNR of grey JPEG" if kind == "grey JPEG" else "PSNR over 8-bit luma"
        in_video = "PSNR of grey JPEG" if kind == "grey JPEG" else "PSNR over luma"
        return {
            usual: psnr_of(reference, decoded),
            f"{in_video} in video range, peak 255": psnr_db(
                float(np.mean(np.square(np.subtract(*video))))
            ),
        }
    if measure == "psnr_b_db":
        return {f"PSNR-B of {kind}": psnr_b_db(one, other)}
    if measure == "ssim":
        small, smaller = (np.asarray(each.reduce(2), np.float64) for each in of)
        return {
            f"SSIM of {kind}, Gaussian window": ssim(one, other, PEAK),
            f"SSIM of {kind}, uniform window": uniform_ssim(planes[0], planes[1]),
            f"SSIM of {kind} at half size": ssim(small, smaller, PEAK),
        }
    return {}


def psnr_of(reference: "Image.Image", decoded: "Image.Image") -> float:
    """Return the PSNR in dB of two images of one mode."""
    import numpy as np

    one, other = (np.asarray(each, np.float64) for each in (reference, decoded))
    return psnr_db(float(np.mean(np.square(one - other))))


def compressed(image: "Image.Image", at: tuple[int, ...]) -> tuple["Image.Image", bytes]:
    """Return the reference and its JPEG, of two qualities the second of the shifted first."""
    from PIL import Image

    reference, current, data = image, image, b""
    for number, quality in enumerate(at):
        if number:
            box = (SHIFT, SHIFT, *current.size)
            reference, current = reference.crop(box), current.crop(box)
        file = BytesIO()
        current.save(file, "JPEG", quality=quality)
        data = file.getvalue()
        current = Image.open(BytesIO(data)).convert(image.mode)
    return reference, data


def psnr_db(mse: float) -> float:
    """Return the PSNR in dB of 8-bit samples."""
    from msroi.measures import distortion

    return distortion.psnr_db(mse)


def psnr_b_db(reference: "Plane", distorted: "Plane") -> float:
    """Return PSNR-B in dB of planes `(H, W)` in [0, 255].

    Yim and Bovik 2011, "Quality assessment of deblocked images". The MSE grows by how much pixels
    differ across the borders of 8 x 8 blocks more than elsewhere. The factor is 3 / log2 of the
    side.
    """
    import numpy as np

    total, count = {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}
    for axis in (0, 1):
        squares = np.square(np.diff(distorted, axis=axis))
        border = np.arange(squares.shape[axis]) % 8 == 7
        for at_border in (True, False):
            total[at_border] += float(squares.compress(border == at_border, axis=axis).sum())
        # as many borders as a side has of 8 px, less one, also where that is not whole
        borders = (distorted.shape[axis] / 8 - 1) * distorted.shape[1 - axis]
        count[True] += borders
        count[False] += squares.size - borders
    across, elsewhere = (total[one] / max(count[one], 1) for one in (True, False))
    factor = 3 / np.log2(min(distorted.shape)) if across > elsewhere else 0.0
    mse = float(np.mean(np.square(reference - distorted)))
    return psnr_db(mse + float(factor) * (across - elsewhere))


SHARE = 0.5  # of a gain, from which on the extra bytes explain more of it than the method


@check(
    REPLICATION,
    "the photographs are the paper's; plain JPEG's PSNR over 8-bit luma is linear in the logarithm "
    "of the size between two qualities; above half of the gain is unusual",
    FILES,
    wants="images with psnr_db and bytes of baseline and proposed method",
)
def same_size(
    paper: Paper, run: Run, table: str, dataset: str, photographs: str
) -> Iterator[Finding]:
    """A gain is the method's, and not that of files which are larger than the baseline's."""
    gains = {
        place: (difference(baseline, method), place.other(measure="bytes"))
        for place, baseline, method in paper.pairs(table)
        if (place.dataset, place.measure) == (dataset, "psnr_db") and place.image
    }
    if not gains:
        return
    cells = tuple(at for place in gains for at in paper.both(place))
    mean = statistics.fmean(gain for gain, _ in gains.values())
    name = f"Table {table}, {dataset}, mean gain in psnr_db"
    if not run.photographs:
        yield not_given(next(iter(gains)), f"{mean:+.3f}")
        return
    files = {path.stem: path for path in photographs_of(run.photographs / photographs, None)}
    alone = []
    for place, (_, at) in gains.items():
        if place.image not in files:
            raise AbsentError(f"there is no photograph {place.image} in {photographs}.")
        one, other = (paper.numbers[each].value for each in paper.both(at))
        (quality,) = qualities(place.setting)
        alone.append(gain_of_bytes(files[place.image], quality, other / one))
    found = statistics.fmean(alone)
    share = found / mean if mean else 0.0
    yield Finding(
        place=name,
        published=f"{mean:+.3f}",
        found=found,
        low=None,
        high=SHARE * mean,
        verdict=UNUSUAL if mean > 0 and share > SHARE else CONSISTENT,
        evidence=f"plain JPEG of the method's size gains {found:+.3f} dB of the {mean:+.3f} dB "
        f"({100 * share:.0f} %, n = {len(alone)})",
        cells=cells,
        values=tuple(alone),
        axis="gain of plain JPEG from the extra bytes, dB",
    )


def gain_of_bytes(path: Path, quality: int, ratio: float) -> float:
    """Return the gain in dB of plain JPEG whose file is `ratio` times that of a quality."""
    step = 1 if ratio >= 1 else -1
    size, start = size_and_psnr(path, quality)
    target, before = math.log(size * ratio), (math.log(size), start)
    for other in range(quality + step, 101 if step > 0 else 0, step):
        now_size, now = size_and_psnr(path, other)
        after = (math.log(now_size), now)
        if step * after[0] >= step * target and after[0] != before[0]:
            share = (target - before[0]) / (after[0] - before[0])
            return before[1] + share * (after[1] - before[1]) - start
        before = after
    raise AbsentError(f"{path.name}: no quality has {ratio:.2f} times the size of {quality}.")


@lru_cache(maxsize=4096)
def size_and_psnr(path: Path, quality: int) -> tuple[int, float]:
    """Return size in bytes and PSNR in dB over 8-bit luma of plain JPEG."""
    from PIL import Image

    image = opened(path)
    _, data = compressed(image, (quality,))
    return len(data), psnr_of(image.convert("L"), Image.open(BytesIO(data)).convert("L"))
