"""What DVC may record, and what it must refuse."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from msroi.errors import RecordError
from msroi.experiment.layout import Layout
from msroi.files import write_text, written_whole
from msroi.workflow import record

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
        {"changed deps": {"src/msroi/stages/anova.py": "modified"}},
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


class Tools:
    """Stand-ins for Snakemake and DVC: what they are called with, and what they say."""

    def __init__(self) -> None:
        self.said = ""
        self.calls: list[tuple[str, ...]] = []

    def run(self, command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        """Succeed, as `subprocess.run` would say it."""
        self.calls.append(command)
        return subprocess.CompletedProcess(command, 0, self.said, "")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tools:
    """Work where both tools agree on `demo`, with stand-ins for them."""
    shutil.copy2("dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    record.agree("demo")
    tools = Tools()
    monkeypatch.setattr(subprocess, "run", tools.run)
    return tools


def test_nothing_is_committed_after_a_refusal_and_the_mark_goes(tools: Tools) -> None:
    tools.said = '{"metrics@demo": [{"changed outs": {"a": "modified"}}]}'
    with pytest.raises(RecordError, match=r"metrics@demo: a"):
        record.record("demo")
    assert [command[1] for command in tools.calls] == ["status"]
    assert not Layout("demo").agreed.exists()


LOCKED = """\
schema: '2.0'
stages:
  anova@other:
    cmd: of another
  train@demo:
    cmd: the second
    outs:
    - path: weights
  download@demo:
    cmd: the first
  train@other:
    cmd: of another
  report@demo:
    cmd: the third
"""


def test_the_lock_has_the_order_of_the_stages() -> None:
    order = ["download@demo", "train@demo", "anova@demo", "report@demo"]
    made = record.in_order(LOCKED, order)
    stages = yaml.safe_load(made)["stages"]
    assert stages == yaml.safe_load(LOCKED)["stages"]
    assert list(stages) == [
        *("anova@other", "download@demo", "train@demo", "train@other", "report@demo")
    ]
    assert record.in_order(made, order) == made
    assert record.in_order("", order) == ""


def test_adopt_tells_snakemake_nothing_while_dvc_knows_a_stage_that_is_due(tools: Tools) -> None:
    tools.said = '{"train@demo": [{"changed deps": {"params": "modified"}}], "anova@demo": []}'
    with pytest.raises(RecordError) as caught:
        record.adopt("demo")
    assert str(caught.value) == (
        "Snakemake was not told that demo is up to date, since to DVC these stages are due: "
        "train@demo, anova@demo. Run `dvc repro`, which makes them and then runs adopt."
    )
    assert [command[0] for command in tools.calls] == ["dvc"]
    assert not Layout("demo").agreed.exists()
    tools.said = "{}"
    record.adopt("demo")
    assert [command[0] for command in tools.calls] == ["dvc", "dvc", "snakemake"]
    assert Layout("demo").agreed.exists()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository in the working folder that has dvc.lock."""
    monkeypatch.chdir(tmp_path)
    record.LOCK.write_text("whole\n", encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "dvc.lock"]):
        subprocess.run(["git", *command], check=True)
    name = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *name, "commit", "--quiet", "--message", "lock"], check=True)
    record.LOCK_BEFORE.parent.mkdir()


def test_dvc_does_without_git_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an archive of a release, which has `.dvc` and no `.git`."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match="is not a git repository"):
        record.tool("dvc", "status", "--json")
    record.do_without_git()
    assert record.tool("dvc", "status", "--json").strip() == "{}"
    record.DVC_LOCAL.write_text("[core]\n    no_scm = true\n    autostage = false\n")
    record.do_without_git()
    assert "autostage" in record.DVC_LOCAL.read_text()


@pytest.mark.usefixtures("repository")
def test_in_git_dvc_is_told_nothing() -> None:
    Path(".dvc").mkdir()
    record.do_without_git()
    assert not record.DVC_LOCAL.exists()


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("half", ["", "wh"])
def test_a_lock_that_a_kill_has_left_half_written_is_restored(half: str) -> None:
    record.LOCK_BEFORE.write_text("before\n", encoding="utf-8")
    record.LOCK.write_text(half, encoding="utf-8")
    record.restore_lock()
    assert record.LOCK.read_text(encoding="utf-8") == "before\n"
    assert not record.LOCK_BEFORE.exists()


@pytest.mark.usefixtures("repository")
def test_a_lock_that_was_not_there_before_is_removed() -> None:
    record.LOCK_BEFORE.write_bytes(b"")
    record.LOCK.write_text("wh", encoding="utf-8")
    record.restore_lock()
    assert not record.LOCK.exists()


@pytest.mark.usefixtures("repository")
def test_a_lock_that_git_has_checked_out_since_is_left_alone() -> None:
    record.LOCK_BEFORE.write_text("before\n", encoding="utf-8")
    record.restore_lock()
    assert record.LOCK.read_text(encoding="utf-8") == "whole\n"
    assert not record.LOCK_BEFORE.exists()


def test_half_written_files_are_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound = Path("results/demo/model/history.csv")
    write_text(sound, "epoch\n")
    with written_whole(sound) as partial:
        left = partial.with_name(f"{partial.name}.csv")  # as a killed run's, whose number differs
        left.write_text("ep", encoding="utf-8")
        partial.write_text("epoch\n", encoding="utf-8")
    assert left.match(record.HALF_WRITTEN)
    record.agree("demo")
    assert [path for path in Path("results").rglob("*") if path.is_file()] == [sound]
    assert Path(".msroi/demo/agreed").is_file()


def note(process: int) -> None:
    """Write what DVC does of a process that writes an output."""
    info = {"pid": process, "cmd": "dvc repro"}
    write_text(record.DVC_NOTES, json.dumps({"write": {"results": info}, "read": {}}))


def test_a_dvc_at_work_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert record.dvc_at_work() is None
    write_text(record.DVC_NOTES, "")  # as it is for a moment
    assert record.dvc_at_work() is None
    write_text(record.DVC_NOTES, "{}")
    assert record.dvc_at_work() is None
    at_work = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    note(at_work.pid)
    assert record.dvc_at_work() == at_work.pid
    at_work.communicate()  # it ends, and its note stays
    assert record.dvc_at_work() is None
    note(os.getppid())  # another has its number now
    assert record.dvc_at_work() is None
