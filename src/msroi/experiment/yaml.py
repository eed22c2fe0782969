"""YAML in which a file can say only one thing, whoever reads it.

PyYAML, which the stages use, reads YAML 1.1, and DVC reads YAML 1.2. Some values are not the same
in both. This module refuses them. It refuses keys that occur twice, since one value would vanish.
It refuses aliases too, by which a few bytes can stand for millions.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from msroi.errors import ParameterError

MAX_DEPTH = 20

# a number to DVC, which writes 0.00002 so, and text to PyYAML for want of a point or a sign
EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,3}")

# values of each type that YAML 1.1 and 1.2 read alike, as both take the rest for something else
TAG = "tag:yaml.org,2002:"
ALIKE = {
    "int": re.compile(r"[-+]?(0|[1-9][0-9]{0,29})"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "float": re.compile(
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
    "timestamp": None,  # text in 1.2
    "merge": None,
}


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, without what this module refuses."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count how deep nodes nest, and refuse aliases."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, "an alias (*) stands for a value; write it out")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refused(event, f"values are nested more than {MAX_DEPTH} deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Refuse what YAML 1.1 and 1.2 read differently."""
        node = super().compose_scalar_node(anchor)
        if node.style is None and EXPONENT.fullmatch(node.value):
            node.tag = f"{TAG}float"
            return node
        kind = node.tag.removeprefix(TAG)
        pattern = ALIKE.get(kind)
        if kind in ALIKE and not (pattern and pattern.fullmatch(node.value)):
            shown = node.value if len(node.value) <= 40 else f"{node.value[:40]}…"
            raise _refused(
                node,
                f"{shown} is not the same in YAML 1.1 and 1.2; write numbers as decimals of at "
                "most 30 digits, true or false, and text in quotes",
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that occurs twice."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _refused(key, f"the key {key.value} occurs twice; remove one")
                seen.add(key.value)
        return node


def _refused(where: Any, problem: str) -> ParameterError:
    return ParameterError(f"line {where.start_mark.line + 1}: {problem}")


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    ParameterError
        If there is none, it is no YAML or says more than one thing; one sentence names the
        file, the line and what to write.
    """
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise ParameterError(f"There is no {path}; {path.parent}/ has: {known}.")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)  # noqa: S506, a safe loader
    except ParameterError as error:
        raise ParameterError(f"{path}, {error}.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or an explicit tag
        raise ParameterError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
