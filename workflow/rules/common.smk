# What the rules share: the stage list of dvc.yaml, with parameters checked before anything runs.

from pathlib import Path

from msroi import pipeline
from msroi.errors import UserError

try:
    EXPERIMENTS = pipeline.experiments()
    STAGES = pipeline.read_stages()
except UserError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    experiment=r"[A-Za-z0-9_-]+",


def inputs(stage):
    """Return the files that a stage depends on, its modules included."""
    return STAGES[stage].deps


def outputs(stage):
    """Return a stage's files; a path without suffix is a folder."""
    return [out if Path(out).suffix else directory(out) for out in STAGES[stage].outs]


def sections(stage):
    """Return a function that reads the stage's parameters, so that their change is seen."""
    return lambda wildcards: STAGES[stage].values(wildcards.experiment)
