"""The benchmark on tiny images; what it measures is not tested."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from benchmarks import encoders, setting
from msroi.encoders import jpeg
from msroi.encoders.methods import METHODS, encoder
from msroi.encoders.peers import PEERS
from msroi.experiment import params

ROOT = Path(__file__).parents[2]
TINY = skimage.data.chelsea()[100:148, 100:164]
MAP = np.ones(TINY.shape[:2], np.float32)
SPREAD = r"(\d+) \((\d+)-(\d+)\)"


def test_one_row_a_method_with_every_column(tmp_path):
    """As a program of its own: it keeps to one core for good."""
    Image.fromarray(TINY).save(tmp_path / "tiny.png")
    command = [sys.executable, "-m", "benchmarks.encoders", tmp_path / "tiny.png", "--repeats", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    about, table = done.stdout.split("\n\n")
    assert f"{len(os.sched_getaffinity(0))} cores, one of them used" in about.replace("\n", " ")
    assert "2 repeats of the images given." in about
    header, *rows = table.splitlines()
    assert re.split(r"  +", header) == list(encoders.COLUMNS)
    cells = [re.split(r"  +", row) for row in rows]
    assert [name for name, *_ in cells] == list(METHODS)
    for name, first, *spreads in cells:
        assert float(first) >= 0
        assert len(spreads) == len(encoders.COLUMNS) - 2
        for spread in spreads:
            middle, least, most = map(int, re.fullmatch(SPREAD, spread).groups())
            assert least <= middle <= most
        encodes = int(re.fullmatch(SPREAD, spreads[-1])[1])
        assert encodes == 1 if name == "jpeg" else 1 <= encodes <= jpeg.MOST_ENCODES


def test_a_repeat_counts_the_encodes_of_the_search():
    found = encoders.timing(PEERS["jpeg"], TINY, MAP)
    assert found.encodes == 1
    assert found.search_ms > 0
    assert encoders.timing(PEERS["mozjpeg"], TINY, MAP).encodes > 1


def test_time_is_that_of_the_work():
    taken_ms, result = encoders.timed(lambda: sum(range(10)))
    assert result == 45
    assert 0 <= taken_ms < 1000


def test_the_photos_are_of_one_size():
    photos = setting.photographs()
    assert [photo.shape for photo in photos] == [(480, 640, 3)] * 3
    assert len({photo.tobytes() for photo in photos}) == 3


def test_the_map_is_bright_in_the_middle():
    saliency = setting.centred_map(33, 65)
    assert saliency.shape == (33, 65)
    assert saliency[16, 32] == saliency.max() == 1
    assert 0 <= saliency.min() < 0.01
    np.testing.assert_allclose(saliency, saliency[::-1, ::-1], rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "cell"), [([3], "3 (3-3)"), ([4.4, 1.2, 20.0], "4 (1-20)"), ([1, 2], "2 (1-2)")]
)
def test_a_cell_has_median_and_range(values, cell):
    assert encoders.spread(values) == cell


@pytest.fixture(scope="module")
def demo():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return params.load("demo").compress


def test_both_encoders_find_the_size_of_plain_jpeg(demo):
    wanted = len(jpeg.encode(TINY, encoders.QUALITY))
    for name in ("roi-trellis", "mozjpeg"):
        (match,) = encoders.matches(encoder(name, demo), [(TINY, MAP)])
        assert match.target_bytes == wanted
        assert match.within(5)  # a tiny file has few sizes


def test_a_file_of_another_size_is_refused(demo):
    class Fixed:
        name = "fixed"

        def prepare(self, image, saliency):
            return lambda quality: bytes(10)

    with pytest.raises(ValueError, match="fixed misses the size"):
        encoders.require_match(Fixed(), [(TINY, MAP)], demo.size_tolerance_pct)


def test_the_row_divides_our_time_by_theirs(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(encoders, "on_one_core", lambda: "")
    monkeypatch.setattr(encoders, "photographs", lambda: [TINY])
    monkeypatch.setattr(encoders, "require_match", lambda *_: None)
    monkeypatch.setattr(encoders, "TIMES_MOZJPEG", 0.0)
    (row,) = encoders.measure(2)
    ours, theirs = row.seconds.values()
    assert list(row.ratios) == [a / b for a, b in zip(ours, theirs, strict=True)]
    assert (row.job, row.bound, row.reached) == ("roi_trellis", "at most", False)
    assert re.search(r"roi-trellis prepares in \d+ ms and encodes \d+ times", row.limit)
