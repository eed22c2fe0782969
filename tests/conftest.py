"""What a session of tests shares: what JAX has compiled, and which files begin."""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

# Every process compiles anew otherwise, which takes most of the time of a small run. The folder has
# no largest size: else JAX reads the times of all its files before it writes another. Nor has it a
# lock then: what another process has half written is compiled anew, and the warning of it is none.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.mkdtemp(prefix="msroi-compiled-")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    os.environ["PYTHONWARNINGS"] = "ignore:Error reading persistent compilation cache entry"

# files that take minutes: they begin, so that no worker is left alone with one; the first worker
# takes the first and the third of them, and the second the others
LONG = (
    *("test_runs", "test_page_browser", "test_train", "test_due"),
    *("test_storage", "test_slurm", "test_remote"),
    *("test_kills", "test_states", "test_hostile_photos"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long files begin."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file whose marker is deselected: importing it may take seconds."""
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    named = re.findall(r"^pytestmark = (\[[^]]*\]|.*)", text, re.MULTILINE)
    marks = re.findall(r"pytest\.mark\.(\w+)", " ".join(named))
    deselected = config.getoption("markexpr").split(" and ")
    return True if any(f"not {mark}" in deselected for mark in marks) else None
