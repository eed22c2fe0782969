"""What `snakemake --logger msroi` prints of a run."""

import io
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from snakemake_logger_plugin_msroi import LogHandler
from snakemake_logger_plugin_msroi.stages import (
    Job,
    Stages,
    covered,
    duration,
    failure,
    last_line,
)

LOG = Path("logs/demo/train.log")
SETTINGS = {
    "printshellcmds": False,
    "nocolor": True,
    "quiet": None,
    "debug_dag": False,
    "verbose": False,
    "show_failed_logs": True,
    "stdout": False,
    "dryrun": False,
}


def record(event: LogEvent | None, text: str = "", level: int = logging.INFO, **of: Any) -> Any:
    return logging.makeLogRecord({"event": event, "msg": text, "levelno": level, **of})


def started(number: int, rule: str, at_s: float, experiment: str = "demo") -> Any:
    log = [f"logs/{experiment}/{rule}.log"] if rule != "all" else []
    of = {"jobid": number, "rule_name": rule, "wildcards": {"experiment": experiment}, "log": log}
    return record(LogEvent.JOB_INFO, " Rule: …", created=at_s, **of)


def finished(number: int, at_s: float) -> Any:
    return record(LogEvent.JOB_FINISHED, "Finished jobid: …", job_id=number, created=at_s)


def printed(monkeypatch: pytest.MonkeyPatch, records: list[Any], **settings: bool) -> str:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout" if settings.get("stdout") else "stderr", stream)
    common: Any = SimpleNamespace(**SETTINGS | settings)
    handler = LogHandler(common, None)
    for one in records:
        handler.handle(one)
    handler.close()
    return stream.getvalue()


def test_snakemake_finds_the_plugin() -> None:
    assert LoggerPluginRegistry().is_installed("msroi")


def test_a_run_is_a_line_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    chatter = [
        record(None, "Building DAG of jobs..."),
        record(LogEvent.RUN_INFO, "Job stats:", stats={"total": 5}),
        record(LogEvent.JOB_STARTED, "Execute 1 jobs...", jobs=[1]),
        record(LogEvent.SHELLCMD, "Shell command: …"),
        record(LogEvent.PROGRESS, done=1, total=5),
    ]
    run = [
        *(started(1, "train", 100.0), finished(1, 265.4)),
        *(started(2, "heatmap_chunk", 300.0), started(3, "heatmap_chunk", 310.0)),
        *(finished(2, 320.0), finished(3, 340.0)),
        # waiting for the second part is no work of the stage
        *(started(4, "heatmap", 400.0), finished(4, 405.0)),
        *(started(5, "all", 406.0), finished(5, 406.0)),
    ]
    assert printed(monkeypatch, chatter + run) == (
        "demo\ntrain           2 min 45 s\nheatmap         45 s\n"
    )


def test_lines_of_another_experiment_stand_under_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = [
        *(started(1, "anova", 0.0), started(2, "anova", 0.0, "mine")),
        *(finished(1, 1.0), finished(2, 2.0)),
    ]
    assert printed(monkeypatch, run).splitlines()[::2] == ["demo", "mine"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a bar: 1%\ra bar: 2%\nmsroi: No such class.\n", ["msroi: No such class."]),
        (
            "a bar: 1%\ra bar: 2%\nTraceback\nKeyError: 'x'\n",
            ["a bar: 2%", "Traceback", "KeyError: 'x'"],
        ),
    ],
)
def test_a_failed_stage_is_the_end_of_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, shown: list[str]
) -> None:
    log = tmp_path / "train.log"
    log.write_text(said, encoding="utf-8")
    again = [
        record(LogEvent.ERROR, "RuleException:\nCalledProcessError in file …", logging.ERROR),
        record(LogEvent.JOB_ERROR, "", logging.ERROR, rule_name="train", log=[str(log)]),
        record(None, "Exiting because a job execution failed. Look above …", logging.ERROR),
    ]
    expected = [f"train failed; {log} ends with:", *(f"  {line}" for line in shown)]
    assert printed(monkeypatch, again).splitlines() == expected


def test_a_failed_job_without_a_log_is_told_as_snakemake_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = {"rule_msg": None, "jobid": 1, "input": [], "output": ["a.csv"], "conda_env": None}
    of |= {"shellcmd": "false", "aux": {}, "rule_name": "train", "log": ["none.log"]}
    said = printed(monkeypatch, [record(LogEvent.JOB_ERROR, "Error …", logging.ERROR, **of)])
    assert "Error in rule train:" in said
    assert "output: a.csv" in said


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (logging.ERROR, "WorkflowError in file Snakefile:\nconfig/demo.yaml: wrong"),
        (logging.WARNING, "Incomplete files"),
        (logging.INFO, "Nothing to be done (all requested files are present and up to date)."),
    ],
)
def test_errors_and_warnings_are_told(
    monkeypatch: pytest.MonkeyPatch, level: int, text: str
) -> None:
    assert printed(monkeypatch, [record(None, text, level)]) == f"{text}\n"


def test_a_dry_run_is_told_as_snakemake_does(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(monkeypatch, [record(None, "Would run train")], dryrun=True, stdout=True)
    assert said == "Would run train\n"


def test_durations_are_written_in_two_units() -> None:
    written = [duration(seconds) for seconds in (0.4, 59.4, 59.6, 165, 3599, 3720)]
    assert written == ["0 s", "59 s", "1 min 0 s", "2 min 45 s", "59 min 59 s", "1 h 2 min"]


def test_time_that_intervals_share_counts_once() -> None:
    assert covered([(0, 10), (5, 12), (20, 21), (6, 7)]) == 13


def test_the_running_job_is_the_last_begun() -> None:
    stages = Stages()
    assert stages.last_begun() is None
    for number, rule in enumerate(("anova", "audit")):
        stages.start(number, Job(rule, "demo", LOG, 0.0))
    assert stages.last_begun() == Job("audit", "demo", LOG, 0.0)
    stages.finish(1, 1.0)
    assert stages.last_begun() == Job("anova", "demo", LOG, 0.0)


def test_the_last_line_of_a_growing_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == ""
    assert failure("train", [log]) == []
    log.write_bytes(b"x\n" * 3000 + b"bar 1 %\rbar 2 %\x1b[A\n\n")
    assert last_line(log) == "bar 2 %[A"
