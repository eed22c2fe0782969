"""What the page of stage report shows: the experiment's tables, photographs and figures."""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from msroi.audit import published
from msroi.audit.check import KINDS, kind
from msroi.encoders.context import FORMATS
from msroi.experiment.comparison import BASELINE, with_matched
from msroi.experiment.encoded import Encoded
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.experiment.prepared_images import main_map
from msroi.files import Row, read_csv, read_json
from msroi.images import BLOCK_PX, read_rgb
from msroi.measures.distortion import HEADLINE, METRICS
from msroi.report import charts, gallery, verdict
from msroi.report.gallery import Opening
from msroi.report.page import Figure, Page, Table, table
from msroi.report.verdict import MEASURES, Difference
from msroi.workflow import pipeline
from msroi.workflow.dvc_hash import version_of

FIGURE_PX, FIGURE_QUALITY = 1400, 80
OPENING_ZOOM = 2
ERROR_NOTE = (
    f"Errors: root mean squared error of each {BLOCK_PX}×{BLOCK_PX} block over "
    f"red, green and blue; black is 0, the brightest {gallery.ERROR_LEVELS:.0f} or more of 255 "
    "levels. "
    "“Minus jpeg” is the difference from plain JPEG of the same size."
)
TITLES = {name: metric.title for name, metric in METRICS.items()} | {
    "image": "image",
    "dataset": "set",
    "match_quality": "size of jpeg at quality",
    "method": "method",
    "metric": "measure",
    "measure": "measure",
    "n": "n",
    "psnr_sd": "sd",
    "ssim_sd": "sd",
    "bytes": "bytes",
    "mean_q_final": "mean quality",
    "mean_bytes": "mean bytes",
    "size_error_pct_max": "largest size error (%)",
    "table": "table",
    "published": "published",
    "this_run": "this run",
    "difference": "difference",
    "mean_jpeg": "mean of jpeg",
    "mean_method": "mean of method",
    "oneway_p": "one-way p",
    "difference_ci_low": "from",
    "difference_ci_high": "to",
    "paired_p": "paired p",
    "paired_p_holm": "paired p (Holm)",
    "note": "note",
    "against": "against",
    "bd_rate_pct": "BD-rate (%)",
    "sd": "sd",
    "paper": "paper",
    "place": "place",
    "verdict": "verdict",
    "found": "found",
    "range": "range",
    "family": "family",
    "check": "check",
    "evidence": "evidence",
}
STATISTICS = (
    *("dataset", "metric", "match_quality", "method", "n", "mean_jpeg", "mean_method"),
    *("difference", "difference_ci_low", "difference_ci_high", "oneway_p", "paired_p_holm", "note"),
)
FINDINGS = ("paper", "place", "published", "verdict", "evidence", "found", "range", "check")
BD_RATES = ("dataset", "method", "against", "measure", "n", "bd_rate_pct", "sd")
PACKAGES = (
    *("msroi", "jax", "flax", "optax", "numpy", "pillow", "scikit-image", "statsmodels"),
    *("jpeglib", "mozjpeg-lossless-optimization", "ajpegli", "snakemake", "dvc"),
    *("matplotlib", "jinja2", "vl-convert-python"),
)


def report_page(
    experiment: Experiment,
    layout: Layout,
    rows: Iterable[Mapping[str, str]],
    made: Mapping[str, tuple[Sequence[str], Sequence[Row]]],
    captions: Mapping[int, str],
    conventions: Sequence[str],
) -> Page:
    """Put together what the page of an experiment shows.

    Parameters
    ----------
    rows
        Those of metrics/per_image.csv. Several loops read them.
    made
        Columns and rows of Tables 1-4, and `comparison` if there is one.
    captions
        Those of Figures 1-6.
    conventions
        What numbers mean, a sentence each.
    """
    tolerance = experiment.compress.size_tolerance_pct
    anova = read_csv(layout.anova / "anova.csv")
    curves = [
        row
        for row in read_csv(layout.rate_distortion / "curves.csv")
        if row["method"] not in FORMATS
    ]
    findings = [finding(row) for row in read_csv(layout.audit / "audit.csv")]
    findings.sort(key=lambda row: KINDS.index(kind(row["verdict"])))
    model = read_json(layout.model / "summary.json")
    top, opening = said_first(experiment, layout)
    shown, note = photographs(experiment, layout, rows, opening)
    return Page(
        title=f"MS-ROI, experiment {experiment.name}",
        lead=(
            "Content-aware JPEG against plain JPEG of the same file size, after Selimović and "
            "Hladnik (2018): every number here is of this run."
        ),
        **top,
        gallery_note=note,
        error_note=ERROR_NOTE,
        photographs=shown,
        opening=opening,
        summary=gains_table(experiment, read_json(layout.metrics / "summary.json")),
        tables=[*report_tables(experiment, made)],
        curves_tables=[
            titled("BD-rate: bits needed for equal quality", BD_RATES, bd_rates(layout))
        ],
        statistics=titled("One-way ANOVA as in the paper, and the paired test", STATISTICS, anova),
        figures=[
            Figure(number, caption, picture(layout.figures / f"figure{number}.png"))
            for number, caption in captions.items()
        ],
        training_note=(
            f"Validation: top 1 {model['val_top1']:.3f}, top 5 {model['val_top5']:.3f}, on "
            f"{model['val_images']} images of {model['classes']} classes; trained layers: "
            f"{experiment.train.trainable}."
        ),
        audit=titled("Published numbers and their verdicts", FINDINGS, findings, id="findings"),
        verdicts=[one for one in KINDS if one in {kind(row["verdict"]) for row in findings}],
        conventions=[line.replace("`", "") for line in conventions],
        provenance=[inputs(experiment), packages()],
        parameters=yaml.safe_dump(asdict(experiment), sort_keys=False),
        charts={
            "spread": charts.spread(gallery.gains(with_matched(rows, tolerance))),
            "rate_distortion": charts.rate_distortion(curves),
            "intervals": charts.intervals(anova),
            "training": charts.training(read_csv(layout.model / "history.csv")),
            "verdicts": charts.verdicts(
                [{**row, "verdict": kind(row["verdict"])} for row in findings]
            ),
        },
        sources={
            "spread": f"{layout.metrics}/per_image.csv",
            "rate_distortion": f"{layout.rate_distortion}/curves.csv",
            "intervals": f"{layout.anova}/anova.csv, alpha {experiment.anova.alpha}",
            "training": f"{layout.model}/history.csv",
            "verdicts": f"{layout.audit}/audit.csv",
        },
    )


def finding(row: Mapping[str, str]) -> dict[str, str]:
    """Return a row of audit/audit.csv with numbers rounded as one reads them."""
    found, low, high = (rounded(row[name]) for name in ("found", "low", "high"))
    return {**row, "found": found, "range": f"{low} to {high}" if low and high else ""}


def rounded(text: str) -> str:
    """Return a number with five digits, and other text as it is."""
    try:
        return f"{float(text):.5g}"
    except ValueError:
        return text


def said_first(experiment: Experiment, layout: Layout) -> tuple[dict[str, Any], Opening]:
    """Return the page's verdict, numbers and their table, and what the viewer opens with."""
    quality = gallery.middle_quality(experiment.compress.match_qualities)
    methods = experiment.compress.methods
    found = verdict.compared(methods)
    if found is None:
        return {}, Opening(quality, methods[0], methods[-1], OPENING_ZOOM)
    method, against = found
    differences = verdict.differences(
        [
            verdict.of_metrics(read_csv(layout.metrics / "comparison.csv")),
            verdict.by_measure(read_csv(layout.judges / "comparison.csv"), "judge"),
            verdict.by_measure(read_csv(layout.gaze / "comparison.csv"), "measure"),
        ],
        method,
        quality,
    )
    top = {
        "verdict": verdict.sentence(differences, method, against, quality),
        "verdict_note": verdict.footnote(differences, method, against),
        "numbers": verdict.three(differences, read_csv(layout.gaze / "bytes.csv"), method, against),
        "evidence": evidence(differences.values(), method, quality),
    }
    return top, Opening(quality, against, method, OPENING_ZOOM)


def evidence(found: Iterable[Difference], method: str, quality: int) -> Table | None:
    """Return the table behind the verdict: a method minus the others by every measure.

    A run whose tables compare nothing has none.
    """
    rows = [
        [
            MEASURES[one.measure].title,
            one.against,
            "all" if one.dataset == verdict.EVERY_SET else one.dataset,
            str(one.n),
            *(
                verdict.signed(value, MEASURES[one.measure].gain_digits)
                for value in (one.mean, one.low, one.high)
            ),
            "–" if one.won is None else f"{100 * one.won:.0f}",
            one.standing,
        ]
        for one in found
        if one.measure in verdict.SHOWN
    ]
    less = verdict.listed(
        [MEASURES[name].label for name in verdict.SHOWN if not MEASURES[name].higher_is_better]
    )
    order = {MEASURES[name].title: place for place, name in enumerate(verdict.SHOWN)}
    rows.sort(key=lambda row: order[row[0]])
    if not rows:
        return None
    return Table(
        f"{method} minus other methods by every measure",
        ["measure", "minus", "set", "n", "difference", "from", "to", "better on (%)", method],
        rows,
        f"At the size of plain JPEG of quality {quality}; from and to are the 95 % interval "
        f"of the mean. Less is better of {less}.",
    )


def photographs(
    experiment: Experiment,
    layout: Layout,
    rows: Iterable[Mapping[str, str]],
    opening: Opening,
) -> tuple[list[dict[str, Any]], str]:
    """Return the photographs of the gallery, as many as fit, and the rule of their choice."""
    settings, encoded = experiment.compress, Encoded(layout)
    by = opening.right
    scores = read_csv(layout.judges / "per_image.csv")

    def judged() -> Iterator[Row]:
        return with_matched(rows, settings.size_tolerance_pct)

    @cache
    def pictures(place: tuple[str, str]) -> dict[str, Any]:
        files = {
            quality: {
                method: encoded.file(place[0], method, quality, place[1]).read_bytes()
                for method in settings.methods
            }
            for quality in settings.match_qualities
        }
        original = read_rgb(layout.test_image(*place))
        saliency = main_map(experiment, layout, *place)
        return gallery.photograph(place, original, saliency, files, opening)

    at_opening = (row for row in judged() if int(row["match_quality"]) == opening.quality)
    places = gallery.ranked(at_opening, by)
    seen = {(row["dataset"], row["image"]) for row in scores}
    median = gallery.middle(places, seen)
    marked = gallery.marks(places, median)
    chosen = gallery.fitting(places, median, lambda place: picture_bytes(pictures(place)))
    measured: dict[tuple[str, str], dict[int, list[Row]]] = {
        place: {quality: [] for quality in settings.match_qualities} for place in chosen
    }
    of_chosen = (row for row in judged() if (row["dataset"], row["image"]) in measured)
    for row in gallery.with_scores(of_chosen, scores):
        measured[row["dataset"], row["image"]][int(row["match_quality"])].append(row)
    for of_place in measured.values():
        for of_quality in of_place.values():
            of_quality.sort(key=lambda row: settings.methods.index(row["method"]))
    what = (
        f"All {len(places)} photographs"
        if len(chosen) == len(places)
        else f"{len(chosen)} of {len(places)} photographs, from the worst to the best"
    )
    note = (
        f"{what}. Best, median and worst are those by what {by} gains over plain JPEG in "
        f"saliency-weighted PSNR at quality {opening.quality}. As the median counts the nearest "
        "photograph that has perceptual scores. The page opens with it, at the place within the "
        f"most salient fifth where the SSIM of {opening.left} and of {by} are furthest apart. All "
        "files of a quality have the size of plain JPEG of that quality, and are in this page byte "
        f"for byte; the original is shown as WebP of quality {gallery.ORIGINAL_QUALITY}. "
        f"Numbers of every photograph, method and size: {layout.metrics}/per_image.csv."
    )
    return [
        {**gallery.with_numbers(pictures(place), of_place), "mark": marked.get(place, "")}
        for place, of_place in measured.items()
    ], note


def picture_bytes(one: Mapping[str, Any]) -> int:
    """Return the bytes of a photograph's pictures, before base64."""
    uris = [one["thumbnail"], one["original"], one["heat"]]
    uris += [
        uri
        for of_quality in one["qualities"].values()
        for file in of_quality["files"].values()
        for uri in file.values()
    ]
    return sum(map(len, uris)) * 3 // 4


def titled(
    title: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]], **others: str
) -> Table:
    """Return rows as a table with the columns' `TITLES`."""
    return table(title, {column: TITLES[column] for column in columns}, rows, **others)


def gains_table(experiment: Experiment, summary: Mapping[str, Any]) -> Table:
    """Return what each method gains over plain JPEG, by set, from metrics/summary.json."""
    columns = ["set", "method", "n"] + [
        f"{METRICS[name].short} {quality}"
        for name in HEADLINE
        for quality in experiment.compress.match_qualities
    ]
    rows = []
    for dataset, method, counts, values in mean_gains(experiment, summary):
        n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        rows.append([dataset, method, n, *(value.replace("-", "−") for value in values)])
    note = (
        "Mean differences over the photographs whose size both have matched, by the quality of "
        "plain JPEG; PSNR in dB; wPSNR is PSNR weighted by saliency."
    )
    return Table("Gain over plain JPEG of the same size", columns, rows, note)


def mean_gains(
    experiment: Experiment, summary: Mapping[str, Any]
) -> Iterator[tuple[str, str, list[int], list[str]]]:
    """Yield what each method gains over plain JPEG, by set, from metrics/summary.json.

    First come dataset, method, and how many photographs there are at the qualities, sorted. Then
    come the mean differences as text, of each of `HEADLINE` at each quality.
    """
    for dataset, methods in summary.items():
        for method in (name for name in experiment.compress.methods if name != BASELINE):
            cells = [
                methods[method][f"q{quality}"]["minus_jpeg"]
                for quality in experiment.compress.match_qualities
            ]
            values = [
                signed(cell[name], METRICS[name].gain_digits) for name in HEADLINE for cell in cells
            ]
            yield dataset, method, sorted({cell["n"] for cell in cells}), values


def signed(value: float | None, decimals: int) -> str:
    """Format a difference with its sign, or a dash if there is none."""
    return "–" if value is None else f"{value:+.{decimals}f}"


def report_tables(
    experiment: Experiment, made: Mapping[str, tuple[Sequence[str], Sequence[Row]]]
) -> Iterable[Table]:
    """Yield Tables 1-4, the published ones beside them where there are any."""
    names = experiment.report
    titles = {
        "table1": f"Table 1: photographs of the set {names.salient_set}",
        "table2": f"Table 2: photographs of the set {names.texture_set}",
        "table3": f"Table 3: means of the set {names.salient_set}",
        "table4": f"Table 4: means of the set {names.texture_set}",
        "comparison": "Tables 3 and 4: published means, and this run's",
    }
    for name, title in titles.items():
        if name in made:
            columns, rows = made[name]
            yield titled(title, columns, rows)
    if names.published != published.NONE:
        yield from published_tables(names.published)


def published_tables(paper: str) -> Iterable[Table]:
    """Yield the paper's Tables 1 and 2, whose photographs are others than this run's."""
    numbers = read_csv(published.FOLDER / paper / "tables.csv")
    for number in ("1", "2"):
        lines: dict[tuple[str, str], dict[str, str]] = {}
        for row in (row for row in numbers if row["table"] == number):
            lines.setdefault((row["image"], row["method"]), {})[row["measure"]] = row["value"]
        measures = list(dict.fromkeys(name for line in lines.values() for name in line))
        yield Table(
            f"Table {number} as published",
            ["image", "method", *measures],
            [
                [*place, *(line.get(name, "–") for name in measures)]
                for place, line in lines.items()
            ],
            "Of other photographs than this run's.",
        )


def bd_rates(layout: Layout) -> list[dict[str, str]]:
    """Return the BD-rates, rounded as one reads them, with formats other than JPEG marked so."""
    rows = read_csv(layout.rate_distortion / "bd_rate.csv")
    for row in rows:
        if row["method"] in FORMATS:
            row["method"] += " (context)"
        for name in ("bd_rate_pct", "sd"):
            row[name] = f"{float(row[name]):.1f}" if row[name] else ""
    return rows


def picture(path: Path) -> str:
    """Return a figure as a data URI, smaller than its file."""
    return gallery.webp(gallery.smaller(read_rgb(path), FIGURE_PX), FIGURE_QUALITY)


def inputs(experiment: Experiment) -> Table:
    """Return what the stage has read, with the hashes that dvc.lock has of the same files."""
    deps = (dep.format(experiment=experiment.name) for dep in pipeline.read_stages()["report"].deps)
    rows = []
    for dep in (dep for dep in deps if not dep.startswith("src/")):
        found = version_of(Path(dep))
        rows.append([dep, str(found.size), str(found.files or "–"), found.md5])
    return Table(
        "What this page was made from", ["path", "bytes", "files", "md5 in dvc.lock"], rows
    )


def packages() -> Table:
    """Return the versions of the packages that decide what is in the results."""
    rows = [["python", platform.python_version()], *([name, version(name)] for name in PACKAGES)]
    return Table("Versions of packages", ["package", "version"], rows)
