"""A YAML file with every value as its author wrote it, and with its lines."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from msroi.experiment.yaml import read_yaml


class Entries(dict[str, Any]):
    """A mapping of a YAML file that knows its line, and those of its keys."""

    line: int = 0
    lines: Mapping[str, int] = MappingProxyType({})

    def line_of(self, key: str) -> int:
        """Return the line of a key."""
        return self.lines.get(key, self.line)


def read_texts(path: Path) -> Any:
    """Read a YAML file with every value as text: 0.0040 stays `0.0040`.

    Mappings are `Entries`.

    Raises
    ------
    ParameterError
        As `read_yaml`, which sees to it that the file says one thing only.
    """
    read_yaml(path)
    return texts(yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader))


def texts(node: yaml.Node | None) -> Any:
    """Return a node's values as text, in lists and `Entries`."""
    if isinstance(node, yaml.MappingNode):
        made = Entries((key.value, texts(value)) for key, value in node.value)
        made.line = node.start_mark.line + 1
        made.lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        return made
    if isinstance(node, yaml.SequenceNode):
        return [texts(value) for value in node.value]
    return "" if node is None or node.tag.endswith(":null") else node.value
