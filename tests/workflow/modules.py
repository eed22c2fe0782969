"""Which modules of the package a module imports, directly or not."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "msroi"
TEMPLATES = PACKAGE / "templates"


def imported(module: str) -> set[str]:
    """Return the modules of msroi that `module` imports at any place in its code."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "msroi":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msroi."):
            found.add(str(node.module).removeprefix("msroi."))
    return {name for name in found if (PACKAGE / f"{name}.py").exists()}


def closure(module: str) -> list[str]:
    """Return `module` and all modules of msroi it needs, sorted."""
    found, new = set(), {module}
    while new:
        found |= new
        new = set().union(*(imported(name) for name in new)) - found
    return sorted(found)


def deps(module: str) -> list[str]:
    """Return the files of the package that a stage of this name depends on."""
    modules = closure(module)
    files = [f"src/msroi/{name}.py" for name in modules]
    if "page" in modules:  # which reads them
        files += sorted(f"src/msroi/report/templates/{path.name}" for path in TEMPLATES.iterdir())
    return files
