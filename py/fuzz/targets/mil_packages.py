"""Packages as the interpreter reads them: weight files, folders, programs."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

import numpy as np
from coremltools.proto import Model_pb2

from fuzz.json_mutation import mutate_json
from fuzz.parts import join, mutation, split
from fuzz.protobuf_mutation import mutation_of
from fuzz.scratch import folder, written
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.mil import (
    ExecutionError,
    Interpreter,
    PackageError,
    Program,
    ProgramError,
    UnsupportedError,
    WeightsError,
    analyse,
    read_package,
)
from htdemucs_coreml.mil.blob import BlobFile
from htdemucs_coreml.mil.neural_engine import check
from htdemucs_coreml.mil.package import open_package
from htdemucs_coreml.mil.schema import parse_model
from htdemucs_coreml.package.weight_file import BLOB_HEADER, SENTINEL, ElementType, WeightFile

_ALIGNMENT = 64
_MANIFEST = {
    "fileFormatVersion": "1.0.0",
    "itemInfoEntries": {"M": {"path": "model.mlmodel"}, "W": {"path": "weights"}},
    "rootModelIdentifier": "M",
}
# What a fuzzed program may take: elements of a value alive, multiply-adds, bytes of all values at once.
_MAXIMUM_BYTES = 1 << 24
_MAXIMUM_MULTIPLY_ADDS = 1 << 24
_MAXIMUM_ENTRIES = 16


def blob_file(data: bytes) -> None:
    """A weight file: the writer makes the same bytes of what the reader gives."""
    file = BlobFile(written("weight.bin", data))
    weights = WeightFile()
    offset = _ALIGNMENT
    for _ in range(int.from_bytes(data[:4], "little")):
        blob = file.blob(offset)
        assert blob.elements().shape == (blob.count,)
        assert weights.add(ElementType[blob.dtype.value], blob.elements()) == offset
        offset = -(-(offset + _ALIGNMENT + blob.data.size) // _ALIGNMENT) * _ALIGNMENT
    again = b"".join(weights.chunks())
    # The reader takes zeros behind the last blob, up to the next one's place.
    assert len(data) - len(again) < _ALIGNMENT
    assert data == again + bytes(len(data) - len(again))


def _mutate_blob_file(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change a number of a header, or repeat a blob, or change bytes alone."""
    if random.random() < 0.3 or len(data) < 2 * _ALIGNMENT:
        return mutate_bytes(data, maximum)
    changed = bytearray(data)
    at = _ALIGNMENT * random.randrange(len(data) // _ALIGNMENT)
    choice = random.randrange(4)
    if choice == 0 and len(data) + _ALIGNMENT <= maximum:
        changed += bytes(-len(changed) % _ALIGNMENT) + BLOB_HEADER.pack(
            SENTINEL, random.randrange(17), 0, len(changed) + _ALIGNMENT, 0
        )
        changed[0:4] = (int.from_bytes(changed[0:4], "little") + 1 & 0xFFFFFFFF).to_bytes(4, "little")
    elif choice == 1:
        offset, size = random.choice(((0, 4), (4, 4), (8, 8), (16, 8), (24, 8)))
        value = int.from_bytes(changed[at + offset : at + offset + size], "little")
        value = random.choice(
            (value + 1, value - 1, value + 64, value - 64, 2 ** (8 * size) - 1, 2**31, random.randrange(16))
        )
        changed[at + offset : at + offset + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
    elif choice == 2:
        changed[at + 4 : at + 8] = random.randrange(17).to_bytes(4, "little")
        changed[at + 24 : at + 32] = random.randrange(9).to_bytes(8, "little")
    else:
        del changed[at + random.randrange(_ALIGNMENT) :]
    return bytes(changed[:maximum])


def package_folder(data: bytes) -> None:
    """A folder and its manifest: JSON of ``manifest`` (a text), ``entries`` ([kind, path]...) and ``reference``."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(table, dict) or not isinstance(table.get("entries"), list):
        return
    path = folder() / "folder.mlpackage"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    if isinstance(text := table.get("manifest"), str):
        (path / "Manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    for kind, entry in _entries(table["entries"]):
        _make(path, kind, entry)
    files = open_package(path)
    items = [files.model, *files.items]
    if isinstance(reference := table.get("reference"), str):
        items.append(files.weight_file(reference))
    for item in items:
        assert item.resolve().is_relative_to(path.resolve()), f"{item} is outside"
    files.read_model()


def _entries(entries: list[Any]) -> Iterator[tuple[str, PurePosixPath]]:
    for entry in entries[:_MAXIMUM_ENTRIES]:
        match entry:
            case [str(kind), str(text)] if not (
                PurePosixPath(text).is_absolute() or ".." in PurePosixPath(text).parts or "\0" in text
            ):
                yield kind, PurePosixPath(text)


def _make(path: Path, kind: str, entry: PurePosixPath) -> None:
    item = path / entry
    try:
        item.parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            item.mkdir(exist_ok=True)
        elif kind == "link":
            item.symlink_to("Manifest.json")
        else:
            item.write_bytes(b"content")
    except (OSError, ValueError):
        # No such entry can exist, so none does.
        return


def _read(data: bytes) -> Program:
    """The program of an input: a model, and a weight file unless it is empty."""
    model, weights = split(data)
    package = folder() / "program.mlpackage"
    if not package.exists():
        written("program.mlpackage/Manifest.json", json.dumps(_MANIFEST).encode())
        written("program.mlpackage/Data/weights/weight.bin", b"")
    written("program.mlpackage/Data/model.mlmodel", model)
    # A program that was read before maps the old file.
    (package / "Data" / "weights" / "weight.bin").unlink()
    written("program.mlpackage/Data/weights/weight.bin", weights)
    return read_package(package)


def program(data: bytes) -> None:
    """A model to a program, its figures and broken rules; written anew, the model gives the same."""
    read = _read(data)
    analysis, findings = analyse(read, _block_of), check(read)
    assert sum(costs.constant_bytes for costs in analysis.blocks.values()) == analysis.constant_bytes
    model, weights = split(data)
    again = _read(join(parse_model(model).SerializeToString(deterministic=True), weights))
    assert (analyse(again, _block_of), check(again)) == (analysis, findings)


def _block_of(name: str) -> str:
    return name[:2]


def execution(data: bytes) -> None:
    """A small program is made ready and runs; what it gives is what it declares."""
    read = _read(data)
    analysis = analyse(read)
    interpreter = Interpreter(read)
    if sum(analysis.multiply_adds.values()) > _MAXIMUM_MULTIPLY_ADDS or _bytes(read) > _MAXIMUM_BYTES:
        return
    inputs = {value.name: np.ones(value.type.shape, value.type.dtype.numpy) for value in read.main.inputs}
    outputs = interpreter.predict(inputs)
    for argument in read.main.outputs:
        assert outputs[argument.name].shape == argument.type.shape
        assert outputs[argument.name].dtype == argument.type.dtype.numpy


def _bytes(read: Program) -> int:
    values = [*read.main.inputs, *(output for operation in read.main.operations for output in operation.outputs)]
    return sum(value.type.elements * 8 for value in values)


_READING = (PackageError, WeightsError, ProgramError, UnsupportedError)
MUTATE_PACKAGE = mutation(mutation_of(Model_pb2.Model), _mutate_blob_file, of_first=0.9)
"""Changes a model, or the weight file that belongs to it."""

TARGETS = (
    Target("mil_blob_file", blob_file, (WeightsError,), weight=12, mutate=_mutate_blob_file),
    Target("mil_package_folder", package_folder, (PackageError,), weight=8, mutate=mutate_json),
    Target("mil_program", program, _READING, weight=5, mutate=MUTATE_PACKAGE),
    Target("mil_execution", execution, (*_READING, ExecutionError), weight=5, mutate=MUTATE_PACKAGE),
)
