"""Completion as a shell does it, where there is that shell."""

import shutil
import subprocess

import pytest

from msroi.cli import main, parser

COMMANDS = [*parser.PURPOSES, *parser.STAGES, *parser.AGREEMENT, parser.LOCKS]


@pytest.fixture(params=parser.SHELLS)
def script(request, capsys, tmp_path):
    """The shell and a file with its script."""
    assert main.main(["completion", request.param]) == 0
    file = tmp_path / "msroi"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    return request.param, file


def test_a_script_names_all_commands_and_options(script):
    text = script[1].read_text(encoding="utf-8")
    for word in [*COMMANDS, *parser.METHODS, "match-quality", "allow-larger", "jobs"]:
        assert word in text


def test_a_script_is_one_of_its_shell(script):
    shell, file = script
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", file], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["msroi", "comp"], {"compress", "completion"}),
        (["msroi", "compress", "--al"], {"--allow-larger"}),
        (["msroi", "compress", "--method", "moz"], {"mozjpeg"}),
        (["msroi", "compress", "ph"], {"photo.jpg", "photos"}),
        (["msroi", "compress", "--out", "ph"], {"photos"}),
        (["msroi", "completion", ""], set(parser.SHELLS)),
        (["msroi", "stage", "pre"], {"prepare"}),
        (["msroi", "stage", "train", "--dev"], {"--devices"}),
        (["msroi", "stage", "compress", "--into", "ph"], {"photos"}),
        (["msroi", "stage", "metrics", "--gather", "ph"], {"photos"}),
        (["msroi", "metrics", "--saliency", "ph"], {"photo.jpg", "photos"}),
        (["msroi", "stage", "locks", "--ch"], {"--check"}),
    ],
)
def test_bash_completes(capsys, tmp_path, monkeypatch, words, expected):
    assert main.main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out, encoding="utf-8")
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    ask = (
        'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_shtab_msroi; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", ask, "bash", *words], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == expected
