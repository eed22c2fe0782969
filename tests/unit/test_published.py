"""The printed numbers, read a second time, and their comparison with a run."""

import math
from pathlib import Path

import pytest

from msroi import published
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
