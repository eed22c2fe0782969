"""The printed numbers, read a second time, and their comparison with a run."""

import math
import re
from pathlib import Path

import pytest

from msroi.audit import published
from msroi.errors import ParameterError
from msroi.files import read_csv

ROOT = Path(__file__).parents[2]
PAPER = "selimovic-2018"


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def printed() -> list[dict[str, str]]:
    return read_csv(published.FOLDER / PAPER / "tables.csv")


def test_the_tables_have_all_their_cells() -> None:
    counts = {table: sum(row["table"] == table for row in printed()) for table in "1234"}
    # five images, two methods, five columns; three qualities, two methods, two columns
    assert counts == {"1": 50, "2": 50, "3": 12, "4": 12}


def test_mse_and_psnr_of_every_image_agree_to_the_last_printed_digit() -> None:
    cells = {
        (row["table"], row["image"], row["method"], row["measure"]): float(row["value"])
        for row in printed()
        if row["image"]
    }
    pairs = [key[:3] for key in cells if key[3] == "mse"]
    assert len(pairs) == 20
    for key in pairs:
        psnr_db = 10 * math.log10(255**2 / cells[*key, "mse"])
        assert cells[*key, "psnr_db"] == pytest.approx(psnr_db, abs=0.00051)


def test_the_gains_that_the_text_states_follow_from_the_tables() -> None:
    gains = {
        (cell[1], cell[2], cell[4]): value
        for cell, value in published.mean_cells(PAPER).items()
        if cell[3] == published.GAIN
    }
    assert len(gains) == 12
    # "an average gain of 1.09 dB in PSNR and a 0.0077 gain in SSIM ... at Q = 50"
    assert gains["salicon", 50, "psnr_db"] == pytest.approx(1.09, abs=0.005)
    assert gains["salicon", 50, "ssim"] == pytest.approx(0.0077, abs=0.00005)
    assert gains["salicon", 70, "psnr_db"] == pytest.approx(0.97, abs=0.005)
    assert gains["general-100", 50, "psnr_db"] == pytest.approx(0.36, abs=0.005)


def test_a_run_stands_beside_the_paper() -> None:
    mean = {"psnr_rgb_db": 30.9, "ssim_luma": 0.88}
    gain = {"psnr_rgb_db": -1.1, "ssim_luma": -0.02}
    summary = {
        "photos": {
            "jpeg": {"q50": {"mean": mean}},
            "msroi": {"q50": {"mean": mean, "minus_jpeg": gain}},
        }
    }
    rows = published.compare(published.mean_cells(PAPER), summary, {"salicon": "photos"})
    # only the set and quality that the run has
    assert {(row["dataset"], row["match_quality"]) for row in rows} == {("salicon", 50)}
    assert [(row["measure"], row["method"]) for row in rows] == [
        (measure, method)
        for measure in ("psnr_db", "ssim")
        for method in ("jpeg", "msroi", published.GAIN)
    ]
    assert (rows[0]["published"], rows[0]["this_run"], rows[0]["difference"]) == (
        "32.670",
        "30.900",
        "-1.770",
    )
    assert (rows[2]["published"], rows[2]["this_run"], rows[2]["difference"]) == (
        "1.093",
        "-1.100",
        "-2.193",
    )


def test_a_run_without_images_in_tolerance_leaves_the_cell_out() -> None:
    summary = {"photos": {"jpeg": {"q50": {"mean": {"psnr_rgb_db": None, "ssim_luma": None}}}}}
    assert published.compare(published.mean_cells(PAPER), summary, {"salicon": "photos"}) == []


# the claims, against the paper's text


def the_text() -> str:
    """Return the paper's text, one space between words, or skip."""
    files = sorted(ROOT.parent.glob("shared/seed/*.txt"))
    if not files:
        pytest.skip("the paper's text is not beside the checkout")
    return " ".join(files[0].read_text(encoding="utf-8").replace("Q_{final}", "Q_final").split())


def test_every_quote_is_in_the_text_and_short() -> None:
    text = the_text()
    for claim in published.read_paper(PAPER).claims:
        assert len(claim.quote.split()) <= 25, claim.id
        for part in claim.quote.split("…"):
            assert part.strip(" ,.()") in text, f"{claim.id}: {part!r}"


def test_every_row_of_the_tables_is_in_the_text() -> None:
    text = the_text()
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for at, number in published.read_paper(PAPER).numbers.items():
        rows.setdefault((at.table, at.image, at.setting, at.method), []).append(number)
    names = {"jpeg": "JPEG", "msroi": "MS-ROI"}
    for (table, _, quality, method), numbers in rows.items():
        quality_ = f" ({quality})" if table in "34" and method == "jpeg" else ""
        assert f"{names[method]}{quality_} {' '.join(numbers)}" in text


def test_every_number_of_the_claims_is_in_the_text() -> None:
    text = the_text()
    for claim in published.read_paper(PAPER).claims:
        for key in ("printed", "total", "part", "whole"):
            if key in claim.arguments:
                number = re.escape(claim.arguments[key])
                assert re.search(rf"(?<![0-9.]){number}(?![0-9]|[.][0-9])", text), claim.id


# wrong folders


HEAD = (
    "title: T\nauthors: A\nyear: 1\nlicence: L\nmade_up: true\n"
    "methods: {baseline: jpeg, proposed: msroi}\ndata_sets: {s: {}}\ntables: {1: {}}\n"
)
HEADER = ",".join(published.TABLE_COLUMNS) + "\n"


def folder(tmp_path: Path, paper: str, tables: str) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "paper.yaml").write_text(paper, encoding="utf-8")
    (tmp_path / "mine" / "tables.csv").write_text(tables, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("paper", "tables", "said"),
    [
        ("title: T\n", HEADER, "line 1: the paper must have the keys title, auth"),
        (HEAD + "claims: [{id: a}]\n", HEADER, "each claim must have check, id, place, quote"),
        (
            HEAD + "claims: []\n",
            HEADER + "1,s,,x,jpg,ssim,0.9\n",
            "line 2: there is no method 'jpg'",
        ),
        (HEAD + "claims: []\n", HEADER + "1,s,,50,jpeg,ssim\n", "line 2: expected table,dataset,"),
        (
            HEAD + "claims: []\n",
            HEADER + "1,s,,50,jpeg,ssim,0.9\n" * 2,
            "line 3: Table 1, jpeg (50), ssim is given twice (first in line 2).",
        ),
        (
            HEAD + "claims: []\n",
            HEADER + "1,s,,50,jpeg,ssim,high\n",
            "line 2: 'high' is not a number",
        ),
    ],
)
def test_a_wrong_folder_is_one_sentence(tmp_path: Path, paper: str, tables: str, said: str) -> None:
    with pytest.raises(ParameterError) as error:
        published.read_paper("mine", folder(tmp_path, paper, tables))
    assert said in str(error.value)


def test_a_paper_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as error:
        published.read_paper("other", folder(tmp_path, HEAD, HEADER))
    assert str(error.value) == f"There is no {tmp_path}/other/paper.yaml; {tmp_path}/ has: mine."
