"""Writes a folder of goldens: the same bytes for the same values, wherever and whenever."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.files import atomic_directory
from htdemucs_coreml.goldens.errors import GoldenNameError, GoldenTypeError, GoldenValueError
from htdemucs_coreml.goldens.manifest import (
    DTYPES,
    FILE_SUFFIXES,
    MANIFEST_FILE,
    AxisSlice,
    GoldenEntry,
    check_entries,
    format_manifest,
)


class GoldenWriter:
    """Collects goldens in a folder; `new_goldens` gives one and writes the manifest in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[str, GoldenEntry] = {}
        self._values: dict[str, NDArray[Any]] = {}

    @property
    def entries(self) -> Mapping[str, GoldenEntry]:
        """What was added so far, by name."""
        return self._entries

    def added(self, name: str) -> NDArray[Any]:
        """Values of a golden that was added, as its file holds them.

        Raises
        ------
        GoldenNameError
            If it was not added.
        """
        if name not in self._values:
            raise GoldenNameError(f"golden {name} was not added")
        return self._values[name]

    def add(
        self,
        name: str,
        values: NDArray[Any],
        *,
        axes: Sequence[str],
        scale: str,
        generator: str,
        grid: str | None = None,
        kept: AxisSlice | None = None,
        inputs: Sequence[str] = (),
        weights: Mapping[str, str] | None = None,
    ) -> None:
        """Write a golden's payload.

        Parameters
        ----------
        name : str
            Its name; the file is called like it.
        values : NDArray
            float32, float64 or int64, finite; what the file holds, so already sliced.
        axes : sequence of str
            A name for each axis.
        scale, generator, grid, kept
            See `GoldenEntry`.
        inputs : sequence of str
            Names of goldens added before, from which this one was computed.
        weights : Mapping[str, str], optional
            sha256 over the tensors of the models that computed it, by the model's name.

        Raises
        ------
        GoldenTypeError, GoldenValueError
            If the format has no such type, or a value is not finite.
        GoldenNameError
            If the name is taken, or an input was not added before.
        GoldenManifestError, GoldenShapeError
            If the declarations contradict each other.
        """
        dtype = values.dtype.name
        if dtype not in DTYPES:
            raise GoldenTypeError(f"golden {name} has type {dtype}; the format has {', '.join(DTYPES)}")
        if not np.isfinite(values).all():
            raise GoldenValueError(f"golden {name} has values that are not finite")
        if name in self._entries:
            raise GoldenNameError(f"golden {name} was added before")
        for source in inputs:
            if source not in self._entries:
                raise GoldenNameError(f"golden {name} is computed from {source}, which was not added before it")
        digests = {source: self._entries[source].sha256 for source in inputs}
        digests |= {f"weights.{model}": digest for model, digest in (weights or {}).items()}
        payload = np.ascontiguousarray(values, DTYPES[dtype]).tobytes()
        entry = GoldenEntry(
            file=f"{name}.{FILE_SUFFIXES[dtype]}",
            sha256=hashlib.sha256(payload).hexdigest(),
            dtype=dtype,
            shape=values.shape,
            axes=tuple(axes),
            scale=scale,
            generator=generator,
            grid=grid,
            kept=kept,
            inputs=digests,
        )
        entries = {**self._entries, name: entry}
        check_entries(entries)
        path = self._folder / entry.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
        self._entries = entries
        self._values[name] = values

    def write_manifest(self) -> None:
        """Write ``manifest.json``."""
        (self._folder / MANIFEST_FILE).write_bytes(format_manifest(self._entries))


@contextmanager
def new_goldens(folder: Path) -> Iterator[GoldenWriter]:
    """Yield a writer for `folder`, which is replaced as a whole if everything succeeds, and untouched if not.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    with atomic_directory(folder) as partial:
        writer = GoldenWriter(partial)
        yield writer
        writer.write_manifest()
