"""The program `msroi`: the stages of an experiment, and the same methods on own photos.

A user's mistake is one sentence on stderr and exit status 2. Heavy packages are imported
by the command that needs them, so that `--help` answers at once (`parser` has the options).
"""

import argparse
import json
import math
import os
import sys
import webbrowser
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from msroi.cli import system_errors
from msroi.cli.parser import AGREEMENT, AUDIT, COMPLETION, EXAMPLES, EXPLAIN, build_parser
from msroi.errors import ParameterError, UserError
from msroi.files import printable
from msroi.network import distributed

Result = Mapping[str, Any]


def run_stage(name: str, experiment: str, **options: Any) -> None:
    """Run one stage of an experiment; `options` say how and never change its result."""
    from msroi.experiment import params
    from msroi.experiment.layout import Layout

    module = import_module(f"msroi.stages.{name}")
    module.run(params.load(experiment), Layout(experiment), **options)


def run_chunk(arguments: argparse.Namespace) -> None:
    """Run one chunk of a stage of an experiment, or gather all of them."""
    from msroi.experiment import chunks, params
    from msroi.experiment.layout import Layout

    if arguments.experiment is None:
        raise ParameterError("--chunk and --gather are parts of a stage: add --experiment NAME.")
    module = import_module(f"msroi.stages.{arguments.command}")
    experiment, layout = params.load(arguments.experiment), Layout(arguments.experiment)
    if arguments.gather is not None:
        module.gather(experiment, layout, chunks.parts(layout, arguments.gather))
        return
    if arguments.into is None:
        raise ParameterError("--chunk needs a folder for its files: add --into DIR.")
    chunk = chunks.chunk(arguments.chunk)
    module.run_chunk(experiment, layout, chunk, chunks.part(layout, arguments.into))


def run_agreement(arguments: argparse.Namespace) -> None:
    """Tell DVC what Snakemake made, or Snakemake what DVC made."""
    from msroi.workflow import record

    {"record": record.record, "adopt": record.adopt}[arguments.command](arguments.experiment)


def run_completion(arguments: argparse.Namespace) -> int:
    """Print the script that completes in a shell."""
    from msroi.cli import completion

    print(completion.script(arguments.shell))
    return 0


def run_heatmap(arguments: argparse.Namespace) -> int:
    """Make heatmaps of own photos."""
    from msroi.photos import batch

    insist_on_images(arguments)
    if arguments.out is None:
        raise ParameterError("heatmap needs a folder for its results: add --out DIR.")
    results = batch.heatmaps(arguments.images, arguments.out, arguments.experiment)
    _, failed = show(results, "{image}: {saliency}, {overlay}".format_map, as_json=arguments.json)
    return 2 if failed else 0


def run_compress(arguments: argparse.Namespace) -> int:
    """Compress own photos; with several, sum up at the end."""
    from msroi.photos import batch, goals
    from msroi.photos import lines as photos_lines

    insist_on_images(arguments)
    goal = goals.goal(
        arguments.match_quality,
        arguments.target_bytes,
        arguments.target_psnr,
        arguments.target_ssim,
    )
    writing = batch.Writing(arguments.out, arguments.force, arguments.allow_larger)
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

    insist_on_images(arguments)
    writing = batch.Writing(arguments.out, arguments.force)
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

    if arguments.distorted is None:
        raise ParameterError("metrics takes two files, REFERENCE and DISTORTED; got one.")

    def lines(result: Result) -> str:
        values = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in result.items()}
        return "\n".join(f"{key:<16}{value}" for key, value in values.items())

    result = batch.measured(arguments.reference, arguments.distorted, arguments.saliency)
    show([result], lines, as_json=arguments.json)
    return 0


def run_audit(arguments: argparse.Namespace) -> int:
    """Audit published numbers, or the project's own results; 1 if that is a failure, else 0."""
    if arguments.own:
        from msroi.verify import committed

        names = (
            [arguments.experiment] if arguments.experiment else committed.experiments_with_results()
        )
        checked = [one for name in names for one in committed.verify(name)]
        print(committed.summary_text(checked), end="")
        return 1 if committed.failures(checked) else 0
    if arguments.experiment is None:
        raise ParameterError(
            "audit needs --experiment NAME, whose results published numbers are compared with, "
            "or --own to check this project's own; for example: msroi audit --experiment demo"
        )
    from msroi.experiment.layout import Layout
    from msroi.stages import audit

    run_stage("audit", arguments.experiment)
    layout = Layout(arguments.experiment)
    doubtful = audit.doubtful(layout)
    print(audit.summary_text(layout), end="")
    return 1 if arguments.strict and doubtful else 0


def insist_on_images(arguments: argparse.Namespace) -> None:
    """Insist on images to work on."""
    if not arguments.images:
        raise ParameterError(
            f"{arguments.command} needs images; for example: {EXAMPLES[arguments.command]}"
        )


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
            finite = {key: None if value == math.inf else value for key, value in result.items()}
            shown = {k: printable(v) if isinstance(v, str) else v for k, v in result.items()}
            print(json.dumps(finite) if as_json else text(shown), flush=True)
    return done, failed


def own_files(arguments: argparse.Namespace) -> bool:
    """Say whether the command names files of the user's."""
    given = (getattr(arguments, name, None) for name in ("images", "out", "reference"))
    return any(given)


def run(arguments: argparse.Namespace) -> int:
    """Run the command that the arguments ask for; return the exit status."""
    of_photos: dict[str, Callable[[argparse.Namespace], int]] = {
        "heatmap": run_heatmap,
        "compress": run_compress,
        "metrics": run_metrics,
    }
    others = {EXPLAIN: run_explain, COMPLETION: run_completion}
    if arguments.command in AGREEMENT:
        run_agreement(arguments)
    elif arguments.command == AUDIT:
        return run_audit(arguments)
    elif arguments.command in others:
        return others[arguments.command](arguments)
    elif getattr(arguments, "chunk", None) or getattr(arguments, "gather", None):
        run_chunk(arguments)
    elif own_files(arguments):
        return of_photos[arguments.command](arguments)
    elif arguments.experiment is not None:
        devices = getattr(arguments, "devices", None)
        options = {} if devices is None else {"devices": devices}
        with distributed.joined(arguments):
            run_stage(arguments.command, arguments.experiment, **options)
    else:
        raise ParameterError(
            f"{arguments.command} needs files to work on, or --experiment NAME to run "
            f"the stage; for example: {EXAMPLES[arguments.command]}"
        )
    return 0


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
    """Run a command; return 0, 1 if an audit finds something, or 2 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    try:
        return run(arguments)
    except UserError as error:
        print(f"msroi: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads stdout, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a folder that can't be written, a full disk
        refused = system_errors.sentence(error, folders_written(arguments))
        if refused is None:
            raise
        print(f"msroi: {printable(refused)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("msroi: stopped.", file=sys.stderr)
        return 130
