"""The files of a package on disk, before anything of their content is believed."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from htdemucs_coreml.package.layout import FILES, MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError

MAX_BYTES = MappingProxyType({MANIFEST: 1 << 16, MODEL: 256 << 20, WEIGHT_BIN: 4 << 30})
"""The largest files that are read; the Swift package has the same limits."""


def read_package_files(path: Path) -> dict[PurePosixPath, Path]:
    """The files of a package by their path inside it: exactly those that the project's have.

    Raises
    ------
    PackageError
        If the package is missing, cannot be listed, lacks a file, or holds a link or anything else.
    """
    files = package_files(path)
    _require(path, files, WEIGHT_BIN)
    return files


def package_files(path: Path) -> dict[PurePosixPath, Path]:
    """As `read_package_files`, but a program without large constants needs no ``weight.bin``."""
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
    for required in (MODEL, MANIFEST):
        _require(path, files, required)
    return {file: files[file] for file in FILES if file in files}


def require_sizes(path: Path, files: Mapping[PurePosixPath, Path]) -> int:
    """Refuse files that are larger than any package's; returns the bytes of all together.

    Raises
    ------
    PackageError
        If one is too large or cannot be examined.
    """
    try:
        sizes = {relative: file.stat().st_size for relative, file in files.items()}
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    for relative, size in sizes.items():
        if size > MAX_BYTES[relative]:
            raise PackageError(
                f"{path} has a {relative} of {size} bytes; more than {MAX_BYTES[relative]} are refused: "
                "make or get the package again"
            )
    return sum(sizes.values())


def _require(path: Path, files: Mapping[PurePosixPath, Path], required: PurePosixPath) -> None:
    if required not in files:
        raise PackageError(f"{path} lacks {required}; the package is incomplete, make or get it again")


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
