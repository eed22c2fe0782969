"""What the system refuses is one sentence, with the place and the remedy."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from msroi.cli import main, parser
from msroi.files import written_whole
from msroi.system_errors import REMEDIES, sentence

AGAIN = ", then run the same command again."


def refused(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize("number", REMEDIES)
def test_the_file_and_the_remedy_are_named(number: int) -> None:
    said = sentence(refused(number, "out/a.jpg"), [])
    assert said == f"out/a.jpg: {REMEDIES[number]}{AGAIN}"


def test_the_folder_stands_for_a_temporary_file(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a.jpg") as partial:
        partial.touch()
        said = sentence(refused(errno.EROFS, str(partial)), [])
    assert said is not None
    assert said.startswith(f"{tmp_path}: the file system is read-only; ")


def test_the_fullest_disk_is_named_where_the_error_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    free = {"roomy": 1000, "full": 0}
    for name in free:
        Path(name).mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path.name]))
    folders = [Path("absent"), Path("roomy"), Path("full")]
    said = sentence(refused(errno.ENOSPC), folders)
    assert said == f"full: the disk is full; free some space{AGAIN}"


def test_numpy_names_no_number_for_a_full_disk() -> None:
    said = sentence(OSError("98304 requested and 4064 written"), [])
    assert said == f".: the disk is full; free some space{AGAIN}"


def test_what_is_no_refusal_is_a_defect() -> None:
    assert sentence(OSError("image file is truncated"), []) is None


def test_any_other_refusal_is_quoted() -> None:
    assert sentence(refused(errno.EIO, "a"), []) == "[Errno 5] Input/output error: 'a'."


def test_a_full_disk_names_the_folder_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 24), "orange").save("photo.png")

    def full(*_: object) -> None:
        raise refused(errno.ENOSPC)

    monkeypatch.setattr(Path, "write_bytes", full)
    (tmp_path / "out").mkdir()
    status = main.main(
        ["compress", "photo.png", "--out", "out", "--method", "jpeg", "--allow-larger"]
    )
    expected = f"msroi: photo.png is not written: out: the disk is full; free some space{AGAIN}\n"
    assert (status, capsys.readouterr().err) == (2, expected)


def test_a_stage_names_where_it_writes() -> None:
    arguments = parser.build_parser().parse_args(["stage", "anova", "--experiment", "demo"])
    written = {str(folder) for folder in main.folders_written(arguments)}
    assert written == {"results/demo", "data/demo", ".msroi/demo"}
