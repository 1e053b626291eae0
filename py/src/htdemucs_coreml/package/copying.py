"""A copy of a package that is a package of its own: plain files, writable, and the very bytes that were checked."""

import hashlib
import os
from pathlib import Path

from htdemucs_coreml.files import atomic_directory
from htdemucs_coreml.package.layout import FILE_MODE, FOLDER_MODE
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import Package

_BLOCK_BYTES = 1 << 20


def copy_package(package: Package, target: Path) -> None:
    """Copy a package, whole or not at all.

    Parameters
    ----------
    package : Package
        What to copy; its files have to be those that were read.
    target : Path
        The ``.mlpackage`` folder to make. Its parents are made where they are missing.

    Raises
    ------
    PackageError
        If something is at `target` already, it cannot be written, or the package has changed since it was read.
    """
    if os.path.lexists(target):
        raise PackageError(f"{target} is there already; remove it or name another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_directory(target, replace=False) as folder:
            for relative, expected in package.sha256.items():
                copy = folder / relative
                copy.parent.mkdir(parents=True, exist_ok=True)
                if _copy(package.path / relative, copy) != expected:
                    raise PackageError(f"{package.path} changed while it was copied; copy it again")
                copy.chmod(FILE_MODE)
            for parent in (folder, *(item for item in folder.rglob("*") if item.is_dir())):
                parent.chmod(FOLDER_MODE)
    except OSError as error:
        raise PackageError(f"{target} cannot be written: {error.strerror}; choose another place") from error


def _copy(source: Path, target: Path) -> str:
    """Copy a file's content and return its sha256."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            digest.update(block)
            writer.write(block)
    return digest.hexdigest()
