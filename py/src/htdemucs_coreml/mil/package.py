"""Layout of a package folder: manifest, model file and weight files, and nothing outside the folder."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from htdemucs_coreml.mil.errors import PackageError

_MANIFEST = "Manifest.json"
_DATA = "Data"
_FORMAT_VERSION = "1.0.0"
_MODEL_PATH_PREFIX = "@model_path/"
_MAXIMUM_MANIFEST_BYTES = 1 << 20
_MAXIMUM_MODEL_BYTES = 1 << 30


@dataclass(frozen=True)
class PackageFiles:
    """Files of a package, all of them regular and inside it.

    Attributes
    ----------
    path : Path
        The package's folder.
    model : Path
        The model file that the manifest names as root.
    items : tuple of Path
        Every file or folder that the manifest lists.
    """

    path: Path
    model: Path
    items: tuple[Path, ...]

    def read_model(self) -> bytes:
        """Bytes of the model file.

        Raises
        ------
        PackageError
            If it cannot be read or is unreasonably large.
        """
        return _read(self.model, _MAXIMUM_MODEL_BYTES)

    def weight_file(self, reference: str) -> Path:
        """Path of the weight file that a program refers to as ``@model_path/...``.

        Raises
        ------
        PackageError
            If the reference leaves the package or names no file that the manifest lists.
        """
        if not reference.startswith(_MODEL_PATH_PREFIX):
            raise PackageError(
                f"{self.model} refers to weights in '{reference}'; expected a path below {_MODEL_PATH_PREFIX}"
            )
        path = self.model.parent / _relative(reference.removeprefix(_MODEL_PATH_PREFIX), self.model)
        if not _is_file(path):
            raise PackageError(f"{self.path} lacks {path.relative_to(self.path)}, which its model refers to")
        if not any(path.is_relative_to(item) for item in self.items):
            raise PackageError(f"{self.path / _MANIFEST} does not list {path.relative_to(self.path)}")
        return path


def open_package(path: Path) -> PackageFiles:
    """Check a package's folder and manifest.

    Parameters
    ----------
    path : Path
        The package; it may itself be a link, but links within it are refused, as Core ML's compiler does.

    Raises
    ------
    PackageError
        If it is not a folder, holds a link, or its manifest is missing, malformed or names what is not there.
    """
    try:
        if not path.is_dir():
            raise PackageError(f"{path} is not a package: no folder of that name exists")
        for item in path.rglob("*"):
            if item.is_symlink():
                raise PackageError(f"{item} is a symbolic link; packages hold copies, as Core ML demands")
        return _read_manifest(path)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error}") from error


def _read_manifest(path: Path) -> PackageFiles:
    manifest_path = path / _MANIFEST
    manifest = _parse_json(manifest_path)
    version = manifest.get("fileFormatVersion")
    if version != _FORMAT_VERSION:
        raise PackageError(f"{manifest_path} has fileFormatVersion {version!r}; only {_FORMAT_VERSION!r} is known")
    entries = manifest.get("itemInfoEntries")
    if not isinstance(entries, dict):
        raise PackageError(f"{manifest_path} has no table itemInfoEntries")
    items = {identifier: _item(path, manifest_path, entry) for identifier, entry in entries.items()}
    root = manifest.get("rootModelIdentifier")
    if not isinstance(root, str) or root not in items:
        raise PackageError(f"{manifest_path} has rootModelIdentifier {root!r}, which is not one of its items")
    if not items[root].is_file():
        raise PackageError(f"{manifest_path} names {items[root].relative_to(path)} as its model, which is not a file")
    return PackageFiles(path, items[root], tuple(items.values()))


def _item(path: Path, manifest_path: Path, entry: Any) -> Path:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise PackageError(f"{manifest_path} has an item without a path")
    item = path / _DATA / _relative(entry["path"], manifest_path)
    if not item.exists():
        raise PackageError(f"{path} lacks {item.relative_to(path)}, which its manifest lists")
    return item


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # No file can have such a name: a part of it is too long.
        return False


def _relative(text: str, source: Path) -> PurePosixPath:
    relative = PurePosixPath(text)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\\" in text or "\0" in text:
        raise PackageError(f"{source} refers to {text!r}, which is no plain path within the package")
    return relative


def _parse_json(path: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise PackageError(f"{path} has a key twice in one table")
        return table

    try:
        manifest = json.loads(_read(path, _MAXIMUM_MANIFEST_BYTES).decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise PackageError(f"{path} is not a JSON table")
    return manifest


def _read(path: Path, maximum_bytes: int) -> bytes:
    try:
        status = path.stat()
        # Opening a pipe would wait for its writer; reading takes as much memory as it is told, whatever the file holds.
        if not stat.S_ISREG(status.st_mode):
            raise PackageError(f"{path} cannot be read: it is no plain file")
        if status.st_size > maximum_bytes:
            raise PackageError(f"{path} is larger than {maximum_bytes} bytes, which no such file should be")
        with path.open("rb") as stream:
            return stream.read(status.st_size)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
