"""Scripts that complete the program's commands, options and files in a shell."""

import argparse
from pathlib import Path

import shtab

from msroi.cli.parser import build_parser


def script(shell: str) -> str:
    """Return the script for one of `parser.SHELLS`."""
    parser = build_parser()
    for command in subcommands(parser).values():
        for action in command._actions:
            if action.type is Path:
                folder = action.metavar == "DIR"
                # what shtab reads; argparse knows no such attribute
                action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return a parser's commands by name."""
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(commands.choices)
