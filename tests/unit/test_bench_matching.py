"""The published code, restated: it makes the same blend, and files of the same size."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from benchmarks import matching
from benchmarks.setting import centred_map
from msroi.encoders import jpeg, two_pass
from msroi.experiment import params

CAT = skimage.data.chelsea()[40:136, 100:228]
MAP = centred_map(*CAT.shape[:2])


@pytest.fixture(scope="module")
def demo():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        return params.load("demo").compress


def targets(compress):
    return [len(jpeg.encode(CAT, quality)) for quality in compress.match_qualities]


def test_the_loops_make_our_blend(demo):
    np.testing.assert_array_equal(matching.looped(CAT, MAP, demo), two_pass.blend(CAT, MAP, demo))


def test_the_loops_know_only_every_tenth_quality(demo):
    with pytest.raises(ValueError, match="not in"):
        matching.looped(CAT, MAP, dataclasses.replace(demo, quality_low=35))


def test_the_scan_finds_the_best_whole_quality_that_is_not_too_large(demo):
    blended = two_pass.blend(CAT, MAP, demo)
    target = targets(demo)[1]
    data = matching.scanned(blended, target)
    sizes = {quality: len(jpeg.encode(blended, quality)) for quality in matching.SCAN}
    best = max(quality for quality, size in sizes.items() if size <= target)
    assert data == jpeg.encode(blended, best)
    assert matching.scanned(blended, 0) == jpeg.encode(blended, matching.SCAN[-1])


def test_both_make_files_of_the_wanted_sizes_from_the_same_blend(demo):
    wanted = targets(demo)
    ours = matching.matched(CAT, MAP, demo, wanted)
    theirs = matching.published(CAT, MAP, demo, wanted)
    matching.require_sizes(ours, wanted, demo.size_tolerance_pct)
    for our, their in zip(ours, theirs, strict=True):
        # a whole quality apart at most, some 2 % of the size
        assert len(our) == pytest.approx(len(their), rel=0.03)
        assert jpeg.decode(our).shape == jpeg.decode(their).shape == CAT.shape


@pytest.mark.parametrize("size", [98, 102])
def test_a_file_beyond_the_tolerance_is_refused(size):
    matching.require_sizes([bytes(99), bytes(101)], [100, 100], 1.0)
    with pytest.raises(ValueError, match=r"misses its size by -?2\.00 %"):
        matching.require_sizes([bytes(size)], [100], 1.0)


def test_a_row_says_what_the_library_alone_takes(demo, monkeypatch):
    """On the tiny photograph; with an absurd target, so that the limit is looked for."""
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(matching, "on_one_core", lambda: None)
    monkeypatch.setattr(matching, "photographs", lambda: [CAT])
    monkeypatch.setattr(matching, "TIMES_PUBLISHED", 1e9)
    monkeypatch.setattr(matching, "require_sizes", lambda *_: None)
    (row,) = matching.measure(1)
    assert row.job == "matching"
    assert (len(row.ratios), row.bound, row.reached) == (1, "at least", False)
    assert "the JPEG library takes" in row.limit
    assert "and 5 decodes" in row.limit
