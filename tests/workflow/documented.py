"""The commands and the Python that stand in the documentation."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))
WRITTEN = {"commands.md", "parameters.md"}  # by docs/reference.py, from what tests run
PROGRAMS = "msroi|snakemake|dvc|make|pytest|python|git|pip|pip-audit|srun|apt-get|uv|find"
COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{PROGRAMS})(?: |$)|\. \.venv")


def commands(page: Path) -> set[str]:
    """Return the commands of a page, from blocks and from code in the text, without comments.

    What only mentions a command is left out.
    """
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines += [line for line in outside.splitlines() if line.startswith("    ")]
    told = re.findall(r"`([^`\n]+)`", outside)
    lines += [one for one in told if not mention(one) and not re.search("[<…]", one)]
    found = {line.partition(" #")[0].strip() for line in lines}
    return {line for line in found if COMMAND.match(line)}


def mention(code: str) -> bool:
    """Tell whether code only names a command: by two words or fewer, or as `msroi stage train`."""
    return len(code.removeprefix("msroi stage ").split()) <= 2


def documented() -> dict[str, list[str]]:
    """Return the pages on which each command stands."""
    found: dict[str, list[str]] = {}
    for page in (ROOT / name for name in PAGES):
        if page.name not in WRITTEN:
            for command in commands(page):
                found.setdefault(command, []).append(page.name)
    return found


def python_blocks(text: str) -> list[str]:
    """Return the Python of a page: fenced blocks, and what a shell gives to `python -`."""
    fenced = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    given = re.findall(r"^ *python - .*<<'END'\n(.*?)^ *END$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in (*fenced, *given)]
