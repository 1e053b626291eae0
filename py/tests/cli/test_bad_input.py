"""Inputs that are hostile, damaged or out of bounds, as a user gives them to commands; and their table in docs."""

import ast
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fake_cores import gains_core
from htdemucs_coreml import backends
from htdemucs_coreml.audio.wav import wav_header
from htdemucs_coreml.cli import main

TABLE = Path(__file__).parents[3] / "docs" / "bad-input.md"
TESTS = Path(__file__).parents[1]


@pytest.fixture
def failure(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command that has to end with 1, and return its one line of error."""
    core = gains_core({"drums": 0.5}, 441_000)
    monkeypatch.setattr(backends, "load_backend", lambda *_, **__: core)

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as exited:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert (exited.value.code, out) == (1, "")
        (line,) = err.splitlines()
        return line

    return run


def test_nan_in_the_middle_of_an_hour_is_told_with_its_time(failure: Any, tmp_path: Path) -> None:
    rate_hz, seconds, bad_second = 8_000, 3600, 1800
    header = wav_header(None, rate_hz, seconds * rate_hz)
    path = tmp_path / "hour.wav"
    with path.open("wb") as file:
        file.write(header)
        # Zeros that take no room on the disk.
        file.truncate(len(header) + seconds * rate_hz * 8)
        file.seek(len(header) + bad_second * rate_hz * 8)
        file.write(struct.pack("<f", float("nan")))
    line = failure("separate", path, "-o", tmp_path / "out", "--package", "p")
    assert line == f"error: {path}: the sample at 1800.000 s is NaN"
    assert not (tmp_path / "out").exists()


def test_a_header_that_promises_4_gib_is_not_believed(failure: Any, tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    frames = (4 << 30) // 8 - 1000
    path.write_bytes(wav_header(None, 44_100, frames) + bytes(10))
    line = failure("separate", path, "-o", tmp_path / "out", "--package", "p")
    assert line == f"error: {path}: the file is truncated, {frames * 8 - 10} bytes of its samples are missing"


@pytest.mark.parametrize("channels", [3, 7, 100])
def test_more_channels_than_allowed_are_refused(failure: Any, tmp_path: Path, channels: int) -> None:
    path = tmp_path / "many.wav"
    soundfile.write(path, np.zeros((1000, channels), np.float32), 44_100)
    line = failure("separate", path, "-o", tmp_path / "out", "--package", "p")
    assert line == f"error: {path}: there are {channels} channels and stems are stereo: mix them down with --downmix"
    if channels > 6:
        line = failure("separate", path, "-o", tmp_path / "out", "--package", "p", "--downmix")
        assert "have no known layout to mix down: give a file of at most 6" in line


@pytest.mark.parametrize("is_there", [False, True], ids=["declared", "there"])
def test_a_safetensors_header_of_100_mb_is_refused_before_it_is_parsed(
    failure: Any, tmp_path: Path, is_there: bool
) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(struct.pack("<Q", 100_000_000) + b"{")
    if is_there:
        os.truncate(path, 100_000_008)
    line = failure("convert", "--model", "fixture", "--weights", path, "-o", tmp_path / "x.mlpackage")
    assert "its header's length does not fit the file" in line
    assert not (tmp_path / "x.mlpackage").exists()


def test_overlapping_tensors_are_refused(failure: Any, tmp_path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [1]}
    header = json.dumps({"a": {**tensor, "data_offsets": [0, 4]}, "b": {**tensor, "data_offsets": [2, 6]}}).encode()
    path = tmp_path / "overlapping.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(6))
    line = failure("convert", "--model", "fixture", "--weights", path, "-o", tmp_path / "x.mlpackage")
    assert "tensor b lies at bytes 2 to 6, which does not fit its neighbours or shape" in line


def test_weights_of_published_models_are_asked_for_by_backend_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "song.wav", np.zeros((1000, 2)), 44_100)
    inputs = ["separate", tmp_path / "song.wav", "-o", tmp_path / "out"]
    arguments = [*inputs, "--model", "htdemucs_6s", "--backend", "torch"]
    with pytest.raises(SystemExit) as exited:
        main([str(argument) for argument in arguments])
    assert exited.value.code == 1
    assert "needs its published weights" in capsys.readouterr().err


def named_tests() -> list[str]:
    return re.findall(r"`(\w[\w/]*\.py::\w+)`", TABLE.read_text(encoding="utf-8"))


def test_every_row_of_the_table_names_its_test() -> None:
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| ---", "| bad input"))]
    assert len(rows) >= 40
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert len(cells) == 4, row
        assert re.fullmatch(r"0|1|2|130|137|143", cells[2]), row
        assert re.search(r"`\w[\w/]*\.py::\w+`", cells[3]), row


@pytest.mark.parametrize("name", sorted(set(named_tests())))
def test_every_test_that_the_table_names_is_there(name: str) -> None:
    path, function = name.split("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    assert function.startswith("test_")
    assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
