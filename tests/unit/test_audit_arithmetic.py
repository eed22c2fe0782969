"""The checks of arithmetic: errors put into a small paper, and the real papers without any."""

import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtr

from msroi import audit_paper
from msroi.audit import arithmetic
from msroi.audit.check import CANNOT_TELL, CONSISTENT, INCONSISTENT, REGISTRY, UNUSUAL
from msroi.audit.entries import Entry
from msroi.audit.published import Printed

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "data" / "published"
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")

PAPER = """\
title: Small
authors: nobody
year: 2026
licence: MIT
made_up: true
methods: {baseline: JPEG, proposed: Ours}
data_sets:
  set: {images: 5, of: 5, pixels: 100000}
tables: {images: {}, means: {}, whole: {}, sizes: {}, db: {}, curve: {}, marks: {}}
claims:
  - {id: mean, place: p, quote: q, check: mean_of_rows, images: images, means: means}
  - {id: whole, place: p, quote: q, check: whole_bytes, table: whole}
  - {id: bpp, place: p, quote: q, check: bpp_of_bytes, table: sizes}
  - {id: ratio, place: p, quote: q, check: ratio_of_sizes, table: sizes, printed: 1.25}
  - id: percent
    place: p
    quote: q
    check: percent_gain
    table: sizes
    measure: bytes
    change: fall
    printed: 20.0
  - {id: marks, place: p, quote: q, check: best_marked, table: marks}
  - {id: db, place: p, quote: q, check: ms_ssim_db, table: db}
  - {id: rows, place: p, quote: q, check: duplicate_rows, table: curve}
  - {id: limit, place: p, quote: q, check: limit, table: sizes, measure: bpp, most: 0.80}
  - {id: test, place: p, quote: q, check: paired_test, table: images, measure: psnr_db, alpha: 0.05}
  - id: same
    place: p
    quote: q
    check: same_baseline
    table: curve
    dataset: set
    measure: psnr_db
    other_paper: other
    other_table: curve
    tolerance: 0.05
"""
ROWS = """\
table,dataset,image,setting,method,measure,value,mark
images,set,a,50,JPEG,psnr_db,30.10,
images,set,b,50,JPEG,psnr_db,31.25,
images,set,c,50,JPEG,psnr_db,29.42,
images,set,d,50,JPEG,psnr_db,34.13,
images,set,e,50,JPEG,psnr_db,27.31,
images,set,a,50,Ours,psnr_db,30.52,
images,set,b,50,Ours,psnr_db,31.60,
images,set,c,50,Ours,psnr_db,29.93,
images,set,d,50,Ours,psnr_db,34.50,
images,set,e,50,Ours,psnr_db,27.75,
means,set,,50,JPEG,psnr_db,30.4,
whole,set,,50,JPEG,bpp,0.4728640,
whole,set,,60,JPEG,bpp,0.5213440,
sizes,set,a,50,JPEG,bytes,10000,
sizes,set,a,50,Ours,bytes,8000,
sizes,set,a,50,JPEG,bpp,0.800,
sizes,set,a,50,Ours,bpp,0.640,
db,set,a,50,JPEG,ms_ssim,0.9840,
db,set,a,50,JPEG,ms_ssim_db,17.96,
curve,set,,10,JPEG,bpp,0.30,
curve,set,,10,JPEG,psnr_db,26.58,
curve,set,,20,JPEG,bpp,0.50,
curve,set,,20,JPEG,psnr_db,29.04,
curve,set,,30,JPEG,bpp,0.70,
curve,set,,30,JPEG,psnr_db,30.62,
marks,set,,50,JPEG,psnr_db,30.10,
marks,set,,50,Ours,psnr_db,30.52,best
"""

# kind of error, the text that it changes, what that becomes, the check that alone catches it
SEEDED = [
    ("a mean that is not of its rows", "psnr_db,30.4,", "psnr_db,30.7,", "mean_of_rows"),
    ("a mean truncated, not rounded", "psnr_db,34.13", "psnr_db,34.31", "mean_of_rows"),
    ("bits a pixel of no whole file", "0.5213440", "0.5213570", "whole_bytes"),
    ("bits a pixel of another size", "bpp,0.640", "bpp,0.604", "bpp_of_bytes"),
    ("a ratio of sizes misprinted", "printed: 1.25", "printed: 1.52", "ratio_of_sizes"),
    ("a percentage of the other number", "printed: 20.0", "printed: 25.0", "percent_gain"),
    (
        "the second marked as the best",
        "30.10,\nmarks,set,,50,Ours,psnr_db,30.52,best",
        "30.10,best\nmarks,set,,50,Ours,psnr_db,30.52,",
        "best_marked",
    ),
    ("two digits of an MS-SSIM in dB exchanged", "db,17.96", "db,17.69", "ms_ssim_db"),
    (
        "a row copied to another setting",
        "0.50,\ncurve,set,,20,JPEG,psnr_db,29.04",
        "0.30,\ncurve,set,,20,JPEG,psnr_db,26.58",
        "duplicate_rows",
    ),
    ("a limit that the table does not keep", "most: 0.80", "most: 0.60", "limit"),
    (
        "a significant difference denied",
        "alpha: 0.05",
        "alpha: 0.05, significant: false",
        "paired_test",
    ),
    ("a baseline 0.5 dB too low", "psnr_db,30.62", "psnr_db,30.12", "same_baseline"),
]


def written(folder: Path, paper: str = PAPER, rows: str = ROWS) -> Path:
    for name, text in (("mine", (paper, rows)), ("other", (PAPER, ROWS))):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "paper.yaml").write_text(text[0], encoding="utf-8")
        (folder / name / "tables.csv").write_text(text[1], encoding="utf-8")
    return folder / "mine"


def verdicts(found: list[Entry], claim: str) -> list[str]:
    return [entry.verdict for entry in found if entry.claim.id == claim]


def doubtful(found: list[Entry]) -> set[str]:
    return {entry.claim.check for entry in found if entry.verdict != CONSISTENT}


def test_the_small_paper_is_without_an_error(tmp_path: Path) -> None:
    found = audit_paper(written(tmp_path))
    assert doubtful(found) == set()
    own = {n for n, c in REGISTRY.items() if c.function.__module__ == arithmetic.__name__}
    assert {entry.claim.check for entry in found} == own == {check for *_, check in SEEDED}


@pytest.mark.parametrize(("kind", "old", "new", "check"), SEEDED)
def test_an_error_is_caught_by_its_check_alone(
    tmp_path: Path, kind: str, old: str, new: str, check: str
) -> None:
    assert (PAPER + ROWS).count(old) == 1, kind
    found = audit_paper(written(tmp_path, PAPER.replace(old, new), ROWS.replace(old, new)))
    assert doubtful(found) == {check}


def test_the_documentation_has_the_table_of_these_errors() -> None:
    table = "".join(f"| {kind} | `{check}` |\n" for kind, _, _, check in SEEDED)
    assert table in PAGE, f"docs/audit.md: replace the table of seeded errors with:\n{table}"


@pytest.mark.parametrize(
    ("old", "new", "claim", "expected"),
    [
        ("psnr_db,30.4,", "psnr_db,29.9,", "mean", "explained by the PSNR of the mean MSE"),
        ("psnr_db,34.13", "psnr_db,34.31", "mean", "explained by truncation"),
        ("d: 20.0", "d: 25.0", "percent", "explained by percent of the proposed method's"),
        ("printed: 1.25", "printed: 0.80", "ratio", "explained by the inverse"),
        ("JPEG,bpp,0.800", "JPEG,bpp,0.100", "bpp", "explained by bits counted as bytes"),
        ("images: 5", "images: 24", "mean", CANNOT_TELL),
    ],
)
def test_another_way_to_compute_is_named(
    tmp_path: Path, old: str, new: str, claim: str, expected: str
) -> None:
    found = audit_paper(written(tmp_path, PAPER.replace(old, new, 1), ROWS.replace(old, new, 1)))
    assert expected in verdicts(found, claim)


@given(st.lists(st.floats(20, 45), min_size=2, max_size=30))
def test_any_rounded_mean_of_rounded_rows_fits(values: list[float]) -> None:
    rows = [Printed(f"{value:.2f}") for value in values]
    mean = Printed(f"{statistics.fmean(values):.2f}")
    low, high = (statistics.fmean(getattr(row, edge) for row in rows) for edge in ("low", "high"))
    assert arithmetic.fits(mean, low, high)


@given(st.lists(st.tuples(st.floats(20, 40), st.floats(-1, 1)), min_size=3, max_size=20))
def test_the_paired_test_is_scipys(pairs: list[tuple[float, float]]) -> None:
    gains = [round(gain, 3) for _, gain in pairs]
    if statistics.stdev(gains) < 1e-3:
        return
    t = abs(statistics.fmean(gains)) / (statistics.stdev(gains) / math.sqrt(len(gains)))
    p = 2 * stdtr(len(gains) - 1, -t)
    assert p == pytest.approx(stats.ttest_1samp(gains, 0).pvalue, rel=1e-6, abs=1e-12)


# the real papers


def audited(paper: str) -> list[Entry]:
    return audit_paper(PUBLISHED / paper)


def test_of_prakash_23_of_24_kodak_and_93_of_100_mit_files_are_more_than_1_percent_larger() -> None:
    found = audited("prakash-2016")
    for claim, larger, files in (("size-kodak", 23, 24), ("size-mit", 93, 100)):
        said = verdicts(found, claim)
        assert (said.count(INCONSISTENT), len(said)) == (larger, files)


def test_of_prakash_two_of_the_20_large_images_are_one() -> None:
    found = audited("prakash-2016")
    (large,) = (entry for entry in found if entry.claim.id == "distinct-large")
    assert large.verdict == INCONSISTENT
    assert large.finding.evidence.startswith(
        "large-image ori_large_image 50 = large-image ori_large_image_100 50; of 20 rows"
    )
    assert verdicts(found, "distinct-kodak") == verdicts(found, "distinct-mit") == [CONSISTENT]


def test_of_prakash_nothing_else_is_in_doubt() -> None:
    claims = {entry.claim.id for entry in audited("prakash-2016") if entry.fails}
    assert claims == {"size-kodak", "size-mit", "size-large", "distinct-large"}


def test_jpeg_on_kodak_is_a_quarter_of_a_db_apart_between_two_projects() -> None:
    (same,) = (entry for entry in audited("compressai-2020") if entry.verdict != CONSISTENT)
    assert (same.claim.check, same.verdict) == ("same_baseline", UNUSUAL)
    assert same.finding.found == pytest.approx(-0.24, abs=0.005)


def test_all_19_sizes_of_compressai_are_whole_bytes_and_those_of_six_digits_can_not_tell() -> None:
    assert verdicts(audited("compressai-2020"), "whole-files") == [CONSISTENT] * 19
    assert verdicts(audited("tensorflow-compression"), "whole-files") == [CANNOT_TELL] * 100


def test_of_jiang_no_internal_check_doubts_a_number() -> None:
    found = [entry for entry in audited("jiang-2021") if entry.family == "internal"]
    assert len(found) == 335
    assert doubtful(found) == set()
