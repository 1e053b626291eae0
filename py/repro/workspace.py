"""Folders in which a variation runs: copies of the sources, and a place for what is made."""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repro.errors import ReproductionError
from repro.variations import Variation

PYTHON_SOURCES = Path(__file__).parents[1]
_COPIED = ("src/htdemucs_coreml", "repro", "tests/small_model.py")
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108 # A folder of its own is made there.
_SECONDS = 60


@dataclass(frozen=True)
class Workspace:
    """Where one variation runs.

    Attributes
    ----------
    folder : Path
        Sources lie in ``py`` in it, and the output goes to ``out``; it is the working directory.
    note : str
        How files came into another order, where they did.
    """

    folder: Path
    note: str = ""

    def output(self, name: str) -> Path:
        """A new folder for output that every user may write into."""
        folder = self.folder / "out" / name
        folder.mkdir(parents=True)
        for path in (folder.parent, folder):
            path.chmod(0o777)
        return folder

    @property
    def python_path(self) -> list[Path]:
        """Where modules are imported from."""
        return [self.folder / "py" / part for part in ("", "src", "tests")]


@contextmanager
def workspace(scratch: Path, variation: Variation) -> Iterator[Workspace]:
    """A workspace as a variation wants it, in the folder `scratch`, which it may share with others.

    Raises
    ------
    ReproductionError
        If the system offers no way to list files in another order.
    """
    if variation.order:
        with _in_another_order(scratch, variation.folder) as found:
            yield found
        return
    folder = scratch / variation.folder
    _copy_sources(folder)
    if variation.modified is not None:
        for path in [folder / "py", *(folder / "py").rglob("*")]:
            os.utime(path, (variation.modified, variation.modified))
    yield Workspace(folder)


@contextmanager
def _in_another_order(scratch: Path, name: str) -> Iterator[Workspace]:
    """Through disorderfs, which lists folders backwards; else on a disk in memory, which lists files by their age."""
    plain, mounted = scratch / "plain", scratch / "mounted"
    mounted.mkdir()
    _copy_sources(plain / name)
    disorderfs, unmount = shutil.which("disorderfs"), shutil.which("fusermount3") or shutil.which("fusermount")
    if disorderfs and unmount and _succeeds(disorderfs, "--reverse-dirents=yes", str(plain), str(mounted)):
        try:
            yield Workspace(mounted / name, "disorderfs")
        finally:
            if not _succeeds(unmount, "-u", str(mounted)):
                _succeeds(unmount, "-uz", str(mounted))
        return
    if not _MEMORY_DISK.is_dir():
        raise ReproductionError(f"files have one order only: there is neither disorderfs with FUSE nor {_MEMORY_DISK}")
    with tempfile.TemporaryDirectory(dir=_MEMORY_DISK) as folder:
        Path(folder).chmod(0o755)
        _copy_sources(Path(folder) / name, random.Random(1).shuffle)  # noqa: S311 # Not for secrets.
        yield Workspace(Path(folder) / name, f"copied in another order to {_MEMORY_DISK}")


def _copy_sources(folder: Path, arrange: Callable[[list[Path]], None] = list.sort) -> None:
    files = [
        path.relative_to(PYTHON_SOURCES)
        for part in _COPIED
        for path in [PYTHON_SOURCES / part, *(PYTHON_SOURCES / part).rglob("*")]
        if path.is_file() and path.suffix in (".py", ".toml")
    ]
    arrange(files)
    for file in files:
        target = folder / "py" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PYTHON_SOURCES / file, target)
    for private in ("home", "tmp"):
        (folder / private).mkdir()
        (folder / private).chmod(0o777)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
