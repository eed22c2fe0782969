"""What the program `msroi` takes: commands, options and their help.

Nothing heavy is imported here, so that `--help` and completion answer at once.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

from msroi import __version__
from msroi.encoders.methods import DEFAULT, METHODS
from msroi.network import distributed

# what each stage does, in the order of the pipeline
STAGES = {
    "download": "fetch the images and the pretrained VGG16 that data/sources.csv names",
    "prepare": "index, split, convert and pack the images",
    "augment": "draw the augmentation plan and show examples of it",
    "train": "train VGG16-GAP by the plan",
    "heatmap": "make saliency maps, of your own photos or the test images",
    "compress": "compress your own photos, or the test images at matched file size",
    "metrics": "measure what compression cost, of two files or the test images",
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

# the stages that Snakemake may run in parts, a job each
CHUNKED = ("heatmap", "compress", "metrics")

AUDIT = "audit"  # the one stage that also works without an experiment

EXPLAIN = "explain"  # works on own photos alone
PUBLISH = "publish"
COMPLETION = "completion"
SHELLS = ("bash", "zsh", "fish")
COMPLETION_HELP = """\
Print a script that completes commands, options and files in your shell.

  bash  msroi completion bash > ~/.local/share/bash-completion/completions/msroi
  zsh   msroi completion zsh > ~/.zfunc/_msroi   (a folder in $fpath)
  fish  msroi completion fish > ~/.config/fish/completions/msroi.fish

A new shell then knows it."""

# by the commands that work on a user's own files
EXAMPLES = {
    "compress": "msroi compress photo.jpg",
    "heatmap": "msroi heatmap photo.jpg --out maps",
    "metrics": "msroi metrics photo.png photo.jpg --saliency maps/photo.saliency.png --json",
    EXPLAIN: "msroi explain photo.jpg --open",
}

COMPRESS_HELP = """\
Compress your own photos: the bytes go where people look.

photo.jpg becomes photo.msroi.jpg beside it, a standard JPEG as large as plain
JPEG of quality 50. No result is larger than its photo: where compressing saves
nothing, a JPEG is copied, and for a photo of another format nothing is written.

Without IMAGE this is a stage of an experiment."""

DECIMAL = re.compile(r"[0-9]+([.][0-9]*)?|[.][0-9]+")


RAW = argparse.RawDescriptionHelpFormatter  # for texts that have lines of their own


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is, and exit with status 2."""
        self.exit(2, f"{self.prog}: {message.rstrip('.')}; see `{self.prog} --help`.\n")


def build_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="msroi",
        formatter_class=RAW,
        description="Content-aware JPEG compression, reproduced and audited.\n\n"
        f"For your own photos: {', '.join(EXAMPLES)}.\n"
        "The other commands are the stages of an experiment, in their order.",
        epilog=f"Example: {EXAMPLES['compress']}",
    )
    parser.add_argument("--version", action="version", version=f"msroi {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    ordered = [*EXAMPLES, *(name for name in STAGES if name not in EXAMPLES)]
    for name in ordered:
        if name == EXPLAIN:
            add_explain(commands)
        else:
            add_stage(commands, name)
    add_devices_option(commands.choices["train"])
    distributed.add_options(commands.choices["train"])
    add_audit_options(commands.choices[AUDIT])
    add_compress_options(commands.choices["compress"])
    add_heatmap_options(commands.choices["heatmap"])
    add_metrics_options(commands.choices["metrics"])
    for name in CHUNKED:
        add_chunk_options(commands.choices[name])
    for name, purpose in AGREEMENT.items():
        command = add_command(commands, name, purpose, f"msroi {name} --experiment demo")
        command.add_argument("--experiment", metavar="NAME", required=True)
    publish = add_command(
        commands,
        PUBLISH,
        "copy the report's page to hand it out, with the commit and the time of each stage",
        f"msroi {PUBLISH} --experiment demo --out demo.html",
    )
    publish.add_argument("--experiment", metavar="NAME", required=True)
    publish.add_argument("--out", metavar="FILE", type=Path, required=True)
    completion = add_command(
        commands, COMPLETION, "print a script for your shell", f"msroi {COMPLETION} bash"
    )
    completion.formatter_class = RAW
    completion.description = COMPLETION_HELP
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def add_command(
    commands: "argparse._SubParsersAction[Parser]", name: str, purpose: str, example: str
) -> Parser:
    """Add a command whose help ends with an example."""
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=f"Example: {example}",
    )


def add_stage(commands: "argparse._SubParsersAction[Parser]", name: str) -> None:
    """Add the command of a stage."""
    example = EXAMPLES.get(name, f"msroi {name} --experiment demo")
    add_command(commands, name, STAGES[name], example).add_argument(
        "--experiment",
        metavar="NAME",
        help="run the stage for config/NAME.yaml"
        if name not in EXAMPLES
        else "with own photos: use this experiment's parameters and model (default: those that "
        "come with msroi); without: run the stage for config/NAME.yaml",
        required=name not in EXAMPLES and name != AUDIT,
    )


def add_explain(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command that explains a photo."""
    purpose = "show a photo by several methods at the same size, on a page with a slider"
    command = add_command(commands, EXPLAIN, purpose, EXAMPLES[EXPLAIN])
    add_images(command)
    command.add_argument(
        "--match-quality",
        metavar="Q",
        type=quality,
        default=50,
        help="all files are as large as plain JPEG of quality Q, 1 to 100 (default: 50)",
    )
    command.add_argument(
        "--experiment",
        metavar="NAME",
        help="use this experiment's parameters and model (default: those that come with msroi)",
    )
    add_results_options(command, "pages", "html")
    command.add_argument("--open", action="store_true", help="open the page in the browser")
    add_json_option(command)


def add_devices_option(command: Parser) -> None:
    """Add how many devices share the training."""
    command.add_argument(
        "--devices",
        metavar="N",
        type=device_count,
        help="share every batch among N devices (default: as many as there are and as divide "
        "train.batch_size)",
    )


def add_chunk_options(command: Parser) -> None:
    """Add what a stage takes whose photographs may be shared among jobs."""
    parts = command.add_argument_group("parts of a stage (Snakemake gives these itself)")
    which = parts.add_mutually_exclusive_group()
    which.add_argument("--chunk", metavar="N-of-M", help="only the Nth of M parts; add --into")
    which.add_argument(
        "--gather", metavar="DIR", type=Path, nargs="+", help="bring these parts, all, together"
    )
    parts.add_argument("--into", metavar="DIR", type=Path, help="folder for a part, named N-of-M")


def add_audit_options(command: Parser) -> None:
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


def add_images(command: Parser) -> None:
    """Add the photos that a command works on."""
    command.add_argument(
        "images",
        metavar="IMAGE",
        nargs="*",
        type=Path,
        help="a photo, a folder (all images directly in it) or a pattern such as '*.jpg'",
    )


def add_results_options(to: "argparse._ActionsContainer", what: str, suffix: str) -> None:
    """Add where results for own photos go, and whether they may replace files."""
    to.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help=f"write DIR/photo.{suffix} (default: photo.msroi.{suffix} beside the photo)",
    )
    to.add_argument("--force", action="store_true", help=f"overwrite {what} that are there")


def add_json_option(command: Parser) -> None:
    """Add the output for programs."""
    command.add_argument("--json", action="store_true", help="print one JSON object an image")


def add_heatmap_options(command: Parser) -> None:
    """Add what `heatmap` takes with own photos."""
    add_images(command)
    command.add_argument("--out", metavar="DIR", type=Path, help="folder for the results")
    add_json_option(command)


def add_compress_options(command: Parser) -> None:
    """Add what `compress` takes with own photos."""
    add_images(command)
    width = max(map(len, METHODS))
    # the usage that argparse makes is wider than a terminal, and names options twice
    command.usage = f"{command.prog} [options] IMAGE ...\n       {command.prog} --experiment NAME"
    command.formatter_class = RAW
    command.description = COMPRESS_HELP
    methods = "\n".join(f"  {name:<{width}}  {one.description}" for name, one in METHODS.items())
    command.epilog = f"methods:\n{methods}\n\n{command.epilog}"
    size = command.add_argument_group("how large or how good (one of these)")
    goal = size.add_mutually_exclusive_group()
    goal.add_argument(
        "--match-quality",
        metavar="Q",
        type=quality,
        help="as large as plain JPEG of quality Q, 1 to 100 (default: 50)",
    )
    goal.add_argument("--target-bytes", metavar="N", type=byte_count, help="at most N bytes")
    goal.add_argument(
        "--target-psnr",
        metavar="DB",
        type=decibels,
        help="the smallest file with a PSNR of DB or more, 0 to 100 dB",
    )
    goal.add_argument(
        "--target-ssim",
        metavar="S",
        type=similarity,
        help="the smallest file with an SSIM of S or more, 0 to 1",
    )
    how = command.add_argument_group("how")
    how.add_argument(
        "--method",
        choices=METHODS,
        default=DEFAULT,
        metavar="METHOD",
        help=f"one of the methods below (default: {DEFAULT})",
    )
    how.add_argument(
        "--jobs",
        metavar="N",
        type=job_count,
        default=1,
        help="work on N photos at a time, with memory for each: about 1 GB for 12 million "
        "pixels (default: 1)",
    )
    results = command.add_argument_group("results")
    add_results_options(results, "results", "jpg")
    results.add_argument(
        "--allow-larger",
        action="store_true",
        help="write a result even if it is no smaller than the photo",
    )
    add_json_option(command)


def add_metrics_options(command: Parser) -> None:
    """Add what `metrics` takes with own files."""
    command.add_argument("reference", metavar="REFERENCE", nargs="?", type=Path)
    command.add_argument("distorted", metavar="DISTORTED", nargs="?", type=Path)
    command.add_argument(
        "--saliency", metavar="MAP", type=Path, help="grey image that weights the errors"
    )
    add_json_option(command)


def quality(text: str) -> int:
    """Parse a JPEG quality, 1 to 100."""
    return whole_number(text, "a quality is a whole number from 1 to 100", 1, 100)


def byte_count(text: str) -> int:
    """Parse a file size in bytes."""
    return whole_number(text, "a size is a whole number of bytes, at least 1", 1, sys.maxsize)


def device_count(text: str) -> int:
    """Parse a number of devices."""
    return whole_number(text, "devices are a whole number, at least 1", 1, sys.maxsize)


def job_count(text: str) -> int:
    """Parse a number of photos at a time."""
    return whole_number(text, "jobs are a whole number from 1 to 256", 1, 256)


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
