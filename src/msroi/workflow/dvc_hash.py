"""A file or folder as DVC 3 describes it in dvc.lock."""

import hashlib
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from msroi.files import file_hash

# what .dvcignore leaves out of a folder's hash; a test holds the two together
HALF_WRITTEN = ".partial-*"  # as `files.written_whole` names it
IGNORED = (".snakemake_timestamp", HALF_WRITTEN)


@dataclass(frozen=True)
class Version:
    """A file or folder as DVC describes it, where `files` is None for a file."""

    md5: str
    size: int
    files: int | None

    def __str__(self) -> str:
        """Return a short text that tells two versions apart."""
        files = "" if self.files is None else f"{self.files} files, "
        return f"{files}{self.size} bytes, md5 {self.md5[:8]}"


def version_of(path: Path) -> Version:
    """Describe a file or a folder as DVC 3 does.

    A folder's hash is that of the list of its files, sorted by their path in it.
    """
    if not path.is_dir():
        return Version(file_hash(path, "md5"), path.stat().st_size, None)
    files = {
        file.relative_to(path).as_posix(): file
        for file in path.rglob("*")
        if file.is_file() and not _ignored(file.relative_to(path))
    }
    listed = [
        {"md5": file_hash(file, "md5"), "relpath": name} for name, file in sorted(files.items())
    ]
    digest = hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()
    size = sum(file.stat().st_size for file in files.values())
    return Version(f"{digest}.dir", size, len(files))


def _ignored(path: Path) -> bool:
    return any(fnmatchcase(part, pattern) for part in path.parts for pattern in IGNORED)
