"""What the page says first follows from the tables of results, losses included."""

from pathlib import Path

import pytest

from msroi.audit.readings import FEWEST
from msroi.files import read_csv
from msroi.report import verdict
from msroi.report.verdict import Difference

ROOT = Path(__file__).parents[2]


def made(measure: str, mean: float, reach: float = 0.1, **others) -> Difference:
    values = {"against": "mozjpeg", "dataset": "all", "n": 20, "won": 0.5} | others
    return Difference(measure=measure, mean=mean, low=mean - reach, high=mean + reach, **values)


def by_key(*found: Difference) -> dict[tuple[str, str], Difference]:
    return {(one.measure, one.against): one for one in found}


def said(*found: Difference) -> str:
    return verdict.sentence(by_key(*found), "roi-trellis", "mozjpeg", 50)


@pytest.mark.parametrize(
    ("measure", "mean", "expected"),
    [
        ("ssimulacra2", 1.0, "ahead"),
        ("ssimulacra2", -1.0, "behind"),
        ("ssimulacra2", 0.05, "level"),
        ("lpips", 1.0, "behind"),  # less is better
        ("lpips", -1.0, "ahead"),
        ("lpips", -0.1, "level"),  # an interval that ends at 0 holds it
    ],
)
def test_an_interval_that_leaves_out_0_decides(measure, mean, expected):
    assert made(measure, mean).standing == expected


def test_the_sentence_names_wins_ties_and_losses():
    assert said(
        made("psnr_hvs_m_db", -1.0), made("ssimulacra2", 2.0), made("ms_ssim_luma", 0.0)
    ) == (
        "At the size of plain JPEG of quality 50, roi-trellis is ahead of mozjpeg by "
        "SSIMULACRA 2, level by MS-SSIM and behind by PSNR-HVS-M."
    )


def test_a_sentence_of_losses_alone_does_not_hide_them():
    assert said(made("ssimulacra2", -2.0), made("ssim_luma", -1.0)) == (
        "At the size of plain JPEG of quality 50, roi-trellis is behind mozjpeg by "
        "SSIMULACRA 2 and SSIM."
    )


def test_where_nothing_is_lost_the_sentence_says_so():
    assert said(made("ssimulacra2", 0.0)).endswith(
        "roi-trellis is level with mozjpeg by SSIMULACRA 2 and behind by none."
    )


def test_the_sentence_leaves_out_what_too_few_photographs_say():
    assert said(made("ssimulacra2", 9.0, n=2), made("gmsd", -9.0)).endswith(
        "is ahead of mozjpeg by GMSD and behind by none."
    )


def test_measures_of_the_salient_region_are_no_measures_of_the_whole():
    assert said(made("ssimulacra2_composite", 9.0), made("wpsnr_rgb_db", 9.0)) == ""


def test_the_note_says_what_the_method_was_tuned_to():
    found = by_key(made("ssimulacra2", 1.0, n=46), made("gmsd", 1.0, n=100))
    note = verdict.footnote(found, "roi-trellis", "mozjpeg")
    assert "n = 46 to 100 photographs" in note
    assert note.endswith("roi-trellis was tuned to SSIMULACRA 2.")
    assert "tuned" not in verdict.footnote(found, "msroi", "mozjpeg")
    assert verdict.footnote({}, "roi-trellis", "mozjpeg") == ""


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (("jpeg", "msroi", "trellis", "roi-trellis", "mozjpeg", "jpegli"), "roi-trellis mozjpeg"),
        (("jpeg", "msroi", "jpegli"), "msroi jpegli"),
        (("jpeg", "msroi"), "msroi jpeg"),
        (("jpeg", "jpeg-opt"), "jpeg-opt jpeg"),
        (("jpeg",), None),
    ],
)
def test_the_verdict_is_about_the_first_of_ours_and_the_strongest_of_the_peers(methods, expected):
    assert verdict.compared(methods) == (None if expected is None else tuple(expected.split()))


RATIO = {
    **{"dataset": "osie", "method": "roi-trellis", "against": "jpeg"},
    **{"measure": "psnr_fixated_db", "n": "97", "ratio": "0.673", "low": "0.664", "high": "0.682"},
}


def test_three_numbers_of_a_run_that_has_them_all():
    found = by_key(
        made("psnr_rgb_db", 0.8),
        made("ssimulacra2", 1.77, won=1.0),
        made("ssimulacra2_composite", 3.0),
        made("ssimulacra2_fixated", 2.35, dataset="osie"),
    )
    others = [{**RATIO, "method": "trellis"}, {**RATIO, "n": "3", "dataset": "small"}]
    first, second, third = verdict.three(
        found, [*others, RATIO, {**RATIO, "against": "mozjpeg"}], "roi-trellis", "mozjpeg"
    )
    assert (first.value, first.interval, first.n) == ("+1.77", "+1.67 to +1.87", 20)
    assert first.what == "SSIMULACRA 2, roi-trellis minus mozjpeg"
    assert first.note == "better on 20 of 20, a measure that it was tuned to"
    assert (second.value, second.note.split(", ")[-1]) == ("+2.35", "set osie")
    assert (third.value, third.interval, third.n) == ("−32.7 %", "−33.6 to −31.8", 97)


def test_without_fixations_the_salient_fifth_stands_in():
    found = by_key(made("ssimulacra2", 1.0), made("ssimulacra2_composite", 3.0))
    titles = [one.what for one in verdict.three(found, [], "roi-trellis", "mozjpeg")]
    assert titles[1].startswith("SSIMULACRA 2 of the most salient fifth")


def test_without_judges_the_measures_of_every_run_stand_in():
    plain = {"against": "jpeg", "won": None}
    found = by_key(
        made("ssimulacra2", 9.0, n=2),  # over too few photographs to say anything
        made("psnr_rgb_db", -0.5, won=None),
        made("psnr_rgb_db", 1.5, **plain),
        made("wpsnr_rgb_db", 2.5, **plain),
    )
    numbers = verdict.three(found, [], "roi-trellis", "mozjpeg")
    assert [one.note for one in numbers] == ["", "weighted by the run's own map", ""]
    assert [(one.value, one.what.split(" minus ")[1]) for one in numbers] == [
        ("−0.50 dB", "mozjpeg"),
        ("+2.50 dB", "plain JPEG"),
        ("+1.50 dB", "plain JPEG"),
    ]


def test_a_run_of_one_photograph_has_neither_sentence_nor_numbers():
    row = {"dataset": "all", "match_quality": "50", "method": "msroi", "against": "jpeg", "n": "1"}
    columns = {name + end: "" for name in verdict.METRICS for end in ("", "_sd")}
    judged = {**row, "judge": "ssimulacra2", "difference": "1.0", "sd": "", "won": "1.0"}
    tables = [verdict.of_metrics([row | columns]), verdict.by_measure([judged], "judge")]
    found = verdict.differences(tables, "msroi", 50)
    assert found == {}
    assert verdict.sentence(found, "msroi", "jpeg", 50) == ""
    assert verdict.three(found, [], "msroi", "jpeg") == []


def test_of_two_tables_that_over_more_photographs_counts():
    rows = [{"method": "a", "match_quality": str(quality)} for quality in (50, 70)]
    few, many = made("psnr_rgb_db", 1.0, n=5), made("psnr_rgb_db", 2.0, n=50)
    same = made("psnr_rgb_db", 3.0, n=50)
    tables = [[(rows[0], few)], [(rows[0], many), (rows[1], same)], [(rows[0], same)]]
    assert verdict.differences(tables, "a", 50) == by_key(many)


def test_the_interval_is_that_which_stage_gaze_has_computed_from_the_photographs():
    """A second way: from mean, sd and n of the committed table to its own interval."""
    rows = [row for row in read_csv(ROOT / "results/osie/gaze/comparison.csv") if row["low"]]
    for row in rows[:200]:
        low, high = verdict.interval(float(row["difference"]), float(row["sd"]), int(row["n"]))
        assert low == pytest.approx(float(row["low"]), rel=1e-5, abs=1e-7)
        assert high == pytest.approx(float(row["high"]), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("experiment", ["osie", "paper-cpu"])
def test_the_committed_tables_have_three_numbers_and_a_loss_where_they_say_so(experiment):
    folder = ROOT / "results" / experiment
    found = verdict.differences(
        [
            verdict.of_metrics(read_csv(folder / "metrics/comparison.csv")),
            verdict.by_measure(read_csv(folder / "judges/comparison.csv"), "judge"),
            verdict.by_measure(read_csv(folder / "gaze/comparison.csv"), "measure"),
        ],
        "roi-trellis",
        50,
    )
    ratios = read_csv(folder / "gaze/bytes.csv")
    numbers = verdict.three(found, ratios, "roi-trellis", "mozjpeg")
    assert len(numbers) == 3
    assert all(one.n >= FEWEST for one in numbers)
    behind = [
        row
        for row in read_csv(folder / "judges/comparison.csv")
        if (row["dataset"], row["match_quality"], row["method"], row["against"], row["judge"])
        == ("all", "50", "roi-trellis", "mozjpeg", "psnr_hvs_m_db")
    ]
    said = verdict.sentence(found, "roi-trellis", "mozjpeg", 50)
    lost = float(behind[0]["won"]) < 0.05  # a loss on nearly every photograph
    assert ("PSNR-HVS-M" in said.partition("behind")[2]) >= lost
