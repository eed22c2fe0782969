"""Keeps what JAX compiles for own photos, so that later runs of the program start at once."""

import hashlib
import os
import platform
import re
import warnings
from pathlib import Path
from typing import Any

WORTH_KEEPING_S = 0.1  # what is compiled faster is compiled again
CPU_INFO = Path("/proc/cpuinfo")
# what of a processor decides which machine code it runs, by the names that architectures have
ABILITIES = re.compile(r"^(?:vendor_id|model name|flags|Features|CPU part|isa)\s*:.*$", re.M)


def keep_compiled() -> None:
    """Have JAX keep compiled code in the user's cache folder, and take it from there.

    Where JAX already has a folder (JAX_COMPILATION_CACHE_DIR), it uses that one. Without a writable
    folder, each run compiles anew.
    """
    from msroi.xla import jax  # takes a second

    settings: Any = jax.config
    if settings.jax_compilation_cache_dir is not None:
        return
    try:
        folder = cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # there may be no home folder
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return
    # a full disk, a damaged file: JAX then compiles, which is no news for the user
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    settings.update("jax_compilation_cache_dir", str(folder))
    settings.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING_S)
    settings.update("jax_persistent_cache_enable_xla_caches", "none")


def cache_folder() -> Path:
    """Return the folder for code compiled for this processor.

    JAX looks code up by program, flags and its own version, but on CPUs not by what the processor
    can do. Machines may share a home folder. So each kind has a folder.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    caches = Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()
    return caches / "msroi" / "compiled" / processor()


def processor() -> str:
    """Return a name for the kind of processor: its architecture and a hash of its abilities."""
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = platform.processor()
    abilities = sorted(set(ABILITIES.findall(text))) or [text]
    known = hashlib.sha256("\n".join(abilities).encode()).hexdigest()
    return f"{platform.machine()}-{known[:16]}"
