"""A folder's lock keeps others out as long as it is held, and leaves nothing behind."""

import fcntl
import os
from pathlib import Path

import pytest

from htdemucs_coreml.deferred_signals import deferred_signals
from htdemucs_coreml.pipeline.folder_lock import LOCK_FILE, folder_locked, held_file, is_held


def test_a_locked_folder_is_locked_and_nothing_is_left_of_the_lock(tmp_path: Path) -> None:
    with deferred_signals() as signals, folder_locked(tmp_path, signals):
        assert is_held(tmp_path / LOCK_FILE)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_its_last_holder_removes_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    taken: list[int] = []

    def removed_meanwhile(descriptor: int, operation: int) -> None:
        if not taken:
            (tmp_path / LOCK_FILE).unlink()
        taken.append(descriptor)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with deferred_signals() as signals, folder_locked(tmp_path, signals):
        assert len(taken) == 2
        assert is_held(tmp_path / LOCK_FILE)


def test_a_file_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    descriptor = held_file(tmp_path / "file")
    assert is_held(tmp_path / "file")
    os.close(descriptor)
    assert not is_held(tmp_path / "file")


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / LOCK_FILE).symlink_to(tmp_path / "precious")
    with (
        pytest.raises(OSError, match="symbolic links"),
        deferred_signals() as signals,
        folder_locked(tmp_path / "folder", signals),
    ):
        pass
    assert not (tmp_path / "precious").exists()
