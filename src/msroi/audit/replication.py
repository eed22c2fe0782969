"""Checks of a paper against this run: its means, its gains and its images, however meant.

A printed mean is *consistent* if it lies where this project's own conventions expect the mean of
such a sample. It is *explained* by another interpretation if it lies where that one has it, else
*not reproduced*. Of many interpretations some fit by chance. `one_protocol` asks for one that fits
a whole column.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from msroi.audit.check import (
    CANNOT_TELL,
    CONSISTENT,
    EXPLAINED,
    INCONSISTENT,
    INDEX,
    NOT_REPRODUCED,
    REPLICATION,
    SPREAD,
    Finding,
    Run,
    check,
    nothing_measured,
)
from msroi.audit.published import Paper, Place, Printed, Sample, difference
from msroi.audit.readings import (
    FEWEST,
    MEANINGS,
    Measured,
    Range,
    Reading,
    both_arms,
    by_image,
    expected,
    gain_by_image,
    interval,
    of_direction,
    range_of,
    readings,
    rows,
)
from msroi.experiment.comparison import AS_RUN
from msroi.files import Row

SAMPLING = (
    "the paper's images and this run's are draws from the same kind of photographs; the 95 % "
    "interval is of the difference of their means"
)


@check(REPLICATION, SAMPLING)
def set_mean(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """A printed mean lies where this run expects it, in one reading or another."""
    for place, printed in paper.of_table(table).items():
        yield read(paper, run, place, printed, by_image)


@check(REPLICATION, f"{SAMPLING}; gains are taken image by image")
def set_gain(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """A printed gain lies where this run expects it, in one reading or another."""
    for place, baseline, method in paper.pairs(table):
        printed = Printed(str(method.decimal - baseline.decimal))
        yield read(paper, run, place, printed, gain_by_image)


def read(paper: Paper, run: Run, place: Place, printed: Printed, measured: Measured) -> Finding:
    """Judge a printed mean, or gain, by all its interpretations."""
    of_gain = measured is gain_by_image
    sample = paper.sample(place.dataset, "images", "of")
    ranges = {
        reading: range_
        for reading in readings(run, place.measure)
        if (range_ := range_of(paper, run, place, reading, sample, measured)) is not None
    }
    if not ranges:
        return nothing_measured(paper, run, place, printed)
    own = next(iter(ranges))
    verdict, why = judged(printed, ranges, of_gain=of_gain)
    return Finding(
        place=f"{place}, gain" if of_gain else str(place),
        published=printed,
        found=ranges[own].mean,
        low=ranges[own].low,
        high=ranges[own].high,
        verdict=verdict,
        evidence=why,
        cells=paper.both(place) if of_gain else (place,),
        values=tuple(measured(paper, run, place, own).values()),
        axis=("gain, " if of_gain else "") + str(own),
    )


def judged(printed: Printed, ranges: Mapping[Reading, Range], *, of_gain: bool) -> tuple[str, str]:
    """Return verdict and evidence by the range of each interpretation, this project's own first.

    Of fitting interpretations, one of the files as this run made them comes before any other.
    """
    own = next(iter(ranges))
    fitting = sorted(
        (reading for reading, range_ in ranges.items() if covers(range_, printed)),
        key=lambda reading: (reading.protocol != AS_RUN, distance(ranges[reading], printed)),
    )
    what = f"this run {ranges[own].mean:.4f} (n = {ranges[own].n}, {own})"
    if own in fitting:
        return CONSISTENT, what
    if fitting:
        best = ranges[fitting[0]]
        return f"{EXPLAINED}{fitting[0]}", (
            f"{what}; {best.mean:.4f} ({best.low:.4f} to {best.high:.4f}, n = {best.n}) by "
            f"{fitting[0]}; {len(fitting)} of {len(ranges)} readings fit"
        )
    if not of_gain and (exchange := exchanged(printed, ranges)):
        text, reading = exchange
        return (
            f"{EXPLAINED}two digits exchanged ({text}), {reading}",
            f"{what}; none of {len(ranges)} readings fits {printed}, but {text} fits {reading}",
        )
    nearest = min(ranges, key=lambda reading: distance(ranges[reading], printed))
    return (
        NOT_REPRODUCED,
        f"{what}; nearest of {len(ranges)} readings: {ranges[nearest].mean:.4f}, {nearest}",
    )


def covers(range_: Range, printed: Printed) -> bool:
    """Tell whether a number that rounds to the printed one can lie in the range."""
    return range_.low <= printed.high and printed.low <= range_.high


def distance(range_: Range, printed: Printed) -> float:
    """Return how far a printed number is from the mean, in half widths of the range."""
    half = (range_.high - range_.low) / 2
    return abs(printed.value - range_.mean) / half if half else np.inf


def exchanged(printed: Printed, ranges: Mapping[Reading, Range]) -> tuple[str, Reading] | None:
    """Return the number with two neighbouring digits exchanged that fits a range, if any.

    It tries only ranges of the files as this run made them, lest something always fits.
    """
    places = [i for i, sign in enumerate(printed) if sign.isdigit()]
    for one, next_ in itertools.pairwise(places):
        signs = list(printed)
        signs[one], signs[next_] = signs[next_], signs[one]
        text = "".join(signs)
        for reading, range_ in ranges.items():
            if text != printed and reading.protocol == AS_RUN and covers(range_, Printed(text)):
                return text, reading
    return None


@check(REPLICATION, "this run's photographs are of the same kind; the interval is of its mean gain")
def better_replicated(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """MS-ROI is better than JPEG of the same size also in this run."""
    for place, baseline, method in paper.pairs(table):
        arms = both_arms(paper, run, place, next(iter(MEANINGS.get(place.measure, {"": ""}))))
        if len(arms[0]) < FEWEST:
            yield nothing_measured(paper, run, place, "better")
            continue
        gains = arms[1] - arms[0]
        mean, low, high = interval(gains)
        claimed = 1 if difference(baseline, method) > 0 else -1
        yield Finding(
            place=f"{place}, direction",
            published="better" if claimed > 0 else "worse",
            found=mean,
            low=0.0 if claimed > 0 else None,
            high=None if claimed > 0 else 0.0,
            verdict=of_direction(*sorted((claimed * low, claimed * high))),
            evidence=f"mean gain {mean:+.4f} ({low:+.4f} to {high:+.4f}), better "
            f"on {int((gains > 0).sum())} of {len(gains)} photographs",
            cells=paper.both(place),
        )


@check(REPLICATION, SAMPLING)
def one_protocol(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """One reading explains all printed means of a method."""
    numbers = paper.of_table(table)
    for method in dict.fromkeys(place.method for place in numbers):
        column = {place: text for place, text in numbers.items() if place.method == method}
        first = next(iter(column))
        if not rows(paper, run, first, AS_RUN):
            yield nothing_measured(paper, run, first, method)
            continue
        whole = whole_readings(run, {place.measure for place in column})
        fits = {
            reading: sum(
                fits_at(paper, run, place, text, reading) for place, text in column.items()
            )
            for reading in whole
        }
        best = max(fits, key=fits.__getitem__)
        name = ", ".join(dict.fromkeys(part for of in best for part in str(of).split(", ")))
        complete = fits[best] == len(column)
        own = all(reading.own for reading in best)
        yield Finding(
            place=f"Table {table}, {method}",
            published=f"{len(column)} means",
            found=fits[best],
            low=len(column),
            high=len(column),
            verdict=(CONSISTENT if own else f"{EXPLAINED}{name}") if complete else NOT_REPRODUCED,
            evidence=f"the best of {len(whole)} readings fits {fits[best]} of {len(column)}: "
            f"{name}",
            cells=tuple(column),
        )


def whole_readings(run: Run, measures: set[str]) -> list[tuple[Reading, ...]]:
    """Return every protocol with every meaning of each measure, this project's own first."""
    meanings = [
        [(name, meaning) for meaning in MEANINGS.get(name, {})] for name in sorted(measures)
    ]
    return [
        tuple(Reading(protocol, meaning, name) for name, meaning in combined)
        for protocol in run.protocols
        for combined in itertools.product(*meanings)
    ]


def fits_at(
    paper: Paper, run: Run, place: Place, printed: Printed, whole: Sequence[Reading]
) -> bool:
    """Tell whether an interpretation of all measures fits one printed mean."""
    (reading,) = (of for of in whole if of.measure == place.measure)
    range_ = range_of(
        paper, run, place, reading, paper.sample(place.dataset, "images", "of"), by_image
    )
    return range_ is not None and covers(range_, printed)


@check(REPLICATION, "the paper's average is over its images of the sets that are named")
def quality_final(
    paper: Paper, run: Run, setting: str, printed: str, datasets: Sequence[str]
) -> Iterator[Finding]:
    """The mean quality of the second pass is about the printed one."""
    places = [Place("", name, "", setting, paper.proposed[0], "q_final") for name in datasets]
    found = np.array([row["q_final"] for at in places for row in rows(paper, run, at, AS_RUN)])
    if len(found) < FEWEST:
        yield nothing_measured(paper, run, places[0], printed)
        return
    images = sum(paper.sample(name, "images", "of").images for name in datasets)
    of = sum(paper.sample(name, "images", "of").of for name in datasets)
    range_ = expected(found, Sample(images, of))
    yield Finding(
        place=f"text, Q_final for quality {setting}",
        published=printed,
        found=range_.mean,
        low=range_.low,
        high=range_.high,
        verdict=CONSISTENT if covers(range_, Printed(printed)) else NOT_REPRODUCED,
        evidence=f"mean {range_.mean:.2f}, sd {found.std(ddof=1):.2f}, n = {len(found)}",
        values=tuple(found),
        axis="Q_final",
    )


# how near a photograph must come to the printed numbers to be taken for the printed one
NEAR_BYTES_PCT, NEAR_DB, NEAR_SSIM = 0.2, 0.01, 0.0006
NEAR_GAIN_DB = 0.1


@check(
    REPLICATION,
    f"a photograph is the printed one if plain JPEG's size is within {NEAR_BYTES_PCT} % and its "
    f"PSNR, in some meaning, within {NEAR_DB} dB; that another one does so by chance has a "
    "probability below 0.001",
)
def image_identified(paper: Paper, run: Run, table: str) -> Iterator[Finding]:
    """A printed image is one of this run's, which then says how its numbers were taken.

    On an identified photograph the check compares the printed gain with this run's.
    """
    images = dict.fromkeys(
        place.other(method=paper.baseline, measure="") for place in paper.of_table(table)
    )
    for image in images:
        numbers = {
            name: paper.numbers[image.other(measure=name)]
            for name in ("psnr_db", "ssim", "ms_ssim", "bytes")
            if name in ("psnr_db", "bytes") or image.other(measure=name) in paper.numbers
        }
        cells = tuple(image.other(measure=name) for name in numbers)
        candidates = rows(paper, run, image, AS_RUN)
        match = identify(candidates, numbers)
        said = ", ".join(f"{name} {text}" for name, text in numbers.items())
        if match is None:
            of = paper.sample(image.dataset, "of").of
            complete = bool(candidates) and len(candidates) >= of
            yield Finding(
                place=str(image.other(measure="all measures")),
                published=said,
                found=None,
                low=None,
                high=None,
                verdict=NOT_REPRODUCED if complete else CANNOT_TELL,
                evidence=f"none of this run's {len(candidates)} photographs in place of "
                f"{image.dataset} has these numbers; there are {of}"
                f"{nearest(candidates, numbers)}",
                cells=cells,
            )
            continue
        row, meaning = match
        yield identification(image, numbers, row, meaning, said, cells)
        yield from gain_on(paper, run, image, row, meaning)


def identify(candidates: Sequence[Row], numbers: dict[str, Printed]) -> tuple[Row, str] | None:
    """Return the photograph with the printed size and PSNR, and in which meaning, if any."""
    near = [
        (abs(row[meaning] - numbers["psnr_db"].value), row, meaning)
        for row in candidates
        for meaning in MEANINGS["psnr_db"]
        if abs(row["bytes"] / numbers["bytes"].value - 1) * 100 <= NEAR_BYTES_PCT
        and abs(row[meaning] - numbers["psnr_db"].value) <= NEAR_DB
    ]
    _, row, meaning = min(near, key=lambda found: found[0], default=(None, None, None))
    return None if row is None or meaning is None else (row, meaning)


def nearest(candidates: Sequence[Row], numbers: dict[str, Printed]) -> str:
    """Say which photograph comes nearest in size and PSNR, and how near."""

    def away(row: Row, meaning: str) -> tuple[float, float]:
        pct = abs(row["bytes"] / numbers["bytes"].value - 1) * 100
        return pct, abs(row[meaning] - numbers["psnr_db"].value)

    tried = [(row, meaning) for row in candidates for meaning in MEANINGS["psnr_db"]]
    if not tried:
        return ""
    row, meaning = min(
        tried, key=lambda one: max(away(*one)[0] / NEAR_BYTES_PCT, away(*one)[1] / NEAR_DB)
    )
    pct, db = away(row, meaning)
    return (
        f"; the nearest, {row['image']}, is {pct:.2f} % in size and {db:.3f} dB "
        f"({MEANINGS['psnr_db'][meaning]}) away"
    )


def identification(
    image: Place,
    numbers: dict[str, Printed],
    row: Row,
    meaning: str,
    said: str,
    cells: tuple[Place, ...],
) -> Finding:
    """Say which photograph it is and which conventions give its printed numbers."""
    own_ssim = next(iter(MEANINGS["ssim"]))
    printed = numbers.get("ssim")
    ssim = (
        min(MEANINGS["ssim"], key=lambda name: abs(row[name] - printed.value))
        if printed
        else own_ssim
    )
    fits = printed is None or abs(row[ssim] - printed.value) <= NEAR_SSIM
    names = MEANINGS["psnr_db"][meaning], MEANINGS["ssim"][ssim]
    own = meaning == next(iter(MEANINGS["psnr_db"])) and ssim == own_ssim
    explained = CONSISTENT if own else f"{EXPLAINED}{', '.join(names)}"
    return Finding(
        place=str(image.other(measure="all measures")),
        published=said,
        found=row["image"],
        low=None,
        high=None,
        verdict=explained if fits else INCONSISTENT,
        evidence=f"photograph {row['image']}: {row['bytes']:.0f} bytes, "
        f"{row[meaning]:.3f} dB ({names[0]}), {row[ssim]:.4f} ({names[1]}), "
        f"MS-SSIM of luma {row['ms_ssim_luma']:.4f}",
        cells=cells,
    )


def gain_on(paper: Paper, run: Run, image: Place, row: Row, meaning: str) -> Iterator[Finding]:
    """Compare the printed gain on an identified photograph with this run's."""
    at = image.other(measure="psnr_db", method=paper.proposed[0])
    printed = Printed(
        str(paper.numbers[at].decimal - paper.numbers[at.other(method=paper.baseline)].decimal)
    )
    for other in rows(paper, run, at, AS_RUN):
        if other["image"] == row["image"]:
            found = other[meaning] - row[meaning]
            yield Finding(
                place=f"{at}, gain",
                published=printed,
                found=found,
                low=found - NEAR_GAIN_DB,
                high=found + NEAR_GAIN_DB,
                verdict=CONSISTENT
                if abs(found - printed.value) <= NEAR_GAIN_DB
                else NOT_REPRODUCED,
                evidence=f"photograph {other['image']}: {other[meaning]:.3f} - "
                f"{row[meaning]:.3f} dB with {other['bytes']:.0f} against {row['bytes']:.0f} bytes",
                cells=paper.both(at),
            )


@check(
    REPLICATION,
    "the network is that of this run; without dropout nothing in it is random",
    SPREAD,
)
def passes_differ(paper: Paper, run: Run, dropout: str) -> Iterator[Finding]:
    """Several passes of one image through the network differ."""
    wanted = Printed(dropout).value
    same = [row["min_correlation"] for row in run.spread if row["dropout"] == wanted]
    other = [row["mean_correlation"] for row in run.spread if row["dropout"] != wanted]
    if not same:
        verdict, why = CANNOT_TELL, "no passes were measured"
    elif min(same) < 1:
        verdict, why = CONSISTENT, f"smallest correlation of two passes {min(same):.4f}"
    elif other and np.mean(other) < 1:
        verdict = f"{EXPLAINED}dropout at inference"
        why = (
            f"without dropout all passes are one and the same (n = {len(same)}); with it maps "
            f"correlate {np.mean(other):.3f} on average (n = {len(other)}), but the text says that "
            "dropout was not needed"
        )
    else:
        verdict, why = INCONSISTENT, f"without dropout all passes are the same (n = {len(same)})"
    yield Finding(
        place="text, Figures 1-4",
        published="slightly different",
        found=min(same, default=None),
        low=None,
        high=None,
        verdict=verdict,
        evidence=why,
    )


@check(REPLICATION, "the run trains on the data set that the paper names, split as it says", INDEX)
def images_found(
    paper: Paper, run: Run, split: str, dataset: str, printed: str
) -> Iterator[Finding]:
    """The data set has as many images in a split as printed."""
    yield counted(run, f"{dataset}, {split}", printed, run.images.get((dataset, split)))


@check(REPLICATION, "the run trains on the data set that the paper names", INDEX)
def classes_found(paper: Paper, run: Run, dataset: str, printed: str) -> Iterator[Finding]:
    """The data set has as many classes as printed."""
    yield counted(run, f"{dataset}, classes", printed, run.classes.get(dataset))


def counted(run: Run, place: str, printed: str, found: int | None) -> Finding:
    """Compare a printed count with what the run has."""
    if found is None:
        verdict, why = CANNOT_TELL, f"experiment {run.experiment} does not train on this data set"
    else:
        equal = found == Printed(printed).value
        verdict = CONSISTENT if equal else NOT_REPRODUCED
        why = f"{found} images were found" if "classes" not in place else f"{found} classes"
    return Finding(place, printed, found, None, None, verdict, why)


@check(REPLICATION, "a file's format in this run is that in the data set as distributed", INDEX)
def source_format(paper: Paper, run: Run, dataset: str, jpeg: bool) -> Iterator[Finding]:
    """The sources were JPEG files already, or none was."""
    total, of_jpeg = run.jpeg_sources.get(run.sets.get(dataset, ""), (0, 0))
    expected_count = total if jpeg else 0
    if not total:
        verdict, why = CANNOT_TELL, f"experiment {run.experiment} has no set in place of {dataset}"
    else:
        verdict = CONSISTENT if of_jpeg == expected_count else NOT_REPRODUCED
        why = f"{of_jpeg} of {total} photographs were JPEG files" + (
            "; PSNR against them counts what a second compression adds" if of_jpeg else ""
        )
    yield Finding(
        place=f"text, {dataset}",
        published="JPEG" if jpeg else "not JPEG",
        found=of_jpeg if total else None,
        low=expected_count,
        high=expected_count,
        verdict=verdict,
        evidence=why,
    )
