"""Reads goldens, and refuses whatever the manifest does not vouch for."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.goldens.errors import (
    GoldenDigestError,
    GoldenNameError,
    GoldenPathError,
    GoldenShapeError,
    GoldenSizeError,
    GoldenTypeError,
)
from htdemucs_coreml.goldens.manifest import DTYPES, MANIFEST_FILE, GoldenEntry, parse_manifest

_MAXIMUM_MANIFEST_BYTES = 1 << 24

Value = TypeVar("Value", np.float32, np.float64, np.int64)


@dataclass(frozen=True)
class GoldenFolder:
    """A folder of goldens, opened by `open_goldens`.

    Attributes
    ----------
    path : Path
        The folder.
    entries : MappingProxyType[str, GoldenEntry]
        What the manifest says of each golden, by name.
    """

    path: Path
    entries: MappingProxyType[str, GoldenEntry]

    def entry(self, name: str) -> GoldenEntry:
        """Return what the manifest says of a golden.

        Raises
        ------
        GoldenNameError
            If there is none of this name.
        """
        if name not in self.entries:
            raise GoldenNameError(f"{self.path} has no golden {name}; it has {len(self.entries)}, see {MANIFEST_FILE}")
        return self.entries[name]

    def load(self, name: str, dtype: type[Value], shape: tuple[int, ...] | None = None) -> NDArray[Value]:
        """Values of a golden.

        Parameters
        ----------
        name : str
            Its name in the manifest.
        dtype : type
            The type it must have: ``np.float32``, ``np.float64`` or ``np.int64``. Nothing is converted.
        shape : tuple of int, optional
            The shape it must have; by default the manifest's.

        Returns
        -------
        NDArray
            In the machine's byte order, not writable.

        Raises
        ------
        GoldenNameError
            If there is none of this name.
        GoldenTypeError, GoldenShapeError
            If it has another type or shape than asked for.
        GoldenPathError, GoldenSizeError, GoldenDigestError
            If its file is a link or missing, or not the one that the manifest describes.
        """
        entry = self.entry(name)
        if entry.dtype != np.dtype(dtype).name:
            raise GoldenTypeError(f"golden {name} has type {entry.dtype}, not {np.dtype(dtype).name}")
        if shape is not None and shape != entry.shape:
            raise GoldenShapeError(f"golden {name} has shape {list(entry.shape)}, not {list(shape)}")
        content = self._payload(name, entry)
        values = np.frombuffer(content, DTYPES[entry.dtype]).astype(dtype).reshape(entry.shape)
        values.setflags(write=False)
        return values

    def check(self) -> None:
        """Check every payload, and that the folder holds nothing else.

        Raises
        ------
        GoldenPathError, GoldenSizeError, GoldenDigestError
            If a file is missing, a link, not the one that the manifest describes, or not in the manifest at all.
        """
        for name, entry in self.entries.items():
            self._payload(name, entry)
        known = {MANIFEST_FILE, *(entry.file for entry in self.entries.values())}
        for path in sorted(self.path.rglob("*")):
            relative = path.relative_to(self.path).as_posix()
            if relative not in known and (path.is_symlink() or not path.is_dir()):
                raise GoldenPathError(f"{path} belongs to no golden of {MANIFEST_FILE}; remove it")

    def _payload(self, name: str, entry: GoldenEntry) -> bytes:
        size = _plain_file_size(self.path, entry.file)
        if size != entry.bytes:
            raise GoldenSizeError(
                f"golden {name}: {self.path / entry.file} has {size} bytes, not {entry.bytes}; restore the file"
            )
        content = _read_file(self.path, entry.file)
        digest = hashlib.sha256(content).hexdigest()
        if digest != entry.sha256:
            raise GoldenDigestError(
                f"golden {name}: {self.path / entry.file} has sha256 {digest}, not {entry.sha256}; restore the file"
            )
        return content


def open_goldens(folder: Path) -> GoldenFolder:
    """Read the manifest of a folder of goldens; payloads are read and checked when they are asked for.

    Raises
    ------
    GoldenPathError
        If there is no manifest, or it is a link.
    GoldenSizeError
        If it is unreasonably large.
    GoldenManifestError, GoldenNameError, GoldenPathError, GoldenShapeError, GoldenTypeError
        If the manifest is malformed.
    """
    size = _plain_file_size(folder, MANIFEST_FILE)
    if size > _MAXIMUM_MANIFEST_BYTES:
        raise GoldenSizeError(f"{folder / MANIFEST_FILE} has {size} bytes; at most {_MAXIMUM_MANIFEST_BYTES} are read")
    return GoldenFolder(folder, MappingProxyType(parse_manifest(_read_file(folder, MANIFEST_FILE))))


def _plain_file_size(folder: Path, relative: str) -> int:
    """Size of a plain file, with no link between `folder` and it."""
    path = folder
    try:
        for part in Path(relative).parts:
            path /= part
            if path.is_symlink():
                raise GoldenPathError(f"{path} is a symbolic link; goldens are plain files in plain folders")
        # A pipe or a device would block or never end.
        status = os.lstat(path)
    except OSError as error:
        raise GoldenPathError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise GoldenPathError(f"{path} is not a plain file")
    return status.st_size


def _read_file(folder: Path, relative: str) -> bytes:
    """Content of a file."""
    try:
        return (folder / relative).read_bytes()
    except OSError as error:
        raise GoldenPathError(f"{folder / relative} cannot be read: {error.strerror}") from error
