"""Folders as sha256 and mode by path, so that two can be compared."""

import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from htdemucs_coreml.files import sha256_file
from repro.errors import ReproductionError


@dataclass(frozen=True)
class Leaf:
    """What is compared of a file or folder: its mode, and of a file the sha256 of its bytes."""

    mode: int
    sha256: str | None


def tree(folder: Path) -> dict[PurePosixPath, Leaf]:
    """Everything in a folder by its path there.

    Raises
    ------
    ReproductionError
        If it holds a link or anything else that is neither file nor folder.
    """
    found: dict[PurePosixPath, Leaf] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            raise ReproductionError(f"{path} is neither a file nor a folder; a package is made of those alone")
        digest = sha256_file(path) if stat.S_ISREG(status.st_mode) else None
        found[PurePosixPath(path.relative_to(folder))] = Leaf(stat.S_IMODE(status.st_mode), digest)
    return found
