"""Hostile and odd inputs, each with its documented outcome.

The tables are what the tests run through the program, and what
`PYTHONPATH=src:tests/unit python -m hostile` writes into docs/reliability.md.

An outcome is `PROCESSED`, or the sentence with which a file is refused; FILE stands in it for
the file's path, and … for anything.
"""

import re
from pathlib import Path

from msroi.files import printable

PROCESSED = "processed"
EITHER = "either, but no third: the decoder's reading of it, or a refusal"
LEFT_OUT = "left out"


def fits(outcome: str, sentence: str, path: Path | str = "") -> bool:
    """Say whether a sentence of the program is the one that an outcome describes."""
    parts = {"FILE": re.escape(printable(str(path))), "…": ".*"}
    pattern = "".join(parts.get(part, re.escape(part)) for part in re.split("(FILE|…)", outcome))
    return re.fullmatch(pattern, sentence) is not None
