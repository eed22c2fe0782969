import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM, anova_lm

from msroi.errors import MissingError
from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.files import write_csv
from msroi.stages import anova
from msroi.stages.metrics import COLUMNS

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    demo = params.load("demo")
    statistics = dataclasses.replace(demo.anova, alpha=0.05, metrics=("psnr_rgb_db", "ssim_luma"))
    return dataclasses.replace(demo, name="tiny", anova=statistics)


def arms(n=40, shift=0.3, seed=1):
    """Draw two arms whose images differ much and whose differences vary little."""
    draw = np.random.default_rng(seed)
    baseline = draw.normal(30, 3, n)
    return baseline, baseline + draw.normal(shift, 0.5, n)


def rows(baseline, other, method="msroi", quality=50, dataset="set"):
    """Make the rows of per_image.csv for two arms; SSIM is PSNR / 40."""
    return [
        dict.fromkeys(COLUMNS, "")
        | {
            "experiment": "tiny",
            "dataset": dataset,
            "image": f"image{number:03}",
            "method": name,
            "match_quality": str(quality),
            "size_error_pct": "0.2500",
            "psnr_rgb_db": repr(float(value)),
            "ssim_luma": repr(float(value) / 40),
        }
        for name, values in (("jpeg", baseline), (method, other))
        for number, value in enumerate(values)
    ]


def test_one_way_against_scipy():
    baseline, other = arms()
    found = anova.one_way(baseline, other)
    expected = stats.f_oneway(baseline, other)
    assert found["oneway_f"] == pytest.approx(expected.statistic, rel=1e-9)
    assert found["oneway_p"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert found["levene_p"] == pytest.approx(stats.levene(baseline, other).pvalue)
    # with two groups of n, F = n d² / 2 and eta squared = F / (F + 2n - 2)
    assert found["cohen_d"] == pytest.approx(math.sqrt(2 * expected.statistic / 40))
    f = expected.statistic
    assert found["eta_squared"] == pytest.approx(f / (f + 78))


def test_paired_against_scipy():
    baseline, other = arms()
    found = anova.paired(baseline, other, 0.05)
    t = stats.ttest_rel(other, baseline)
    interval = t.confidence_interval(0.95)
    assert found["paired_f"] == pytest.approx(t.statistic**2, rel=1e-9)
    assert found["paired_p"] == pytest.approx(t.pvalue, rel=1e-9)
    assert found["difference_ci_low"] == pytest.approx(interval.low)
    assert found["difference_ci_high"] == pytest.approx(interval.high)
    assert found["cohen_dz"] == pytest.approx(t.statistic / math.sqrt(40))
    assert found["wilcoxon_p"] == pytest.approx(stats.wilcoxon(other, baseline).pvalue)
    assert found["shapiro_differences_p"] == pytest.approx(stats.shapiro(other - baseline).pvalue)


def test_both_against_statsmodels():
    """Which fits a model with a column a photograph, and so needs memory by its square."""
    baseline, other = arms()
    frame = pd.DataFrame(
        {
            "image": [*range(40), *range(40)],
            "method": ["jpeg"] * 40 + ["other"] * 40,
            "value": [*baseline, *other],
        }
    )
    one_way = anova_lm(ols("value ~ C(method)", frame).fit())
    found = anova.one_way(baseline, other)
    assert found["oneway_f"] == pytest.approx(one_way["F"].iloc[0], rel=1e-9)
    assert found["oneway_p"] == pytest.approx(one_way["PR(>F)"].iloc[0], rel=1e-9)
    repeated = AnovaRM(frame, "value", "image", within=["method"]).fit().anova_table.iloc[0]
    found = anova.paired(baseline, other, 0.05)
    assert found["paired_f"] == pytest.approx(repeated["F Value"], rel=1e-9)
    assert found["paired_p"] == pytest.approx(repeated["Pr > F"], rel=1e-9)


def test_the_order_of_the_rows_changes_nothing(experiment):
    table = rows(*arms())
    assert anova.tabulate(table[::-1], experiment) == anova.tabulate(iter(table), experiment)


def test_by_hand():
    baseline, other = np.array([1.0, 2, 3]), np.array([2.0, 4, 3])
    # means 2 and 3, sums of squares: between 1.5, within 2 + 2, df 1 and 4
    one_way = anova.one_way(baseline, other)
    assert one_way["oneway_f"] == pytest.approx(1.5)
    assert one_way["eta_squared"] == pytest.approx(1.5 / 5.5)
    assert one_way["cohen_d"] == pytest.approx(1)
    # differences 1, 2, 0: mean 1, sd 1, t = √3 with 2 df, whose p is 1 - √(3/5)
    paired = anova.paired(baseline, other, 0.05)
    assert paired["difference"] == pytest.approx(1)
    assert paired["sd_difference"] == pytest.approx(1)
    assert paired["paired_f"] == pytest.approx(3)
    assert paired["paired_p"] == pytest.approx(1 - math.sqrt(3 / 5))
    assert paired["partial_eta_squared"] == pytest.approx(3 / 5)
    assert paired["cohen_dz"] == pytest.approx(1)
    assert paired["difference_ci_high"] == pytest.approx(1 + 4.302653 / math.sqrt(3))


def test_pairing_finds_what_independent_groups_hide(experiment):
    row = anova.tabulate(rows(*arms()), experiment)[0]
    assert (row["significant_oneway"], row["significant_paired"]) == (False, True)


def test_every_method_data_set_and_quality_has_its_rows(experiment):
    table = [
        *rows(*arms(), quality=30),
        *rows(*arms(seed=2), quality=50, dataset="another"),
    ]
    later = [row for row in rows(*arms(seed=3), method="rdo", quality=30) if row["method"] == "rdo"]
    found = anova.tabulate(table + later, experiment)
    names = ("dataset", "method", "match_quality", "metric")
    assert [tuple(row[name] for name in names) for row in found] == [
        (*place, metric)
        for place in (("another", "msroi", 50), ("set", "msroi", 30), ("set", "rdo", 30))
        for metric in ("psnr_rgb_db", "ssim_luma")
    ]
    assert all(tuple(row) == anova.COLUMNS for row in found)


def test_a_quality_that_is_not_asked_for_is_not_tested(experiment):
    wanted = rows(*arms(), quality=50)
    assert anova.tabulate([*wanted, *rows(*arms(), quality=85)], experiment) == anova.tabulate(
        wanted, experiment
    )


def test_holm_covers_the_whole_table(experiment):
    table = [
        row for seed in range(3) for row in rows(*arms(shift=0.1, seed=seed), dataset=f"set{seed}")
    ]
    found = anova.tabulate(table, experiment)
    for kind in ("oneway", "paired"):
        ordered = sorted(found, key=lambda row: row[f"{kind}_p"])
        highest = 0.0
        for rank, row in enumerate(ordered):
            highest = max(highest, min(1.0, (6 - rank) * row[f"{kind}_p"]))
            assert row[f"{kind}_p_holm"] == pytest.approx(highest)


def test_missed_sizes_lone_and_infinite_images_drop_pairwise(experiment):
    baseline, other = arms(n=10)
    table = rows(baseline, other)
    jpeg, msroi = table[:10], table[10:]
    msroi[0]["size_error_pct"] = "-1.0100"  # the tolerance is 1 %
    msroi[1]["size_error_pct"] = "-1.0000"
    jpeg[2]["psnr_rgb_db"] = "inf"
    lone = [row for row in msroi if row["image"] != "image003"]
    psnr, ssim = anova.tabulate(jpeg + lone, experiment)
    assert (psnr["n"], psnr["n_dropped"]) == (7, 3)
    assert (ssim["n"], ssim["n_dropped"]) == (8, 2)
    kept = [1, 4, 5, 6, 7, 8, 9]
    assert psnr["mean_jpeg"] == pytest.approx(baseline[kept].mean())
    assert psnr["difference"] == pytest.approx((other - baseline)[kept].mean())


@pytest.mark.parametrize(
    ("baseline", "other", "note", "empty"),
    [
        ([], [], "0 images, at least 3 are needed", "oneway_p"),
        ([30, 31], [31, 33], "2 images, at least 3 are needed", "oneway_p"),
        ([30, 30, 30], [31, 31, 31], "the values do not vary", "oneway_p"),
        ([0, 0, 0], [0, 0, 0], "the values do not vary", "oneway_p"),
        ([30.1, 31.7, 32.2], [30.4, 32.0, 32.5], "the paired differences do not vary", "paired_p"),
        ([30, 31, 32], [30, 31, 32], "the paired differences do not vary", "paired_p"),
        ([1, 1, 2, 2], [1, 2, 1, 2], "levene_p is undefined", "levene_p"),
    ],
)
def test_what_cannot_be_tested_says_why(experiment, baseline, other, note, empty):
    table = rows(baseline, other) or rows([], [31.0])
    row = anova.tabulate(table, experiment)[0]
    assert row["note"] == note
    assert row[empty] is None
    assert row["n"] == len(baseline)


def test_untestable_rows_do_not_enter_the_correction(experiment):
    table = rows(*arms()) + rows([30, 31], [30, 31], dataset="two")
    one, alone = anova.tabulate(table, experiment), anova.tabulate(rows(*arms()), experiment)
    assert one[:2] == alone
    assert {row["paired_p_holm"] for row in one[2:]} == {None}


@given(
    st.lists(
        st.tuples(*[st.integers(0, 400).map(lambda tenth: tenth / 10)] * 2),
        min_size=0,
        max_size=20,
    )
)
@example([(0.0, 0.0), (0.0, 0.1), (0.1, 0.0)])  # equal means: sums of squares just below 0
@settings(max_examples=60, deadline=None)
def test_any_data_give_finite_numbers_and_no_warning(data):
    baseline, other = (np.array([pair[arm] for pair in data], dtype=float) for arm in (0, 1))
    numbers, note = anova.compare(baseline, other, 0.05)
    assert all(math.isfinite(value) for value in numbers.values())
    expected = {name for name in anova.COLUMNS[7:-1] if name not in anova.VERDICTS}
    assert set(numbers) <= expected
    assert bool(note) == (set(numbers) != expected)
    if "paired_p" in numbers:
        t = stats.ttest_rel(other, baseline)
        assert numbers["paired_f"] == pytest.approx(t.statistic**2, rel=1e-6, abs=1e-9)
        assert 0 <= numbers["partial_eta_squared"] <= 1


def test_stage(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    table = rows(*arms()) + rows([30, 31], [31, 33], dataset="two")
    write_csv(layout.metrics / "per_image.csv", COLUMNS, table)
    anova.run(experiment, layout)
    with (layout.anova / "anova.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert tuple(written[0]) == anova.COLUMNS
    assert len(written) == 4
    assert (written[0]["significant_oneway"], written[0]["significant_paired"]) == ("false", "true")
    assert float(written[0]["paired_p"]) == pytest.approx(stats.ttest_rel(*arms()).pvalue)
    assert written[3]["note"] == "2 images, at least 3 are needed"
    assert (written[3]["n"], written[3]["paired_p"], written[3]["significant_paired"]) == (
        "2",
        "",
        "",
    )
    summary = json.loads((layout.anova / "summary.json").read_text())
    assert summary["alpha"] == 0.05
    assert (summary["tests"], summary["significant_oneway"], summary["significant_paired"]) == (
        4,
        0,
        2,
    )
    test = summary["by_dataset"]["set"]["msroi"]["q50"]["psnr_rgb_db"]
    assert (test["n"], test["significant_paired"]) == (40, True)
    assert summary["by_dataset"]["two"]["msroi"]["q50"]["psnr_rgb_db"]["paired_p"] is None


def test_without_metrics(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=r"per_image\.csv is missing"):
        anova.run(experiment, Layout("tiny"))


def test_only_jpeg_makes_an_empty_table(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    table = [row for row in rows(*arms()) if row["method"] == "jpeg"]
    write_csv(layout.metrics / "per_image.csv", COLUMNS, table)
    anova.run(experiment, layout)
    assert (layout.anova / "anova.csv").read_text() == ",".join(anova.COLUMNS) + "\n"
    assert json.loads((layout.anova / "summary.json").read_text())["tests"] == 0
