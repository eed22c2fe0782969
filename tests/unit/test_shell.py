"""No command line is put together from the name of a file.

In Python, ruff's rules S602 to S607 see to it; here are the rules of the workflow.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# an experiment's name, of letters, digits, _ and - (rules/common.smk); a chunk's, as 1-of-2; the
# rule's log, the chunks' folders and what stages make, named by them; a stage's, of dvc.yaml
HARMLESS = {
    "input",
    "params.stage",
    "wildcards.experiment",
    "wildcards.scatteritem",
    "log",
    "output",
    "input.chunks",
}


def test_the_workflows_commands_hold_no_names_of_files():
    files = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
    commands = [
        command
        for file in files
        for command in re.findall(r'shell:\s+((?:"[^"]*"\s*)+)', file.read_text(encoding="utf-8"))
    ]
    assert len(commands) == 4
    placeholders = {name for command in commands for name in re.findall(r"{([^}]*)}", command)}
    assert placeholders <= HARMLESS, placeholders
    common = (ROOT / "workflow/rules/common.smk").read_text(encoding="utf-8")
    assert 'experiment=r"[A-Za-z0-9_-]+"' in common
