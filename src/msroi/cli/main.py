"""The program `msroi`: own photos, published numbers, and the stages of an experiment.

A user's mistake is one sentence on stderr and exit status 2. Heavy packages are imported
by the command that needs them, so that `--help` answers at once (`parser` has the options).
"""

import argparse
import json
import math
import os
import sys
import time
import webbrowser
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from msroi import system_errors
from msroi.cli import parser, streams
from msroi.errors import ParameterError, UserError
from msroi.files import printable

Result = Mapping[str, Any]


def run_stage(arguments: argparse.Namespace) -> int:
    """Run a stage of an experiment, whole or in chunks, or what keeps Snakemake and DVC in step."""
    if arguments.stage == parser.LOCKS:
        return run_locks(arguments)
    if arguments.stage in parser.AGREEMENT:
        return run_agreement(arguments)
    from msroi.experiment import chunks, params
    from msroi.experiment.layout import Layout
    from msroi.workflow import code, view

    name = arguments.stage
    code.insist_on_current([name])
    stage = import_module(f"msroi.stages.{name}")
    experiment, layout = params.load(arguments.experiment), Layout(arguments.experiment)
    options = vars(arguments)
    root = view.root(arguments.where, layout) if arguments.where else Path()
    if options.get("gather"):
        parts = chunks.parts(layout, map(Path.absolute, arguments.gather))
        with view.files_in(root, layout):
            stage.gather(experiment, layout, parts)
    elif options.get("chunk") is not None:
        if arguments.into is None:
            raise ParameterError("--chunk needs a folder for its files: add --into DIR.")
        chunk, part = chunks.chunk(arguments.chunk), chunks.part(layout, arguments.into.absolute())
        with view.files_in(root, layout):
            stage.run_chunk(experiment, layout, chunk, part)
    else:
        with view.files_in(root, layout):
            if name == "train":
                run_train(stage, experiment, layout, arguments)
            else:
                stage.run(experiment, layout)
    return 0


def run_train(
    stage: ModuleType, experiment: Any, layout: Any, arguments: argparse.Namespace
) -> None:
    """Run stage train, to its end or within a time limit."""
    enough = deadline(arguments.until_minutes) if arguments.until_minutes else never
    if told := stage.run(experiment, layout, arguments.devices, enough):
        print(told)


def never() -> bool:
    """Say that there is always time for another epoch."""
    return False


def deadline(minutes: int, now: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Return what says, after each epoch, whether another one would end too late.

    It takes another one to need as long as the longest since this call. The first of them counts
    from here, with its preparation.
    """
    start = last = now()
    longest = 0.0

    def enough() -> bool:
        nonlocal last, longest
        before, last = last, now()
        longest = max(longest, last - before)
        return last + longest > start + 60 * minutes

    return enough


def run_locks(arguments: argparse.Namespace) -> int:
    """Write the locks of all stages' code and say what becomes due, or insist on them."""
    from msroi.workflow import code

    if arguments.check:
        code.insist_on_current(parser.STAGES, keep=True)
        return 0
    for stage, changes in code.write_locks(parser.STAGES).items():
        print(f"{stage} becomes due: {', '.join(changes)}")
    return 0


def run_agreement(arguments: argparse.Namespace) -> int:
    """Tell DVC what Snakemake made, or Snakemake what DVC made."""
    from msroi.workflow import record

    if arguments.stage == parser.RECORD:
        record.record(arguments.experiment, arguments.where or ())
    else:
        record.adopt(arguments.experiment)
    return 0


def run_completion(arguments: argparse.Namespace) -> int:
    """Print the script that completes in a shell."""
    from msroi.cli import completion

    print(completion.script(arguments.shell))
    return 0


def run_heatmap(arguments: argparse.Namespace) -> int:
    """Make heatmaps of own photos."""
    from msroi.photos import batch

    results = batch.heatmaps(arguments.images, arguments.out, arguments.experiment)
    _, failed = show(results, "{image}: {saliency}, {overlay}".format_map, as_json=arguments.json)
    return 2 if failed else 0


def run_compress(arguments: argparse.Namespace) -> int:
    """Compress own photos, and sum up several at the end."""
    from msroi.photos import batch, goals
    from msroi.photos import lines as photos_lines

    goal = goals.goal(**{name: getattr(arguments, name) for name in parser.GOALS})
    writing = batch.Writing(
        arguments.out, arguments.force, arguments.allow_larger, arguments.keep_folders
    )
    results = batch.compress_all(
        arguments.images, arguments.method, goal, arguments.experiment, writing, arguments.jobs
    )
    done, failed = show(results, photos_lines.line, as_json=arguments.json)
    if len(done) > 1 and not arguments.json:
        print(photos_lines.total(done))
    if failed and done:
        number = f"{failed} of {failed + len(done)} photos"
        print(f"msroi: {number} could not be compressed; the others are done.", file=sys.stderr)
    return 2 if failed else 0


def run_explain(arguments: argparse.Namespace) -> int:
    """Write the page of each of one's own photos."""
    from msroi.photos import batch

    writing = batch.Writing(arguments.out, arguments.force, keep_folders=arguments.keep_folders)
    results = batch.explain_all(
        arguments.images, arguments.match_quality, arguments.experiment, writing
    )
    done, failed = show(results, "{image}: {page}".format_map, as_json=arguments.json)
    if arguments.open:
        for result in done:
            webbrowser.open(Path(result["page"]).absolute().as_uri())
    return 2 if failed else 0


def run_metrics(arguments: argparse.Namespace) -> int:
    """Measure one file against another."""
    from msroi.photos import batch

    def lines(result: Result) -> str:
        values = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in result.items()}
        return "\n".join(f"{key:<16}{value}" for key, value in values.items())

    result = batch.measured(arguments.reference, arguments.distorted, arguments.saliency)
    show([result], lines, as_json=arguments.json)
    return 0


def run_audit(arguments: argparse.Namespace) -> int:
    """Audit published numbers. Return 1 if one is in doubt with `--strict`, else 0."""
    for option in ("out", "photographs"):
        if getattr(arguments, option) and not arguments.path:
            raise ParameterError(f"--{option} goes with a PATH; an experiment has its own folder.")
    if arguments.experiment:
        return audit_experiment(arguments.experiment, strict=arguments.strict)
    from msroi.audit import folder, page

    if arguments.new:
        folder.write_template(arguments.new)
        print(f"{arguments.new}: paper.yaml and tables.csv, an example with two planted errors")
        return 0
    found = folder.audit_paper(arguments.path, arguments.photographs)
    print(printable_lines(page.lines_of(found)), end="")
    if arguments.out:
        folder.write_audit(arguments.out, found, f"msroi audit {arguments.path}")
        print(f"all of it: {arguments.out}/audit.md, audit.csv")
    return 1 if arguments.strict and any(entry.fails for entry in found) else 0


def audit_experiment(name: str, *, strict: bool) -> int:
    """Audit the papers of an experiment, as far as its results are here."""
    from msroi.experiment import params
    from msroi.experiment.layout import Layout
    from msroi.files import read_csv, read_json
    from msroi.stages import audit

    layout, experiment = Layout(name), params.load(name)
    if layout.index.is_file():
        audit.run(experiment, layout)
        rows = read_csv(layout.audit / "audit.csv")
        summary = read_json(layout.audit / "summary.json")
        where = f"all of it: {layout.audit}/audit.md, audit.csv"
    else:  # a clone has the committed results, but not the index of the photographs
        rows = [audit.table_row(entry) for entry in audit.audited(experiment, layout)]
        summary = audit.summarise(rows)
        where = (
            f"{layout.index} is not here, so formats of sources are unknown and nothing is "
            f"written; the audit as committed: {layout.audit}/audit.md"
        )
    print(audit.summary_text(summary, where), end="")
    return 1 if strict and audit.failing(rows) else 0


def printable_lines(text: str) -> str:
    """Return text in which lines end, and nothing else steers a terminal."""
    return "".join(f"{printable(line)}\n" for line in text.splitlines())


def run_verify(arguments: argparse.Namespace) -> int:
    """Check the project's own committed results. Return 1 if anything differs, else 0."""
    from msroi.verify import committed

    given = arguments.experiment
    names = [given] if given else committed.experiments_with_results()
    checked = [one for name in names for one in committed.verify(name)]
    print(committed.summary_text(checked), end="")
    return 1 if committed.failures(checked) else 0


def run_publish(arguments: argparse.Namespace) -> int:
    """Write the crate of an experiment."""
    from msroi.publish import folder

    authors = [folder.author(one) for one in arguments.author]
    out = arguments.out or Path("build", arguments.experiment)
    said = folder.publish(arguments.experiment, out, parser.STAGES, authors)
    print(printable(said))
    return 0


def show(
    results: Iterable[Result | UserError], text: Callable[[Result], str], *, as_json: bool
) -> tuple[list[Result], int]:
    """Print each result as soon as it is there, and on stderr what is wrong with an image.

    JSON has null where a value is infinite. Returns the results, and how many had none.
    """
    from tqdm import tqdm

    done: list[Result] = []
    failed = 0
    for result in results:
        with tqdm.external_write_mode():  # a progress bar makes room for the line
            if isinstance(result, UserError):
                print(f"msroi: {printable(str(result))}", file=sys.stderr)
                failed += 1
                continue
            done.append(result)
            for what in result.get("left_out", ()):
                sentence = f"{result['image']}: left out {what}."
                print(f"msroi: {printable(sentence)}", file=sys.stderr)
            finite = {key: None if value == math.inf else value for key, value in result.items()}
            shown = {k: printable(v) if isinstance(v, str) else v for k, v in result.items()}
            print(json.dumps(finite) if as_json else text(shown), flush=True)
    return done, failed


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    parser.COMPRESS: run_compress,
    parser.HEATMAP: run_heatmap,
    parser.EXPLAIN: run_explain,
    parser.METRICS: run_metrics,
    parser.AUDIT: run_audit,
    parser.VERIFY: run_verify,
    parser.PUBLISH: run_publish,
    parser.STAGE: run_stage,
    parser.COMPLETION: run_completion,
}


def folders_written(arguments: argparse.Namespace) -> list[Path]:
    """Return where a command writes, if it does."""
    from msroi.experiment.layout import Layout

    given = [getattr(arguments, name, None) for name in ("out", "into")]
    if any(given):
        return [folder for folder in given if folder]
    if images := getattr(arguments, "images", None):
        return [image.parent for image in images]
    if not getattr(arguments, "experiment", None):
        return []
    layout = Layout(arguments.experiment)
    return [layout.results, layout.data, layout.scratch]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0; 1 if an audit finds something, or what was done could not be said on stdout; 2 after
        a user's mistake, or if one of several photos could not be done; 130 if interrupted.
    """
    with streams.unfailing() as (out, err):
        status = run(argv)
        out.flush()
        if out.failure is None:
            return status
        # whoever reads a pipe, such as `head`, has seen enough
        if not isinstance(out.failure, BrokenPipeError):
            print(f"msroi: stdout can't be written ({out.failure.strerror}).", file=err)
        return status or 1


def program() -> None:
    """Run the program, and end its process at once.

    All is written by then. What Python and JAX would tidy up takes a third of a second.
    """
    status = main()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # closed ones are None
        stream.flush()
    os._exit(status)


def run(argv: Sequence[str] | None) -> int:
    """Run a command, say on stderr what goes wrong, and return the exit status."""
    arguments = parser.build_parser().parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except UserError as error:
        print(f"msroi: {printable(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:  # a folder that can't be written, a full disk
        refused = system_errors.sentence(error, folders_written(arguments))
        if refused is None:
            raise
        print(f"msroi: {printable(refused)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("msroi: stopped.", file=sys.stderr)
        return 130
