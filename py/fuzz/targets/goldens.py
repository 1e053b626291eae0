"""Folders of goldens."""

import hashlib
import json
import shutil
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzz.json_mutation import mutate_json
from fuzz.parts import any_bytes, mutation, split
from fuzz.scratch import folder
from fuzz.target import Target
from htdemucs_coreml.goldens.errors import GoldenError
from htdemucs_coreml.goldens.manifest import MANIFEST_FILE, GoldenEntry, format_manifest, parse_manifest
from htdemucs_coreml.goldens.reading import GoldenFolder, open_goldens


def manifest(data: bytes) -> None:
    """A manifest; what is read and written again reads as the same, and is written as the same."""
    entries = parse_manifest(data)
    formatted = format_manifest(entries)
    assert parse_manifest(formatted) == entries
    assert format_manifest(parse_manifest(formatted)) == formatted


def goldens_folder(data: bytes) -> None:
    """A manifest and one payload, which the manifest is made to vouch for wherever it names a file."""
    text, payload = split(data)
    path = folder() / "goldens"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    signed = _signed(table, payload)
    (path / MANIFEST_FILE).write_bytes(text if signed is None else signed)
    for file in _files(table):
        _write(path / file, payload)
    goldens = open_goldens(path)
    for name, entry in goldens.entries.items():
        array = _loaded(goldens, name, entry)
        assert array.tobytes() == payload
        assert array.shape == entry.shape
    goldens.check()


def _loaded(goldens: GoldenFolder, name: str, entry: GoldenEntry) -> NDArray[Any]:
    match entry.dtype:
        case "float32":
            return goldens.load(name, np.float32, entry.shape)
        case "float64":
            return goldens.load(name, np.float64, entry.shape)
        case _:
            return goldens.load(name, np.int64, entry.shape)


def _entries(table: Any) -> list[dict[str, Any]]:
    goldens = table.get("goldens") if isinstance(table, dict) else None
    return [entry for entry in goldens.values() if isinstance(entry, dict)] if isinstance(goldens, dict) else []


def _signed(table: Any, payload: bytes) -> bytes | None:
    for entry in _entries(table):
        if "sha256" in entry:
            entry["sha256"] = hashlib.sha256(payload).hexdigest()
    try:
        return json.dumps(table).encode()
    except RecursionError:
        return None


def _files(table: Any) -> list[PurePosixPath]:
    names = [PurePosixPath(file) for entry in _entries(table) if isinstance(file := entry.get("file"), str)]
    return [name for name in names if not name.is_absolute() and ".." not in name.parts]


def _write(path: Any, payload: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
    except (OSError, ValueError):
        # No such file can exist, so none does.
        return


TARGETS = (
    Target("goldens_manifest", manifest, (GoldenError,), weight=12, mutate=mutate_json),
    Target("goldens", goldens_folder, (GoldenError,), weight=6, mutate=mutation(mutate_json, any_bytes, of_first=0.95)),
)
