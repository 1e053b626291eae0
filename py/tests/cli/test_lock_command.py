import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from htdemucs_coreml.cli.lock import command
from htdemucs_coreml.package.lock import LockError

NAME = "weights.fixture"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {NAME: "not built yet"}}))
    return path


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    path = tmp_path / "fixture.safetensors"
    path.write_bytes(b"1")
    return path


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
    artefact.write_bytes(b"2")
    result = CliRunner().invoke(command, arguments("check", lock, artefact))
    assert isinstance(result.exception, LockError)
    assert "file .: expected sha256" in result.output


def test_an_artefact_without_an_entry_fails(lock: Path, artefact: Path) -> None:
    result = CliRunner().invoke(command, arguments("check", lock, artefact, name="others.other"))
    assert isinstance(result.exception, LockError)
    assert "has no entry others.other" in str(result.exception)
