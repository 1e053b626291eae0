"""Locks that keep processes apart which write into one folder, and that end with the process that holds them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from htdemucs_coreml.deferred_signals import DeferredSignals

LOCK_FILE = ".htdemucs-coreml.lock"


@contextmanager
def folder_locked(folder: Path, signals: DeferredSignals) -> Iterator[None]:
    """Hold a folder for this process alone; waits while another one holds it, and lets signals through meanwhile.

    The lock is that of a file in the folder (``flock``), which the system lets go of however its holder ends. The
    file is removed in the end.

    Parameters
    ----------
    folder : Path
        A folder that is there.
    signals : DeferredSignals
        Those that are held back around this.

    Raises
    ------
    OSError
        If the folder cannot be written to, is gone, or its file system has no locks.
    """
    path = folder / LOCK_FILE
    descriptor = _locked_descriptor(path, signals)
    try:
        yield
    finally:
        # One of another user stays, where only they may remove it.
        with suppress(FileNotFoundError, PermissionError):
            path.unlink()
        os.close(descriptor)


def held_file(path: Path) -> int:
    """Make a file and lock it until the process ends or its descriptor, which is returned, is closed.

    Raises
    ------
    OSError
        If the file is there already or cannot be made, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_held(path: Path) -> bool:
    """Tell whether a living process holds a file that was made by `held_file`.

    Raises
    ------
    OSError
        If that cannot be told, as of a file of another user; `FileNotFoundError` if there is none.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked_descriptor(path: Path, signals: DeferredSignals) -> int:
    """Open and lock the file at `path`, again where its last holder has removed it meanwhile."""
    while True:
        descriptor = _opened(path)
        try:
            with signals.allowed():
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            _remove_unless_held(descriptor, path)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_unless_held(descriptor: int, path: Path) -> None:
    """Remove a lock's file that was perhaps made only now, unless another process holds it and will do so."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            path.unlink()


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        # Made by another user; if it is not there, this fails as well.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
