"""Checks of a paper's arithmetic: means, sizes, bits a pixel, ratios, marks and repeated rows.

They need the printed digits alone. A number computed from rounded ones has a range, from the
corners of their ranges. Where another way to compute it fits, the check names that way.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from msroi.audit.check import (
    CANNOT_TELL,
    CONSISTENT,
    EXPLAINED,
    INCONSISTENT,
    INTERNAL,
    STATISTICAL,
    UNUSUAL,
    AbsentError,
    Finding,
    Run,
    check,
    verdict_of,
    within,
)
from msroi.audit.internal import PEAK, fitting, the_pair
from msroi.audit.published import Paper, Place, Printed, read_folder

Range = tuple[float, float]


def spanned(function: Callable[..., float], *numbers: Printed) -> Range:
    """Return the least and the largest value of a function, monotone in each rounded number."""
    corners = itertools.product(*((number.low, number.high) for number in numbers))
    values = [function(*corner) for corner in corners]
    return min(values), max(values)


def fits(printed: Printed, low: float, high: float) -> bool:
    """Tell whether a printed number can be one of a range, given its own rounding."""
    return within(printed.value, low - printed.half_unit, high + printed.half_unit)


def compared(
    place: str,
    printed: Printed,
    found: float,
    range_: Range,
    evidence: str,
    cells: Sequence[Place],
    others: Mapping[str, Range] | None = None,
    otherwise: str = INCONSISTENT,
) -> Finding:
    """Compare a printed number with a range, and with those of other ways to compute it."""
    low, high = range_
    verdict = otherwise
    if fits(printed, low, high):
        verdict = CONSISTENT
    else:
        for name, other in (others or {}).items():
            if fits(printed, *other):
                verdict = f"{EXPLAINED}{name}"
                break
    return Finding(
        place=place,
        published=printed,
        found=found,
        low=low - printed.half_unit,
        high=high + printed.half_unit,
        verdict=verdict,
        evidence=evidence,
        cells=tuple(cells),
    )


def mse_of(psnr_db: float) -> float:
    """Return the mean squared error of a PSNR."""
    return float(PEAK**2 / 10 ** (psnr_db / 10))


def psnr_of(mse: float) -> float:
    """Return the PSNR in dB of a mean squared error."""
    return 10 * math.log10(PEAK**2 / mse)


@check(
    INTERNAL,
    "the rows are all images of the mean; it is their arithmetic mean, rounded; where it is not, "
    "truncation and, of PSNRs, the PSNR of the mean MSE are tried",
    wants="a mean in one table and images of its data set, method, setting, measure in the other",
)
def mean_of_rows(paper: Paper, run: Run, images: str, means: str) -> Iterator[Finding]:
    """A printed mean is that of the printed rows."""
    for place, printed in paper.of_table(means).items():
        rows = {
            at: number
            for at, number in paper.of_table(images).items()
            if at.image and at[1:2] + at[3:] == place[1:2] + place[3:]
        }
        if place.image or not rows:
            continue
        numbers = list(rows.values())
        stated = paper.sample(place.dataset).images
        low, high = (
            statistics.fmean(getattr(n, edge) for n in numbers) for edge in ("low", "high")
        )
        found = statistics.fmean(number.value for number in numbers)
        unit = 2 * printed.half_unit
        # a truncated number stands for what is up to a unit above it
        others = {"truncation": (low - unit / 2, high - unit / 2)}
        if place.measure == "psnr_db":
            others["the PSNR of the mean MSE"] = (
                psnr_of(statistics.fmean(mse_of(number.low) for number in numbers)),
                psnr_of(statistics.fmean(mse_of(number.high) for number in numbers)),
            )
        finding = compared(
            str(place),
            printed,
            found,
            (low, high),
            f"the mean of {len(numbers)} rows of Table {images} is {found:.6g}",
            (place, *rows),
            others,
        )
        if stated is not None and stated != len(numbers):
            said = f"{finding.evidence}, but the mean is over {stated} images"
            finding = replace(finding, verdict=CANNOT_TELL, evidence=said)
        yield finding


@check(
    INTERNAL,
    "bits a pixel are of whole files, and a mean is over all images of the data set, which have "
    "equally many pixels; two numbers of too few digits can't tell",
    wants="rows of the measure bpp",
)
def whole_bytes(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Bits a pixel times pixels and images make a whole number of bytes."""
    for place, printed in paper.of_measure(table, "bpp").items():
        needed = ("pixels",) if place.image else ("pixels", "images")
        sample = paper.sample(place.dataset, *needed)
        scale = sample.pixels * (1 if place.image else sample.images) / 8
        found = printed.value * scale
        # digits beyond those of a double are not the sum's
        room = max(printed.half_unit * scale, 1e-12 * found)
        nearest = round(found)
        verdict = verdict_of(consistent=abs(found - nearest) <= room)
        if 2 * room >= 1:
            verdict = CANNOT_TELL
        yield Finding(
            place=str(place),
            published=printed,
            found=found,
            low=nearest - room,
            high=nearest + room,
            verdict=verdict,
            evidence=f"{shown(printed)} bpp x {scale * 8:g} pixels / 8 = {found:.3f} bytes, known "
            f"to {room:.2g}",
            cells=(place,),
        )


def shown(printed: Printed) -> str:
    """Return a number as printed, or with the digits that one reads."""
    return printed if len(printed) <= 10 else f"{printed.value:.8g}"


@check(
    INTERNAL,
    "both are of the same files, and the images of a data set have equally many pixels",
    wants="rows of the measures bpp and bytes",
)
def bpp_of_bytes(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Bits a pixel and bytes of a row are the same number twice."""
    for place, bpp in paper.of_measure(table, "bpp").items():
        at = place.other(measure="bytes")
        size = paper.numbers[at]
        pixels = paper.sample(place.dataset, "pixels").pixels
        found = 8 * size.value / pixels
        yield compared(
            str(place),
            bpp,
            found,
            spanned(lambda edge, pixels=pixels: 8 * edge / pixels, size),
            f"8 x {size} / {pixels} = {found:.5f} bpp",
            (place, at),
            {"bits counted as bytes": spanned(lambda edge, p=pixels: edge / p, size)},
        )


@check(
    INTERNAL,
    "the ratio is of the baseline's size to the proposed method's; the inverse is tried, too",
    wants="one pair of baseline and proposed method",
)
def ratio_of_sizes(
    paper: Paper,
    run: Run,
    table: str,
    printed: str,
    measure: str = "bytes",
    setting: str = "",
    dataset: str = "",
    image: str = "",
    method: str = "",
) -> Iterator[Finding]:
    """A quoted ratio of sizes is that of the table's numbers."""
    where = {"setting": setting, "dataset": dataset, "image": image, "method": method}
    place, baseline, proposed = the_pair(paper, table, measure, where)
    found = baseline.value / proposed.value
    yield compared(
        f"text, {place}",
        Printed(printed),
        found,
        spanned(lambda one, other: one / other, baseline, proposed),
        f"{baseline} / {proposed} = {found:.4f}; the text says {printed}",
        paper.both(place),
        {"the inverse": spanned(lambda one, other: other / one, baseline, proposed)},
    )


@check(
    INTERNAL,
    "the percentage is of the baseline's number; one of the proposed method's is tried, too; "
    "`change` is rise or fall",
    wants="one pair of baseline and proposed method",
)
def percent_gain(
    paper: Paper,
    run: Run,
    table: str,
    measure: str,
    printed: str,
    change: str = "rise",
    setting: str = "",
    dataset: str = "",
    image: str = "",
    method: str = "",
) -> Iterator[Finding]:
    """A gain quoted in percent is that of the table's numbers."""
    if change not in ("rise", "fall"):
        raise AbsentError(f"change must be rise or fall, got {change!r}.")
    where = {"setting": setting, "dataset": dataset, "image": image, "method": method}
    place, baseline, proposed = the_pair(paper, table, measure, where)
    sign = 100 if change == "rise" else -100
    found = sign * (proposed.value / baseline.value - 1)
    yield compared(
        f"text, {place}",
        Printed(printed),
        found,
        spanned(lambda one, other: sign * (other / one - 1), baseline, proposed),
        f"{proposed} against {baseline} is a {change} of {found:.3f} %; the text says {printed} %",
        paper.both(place),
        {
            "percent of the proposed method's": spanned(
                lambda one, other: sign * (1 - one / other), baseline, proposed
            )
        },
    )


@check(
    INTERNAL,
    "`best` and `second` are marked among the methods of one data set, image, setting and measure; "
    "equal printed digits share a place",
    wants="rows with a mark, and a measure that is better higher or lower",
)
def best_marked(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """A number that is marked as the best, or the second, is so."""
    numbers = paper.of_table(table)
    for place, mark in paper.marks.items():
        sign = paper.directions.get(place.measure, 0)
        if place.table != table or not sign:
            continue
        row = {at: n for at, n in numbers.items() if at.other(method=place.method) == place}
        ranked = sorted({sign * number.value for number in row.values()}, reverse=True)
        rank = ranked.index(sign * row[place].value)
        first = [at.method for at, n in row.items() if sign * n.value == ranked[0]]
        # where two share the best place, the next is the third
        wanted = (0,) if mark == "best" else (1,) if len(first) == 1 else (0, 1)
        yield Finding(
            place=str(place),
            published=f"{row[place]}, {mark}",
            found=rank + 1,
            low=wanted[0] + 1,
            high=wanted[-1] + 1,
            verdict=verdict_of(consistent=rank in wanted),
            evidence=f"of {', '.join(f'{at.method} {n}' for at, n in row.items())} the best is "
            f"{' and '.join(first)}",
            cells=tuple(row),
        )


@check(
    INTERNAL,
    "MS-SSIM in dB is -10 log10(1 - MS-SSIM); of a mean it may be the mean of each image's dB, "
    "which is larger",
    wants="rows of the measures ms_ssim_db and ms_ssim",
)
def ms_ssim_db(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """MS-SSIM and MS-SSIM in dB of a row are the same number twice."""
    for place, db in paper.of_measure(table, "ms_ssim_db").items():
        at = place.other(measure="ms_ssim")
        ssim = paper.numbers[at]
        if ssim.high >= 1:
            verdict, low, high = CANNOT_TELL, in_db(ssim.low), None
            found = in_db(ssim.low)
        else:
            found = in_db(ssim.value)
            low, high = spanned(in_db, ssim)
            verdict = verdict_of(consistent=fits(db, low, high))
            if verdict != CONSISTENT and not place.image and db.value > high:
                verdict = f"{EXPLAINED}the mean of each image's dB"
        yield Finding(
            place=str(place),
            published=db,
            found=found,
            low=low,
            high=high,
            verdict=verdict,
            evidence=f"-10 log10(1 - {ssim}) = {found:.4f} dB; printed {db} dB",
            cells=(place, at),
        )


def in_db(ms_ssim: float) -> float:
    """Return MS-SSIM in dB."""
    return -10 * math.log10(1 - ms_ssim)


ONCE = 0.001  # a coincidence of less than this chance is taken for none


@check(
    INTERNAL,
    "the measure that varies most, against its printed digits, is about normal over the rows; the "
    "chance is of any two rows; other measures, which depend on it, are left out of account",
    wants="two rows or more with the same methods and measures",
)
def duplicate_rows(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """No two images, data sets or settings of a table have the same numbers throughout."""
    rows: dict[tuple[str, str, str], dict[tuple[str, str], tuple[Place, Printed]]] = {}
    for place, printed in paper.of_table(table).items():
        key = (place.dataset, place.image, place.setting)
        rows.setdefault(key, {})[place.method, place.measure] = (place, printed)
    if len(rows) < 2:
        return
    seen: dict[tuple[object, ...], tuple[str, str, str]] = {}
    twice = []
    for key, row in rows.items():
        numbers = tuple((column, str(printed)) for column, (_, printed) in sorted(row.items()))
        first = seen.setdefault(numbers, key)
        if first != key and len(numbers) > 1:
            twice.append((first, key))
    chance = coincidence(list(rows.values()))
    verdict = CONSISTENT if not twice else INCONSISTENT if chance < ONCE else UNUSUAL
    pairs = "; ".join(f"{named(one)} = {named(other)}" for one, other in twice)
    yield Finding(
        place=f"Table {table}, rows",
        published="distinct",
        found=len(twice),
        low=0,
        high=0,
        verdict=verdict,
        evidence=f"{pairs or 'all rows are distinct'}; of {len(rows)} rows any two agree by chance "
        f"with a probability of {chance:.2g}",
        cells=tuple(place for pair in twice for key in pair for place, _ in rows[key].values()),
    )


def named(key: tuple[str, str, str]) -> str:
    """Return what tells a row from the others."""
    return " ".join(filter(None, key))


def coincidence(rows: Sequence[Mapping[tuple[str, str], tuple[Place, Printed]]]) -> float:
    """Return the chance that two rows agree in the column which that is least probable for.

    Two draws of a normal distribution differ by less than half a unit with the probability of
    about unit / (2 sqrt(pi) sd).
    """
    columns: dict[tuple[str, str], list[Printed]] = {}
    for row in rows:
        for column, (_, printed) in row.items():
            columns.setdefault(column, []).append(printed)
    chances = [1.0]
    for numbers in columns.values():
        if len(numbers) > 2 and (sd := statistics.stdev(n.value for n in numbers)) > 0:
            unit = 2 * min(number.half_unit for number in numbers)
            chances.append(min(1.0, unit / (2 * math.sqrt(math.pi) * sd)))
    return min(1.0, min(chances) * len(rows) * (len(rows) - 1) / 2)


@check(
    INTERNAL,
    "the limit is of each printed number and exact, unless `rounded`",
    wants="rows of the measure",
)
def limit(
    paper: Paper,
    run: Run,
    table: str,
    measure: str,
    most: str = "",
    least: str = "",
    method: str = "",
    *,
    rounded: bool = False,
) -> Iterator[Finding]:
    """Every number of a measure keeps a stated limit, of one side or both."""
    if not most and not least:
        raise AbsentError("give `most`, `least` or both.")
    low = (Printed(least).low if rounded else Printed(least).value) if least else None
    high = (Printed(most).high if rounded else Printed(most).value) if most else None
    stated = " and ".join(filter(None, (least and f"at least {least}", most and f"at most {most}")))
    for place, printed in paper.of_measure(table, measure).items():
        if method and place.method != method:
            continue
        kept = (low is None or printed.high >= low) and (high is None or printed.low <= high)
        yield Finding(
            place=str(place),
            published=stated,
            found=printed.value,
            low=low,
            high=high,
            verdict=verdict_of(consistent=kept),
            evidence=f"printed {printed}; the text says {stated}",
            cells=(place,),
        )


@check(
    STATISTICAL,
    "the printed rows are all the images of the test; their differences are independent and about "
    "normal; two-sided",
    wants="pairs of baseline and proposed method, three images or more",
)
def paired_test(
    paper: Paper,
    run: Run,
    table: str,
    measure: str,
    alpha: str,
    dataset: str = "",
    setting: str = "",
    method: str = "",
    *,
    significant: bool = True,
) -> Iterator[Finding]:
    """A difference is significant, or is not, as a paired t test of the printed rows says."""
    from scipy.special import stdtr  # not needed by other checks

    where = {"dataset": dataset, "setting": setting, "method": method}
    pairs = [pair for pair in fitting(paper, table, measure, where) if pair[0].image]
    groups: dict[Place, list[tuple[Place, Printed, Printed]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].other(image=""), []).append(pair)
    for place, group in groups.items():
        gains = [float(one.decimal - base.decimal) for _, base, one in group]
        n = len(gains)
        if n < 3:
            continue
        mean, sd = statistics.fmean(gains), statistics.stdev(gains)
        t = abs(mean) / (sd / math.sqrt(n)) if sd else math.inf
        p = 2 * float(stdtr(n - 1, -t)) if sd else 0.0
        yield Finding(
            place=f"{place}, {n} images",
            published=f"p {'<' if significant else '>='} {alpha}",
            found=p,
            low=0.0 if significant else Printed(alpha).value,
            high=Printed(alpha).value if significant else 1.0,
            verdict=verdict_of(consistent=(p < Printed(alpha).value) == significant),
            evidence=f"mean difference {mean:+.4g}, sd {sd:.4g}, n = {n}: p = {p:.3g}",
            cells=tuple(at for one, _, _ in group for at in paper.both(one)),
        )


@check(
    INTERNAL,
    "both papers compress the same images by the same method; between two printed points the "
    "measure is linear in the logarithm of bits a pixel",
    wants="two points or more of the baseline's bpp and the measure in both papers",
)
def same_baseline(
    paper: Paper,
    run: Run,
    table: str,
    dataset: str,
    measure: str,
    other_paper: str,
    other_table: str,
    tolerance: str,
) -> Iterator[Finding]:
    """The baseline of another paper has the same quality at the same size."""
    other = read_folder(Path(paper.folder).parent / other_paper)
    ours, theirs = (
        curve(one, number, dataset, measure)
        for one, number in ((paper, table), (other, other_table))
    )
    apart = [
        (bpp, value - there)
        for bpp, value in ours
        if (there := interpolated(theirs, bpp)) is not None
    ]
    if not apart:
        return
    mean = statistics.fmean(difference for _, difference in apart)
    most = max((difference for _, difference in apart), key=abs)
    allowed = Printed(tolerance).value
    yield Finding(
        place=f"Table {table}, {dataset}, {paper.baseline}, {measure}",
        published=f"{other_paper}, Table {other_table}",
        found=mean,
        low=-allowed,
        high=allowed,
        verdict=verdict_of(consistent=abs(mean) <= allowed, otherwise=UNUSUAL),
        evidence=f"{mean:+.3g} on average against {other_paper} at the same bpp, {most:+.3g} at "
        f"most, from {apart[0][0]:.3g} to {apart[-1][0]:.3g} bpp (n = {len(apart)} points)",
        cells=tuple(
            at
            for at in paper.of_table(table)
            if at.method == paper.baseline and at.measure in ("bpp", measure)
        ),
    )


def curve(paper: Paper, table: str, dataset: str, measure: str) -> list[tuple[float, float]]:
    """Return the baseline's points (bpp, measure) of a table, by bpp."""
    points = []
    for place, printed in paper.of_measure(table, measure).items():
        size = paper.numbers.get(place.other(measure="bpp"))
        if (place.dataset, place.method) == (dataset, paper.baseline) and size:
            points.append((size.value, printed.value))
    return sorted(points)


def interpolated(points: Sequence[tuple[float, float]], bpp: float) -> float | None:
    """Return a curve's value at a size, linear in its logarithm, or None outside of it."""
    for (left, low), (right, high) in itertools.pairwise(points):
        if left <= bpp <= right and left < right:
            share = math.log(bpp / left) / math.log(right / left)
            return low + share * (high - low)
    return None
