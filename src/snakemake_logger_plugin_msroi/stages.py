"""Stages of a run, made of Snakemake's jobs: how long each took, and how its log ends."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK = "_chunk"  # a stage of many photographs has a rule for its chunks, and one that gathers them
NAME_WIDTH = 16
LAST_LINES = 20
TAIL_BYTES = 2000
USERS_MISTAKE = "msroi: "  # how the program says in one sentence what a user can put right

Interval = tuple[float, float]  # seconds since 1970


@dataclass(frozen=True)
class Job:
    """A job of a run, and no stage's if it has no log. `start_s` counts from 1970."""

    rule: str
    experiment: str
    log: Path | None
    start_s: float

    @property
    def stage(self) -> str:
        """The stage that the job belongs to."""
        return self.rule.removesuffix(CHUNK)


class Stages:
    """The running jobs of a run, and when each stage was at work."""

    def __init__(self) -> None:
        self.running: dict[int, Job] = {}
        self.at_work: dict[tuple[str, str], list[Interval]] = {}
        self.experiment = ""

    def start(self, number: int, job: Job) -> None:
        """Remember a job that begins."""
        self.running[number] = job

    def last_begun(self) -> Job | None:
        """Return the running job that began last."""
        return next(reversed(self.running.values()), None)

    def finish(self, number: int, end_s: float) -> list[str]:
        """Return what to say of a job that has ended: nothing, if it does not end its stage.

        The first line names the experiment, if it is not the one of the lines before.
        """
        job = self.running.pop(number)
        if job.log is None:
            return []
        at_work = self.at_work.setdefault((job.experiment, job.stage), [])
        at_work.append((job.start_s, end_s))
        if job.rule != job.stage:
            return []
        heading = [] if job.experiment == self.experiment else [job.experiment]
        self.experiment = job.experiment
        return [*heading, f"{job.stage:<{NAME_WIDTH}}{duration(covered(at_work))}"]


def covered(intervals: Iterable[Interval]) -> float:
    """Return how many seconds lie in at least one of some intervals."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def duration(seconds: float) -> str:
    """Write a duration with its two largest units: `45 s`, `2 min 45 s`, `1 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def failure(stage: str, logs: Sequence[Path]) -> list[str]:
    """Return the lines that say how a stage failed, or none if no log says anything.

    A user's mistake is the sentence that says it. Anything else shows the end of the log.
    """
    for log in logs:
        lines = readable(log)
        if not lines:
            continue
        mistake = lines[-1].startswith(USERS_MISTAKE)
        shown = lines[-1:] if mistake else lines[-LAST_LINES:]
        return [f"{stage} failed; {log} ends with:", *(f"  {line}" for line in shown)]
    return []


def readable(log: Path) -> list[str]:
    """Return the lines of a log that are not blank, of a progress bar only its last state."""
    try:
        text = log.read_bytes().decode(errors="replace")
    except OSError:
        return []
    lines = (line.rstrip().rpartition("\r")[2] for line in text.split("\n"))
    return [line for line in lines if line]


def last_line(log: Path) -> str:
    """Return the last line of a log as it grows, without control characters, or "" without one."""
    try:
        with log.open("rb") as opened:
            opened.seek(max(0, log.stat().st_size - TAIL_BYTES))
            tail = opened.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line for line in re.split(r"[\r\n]", tail) if line.strip()]
    return "".join(filter(str.isprintable, lines[-1])).strip() if lines else ""
