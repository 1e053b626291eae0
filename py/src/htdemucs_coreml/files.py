"""Outputs that appear whole or not at all, and digests of files."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from htdemucs_coreml.deferred_signals import DeferredSignals, deferred_signals

_BLOCK_BYTES = 1 << 20


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, read in blocks.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """Flush a file or folder to its disk, so that a rename after it never exposes a part of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`, else removed.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    with _temporary_folder(path) as (folder, signals):
        partial = folder / path.name
        with signals.allowed():
            yield partial
            sync_file(partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    sync_file(path.parent)


@contextmanager
def atomic_directory(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path`, else it is removed.

    Parameters
    ----------
    path : Path
        The folder.
    replace : bool
        Whether one that is there, and not empty, is replaced; otherwise it is an error.

    Raises
    ------
    OSError
        If the parent folder cannot be written to, or what is there stays.
    """
    with _temporary_folder(path) as (folder, signals):
        partial = folder / path.name
        partial.mkdir()
        with signals.allowed():
            yield partial
            for item in sorted(partial.rglob("*")):
                sync_file(item)
            sync_file(partial)
        replaced = folder / "replaced"
        if replace and path.is_dir() and not path.is_symlink():
            path.rename(replaced)
        try:
            partial.rename(path)
        except BaseException:
            if replaced.exists():
                replaced.rename(path)
            raise
    sync_file(path.parent)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[tuple[Path, DeferredSignals]]:
    """Yield a folder beside `path` that is gone in the end, and the signals that are held back meanwhile."""
    with deferred_signals() as signals:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield folder, signals
        finally:
            shutil.rmtree(folder)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
