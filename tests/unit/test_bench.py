"""What makes the benchmarks' numbers true; what they measure is not tested."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import skimage.data
from PIL import Image

from benchmarks import comparison, encoders, idle, matching, plan, similarity, trunk
from benchmarks.comparison import Comparison, side_by_side, speed_ratios
from benchmarks.setting import centred_map
from msroi.encoders import jpeg, two_pass
from msroi.encoders.methods import METHODS
from msroi.errors import MissingError
from msroi.experiment import params

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
CAT = skimage.data.chelsea()[40:136, 100:228]
MAP = centred_map(*CAT.shape[:2])


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    return params.load("demo").compress


def row(ratios, bound="at least"):
    return Comparison("one", "ours", "theirs", ratios, "times", 1.0, bound, {})


def test_the_ratio_is_the_median_with_least_and_most():
    summary = row([3.0, 1.0, 1.23456]).summary()
    assert (summary["ratio"], summary["low"], summary["high"], summary["n"]) == (1.23, 1, 3, 3)


@pytest.mark.parametrize(
    ("ratio", "bound", "reached"),
    [(1, "at least", True), (0.9999, "at least", False), (1.0001, "at most", False)],
)
def test_a_target_is_judged_before_rounding(ratio, bound, reached):
    assert row([ratio], bound).summary()["reached"] is reached


def test_a_ratio_above_one_says_that_ours_takes_less_time():
    assert speed_ratios([2.0, 4.0], [4.0, 2.0]) == [2.0, 0.5]


def test_works_take_turns_after_one_run_that_does_not_count(monkeypatch):
    ran = []
    clock = iter(range(100))
    monkeypatch.setattr(comparison, "perf_counter", lambda: next(clock))
    times = side_by_side(lambda: ran.append("o"), lambda: ran.append("t"), 3)
    assert "".join(ran) == "otottoot"
    assert times == ([1, 1, 1], [1, 1, 1])


@pytest.mark.usefixtures("demo")
def test_the_encoders_row_divides_our_time_by_theirs(monkeypatch):
    monkeypatch.setattr(encoders, "on_one_core", lambda: "")
    monkeypatch.setattr(encoders, "photographs", lambda: [CAT])
    monkeypatch.setattr(encoders, "require_match", lambda *_: None)
    (found,) = encoders.measure(2)
    ours, theirs = found.seconds.values()
    assert list(found.ratios) == [a / b for a, b in zip(ours, theirs, strict=True)]
    assert (found.unit, found.bound) == ("our time / their time", "at most")


def test_the_program_has_one_row_a_method(tmp_path):
    """As a program of its own: it keeps to one core for good."""
    Image.fromarray(CAT).save(tmp_path / "tiny.png")
    command = [sys.executable, "-m", "benchmarks.encoders", tmp_path / "tiny.png", "--repeats", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    about, table = done.stdout.split("\n\n")
    assert f"{len(os.sched_getaffinity(0))} cores, one of them used" in about.replace("\n", " ")
    cells = [re.split(r"  +", line) for line in table.splitlines()]
    assert cells[0] == list(encoders.COLUMNS)
    assert [name for name, *_ in cells[1:]] == list(METHODS)


def test_files_of_another_size_are_refused(demo):
    class Fixed:
        name = "fixed"

        def prepare(self, image, saliency):
            return lambda quality: bytes(10)

    with pytest.raises(ValueError, match="fixed misses the size"):
        encoders.require_match(Fixed(), [(CAT, MAP)], demo.size_tolerance_pct)
    matching.require_sizes([bytes(99), bytes(101)], [100, 100], 1.0)
    for size in (98, 102):
        with pytest.raises(ValueError, match=r"misses its size by -?2\.00 %"):
            matching.require_sizes([bytes(size)], [100], 1.0)


def test_the_published_loops_make_our_blend_and_files_of_the_wanted_sizes(demo):
    blended = two_pass.blend(CAT, MAP, demo)
    np.testing.assert_array_equal(matching.looped(CAT, MAP, demo), blended)
    wanted = [len(jpeg.encode(CAT, quality)) for quality in demo.match_qualities]
    matching.require_sizes(matching.matched(CAT, MAP, demo, wanted), wanted, 1.0)
    for theirs, target in zip(matching.published(CAT, MAP, demo, wanted), wanted, strict=True):
        # a whole quality apart at most, some 2 % of the size
        assert len(theirs) == pytest.approx(target, rel=0.03)


def test_the_trunk_has_vgg16s_operations():
    """15.35 billion multiplications and additions an image, as published for its convolutions."""
    assert trunk.gigaflop(0, 5, 1) == pytest.approx(2 * 15.3466, rel=1e-4)


def test_results_that_differ_are_no_comparison():
    ours = np.ones((2, 3))
    trunk.agree(ours, ours * (1 + 1e-6))
    similarity.agree(0.5, 0.5 + 5e-7)
    for wrong in (1.01, np.nan):
        with pytest.raises(AssertionError, match="differ"):
            trunk.agree(ours, ours * wrong)
        with pytest.raises(ValueError, match="do not agree"):
            similarity.agree(0.5, 0.5 * wrong)


def test_idle_tools_are_timed_only_if_they_have_nothing_to_do(tmp_path, monkeypatch):
    def tool(name, said, status=0):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{said}"\nexit {status}\n')
        (tmp_path / name).chmod(0o755)

    monkeypatch.setattr(idle, "environment", lambda: {"PATH": f"{tmp_path}:/bin:/usr/bin"})
    done = {"snakemake": "Nothing to be done", "dvc": "Running stage 'locks':"}
    for name, said in done.items():
        tool(name, said)
    idle.require_nothing_to_do()
    something = done["dvc"] + " Running stage 'anova@demo':"
    for name, said, status in (
        ("snakemake", "11 jobs", 0),
        ("dvc", done["dvc"], 1),
        ("dvc", something, 0),
    ):
        tool(name, said, status)
        with pytest.raises(MissingError, match=f"`{name} .*` has something; run `snakemake` first"):
            idle.require_nothing_to_do()
        tool(name, done[name])


def test_the_plans_figures_are_those_of_the_committed_results():
    path = ROOT / "results/paper-cpu/metrics/per_image.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "salicon"]
    photos = len({row["image"] for row in rows})
    assert len(rows) / photos == plan.STAGES[3].files
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert params.load("paper-cpu").compress.shard_photographs == plan.SHARD_PHOTOGRAPHS
    assert sum(int(row["bytes"]) for row in rows) / photos == pytest.approx(plan.JPEGS, rel=0.02)
    ours = [r for r in rows if (r["method"], r["match_quality"]) == ("roi-trellis", "50")]
    assert mean(int(row["bytes"]) for row in ours) == pytest.approx(plan.SERVICE_JPEG, rel=0.02)
