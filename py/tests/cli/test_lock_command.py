import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from htdemucs_coreml.cli.lock import command
from htdemucs_coreml.package.lock import LockError
from htdemucs_coreml.weights.safetensors_file import write_safetensors

NAME = "weights.fixture"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {NAME: "not built yet"}}))
    return path


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    path = tmp_path / "fixture.safetensors"
    write(path, 1)
    return path


def write(path: Path, value: float) -> None:
    tensors = {"bias": np.zeros(3, np.float32), "weight": np.full((2, 2), value, np.float32)}
    write_safetensors(path, tensors, {})


def arguments(verb: str, lock: Path, artefact: Path, name: str = NAME) -> list[str]:
    return [verb, "--name", name, "--lock", str(lock), "--contents", str(lock.parent), str(artefact)]


def test_what_was_recorded_is_as_locked(lock: Path, artefact: Path) -> None:
    assert CliRunner().invoke(command, arguments("update", lock, artefact)).exit_code == 0
    result = CliRunner().invoke(command, arguments("check", lock, artefact))
    assert result.exit_code == 0
    assert result.output.endswith("as locked\n")


def test_an_unconfirmed_artefact_passes_and_says_why(lock: Path, artefact: Path) -> None:
    result = CliRunner().invoke(command, arguments("check", lock, artefact))
    assert result.exit_code == 0
    assert result.output.endswith("unconfirmed: not built yet\n")


def test_other_bytes_fail_and_are_named(lock: Path, artefact: Path) -> None:
    CliRunner().invoke(command, arguments("update", lock, artefact))
    write(artefact, 2)
    result = CliRunner().invoke(command, arguments("check", lock, artefact))
    assert isinstance(result.exception, LockError)
    assert "file .: expected sha256" in result.output
    assert "tensor weight: expected float32[2x2] " in result.output
    assert "bias" not in result.output


def test_recording_says_what_was_and_what_changed(lock: Path, artefact: Path) -> None:
    first = CliRunner().invoke(command, arguments("update", lock, artefact))
    assert first.output.endswith("locked\n")
    again = CliRunner().invoke(command, arguments("update", lock, artefact))
    assert again.output.endswith("unchanged\n")
    digest = again.output.split()[-2]
    write(artefact, 2)
    changed = CliRunner().invoke(command, arguments("update", lock, artefact))
    assert f"{NAME} sha256 was {digest}\n" in changed.output
    assert "  tensor weight: was float32[2x2] " in changed.output
    assert "bias" not in changed.output


def test_an_artefact_without_an_entry_fails(lock: Path, artefact: Path) -> None:
    result = CliRunner().invoke(command, arguments("check", lock, artefact, name="others.other"))
    assert isinstance(result.exception, LockError)
    assert "has no entry others.other" in str(result.exception)
