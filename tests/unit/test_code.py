"""What makes a stage due: what its code does and the versions of its packages, and nothing else."""

import ast
import json
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest

from msroi.cli import parser
from msroi.errors import StaleLockError
from msroi.experiment.layout import CODE
from msroi.workflow import code

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "msroi"
# of each module that is imported: by which module of ours, and the name
IMPORTS = """
import builtins, json, sys

original, seen = builtins.__import__, []

def noted(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if importer.startswith("msroi"):
        seen.append((importer, name))
    return original(name, globals, locals, fromlist, level)

builtins.__import__ = noted
found = {}
for stage in sys.argv[1:]:
    for name in [name for name in sys.modules if name.startswith("msroi.")]:
        del sys.modules[name]
    seen.clear()
    original(f"msroi.stages.{stage}")
    ours = [name for name in sys.modules if name.startswith("msroi.")]
    found[stage] = {"ours": ours, "imports": list(seen)}
print(json.dumps(found))
"""


def forget() -> None:
    """Let the code be read again."""
    for function in vars(code).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def locks() -> dict[str, str]:
    """Return what each stage's lock has to hold, as the code is now."""
    forget()
    return {stage: code.lock_text(stage) for stage in parser.STAGES}


def changed(before: dict[str, str]) -> set[str]:
    """Return the stages whose lock is another now."""
    return {stage for stage, text in locks().items() if text != before[stage]}


def holding(before: dict[str, str], line: str) -> set[str]:
    """Return the stages whose lock has a line that begins so."""
    return {stage for stage, text in before.items() if f"\n{line}" in text}


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package in the working folder, to edit."""
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(PACKAGE, tmp_path / "src/msroi", ignore=ignored)
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / code.REQUIREMENTS, tmp_path / "requirements")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "PACKAGE", tmp_path / "src/msroi")
    yield tmp_path / "src/msroi"
    forget()


@pytest.fixture(scope="module")
def before():
    """What the locks hold before anything is edited."""
    with chdir(ROOT):
        return locks()


def edit(path, pattern, new):
    text = path.read_text(encoding="utf-8")
    edited, times = re.subn(pattern, new, text, count=1, flags=re.MULTILINE)
    assert times == 1, (path, pattern)
    path.write_text(edited, encoding="utf-8")


# what changes nothing


def test_prose_in_any_module_changes_no_lock(copied, before):
    for path in copied.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'"""([A-Z])', r'"""In other words: \1', text)
        text = re.sub(r"(?m)^( *)(def |return )", r"\1# a remark\n\1\2", text)
        path.write_text(f"{text}\n# the end\n", encoding="utf-8")
    assert changed(before) == set()


def test_another_line_length_changes_no_lock(copied, before):
    format_anew = ("ruff", "format", "--isolated", "--quiet", "--line-length", "60")
    subprocess.run([*format_anew, str(copied)], check=True)
    same = [
        path
        for path in copied.rglob("*.py")
        if path.read_bytes() == (PACKAGE / path.relative_to(copied)).read_bytes()
    ]
    assert len(same) < 20  # that have no line so long
    assert changed(before) == set()


def test_an_annotation_and_its_import_change_no_lock(copied, before):
    module = copied / "stages/anova.py"
    edit(module, "^from typing import Any$", "from typing import Any, Final")
    edit(module, "^SHAPIRO_MAX = ", "SHAPIRO_MAX: Final[int] = ")
    edit(module, "^import math$", "import math\nfrom numbers import Real")
    edit(module, r"^def (\w+)\(values: .*$", r"def \1(values: Real) -> Real:")
    module = copied / "files.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(re.sub(r"path: Path\b", "path: Path | None", text), encoding="utf-8")
    assert changed(before) == set()


BARE = """
from typing import TYPE_CHECKING
class Kept:
    declared: int = 1
async def first(given, *others, named=None, **rest):
    with given:
        try:
            value = 1
        except ValueError:
            value = 2
        finally:
            value = 3
    match given:
        case 1:
            def inner():
                return lambda of: of
    for one in others:
        pass
    else:
        value = 4
"""
WORDY = """
'''Prose.'''
from collections.abc import Sequence
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from msroi.files import digest
class Kept:
    '''Prose.'''
    declared: int = 1
    if TYPE_CHECKING:
        hidden: str
async def first(given: int, *others: Sequence, named: str = None, **rest: int) -> None:
    '''Prose.'''
    with given:
        try:
            value: int = 1
        except ValueError:
            value: int = 2
        finally:
            value: int = 3
    match given:
        case 1:
            def inner() -> int:
                '''Prose.'''
                return lambda of: of
    for one in others:
        pass
    else:
        value: int = 4
        later: int
"""


def test_prose_counts_nowhere_that_statements_stand(copied):
    module = copied / "stages/made_up.py"

    def hashed(text):
        module.write_text(text, encoding="utf-8")
        forget()
        return code.module_hash("msroi.stages.made_up")

    assert hashed(WORDY) == hashed(BARE)
    for number in range(1, 5):
        assert hashed(BARE.replace(f"value = {number}", "value = 0")) != hashed(BARE)


# what makes stages due


@pytest.mark.numerics
def test_a_constant_makes_due_what_uses_its_module(copied, before):
    for module in ("errors", "encoders/huffman", "stages/anova", "cli/main"):
        path = copied / f"{module}.py"
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\nANOTHER = 1\n", encoding="utf-8")
        due = holding(before, f"src/msroi/{module}.py  ")
        assert changed(before) == due
        assert due == {
            stage
            for stage in parser.STAGES
            if f"msroi.{module.replace('/', '.')}" in code.closure(f"msroi.stages.{stage}")
        }
        path.write_text(text, encoding="utf-8")
    assert holding(before, "src/msroi/errors.py  ") == set(parser.STAGES)
    assert holding(before, "src/msroi/stages/anova.py  ") == {"anova"}
    assert holding(before, "src/msroi/cli/main.py  ") == set()


def test_what_a_dataclass_declares_makes_due(copied, before):
    edit(copied / "experiment/layout.py", "^    experiment: str$", "    experiment: object")
    assert changed(before) == holding(before, "src/msroi/experiment/layout.py  ")


def test_a_locked_version_makes_due_what_uses_the_package(copied, before):
    # no module imports the last
    packages = ("jaxlib", "jpeglib", "pytest")
    for package in packages:
        edit(Path(code.REQUIREMENTS), rf"^{package}==\S+", f"{package}==99.1")
    due = set.union(*(holding(before, f"{package}==") for package in packages))
    assert due
    assert changed(before) == due < set(parser.STAGES)
    for stage, text in locks().items():
        for package in packages:
            assert (f"\n{package}==99.1\n" in text) == (f"\n{package}==" in before[stage])


def test_a_template_makes_the_report_due(copied, before):
    with (copied / "report/templates/page.css").open("a", encoding="utf-8") as opened:
        opened.write("p { color: red }\n")
    assert changed(before) == {"report"}


def test_an_import_in_a_function_is_found(copied, before):
    assert "huffman" not in before["anova"]
    with (copied / "stages/anova.py").open("a", encoding="utf-8") as opened:
        opened.write("\ndef later():\n    from msroi.encoders import huffman\n    import jpeglib\n")
    forget()
    after = code.lock_text("anova")
    assert "\nsrc/msroi/encoders/huffman.py  " in after
    assert "\njpeglib==" in after


@pytest.mark.parametrize(
    "line",
    [
        "module = importlib.import_module(name)",
        "module = import_module('msroi.files')",
        "module = __import__(name)",
        "from . import audit",
        "from .audit import run",
    ],
)
def test_an_import_that_the_text_does_not_name_is_refused(copied, line):
    with (copied / "stages/anova.py").open("a", encoding="utf-8") as opened:
        opened.write(f"\ndef later(name):\n    {line}\n")
    forget()
    with pytest.raises(StaleLockError) as refused:
        code.lock_text("anova")
    assert str(refused.value) == (
        "src/msroi/stages/anova.py imports something that its text does not name; write "
        "`from msroi.<package> import <name>`."
    )


def test_a_package_that_is_not_locked_is_refused(copied):
    with (copied / "stages/anova.py").open("a", encoding="utf-8") as opened:
        opened.write("\nimport made_up\n")
    forget()
    with pytest.raises(StaleLockError) as refused:
        code.lock_text("anova")
    assert str(refused.value) == (
        "src/msroi/stages/anova.py imports made_up, but requirements/lock.txt has no package "
        "made-up: add it to pyproject.toml and run `make lock`, or say in "
        "msroi.workflow.code.DISTRIBUTIONS which package has it."
    )


# the files


def test_locks_are_written_where_they_are_not_current_and_old_ones_removed(copied):
    forget()
    stages = ("anova", "audit")
    assert list(code.write_locks(stages)) == ["anova", "audit"]
    assert code.write_locks(stages) == {}
    code.insist_on_current(stages)
    code.lock_path("gone").write_text("", encoding="utf-8")
    edit(copied / "stages/anova.py", "^SHAPIRO_MAX = 5000", "SHAPIRO_MAX = 4000")
    forget()
    with pytest.raises(StaleLockError) as refused:
        code.insist_on_current(stages)
    assert str(refused.value) == (
        "workflow/code/anova.lock is not current, since the code has changed "
        "(src/msroi/stages/anova.py); write it with `msroi stage locks`, which makes stage anova "
        "due."
    )
    assert code.write_locks(stages) == {"anova": ["src/msroi/stages/anova.py"]}
    assert sorted(path.name for path in CODE.iterdir()) == ["anova.lock", "audit.lock"]


def test_locks_found_current_are_read_again_only_when_a_file_has_changed(copied, monkeypatch):
    forget()
    stages = ["anova", "audit"]
    code.write_locks(stages)
    code.insist_on_current(["audit"])
    assert not code.FOUND_CURRENT.exists()
    code.insist_on_current(["audit"], keep=True)
    code.insist_on_current(stages, keep=True)

    def never(stage):
        raise AssertionError(f"{stage} is read again")

    with monkeypatch.context() as within:
        within.setattr(code, "lock_text", never)
        for known in (["anova"], ["audit"], stages):
            code.insist_on_current(known)
        (copied / "made_up.py").write_text("", encoding="utf-8")
        with pytest.raises(AssertionError, match=r"^anova is read again$"):
            code.insist_on_current(["anova"])
    code.insist_on_current(stages, keep=True)
    edit(code.lock_path("audit"), "^pyyaml==.*\n", "")
    with pytest.raises(StaleLockError, match=r"^workflow/code/audit\.lock is not current"):
        code.insist_on_current(stages)


def test_what_was_found_may_have_no_place(copied, monkeypatch):
    forget()
    code.write_locks(["anova"])
    monkeypatch.setattr(code, "FOUND_CURRENT", copied / "errors.py" / "in no folder")
    code.insist_on_current(["anova"], keep=True)


def test_a_lock_is_the_same_from_every_supported_python(copied, monkeypatch):
    """Fields that only some versions have are empty here: `type_params` came with 3.12."""
    module = "msroi.stages.anova"
    forget()
    before = code.module_hash(module)
    forget()
    for node in ast.walk(code.tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            monkeypatch.setattr(type(node), "_fields", (*type(node)._fields, "of_tomorrow"))
            node.of_tomorrow = []
    code.module_hash.cache_clear()
    assert code.module_hash(module) == before


# the promise that the text tells all


def test_packages_hold_no_code():
    for path in PACKAGE.glob("*/__init__.py"):
        (docstring,) = ast.parse(path.read_text(encoding="utf-8")).body
        assert isinstance(docstring, ast.Expr)
        assert isinstance(docstring.value, ast.Constant)


@pytest.fixture
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)
    forget()


@pytest.mark.usefixtures("in_project")
def test_no_stage_takes_anything_from_the_package_itself():
    """Its `__init__.py`, which has code, is in no lock."""
    modules = {name for one in parser.STAGES for name in code.closure(f"msroi.stages.{one}")}
    assert "msroi" not in modules
    for module in modules:
        for name in code.imported(module):
            if name.startswith("msroi.") and name.count(".") == 1:
                path = PACKAGE / name.partition(".")[2]
                assert path.is_dir() or path.with_suffix(".py").is_file(), (module, name)


@pytest.mark.numerics
@pytest.mark.usefixtures("in_project")
def test_what_a_stage_really_imports_is_in_its_lock():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *parser.STAGES], capture_output=True, text=True, check=True
    )
    for stage, found in json.loads(done.stdout).items():
        lock = code.lock_path(stage).read_text(encoding="utf-8")
        modules = [name for name in found["ours"] if code.is_own(name)]
        assert f"msroi.stages.{stage}" in modules
        for name in modules:
            path = code.path_of(name).relative_to(PACKAGE).as_posix()
            assert f"\nsrc/msroi/{path}  " in lock, (stage, name)
        tops = {name.partition(".")[0] for _, name in found["imports"]}
        for top in tops - {"msroi"} - sys.stdlib_module_names:
            assert any(f"\n{name}==" in lock for name in installed()[top]), (stage, top)


@cache
def installed():
    """Return the packages that are installed, by the names that are imported of them.

    `packages_distributions` leaves out those that are one compiled file.
    """
    found = {}
    for package in distributions():
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        for file in package.files or ():
            found.setdefault(file.parts[0].partition(".")[0], set()).add(name)
    return found


@pytest.mark.usefixtures("in_project")
def test_packages_are_those_that_are_installed_under_these_names():
    modules = {name for one in parser.STAGES for name in code.closure(f"msroi.stages.{one}")}
    names = {name.partition(".")[0] for module in modules for name in code.imported(module)}
    names -= {"msroi"} | sys.stdlib_module_names
    assert set(code.DISTRIBUTIONS) <= names
    for name in names:
        declared = code.DISTRIBUTIONS.get(name, (name.replace("_", "-").lower(),))
        assert set(declared) - {"jaxlib"} == installed()[name]
