"""`msroi audit PATH`: a folder with a paper's numbers, right or wrong, and what is said of it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from msroi import audit_paper
from msroi.audit.check import CANNOT_TELL, CONSISTENT, INCONSISTENT, UNUSUAL
from msroi.audit.entries import Entry
from msroi.audit.published import TABLE_COLUMNS
from msroi.cli import main
from msroi.errors import ParameterError

ROOT = Path(__file__).parents[2]

PAPER = """\
title: Small
authors: nobody
year: 2026
licence: MIT
made_up: true
methods: {baseline: JPEG, proposed: Ours, others: [Theirs]}
data_sets:
  kodak: {images: 24, of: 24, pixels: 393216}
  live1: {images: 29, of: 29}
tables:
  "1": {source: somewhere}
  "2": {}
claims:
"""


def write(folder: Path, claims: str, rows: str, paper: str = PAPER) -> Path:
    lines = [",".join(TABLE_COLUMNS), *rows.split()] if "value" not in rows else rows.split()
    (folder / "paper.yaml").write_text(f"{paper}{claims}\n", encoding="utf-8")
    (folder / "tables.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def claim(check: str, **arguments: object) -> str:
    more = "".join(f", {key}: {value}" for key, value in arguments.items())
    return f"  - {{id: it, place: there, quote: so, check: {check}{more}}}\n"


def verdicts(found: list[Entry]) -> list[str]:
    return [entry.verdict for entry in found]


def said(folder: Path) -> str:
    with pytest.raises(ParameterError) as error:
        audit_paper(folder)
    return str(error.value).replace(str(folder), "mine")


SERIES = """
1,kodak,,10,JPEG,psnr_db,27.82  1,kodak,,20,JPEG,psnr_db,30.12  1,kodak,,30,JPEG,psnr_db,31.48
1,live1,,10,JPEG,psnr_db,27.77  1,live1,,20,JPEG,psnr_db,30.07  1,live1,,30,JPEG,psnr_db,31.41
1,kodak,,40,JPEG,psnr_db,32.43
"""
PAIRS = """
1,kodak,,10,JPEG,psnr_db,27.82  1,kodak,,10,Ours,psnr_db,30.12
1,live1,,10,JPEG,psnr_db,27.77  1,live1,,10,Ours,psnr_db,29.75
"""
SIZES = """
1,kodak,a,50,JPEG,bytes,10000  1,kodak,a,50,Ours,bytes,10140
1,kodak,b,50,JPEG,bytes,10000  1,kodak,b,50,Ours,bytes,9860
"""


# verdicts that were false


def test_a_series_is_of_one_data_set(tmp_path: Path) -> None:
    found = audit_paper(write(tmp_path, claim("rises_with_quality", table=1), SERIES))
    assert verdicts(found) == [CONSISTENT, CONSISTENT]
    assert [entry.finding.place for entry in found] == [
        "Table 1, kodak, JPEG, psnr_db",
        "Table 1, live1, JPEG, psnr_db",
    ]


def test_a_series_that_falls_is_found_in_its_own_data_set(tmp_path: Path) -> None:
    folder = write(tmp_path, claim("rises_with_quality", table=1), SERIES.replace("30.07", "27.07"))
    assert verdicts(audit_paper(folder)) == [CONSISTENT, INCONSISTENT]


def test_an_error_falls_with_the_quality_and_a_size_rises(tmp_path: Path) -> None:
    rows = """1,kodak,,10,JPEG,mse,90.1 1,kodak,,20,JPEG,mse,60.2
    1,kodak,,10,JPEG,bytes,9000 1,kodak,,20,JPEG,bytes,12000"""
    folder = write(tmp_path, claim("rises_with_quality", table=1), rows)
    assert verdicts(audit_paper(folder)) == [CONSISTENT, CONSISTENT]


def test_a_gain_is_of_the_data_set_that_is_named(tmp_path: Path) -> None:
    for dataset, printed in (("kodak", "2.30"), ("live1", "1.98")):
        one = claim(
            "gain", table=1, setting=10, measure="psnr_db", dataset=dataset, printed=printed
        )
        assert verdicts(audit_paper(write(tmp_path, one, PAIRS))) == [CONSISTENT]


def test_a_gain_that_fits_two_data_sets_asks_which(tmp_path: Path) -> None:
    one = claim("gain", table=1, setting=10, measure="psnr_db", printed="1.98")
    assert said(write(tmp_path, one, PAIRS)) == (
        "mine/paper.yaml, line 14: claim it: check gain: 2 pairs of Table 1 fit; add `dataset:`, "
        "one of kodak, live1."
    )


@pytest.mark.parametrize(("image", "printed"), [("", "2.30"), ("a", "1.00"), ("b", "3.00")])
def test_a_gain_is_of_the_mean_unless_an_image_is_named(
    tmp_path: Path, image: str, printed: str
) -> None:
    rows = """1,kodak,a,10,JPEG,psnr_db,27.00 1,kodak,a,10,Ours,psnr_db,28.00
    1,kodak,b,10,JPEG,psnr_db,27.00 1,kodak,b,10,Ours,psnr_db,30.00
    1,kodak,,10,JPEG,psnr_db,27.82 1,kodak,,10,Ours,psnr_db,30.12"""
    named = {"image": image} if image else {}
    one = claim("gain", table=1, measure="psnr_db", printed=printed, **named)
    assert verdicts(audit_paper(write(tmp_path, one, rows))) == [CONSISTENT]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"percent": 1}, [INCONSISTENT, INCONSISTENT]),  # 1.4 % was within "1 rounded"
        ({"percent": 1, "rounded": "true"}, [CONSISTENT, CONSISTENT]),
        ({"percent": 1, "side": "larger"}, [INCONSISTENT, CONSISTENT]),
        ({"percent": 1, "side": "smaller"}, [CONSISTENT, INCONSISTENT]),
        ({"percent": "1.4"}, [CONSISTENT, CONSISTENT]),
    ],
)
def test_a_bound_is_exact_unless_rounded_and_may_have_one_side(
    tmp_path: Path, arguments: dict[str, object], expected: list[str]
) -> None:
    folder = write(tmp_path, claim("size_bound", table=1, **arguments), SIZES)
    assert verdicts(audit_paper(folder)) == expected


@pytest.mark.parametrize(
    ("multi", "expected"), [("0.9016", CONSISTENT), ("0.8016", UNUSUAL), ("1.0020", INCONSISTENT)]
)
def test_ms_ssim_far_below_ssim_is_unusual_and_above_1_impossible(
    tmp_path: Path, multi: str, expected: str
) -> None:
    rows = f"1,kodak,,10,JPEG,ssim,0.9020  1,kodak,,10,JPEG,ms_ssim,{multi}"
    assert verdicts(audit_paper(write(tmp_path, claim("ssim_ranges", table=1), rows))) == [expected]


# what was silent


def test_an_unknown_table_is_named_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    tables = PAPER.replace('"2"', "single")
    folder = write(tmp_path, claim("rises_with_quality", table="singel"), SERIES, tables)
    assert said(folder) == (
        "mine/paper.yaml, line 14: claim it: there is no table 'singel' in tables; did you mean "
        "'single'?"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("l,kodak,,1,JPEG,mse,1", "table 'l' in tables of paper.yaml; there are: 1, 2."),
        (
            "1,kodk,,1,JPEG,mse,1",
            "data set 'kodk' in data_sets of paper.yaml; did you mean 'kodak'?",
        ),
        (
            "1,kodak,,1,JPG,mse,1",
            "method 'JPG' in methods of paper.yaml (baseline, proposed, others); "
            "did you mean 'JPEG'?",
        ),
        (
            "1,kodak,,1,JPEG,pnsr_db,1",
            "measure 'pnsr_db' in the known measures; did you mean 'psnr_db'?",
        ),
    ],
)
def test_an_unknown_name_in_the_tables_is_named_with_file_and_line(
    tmp_path: Path, row: str, message: str
) -> None:
    folder = write(tmp_path, claim("rises_with_quality", table=1), f"1,kodak,,2,JPEG,mse,1 {row}")
    assert said(folder) == f"mine/tables.csv, line 3: there is no {message}"


def test_a_number_without_quotes_keeps_its_digits(tmp_path: Path) -> None:
    rows = "1,kodak,,10,JPEG,psnr_db,30.000 1,kodak,,10,Ours,psnr_db,30.014"
    one = claim("gain", table=1, setting=10, measure="psnr_db", printed="0.0100")
    (found,) = audit_paper(write(tmp_path, one, rows))
    assert (found.finding.published, found.verdict) == ("0.0100", INCONSISTENT)


def test_sizes_may_be_in_kilobytes(tmp_path: Path) -> None:
    rows = """1,kodak,a,50,JPEG,bytes,10.0  1,kodak,a,50,Ours,bytes,10.1
    1,kodak,b,50,JPEG,bytes,10.0  1,kodak,b,50,Ours,bytes,10.4"""
    paper = PAPER.replace('"1": {source: somewhere}', '"1": {units: {bytes: kB}}')
    found = audit_paper(write(tmp_path, claim("size_bound", table=1, percent=1), rows, paper))
    # 1.0 % may be what 0.1 of 10.0 kB is after rounding, 4 % is not
    assert verdicts(found) == [CONSISTENT, INCONSISTENT]
    paper = PAPER.replace('"1": {source: somewhere}', '"1": {units: {bytes: kb}}')
    assert said(write(tmp_path, claim("size_bound", table=1, percent=1), rows, paper)) == (
        "mine/paper.yaml: tables.1: there is no unit 'kb' in the known units; did you mean 'kB'?"
    )


def test_a_claim_without_a_finding_says_what_was_looked_for(tmp_path: Path) -> None:
    rows = "1,kodak,,10,JPEG,psnr_db,30.0 1,kodak,,10,Theirs,psnr_db,30.1"
    folder = write(tmp_path, claim("better_at_every_quality", table=1), rows)
    assert said(folder) == (
        "mine/paper.yaml, line 14: claim it: check better_at_every_quality: found nothing to look "
        "at; it looks for pairs of baseline and proposed method (table 1; baseline JPEG, proposed "
        "Ours)."
    )


def test_four_qualities_are_two_comparisons_of_steps(tmp_path: Path) -> None:
    found = audit_paper(write(tmp_path, claim("quality_steps", table=1), SERIES))
    assert [entry.finding.place for entry in found] == [
        "Table 1, kodak, JPEG, psnr_db at 10, 20, 30",
        "Table 1, kodak, JPEG, psnr_db at 20, 30, 40",
        "Table 1, live1, JPEG, psnr_db",
    ]
    assert verdicts(found) == [CONSISTENT] * 3


def test_a_setting_without_a_number_needs_an_order(tmp_path: Path) -> None:
    rows = """table,dataset,image,setting,method,measure,value,order
    1,kodak,,low,JPEG,psnr_db,27.8,{0} 1,kodak,,high,JPEG,psnr_db,29.8,{1}"""
    one = claim("rises_with_quality", table=1)
    assert verdicts(audit_paper(write(tmp_path, one, rows.format(1, 2)))) == [CONSISTENT]
    assert verdicts(audit_paper(write(tmp_path, one, rows.format(2, 1)))) == [INCONSISTENT]
    assert said(write(tmp_path, one, rows.format("", ""))) == (
        "mine/paper.yaml, line 14: claim it: check rises_with_quality: Table 1, JPEG, psnr_db: the "
        "setting 'low' has no number to sort by; add the column `order` to tables.csv."
    )


# what was unclear


def test_a_data_set_without_a_count_says_what_to_add(tmp_path: Path) -> None:
    paper = PAPER.replace("live1: {images: 29, of: 29}", "live1: {}")
    one = claim("anova_possible", table=1, alpha="0.05")
    assert verdicts(audit_paper(write(tmp_path, one, PAIRS, paper))) == [CANNOT_TELL] * 2
    one = claim("means_against_images", images=1, means=2, setting=10)
    rows = "1,live1,a,10,JPEG,ssim,0.9 1,live1,b,10,JPEG,ssim,0.8 2,live1,,10,JPEG,ssim,0.85"
    assert said(write(tmp_path, one, rows, paper)) == (
        "mine/paper.yaml, line 14: claim it: check means_against_images: mine/paper.yaml: "
        "data_sets.live1 has no `images`, which this check needs; add `images: <number>`."
    )


def test_a_number_with_separators_is_named_with_file_and_line(tmp_path: Path) -> None:
    rows = '1,kodak,a,50,JPEG,bytes,"30,123"'
    assert said(write(tmp_path, claim("smaller", table=1), rows)) == (
        "mine/tables.csv, line 2: '30,123' is not a number as printed, such as 32.674; write it "
        "without separators of thousands."
    )


def test_a_largest_gain_without_rows_is_one_sentence(tmp_path: Path) -> None:
    one = claim("largest_gain", table=1, measure="psnr_db", image="bird", printed="1.0")
    assert said(write(tmp_path, one, PAIRS)) == (
        "mine/paper.yaml, line 14: claim it: check largest_gain: Table 1 has no pair of psnr_db of "
        "the image 'bird'; it has: none."
    )


def test_means_against_one_image_can_not_be_told(tmp_path: Path) -> None:
    rows = "1,kodak,a,10,JPEG,ssim,0.9 2,kodak,,10,JPEG,ssim,0.85"
    one = claim("means_against_images", images=1, means=2, setting=10)
    assert verdicts(audit_paper(write(tmp_path, one, rows))) == [CANNOT_TELL]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence", "license", "line 4: there is no key 'license' in the paper; did you mean "),
        ("baseline: JPEG, ", "", "line 6: methods must have the keys baseline, proposed; baseline"),
        ("s: 24", "s: many", "line 8: data_sets.kodak.images must be a whole number, got 'many'."),
        ("made_up: true", "made_up: no one", "made_up must be true or false, got 'no one'."),
    ],
)
def test_a_wrong_paper_is_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    paper = PAPER.replace(old, new, 1)
    folder = write(tmp_path, claim("rises_with_quality", table=1), SERIES, paper)
    assert said(folder).removeprefix("mine/paper.yaml").lstrip(":, ").startswith(message)


def test_a_table_of_excel_with_a_mark_of_order_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path, claim("rises_with_quality", table=1), SERIES)
    text = (folder / "tables.csv").read_text(encoding="utf-8")
    (folder / "tables.csv").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert verdicts(audit_paper(folder)) == [CONSISTENT, CONSISTENT]


# the program


def test_a_template_is_written_once_and_has_two_planted_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = str(tmp_path / "mine")
    assert main.main(["audit", "--new", mine]) == 0
    assert capsys.readouterr().out == (
        f"{mine}: paper.yaml and tables.csv, an example with two planted errors\n"
    )
    assert main.main(["audit", mine]) == 0
    out = capsys.readouterr().out
    assert "  internal     2 inconsistent, 15 consistent\n" in out
    assert main.main(["audit", mine, "--strict", "--out", f"{mine}/page"]) == 1
    assert f"all of it: {mine}/page/audit.md, audit.csv\n" in capsys.readouterr().out
    page = (tmp_path / "mine/page/audit.md").read_text(encoding="utf-8")
    first = page.index("`mse-psnr`: 1 of 4 inconsistent; Table 1, harbour")
    assert first < page.index("### Claim by claim")
    assert main.main(["audit", "--new", mine]) == 2
    assert "paper.yaml is there already; choose another folder." in capsys.readouterr().err


def test_the_template_is_the_made_up_example() -> None:
    for name in ("paper.yaml", "tables.csv"):
        template = (ROOT / "src/msroi/audit/template" / name).read_bytes()
        assert template == (ROOT / "data/published/made-up-example" / name).read_bytes()


def test_a_folder_that_is_not_there_says_how_to_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["audit", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"msroi: There is no {tmp_path}/paper.yaml; `msroi audit --new {tmp_path}` writes one to "
        "begin with.\n"
    )


def test_a_clone_without_the_index_is_audited_from_its_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whoever cloned the project has results, but not the index of the photographs."""
    for name in ("results", "config", "workflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/published").symlink_to(ROOT / "data/published")
    monkeypatch.chdir(tmp_path)
    before = (ROOT / "results/paper-cpu/audit/audit.md").read_bytes()
    assert main.main(["audit", "--experiment", "paper-cpu"]) == 0
    out = capsys.readouterr().out
    assert "selimovic-2018: 253 checks\n  internal     144 consistent, 3 inconsistent\n" in out
    assert out.endswith(
        "data/paper-cpu/prepare/index.csv is not here, so formats of sources are unknown and "
        "nothing is written; the audit as committed: results/paper-cpu/audit/audit.md\n"
    )
    assert (ROOT / "results/paper-cpu/audit/audit.md").read_bytes() == before


HEAVY = "import sys; from msroi import audit_paper; audit_paper(sys.argv[1]); print(*sys.modules)"


def test_a_thousand_numbers_take_seconds_and_nothing_heavy(tmp_path: Path) -> None:
    rows = " ".join(
        f"1,kodak,i{n},{q},{method},{measure},{30 + q / 10 + n / 100 + len(method) / 10:.3f}"
        for n in range(25)
        for q in range(10, 60, 10)
        for method in ("JPEG", "Ours")
        for measure in ("psnr_db", "psnr_b_db", "psnr_hvs_db", "vifp")
    )
    assert len(rows.split()) == 1000
    checks = ("rises_with_quality", "better_at_every_quality")
    claims = "".join(claim(one, table=1).replace("it,", f"{one},") for one in checks)
    folder = write(tmp_path, claims, rows)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", HEAVY, folder], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - start < 10  # 3 s by the documentation, on an idle machine
    heavy = {"jax", "scipy.stats", "skimage", "matplotlib", "pandas", "msroi.photos", "snakemake"}
    assert not heavy & set(done.stdout.split())
