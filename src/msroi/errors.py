"""Errors that a user can mend.

Each carries one sentence that says what is wrong, where, what the program expected, what it found
and what to do. The command-line program prints it and exits with status 2. Any other exception is a
defect of this project and shows its traceback.
"""


class UserError(Exception):
    """A mistake that the user can mend, with a complete message that needs no traceback."""


class ParameterError(UserError):
    """A parameter file or an option has an unknown key, a wrong type or a value out of range."""


class SourceError(UserError):
    """A fetch of a source failed, or what came is not the declared file."""


class ImageError(UserError):
    """A file is not a readable image."""


class MissingError(UserError):
    """A file that an earlier stage makes is not there."""


class TrainingError(UserError):
    """A training can't go on: it has diverged, or the disk is full."""


class RecordError(UserError):
    """DVC and Snakemake do not agree on a result."""


class StaleLockError(UserError):
    """A lock of a stage's code is not current, or the program can't write it."""
