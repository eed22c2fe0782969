"""A small page with every part of the report's, of a photograph that scikit-image ships."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from skimage import data

from msroi.experiment import params
from msroi.measures.distortion import HEADLINE
from msroi.photos.explain import explained
from msroi.report import charts
from msroi.report.gallery import SCORES
from msroi.report.page import Figure, Page, Table
from msroi.report.verdict import Number

HOSTILE = """<script>alert('x')</script>&"name\"</script>"""
METHODS = ("jpeg", "msroi", "roi-trellis")
PARAMS = params.load("demo").compress


def one_photograph() -> Page:
    """Return the page that `msroi explain` writes."""
    image = data.chelsea()[:200, 100:340]
    saliency = np.tile(np.linspace(0, 1, 240, dtype=np.float32), (200, 1))
    return explained("chelsea.png", image, saliency, PARAMS, 50)


def made_page(names: Sequence[str] = ("cat", "dog", HOSTILE)) -> Page:
    """Return a page with all sections; the photographs differ in name and gains alone."""
    one = one_photograph()
    (photo,) = one.photographs
    ((quality, shown),) = photo["qualities"].items()
    photographs = [
        {
            **photo,
            "image": name,
            "dataset": f"set {n % 2}",
            "mark": mark,
            # the judges saw the first photograph alone, and only it differs at the other quality
            "qualities": {
                at: {"files": shown["files"], "rows": scored(shifted(shown["rows"], n + by), n)}
                for by, at in enumerate(("30", quality))
            },
        }
        for n, (name, mark) in enumerate(zip(names, ("worst", "median", "best"), strict=False))
    ]
    gains = {
        ("set 0", quality, method, measure): [shift - 1.0, shift, shift + 1.0]
        for quality in (30, 50)
        for shift, method in enumerate(METHODS[1:])
        for measure in HEADLINE
    }
    table = Table("A table", ["name", "number"], [[HOSTILE, "1.5"], ["b", "−2"]], "A note.")
    findings = [
        ["paper", "Table 1", "0.5", verdict, f"because of {verdict}", "1", "0 to 2", "check"]
        for verdict in ("inconsistent", "consistent", "consistent")
    ]
    heads = ["paper", "place", "published", "verdict", "evidence", "found", "range", "check"]
    return replace(
        one,
        title="A page of all parts",
        photographs=photographs,
        opening=replace(one.opening, zoom=2),
        verdict="A method is ahead by one measure and behind by another.",
        verdict_note="A note on the verdict.",
        numbers=[Number("+1.50 dB", "a measure", "+1.00 to +2.00", 7, "a note")] * 3,
        evidence=table,
        summary=table,
        tables=[table],
        curves_tables=[table],
        statistics=table,
        figures=[Figure(1, HOSTILE, photo["thumbnail"])],
        training_note="A note.",
        audit=Table("Findings", heads, findings, id="findings"),
        verdicts=["inconsistent", "consistent"],
        parameters="seed: 1\n",
        charts=made_charts(gains),
        sources=dict.fromkeys(made_charts(gains), "a file"),
    )


def made_charts(gains: dict[tuple[str, int, str, str], list[float]]) -> dict[str, charts.Chart]:
    """Return every chart with a few numbers."""
    curves = [
        {
            "dataset": dataset,
            "method": method,
            "quality": str(quality),
            "bpp": str(quality / 50),
            **{name: str(n + shift + quality / 10) for n, name in enumerate(HEADLINE)},
        }
        for dataset in ("set 0", "set 1")
        for shift, method in enumerate(METHODS)
        for quality in (20, 50, 80)
    ]
    anova = [
        {
            "dataset": dataset,
            "match_quality": "50",
            "method": method,
            "metric": metric,
            "n": "7",
            "difference": "1.0",
            "difference_ci_low": "0.5",
            "difference_ci_high": "1.5",
            "paired_p_holm": "0.01",
            "oneway_p": "",
        }
        for dataset in ("set 0", "set 1")
        for method in METHODS[1:]
        for metric in ("psnr_rgb_db", "ssim_luma")
    ]
    columns = ("train_loss", "train_top1", "val_loss", "val_top1", "val_top5")
    history = [{"epoch": str(n), **dict.fromkeys(columns, str(1 / n))} for n in (1, 2, 3)]
    verdicts = [
        {"paper": "one", "family": "internal", "verdict": verdict}
        for verdict in ("consistent", "explained")
    ]
    return {
        "spread": charts.spread(gains),
        "rate_distortion": charts.rate_distortion(curves),
        "intervals": charts.intervals(anova),
        "training": charts.training(history),
        "verdicts": charts.verdicts(verdicts),
    }


def shifted(rows: Sequence[dict], by: int) -> list[dict]:
    """Return rows of a photograph with other gains than those they were made with."""
    return [
        {**row, "gain": {name: gain and gain + by for name, gain in row["gain"].items()}}
        for row in rows
    ]


def scored(rows: Sequence[dict], place: int) -> list[dict]:
    """Return rows of a photograph as the judges saw the first: the last file is the best of all."""
    if place > 0:
        return list(rows)
    return [
        {
            **dict.fromkeys(SCORES, 60.0 + number),
            **{name: value for name, value in row.items() if value is not None},
            "lpips": 0.5 - number / 10,
        }
        for number, row in enumerate(rows)
    ]
