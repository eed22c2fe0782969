"""Which code decides what a stage makes, in one file that DVC and Snakemake can watch.

Neither tool sees imports. So each stage depends on `workflow/code/<stage>.lock`. This holds the
modules that the stage imports, directly or not, each with a hash of what it does. It holds the
locked version of every package that they import. A hash is that of a module's syntax tree without
docstrings, comments and annotations. So prose is free to edit, and so is formatting.

`msroi stage locks` writes the locks. Whatever runs a stage insists that they are current.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from msroi.errors import StaleLockError
from msroi.experiment.layout import CODE
from msroi.files import digest, write_text

REQUIREMENTS = Path("requirements/lock.txt")
PACKAGE = Path(__file__).parents[1]
COMMAND = "msroi stage locks"
# a hash of the code and of the locks, then the stages whose locks it has found to be current
FOUND_CURRENT = Path(".msroi/found_current")
# packages by what is imported of them, where that is not their name; JAX computes in jaxlib
DISTRIBUTIONS = {
    "PIL": ("pillow",),
    "jax": ("jax", "jaxlib"),
    "orbax": ("orbax-checkpoint",),
    "pillow_jxl": ("pillow-jxl-plugin",),
    "skimage": ("scikit-image",),
    "vl_convert": ("vl-convert-python",),
    "yaml": ("pyyaml",),
}
HEADER = """\
# The code that decides what stage `{stage}` makes, written by `{command}`: modules with a hash of
# their syntax tree (without docstrings, comments, annotations), and locked versions of packages.
"""
UNREAD = frozenset({"ctx", "kind", "type_comment"})  # fields of trees that mean nothing here
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)
STATEMENTS = ("body", "orelse", "finalbody", "handlers", "cases")  # fields that hold statements


def lock_path(stage: str) -> Path:
    """Return the path of a stage's lock."""
    return CODE / f"{stage}.lock"


def write_locks(stages: Iterable[str]) -> dict[str, list[str]]:
    """Write the locks that are not current, and remove those of stages that are no more.

    Returns
    -------
    dict
        The stages whose lock was written, and what has changed in each: lines of the lock.
    """
    stages = list(stages)
    changed = {}
    for stage in stages:
        before, now = texts(stage)
        if now != before:
            changed[stage] = changes(before, now)
            write_text(lock_path(stage), now)
    for path in CODE.glob("*.lock"):
        if path.stem not in stages:
            path.unlink()
    return changed


def insist_on_current(stages: Iterable[str], *, keep: bool = False) -> None:
    """Insist that the locks of stages are current.

    Each command asks for it, and reading all code takes half a second. So it takes what it found
    before, unless a file has changed since.

    Parameters
    ----------
    stages
        By name.
    keep
        Keep what it finds for later commands.

    Raises
    ------
    StaleLockError
        If one is not; the message says which and the first thing that has changed.
    """
    stages, now = list(stages), hash_of_files()
    known = FOUND_CURRENT.read_text().split() if FOUND_CURRENT.is_file() else []
    found = known[1:] if known[:1] == [now] else []
    if set(stages) <= set(found):
        return
    insist_that_texts_agree(stages)
    if not keep:
        return
    with suppress(OSError):  # on a disk that can only be read, the next command reads all again
        write_text(FOUND_CURRENT, " ".join([now, *sorted({*found, *stages})]))


def hash_of_files() -> str:
    """Return a hash of all that the locks depend on, and of the locks, byte for byte."""
    code = (file for file in PACKAGE.rglob("*") if file.suffix != ".pyc" and file.is_file())
    files = sorted([*code, *CODE.glob("*.lock"), REQUIREMENTS])
    whole = hashlib.sha256(sys.version.encode())
    for file in files:
        whole.update(f"\n{file}\n".encode() + file.read_bytes())
    return whole.hexdigest()


def insist_that_texts_agree(stages: Iterable[str]) -> None:
    """Insist that each stage's lock holds what it has to hold, or raise `StaleLockError`."""
    for stage in stages:
        before, now = texts(stage)
        if now != before:
            what = ", ".join(changes(before, now)[:3]) or "its header"
            raise StaleLockError(
                f"{lock_path(stage)} is not current, since the code has changed ({what}); write "
                f"it with `{COMMAND}`, which makes stage {stage} due."
            )


def texts(stage: str) -> tuple[str, str]:
    """Return what a stage's lock holds, nothing if it is not there, and what it has to hold."""
    path = lock_path(stage)
    return path.read_text(encoding="utf-8") if path.is_file() else "", lock_text(stage)


def changes(before: str, now: str) -> list[str]:
    """Return the names in the lines that two texts of a lock do not share, in order."""
    different = set(before.splitlines()) ^ set(now.splitlines())
    names = (re.split(r"==|  ", line)[0] for line in sorted(different) if line[:1] not in "#")
    return list(dict.fromkeys(names))


def lock_text(stage: str) -> str:
    """Return what a stage's lock has to hold."""
    modules = closure(f"msroi.stages.{stage}")
    files = {file for module in modules for file in data_files(module)}
    packages = {name for module in modules for name in distributions(module)}
    lines = [f"{shown(path_of(module))}  {module_hash(module)}" for module in modules]
    lines += [f"{shown(file)}  {digest(file.read_bytes().hex())}" for file in files]
    pins = [f"{name}=={locked_versions()[name]}" for name in packages]
    header = HEADER.format(stage=stage, command=COMMAND)
    return "\n".join([header, *sorted(lines), "", *sorted(pins)]) + "\n"


def closure(module: str) -> list[str]:
    """Return a module of msroi and all modules of msroi that it needs, by dotted name, sorted."""
    found: set[str] = set()
    new = {module}
    while new:
        found |= new
        new = {name for one in new for name in imported(one) if is_own(name)} - found
    return sorted(found)


@cache
def distributions(module: str) -> list[str]:
    """Return the packages that a module imports, by the names they have in the requirements.

    Raises
    ------
    StaleLockError
        If the requirements do not have one of them.
    """
    found = []
    for name in sorted({name.partition(".")[0] for name in imported(module)}):
        if name == "msroi" or name in sys.stdlib_module_names:
            continue
        for package in DISTRIBUTIONS.get(name, (name.replace("_", "-").lower(),)):
            if package not in locked_versions():
                raise StaleLockError(
                    f"{shown(path_of(module))} imports {name}, but {REQUIREMENTS} has no package "
                    f"{package}: add it to pyproject.toml and run `make lock`, or say in "
                    "msroi.workflow.code.DISTRIBUTIONS which package has it."
                )
            found.append(package)
    return found


@cache
def locked_versions() -> dict[str, str]:
    """Return the locked version of every package, by name."""
    pins = re.findall(
        r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.M
    )
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


@cache
def data_files(module: str) -> list[Path]:
    """Return the files that a module reads from beside itself, if it does.

    A module that says `__file__` may read whatever lies in its folder and is no module.
    """
    if not any(isinstance(node, ast.Name) and node.id == "__file__" for node in nodes_of(module)):
        return []
    folder = path_of(module).parent
    kinds = (".py", ".pyc")
    return [file for file in folder.rglob("*") if file.is_file() and file.suffix not in kinds]


def shown(path: Path) -> str:
    """Return a path of the package as it is in the repository."""
    return f"src/msroi/{path.relative_to(PACKAGE).as_posix()}"


# reading modules


def is_own(name: str) -> bool:
    """Tell whether a dotted name is that of a module of msroi, packages without code left out."""
    return name.startswith("msroi.") and path_of(name).is_file()


def path_of(module: str) -> Path:
    """Return the file of a module of msroi."""
    return PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")


def tree_of(module: str) -> ast.Module:
    """Return the syntax tree of a module, without what does not decide what it does."""
    return read(module)[0]


def nodes_of(module: str) -> list[ast.AST]:
    """Return all nodes of a module's tree, in any order."""
    return read(module)[1]


@cache
def read(module: str) -> tuple[ast.Module, list[ast.AST]]:
    """Return a module's tree and its nodes.

    Raises
    ------
    StaleLockError
        If the module is not Python.
    """
    try:
        tree = ast.parse(path_of(module).read_text(encoding="utf-8"))
    except SyntaxError as error:
        place = f"{shown(path_of(module))}, line {error.lineno}"
        raise StaleLockError(f"{place}: {error.msg}; mend it first.") from None
    make_bare(tree)
    nodes = walked(tree)
    leave_out_unused_names(nodes)
    return tree, nodes


def walked(tree: ast.AST) -> list[ast.AST]:
    """Return a node and all below it, in any order: `ast.walk` takes twice the time."""
    found: list[ast.AST] = []
    new = [tree]
    while new:
        node = new.pop()
        found.append(node)
        for value in vars(node).values():
            if isinstance(value, list):
                new.extend(one for one in value if isinstance(one, ast.AST))
            elif isinstance(value, ast.AST):
                new.append(value)
    return found


@cache
def imported(module: str) -> set[str]:
    """Return the dotted names that a module imports, at any place in its code.

    Raises
    ------
    StaleLockError
        If it imports what can't be read from its text.
    """
    found = set()
    for node in nodes_of(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            name = str(node.module)
            found |= {name, *(f"{name}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom) or calls_import_module(node):
            raise StaleLockError(
                f"{shown(path_of(module))} imports something that its text does not name; "
                "write `from msroi.<package> import <name>`."
            )
    return found


def calls_import_module(node: ast.AST) -> bool:
    """Tell whether a node imports a module by a name that it computes."""
    if not isinstance(node, ast.Call):
        return False
    called = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
    return called in ("import_module", "__import__")


@cache
def module_hash(module: str) -> str:
    """Return a hash of what a module does, 16 hexadecimal digits."""
    return digest(as_text(tree_of(module)))


def as_text(node: Any) -> str:
    """Return a syntax tree as text that is the same from every version of Python.

    `ast.dump` writes fields that some versions lack. This leaves out what is empty.
    """
    if isinstance(node, ast.AST):
        fields = [(name, getattr(node, name, None)) for name in node._fields if name not in UNREAD]
        written = [f"{name}={as_text(value)}" for name, value in fields if value not in (None, [])]
        return f"{type(node).__name__}({','.join(written)})"
    if isinstance(node, list):
        return f"[{','.join([as_text(one) for one in node if not imports_nothing(one)])}]"
    return repr(node)


def imports_nothing(node: Any) -> bool:
    """Tell whether a node is an import that has lost all its names."""
    return isinstance(node, ast.ImportFrom) and not node.names


def make_bare(node: Any) -> None:
    """Take docstrings, annotations and what only type checkers read out of a tree of statements.

    Annotations in the body of a class stay, since dataclasses come from them. Expressions have none
    of all this, so it passes them by.
    """
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    if isinstance(node, FUNCTIONS):
        node.returns = None
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        for one in filter(None, every):
            one.annotation = None
    declares = isinstance(node, ast.ClassDef)
    for name in STATEMENTS:
        if below := getattr(node, name, None):
            for one in below:
                make_bare(one)
            setattr(node, name, [left for one in below for left in without_types(one, declares)])


def without_types(node: Any, declares: bool) -> list[Any]:
    """Return a statement without its annotation, or what stands for one that type checkers read.

    What a class declares stays as it is.
    """
    if isinstance(node, ast.AnnAssign) and not declares:
        return [ast.Assign(targets=[node.target], value=node.value)] if node.value else []
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return node.orelse
    return [node]


def leave_out_unused_names(nodes: Iterable[ast.AST]) -> None:
    """Take names of the standard library that only annotations used out of their imports."""
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in (
            sys.stdlib_module_names
        ):
            node.names = [one for one in node.names if (one.asname or one.name) in used]
