"""Stage gaze: what methods and maps gain where people look (docs/gaze.md).

It takes photographs with known fixations. Two tables have a row a file. The first has those of
stage compress, scored by all viewers. The second has those of methods that follow one map after the
other. Half of the viewers score them, since the other half's density is one of the maps. The rest
follows from these two. Only files of the wanted size enter differences. A curve takes any file by
the size it has.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from msroi.encoders import jpeg
from msroi.encoders.methods import DEFAULT, METHODS, encoder
from msroi.encoders.search import match_size
from msroi.errors import ImageError
from msroi.experiment.chunks import WORKERS
from msroi.experiment.comparison import (
    BASELINE,
    Pair,
    differences,
    flag,
    is_matched,
    mean,
    pairs,
    sd,
    significant,
    won,
)
from msroi.experiment.encoded import Encoded
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import rows_of
from msroi.experiment.selection import Photograph, first_by_name
from msroi.files import Row, csv_rows, write_csv, write_json
from msroi.images import Pixels, read_grey, read_rgb
from msroi.measures.curves import Curve, bd_rate_pct, efficient
from msroi.measures.gaze import GAZE, HEADLINE, density, judging
from msroi.measures.measure import Measure
from msroi.measures.perceptual import salient_region
from msroi.measures.saliency_quality import Map, size_of
from msroi.measures.student import reach_of
from msroi.network.centre_prior import centre_prior
from msroi.sources.annotations import Fixated, read_fixations

# what other methods are compared with
AGAINST = ("jpeg", "mozjpeg", "jpegli", "trellis")
# maps beside the experiment's: of the other viewers, the main map cut at its most salient fifth,
# and two that know nothing of the photograph; the schema keeps these names
HUMAN, HARD, CENTRE, UNIFORM = "human", "hard", "centre", "uniform"
MIDDLE = 0.5  # of a uniform map, as the two passes know levels

FILE = ("experiment", "dataset", "image", "method", "map", "match_quality", "bytes")
COLUMNS = (*FILE, "size_error_pct", *GAZE)
DIFFERENCE = (
    *("measure", "role", "n", "n_missed"),
    *("difference", "sd", "se", "low", "high", "won"),
)
COMPARISON_COLUMNS = ("dataset", "match_quality", "method", "against", *DIFFERENCE)
MAPS_COLUMNS = ("dataset", "method", "map", "against", *DIFFERENCE)
BYTES_COLUMNS = (
    *("dataset", "method", "against", "measure", "role", "n", "n_dropped"),
    *("ratio", "low", "high"),
)


# one method's rows by photograph
Files = dict[str, list[Row]]


class Viewers(NamedTuple):
    """Where people looked in a photograph, with two halves: those who tell, those who score."""

    everyone: Fixated
    telling: Fixated
    judging: Fixated


def run(experiment: Experiment, layout: Layout) -> None:
    """Measure files where people look. Write the tables and their summary.

    Without photographs with known fixations the tables are empty.

    Raises
    ------
    MissingError
        If the stage compress has not run.
    SourceError
        If a file of fixations is not what it should be.
    ImageError
        If an image can't be read or is too small; the message names the photograph.
    """
    params, encoded = experiment.gaze, Encoded(layout)
    looked_at, counts = photographs(layout, params.images)
    files: dict[Photograph, list[dict[str, str]]] = {one: [] for one in looked_at}
    for row in csv_rows(layout.jpeg / "index.csv"):
        place = row["dataset"], row["image"]
        if place in files and int(row["match_quality"]) in params.match_qualities:
            files[place].append(row)

    def look(place: Photograph) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        dataset, image = place
        original = layout.test_image(dataset, image)
        reference = read_rgb(original)
        viewers = looked_at[place]
        maps = {name: read_grey(layout.saliency(name, *place)) for name in experiment.heatmap.maps}
        paths = [
            encoded.file(dataset, row["method"], int(row["match_quality"]), image)
            for row in files[place]
        ]
        others = [read_rgb(path) for path in paths]
        told = all_maps(maps, experiment.main_map, viewers.telling)
        try:
            found = measured(reference, viewers.everyone, others)
            of_maps = list(following(experiment, reference, told, viewers.judging))
        except ImageError as error:
            raise ImageError(f"{original}: {error}") from None
        of_index = [
            {**row, "map": experiment.compress.follows.get(row["method"], "")}
            for row in files[place]
        ]
        name = {"experiment": experiment.name, "dataset": dataset, "image": image}
        return (
            [name | row | values for row, values in zip(of_index, found, strict=True)],
            [name | row for row in of_maps],
        )

    # NumPy, SciPy and the encoders work without holding the interpreter's lock
    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(look, looked_at)
        both = list(tqdm(done, desc="gaze", total=len(looked_at), unit="image"))
    table = [row for rows, _ in both for row in rows]
    of_maps = [row for _, rows in both for row in rows]
    differing = compare(table)
    gains = compare_maps(of_maps, experiment)
    ratios = byte_ratios(table)
    folder = layout.gaze
    for name, rows in (("per_image", table), ("maps_per_image", of_maps)):
        write_csv(folder / f"{name}.csv", COLUMNS, ({c: row[c] for c in COLUMNS} for row in rows))
    write_csv(folder / "comparison.csv", COMPARISON_COLUMNS, differing)
    write_csv(folder / "maps.csv", MAPS_COLUMNS, gains)
    write_csv(folder / "bytes.csv", BYTES_COLUMNS, ratios)
    summary = summarise(counts, table, of_maps, differing, gains, ratios)
    write_json(folder / "summary.json", summary)


# photographs and maps


def photographs(
    layout: Layout, count: int
) -> tuple[dict[Photograph, Viewers], dict[str, dict[str, int]]]:
    """Return who looked at the photographs that the stage measures, and counts by test set.

    Parameters
    ----------
    layout
        Of an experiment whose stage prepare has run.
    count
        How many photographs of each set are taken, the first by name; 0 takes all.

    Returns
    -------
    The photographs of which both halves of the viewers have fixations, sorted. The counts are
    those that are taken, `measured`, and those of no use, `without_fixations`.
    """
    fixated, _ = read_fixations(layout.downloaded)
    known: dict[Photograph, Viewers] = {}
    unknown: Counter[str] = Counter()
    sets = []
    for row in rows_of(layout, ["test"]):
        sets.append(row["dataset"])
        seen = fixated.get(row["image"].rsplit("__", 1)[-1])
        here = seen.at(size_of(row)) if seen else None
        viewers = halves(here) if here else None
        if viewers and len(viewers.telling.points) and len(viewers.judging.points):
            known[row["dataset"], row["image"]] = viewers
        else:
            unknown[row["dataset"]] += 1
    taken = {place: known[place] for place in first_by_name(known, count)}
    of_sets = Counter(dataset for dataset, _ in taken)
    counts = {
        dataset: {"measured": of_sets[dataset], "without_fixations": unknown[dataset]}
        for dataset in sorted(set(sets))
    }
    return taken, counts


def halves(seen: Fixated) -> Viewers:
    """Split the viewers, numbered from 0: the odd ones tell, the even ones score.

    Of OSIE's fifteen seven tell and eight score.
    """
    numbers = np.unique(seen.viewers)
    return Viewers(seen, seen.of(numbers[numbers % 2 == 1]), seen.of(numbers[numbers % 2 == 0]))


def all_maps(maps: Mapping[str, Map], main: str, telling: Fixated) -> dict[str, Map]:
    """Return all maps that methods follow, by name: `(H, W) float32` in [0, 1].

    Parameters
    ----------
    maps, main
        Those of the experiment, and which of them is cut.
    telling
        The fixations of half of the viewers.
    """
    human = density(telling)
    return {
        HUMAN: human / human.max(),
        **maps,
        HARD: salient_region(maps[main]).astype(np.float32),
        CENTRE: centre_prior(*telling.size),
        UNIFORM: np.full(telling.size, MIDDLE, np.float32),
    }


# files


def measured(reference: Pixels, seen: Fixated, others: Iterable[Pixels]) -> list[dict[str, float]]:
    """Return `GAZE` by name for each distorted image, rounded as the tables are."""
    judge = judging(reference, density(seen))
    return [{name: significant(value) for name, value in judge(other).items()} for other in others]


def following(
    experiment: Experiment, image: Pixels, maps: Mapping[str, Map], judges: Fixated
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a photograph's files by methods that follow one map after the other.

    All have the size of plain JPEG of `gaze.maps_quality`, whose row comes first.

    Parameters
    ----------
    experiment
        Gives the methods, of which those that need a map are taken, and their parameters.
    image
        `(H, W, 3) uint8` sRGB.
    maps
        `(H, W) float32` in [0, 1], by name.
    judges
        Those whose fixations weigh the measures.
    """
    params, quality = experiment.compress, experiment.gaze.maps_quality
    plain = jpeg.encode(image, quality)
    files = {(BASELINE, ""): (plain, 0.0)}
    for method in (name for name in params.methods if METHODS[name].needs_map):
        for name, saliency in maps.items():
            encode = encoder(method, params).prepare(image, saliency)
            match = match_size(encode, len(plain), start=quality)
            files[method, name] = match.data, match.size_error_pct
    values = measured(image, judges, (jpeg.decode(data) for data, _ in files.values()))
    for ((method, name), (data, error_pct)), of_file in zip(files.items(), values, strict=True):
        yield {
            "method": method,
            "map": name,
            "match_quality": quality,
            "bytes": len(data),
            "size_error_pct": f"{error_pct:.4f}",
            "matched": flag(error_pct, params.size_tolerance_pct),
            **of_file,
        }


# what follows from the two tables of files


def compare(table: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of `COMPARISON_COLUMNS`: each method beside each of `AGAINST`.

    Parameters
    ----------
    table
        Rows with `COLUMNS` and `matched` ("true" or "false").
    """
    cells: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in table:
        of_methods = cells.setdefault((row["dataset"], int(row["match_quality"])), {})
        of_methods.setdefault(row["method"], []).append(row)
    return [
        {"dataset": dataset, "match_quality": quality, "method": method, "against": against, **line}
        for (dataset, quality), of_methods in sorted(cells.items(), key=lambda cell: cell[0])
        for method, rows in of_methods.items()
        for against in AGAINST
        if against in of_methods and against != method
        for line in compared(rows, of_methods[against])
    ]


def compare_maps(table: Iterable[Row], experiment: Experiment) -> list[dict[str, Any]]:
    """Return rows of `MAPS_COLUMNS`: each method by each map beside plain JPEG and other maps.

    The same method follows the other maps. These are the uniform one, the main one and those that
    methods follow in stage compress.
    """
    cells: dict[str, dict[tuple[str, str], list[Row]]] = {}
    for row in table:
        of_arms = cells.setdefault(row["dataset"], {})
        of_arms.setdefault((row["method"], row["map"]), []).append(row)
    beside_each = dict.fromkeys(
        ["", UNIFORM, experiment.main_map, *experiment.compress.follows.values()]
    )
    return [
        {"dataset": dataset, "method": method, "map": name, "against": beside or BASELINE, **line}
        for dataset, of_arms in sorted(cells.items())
        for (method, name), rows in of_arms.items()
        if name
        for beside in beside_each
        if beside != name
        for line in compared(rows, of_arms[(method, beside) if beside else (BASELINE, "")])
    ]


def compared(rows: Sequence[Row], others: Sequence[Row]) -> list[dict[str, Any]]:
    """Return `DIFFERENCE` of some files and others of the same photographs, by each measure.

    `n_missed` photographs have both files, but not both of the wanted size. The n differences are
    the finite ones among the others. Of them stand the mean, the standard deviation (n - 1) and the
    standard error. Student's 95 % interval of the mean and the share above 0 follow. None stands
    where so few give no number.
    """
    of_both = pairs(rows, others)
    there = {(row["dataset"], row["image"]) for row in others}
    n_missed = sum((row["dataset"], row["image"]) in there for row in rows) - len(of_both)
    return [
        {"measure": name, "role": one.role, **paired(of_both, one), "n_missed": n_missed}
        for name, one in GAZE.items()
    ]


def paired(of_both: Iterable[Pair], measure: Measure) -> dict[str, Any]:
    """Return what `compared` says of the differences by one measure."""
    values = differences(of_both, measure.column)
    low, high = interval(values)
    spread = sd(values)
    return {
        "n": len(values),
        "difference": mean(values),
        "sd": spread,
        "se": None if spread is None else significant(spread / math.sqrt(len(values))),
        "low": low,
        "high": high,
        "won": won(values, measure.higher_is_better),
    }


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return Student's 95 % interval of the mean of values, or None of fewer than two."""
    if len(values) < 2:
        return None, None
    middle = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = reach_of(len(values)) * error
    return significant(middle - reach), significant(middle + reach)


def byte_ratios(table: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of `BYTES_COLUMNS`: a method's bytes at equal quality, in parts of another's.

    Each photograph's files make a curve a method. From two curves follows a ratio of bytes, the
    BD-rate (`curves.bd_rate_pct`). The n photographs that have one give the mean and Student's 95 %
    interval, both of its logarithm. `n_dropped` have none.
    """
    files: dict[str, dict[str, Files]] = {}
    for row in table:
        of_methods = files.setdefault(row["dataset"], {})
        of_methods.setdefault(row["method"], {}).setdefault(row["image"], []).append(row)
    return [
        {
            **{"dataset": dataset, "method": method, "against": against},
            **{"measure": name, "role": measure.role},
            **byte_ratio(of_images, of_methods[against], name),
        }
        for dataset, of_methods in sorted(files.items())
        for method, of_images in of_methods.items()
        for against in AGAINST
        if against in of_methods and against != method
        for name, measure in GAZE.items()
    ]


def byte_ratio(files: Files, others: Files, name: str) -> dict[str, Any]:
    """Return what `byte_ratios` says of the files of two methods by one measure."""
    rates = [
        bd_rate_pct(curve(others[image], name), curve(rows, name))
        for image, rows in files.items()
        if image in others
    ]
    logs = [math.log1p(rate / 100) for rate in rates if rate is not None]
    ratios = zip(("ratio", "low", "high"), (mean(logs), *interval(logs)), strict=True)
    return {
        "n": len(logs),
        "n_dropped": len(rates) - len(logs),
        **{key: None if log is None else significant(math.exp(log)) for key, log in ratios},
    }


def curve(rows: Sequence[Row], name: str) -> Curve:
    """Return the curve of one photograph's files by one method."""
    return efficient([float(row["bytes"]) for row in rows], [float(row[name]) for row in rows])


def summarise(
    counts: Mapping[str, Mapping[str, int]],
    table: Iterable[Row],
    of_maps: Iterable[Row],
    differing: Iterable[Row],
    gains: Sequence[Row],
    ratios: Iterable[Row],
) -> dict[str, Any]:
    """Return the few numbers that say how it went, and nothing of sets without fixations.

    Parameters
    ----------
    counts
        As `photographs` returns them.
    table, of_maps
        Rows with `COLUMNS` and `matched`.
    differing, gains, ratios
        As `compare`, `compare_maps` and `byte_ratios` return them.

    Returns
    -------
    dict
        `photographs` has the counts, `missed` how many files have not the wanted size. Of the
        default method, and of `HEADLINE`: `differences` from others by quality, and `bytes` in
        parts of theirs. `maps` has what each method gains over plain JPEG by each map, and
        `of_human` its gain at fixations over the uniform map, in parts of that of the other
        viewers' map. `roles` are those of the measures.
    """
    missed: dict[str, Any] = {}
    for name, rows in (("files", table), ("files_of_maps", of_maps)):
        for row in rows:
            of_set = missed.setdefault(row["dataset"], {"files": 0, "files_of_maps": 0})
            of_set[name] += not is_matched(row)
    ours = [row for row in differing if row["method"] == DEFAULT and row["measure"] in HEADLINE]
    keys = [(r["dataset"], r["against"], f"q{r['match_quality']}", r["measure"]) for r in ours]
    over_plain = [r for r in gains if r["against"] == BASELINE and r["measure"] in HEADLINE]
    saved = [r for r in ratios if r["method"] == DEFAULT and r["measure"] in HEADLINE]
    return {
        "photographs": counts,
        "missed": missed,
        "differences": nested(zip(keys, (row["difference"] for row in ours), strict=True)),
        "bytes": nested(
            ((row["dataset"], row["against"], row["measure"]), row["ratio"]) for row in saved
        ),
        "maps": nested(
            ((row["dataset"], row["method"], row["map"], row["measure"]), row["difference"])
            for row in over_plain
        ),
        "of_human": nested(parts_of_human(gains)),
        "roles": {name: one.role for name, one in GAZE.items()},
    }


def parts_of_human(gains: Iterable[Row]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield each map's gain at fixations over the uniform map in parts of `HUMAN`'s.

    The order is by set, method and map. It yields nothing where the latter gains nothing.
    """
    of_maps = {
        (row["dataset"], row["method"], row["map"]): row["difference"]
        for row in gains
        if (row["against"], row["measure"]) == (UNIFORM, HEADLINE[0])
    }
    for (dataset, method, name), gain in of_maps.items():
        human = of_maps[dataset, method, HUMAN]
        if name != HUMAN and gain is not None and human is not None and human > 0:
            yield (dataset, method, name), significant(gain / human)


def nested(values: Iterable[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    """Return values by the first part of their keys, then by the second, and so on."""
    found: dict[str, Any] = {}
    for (*outer, last), value in values:
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return found
