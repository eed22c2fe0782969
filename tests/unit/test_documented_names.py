"""What the documentation tells one to type is something that the programs understand.

Nothing is run, so this holds for commands that no test runs: options are parsed by the program's
own parser, targets and files are looked up, and calls in Python fit the signatures.
"""

import ast
import importlib
import importlib.util
import inspect
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest
from documented import PAGES, ROOT, documented, mention, python_blocks
from dvc.cli.parser import get_main_parser
from snakemake.cli import get_argument_parser

from msroi.cli.completion import commands
from msroi.cli.parser import build_parser
from msroi.workflow import pipeline

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TEXTS = {Path(page).name: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page, text in TEXTS.items()
    for number, block in enumerate(python_blocks(text))
]
STANDS_FOR = {"<x>": "demo", "<experiment>": "demo", "<stage>": "anova", "<command>": "compress"}
# what is named without all of its arguments: what one would add
ADDED = {"dvc exp apply": "exp", "dvc remote modify --local": "store password secret"}
PLUGINS = {"--executor kubernetes": ""}  # of Snakemake, that scale.md calls "not tried"


def single(command: str) -> Iterator[list[str]]:
    """Yield the words of each program that a line starts, without the environment."""
    for part in command.split(" && "):
        words = shlex.split(f"{part} {ADDED.get(part, '')}")
        while re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words[0] == "srun" and "msroi" in words:
            words = words[words.index("msroi") :]
        yield words


def told(program: str) -> list[str]:
    """Return the documentation's commands of one program, each as a shell has its words."""
    inline = {
        one
        for text in TEXTS.values()
        for one in re.findall(rf"`({program} [^`\n…\[]+)`", text)
        if "<" in one and not mention(one)
    }
    for stand_in, name in STANDS_FOR.items():
        inline = {one.replace(stand_in, name) for one in inline}
    lines = [words for command in {*documented(), *inline} for words in single(command)]
    return sorted({shlex.join(words) for words in lines if words[0] == program})


def resolved(code: str) -> dict[str, Any]:
    """Return what a block of code imports from msroi, by the name that it gives it."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.name.split(".")[0] == "msroi":
                    module = importlib.import_module(one.name)
                    found[one.asname or "msroi"] = module if one.asname else sys.modules["msroi"]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "msroi":
            module = importlib.import_module(node.module or "")
            for one in node.names:
                if not hasattr(module, one.name):
                    importlib.import_module(f"{node.module}.{one.name}")
                found[one.asname or one.name] = getattr(module, one.name)
    return found


def instances(code: str, names: dict[str, Any]) -> dict[str, type]:
    """Return the variables that are made by calling a class of msroi."""
    return {
        node.targets[0].id: names[node.value.func.id]
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and inspect.isclass(names.get(node.value.func.id))
    }


def called(node: ast.expr, names: dict[str, Any], made: dict[str, type]) -> Any:
    """Return what msroi has under the name that is called, or None for what is not msroi's.

    An attribute that an instance gets in its `__init__` is there, but what it takes is not known.
    """
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    if isinstance(node.value, ast.Name) and node.value.id in made:
        of = made[node.value.id]
        if hasattr(of, node.attr):
            return inspect.getattr_static(of, node.attr).__get__(object(), of)
        assert f"self.{node.attr} = " in inspect.getsource(of), f"{of.__name__} has no {node.attr}"
        return None
    owner = called(node.value, names, made)
    return None if owner is None else getattr(owner, node.attr)


def check_calls(code: str) -> None:
    """Bind each call of something of msroi to its signature, if its arguments are written out."""
    names = resolved(code)
    made = instances(code, names)
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        function: Callable[..., Any] | None = called(node.func, names, made)
        literal = not any(isinstance(one, ast.Starred) for one in node.args)
        if function is not None and literal and all(one.arg for one in node.keywords):
            given = {one.arg: one.value for one in node.keywords if one.arg}
            inspect.signature(function).bind(*node.args, **given)


@pytest.mark.parametrize("command", told("msroi"))
def test_msroi_takes_the_command(command: str) -> None:
    arguments = shlex.split(command)[1:]
    if "--help" not in arguments:
        build_parser().parse_args(arguments)
        return
    with pytest.raises(SystemExit, match="0"):
        build_parser().parse_args(arguments)


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(msroi (?:stage )?[a-z_]+)", "".join(TEXTS.values()))))
)
def test_msroi_has_the_command(name: str) -> None:
    assert name in dict(commands(build_parser()))


@pytest.mark.parametrize("command", told("snakemake"))
def test_snakemake_takes_the_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for option, instead in PLUGINS.items():
        command = command.replace(option, instead)
    arguments = get_argument_parser().parse_args(shlex.split(command)[1:])
    rules = (path.read_text(encoding="utf-8") for path in Path("workflow/rules").glob("*.smk"))
    known = {*pipeline.read_stages(), *re.findall(r"^rule (\w+):", "".join(rules), re.MULTILINE)}
    assert set(arguments.allowed_rules or ()) <= known
    assert set(arguments.set_scatter or ()) <= known
    for profile in arguments.profile or ():
        assert (Path(profile) / "config.yaml").is_file()
    for target in arguments.targets:
        assert target in known or target in outputs(), target


@pytest.mark.parametrize("command", told("dvc"))
def test_dvc_takes_the_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    arguments = get_main_parser().parse_args(shlex.split(command)[1:])
    targets = getattr(arguments, "targets", None) or ()
    for target in targets:
        stage, _, experiment = target.partition("@")
        assert stage in pipeline.read_stages(), target
        assert not experiment or (Path("config") / f"{experiment}.yaml").is_file(), target


@pytest.mark.parametrize("command", told("make"))
def test_make_has_the_target(command: str) -> None:
    for word in shlex.split(command)[1:]:
        name, assigned, _ = word.partition("=")
        kind = rf"^{name} [:?]?= " if assigned else rf"^{name}:"
        assert re.search(kind, MAKEFILE, re.MULTILINE), word


@pytest.mark.parametrize("command", told("python"))
def test_python_finds_the_module(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "unit"))
    words = shlex.split(command.partition(" <<")[0])
    if words[1] == "-c":
        compile(words[2], command, "exec")
    elif words[1] == "-m":
        assert importlib.util.find_spec(words[2])
    elif words[1] != "-":
        assert (ROOT / words[1]).is_file()


def test_extras_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(re.findall(r"'\.\[(\w+)\]'", "".join(TEXTS.values())))
    assert extras
    assert extras <= set(project["optional-dependencies"])


@pytest.mark.parametrize("block", BLOCKS)
def test_python_fits_what_msroi_has(block: str) -> None:
    compile(block, "documentation", "exec")
    check_calls(block)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (
            "from msroi.experiment.params import Train\nTrain('all', 1, 32, 1e-4, 512)",
            "missing a required",
        ),
        ("from msroi import compress\ncompress('photo.jpg', bytes=3)", "unexpected keyword"),
        ("from msroi.experiment import params\nparams.load('demo', 3)", "too many positional"),
        ("from msroi import Model\nmodel = Model()\nmodel.saliency()", "missing a required"),
    ],
)
def test_a_call_that_does_not_fit_is_found(code: str, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        check_calls(code)


@pytest.mark.parametrize(
    "code",
    [
        "from msroi.experiment import params\nparams.loaded('demo')",
        "from msroi import Model\nmodel = Model()\nmodel.heat(3)",
        "from msroi import no_such_name",
        "import msroi.no_such_module",
    ],
)
def test_a_name_that_is_not_there_is_found(code: str) -> None:
    with pytest.raises((AttributeError, AssertionError, ImportError)):
        check_calls(code)


def test_dotted_names_are_there() -> None:
    for name in set(re.findall(r"`(msroi(?:\.\w+)+)`", "".join(TEXTS.values()))):
        module, _, last = name.rpartition(".")
        owner = importlib.import_module(module)
        assert hasattr(owner, last) or importlib.util.find_spec(name), name


def test_files_of_the_source_are_there() -> None:
    for path in set(re.findall(r"\bsrc/msroi/[\w/.]+\.\w+", "".join(TEXTS.values()))):
        assert (ROOT / path).is_file(), path


def test_the_memory_of_a_step_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run the block of gpu.md but for XLA's compiler, which takes half a minute."""
    memory = SimpleNamespace(argument_size_in_bytes=2**30, temp_size_in_bytes=2**29)
    compiled = SimpleNamespace(memory_analysis=lambda: memory)
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda lowered: compiled)
    monkeypatch.setattr(sys, "argv", ["-", "float32"])
    monkeypatch.chdir(ROOT)
    (block,) = python_blocks(TEXTS["gpu.md"])
    exec(compile(block, "docs/gpu.md", "exec"), {})  # the project's own page
    assert capsys.readouterr().out == "1.00 GiB 0.50 GiB 1.50 GiB\n"


def outputs() -> set[str]:
    """Return what the stages write, of every experiment that has parameters."""
    names = [path.stem for path in Path("config").glob("*.yaml")]
    return {
        out.format(experiment=name)
        for stage in pipeline.read_stages().values()
        for out in stage.outs
        for name in names
    }
