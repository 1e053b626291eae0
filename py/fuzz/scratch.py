"""A folder for the files that targets write, in memory where the system has such a place."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "HTDEMUCS_FUZZ_SCRATCH"
"""Names the folder to use; whoever sets it removes it."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - only its folders with names of their own are used


def parent() -> Path | None:
    """Where folders are kept in memory; None where the system's default has to do."""
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None


@functools.cache
def folder() -> Path:
    """The folder of this process, empty at first."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    made = Path(tempfile.mkdtemp(prefix="htdemucs-fuzz.", dir=parent()))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(name: str, content: bytes) -> Path:
    """Write a file of the folder anew and return its path; folders in its name are made."""
    path = folder() / name
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return path
