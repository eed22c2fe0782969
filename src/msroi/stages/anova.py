"""Stage anova: is a method's photograph better than the JPEG of the same size?

The paper (section 3.2) compares JPEG and MS-ROI by one-way ANOVA, which takes the two
arms for independent groups. They are the same photographs, so beside it stands what the
design calls for: repeated measures, where the spread between photographs drops out.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM, anova_lm
from statsmodels.stats.multitest import multipletests

from msroi.experiment.comparison import BASELINE, difference, pairs, significant, with_matched
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import Row, read_csv, write_csv, write_json

Values = NDArray[np.float64]
Table = Sequence[Row]

VERDICTS = ("oneway_p_holm", "significant_oneway", "paired_p_holm", "significant_paired")
COLUMNS = (
    *("experiment", "dataset", "metric", "match_quality", "method", "n", "n_dropped"),
    *("mean_jpeg", "mean_method", "sd_jpeg", "sd_method"),
    *("oneway_f", "oneway_p", "oneway_p_holm", "significant_oneway"),
    *("eta_squared", "cohen_d", "shapiro_residuals_p", "levene_p"),
    *("difference", "difference_ci_low", "difference_ci_high", "sd_difference"),
    *("paired_f", "paired_p", "paired_p_holm", "significant_paired"),
    *("partial_eta_squared", "cohen_dz", "shapiro_differences_p", "wilcoxon_p"),
    "note",
)
SHAPIRO_MAX = 5000  # above it SciPy's p-value is not accurate


def one_way(baseline: Values, other: Values) -> dict[str, float]:
    """Return the paper's one-way ANOVA of two groups, its effect sizes and its checks.

    Parameters
    ----------
    baseline, other
        `(n,)`, n >= 3, not both constant.

    Returns
    -------
    dict
        F and p; eta squared (between / total sum of
        squares); Cohen's d, (other - baseline) / pooled sd; p of Shapiro-Wilk on the
        residuals of both groups together and of Levene's test about the medians.
    """
    table = anova_lm(ols("value ~ C(method)", _long(baseline, other)).fit())
    between, within = table["sum_sq"].clip(lower=0)  # rounding can leave a hair below 0
    pooled_sd = math.sqrt((baseline.var(ddof=1) + other.var(ddof=1)) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # all equally far from the median
        levene_p = stats.levene(baseline, other).pvalue
    residuals = np.concatenate([baseline - baseline.mean(), other - other.mean()])
    return {
        "oneway_f": max(float(table["F"].iloc[0]), 0.0),
        "oneway_p": float(table["PR(>F)"].iloc[0]),
        "eta_squared": float(between / (between + within)),
        "cohen_d": float((other.mean() - baseline.mean()) / pooled_sd),
        "shapiro_residuals_p": _shapiro_p(residuals),
        "levene_p": float(levene_p),
    }


def paired(baseline: Values, other: Values, alpha: float) -> dict[str, float]:
    """Return the repeated-measures ANOVA of the same images in both arms.

    Parameters
    ----------
    baseline, other
        `(n,)`, n >= 3, image by image; the differences must vary.
    alpha
        The confidence interval of the mean difference (by t) covers 1 - `alpha`.

    Returns
    -------
    dict
        Mean difference other - baseline, its interval and sd; F (the square of
        the paired t) and p; partial eta squared, F / (F + n - 1); Cohen's dz, mean / sd
        of the differences; p of the Wilcoxon signed-rank test and of Shapiro-Wilk on the
        differences.
    """
    frame = _long(baseline, other)
    row = AnovaRM(frame, "value", "image", within=["method"]).fit().anova_table.iloc[0]
    f, freedom = max(float(row["F Value"]), 0.0), float(row["Den DF"])  # as above
    differences = other - baseline
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    reach = float(stats.t.ppf(1 - alpha / 2, freedom)) * sd / math.sqrt(len(differences))
    return {
        "difference": mean,
        "difference_ci_low": mean - reach,
        "difference_ci_high": mean + reach,
        "sd_difference": sd,
        "paired_f": f,
        "paired_p": float(row["Pr > F"]),
        "partial_eta_squared": f / (f + freedom),
        "cohen_dz": mean / sd,
        "wilcoxon_p": float(stats.wilcoxon(differences).pvalue),
        "shapiro_differences_p": _shapiro_p(differences),
    }


def compare(baseline: Values, other: Values, alpha: float) -> tuple[dict[str, float], str]:
    """Return what can be said of two arms `(n,)`, and why the rest can't.

    Returns
    -------
    numbers
        Columns and their values, without those that the data do not allow.
    note
        The reason for each omission; empty if all is there.
    """
    if len(baseline) < 3:
        return {}, f"{len(baseline)} images, at least 3 are needed"
    if _constant(baseline, baseline) and _constant(other, other):
        return {}, "the values do not vary"
    groups = {
        "mean_jpeg": float(baseline.mean()),
        "mean_method": float(other.mean()),
        "sd_jpeg": float(baseline.std(ddof=1)),
        "sd_method": float(other.std(ddof=1)),
    }
    numbers = groups | one_way(baseline, other)
    if _constant(other - baseline, baseline):
        return _finite(numbers, "the paired differences do not vary")
    return _finite(numbers | paired(baseline, other, alpha), "")


def tabulate(table: Table, experiment: Experiment) -> list[dict[str, Any]]:
    """Return one row of `COLUMNS` for each data set, method, quality and metric.

    Images enter pairwise: one that is in only one arm, misses the size tolerance there or
    is infinite in either arm counts in `n_dropped`. Numbers that can't be had are None.
    The Holm correction covers all rows, separately for the one-way and the paired p;
    `significant_*` compare the uncorrected p with alpha, as the paper does.

    Parameters
    ----------
    table
        Rows of `per_image.csv`.
    experiment
        Its sections `anova` and `compress` apply.
    """
    alpha = experiment.anova.alpha
    tolerance = experiment.compress.size_tolerance_pct
    cells: dict[tuple[str, str, int], list[Row]] = {}
    for row in with_matched(table, tolerance):
        key = (row["dataset"], row["method"], int(row["match_quality"]))
        cells.setdefault(key, []).append(row)
    tests = []
    for (dataset, method, quality), rows in sorted(cells.items()):
        if method == BASELINE or quality not in experiment.anova.match_qualities:
            continue
        for metric in experiment.anova.metrics:
            jpeg = cells.get((dataset, BASELINE, quality), [])
            baseline, other, dropped = arms(jpeg, rows, metric)
            numbers, note = compare(baseline, other, alpha)
            test = {
                "experiment": experiment.name,
                "dataset": dataset,
                "metric": metric,
                "match_quality": quality,
                "method": method,
                "n": len(baseline),
                "n_dropped": dropped,
                "note": note,
            }
            tests.append({**dict.fromkeys(COLUMNS), **test, **numbers})
    for kind in ("oneway", "paired"):
        _judge(tests, kind, alpha)
    return tests


def arms(baseline: Table, other: Table, metric: str) -> tuple[Values, Values, int]:
    """Return the values `(n,)` of the images usable in both arms, and how many are not."""
    usable = [pair for pair in pairs(baseline, other) if difference(*pair, metric) is not None]
    usable.sort(key=lambda pair: str(pair[0]["image"]))
    first, second = (
        np.array([float(pair[arm][metric]) for pair in usable], dtype=float) for arm in (0, 1)
    )
    everything = {row["image"] for row in (*baseline, *other)}
    return first, second, len(everything) - len(usable)


def summarise(rows: Sequence[Mapping[str, Any]], alpha: float) -> dict[str, Any]:
    """Return how many tests there are, how many come out, and the tests by name."""
    tests: dict[str, Any] = {}
    for row in rows:
        cell = tests.setdefault(row["dataset"], {}).setdefault(row["method"], {})
        cell.setdefault(f"q{row['match_quality']}", {})[row["metric"]] = {
            name: _rounded(row[name])
            for name in ("n", "n_dropped", "difference", "oneway_p", "paired_p", *VERDICTS)
        }
    return {
        "alpha": alpha,
        "tests": len(rows),
        "significant_oneway": sum(row["significant_oneway"] is True for row in rows),
        "significant_paired": sum(row["significant_paired"] is True for row in rows),
        "by_dataset": tests,
    }


def run(experiment: Experiment, layout: Layout) -> None:
    """Compare every method with JPEG; write the table and its summary.

    Raises
    ------
    MissingError
        If the stage metrics has not run.
    """
    rows = tabulate(read_csv(layout.metrics / "per_image.csv"), experiment)
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    write_csv(layout.anova / "anova.csv", COLUMNS, cells)
    write_json(layout.anova / "summary.json", summarise(rows, experiment.anova.alpha))


def _judge(rows: Sequence[dict[str, Any]], kind: str, alpha: float) -> None:
    """Fill in the Holm-corrected p and the verdict of each row that has a p."""
    tested = [row for row in rows if row[f"{kind}_p"] is not None]
    p_values = [row[f"{kind}_p"] for row in tested]
    corrected = multipletests(p_values, method="holm")[1] if tested else []
    for row, p, holm in zip(tested, p_values, corrected, strict=True):
        row[f"significant_{kind}"] = p < alpha
        row[f"{kind}_p_holm"] = float(holm)


def _long(baseline: Values, other: Values) -> pd.DataFrame:
    n = len(baseline)
    return pd.DataFrame(
        {
            "image": [*range(n), *range(n)],
            "method": [BASELINE] * n + ["other"] * n,
            "value": np.concatenate([baseline, other]),
        }
    )


def _shapiro_p(values: Values) -> float:
    return float(stats.shapiro(values).pvalue) if len(values) <= SHAPIRO_MAX else math.nan


def _constant(values: Values, scale: Values) -> bool:
    """Tell whether `values` vary no more than rounding of numbers as large as `scale`."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(scale).max())


def _finite(numbers: dict[str, float], note: str) -> tuple[dict[str, float], str]:
    """Leave out what a test could not work out, and name it in the note."""
    kept = {name: value for name, value in numbers.items() if math.isfinite(value)}
    undefined = [f"{name} is undefined" for name in numbers if name not in kept]
    return kept, "; ".join([note] * bool(note) + undefined)


def _rounded(value: Any) -> Any:
    return significant(value) if isinstance(value, float) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else _rounded(value)
