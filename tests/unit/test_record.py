"""What DVC may record, and what it must refuse."""

import shutil
import subprocess
from pathlib import Path

import pytest

from msroi import record
from msroi.errors import RecordError
from msroi.layout import Layout

EDITED = {"metrics@demo": [{"changed outs": {"results/demo/metrics/per_image.csv": "modified"}}]}


def test_nothing_changed_is_nothing_to_refuse() -> None:
    assert record.unexplained({}) == {}


def test_a_changed_output_without_a_cause_is_named() -> None:
    expected = {"metrics@demo": ["results/demo/metrics/per_image.csv"]}
    assert record.unexplained(EDITED) == expected


@pytest.mark.parametrize(
    "cause",
    [
        {"changed deps": {"config/demo.yaml": {"anova": "modified"}}},
        {"changed deps": {"src/msroi/anova.py": "modified"}},
        "changed command",
    ],
)
def test_a_changed_output_with_a_cause_is_recorded(cause: object) -> None:
    status = {"anova@demo": [cause, {"changed outs": {"results/demo/anova/anova.csv": "modified"}}]}
    assert record.unexplained(status) == {}


def test_a_first_run_is_recorded() -> None:
    # what `dvc status --json` says of a stage that is not in dvc.lock
    status = {
        "anova@demo": [
            {"changed deps": {"results/demo/metrics/per_image.csv": "new"}},
            {"changed outs": {"results/demo/anova/anova.csv": "new"}},
        ]
    }
    assert record.unexplained(status) == {}


def test_an_output_that_dvc_never_saw_is_recorded() -> None:
    assert record.unexplained({"anova@demo": [{"changed outs": {"a.csv": "new"}}]}) == {}


def test_a_deleted_output_is_refused() -> None:
    assert record.unexplained({"anova@demo": [{"changed outs": {"a.csv": "deleted"}}]}) == {
        "anova@demo": ["a.csv"]
    }


def test_all_files_of_all_stages_are_named_sorted() -> None:
    status = EDITED | {"train@demo": [{"changed outs": {"b": "modified", "a": "modified"}}]}
    assert record.unexplained(status) == {
        "metrics@demo": ["results/demo/metrics/per_image.csv"],
        "train@demo": ["a", "b"],
    }


def test_the_refusal_quotes_odd_names_for_the_shell() -> None:
    said = record.refusal({"train@demo": ["my file.csv"]})
    assert "rm -r 'my file.csv' && dvc repro" in said
    assert said.endswith("dvc commit --force --no-relink train@demo && snakemake.")


def test_a_failing_tool_is_quoted() -> None:
    with pytest.raises(RecordError, match=r"^`sh -c 'echo no such stage >&2; exit 1'` failed: no"):
        record.tool("sh", "-c", "echo no such stage >&2; exit 1")


def test_nothing_is_committed_after_a_refusal_and_the_mark_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy2("dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    record.leave_mark("demo")
    calls = []

    def run(command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command[1])
        said = '{"metrics@demo": [{"changed outs": {"a": "modified"}}]}'
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RecordError, match=r"metrics@demo: a"):
        record.record("demo")
    assert calls == ["status"]
    assert not Layout("demo").agreed.exists()
