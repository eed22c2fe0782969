"""Plain JPEG of photographs against a printed baseline, under every reading."""

import math
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import texture
from msroi import audit_paper
from msroi.audit import photographs
from msroi.audit.check import CANNOT_TELL, CONSISTENT, NOT_REPRODUCED, UNUSUAL
from msroi.audit.entries import Entry
from msroi.cli import main

ROOT = Path(__file__).parents[2]
PAPER = """\
title: Small
authors: nobody
year: 2026
licence: MIT
made_up: true
methods: {baseline: jpeg, proposed: ours}
data_sets:
  mine: {images: 2, of: 2}
tables: {t: {}}
claims:
"""
BASELINE = (
    "  - {id: base, place: p, quote: q, check: baseline_reproduced, table: t, dataset: mine, "
    "photographs: mine}\n"
)
SAME = BASELINE.replace("id: base", "id: same").replace("baseline_reproduced", "same_size")
HEAD = "table,dataset,image,setting,method,measure,value\n"


@pytest.fixture(scope="module")
def testsets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs of FBCNN's test sets, or skip."""
    found = sorted(ROOT.parent.glob("shared/data/audit/fbcnn_testsets.zip"))
    if not found:
        pytest.skip("the photographs of Classic5 and LIVE1 are not beside the checkout")
    folder = tmp_path_factory.mktemp("testsets")
    with zipfile.ZipFile(found[0]) as opened:
        opened.extractall(folder)
    return folder


@pytest.fixture
def colour(tmp_path: Path) -> Path:
    """Two photographs in colour."""
    folder = tmp_path / "photographs" / "mine"
    folder.mkdir(parents=True)
    for seed, name in enumerate(("a", "b")):
        Image.fromarray(texture("checks", 120, 160, seed)).save(folder / f"{name}.png")
    return folder


def paper(folder: Path, claims: str, rows: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "paper.yaml").write_text(PAPER + claims, encoding="utf-8")
    (folder / "tables.csv").write_text(HEAD + rows, encoding="utf-8")
    return folder


def of_claim(found: list[Entry], claim: str) -> list[Entry]:
    return [entry for entry in found if entry.claim.id == claim]


def readings(folder: Path, quality: int) -> dict[str, float]:
    each = [
        {
            name: value
            for measure in photographs.READINGS
            for name, value in photographs.measured(path, (quality,), measure).items()
        }
        for path in sorted(folder.iterdir())
    ]
    return {name: sum(of[name] for of in each) / len(each) for name in each[0]}


# FBCNN


def test_without_photographs_all_51_can_not_be_told() -> None:
    found = audit_paper(ROOT / "data/published/jiang-2021")
    said = [entry.verdict for entry in found if entry.claim.check == "baseline_reproduced"]
    assert said == [CANNOT_TELL] * 51


@pytest.mark.numerics
def test_the_42_plain_jpeg_numbers_of_jiang_reproduce_and_9_psnr_b_of_two_compressions_do_not(
    testsets: Path,
) -> None:
    found = audit_paper(ROOT / "data/published/jiang-2021", testsets)
    base = [entry for entry in found if entry.claim.check == "baseline_reproduced"]
    assert Counter(entry.verdict for entry in base) == {CONSISTENT: 42, NOT_REPRODUCED: 9}
    apart = [entry for entry in base if entry.verdict == NOT_REPRODUCED]
    assert {entry.claim.id for entry in apart} == {"jpeg-twice"}
    for entry in apart:
        assert "psnr_b_db" in entry.finding.place
        # the printed number is higher, by 0.09 to 0.52 dB; why is not known
        assert 0.085 <= float(entry.finding.published) - float(entry.finding.found or 0) <= 0.525


# readings


@pytest.mark.parametrize(
    ("measure", "reading", "digits", "verdict"),
    [
        ("psnr_db", "PSNR over RGB", 3, CONSISTENT),
        ("psnr_db", "PSNR over 8-bit luma", 3, "explained by PSNR over 8-bit luma"),
        *(
            (measure, name, 3, f"explained by {name}")
            for measure, name in (
                ("psnr_db", "PSNR over luma in video range, peak 255"),
                # which is grey JPEG's: the colours of a file change nothing of its Y
                ("psnr_db", "PSNR over the file's own Y"),
                ("ssim", "SSIM of luma, uniform window"),
                ("ssim", "SSIM of luma at half size"),
                ("psnr_b_db", "PSNR-B of grey JPEG"),
                ("bytes", "size of a grey file"),
            )
        ),
    ],
)
def test_each_reading_is_found_by_its_numbers(
    tmp_path: Path, colour: Path, measure: str, reading: str, digits: int, verdict: str
) -> None:
    value = readings(colour, 50)[reading]
    digits = 1 if measure == "bytes" else 4 if measure == "ssim" else digits
    rows = f"t,mine,,50,jpeg,{measure},{value:.{digits}f}\n"
    found = audit_paper(paper(tmp_path / "paper", BASELINE, rows), colour.parent)
    assert [entry.verdict for entry in found] == [verdict]


def test_luma_in_video_range_adds_1_32_db(colour: Path) -> None:
    found = readings(colour, 50)
    added = found["PSNR over luma in video range, peak 255"] - found["PSNR over 8-bit luma"]
    assert added == pytest.approx(20 * math.log10(255 / 219), abs=0.05)


def test_where_none_fits_the_nearest_is_named_with_its_offset(tmp_path: Path, colour: Path) -> None:
    values = {quality: readings(colour, quality)["PSNR over RGB"] + 0.1 for quality in (30, 50)}
    rows = "".join(f"t,mine,,{q},jpeg,psnr_db,{value:.4f}\n" for q, value in values.items())
    found = audit_paper(paper(tmp_path / "paper", BASELINE, rows), colour.parent)
    assert [entry.verdict for entry in found] == [NOT_REPRODUCED] * 2
    assert found[0].finding.evidence.endswith(
        "by PSNR over RGB, +0.1000 away; over the column +0.1000 to +0.1000 (n = 2)"
    )


def test_psnr_b_is_that_of_a_loop_over_all_pixels() -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 9, (24, 32)).astype(float) for _ in range(2))
    other[:, 8:16] += 40  # edges of blocks
    sums, counts = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for y in range(24):
        for x in range(32):
            for ny, nx in ((y + 1, x), (y, x + 1)):
                if ny < 24 and nx < 32:
                    border = (nx if nx > x else ny) % 8 == 0
                    sums[border] += (other[y, x] - other[ny, nx]) ** 2
                    counts[border] += 1
    across, elsewhere = (sums[one] / counts[one] for one in (True, False))
    assert across > elsewhere
    mse = ((one - other) ** 2).mean() + math.log2(8) / math.log2(24) * (across - elsewhere)
    expected = 10 * math.log10(255**2 / mse)
    assert photographs.psnr_b_db(one, other) == pytest.approx(expected, abs=1e-9)


# the gain of larger files


def rows_at(folder: Path, quality: int, better: int, gain: float) -> str:
    """Return rows of JPEG, and of a method with the size of another quality and a gain."""
    rows = ""
    for path in sorted(folder.iterdir()):
        size, psnr = photographs.size_and_psnr(path, quality)
        larger, _ = photographs.size_and_psnr(path, better)
        for method, number, of in (("jpeg", size, psnr), ("ours", larger, psnr + gain)):
            rows += f"t,mine,{path.stem},{quality},{method},bytes,{number}\n"
            rows += f"t,mine,{path.stem},{quality},{method},psnr_db,{of:.4f}\n"
    return rows


def test_a_gain_that_the_extra_bytes_have_alone_is_unusual(tmp_path: Path, colour: Path) -> None:
    gains = [
        photographs.size_and_psnr(path, 54)[1] - photographs.size_and_psnr(path, 50)[1]
        for path in sorted(colour.iterdir())
    ]
    mean = sum(gains) / len(gains)
    for gain, verdict in ((mean, UNUSUAL), (mean + 1, CONSISTENT)):
        folder = paper(tmp_path / "paper", SAME, rows_at(colour, 50, 54, gain))
        (entry,) = audit_paper(folder, colour.parent)
        assert entry.verdict == verdict
        assert entry.finding.found == pytest.approx(mean, abs=0.001)


def test_files_of_one_size_gain_nothing(tmp_path: Path, colour: Path) -> None:
    folder = paper(tmp_path / "paper", SAME, rows_at(colour, 50, 50, 0.5))
    (entry,) = audit_paper(folder, colour.parent)
    assert entry.verdict == CONSISTENT
    assert entry.finding.found == pytest.approx(0, abs=1e-9)


# what is wrong with the photographs


def test_missing_photographs_are_one_sentence(
    tmp_path: Path, colour: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = paper(tmp_path / "paper", BASELINE, "t,mine,,50,jpeg,psnr_db,30.0\n")
    where = f"msroi: {folder}/paper.yaml, line 11: claim base: check baseline_reproduced: "
    (colour / "b.png").unlink()
    assert main.main(["audit", str(folder), "--photographs", str(colour.parent)]) == 2
    assert capsys.readouterr().err == (
        f"{where}{colour} has 1 photographs (.png, .bmp, .tif, .tiff, .ppm, .pgm); expected 2.\n"
    )
    shutil.rmtree(colour)
    assert main.main(["audit", str(folder), "--photographs", str(colour.parent)]) == 2
    assert capsys.readouterr().err == f"{where}there is no folder {colour} with photographs.\n"


def test_photographs_go_with_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["audit", "--experiment", "tiny", "--photographs", "x"]) == 2
    assert capsys.readouterr().err == (
        "msroi: --photographs goes with a PATH; an experiment has its own folder.\n"
    )
