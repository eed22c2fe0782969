"""Charts of the report's page as Vega-Lite specifications: pure data, drawn by the browser.

Each chart has a description for those who can't see it. Its numbers stand in a table of the results
that the page names.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msroi.audit.check import KINDS
from msroi.encoders.methods import METHODS
from msroi.experiment.comparison import significant
from msroi.files import Row
from msroi.measures.distortion import HEADLINE, METRICS

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name: nothing is fetched
GREY, SKY, VERMILION, BLUE, GREEN, ORANGE, PURPLE = (
    *("#8c8c8c", "#56b4e9", "#d55e00"),
    *("#0072b2", "#009e73", "#e69f00", "#cc79a7"),
)  # of what is no method: Okabe and Ito's, as the methods' are
TITLES = {name: METRICS[name].title for name in HEADLINE}
PANEL_PX = {"width": 280, "height": 220}

Chart = dict[str, Any]


def rate_distortion(curves: Iterable[Row]) -> Chart:
    """Draw mean quality against mean bits a pixel, from rows of rate_distortion/curves.csv."""
    cells: dict[tuple[str, str, str], list[Row]] = {}
    for row in curves:
        cells.setdefault((row["dataset"], row["method"], row["quality"]), []).append(row)
    values = [
        {
            "dataset": dataset,
            "method": method,
            "quality": int(quality),
            "n": len(rows),
            "bits a pixel": average(rows, "bpp"),
            "measure": title,
            "value": average(rows, name),
        }
        for (dataset, method, quality), rows in cells.items()
        for name, title in TITLES.items()
    ]
    return {
        **frame("Quality against file size, mean over photographs, one line a method.", values),
        "params": [choice("measure", list(TITLES.values()))],
        "transform": [{"filter": "datum.measure == measure_is"}],
        "facet": {"column": {"field": "dataset", "title": None}},
        "spec": {
            **PANEL_PX,
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": quantity("bits a pixel", scale={"type": "log", "nice": False}),
                "y": quantity("value", title="mean, higher is better"),
                "color": colour(),
                "order": {"field": "quality"},
                "tooltip": tooltip("method", "quality", "bits a pixel", "value", "n"),
            },
        },
    }


def intervals(anova: Iterable[Row]) -> Chart:
    """Draw each method's mean difference from plain JPEG, from rows of anova/anova.csv."""
    values = [
        {
            "dataset": row["dataset"],
            "quality": int(row["match_quality"]),
            "method": row["method"],
            "measure": TITLES[row["metric"]],
            "n": int(row["n"]),
            "difference": float(row["difference"]),
            "low": float(row["difference_ci_low"]),
            "high": float(row["difference_ci_high"]),
            "paired p (Holm)": row["paired_p_holm"] or "–",
            "one-way p": row["oneway_p"] or "–",
        }
        for row in anova
        if row["metric"] in TITLES and row["difference_ci_low"] and row["difference_ci_high"]
    ]
    x = quantity("difference", title="mean difference from plain JPEG")
    y = {"field": "method", "type": "nominal", "title": None, "sort": list(METHODS)}
    told = ("method", "difference", "low", "high", "n", "one-way p", "paired p (Holm)")
    return {
        **frame(
            "Mean difference of each method from plain JPEG of the same size with its confidence "
            "interval; an interval that does not hold 0 is a difference that the paired test finds "
            "before correction.",
            values,
        ),
        "params": [choice("measure", sorted({value["measure"] for value in values}))],
        "transform": [{"filter": "datum.measure == measure_is"}],
        "facet": {
            "column": {"field": "dataset", "title": None},
            "row": {"field": "quality", "title": "size of plain JPEG of quality"},
        },
        "spec": {
            **PANEL_PX,
            "height": 120,
            "layer": [
                {
                    "mark": {"type": "rule", "strokeDash": [4, 3], "color": GREY},
                    "encoding": {"x": {"datum": 0}},
                },
                {
                    "mark": {"type": "rule", "strokeWidth": 2},
                    "encoding": {
                        "x": quantity("low", title=x["title"]),
                        "x2": {"field": "high"},
                        "y": y,
                        "color": colour(legend=False),
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 60},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": colour(legend=False),
                        "tooltip": tooltip(*told),
                    },
                },
            ],
        },
    }


def spread(gains: Mapping[tuple[str, int, str, str], Sequence[float]]) -> Chart:
    """Draw how the gains of single photographs spread: least, quarters, most.

    `gains` holds them by dataset, quality, method and measure.
    """
    values = []
    for (dataset, quality, method, measure), found in gains.items():
        if not found:
            continue
        low, middle, high = quarters(found)
        values.append(
            {
                "dataset": dataset,
                "quality": f"quality {quality}",
                "method": method,
                "measure": TITLES[measure],
                "n": len(found),
                "worse than plain JPEG": sum(value < 0 for value in found),
                "least": significant(min(found)),
                "lower quarter": significant(low),
                "median": significant(middle),
                "upper quarter": significant(high),
                "most": significant(max(found)),
            }
        )
    y = {"field": "method", "type": "nominal", "title": None, "sort": list(METHODS)}
    told = ("method", "n", "worse than plain JPEG", *STEPS)
    title = "gain over plain JPEG"
    return {
        **frame(
            "Gains of single photographs over plain JPEG of the same size: a line from the least "
            "to the most, a bar over the middle half, a stroke at the median.",
            values,
        ),
        "params": [
            choice("measure", list(TITLES.values())),
            choice("quality", sorted({str(value["quality"]) for value in values})),
        ],
        "transform": [{"filter": "datum.measure == measure_is && datum.quality == quality_is"}],
        "facet": {"column": {"field": "dataset", "title": None}},
        "spec": {
            **PANEL_PX,
            "height": 180,
            "encoding": {"y": y, "color": colour(legend=False), "tooltip": tooltip(*told)},
            "layer": [
                {
                    "mark": {"type": "rule", "strokeDash": [4, 3], "color": GREY},
                    "encoding": {
                        "x": {"datum": 0},
                        "y": {"value": 0},
                        "y2": {"value": 180},
                        "color": {"value": GREY},
                    },
                },
                {
                    "mark": "rule",
                    "encoding": {"x": quantity("least", title=title), "x2": {"field": "most"}},
                },
                {
                    "mark": {"type": "bar", "height": 12, "opacity": 0.6},
                    "encoding": {
                        "x": quantity("lower quarter", title=title),
                        "x2": {"field": "upper quarter"},
                    },
                },
                {
                    "mark": {"type": "tick", "thickness": 3, "size": 18},
                    "encoding": {"x": quantity("median", title=title)},
                },
            ],
        },
    }


STEPS = ("least", "lower quarter", "median", "upper quarter", "most")


def training(history: Iterable[Row]) -> Chart:
    """Draw loss and accuracy by epoch, from rows of model/history.csv."""
    panels = {
        "loss": {"training": "train_loss", "validation": "val_loss"},
        "accuracy": {
            "training": "train_top1",
            "validation": "val_top1",
            "validation, top 5": "val_top5",
        },
    }
    values = [
        {"epoch": int(row["epoch"]), "panel": panel, "of": name, "value": float(row[column])}
        for row in history
        for panel, columns in panels.items()
        for name, column in columns.items()
    ]
    return {
        **frame("Cross entropy and accuracy by epoch, in training and in validation.", values),
        "facet": {"column": {"field": "panel", "title": None, "sort": list(panels)}},
        "resolve": {"scale": {"y": "independent"}},
        "spec": {
            **PANEL_PX,
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": quantity("epoch", axis={"tickMinStep": 1}),
                "y": quantity("value", title=None),
                "color": {
                    "field": "of",
                    "type": "nominal",
                    "title": None,
                    "scale": {"range": [BLUE, VERMILION, ORANGE]},
                },
                "tooltip": tooltip("of", "epoch", "value"),
            },
        },
    }


def verdicts(findings: Iterable[Row]) -> Chart:
    """Draw how many published numbers got which verdict, from rows of audit/audit.csv."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in findings:
        key = (row["paper"], row["family"], row["verdict"])
        counts[key] = counts.get(key, 0) + 1
    values = [
        {"paper": paper, "family": family, "verdict": verdict, "numbers": count}
        for (paper, family, verdict), count in counts.items()
    ]
    return {
        **frame("How many published numbers got which verdict, by paper and family.", values),
        "facet": {
            "row": {
                "field": "paper",
                "title": None,
                "header": {"labelAngle": 0, "labelAlign": "left"},
            }
        },
        "spec": {
            "width": 560,
            "height": {"step": 26},
            "mark": "bar",
            "encoding": {
                "x": quantity("numbers", title="numbers of the paper"),
                "y": {"field": "family", "type": "nominal", "title": None},
                "color": {
                    "field": "verdict",
                    "type": "nominal",
                    "title": None,
                    "sort": KINDS[::-1],
                    "scale": {
                        "domain": KINDS[::-1],
                        "range": [GREEN, SKY, GREY, ORANGE, PURPLE, VERMILION],
                    },
                },
                "tooltip": tooltip("family", "verdict", "numbers"),
            },
        },
        "resolve": {"scale": {"y": "independent"}},
    }


def frame(description: str, values: Sequence[Row]) -> Chart:
    """Return what every chart begins with."""
    return {"$schema": SCHEMA, "description": description, "data": {"values": list(values)}}


def choice(field: str, options: Sequence[str]) -> dict[str, Any]:
    """Return a menu, whose choice is `<field>_is` in filters."""
    menu = {"input": "select", "options": list(options), "name": f"{field} "}
    return {"name": f"{field}_is", "value": next(iter(options), None), "bind": menu}


def colour(*, legend: bool = True) -> dict[str, Any]:
    """Return the colours of methods, the same in every chart."""
    found: dict[str, Any] = {
        "field": "method",
        "type": "nominal",
        "title": None,
        "sort": list(METHODS),
        "scale": {"domain": list(METHODS), "range": [one.colour for one in METHODS.values()]},
    }
    return found if legend else found | {"legend": None}


def quantity(field: str, **others: Any) -> dict[str, Any]:
    """Return an axis of numbers that, unless it has another scale, need not start at 0."""
    return {"field": field, "type": "quantitative", "scale": {"zero": False}} | others


def tooltip(*fields: str) -> list[dict[str, Any]]:
    """Return what a mark's tooltip says."""
    return [{"field": field} for field in fields]


def average(rows: Sequence[Row], name: str) -> float:
    """Return the mean of a column of text."""
    return significant(statistics.fmean(float(row[name]) for row in rows))


def quarters(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quarter, the median and the upper quarter."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high
