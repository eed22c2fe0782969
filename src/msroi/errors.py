"""Errors that a user can mend.

Each carries one sentence that says what is wrong, where, what was expected, what was
found and what to do. The command-line program prints it and exits with status 2; any
other exception is a defect of this project and shows its traceback.
"""


class UserError(Exception):
    """A mistake that the user can mend; the message is complete and needs no traceback."""


class ParameterError(UserError):
    """A parameter file or an option has an unknown key, a wrong type or a value out of range."""


class SourceError(UserError):
    """A source could not be fetched, or what came is not what was declared."""


class ImageError(UserError):
    """A file is not an image that can be read."""


class MissingError(UserError):
    """A file that an earlier stage makes is not there."""


class TrainingError(UserError):
    """A training can't go on: it has diverged, or the disk is full."""


class RecordError(UserError):
    """DVC and Snakemake do not agree on a result."""


class StaleLockError(UserError):
    """A lock of a stage's code is not current, or can't be written."""
