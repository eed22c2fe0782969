"""What `snakemake --logger msroi` says of a run: a line a stage, and a bar on a terminal.

A stage that has ended is a line with its duration. A stage that has failed is a line with the
end of its log. Errors and warnings of Snakemake are as they are without this plugin, and so is a
dry run. All that Snakemake says without it stands in `.snakemake/log`.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from snakemake_logger_plugin_msroi.stages import Job, Stages, failure, last_line

# what a user has to know that Snakemake says by the way: nothing was due, Ctrl-C was heard
TOLD = ("Nothing to be done", "Terminating processes")
# errors that say no more than that a job has failed, of which its log has said why
SAID_BEFORE = (
    "RuleException:\nCalledProcessError in ",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete successfully",
)
BAR = "{n_fmt}/{total_fmt} {bar:20} {elapsed}  {desc}"
REFRESH_S = 0.5


class LogHandler(LogHandlerBase):
    """Prints what a user has to know of a run, where Snakemake hands it records in one thread."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Prepare to print. The bar comes with the first jobs."""
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        shown = DefaultFormatter(settings.quiet, settings.show_failed_logs)
        self.stream = stream
        self.plain = ColorizingTextHandler(settings.nocolor, stream, shown)
        self.stages = Stages()
        self.bar: Any = None
        self.ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a record means to the user, if anything."""
        if self.common_settings.dryrun:
            self.plain.handle(record)
            return
        event = getattr(record, "event", None)
        of_event = {
            LogEvent.RUN_INFO: self.start_bar,
            LogEvent.JOB_INFO: self.job_started,
            LogEvent.JOB_FINISHED: self.job_finished,
            LogEvent.JOB_ERROR: self.job_failed,
        }
        if event in of_event:
            of_event[event](record)
        elif worth_saying(record):
            self.show_plainly(record)

    def close(self) -> None:
        """Take the bar away."""
        self.ended.set()
        if self.bar is not None:
            self.bar.close()
        super().close()

    def start_bar(self, record: Any) -> None:
        """Show a bar of all jobs, on a terminal alone."""
        if self.bar is None and self.stream.isatty():
            total = record.stats["total"]
            self.bar = tqdm(total=total, file=self.stream, bar_format=BAR, dynamic_ncols=True)
            self.bar.leave = False
            threading.Thread(target=self.keep_bar, daemon=True).start()

    def keep_bar(self) -> None:
        """Show the last line of a running job's log beside the bar, until the run ends."""
        while not self.ended.wait(REFRESH_S):
            job = self.stages.last_begun()
            if job is not None:
                said = last_line(job.log) if job.log else ""
                named = said if said.startswith(job.stage) else f"{job.stage} {said}"
                self.bar.set_description_str(named.strip())

    def job_started(self, record: Any) -> None:
        """Remember a job that begins."""
        experiment = dict(record.wildcards or {}).get("experiment", "")
        log = Path(record.log[0]) if record.log else None
        self.stages.start(record.jobid, Job(record.rule_name, experiment, log, record.created))

    def job_finished(self, record: Any) -> None:
        """Print a line for the last job of a stage."""
        self.show(self.stages.finish(record.job_id, record.created))
        if self.bar is not None:
            self.bar.update()

    def job_failed(self, record: Any) -> None:
        """Print how the log of a job ends that has failed."""
        said = failure(record.rule_name, [Path(file) for file in record.log])
        if said:
            self.show(said)
        else:
            self.show_plainly(record)

    def show(self, lines: Sequence[str]) -> None:
        """Print lines, for which the bar makes room."""
        with tqdm.external_write_mode(file=self.stream):
            self.stream.write("".join(f"{line}\n" for line in lines))
            self.stream.flush()

    def show_plainly(self, record: logging.LogRecord) -> None:
        """Print a record as Snakemake does, while the bar makes room."""
        with tqdm.external_write_mode(file=self.stream):
            self.plain.handle(record)


def worth_saying(record: logging.LogRecord) -> bool:
    """Tell whether a user has to know what a record says that is about no job."""
    text = str(record.msg)
    if record.levelno >= logging.WARNING:
        return not text.startswith(SAID_BEFORE)
    return text.startswith(TOLD)
