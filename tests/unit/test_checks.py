"""Checks on small papers made for them, where the right verdict is known."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from msroi.audit import arithmetic, internal, maps, photographs, readings, replication, statistical
from msroi.audit import check as audit_check
from msroi.audit.check import CANNOT_TELL, CONSISTENT, INCONSISTENT, NOT_REPRODUCED, Finding, Run
from msroi.audit.published import Claim, Paper, Place, Printed, Sample
from msroi.errors import ParameterError
from msroi.measures.conventions import CONVENTIONS
from msroi.network import vgg

NOTHING = Run("none", {}, [], [], {}, {}, {}, 0.5, 200, 1)


def paper(numbers: dict[Place, str], images: int = 200, of: int = 20000) -> Paper:
    printed = {place: Printed(text) for place, text in numbers.items()}
    return Paper("small", "Small", True, {"set": Sample(images, of)}, printed, [])


def at(measure: str, method: str = "jpeg", image: str = "", quality: int = 50) -> Place:
    return Place("1", "set", image, str(quality), method, measure)


def found(numbers: dict[Place, str], name: str, run: Run = NOTHING, **kw: Any) -> list[Finding]:
    claim = Claim("it", "somewhere", "words", name, kw)
    return list(audit_check.findings(paper(numbers), run, claim))


def verdict(numbers: dict[Place, str], name: str, run: Run = NOTHING, **kw: Any) -> str:
    (finding,) = found(numbers, name, run, **kw)
    return finding.verdict


def measured(values: dict[str, Sequence[Sequence[float]]], n: int, **parts: Any) -> Run:
    """Return a run with a value for JPEG and for msroi an image, by measure; others are 0."""
    rows = []
    for number in range(n):
        for arm, method in enumerate(("jpeg", "msroi")):
            row = {
                **dict.fromkeys(CONVENTIONS, 0.0),
                **{name: of[arm][number] for name, of in values.items()},
            }
            rows.append(
                row
                | {
                    "dataset": "mine",
                    "image": f"i{number}",
                    "protocol": "as run",
                    "method": method,
                    "match_quality": 50,
                    "q_final": 50.0,
                    "bytes": 1000.0 + number,
                    "size_error_pct": 0.0,
                }
                | parts
            )
    return Run("run", {"set": "mine"}, rows, [], {}, {}, {}, 0.5, 500, 1)


# numbers as printed


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("114.50", 114.495, 114.505), ("0.0040", 0.00395, 0.00405), ("57", 56.5, 57.5)],
)
def test_digits_say_how_far_a_number_was_rounded(text: str, low: float, high: float) -> None:
    printed = Printed(text)
    assert (printed.low, printed.high) == pytest.approx((low, high), rel=1e-12)
    assert printed == text


def test_what_is_no_number_is_one_sentence() -> None:
    with pytest.raises(ParameterError, match=r"^'3,5' is not a number as printed, such as 32.674"):
        Printed("3,5")


@given(mse=st.floats(0.01, 5000))
def test_any_mse_and_its_psnr_pass_when_both_are_rounded(mse: float) -> None:
    psnr = 10 * math.log10(255**2 / mse)
    numbers = {at("mse"): f"{mse:.3f}", at("psnr_db"): f"{psnr:.3f}"}
    assert verdict(numbers, "mse_psnr", table="1") == CONSISTENT
    wrong = {at("mse"): f"{mse:.3f}", at("psnr_db"): f"{psnr + 1.5:.3f}"}
    assert mse < 0.1 or verdict(wrong, "mse_psnr", table="1") == INCONSISTENT


@given(a=st.floats(20, 40), gain=st.floats(-2, 2))
def test_any_gain_passes_when_all_three_are_rounded(a: float, gain: float) -> None:
    numbers = {at("psnr_db"): f"{a:.3f}", at("psnr_db", "msroi"): f"{a + gain:.3f}"}
    said = {"table": "1", "setting": "50", "measure": "psnr_db"}
    assert verdict(numbers, "gain", **said, printed=f"{gain:.2f}") == CONSISTENT
    assert verdict(numbers, "gain", **said, printed=f"{gain + 0.02:.2f}") == INCONSISTENT


# wrong claims


def test_a_claim_with_an_unknown_check_is_one_sentence() -> None:
    with pytest.raises(ParameterError) as error:
        found({}, "guess")
    assert str(error.value).startswith(
        "data/published/small/paper.yaml: claim it: there is no check 'guess'; there are: adds_up,"
    )


def test_a_claim_without_an_argument_is_one_sentence() -> None:
    with pytest.raises(ParameterError) as error:
        found({}, "adds_up", total="3")
    assert str(error.value) == (
        "data/published/small/paper.yaml: claim it: check adds_up takes total, parts: "
        "missing a required argument: 'parts'."
    )


def test_a_claim_about_a_number_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(ParameterError) as error:
        found({at("mse"): "1.0"}, "mse_psnr", table="1")
    assert str(error.value) == (
        "data/published/small/paper.yaml: claim it: check mse_psnr: tables.csv has no number for "
        "Table 1, jpeg (50), psnr_db."
    )


# statistics


@pytest.mark.parametrize(("n", "alpha"), [(5, 0.05), (200, 0.05), (200, 0.05 / 6), (30, 0.01)])
def test_the_largest_sd_is_that_at_which_scipys_anova_has_p_equal_to_alpha(
    n: int, alpha: float
) -> None:
    rng = np.random.default_rng(n)
    one, other = rng.normal(size=(2, n))
    one, other = ((v - v.mean()) / v.std(ddof=1) for v in (one, other))
    sd = statistical.largest_sd(0.3, n, alpha)
    assert stats.f_oneway(one * sd, other * sd + 0.3).pvalue == pytest.approx(alpha, rel=1e-9)


def test_the_largest_sd_of_the_papers_ssim_at_30() -> None:
    """Brief arithmetic: F of 3.86 on 1 and 398 degrees of freedom."""
    assert statistical.largest_sd(0.0030, 200, 0.05) == pytest.approx(0.01526, abs=1e-5)


def test_power_equals_a_simulation() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 20000, 25))
    p = stats.f_oneway(one, other + 0.6, axis=1).pvalue
    assert statistical.power_of(0.6, 1.0, 25, 0.05) == pytest.approx((p < 0.05).mean(), abs=0.01)
    # without a difference it is the level
    assert statistical.power_of(0.0, 1.0, 25, 0.05) == pytest.approx(0.05)


def test_images_needed_reach_the_power_and_one_fewer_does_not() -> None:
    for effect in (0.1, 0.3, 1.0):
        solved = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8, nobs=None)
        assert statistical.images_needed(effect, 0.05, 0.8) == math.ceil(solved)
    assert statistical.images_needed(50, 0.05, 0.8) == 2


@pytest.mark.parametrize(
    ("sd", "expected"), [(0.5, CONSISTENT), (4.9, CANNOT_TELL), (20, INCONSISTENT)]
)
def test_a_p_value_is_judged_by_how_much_photographs_vary(sd: float, expected: str) -> None:
    values = sd * stats.norm.ppf((np.arange(60) + 0.5) / 60)
    run = measured({"psnr_rgb_db": (values, values + 1), "psnr_luma_db": (9 * values, values)}, 60)
    numbers = {at("psnr_db"): "30.000", at("psnr_db", "msroi"): "31.000"}
    got = verdict(numbers, "anova_possible", run, table="1", alpha="0.05")
    assert got == expected  # the largest sd is 5.09


# replication


def normal(mean: float, sd: float, n: int) -> np.ndarray:
    return mean + sd * stats.norm.ppf((np.arange(n) + 0.5) / n)


def test_a_mean_is_expected_where_draws_of_one_population_have_it() -> None:
    """Of 5000 pairs of draws, 95 % of the paper's means lie in the run's range."""
    rng = np.random.default_rng(2)
    population = rng.normal(30, 3, 400)
    inside = 0
    for _ in range(2000):
        run, theirs = (rng.choice(population, n, replace=False) for n in (60, 50))
        range_ = readings.expected(run, Sample(50, 400))
        inside += range_.low <= theirs.mean() <= range_.high
    assert inside / 2000 == pytest.approx(0.95, abs=0.02)


def test_of_a_whole_population_only_the_papers_draw_is_uncertain() -> None:
    whole = normal(30, 3, 100)
    half = readings.expected(whole, Sample(50, 100))
    assert readings.expected(whole, Sample(100, 100)).low == pytest.approx(30)
    assert half.high - half.mean == pytest.approx(1.984 * whole.std(ddof=1) * 0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("30.100", CONSISTENT),
        ("33.050", "explained by PSNR over 8-bit luma"),
        ("03.300", "explained by two digits exchanged (30.300), PSNR over RGB"),
        ("45.000", NOT_REPRODUCED),
    ],
)
def test_a_mean_and_its_readings(printed: str, expected: str) -> None:
    arms = {"psnr_rgb_db": [normal(30, 2, 99)] * 2, "psnr_luma_db": [normal(33, 2, 99)] * 2}
    assert verdict({at("psnr_db"): printed}, "set_mean", measured(arms, 99), table="1") == expected


def test_a_mean_of_no_photographs_can_not_be_told() -> None:
    assert verdict({at("psnr_db"): "30.100"}, "set_mean", table="1") == CANNOT_TELL


@pytest.mark.parametrize(
    ("gain", "expected"), [(0.5, CONSISTENT), (-0.5, NOT_REPRODUCED), (0.0, CANNOT_TELL)]
)
def test_the_direction_of_a_gain(gain: float, expected: str) -> None:
    base = normal(30, 2, 50)
    run = measured({"psnr_rgb_db": (base, base[::-1] * 0 + base + normal(gain, 0.3, 50))}, 50)
    numbers = {at("psnr_db"): "30.000", at("psnr_db", "msroi"): "30.400"}
    assert verdict(numbers, "better_replicated", run, table="1") == expected


def test_one_reading_has_to_fit_a_whole_column() -> None:
    arms = {
        "psnr_rgb_db": [normal(30, 0.1, 40)] * 2,
        "psnr_luma_db": [normal(33, 0.1, 40)] * 2,
        "ssim_luma": [normal(0.9, 0.001, 40)] * 2,
        "ssim_luma_uniform": [normal(0.95, 0.001, 40)] * 2,
    }
    run = measured(arms, 40)
    for psnr, ssim, expected in (
        ("30.00", "0.9000", CONSISTENT),
        ("33.00", "0.9500", "explained by PSNR over 8-bit luma, SSIM of luma, uniform window"),
        ("33.00", "0.9700", NOT_REPRODUCED),
    ):
        numbers = {at("psnr_db"): psnr, at("ssim"): ssim}
        assert verdict(numbers, "one_protocol", run, table="1") == expected


def test_an_image_is_identified_by_size_and_psnr_and_says_which_measures() -> None:
    n = 30
    arms = {
        "psnr_rgb_db": [np.linspace(25, 35, n), np.linspace(24, 34, n)],
        "psnr_luma_db": [np.linspace(26, 36, n), np.linspace(26.5, 36.5, n)],
        "ssim_luma": [np.linspace(0.8, 0.9, n)] * 2,
        "ssim_luma_uniform": [np.linspace(0.85, 0.95, n)] * 2,
    }
    run = measured(arms, n)
    row = run.conventions[2 * 7]
    numbers = {
        at("psnr_db", image="bird"): f"{row['psnr_luma_db']:.3f}",
        at("ssim", image="bird"): f"{row['ssim_luma_uniform']:.4f}",
        at("ms_ssim", image="bird"): "0.9900",
        at("bytes", image="bird"): "1007",
        at("psnr_db", "msroi", image="bird"): f"{row['psnr_luma_db'] + 0.5:.3f}",
    }
    which, gain = found(numbers, "image_identified", run, table="1")
    assert which.found == "i7"
    assert which.verdict == "explained by PSNR over 8-bit luma, SSIM of luma, uniform window"
    assert gain.verdict == CONSISTENT
    numbers[at("psnr_db", image="bird")] = "20.000"
    (nowhere,) = found(numbers, "image_identified", run, table="1")
    assert (nowhere.found, nowhere.verdict) == (None, CANNOT_TELL)
    assert "the nearest" in nowhere.evidence


def test_passes_without_dropout_can_not_differ() -> None:
    rows = [
        {"dropout": d, "min_correlation": c, "mean_correlation": c} for d, c in ((0, 1), (0.3, 0.9))
    ]
    run = Run("run", {}, [], rows, {}, {}, {}, 0.5, 200, 1)
    assert verdict({}, "passes_differ", run, dropout="0") == "explained by dropout at inference"
    assert verdict({}, "passes_differ", run, dropout="0.3") == CONSISTENT
    run = Run("run", {}, [], rows[:1], {}, {}, {}, 0.5, 200, 1)
    assert verdict({}, "passes_differ", run, dropout="0") == INCONSISTENT


def test_the_convolutions_of_vgg16_are_those_of_the_network() -> None:
    assert sum(vgg.CONVOLUTIONS) == internal.VGG16_CONVOLUTIONS


def test_every_check_states_what_it_assumes_and_where_it_belongs() -> None:
    for name, check in audit_check.REGISTRY.items():
        assert check.family in audit_check.FAMILIES
        assert len(check.assumes) > 10, name
        assert check.function.__doc__, name
    modules = (internal, arithmetic, statistical, replication, maps, photographs)
    assert {c.function.__module__ for c in audit_check.REGISTRY.values()} == {
        m.__name__ for m in modules
    }


# what is said of maps


def of_map(name, values, measure="auc_judd"):
    return [
        {"dataset": "osie", "image": f"{n}", "map": name, "measure": measure, "value": f"{value}"}
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ([0.5, 0.6, 0.55, 0.5, 0.6, 0.52], CONSISTENT),
        ([0.9, 0.95, 0.93, 0.92, 0.9, 0.91], NOT_REPRODUCED),
        ([0.6, 0.85, 0.7, 0.8, 0.6, 0.85], CANNOT_TELL),
    ],
)
def test_one_map_finds_better_than_another(second, verdict):
    rows = of_map("paper", [0.7, 0.72, 0.74, 0.7, 0.73, 0.71]) + of_map("top-1", second)
    rows += of_map("top-1", [0.0] * 6, "nss")  # another measure, which does not count
    run = replace(NOTHING, map_quality=rows)
    named = {"first": "paper", "second": "top-1", "by": "auc_judd"}
    (one,) = found({}, "map_finds", run, **named)
    assert one.verdict == verdict
    differences = np.array([0.7, 0.72, 0.74, 0.7, 0.73, 0.71]) - second
    assert one.found == pytest.approx(differences.mean())
    error = differences.std(ddof=1) / np.sqrt(6)
    low, high = stats.t.interval(0.95, 5, differences.mean(), error)
    assert f"({low:+.4f} to {high:+.4f})" in one.evidence
    assert one.evidence.endswith("of 6")


def test_files_of_another_size_say_nothing_of_a_map():
    rows = [
        {
            "dataset": "osie",
            "image": f"{n}",
            "method": "msroi",
            "map": name,
            "size_error_pct": "0.1" if n < 6 else "3",
            "psnr_edges_db": f"{30 + n / 10 + gain}",
        }
        for name, gain in (("paper", 0.5), ("human", 0.0))
        for n in range(8)
    ]
    run = replace(NOTHING, map_files=rows)
    named = {"first": "paper", "second": "human", "encoder": "msroi", "by": "psnr_edges_db"}
    (one,) = found({}, "map_gains", run, **named)
    assert one.found == pytest.approx(0.5)
    assert one.evidence.endswith("better on 6 of 6")


def test_maps_that_were_not_measured():
    (one,) = found({}, "map_finds", first="a", second="b", by="auc_judd")
    assert one.verdict == CANNOT_TELL
    assert one.evidence == "experiment none has measured 0 photographs with both"
