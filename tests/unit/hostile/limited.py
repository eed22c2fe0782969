"""The program in a process of its own, its memory and time limited and measured."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# VmHWM is the largest memory the process had; the limit of address space is only a safety net
PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
from msroi.cli import main
try:
    status = main.main(sys.argv[2:])
finally:
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            open(sys.argv[1], "w").write(line.split()[1])
sys.exit(status)
"""
MOST_SECONDS = 10
MOST_BYTES = 10**9


@dataclass(frozen=True)
class Run:
    """What a run said, how long it took and how much memory it had at most."""

    status: int
    out: str
    err: str
    seconds: float
    peak_bytes: int


def run(peak_file: Path, *arguments: object) -> Run:
    """Run the program; `peak_file` is overwritten."""
    command = [sys.executable, "-c", PROGRAM, str(peak_file), *map(str, arguments)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    seconds = time.monotonic() - start
    peak = 1024 * int(peak_file.read_text())
    return Run(done.returncode, done.stdout, done.stderr, seconds, peak)
