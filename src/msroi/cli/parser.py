"""What the program `msroi` takes: commands, options and their help.

This module imports nothing heavy, so that `--help` and completion answer at once.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

from msroi import __version__
from msroi.encoders.methods import DEFAULT, METHODS

# what each stage does, in the order of the pipeline
STAGES = {
    "download": "fetch the images and the pretrained VGG16 that data/sources.csv names",
    "prepare": "index, split, convert and pack the images",
    "augment": "draw the augmentation plan and show examples of it",
    "train": "train VGG16-GAP by the plan",
    "readout": "train the readout of where people look, or take the package's; measure it",
    "heatmap": "make the saliency maps of the test images",
    "compress": "compress the test images by every method at matched file size",
    "metrics": "measure every compressed image against its original",
    "judges": "judge some of the compressed images by perceptual measures",
    "gaze": "measure some of the files, and what each map gives, where people look",
    "rate_distortion": "draw every method's rate-distortion curve; bits saved at equal quality",
    "conventions": "measure jpeg and msroi in every way that the paper may mean",
    "anova": "test whether the methods differ",
    "audit": "check published numbers against themselves, statistics and this run",
    "report": "write the paper's tables and figures with this run's numbers",
}

# what keeps Snakemake and DVC in step with each other and with the code
RECORD, ADOPT = "record", "adopt"
AGREEMENT = {
    RECORD: "tell DVC what a full run by Snakemake made, unless something changed without cause",
    ADOPT: "tell Snakemake that what DVC ran or restored is up to date",
}
WHERE_HELP = (
    "files of the experiment where they are to lie, which Snakemake gives itself; all others lie "
    "below the same folder (default: below this one)"
)
LOCKS = "locks"

# the stages that Snakemake may run in parts, a job each
CHUNKED = ("heatmap", "compress", "metrics")

COMPRESS, HEATMAP, EXPLAIN, METRICS = "compress", "heatmap", "explain", "metrics"
AUDIT, VERIFY, PUBLISH, STAGE = "audit", "verify", "publish", "stage"
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
    COMPRESS: "msroi compress photo.jpg",
    HEATMAP: "msroi heatmap photo.jpg --out maps",
    EXPLAIN: "msroi explain photo.jpg --open",
    METRICS: "msroi metrics photo.png photo.jpg --saliency maps/photo.saliency.png --json",
}
PURPOSES = {
    COMPRESS: "compress your own photos",
    HEATMAP: "make the saliency maps of your own photos",
    EXPLAIN: "show a photo by several methods at the same size, on a page with a slider",
    METRICS: "measure what compression cost, of two files",
    AUDIT: STAGES["audit"],
    VERIFY: "check that this project's committed results are whole and follow from one another",
    PUBLISH: "write a recorded run as a Workflow Run RO-Crate, for an archive",
    STAGE: "run a stage of an experiment",
    COMPLETION: "print a script for your shell",
}

VERIFY_HELP = (
    "It compares hashes with dvc.lock, and derived numbers with their source; exit "
    "status 1 if anything differs."
)

COMPRESS_HELP = """\
Compress your own photos: the bytes go where people look.

photo.jpg becomes photo.msroi.jpg beside it, a standard JPEG that looks as good
as plain JPEG of quality 85 and is smaller. Where that saves less than 5 %, it
is no gain: a JPEG is copied, and for a photo of another format nothing is
written."""

# how good or how large a photo's file is to be: options, and arguments of `msroi.compress`
GOALS = (
    "quality",
    "match_quality",
    "target_bytes",
    "target_psnr",
    "target_ssim",
    "target_ssimulacra2",
    "encoder_quality",
)
LEVELS = ("low", "medium", "high", "visually-lossless")

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
        "The others check published numbers and this project's, and run its experiments.",
        epilog=f"Example: {EXAMPLES[COMPRESS]}",
    )
    parser.add_argument("--version", action="version", version=f"msroi {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_compress(add_command(commands, COMPRESS, PURPOSES[COMPRESS], EXAMPLES[COMPRESS]))
    add_heatmap(add_command(commands, HEATMAP, PURPOSES[HEATMAP], EXAMPLES[HEATMAP]))
    add_explain(add_command(commands, EXPLAIN, PURPOSES[EXPLAIN], EXAMPLES[EXPLAIN]))
    add_metrics(add_command(commands, METRICS, PURPOSES[METRICS], EXAMPLES[METRICS]))
    add_audit(add_command(commands, AUDIT, PURPOSES[AUDIT], "msroi audit my-paper"))
    verify = add_command(commands, VERIFY, PURPOSES[VERIFY], "msroi verify")
    verify.add_argument(
        "--experiment", metavar="NAME", help="only this one (default: all with results here)"
    )
    verify.description = f"{verify.description} {VERIFY_HELP}"
    add_publish(add_command(commands, PUBLISH, PURPOSES[PUBLISH], "msroi publish osie"))
    add_stages(add_command(commands, STAGE, PURPOSES[STAGE], "msroi stage train --experiment demo"))
    completion = add_command(commands, COMPLETION, PURPOSES[COMPLETION], "msroi completion bash")
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


def add_stages(command: Parser) -> None:
    """Add the stages, in the order of the pipeline, and what keeps Snakemake and DVC in step."""
    stages = command.add_subparsers(dest="stage", required=True, metavar="NAME")
    for name, purpose in (STAGES | AGREEMENT).items():
        stage = add_command(stages, name, purpose, f"msroi stage {name} --experiment demo")
        stage.add_argument(
            "--experiment",
            metavar="NAME",
            required=True,
            help="the experiment whose parameters are in config/NAME.yaml",
        )
        if name != ADOPT:
            stage.add_argument("--where", metavar="FILE", type=Path, nargs="+", help=WHERE_HELP)
    add_train_options(stages.choices["train"])
    for name in CHUNKED:
        add_chunk_options(stages.choices[name])
    purpose = "write the lock of every stage's code, and say which stages become due"
    locks = add_command(stages, LOCKS, purpose, f"msroi stage {LOCKS}")
    locks.add_argument(
        "--check", action="store_true", help="write nothing; exit status 2 if one is not current"
    )


def add_model_option(to: "argparse._ActionsContainer") -> None:
    """Add by whose parameters and model msroi treats own photos."""
    to.add_argument(
        "--experiment",
        metavar="NAME",
        help="use this experiment's parameters and model (default: those that come with msroi)",
    )


def add_explain(command: Parser) -> None:
    """Add what `explain` takes."""
    add_images(command)
    command.add_argument(
        "--match-quality",
        metavar="Q",
        type=quality,
        default=50,
        help="all files are as large as plain JPEG of quality Q, 1 to 100 (default: 50)",
    )
    add_model_option(command)
    add_results_options(command, "pages", "html")
    command.add_argument("--open", action="store_true", help="open the page in the browser")
    add_json_option(command)


def add_train_options(command: Parser) -> None:
    """Add how many devices share the training, and for how long it may go on."""
    command.add_argument(
        "--devices",
        metavar="N",
        type=device_count,
        help="share every batch among N devices (default: as many as there are and as divide "
        "train.batch_size)",
    )
    command.add_argument(
        "--until-minutes",
        metavar="N",
        type=minutes,
        help="stop after the last epoch that ends within N minutes, at least one; the same "
        "command goes on from there (default: train to the end)",
    )


def add_chunk_options(command: Parser) -> None:
    """Add what a stage takes whose photographs several jobs may share."""
    parts = command.add_argument_group("parts of a stage (Snakemake gives these itself)")
    which = parts.add_mutually_exclusive_group()
    which.add_argument("--chunk", metavar="N-of-M", help="only the Nth of M parts; add --into")
    which.add_argument(
        "--gather", metavar="DIR", type=Path, nargs="+", help="bring these parts, all, together"
    )
    parts.add_argument("--into", metavar="DIR", type=Path, help="folder for a part, named N-of-M")


def add_publish(command: Parser) -> None:
    """Add what `publish` takes: which run, where to, and who made it."""
    command.add_argument("experiment", metavar="EXPERIMENT", help="an experiment that dvc.lock has")
    command.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="a folder that is not there yet, or an archive, DIR.zip (default: build/EXPERIMENT)",
    )
    command.add_argument(
        "--author",
        metavar="'NAME <ORCID>'",
        action="append",
        default=[],
        help="who made the run, with or without an ORCID; once a person (default: the project)",
    )


def add_audit(command: Parser) -> None:
    """Add what `audit` takes: whose numbers, and whether doubt is a failure."""
    whose = command.add_mutually_exclusive_group(required=True)
    whose.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        type=Path,
        help="a folder with a paper's numbers, paper.yaml and tables.csv; needs no experiment",
    )
    whose.add_argument(
        "--experiment",
        metavar="NAME",
        help="the experiment with whose results to compare published numbers",
    )
    whose.add_argument(
        "--new", metavar="PATH", type=Path, help="write an example with comments to begin with"
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="exit status 1 if a number is inconsistent, unusual or not reproduced",
    )
    command.add_argument(
        "--photographs",
        metavar="DIR",
        type=Path,
        help="with PATH: folder with the paper's photographs, a folder a dataset",
    )
    command.add_argument(
        "--out", metavar="DIR", type=Path, help="with PATH: folder for audit.md and audit.csv"
    )


def add_images(command: Parser) -> None:
    """Add the photos that a command works on."""
    command.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
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
    to.add_argument(
        "--keep-folders",
        action="store_true",
        help=f"with --out: write DIR/sub/photo.{suffix} for sub/photo",
    )
    to.add_argument(
        "--force",
        action="store_true",
        help=f"overwrite {what} that are there; a photo never",
    )


def add_json_option(command: Parser) -> None:
    """Add the output for programs."""
    command.add_argument("--json", action="store_true", help="print one JSON object an image")


def add_heatmap(command: Parser) -> None:
    """Add what `heatmap` takes."""
    add_images(command)
    command.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="folder for the results"
    )
    add_model_option(command)
    add_json_option(command)


def add_compress(command: Parser) -> None:
    """Add what `compress` takes."""
    add_images(command)
    width = max(map(len, METHODS))
    # the usage that argparse makes is wider than a terminal, and names options twice
    command.usage = f"{command.prog} [options] IMAGE ..."
    command.formatter_class = RAW
    command.description = COMPRESS_HELP
    methods = "\n".join(f"  {name:<{width}}  {one.description}" for name, one in METHODS.items())
    command.epilog = f"methods:\n{methods}\n\n{command.epilog}"
    good = command.add_argument_group("how good or how large (one of these)")
    goal = good.add_mutually_exclusive_group()
    goal.add_argument(
        "--quality",
        metavar="LEVEL",
        type=level,
        help="the smallest file that looks as good as plain JPEG: low, medium, high (of quality "
        "50, 70, 85) or a number from 1 to 100; or visually-lossless (default: high)",
    )
    goal.add_argument(
        "--match-quality",
        metavar="Q",
        type=quality,
        help="as large as plain JPEG of quality Q, 1 to 100",
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
    goal.add_argument(
        "--target-ssimulacra2",
        metavar="V",
        type=ssimulacra2,
        help="the smallest file with a SSIMULACRA 2 of V or more, 0 to 100",
    )
    goal.add_argument(
        "--encoder-quality",
        metavar="Q",
        type=real_quality,
        help="the method's own quality, 1 to 100, without a search",
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
    add_model_option(how)
    results = command.add_argument_group("results")
    add_results_options(results, "results", "jpg")
    results.add_argument(
        "--allow-larger",
        action="store_true",
        help="write a result even if it is no gain, or larger than the photo",
    )
    add_json_option(command)


def add_metrics(command: Parser) -> None:
    """Add what `metrics` takes."""
    command.add_argument("reference", metavar="REFERENCE", type=Path)
    command.add_argument("distorted", metavar="DISTORTED", type=Path)
    command.add_argument(
        "--saliency", metavar="MAP", type=Path, help="grey image that weights the errors"
    )
    add_json_option(command)


def quality(text: str) -> int:
    """Parse a JPEG quality, 1 to 100."""
    return whole_number(text, "a quality is a whole number from 1 to 100", 1, 100)


def real_quality(text: str) -> float:
    """Parse a quality that need not be whole, 1 to 100."""
    return number(text, "a quality is a number from 1 to 100", 1, 100)


def level(text: str) -> str | float:
    """Parse a level of quality: a name, or a number from 1 to 100."""
    if text in LEVELS:
        return text
    return number(text, f"a level is {', '.join(LEVELS)} or a number from 1 to 100", 1, 100)


def ssimulacra2(text: str) -> float:
    """Parse a SSIMULACRA 2."""
    return number(text, "a SSIMULACRA 2 is a number from 0 to 100", 0, 100)


def byte_count(text: str) -> int:
    """Parse a file size in bytes."""
    return whole_number(text, "a size is a whole number of bytes, at least 1", 1, sys.maxsize)


def device_count(text: str) -> int:
    """Parse a number of devices."""
    return whole_number(text, "devices are a whole number, at least 1", 1, sys.maxsize)


def minutes(text: str) -> int:
    """Parse a time limit in minutes."""
    return whole_number(
        text, "a time limit is a whole number of minutes, at least 1", 1, sys.maxsize
    )


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
    """Parse a decimal number within bounds, with the rule in the error."""
    if not DECIMAL.fullmatch(text) or not low <= float(text) <= high:
        raise argparse.ArgumentTypeError(f"{rule}, got {text!r}")
    return float(text)


def whole_number(text: str, rule: str, low: int, high: int) -> int:
    """Parse a whole number within bounds, with the rule in the error."""
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{rule}, got {text!r}")
    return int(text)
