"""Checks of a paper against itself: its counts, its tables and what its text says of them."""

import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msroi.audit.check import (
    CANNOT_TELL,
    INTERNAL,
    UNUSUAL,
    AbsentError,
    Finding,
    Run,
    check,
    verdict_of,
    within,
)
from msroi.audit.published import Paper, Place, Printed, difference
from msroi.measures.student import reach_of

VGG16_CONVOLUTIONS = 13
PEAK = 255  # of 8-bit samples
BELOW = 0.01  # how far MS-SSIM may lie below SSIM before that is unusual


@check(INTERNAL, "the printed numbers are whole and count the same things")
def adds_up(paper: Paper, run: Run, total: str, parts: Sequence[str]) -> Iterator[Finding]:
    """Parts add up to their total."""
    found = math.fsum(Printed(part).value for part in parts)
    yield text_finding(total, found, total, f"{' + '.join(parts)} = {found:g}; printed {total}")


@check(INTERNAL, "the printed numbers are whole and count the same things")
def product(paper: Paper, run: Run, printed: str, factors: Sequence[str]) -> Iterator[Finding]:
    """Factors multiply to the printed number."""
    found = math.prod(Printed(factor).value for factor in factors)
    evidence = f"{' x '.join(factors)} = {found:g}; printed {printed}"
    yield text_finding(printed, found, printed, evidence)


@check(INTERNAL, "the share is of the printed whole and rounded to the printed digits")
def percentage(paper: Paper, run: Run, printed: str, part: str, whole: str) -> Iterator[Finding]:
    """A printed percentage is that of the printed counts."""
    found = 100 * Printed(part).value / Printed(whole).value
    evidence = f"100 x {part} / {whole} = {found:.4f} %; printed {printed} %"
    yield text_finding(printed, found, f"{printed} %", evidence)


@check(INTERNAL, "VGG16 has 13 convolutions (Simonyan and Zisserman 2014, configuration D)")
def network_convolutions(
    paper: Paper, run: Run, printed: str, additional: str
) -> Iterator[Finding]:
    """VGG16's convolutions and the added ones make the printed number."""
    found = VGG16_CONVOLUTIONS + Printed(additional).value
    yield Finding(
        place="text",
        published=printed,
        found=found,
        low=found,
        high=found,
        verdict=verdict_of(consistent=found == Printed(printed).value),
        evidence=f"{VGG16_CONVOLUTIONS} of VGG16 + {additional} = {found:g}; printed {printed}",
    )


@check(INTERNAL, "the printed averages are of one set of images")
def rises(paper: Paper, run: Run, values: Sequence[str]) -> Iterator[Finding]:
    """The printed numbers rise in the order given."""
    numbers = [Printed(value).value for value in values]
    rising = all(a < b for a, b in itertools.pairwise(numbers))
    yield Finding(
        place="text",
        published=" < ".join(values),
        found=", ".join(f"{number:g}" for number in numbers),
        low=None,
        high=None,
        verdict=verdict_of(consistent=rising),
        evidence="in the order of the quality that is matched",
    )


@check(
    INTERNAL,
    "PSNR = 10 log10(255² / MSE) of 8-bit samples, image by image",
    wants="rows of the measures mse and psnr_db",
)
def mse_psnr(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """PSNR and MSE of a row are the same number twice."""
    for place, mse in paper.of_table(table).items():
        if place.measure != "mse":
            continue
        at = place.other(measure="psnr_db")
        psnr = paper.numbers[at]
        # the PSNR falls with the MSE; printed digits of both leave some room
        low, high = (
            10 * math.log10(PEAK**2 / edge) if edge > 0 else math.inf
            for edge in (mse.high, mse.low)
        )
        found = 10 * math.log10(PEAK**2 / mse.value) if mse.value > 0 else math.inf
        yield Finding(
            place=str(at),
            published=psnr,
            found=found,
            low=low - psnr.half_unit,
            high=high + psnr.half_unit,
            verdict=verdict_of(
                consistent=within(psnr.value, low - psnr.half_unit, high + psnr.half_unit)
            ),
            evidence=f"10 log10(255²/{mse}) = {found:.4f} dB; printed {psnr} dB",
            cells=(place, at),
        )


@check(
    INTERNAL,
    "SSIM is at most 1; that MS-SSIM is not the smaller is no theorem, but by more than 0.01 it "
    "hardly ever is over the scales of a photograph",
    wants="rows of the measure ssim",
)
def ssim_ranges(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """SSIM and MS-SSIM lie between 0 and 1, and MS-SSIM is not much the smaller."""
    for place, ssim in paper.of_measure(table, "ssim").items():
        at = place.other(measure="ms_ssim")
        multi = paper.numbers.get(at)
        both = [ssim] if multi is None else [ssim, multi]
        possible = all(abs(number.value) <= 1 for number in both)
        usual = 0 <= both[0].value <= both[-1].value + BELOW
        yield Finding(
            place=str(place),
            published=", MS-SSIM ".join(both),
            found=both[-1].value - ssim.value if multi else ssim.value,
            low=0.0,
            high=1.0,
            verdict=verdict_of(
                consistent=possible and usual, **({"otherwise": UNUSUAL} if possible else {})
            ),
            evidence=f"0 <= {' <= '.join(both)} <= 1",
            cells=(place, at) if multi else (place,),
        )


@check(
    INTERNAL,
    "no two files of different photographs agree in a measure to every digit",
    wants="rows of the measures mse or bytes",
)
def rows_differ(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """No number of the table is that of another image or method of the same column."""
    seen: dict[tuple[str, str], Place] = {}
    twice: list[tuple[Place, Place]] = []
    for place, printed in paper.of_table(table).items():
        if place.measure in ("mse", "bytes"):
            other = seen.setdefault((place.measure, printed), place)
            if other != place:
                twice.append((other, place))
    if not seen:
        return
    yield Finding(
        place=f"Table {table}, MSE and file size",
        published="distinct",
        found=len(twice),
        low=0,
        high=0,
        verdict=verdict_of(consistent=not twice),
        evidence="; ".join(f"{a} = {b}" for a, b in twice) or "all are distinct",
        cells=tuple(place for pair in twice for place in pair),
    )


@check(
    INTERNAL,
    "means of the same images; each was rounded on its own",
    wants="one pair of baseline and proposed method",
)
def gain(
    paper: Paper,
    run: Run,
    table: str,
    measure: str,
    printed: str,
    setting: str = "",
    dataset: str = "",
    image: str = "",
    method: str = "",
) -> Iterator[Finding]:
    """A gain quoted in the text is the difference of the table's numbers."""
    where = {"setting": setting, "dataset": dataset, "image": image, "method": method}
    place, baseline, proposed = the_pair(paper, table, measure, where)
    yield gain_finding(place, baseline, proposed, Printed(printed), paper)


@check(
    INTERNAL,
    "the gain is that of one image of the table",
    wants="pairs of baseline and proposed method, an image each",
)
def largest_gain(
    paper: Paper,
    run: Run,
    table: str,
    measure: str,
    image: str,
    printed: str,
    setting: str = "",
    dataset: str = "",
    method: str = "",
) -> Iterator[Finding]:
    """The image with the largest gain is the one that the text names, with that gain."""
    where = {"setting": setting, "dataset": dataset, "method": method}
    found = [pair for pair in fitting(paper, table, measure, where) if pair[0].image]
    one_series(paper, [place for place, _, _ in found], table)
    gains = {pair[0].image: pair for pair in found}
    if image not in gains:
        raise AbsentError(
            f"Table {table} has no pair of {measure} of the image {image!r}; it has: "
            f"{', '.join(gains) or 'none'}."
        )
    largest = max(gains, key=lambda name: paper.sign(measure) * difference(*gains[name][1:]))
    cells = tuple(at for place, _, _ in gains.values() for at in paper.both(place))
    yield Finding(
        place=f"text, Table {table}, {measure}",
        published=image,
        found=largest,
        low=None,
        high=None,
        verdict=verdict_of(consistent=largest == image),
        evidence=", ".join(f"{n} {difference(*gains[n][1:]):+.4g}" for n in gains),
        cells=cells,
    )
    yield gain_finding(*gains[image], Printed(printed), paper)


SIDES = {"both": (-1, 1), "larger": (None, 1), "smaller": (-1, None)}


@check(
    INTERNAL,
    "the bound is of the difference in percent of the baseline's size, image by image; it is exact "
    "unless `rounded`, and of both sides unless `side` is larger or smaller",
    wants="pairs of the measure bytes",
)
def size_bound(
    paper: Paper, run: Run, table: str, percent: str, side: str = "both", *, rounded: bool = False
) -> Iterator[Finding]:
    """No image's file differs from the baseline's by more than the bound."""
    if side not in SIDES:
        raise AbsentError(f"side must be one of {', '.join(SIDES)}, got {side!r}.")
    bound = Printed(percent).high if rounded else Printed(percent).value
    low, high = (None if sign is None else sign * bound for sign in SIDES[side])
    for place, baseline, method in paper.pairs(table):
        if place.measure != "bytes":
            continue
        found = 100 * (method.value - baseline.value) / baseline.value
        # what the rounding of both sizes leaves open speaks for the paper
        room = 100 * (method.half_unit + baseline.half_unit) / baseline.value
        room = room if baseline.scale != 1 else 0.0
        yield Finding(
            place=str(place),
            published=f"{percent} %",
            found=found,
            low=low,
            high=high,
            verdict=verdict_of(
                consistent=(low is None or found >= low - room)
                and (high is None or found <= high + room)
            ),
            evidence=f"100 x ({method} - {baseline}) / {baseline} = {found:+.3f} %",
            cells=paper.both(place),
        )


@check(INTERNAL, "sizes in bytes", wants="pairs of the measure bytes")
def smaller(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Every image's file is smaller than the baseline's."""
    unit = paper.tables[table].units.get("bytes", "bytes") if table in paper.tables else "bytes"
    for place, baseline, method in paper.pairs(table):
        if place.measure == "bytes":
            yield Finding(
                place=str(place),
                published="smaller",
                found=method.value - baseline.value,
                low=None,
                high=0,
                verdict=verdict_of(consistent=method.value < baseline.value),
                evidence=f"{method} against {baseline} {unit}",
                cells=paper.both(place),
            )


BETTER = (
    "more is better in this measure, or less where the measure is an error, a size or so declared"
)


@check(INTERNAL, BETTER, wants="pairs of baseline and proposed method")
def better_except(
    paper: Paper, run: Run, table: str, measure: str, exceptions: Sequence[str]
) -> Iterator[Finding]:
    """Every image is better than the baseline but those that the text names."""
    for place, baseline, method in paper.pairs(table):
        if place.measure != measure:
            continue
        expected = place.image not in exceptions
        yield better(paper, place, baseline, method, expected=expected)


@check(INTERNAL, BETTER, wants="pairs of baseline and proposed method")
def better_at_every_quality(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Every mean of the table is better than the baseline's."""
    for place, baseline, method in paper.pairs(table):
        if paper.directions.get(place.measure):
            yield better(paper, place, baseline, method, expected=True)


def better(
    paper: Paper, place: Place, baseline: Printed, method: Printed, *, expected: bool
) -> Finding:
    """Say whether a method is better than the baseline, as the claim expects or not."""
    sign = paper.sign(place.measure)
    low, high = (0, None) if expected == (sign > 0) else (None, 0)
    gained = sign * difference(baseline, method) > 0
    return Finding(
        place=str(place),
        published="better" if expected else "not better",
        found=difference(baseline, method),
        low=low,
        high=high,
        verdict=verdict_of(consistent=gained == expected),
        evidence=f"{method} against {baseline}",
        cells=paper.both(place),
    )


@check(
    INTERNAL,
    "the two tables' gains can be compared as they stand",
    wants="pairs of baseline and proposed method in both tables",
)
def gains_smaller(
    paper: Paper, run: Run, table: str, than: str, measures: Sequence[str]
) -> Iterator[Finding]:
    """The mean gain of one table is smaller than that of another."""
    for measure in measures:
        both = {
            number: [
                (place, difference(baseline, method))
                for place, baseline, method in paper.pairs(number)
                if place.measure == measure
            ]
            for number in (table, than)
        }
        if not all(both.values()):
            empty = next(number for number, gains in both.items() if not gains)
            raise AbsentError(f"Table {empty} has no pair of {measure}.")
        sign = paper.sign(measure)
        one, other = (statistics.fmean(sign * gain for _, gain in both[n]) for n in (table, than))
        yield Finding(
            place=f"text, Tables {table} and {than}, {measure}",
            published="smaller",
            found=one,
            low=None,
            high=other,
            verdict=verdict_of(consistent=one < other),
            evidence=f"mean gain {one:+.4g} (Table {table}) against {other:+.4g} (Table {than})",
            cells=tuple(
                at for gains in both.values() for place, _ in gains for at in paper.both(place)
            ),
        )


@check(
    INTERNAL,
    "the images are the same at every quality; settings are sorted by their number",
    wants="a series of two settings or more with a number to sort by",
)
def rises_with_quality(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Each method's means rise with the quality."""
    for name, series in by_setting(paper, table):
        # errors fall with the quality; sizes rise, as measures of quality do
        measure = series[0][0].measure
        sign = 1 if measure in ("bytes", "bpp") else paper.sign(measure)
        numbers = [printed.value for _, printed in series]
        if len(numbers) < 2:
            continue
        yield Finding(
            place=name,
            published=(" < " if sign > 0 else " > ").join(printed for _, printed in series),
            found=", ".join(f"{number:g}" for number in numbers),
            low=None,
            high=None,
            verdict=verdict_of(
                consistent=all(sign * a < sign * b for a, b in itertools.pairwise(numbers))
            ),
            evidence=f"at qualities {', '.join(at.setting for at, _ in series)}",
            cells=tuple(at for at, _ in series),
        )


# Plain JPEG's PSNR rises by about as much for each halving of the quantisation steps. The two-pass
# method's need not: its first pass limits its quality.
RATIO_LOW, RATIO_HIGH = 0.5, 2.0


@check(
    INTERNAL,
    "the baseline is plain JPEG and settings are libjpeg's qualities; its PSNR rises by the "
    "logarithm of the quantisation steps, from one pair of qualities to the next by a ratio of "
    "0.5 to 2, as it does on this project's photographs",
    wants="three or more qualities from 1 to 99 of the baseline's psnr_db",
)
def quality_steps(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Plain JPEG's PSNR rises by steps that are alike."""
    for name, series in by_setting(paper, table):
        if (series[0][0].method, series[0][0].measure) != (paper.baseline, "psnr_db"):
            continue
        qualities = [float(paper.rank(at.setting) or 0) for at, _ in series]
        if not all(1 <= quality <= 99 for quality in qualities):
            raise AbsentError(f"{name}: settings must be qualities from 1 to 99.")
        for start in range(len(series) - 2):
            three = series[start : start + 3]
            first, second, third = (printed.value for _, printed in three)
            lower, middle, upper = (math.log(steps(q)) for q in qualities[start : start + 3])
            before, after = (second - first) / (lower - middle), (third - second) / (middle - upper)
            found = after / before if before else math.inf
            at = ", ".join(place.setting for place, _ in three)
            yield Finding(
                place=name if len(series) == 3 else f"{name} at {at}",
                published=", ".join(printed for _, printed in three),
                found=found,
                low=RATIO_LOW,
                high=RATIO_HIGH,
                verdict=verdict_of(consistent=within(found, RATIO_LOW, RATIO_HIGH)),
                evidence=f"rises of {second - first:.3f} and {third - second:.3f} dB",
                cells=tuple(place for place, _ in three),
            )


def steps(quality: float) -> float:
    """Return libjpeg's scale of the quantisation steps, in percent."""
    return 5000 / quality if quality < 50 else 200 - 2 * quality


@check(
    INTERNAL,
    "the images of the small table are like those of the large one: its mean lies in their "
    "95 % prediction interval (t); images chosen for their content need not be",
    wants="a mean in one table and images of its data set, method and setting in the other",
)
def means_against_images(
    paper: Paper, run: Run, images: str, means: str, setting: str
) -> Iterator[Finding]:
    """A mean over the set agrees with the images that are shown one by one."""
    for place, printed in paper.of_table(means).items():
        if place.setting != setting or place.image:
            continue
        shown = {
            at: number
            for at, number in paper.of_table(images).items()
            if at.image and at[1:2] + at[3:] == place[1:2] + place[3:]
        }
        if not shown:
            continue
        values = [number.value for number in shown.values()]
        n, of = len(values), paper.sample(place.dataset, "images").images
        if n < 2:
            yield Finding(
                place=str(place),
                published=printed,
                found=values[0],
                low=None,
                high=None,
                verdict=CANNOT_TELL,
                evidence=f"Table {images} shows one image, which says nothing of the spread",
                cells=(place, *shown),
            )
            continue
        mean = statistics.fmean(values)
        reach = reach_of(n) * statistics.stdev(values) * math.sqrt(1 / n + 1 / of)
        yield Finding(
            place=str(place),
            published=printed,
            found=mean,
            low=mean - reach,
            high=mean + reach,
            verdict=verdict_of(consistent=within(printed.value, mean - reach, mean + reach)),
            evidence=f"the {n} images of Table {images}: mean {mean:.4f}, "
            f"from {min(values):g} to {max(values):g}",
            cells=(place, *shown),
        )


Series = list[tuple[Place, Printed]]


def series_of(paper: Paper, table: str, places: Iterable[Place]) -> dict[str, Series]:
    """Return numbers by dataset, image, method and measure, under a name that tells them apart."""
    places = list(places)
    grouped: dict[Place, Series] = {}
    for place in places:
        grouped.setdefault(place.other(setting=""), []).append((place, paper.numbers[place]))
    several = len({place.dataset for place in places}) > 1
    return {
        ", ".join(
            filter(
                None,
                (
                    f"Table {table}",
                    place.dataset if several else "",
                    place.image,
                    place.method,
                    place.measure,
                ),
            )
        ): series
        for place, series in grouped.items()
    }


def by_setting(paper: Paper, table: str) -> Iterator[tuple[str, Series]]:
    """Yield each series of a table and its name, sorted by the settings' numbers.

    Raises
    ------
    AbsentError
        If a setting has no number.
    """
    for name, series in series_of(paper, table, paper.of_table(table)).items():
        ranks = {place.setting: paper.rank(place.setting) for place, _ in series}
        for setting, rank in ranks.items():
            if rank is None and len(ranks) > 1:
                raise AbsentError(
                    f"{name}: the setting {setting!r} has no number to sort by; add the column "
                    "`order` to tables.csv."
                )
        yield name, sorted(series, key=lambda item: ranks[item[0].setting] or 0)


Pair = tuple[Place, Printed, Printed]


def fitting(paper: Paper, table: str, measure: str, where: Mapping[str, str]) -> list[Pair]:
    """Return the pairs of a measure in a table that agree with the parts of a place in `where`."""
    return [
        pair
        for pair in paper.pairs(table)
        if pair[0].measure == measure
        and all(getattr(pair[0], part) == wanted for part, wanted in where.items() if wanted)
    ]


def the_pair(paper: Paper, table: str, measure: str, where: Mapping[str, str]) -> Pair:
    """Return the one pair that fits, or raise `AbsentError` if none does, or more than one."""
    found = fitting(paper, table, measure, where)
    if not where.get("image"):  # what is said of no image is said of the mean, if there is one
        found = [pair for pair in found if not pair[0].image] or found
    given = ", ".join(f"{part} {wanted}" for part, wanted in where.items() if wanted)
    if not found:
        raise AbsentError(
            f"Table {table} has no pair of {paper.baseline} and {', '.join(paper.proposed)} for "
            f"{measure}{given and f' ({given})'}."
        )
    if len(found) > 1:
        one_series(paper, [place for place, _, _ in found], table, ("setting", "image"))
    return found[0]


def one_series(paper: Paper, places: Sequence[Place], table: str, also: Sequence[str] = ()) -> None:
    """Insist that places differ in nothing that a claim has to name."""
    for part in ("dataset", "setting", "method", *also):
        values = list(dict.fromkeys(getattr(place, part) for place in places))
        if len(values) > 1:
            raise AbsentError(
                f"{len(places)} pairs of Table {table} fit; add `{part}:`, one of "
                f"{', '.join(value or 'the mean (no image)' for value in values)}."
            )


def text_finding(printed: str, found: float, published: str, evidence: str) -> Finding:
    """Compare a number with what the text prints rounded, in the unit of `published`."""
    low, high = Printed(printed).low, Printed(printed).high
    return Finding(
        place="text",
        published=published,
        found=found,
        low=low,
        high=high,
        verdict=verdict_of(consistent=within(found, low, high)),
        evidence=evidence,
    )


def gain_finding(
    place: Place, baseline: Printed, method: Printed, quoted: Printed, paper: Paper
) -> Finding:
    """Compare a quoted gain with a difference of two rounded numbers."""
    found = difference(baseline, method)
    room = baseline.half_unit + method.half_unit + quoted.half_unit
    return Finding(
        place=f"text, {place}",
        published=quoted,
        found=found,
        low=found - room,
        high=found + room,
        verdict=verdict_of(consistent=within(quoted.value, found - room, found + room)),
        evidence=f"{method} - {baseline} = {found:+g}; the text says {quoted}",
        cells=paper.both(place),
    )
