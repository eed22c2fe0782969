"""Checks of a paper against itself: its counts, its tables and what its text says of them."""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence

from scipy import stats

from msroi.audit.check import CONFIDENCE, INTERNAL, Finding, Run, check, verdict_of, within
from msroi.audit.published import METHOD, Paper, Place, Printed, difference
from msroi.experiment.comparison import BASELINE
from msroi.images import PEAK

VGG16_CONVOLUTIONS = 13


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


@check(INTERNAL, "PSNR = 10 log10(255² / MSE) of 8-bit samples, image by image")
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


@check(INTERNAL, "SSIM is at most 1; over the scales of a photograph MS-SSIM is the larger")
def ssim_ranges(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """SSIM and MS-SSIM lie between 0 and 1, and MS-SSIM is not the smaller."""
    for place, ssim in paper.of_table(table).items():
        if place.measure != "ssim":
            continue
        at = place.other(measure="ms_ssim")
        multi = paper.numbers[at]
        yield Finding(
            place=str(place),
            published=f"{ssim}, MS-SSIM {multi}",
            found=multi.value - ssim.value,
            low=0.0,
            high=1.0,
            verdict=verdict_of(consistent=0 <= ssim.value <= multi.value <= 1),
            evidence=f"0 <= {ssim} <= {multi} <= 1",
            cells=(place, at),
        )


@check(INTERNAL, "no two files of different photographs agree in a measure to every digit")
def rows_differ(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """No number of the table is that of another image or method of the same column."""
    seen: dict[tuple[str, str], Place] = {}
    twice: list[tuple[Place, Place]] = []
    for place, printed in paper.of_table(table).items():
        if place.measure in ("mse", "bytes"):
            other = seen.setdefault((place.measure, printed), place)
            if other != place:
                twice.append((other, place))
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


@check(INTERNAL, "means of the same images; each was rounded on its own")
def gain(
    paper: Paper, run: Run, table: str, match_quality: int, measure: str, printed: str
) -> Iterator[Finding]:
    """A gain quoted in the text is the difference of the table's numbers."""
    place, baseline, method = pair_at(paper, table, match_quality, measure)
    yield gain_finding(place, baseline, method, Printed(printed))


@check(INTERNAL, "the gain is that of one image of the table")
def largest_gain(
    paper: Paper, run: Run, table: str, measure: str, image: str, printed: str
) -> Iterator[Finding]:
    """The image with the largest gain is the one that the text names, with that gain."""
    gains = {
        place.image: (place, baseline, method)
        for place, baseline, method in paper.pairs(table)
        if place.measure == measure
    }
    largest = max(gains, key=lambda name: difference(*gains[name][1:]))
    cells = tuple(at for place, _, _ in gains.values() for at in place.both())
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
    yield gain_finding(*gains[image], Printed(printed))


@check(INTERNAL, "the bound is of the difference in percent of JPEG's size, image by image")
def size_bound(paper: Paper, run: Run, table: str, percent: str) -> Iterator[Finding]:
    """No image's file differs from JPEG's by more than the bound."""
    bound = Printed(percent)
    for place, baseline, method in paper.pairs(table):
        if place.measure != "bytes":
            continue
        found = 100 * (method.value - baseline.value) / baseline.value
        yield Finding(
            place=str(place),
            published=f"{percent} %",
            found=found,
            low=-bound.high,
            high=bound.high,
            verdict=verdict_of(consistent=within(found, -bound.high, bound.high)),
            evidence=f"100 x ({method} - {baseline}) / {baseline} = {found:+.3f} %",
            cells=place.both(),
        )


@check(INTERNAL, "sizes in bytes")
def smaller(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Every image's file is smaller than JPEG's."""
    for place, baseline, method in paper.pairs(table):
        if place.measure == "bytes":
            yield Finding(
                place=str(place),
                published="smaller",
                found=method.value - baseline.value,
                low=None,
                high=0,
                verdict=verdict_of(consistent=method.value < baseline.value),
                evidence=f"{method} against {baseline} bytes",
                cells=place.both(),
            )


@check(INTERNAL, "more is better in this measure")
def better_except(
    paper: Paper, run: Run, table: str, measure: str, exceptions: Sequence[str]
) -> Iterator[Finding]:
    """Every image is better than JPEG but those that the text names."""
    for place, baseline, method in paper.pairs(table):
        if place.measure != measure:
            continue
        expected = place.image not in exceptions
        yield Finding(
            place=str(place),
            published="better" if expected else "not better",
            found=difference(baseline, method),
            low=0 if expected else None,
            high=None if expected else 0,
            verdict=verdict_of(consistent=(method.value > baseline.value) == expected),
            evidence=f"{method} against {baseline}",
            cells=place.both(),
        )


@check(INTERNAL, "more is better in this measure")
def better_at_every_quality(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Every mean of the table is better than JPEG's."""
    for place, baseline, method in paper.pairs(table):
        yield Finding(
            place=str(place),
            published="better",
            found=difference(baseline, method),
            low=0,
            high=None,
            verdict=verdict_of(consistent=method.value > baseline.value),
            evidence=f"{method} against {baseline}",
            cells=place.both(),
        )


@check(INTERNAL, "the two tables' gains can be compared as they stand")
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
        one, other = (statistics.fmean(gain for _, gain in both[n]) for n in (table, than))
        yield Finding(
            place=f"text, Tables {table} and {than}, {measure}",
            published="smaller",
            found=one,
            low=None,
            high=other,
            verdict=verdict_of(consistent=one < other),
            evidence=f"mean gain {one:+.4g} (Table {table}) against {other:+.4g} (Table {than})",
            cells=tuple(at for gains in both.values() for place, _ in gains for at in place.both()),
        )


@check(INTERNAL, "the images are the same at every quality")
def rises_with_quality(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Each method's means rise with the quality."""
    for method, measure, series in by_quality(paper, table):
        numbers = [printed.value for _, printed in series]
        yield Finding(
            place=f"Table {table}, {method}, {measure}",
            published=" < ".join(printed for _, printed in series),
            found=", ".join(f"{number:g}" for number in numbers),
            low=None,
            high=None,
            verdict=verdict_of(consistent=all(a < b for a, b in itertools.pairwise(numbers))),
            evidence=f"at qualities {', '.join(str(at.match_quality) for at, _ in series)}",
            cells=tuple(at for at, _ in series),
        )


# libjpeg's scale of the tables at qualities 30, 50 and 70 is 166, 100 and 60 percent: steps
# of the same ratio, so plain JPEG's PSNR rises by about as much from 50 to 70 as from 30 to 50.
# The two-pass method need not: its first pass limits its quality.
RATIO_LOW, RATIO_HIGH = 0.5, 2.0


@check(
    INTERNAL,
    "plain JPEG at qualities of about equal ratio of the quantisation steps (30, 50, 70); its "
    "PSNR then rises by steps whose ratio is 0.5 to 2, as it does on this project's photographs",
)
def quality_steps(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """Plain JPEG's PSNR rises by steps that are alike."""
    for method, measure, series in by_quality(paper, table):
        if (method, measure) != (BASELINE, "psnr_db") or len(series) != 3:
            continue
        first, second, third = (printed.value for _, printed in series)
        found = (third - second) / (second - first) if second != first else math.inf
        yield Finding(
            place=f"Table {table}, {method}, {measure}",
            published=", ".join(printed for _, printed in series),
            found=found,
            low=RATIO_LOW,
            high=RATIO_HIGH,
            verdict=verdict_of(consistent=within(found, RATIO_LOW, RATIO_HIGH)),
            evidence=f"rises of {second - first:.3f} and {third - second:.3f} dB",
            cells=tuple(at for at, _ in series),
        )


@check(
    INTERNAL,
    "the images of the small table are like those of the large one: its mean lies in their "
    "95 % prediction interval (t); images chosen for their content need not be",
)
def means_against_images(
    paper: Paper, run: Run, images: str, means: str, match_quality: int
) -> Iterator[Finding]:
    """A mean over the set agrees with the images that are shown one by one."""
    for place, printed in paper.of_table(means).items():
        if place.match_quality != match_quality:
            continue
        shown = {
            at: number
            for at, number in paper.of_table(images).items()
            if (at.method, at.measure) == (place.method, place.measure)
        }
        values = [number.value for number in shown.values()]
        n, of = len(values), paper.samples[place.dataset].images
        t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
        mean, reach = (
            statistics.fmean(values),
            t * statistics.stdev(values) * math.sqrt(1 / n + 1 / of),
        )
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


def by_quality(paper: Paper, table: str) -> Iterator[tuple[str, str, list[tuple[Place, Printed]]]]:
    """Yield method, measure and the means in the order of their quality."""
    series: dict[tuple[str, str], list[tuple[Place, Printed]]] = {}
    for place, printed in paper.of_table(table).items():
        series.setdefault((place.method, place.measure), []).append((place, printed))
    for (method, measure), numbers in series.items():
        yield method, measure, sorted(numbers, key=lambda item: item[0].match_quality)


def pair_at(
    paper: Paper, table: str, match_quality: int, measure: str
) -> tuple[Place, Printed, Printed]:
    """Return the pair of means at one quality; `KeyError` if the table has none."""
    for place, baseline, method in paper.pairs(table):
        if (place.match_quality, place.measure) == (match_quality, measure):
            return place, baseline, method
    raise KeyError(f"Table {table}, {METHOD} ({match_quality}), {measure}")


def text_finding(printed: str, found: float, published: str, evidence: str) -> Finding:
    """Compare a number with what the text prints, which was rounded; `published` has its unit."""
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


def gain_finding(place: Place, baseline: Printed, method: Printed, quoted: Printed) -> Finding:
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
        cells=place.both(),
    )
