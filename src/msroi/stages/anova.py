"""Stage anova: is a method's photograph better than the JPEG of the same size?

The paper (section 3.2) compares JPEG and MS-ROI by one-way ANOVA, which takes the two conditions
for independent groups. They are the same photographs, so the design calls for repeated measures,
where the spread between photographs drops out. That test stands beside it.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from msroi.experiment.comparison import BASELINE, significant, within
from msroi.experiment.layout import Layout
from msroi.experiment.params import Experiment
from msroi.files import Row, csv_rows, write_csv, write_json
from msroi.measures.student import reach_of

Values = NDArray[np.float64]

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
    n, distance = len(baseline), baseline.mean() - other.mean()
    residuals = np.concatenate([baseline - baseline.mean(), other - other.mean()])
    between, within = n * distance**2 / 2, float((residuals**2).sum())
    f = between / (within / (2 * n - 2))
    pooled_sd = math.sqrt((baseline.var(ddof=1) + other.var(ddof=1)) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # all equally far from the median
        levene_p = stats.levene(baseline, other).pvalue
    return {
        "oneway_f": float(f),
        "oneway_p": float(stats.f.sf(f, 1, 2 * n - 2)),
        "eta_squared": float(between / (between + within)),
        "cohen_d": float((other.mean() - baseline.mean()) / pooled_sd),
        "shapiro_residuals_p": _shapiro_p(residuals),
        "levene_p": float(levene_p),
    }


def paired(baseline: Values, other: Values, alpha: float) -> dict[str, float]:
    """Return the repeated-measures ANOVA of the same images in both conditions.

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
    differences, freedom = other - baseline, len(baseline) - 1
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    error = sd / math.sqrt(len(differences))
    reach = reach_of(len(differences), 1 - alpha) * error
    f = (mean / error) ** 2
    return {
        "difference": mean,
        "difference_ci_low": mean - reach,
        "difference_ci_high": mean + reach,
        "sd_difference": sd,
        "paired_f": f,
        "paired_p": float(stats.f.sf(f, 1, freedom)),
        "partial_eta_squared": f / (f + freedom),
        "cohen_dz": mean / sd,
        "wilcoxon_p": float(stats.wilcoxon(differences).pvalue),
        "shapiro_differences_p": _shapiro_p(differences),
    }


def compare(baseline: Values, other: Values, alpha: float) -> tuple[dict[str, float], str]:
    """Return what statistics say of two conditions `(n,)`, and why the rest is missing.

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


def tabulate(table: Iterable[Row], experiment: Experiment) -> list[dict[str, Any]]:
    """Return one row of `COLUMNS` for each dataset, method, quality and metric.

    Images enter pairwise. `n_dropped` counts those that only one condition has, that miss the size
    tolerance there, or that are infinite in either. Numbers that don't exist are None. The Holm
    correction covers all rows, separately for the one-way and the paired p. `significant_*` compare
    the uncorrected p with alpha, as the paper does.

    Parameters
    ----------
    table
        Rows of `per_image.csv`, read one at a time.
    experiment
        Its sections `anova` and `compress` apply.
    """
    alpha = experiment.anova.alpha
    tests = []
    cells = columns(table, experiment)
    for (dataset, method, quality), arm in sorted(cells.items(), key=itemgetter(0)):
        if method == BASELINE:
            continue
        for metric in experiment.anova.metrics:
            jpeg = cells.get((dataset, BASELINE, quality), Arm([metric]))
            baseline, other, dropped = arms(jpeg, arm, metric)
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


class Arm:
    """The files of one dataset, method and quality, as columns: 8 bytes a number.

    Attributes
    ----------
    images
        The numbers of the images.
    values
        By metric. Files that miss the size have NaN.
    """

    def __init__(self, metrics: Iterable[str]) -> None:
        """Start with no file."""
        self.images = array("q")
        self.values = {metric: array("d") for metric in metrics}

    def add(self, image: int, row: Row, matched: bool) -> None:
        """Take in the file of an image."""
        self.images.append(image)
        for metric, values in self.values.items():
            values.append(float(row[metric]) if matched else math.nan)


def columns(table: Iterable[Row], experiment: Experiment) -> dict[tuple[str, str, int], Arm]:
    """Return the files by dataset, method and quality, as columns, of the tested qualities.

    The numbers of images follow their names.
    """
    tolerance = experiment.compress.size_tolerance_pct
    cells: dict[tuple[str, str, int], Arm] = {}
    numbers: dict[str, int] = {}
    for row in table:
        key = row["dataset"], row["method"], int(row["match_quality"])
        if key[-1] in experiment.anova.match_qualities:
            number = numbers.setdefault(row["image"], len(numbers))
            matched = within(float(row["size_error_pct"]), tolerance)
            cells.setdefault(key, Arm(experiment.anova.metrics)).add(number, row, matched)
    by_name = np.empty(len(numbers), dtype=np.int64)
    by_name[[numbers[name] for name in sorted(numbers)]] = np.arange(len(numbers))
    for arm in cells.values():
        arm.images = array("q", by_name[arm.images].tobytes())
    return cells


def arms(baseline: Arm, other: Arm, metric: str) -> tuple[Values, Values, int]:
    """Return the values `(n,)` of the images usable in both conditions, and how many are not."""
    in_both, *places = np.intersect1d(baseline.images, other.images, return_indices=True)
    first, second = (
        np.asarray(arm.values[metric])[place]
        for arm, place in zip((baseline, other), places, strict=True)
    )
    with np.errstate(invalid="ignore"):  # infinite in both arms
        usable = np.isfinite(first - second)
    n_images = len(baseline.images) + len(other.images) - len(in_both)
    return first[usable], second[usable], n_images - int(usable.sum())


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
    """Compare every method with JPEG. Write the table and its summary.

    Raises
    ------
    MissingError
        If the stage metrics has not run.
    """
    rows = tabulate(csv_rows(layout.metrics / "per_image.csv"), experiment)
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
