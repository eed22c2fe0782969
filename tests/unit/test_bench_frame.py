"""The frame of the benchmarks, with fakes: nothing is timed, and PyTorch is not needed."""

import builtins
import json
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as program
from benchmarks import comparison, table, torch_vgg
from benchmarks.comparison import Comparison, side_by_side, speed_ratios
from msroi.errors import MissingError


def row(ratios, target=1.0, bound="at least", **others):
    given = {"job": "one", "ours": "ours", "against": "theirs", "unit": "times", "seconds": {}}
    return Comparison(**given | others, ratios=ratios, target=target, bound=bound)


def test_the_ratio_is_the_median_with_least_and_most():
    summary = row([3.0, 1.0, 1.23456]).summary()
    assert (summary["ratio"], summary["low"], summary["high"], summary["n"]) == (1.23, 1, 3, 3)


@pytest.mark.parametrize(
    ("ratio", "bound", "reached"),
    [
        (1.0, "at least", True),
        (0.9999, "at least", False),
        (1.0, "at most", True),
        (1.0001, "at most", False),
    ],
)
def test_a_target_is_judged_before_rounding(ratio, bound, reached):
    assert row([ratio], bound=bound).summary()["reached"] is reached


def test_a_ratio_above_one_says_that_ours_takes_less_time():
    assert speed_ratios([2.0, 4.0], [4.0, 2.0]) == [2.0, 0.5]


def test_works_take_turns_after_one_run_that_does_not_count(monkeypatch):
    ran = []
    clock = iter(range(100))
    monkeypatch.setattr(comparison, "perf_counter", lambda: next(clock))
    ours_s, theirs_s = side_by_side(lambda: ran.append("o"), lambda: ran.append("t"), 3)
    assert "".join(ran) == "otottoot"
    assert (ours_s, theirs_s) == ([1, 1, 1], [1, 1, 1])


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table.PAGE.parent.mkdir()
    table.PAGE.write_text(f"before\n{table.START}\nold\n{table.END}\nafter\n")
    return tmp_path / table.RESULTS


def test_a_job_leaves_its_file_the_summary_and_the_table(results, monkeypatch):
    rows = [row([2.0]), row([0.5], job="two", limit="memory")]
    monkeypatch.setattr(
        program, "import_module", lambda name: SimpleNamespace(measure=lambda n: rows)
    )
    assert program.main(["--here", "trunk"]) == 0
    table.refresh()
    assert len(json.loads((results / "trunk.json").read_text())["rows"]) == 2
    summary = json.loads((results / "summary.json").read_text())
    assert {key: of["reached"] for key, of in summary.items()} == {"one": True, "two": False}
    page = table.PAGE.read_text()
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    assert "| `one` | ours | theirs | 2 (2 to 2) | times | 1 | ≥ 1 | reached |" in page
    assert "| `two` | ours | theirs | 0.5 (0.5 to 0.5) | times | 1 | ≥ 1 | not reached |" in page
    assert "- `two`: memory" in page


def test_without_pytorch_one_sentence_and_status_2(results, monkeypatch, capsys):
    imported = builtins.__import__

    def without(name, *others):
        if name == "torch":
            raise ImportError(name)
        return imported(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingError, match="make bench"):
        torch_vgg.torch()
    wanting = SimpleNamespace(measure=lambda repeats: torch_vgg.torch())
    monkeypatch.setattr(program, "import_module", lambda name: wanting)
    assert program.main(["--here", "trunk"]) == 2
    assert "PyTorch" in capsys.readouterr().err
    assert not results.exists()


def test_an_unknown_job_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        program.main(["trunks"])
    assert "no such job: trunks; there are trunk," in capsys.readouterr().err


def test_one_job_that_fails_does_not_stop_the_others(results, monkeypatch):
    ran = []
    monkeypatch.setattr(
        program, "run_apart", lambda job, repeats: ran.append(job) or job != "trunk"
    )
    assert program.main(["trunk", "idle"]) == 1
    assert ran == ["trunk", "idle"]
    assert json.loads((results / "summary.json").read_text()) == {}
