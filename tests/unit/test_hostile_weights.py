"""Files in the place of the model's weights: nothing in them is run."""

import json
import pickle
import struct
from pathlib import Path

import pytest
from hostile.bytes_of import saved, solid
from stand_in import carry

from msroi.cli import main

pytestmark = pytest.mark.numerics


class Evil:
    """What a pickle can ask for: a command that leaves a trace."""

    def __reduce__(self):
        return Path.write_text, (Path("evil"), "was here")


def safetensors(header: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if claimed is None else claimed) + header


FILES = {
    "a pickle that runs code": pickle.dumps(Evil()),
    "a web page": b"<!DOCTYPE html><html>",
    "0 bytes": b"",
    "a header of 2**60 bytes": safetensors(b"{}", 2**60),
    "a tensor beyond the end": safetensors(
        json.dumps(
            {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
        ).encode()
    ),
    "a description that is no JSON": safetensors(b'{"__metadata__":{"model":"{"}}'),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("used", "stage"),
    [("by the stage", "train"), ("for own photos", "readout"), ("with the package's", "readout")],
)
def test_what_is_no_safetensors_file_is_refused(
    project, tmp_path, monkeypatch, capfd, name, used, stage
):
    made = project()
    made.write_model()
    folder = made.layout.model if stage == "train" else made.layout.readout
    file, options = folder / "weights.safetensors", ["--experiment", "tiny"]
    command = ["stage", "heatmap"] if used == "by the stage" else ["heatmap"]
    if used == "with the package's":
        carry(made, tmp_path / "carried", monkeypatch)
        file, options = tmp_path / "carried" / "weights.safetensors", []
    if used != "by the stage":
        Path("photo.png").write_bytes(saved(solid(), "PNG"))
        options += ["photo.png", "--out", "out"]
    file.write_bytes(FILES[name])
    assert main.main([*command, *options]) == 2
    err = capfd.readouterr().err
    if name == "a description that is no JSON":
        assert err == f"msroi: {file} is not from this version's stage {stage}; run it again.\n"
    else:
        assert err.startswith(f"msroi: {file} is no sound safetensors file (")
        assert err.endswith("again, or, if it came with msroi, install that again.\n")
        assert err.count("\n") == 1
    assert not Path("evil").exists()
    assert not Path("out").exists()


def test_the_pickle_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(FILES["a pickle that runs code"])
    assert Path("evil").read_text() == "was here"
