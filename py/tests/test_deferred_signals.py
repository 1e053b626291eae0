"""Signals wait for the end of what must not be left half done, and are not lost."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from htdemucs_coreml.cli.termination import Terminated, termination_raised
from htdemucs_coreml.deferred_signals import deferred_signals
from htdemucs_coreml.files import atomic_directory, atomic_file


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    with termination_raised():
        yield


def test_a_signal_comes_at_the_end() -> None:
    steps = []
    with pytest.raises(Terminated), deferred_signals():
        terminate()
        steps.append("done")
    assert steps == ["done"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_a_signal_that_came_before_is_handed_out_where_signals_are_allowed() -> None:
    steps = []
    with pytest.raises(Terminated), deferred_signals() as signals:
        terminate()
        steps.append("before")
        with signals.allowed():
            steps.append("never")
    assert steps == ["before"]


def test_where_signals_are_allowed_they_come_at_once() -> None:
    steps = []
    with pytest.raises(Terminated), deferred_signals() as signals:
        with signals.allowed():
            terminate()
            steps.append("never")
        steps.append("never")
    assert steps == []


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with deferred_signals() as signals, signals.allowed():
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_left_alone() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with deferred_signals() as signals, signals.allowed():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


@pytest.mark.parametrize("existing", [False, True])
def test_a_file_or_folder_is_whole_whenever_a_signal_comes(
    tmp_path: Path, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if existing:
        (tmp_path / "file").write_text("old")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "item").write_text("old")
    rename, replace = Path.rename, Path.replace

    def interrupted_rename(path: Path, target: Path) -> Path:
        terminate()
        return rename(path, target)

    def interrupted_replace(path: Path, target: Path) -> Path:
        terminate()
        return replace(path, target)

    monkeypatch.setattr(Path, "rename", interrupted_rename)
    monkeypatch.setattr(Path, "replace", interrupted_replace)
    with pytest.raises(Terminated), atomic_file(tmp_path / "file") as file:
        file.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
    with termination_raised():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "folder") as folder:
            (folder / "item").write_text("new")
    assert (tmp_path / "folder" / "item").read_text() == "new"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]
