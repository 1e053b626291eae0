"""The files of a package on disk, before anything of their content is believed."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from htdemucs_coreml.package.layout import FILES
from htdemucs_coreml.package.metadata import PackageError


def read_package_files(path: Path) -> dict[PurePosixPath, Path]:
    """The files of a package by their path inside it: exactly those of the format.

    Raises
    ------
    PackageError
        If the package is missing, cannot be listed, lacks a file, or holds a link or anything else.
    """
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise PackageError(f"{path} {problem}; give the path of an .mlpackage")
    files: dict[PurePosixPath, Path] = {}
    try:
        for item in _walk(path):
            relative = PurePosixPath(item.relative_to(path).as_posix())
            if not stat.S_ISREG(item.lstat().st_mode):
                raise PackageError(
                    f"{path} holds {relative}, which is no plain file: Core ML refuses links; copy the package"
                )
            if relative not in FILES:
                raise PackageError(f"{path} holds {relative}, which is no part of a package; make or get it again")
            files[relative] = item
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    for required in FILES:
        if required not in files:
            raise PackageError(f"{path} lacks {required}; the package is incomplete, make or get it again")
    return {file: files[file] for file in FILES}


def _walk(path: Path) -> Iterator[Path]:
    """Everything in a folder but folders, without following links; at most the format's own folders are entered."""
    folders = {parent for file in FILES for parent in file.parents}

    def walk(folder: Path) -> Iterator[Path]:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            item = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                relative = PurePosixPath(item.relative_to(path).as_posix())
                if relative not in folders:
                    raise PackageError(f"{path} holds {relative}, which is no part of a package; make or get it again")
                yield from walk(item)
            else:
                yield item

    yield from walk(path)
