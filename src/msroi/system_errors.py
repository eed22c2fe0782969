"""What the operating system refuses, in a sentence with its remedy."""

import errno
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota of the disk is used up; free some space",
    errno.EROFS: "the file system is read-only; make it writable or choose another folder",
    errno.EACCES: "permission denied; get the right to use it or choose another folder",
    errno.EPERM: "permission denied; get the right to use it or choose another folder",
}
# the same of what is read
REMEDIES_OF_READING = {
    errno.EACCES: "permission denied; get the right to read it",
    errno.EPERM: "permission denied; get the right to read it",
    errno.ELOOP: "it is a link that leads back to itself; name the file itself",
    errno.ENAMETOOLONG: "its name is too long; check it",
    errno.EMFILE: "too many files are open; close some",
    errno.ENFILE: "too many files are open; close some",
}
OTHER_OF_READING = "{}; check the disk that it is on"
# how NumPy says that a disk is full, without an error number
CUT_SHORT = re.compile(r"[0-9]+ requested and [0-9]+ written")


def sentence(error: OSError, folders: Sequence[Path] = ()) -> str | None:
    """Say what the system refused, where, and what to do.

    Parameters
    ----------
    error
        What was raised.
    folders
        Where the command writes. A write to a full disk names no file; the folder whose disk
        has the least space left is then named.

    Returns
    -------
    The sentence; None if the system has refused nothing, so that the error is a defect.
    """
    number = errno.ENOSPC if CUT_SHORT.fullmatch(str(error)) else error.errno
    if number is None:
        return None
    if number not in REMEDIES:
        return f"{error}."
    named = _final(Path(error.filename)) if error.filename else _fullest(folders)
    return f"{named}: {REMEDIES[number]}, then run the same command again."


def _final(path: Path) -> Path:
    """Return the folder in place of a temporary file in it, whose name tells nobody anything."""
    return path.parent if path.name.startswith(".partial-") else path


def _fullest(folders: Sequence[Path]) -> Path:
    there = [folder for folder in folders if folder.exists()]
    return min(there, key=lambda folder: shutil.disk_usage(folder).free, default=Path())


def unreadable(error: OSError) -> str | None:
    """Say why the system kept a file unread, and what to do, or None for another reason."""
    if error.errno is None:
        return None
    reason = (error.strerror or "").rstrip(".")
    return REMEDIES_OF_READING.get(error.errno) or OTHER_OF_READING.format(reason)
