"""A record says how stems were made, or nothing: whatever else stands in its place is as if it were absent."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE
from htdemucs_coreml.pipeline.stem_record import (
    MAX_RECORD_BYTES,
    InputState,
    making,
    recorded_stems,
    was_made,
    write_record,
)


@dataclass(frozen=True)
class Plan:
    stride: int
    names: tuple[str, ...] = ("a", "b")


@pytest.fixture
def state(tmp_path: Path) -> InputState:
    (tmp_path / "song.wav").write_text("song")
    return InputState.of(tmp_path / "song.wav")


@pytest.fixture
def folder(tmp_path: Path, state: InputState) -> Path:
    folder = tmp_path / "stems"
    folder.mkdir()
    (folder / "drums.wav").write_text("drums")
    write_record(folder, making(state, "core", Plan(1), Plan(2)))
    return folder


def test_a_record_is_of_what_it_was_written_for_and_of_nothing_else(folder: Path, state: InputState) -> None:
    assert was_made(folder, making(state, "core", Plan(1), Plan(2)), ["drums.wav"])
    assert not was_made(folder, making(state, "other", Plan(1), Plan(2)), ["drums.wav"])
    assert not was_made(folder, making(state, "core", Plan(2), Plan(2)), ["drums.wav"])
    assert not was_made(folder, making(state, "core", Plan(1), Plan(2, ())), ["drums.wav"])
    assert not was_made(folder, making(state, "core", Plan(1), Plan(2)), ["drums.wav", "bass.wav"])
    assert not was_made(folder, making(state, "core", Plan(1), Plan(2)), [])


def test_a_record_of_another_version_of_the_program_is_of_something_else(folder: Path, state: InputState) -> None:
    record = json.loads((folder / RECORD_FILE).read_text())
    for key in ("version", "program"):
        (folder / RECORD_FILE).write_text(json.dumps({**record, key: 99}))
        assert not was_made(folder, making(state, "core", Plan(1), Plan(2)), ["drums.wav"])


def big(path: Path) -> None:
    path.write_text(path.read_text() + " " * MAX_RECORD_BYTES)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


HOSTILE: dict[str, Callable[[Path], object]] = {
    "absent": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "no JSON": lambda path: path.write_bytes(b"\xff{"),
    "half": lambda path: path.write_text(path.read_text()[:50]),
    "deep": lambda path: path.write_text("[" * 30_000),
    "a long number": lambda path: path.write_text("1" * 10_000),
    "a list": lambda path: path.write_text("[1]"),
    "stems of another kind": lambda path: path.write_text('{"stems": ["drums.wav"]}'),
    "digests of another kind": lambda path: path.write_text('{"stems": {"drums.wav": 1}}'),
    "too large": big,
    "a pipe": pipe,
    "a link": link,
    "a folder": folder_instead,
}


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_or_hostile_record_is_as_if_absent(
    folder: Path, state: InputState, damage: Callable[[Path], object]
) -> None:
    damage(folder / RECORD_FILE)
    assert not was_made(folder, making(state, "core", Plan(1), Plan(2)), ["drums.wav"])
    assert recorded_stems(folder) == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["stems", "input", "a"]), inner),
    max_leaves=10,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_record_makes_reading_fail(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RECORD_FILE).write_bytes(content)
    assert all(isinstance(name, str) for name in recorded_stems(tmp_path))


def test_names_in_a_record_lead_nowhere(folder: Path, state: InputState, tmp_path: Path) -> None:
    outside = InputState.of(tmp_path / "song.wav").sha256
    record = json.loads((folder / RECORD_FILE).read_text())
    (folder / RECORD_FILE).write_text(json.dumps({**record, "stems": {"../song.wav": outside}}))
    assert not was_made(folder, making(state, "core", Plan(1), Plan(2)), ["drums.wav"])


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("other"),
        lambda path: os.utime(path, ns=(0, 0)),
        lambda path: path.with_name("new").write_text("song") and path.with_name("new").replace(path),
    ],
)
def test_an_input_that_changed_is_told(state: InputState, change: Callable[[Path], object]) -> None:
    state.require_unchanged()
    change(state.path)
    with pytest.raises(AudioError, match=r"song\.wav: the file changed while it was read; separate it again"):
        state.require_unchanged()


def test_an_input_that_is_gone_is_told(state: InputState) -> None:
    state.path.unlink()
    with pytest.raises(AudioError, match=r"song\.wav: the file cannot be read any more"):
        state.require_unchanged()
