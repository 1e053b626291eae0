"""Outputs that appear whole or not at all, and digests of files."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        sync_file(partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    sync_file(path.parent)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path`, else it is removed.

    Raises
    ------
    OSError
        If the parent folder cannot be written to.
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        partial.mkdir()
        yield partial
        for item in sorted(partial.rglob("*")):
            sync_file(item)
        sync_file(partial)
        replaced = Path(folder) / "replaced"
        if path.is_dir() and not path.is_symlink():
            path.rename(replaced)
        try:
            partial.rename(path)
        except BaseException:
            if replaced.exists():
                replaced.rename(path)
            raise
    sync_file(path.parent)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
