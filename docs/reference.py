"""Write the reference pages: parameters from their schema, commands from the program's own help.

`python docs/reference.py` writes docs/parameters.md and docs/commands.md, and into the schema the
names of methods and metrics; a test compares them.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from msroi.cli import completion
from msroi.cli.parser import build_parser
from msroi.encoders.methods import METHODS
from msroi.experiment import params
from msroi.markdown import markdown_table
from msroi.measures.distortion import METRICS

DOCS = Path("docs")
EXPERIMENTS = ("demo", "paper-cpu", "osie", "paper")  # whose values stand in the tables
LISTS: dict[str, Iterable[str]] = {"METHODS": METHODS, "METRICS": METRICS}
KINDS = {"integer": "whole number", "number": "number", "boolean": "true or false"}


def parameters() -> str:
    """Return docs/parameters.md: every parameter with its kind, meaning and values."""
    schema = params.read_yaml(params.SCHEMA)
    values = {name: params.read_yaml(Path("config") / f"{name}.yaml") for name in EXPERIMENTS}
    parts = [
        "# Parameters\n",
        "Every parameter of an experiment stands in `config/<experiment>.yaml`; there are no "
        "defaults elsewhere. A section belongs to the stage of the same name. This page is "
        "`python docs/reference.py`'s reading of "
        "[workflow/schemas/experiment.schema.yaml](../workflow/schemas/experiment.schema.yaml), "
        "which decides; what it can't say, such as which parameters exclude each other, "
        "[src/msroi/experiment/params.py](../src/msroi/experiment/params.py) checks.\n",
    ]
    top = {key: one for key, one in schema["properties"].items() if one["type"] != "object"}
    parts += [table(top, values, ())]
    for section, one in schema["properties"].items():
        if one["type"] == "object":
            parts += [f"## {section}\n", table(one["properties"], values, (section,))]
            parts += by_rule(section, one["properties"], schema["$defs"])
    return "\n".join(parts)


def table(described: Mapping[str, Any], values: Mapping[str, Any], section: tuple[str, ...]) -> str:
    """Return the parameters of a section as a Markdown table."""
    rows = []
    for name, one in described.items():
        found = []
        for experiment in EXPERIMENTS:
            place = values[experiment]
            for key in section:
                place = place[key]
            found.append(value(place[name]))
        meaning = " ".join(one["description"].split())
        rows.append([f"`{name}`", kind(one), meaning, *found])
    experiments = [f"`{name}`" for name in EXPERIMENTS]
    return markdown_table(["parameter", "kind", "meaning", *experiments], rows)


def by_rule(section: str, described: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterable[str]:
    """Yield the parameters of a mapping whose entries have a `rule`, a table a rule."""
    for name, one in described.items():
        entry = one.get("additionalProperties", False)
        for branch in entry.get("allOf", ()) if isinstance(entry, Mapping) else ():
            rule = branch["if"]["properties"]["rule"]["const"]
            rows = []
            for key, found in branch["then"]["properties"].items():
                of_key = shared[found["$ref"].rpartition("/")[2]] if "$ref" in found else found
                if of_key:
                    meaning = " ".join(of_key["description"].split())
                    rows.append([f"`{key}`", kind(of_key), meaning])
            yield f"### {section}.{name}, rule {rule}\n"
            yield markdown_table(["parameter", "kind", "meaning"], rows)


def kind(one: Mapping[str, Any]) -> str:
    """Say what values a parameter may have."""
    if "enum" in one:
        return " or ".join(f"`{choice}`" for choice in one["enum"])
    if one["type"] == "array":
        return f"list of {kind(one['items'])}"
    words = KINDS.get(one["type"], "text" if one["type"] == "string" else "mapping")
    limits = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "exclusiveMaximum": "below {}",
        "multipleOf": "a multiple of {}",
    }
    told = [text.format(one[key]) for key, text in limits.items() if key in one]
    return " ".join([words, *told])


def value(found: Any) -> str:
    """Return a value as the file has it, or … where it is long."""
    text = yaml.safe_dump(found, default_flow_style=True, width=10_000).strip()
    text = text.removesuffix("...").strip()
    return f"`{text}`" if len(text) <= 60 else "…"


def commands() -> str:
    """Return docs/commands.md: the help of the program and of each command."""
    os.environ["COLUMNS"] = "88"
    parts = [
        "# Commands\n",
        "What `msroi --help` and `msroi <command> --help` say (`python docs/reference.py` writes "
        "this page). Exit status: 0 if all went well, 2 if something that you gave can't be used, "
        "with one sentence that says what and what to do.\n",
    ]
    for name, one in completion.commands(build_parser()):
        parts += [f"## {name}\n", f"```text\n{one.format_help().rstrip()}\n```\n"]
    return "\n".join(parts)


def schema() -> str:
    """Return the schema with the names of the lists that its comments name."""
    text = params.SCHEMA.read_text(encoding="utf-8")
    for name, names in LISTS.items():
        text = re.sub(
            rf"enum: \[.*\] # {name}$", f"enum: [{', '.join(names)}] # {name}", text, flags=re.M
        )
    return text


# by their files, the schema first, as the page of parameters is made of it
PAGES = {
    f"../{params.SCHEMA}": schema,
    "parameters.md": parameters,
    "commands.md": commands,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), encoding="utf-8")
