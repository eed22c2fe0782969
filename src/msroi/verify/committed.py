"""Whether the committed results are whole, unchanged, and follow from one another.

Two questions about the committed files of one experiment, for CI and for whoever cloned the
repository. Are the files those that dvc.lock describes, and did each come from those that dvc.lock
describes beside it (`hash`, `chain`)? Do the tables and summaries follow from the more basic tables
among them, by the functions of the stages (`recomputed`)?

It runs and changes nothing, and reads no image. What follows from pixels it only hashes.
"""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.verify.finding import (
    CHAIN,
    DIFFERS,
    HASH,
    INTACT,
    MISSING,
    OUTDATED,
    RECOMPUTED,
    Checked,
)
from msroi.verify.hashes import against_lock, read_lock
from msroi.verify.recompute import recomputed

WIDTH = 100


def verify(experiment: str) -> list[Checked]:
    """Check all committed files of one experiment.

    Returns
    -------
    list of Checked
        A row a file: first of all hashes, then of what later stages read, then of the tables
        and summaries. What is not there or can't be read is a row, too.

    Raises
    ------
    ParameterError
        If the experiment's parameter file, or dvc.yaml, is missing or wrong.
    """
    parameters = params.load(experiment)
    return [*against_lock(experiment), *recomputed(parameters, Layout(experiment))]


def failures(checked: Iterable[Checked]) -> list[Checked]:
    """Return what differs, and what is missing but should be here."""
    return [one for one in checked if one.state != INTACT and not one.allowed]


def experiments_with_results() -> list[str]:
    """Return the experiments in dvc.lock that have a parameter file and a folder of results.

    Raises
    ------
    ParameterError
        If dvc.lock is missing or can't be read.
    """
    names = dict.fromkeys(address.rpartition("@")[2] for address in read_lock())
    return [
        name
        for name in names
        if params.config_path(name).is_file() and Layout(name).results.is_dir()
    ]


def summary_text(checked: Sequence[Checked]) -> str:
    """Return counts by kind and state, what is not intact, and one sentence as the verdict."""
    counts = Counter((one.kind, one.state) for one in checked)
    states = (INTACT, MISSING, OUTDATED, DIFFERS)
    lines = [
        f"{'check':<12}" + "".join(f"{state:>9}" for state in states),
        *(
            f"{kind:<12}" + "".join(f"{counts[kind, state]:>9}" for state in states)
            for kind in (HASH, CHAIN, RECOMPUTED)
        ),
        "",
    ]
    listed = [*(one for one in checked if one.allowed), *failures(checked)]
    for one in listed:
        line = f"{one.state:<9}{one.kind:<12}{one.path}: {one.detail}"
        lines += textwrap.wrap(
            line,
            WIDTH,
            subsequent_indent=" " * 21,
            break_long_words=False,
            break_on_hyphens=False,
        )
    lines += [""] if listed else []
    return "\n".join([*lines, *textwrap.wrap(verdict(checked), WIDTH)]) + "\n"


def verdict(checked: Sequence[Checked]) -> str:
    """Say in one sentence whether all is as it should be."""
    if not checked:
        return "Nothing was checked: no experiment has results here."
    names = ", ".join(dict.fromkeys(one.experiment for one in checked))
    failed = failures(checked)
    if failed:
        return f"{names}: {len(failed)} of {len(checked)} checks failed."
    absent = sum(one.state == MISSING for one in checked)
    rest = f"; {absent} outputs that git does not hold are missing" if absent else ""
    old = sum(one.state == OUTDATED for one in checked)
    rest += f"; tables of other parameters, outdated: {old}" if old else ""
    return f"{names}: all that git holds is intact, and every number follows from its table{rest}."
