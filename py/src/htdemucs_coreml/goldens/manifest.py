"""The index of a folder of goldens, ``manifest.json``: what each golden is, and where its payload lies.

Everything that can be said without the payloads is checked here: a `GoldenEntry` that exists is consistent.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from htdemucs_coreml.goldens.errors import (
    GoldenManifestError,
    GoldenNameError,
    GoldenPathError,
    GoldenShapeError,
    GoldenTypeError,
)

MANIFEST_FILE = "manifest.json"
MANIFEST_VERSION = 1
BYTE_ORDER = "little"

DTYPES: Mapping[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "int64": np.dtype("<i8"),
}
FILE_SUFFIXES: Mapping[str, str] = {"float32": "f32", "float64": "f64", "int64": "i64"}

MAXIMUM_BYTES = 1 << 32
"""Largest payload."""

_MAXIMUM_RANK = 16
_PART = r"[a-z0-9][a-z0-9_]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
_FILE = re.compile(rf"{_PART}(/{_PART})*\.({'|'.join(FILE_SUFFIXES.values())})")
_WEIGHTS = re.compile(r"weights\.[a-z0-9_]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIRED = frozenset(
    {"file", "sha256", "bytes", "dtype", "byte_order", "shape", "axes", "scale", "generator", "inputs"}
)
_OPTIONAL = frozenset({"grid", "slice"})


@dataclass(frozen=True)
class AxisSlice:
    """Which positions along one axis of the whole array a golden keeps: ``range(start, stop, step)``.

    Attributes
    ----------
    axis : str
        One of the golden's axes.
    start, stop, step : int
        ``0 <= start < stop``, ``step >= 1``.
    """

    axis: str
    start: int
    stop: int
    step: int

    @property
    def positions(self) -> range:
        """The positions that are kept."""
        return range(self.start, self.stop, self.step)


@dataclass(frozen=True)
class GoldenEntry:
    """What the manifest says of one golden.

    Attributes
    ----------
    file : str
        The payload's path in the folder: raw values, little-endian, in C order.
    sha256 : str
        Of the payload, hexadecimal.
    dtype : str
        A key of `DTYPES`.
    shape : tuple of int
        Of the payload, that is after `kept` was applied.
    axes : tuple of str
        A name for each axis.
    scale : str
        What a value of 1 means, or what an integer counts.
    generator : str
        The file, from the repository's root, that computes the golden.
    grid : str or None
        Step of the grid that values were rounded to, before the payload's own type.
    kept : AxisSlice or None
        The slice of the whole array that the payload holds; None where it holds all of it.
    inputs : Mapping[str, str]
        sha256 of what it was computed from: other goldens by their names, weights as ``weights.<model>`` (the
        digest over their tensors that packages call ``weights_sha256``).

    Raises
    ------
    GoldenManifestError, GoldenPathError, GoldenShapeError, GoldenTypeError
        If the declarations are not of this form or contradict each other.
    """

    file: str
    sha256: str
    dtype: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    scale: str
    generator: str
    grid: str | None = None
    kept: AxisSlice | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file):
            raise GoldenPathError(f"{self.file!r} cannot be the file of a golden: give a path within the folder")
        if self.dtype not in DTYPES:
            raise GoldenTypeError(f"{self.file} has type {self.dtype!r}; goldens have {', '.join(DTYPES)}")
        if len(self.shape) != len(self.axes) or len(set(self.axes)) != len(self.axes) or min(self.shape, default=0) < 1:
            raise GoldenShapeError(
                f"{self.file} has shape {list(self.shape)} and axes {list(self.axes)}: "
                "each axis needs a name of its own and at least one position"
            )
        if len(self.shape) > _MAXIMUM_RANK or self.bytes > MAXIMUM_BYTES:
            raise GoldenShapeError(
                f"{self.file} has a shape of {len(self.shape)} axes; goldens have at most {_MAXIMUM_RANK} "
                f"and take at most {MAXIMUM_BYTES} bytes"
            )
        for digest in (self.sha256, *self.inputs.values()):
            if not _SHA256.fullmatch(digest):
                raise GoldenManifestError(f"{self.file} has {digest!r} where a hexadecimal sha256 belongs")
        if self.kept is not None:
            self._check_slice(self.kept)

    @property
    def bytes(self) -> int:
        """Size of the payload."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize

    def _check_slice(self, kept: AxisSlice) -> None:
        is_range = 0 <= kept.start < kept.stop and kept.step >= 1
        if not is_range or kept.axis not in self.axes:
            raise GoldenShapeError(f"{self.file} is said to keep {kept}, which is no slice of axes {list(self.axes)}")
        stored = self.shape[self.axes.index(kept.axis)]
        if stored != len(kept.positions):
            raise GoldenShapeError(
                f"{self.file} holds {stored} positions of axis {kept.axis}, but its slice has {len(kept.positions)}"
            )


def parse_manifest(content: bytes) -> dict[str, GoldenEntry]:
    """Read ``manifest.json``: every golden by its name.

    Raises
    ------
    GoldenManifestError
        If it is not JSON of this form and version, or if it contradicts itself.
    GoldenNameError, GoldenPathError, GoldenShapeError, GoldenTypeError
        If one golden's declarations cannot be; the message says which.
    """
    try:
        table = json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise GoldenManifestError(f"{MANIFEST_FILE} is not valid JSON: {error}") from error
    fields = _object(table, "the manifest")
    version = fields.get("version")
    if isinstance(version, bool) or version != MANIFEST_VERSION:
        raise GoldenManifestError(f"{MANIFEST_FILE} has version {version!r}; this reader knows {MANIFEST_VERSION}")
    if fields.keys() != {"version", "goldens"}:
        raise GoldenManifestError(f"{MANIFEST_FILE} has keys {sorted(fields)}, not version and goldens")
    entries = {
        name: _entry(name, _object(value, name)) for name, value in _object(fields["goldens"], "goldens").items()
    }
    check_entries(entries)
    return entries


def format_manifest(entries: Mapping[str, GoldenEntry]) -> bytes:
    """Write ``manifest.json``: the same bytes for the same entries, in whatever order they come.

    Raises
    ------
    GoldenManifestError, GoldenNameError
        If entries contradict each other.
    """
    check_entries(entries)
    table = {"version": MANIFEST_VERSION, "goldens": {name: _fields(entry) for name, entry in entries.items()}}
    return (json.dumps(table, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")


def check_entries(entries: Mapping[str, GoldenEntry]) -> None:
    """Check what concerns several entries: names, files used once, and the digests of inputs.

    Raises
    ------
    GoldenNameError
        If a name is not lower-case words joined by underscores and slashes.
    GoldenManifestError
        If two goldens share a file, or an input is unknown or has another digest.
    """
    owners: dict[str, str] = {}
    for name, entry in entries.items():
        if not _NAME.fullmatch(name):
            raise GoldenNameError(f"{name!r} cannot be the name of a golden")
        if entry.file in owners:
            raise GoldenManifestError(f"goldens {owners[entry.file]} and {name} have the same file, {entry.file}")
        owners[entry.file] = name
        for source, digest in entry.inputs.items():
            if source in entries and entries[source].sha256 != digest:
                raise GoldenManifestError(f"golden {name} was computed from another {source} than the one here")
            if source not in entries and not _WEIGHTS.fullmatch(source):
                raise GoldenManifestError(f"golden {name} was computed from {source}, which is not here")


def _entry(name: str, fields: Mapping[str, Any]) -> GoldenEntry:
    missing, unknown = _REQUIRED - fields.keys(), fields.keys() - _REQUIRED - _OPTIONAL
    if missing or unknown:
        raise GoldenManifestError(f"golden {name} lacks {sorted(missing)} and has the unknown {sorted(unknown)}")
    inputs = _object(fields["inputs"], f"the inputs of {name}")
    entry = GoldenEntry(
        file=_text(fields["file"], name),
        sha256=_text(fields["sha256"], name),
        dtype=_text(fields["dtype"], name),
        shape=tuple(_integer(size, name) for size in _list(fields["shape"], name)),
        axes=tuple(_text(axis, name) for axis in _list(fields["axes"], name)),
        scale=_text(fields["scale"], name),
        generator=_text(fields["generator"], name),
        grid=_text(fields["grid"], name) if "grid" in fields else None,
        kept=_slice(name, _object(fields["slice"], f"the slice of {name}")) if "slice" in fields else None,
        inputs={source: _text(digest, name) for source, digest in inputs.items()},
    )
    if fields["byte_order"] != BYTE_ORDER:
        raise GoldenTypeError(f"golden {name} has byte order {fields['byte_order']!r}; goldens have {BYTE_ORDER!r}")
    if _integer(fields["bytes"], name) != entry.bytes:
        raise GoldenShapeError(
            f"golden {name} of shape {list(entry.shape)} and type {entry.dtype} takes {entry.bytes} bytes, "
            f"not {fields['bytes']}"
        )
    return entry


def _slice(name: str, fields: Mapping[str, Any]) -> AxisSlice:
    if fields.keys() != {"axis", "start", "stop", "step"}:
        raise GoldenManifestError(f"the slice of {name} has keys {sorted(fields)}, not axis, start, stop and step")
    return AxisSlice(_text(fields["axis"], name), *(_integer(fields[key], name) for key in ("start", "stop", "step")))


def _fields(entry: GoldenEntry) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "file": entry.file,
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "dtype": entry.dtype,
        "byte_order": BYTE_ORDER,
        "shape": list(entry.shape),
        "axes": list(entry.axes),
        "scale": entry.scale,
        "generator": entry.generator,
        "inputs": dict(entry.inputs),
    }
    if entry.grid is not None:
        fields["grid"] = entry.grid
    if entry.kept is not None:
        kept = entry.kept
        fields["slice"] = {"axis": kept.axis, "start": kept.start, "stop": kept.stop, "step": kept.step}
    return fields


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise GoldenManifestError(f"{MANIFEST_FILE}: {what} is not an object")
    return value


def _list(value: object, name: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise GoldenManifestError(f"golden {name} has {value!r} where a list belongs")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise GoldenManifestError(f"golden {name} has {value!r} where a string belongs")
    return value


def _integer(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 53:
        raise GoldenManifestError(f"golden {name} has {value!r} where an integer belongs")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice")
    return table


def _no_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
