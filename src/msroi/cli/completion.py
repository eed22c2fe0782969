"""Scripts that complete the program's commands, options and files in a shell."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from msroi.cli.parser import build_parser


def script(shell: str) -> str:
    """Return the script for one of `parser.SHELLS`."""
    parser = build_parser()
    for _, command in commands(parser):
        for action in command._actions:
            if action.type is Path:
                folder = action.metavar == "DIR"
                # what shtab reads; argparse knows no such attribute
                action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield a parser and those of all its commands, nested ones too, by what one types."""
    yield parser.prog, parser
    for action in parser._actions:  # argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from commands(command)
