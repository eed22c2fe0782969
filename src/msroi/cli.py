"""The program `msroi`: the stages of an experiment, and the same methods on own photos.

A user's mistake is one sentence on stderr and exit status 2. Heavy packages are imported
by the command that needs them, so that `--help` answers at once.
"""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from msroi import __version__, distributed, system_errors
from msroi.errors import ParameterError, UserError
from msroi.files import printable

# what each stage does, in the order of the pipeline
STAGES = {
    "download": "fetch the images and the pretrained VGG16 that data/sources.csv names",
    "prepare": "index, split, convert and pack the images",
    "augment": "draw the augmentation plan and show examples of it",
    "train": "train VGG16-GAP by the plan",
    "heatmap": "make saliency maps, of the test images or of your own photos",
    "compress": "compress at matched file size, the test images or your own photos",
    "metrics": "measure what compression cost, of the test images or of two files",
    "judges": "judge some of the compressed images by perceptual measures",
    "rate_distortion": "draw every method's rate-distortion curve; bits saved at equal quality",
    "conventions": "measure jpeg and msroi in every way that the paper may mean",
    "anova": "test whether the methods differ",
    "audit": "check published numbers against themselves, statistics and this run",
    "report": "write the paper's tables and figures with this run's numbers",
}

# what keeps Snakemake and DVC in step; the two call these themselves
AGREEMENT = {
    "record": "tell DVC what a full run by Snakemake made, unless something changed without cause",
    "adopt": "tell Snakemake that what DVC ran or restored is up to date",
}

# those of msroi.encoders, whose import takes longer than --help may
METHODS = {
    "roi-trellis": "this project's own: trellis quantisation, guided by a saliency map",
    "trellis": "the same without the map",
    "msroi": "the paper's two passes",
    "jpeg": "plain JPEG",
    "jpeg-opt": "plain JPEG with optimised Huffman tables",
    "mozjpeg": "mozjpeg",
    "jpegli": "jpegli",
}

# the stages that Snakemake may run in parts, a job each
CHUNKED = ("heatmap", "compress", "metrics")

AUDIT = "audit"  # the one stage that also works without an experiment

EXAMPLES = {
    "heatmap": "msroi heatmap photo.jpg --out maps",
    "compress": "msroi compress photo.jpg --out small --target-bytes 30000",
    "metrics": "msroi metrics photo.png photo.jpg --saliency maps/photo.saliency.png --json",
}

DECIMAL = re.compile(r"[0-9]+([.][0-9]*)?|[.][0-9]+")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is, and exit with status 2."""
        self.exit(2, f"{self.prog}: {message.rstrip('.')}; see `{self.prog} --help`.\n")


def build_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="msroi",
        description="Content-aware JPEG compression, reproduced and audited.",
        epilog=f"Example: {EXAMPLES['compress']}",
    )
    parser.add_argument("--version", action="version", version=f"msroi {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in STAGES.items():
        example = EXAMPLES.get(name, f"msroi {name} --experiment demo")
        command = commands.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            epilog=f"Example: {example}",
        )
        command.add_argument(
            "--experiment",
            metavar="NAME",
            help="run the stage for config/NAME.yaml"
            if name not in EXAMPLES
            else "run the stage for config/NAME.yaml; with own photos, use its parameters and "
            "model (default: those that come with msroi)",
            required=name not in EXAMPLES and name != AUDIT,
        )
    commands.choices["train"].add_argument(
        "--devices",
        metavar="N",
        type=device_count,
        help="share every batch among N devices (default: as many as there are and as divide "
        "train.batch_size)",
    )
    for name in CHUNKED:
        add_chunk_options(commands.choices[name])
    distributed.add_options(commands.choices["train"])
    add_audit_options(commands.choices[AUDIT])
    add_photo_options(commands.choices)
    for name, purpose in AGREEMENT.items():
        command = commands.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            epilog=f"Example: msroi {name} --experiment demo",
        )
        command.add_argument("--experiment", metavar="NAME", required=True)
    return parser


def add_chunk_options(command: argparse.ArgumentParser) -> None:
    """Add what a stage takes whose photographs may be shared among jobs."""
    parts = command.add_argument_group("parts of a stage (Snakemake gives these itself)")
    which = parts.add_mutually_exclusive_group()
    which.add_argument("--chunk", metavar="N-of-M", help="only the Nth of M parts; add --into")
    which.add_argument(
        "--gather", metavar="DIR", type=Path, nargs="+", help="bring these parts, all, together"
    )
    parts.add_argument("--into", metavar="DIR", type=Path, help="folder for a part, named N-of-M")


def add_audit_options(command: argparse.ArgumentParser) -> None:
    """Add what `audit` takes: whose numbers, and whether doubt is a failure."""
    command.add_argument(
        "--own",
        action="store_true",
        help="check this project's own committed results instead (of every experiment, or of "
        "--experiment): hashes against dvc.lock, derived numbers against those they derive from; "
        "exit status 1 if anything differs",
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="exit status 1 if a published number is not consistent",
    )


def add_photo_options(commands: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add what the commands take when they work on a user's own files."""
    for name in ("heatmap", "compress"):
        commands[name].add_argument(
            "images",
            metavar="IMAGE",
            nargs="*",
            type=Path,
            help="a photo of your own, or a folder: all images directly in it",
        )
        commands[name].add_argument(
            "--out", metavar="DIR", type=Path, help="folder for the results"
        )
    compress = commands["compress"]
    default, *_ = METHODS
    compress.add_argument(
        "--method",
        choices=METHODS,
        default=default,
        metavar="METHOD",
        help=f"{'; '.join(f'{name}: {what}' for name, what in METHODS.items())} "
        f"(default: {default})",
    )
    goal = compress.add_mutually_exclusive_group()
    goal.add_argument(
        "--match-quality",
        metavar="Q",
        type=quality,
        help="make the file as large as plain JPEG of quality Q, 1 to 100 (default: 50)",
    )
    goal.add_argument(
        "--target-bytes", metavar="N", type=byte_count, help="make the file at most N bytes"
    )
    goal.add_argument(
        "--target-psnr",
        metavar="DB",
        type=decibels,
        help="make the smallest file with a PSNR of DB or more, 0 to 100 dB",
    )
    goal.add_argument(
        "--target-ssim",
        metavar="S",
        type=similarity,
        help="make the smallest file with an SSIM of S or more, 0 to 1",
    )
    metrics = commands["metrics"]
    metrics.add_argument("reference", metavar="REFERENCE", nargs="?", type=Path)
    metrics.add_argument("distorted", metavar="DISTORTED", nargs="?", type=Path)
    metrics.add_argument(
        "--saliency", metavar="MAP", type=Path, help="grey image that weights the errors"
    )
    for name in EXAMPLES:
        commands[name].add_argument(
            "--json", action="store_true", help="print one JSON object an image"
        )


def quality(text: str) -> int:
    """Parse a JPEG quality, 1 to 100."""
    return whole_number(text, "a quality is a whole number from 1 to 100", 1, 100)


def byte_count(text: str) -> int:
    """Parse a file size in bytes."""
    return whole_number(text, "a size is a whole number of bytes, at least 1", 1, sys.maxsize)


def device_count(text: str) -> int:
    """Parse a number of devices."""
    return whole_number(text, "devices are a whole number, at least 1", 1, sys.maxsize)


def decibels(text: str) -> float:
    """Parse a PSNR in dB."""
    return number(text, "a PSNR is a number of dB from 0 to 100", 0, 100)


def similarity(text: str) -> float:
    """Parse an SSIM."""
    return number(text, "an SSIM is a number from 0 to 1", 0, 1)


def number(text: str, rule: str, low: float, high: float) -> float:
    """Parse a decimal number within bounds; the error states the rule."""
    if not DECIMAL.fullmatch(text) or not low <= float(text) <= high:
        raise argparse.ArgumentTypeError(f"{rule}, got {text!r}")
    return float(text)


def whole_number(text: str, rule: str, low: int, high: int) -> int:
    """Parse a whole number within bounds; the error states the rule."""
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{rule}, got {text!r}")
    return int(text)


def run_stage(name: str, experiment: str, **options: Any) -> None:
    """Run one stage of an experiment; `options` say how and never change its result."""
    from msroi import params
    from msroi.layout import Layout

    module = import_module(f"msroi.{name}")
    module.run(params.load(experiment), Layout(experiment), **options)


def run_chunk(arguments: argparse.Namespace) -> None:
    """Run one chunk of a stage of an experiment, or gather all of them."""
    from msroi import chunks, params
    from msroi.layout import Layout

    if arguments.experiment is None:
        raise ParameterError("--chunk and --gather are parts of a stage: add --experiment NAME.")
    module = import_module(f"msroi.{arguments.command}")
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
    from msroi import record

    {"record": record.record, "adopt": record.adopt}[arguments.command](arguments.experiment)


def run_heatmap(arguments: argparse.Namespace) -> int:
    """Make heatmaps of own photos."""
    from msroi import photos

    insist_on_files(arguments)
    results = photos.heatmaps(arguments.images, arguments.out, arguments.experiment)
    return show(results, "{image}: {saliency}, {overlay}", as_json=arguments.json)


def run_compress(arguments: argparse.Namespace) -> int:
    """Compress own photos."""
    from msroi import photos

    insist_on_files(arguments)
    goal, reached = goal_of(arguments)
    results = photos.compressed(
        arguments.images, arguments.out, arguments.method, goal, arguments.experiment
    )
    line = f"{{image}}: {{output}}, {{bytes}} bytes ({reached})"
    return show(results, line, as_json=arguments.json)


def goal_of(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Return the goal that the options set, and how a result says what it has reached."""
    from msroi import targets

    if arguments.target_psnr is not None:
        return targets.TargetMeasure(targets.PSNR, arguments.target_psnr), "{psnr_rgb_db:.2f} dB"
    if arguments.target_ssim is not None:
        return targets.TargetMeasure(targets.SSIM, arguments.target_ssim), "SSIM {ssim_luma:.4f}"
    by_size = "{size_error_pct:+.2f} % from {target_bytes}"
    if arguments.target_bytes is not None:
        return targets.TargetBytes(arguments.target_bytes), by_size
    return targets.MatchQuality(arguments.match_quality or 50), by_size


def run_metrics(arguments: argparse.Namespace) -> int:
    """Measure one file against another."""
    from msroi import photos

    if arguments.distorted is None:
        raise ParameterError("metrics takes two files, REFERENCE and DISTORTED; got one.")
    result = photos.measured(arguments.reference, arguments.distorted, arguments.saliency)
    line = "\n".join(
        f"{key:<16}{{{key}{':.6g' if isinstance(value, float) else ''}}}"
        for key, value in result.items()
    )
    return show([result], line, as_json=arguments.json)


def run_audit(arguments: argparse.Namespace) -> int:
    """Audit published numbers, or the project's own results; 1 if that is a failure, else 0."""
    if arguments.own:
        from msroi import own

        names = [arguments.experiment] if arguments.experiment else own.experiments_with_results()
        checked = [one for name in names for one in own.audit(name)]
        print(own.summary_text(checked), end="")
        return 1 if own.failures(checked) else 0
    if arguments.experiment is None:
        raise ParameterError(
            "audit needs --experiment NAME, whose results published numbers are compared with, "
            "or --own to check this project's own; for example: msroi audit --experiment demo"
        )
    from msroi import audit
    from msroi.layout import Layout

    run_stage("audit", arguments.experiment)
    layout = Layout(arguments.experiment)
    doubtful = audit.doubtful(layout)
    print(audit.summary_text(layout), end="")
    return 1 if arguments.strict and doubtful else 0


def insist_on_files(arguments: argparse.Namespace) -> None:
    """Insist on images and on a folder for the results."""
    if not arguments.images:
        raise ParameterError(
            f"{arguments.command} --out needs images; for example: {EXAMPLES[arguments.command]}"
        )
    if arguments.out is None:
        raise ParameterError(f"{arguments.command} needs a folder for its results: add --out DIR.")


def show(results: Iterable[Mapping[str, Any] | UserError], line: str, *, as_json: bool) -> int:
    """Print each result as soon as it is there, and on stderr what is wrong with an image.

    JSON has null where a value is infinite. Returns 2 if anything was wrong, else 0.
    """
    from tqdm import tqdm

    status = 0
    for result in results:
        with tqdm.external_write_mode():  # a progress bar makes room for the line
            if isinstance(result, UserError):
                print(f"msroi: {printable(str(result))}", file=sys.stderr)
                status = 2
                continue
            finite = {key: None if value == math.inf else value for key, value in result.items()}
            text = {k: printable(v) if isinstance(v, str) else v for k, v in result.items()}
            print(json.dumps(finite) if as_json else line.format(**text), flush=True)
    return status


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
    if arguments.command in AGREEMENT:
        run_agreement(arguments)
    elif arguments.command == AUDIT:
        return run_audit(arguments)
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
    from msroi.layout import Layout

    given = [getattr(arguments, name, None) for name in ("out", "into")]
    if any(given) or not getattr(arguments, "experiment", None):
        return [folder for folder in given if folder]
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
