"""Where two folders of packages differ: in which file, in which constant and element, operation or metadata."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from coremltools.proto import MIL_pb2, Model_pb2
from numpy.typing import NDArray

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.package.contents import differences, list_damaged_contents
from htdemucs_coreml.package.layout import MODEL, WEIGHT_BIN
from htdemucs_coreml.package.stored_weights import StoredBlob, StoredWeights
from repro.trees import tree

_PACKAGE = ".mlpackage"
# Digests of the others: they differ whenever anything does.
_CONSEQUENCES = ("metadata model_sha256:", "metadata weight_bin_sha256:")
_MOST = 8


def name_differences(expected: Path, actual: Path) -> list[str]:
    """What differs between two folders, a line each; nothing where every byte and mode is the same.

    Files and modes come first; then, for each package with another file, constants with their first differing element,
    operations, and metadata.
    """
    before, after = tree(expected), tree(actual)
    differing = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    found = []
    for path in differing:
        old, new = before.get(path), after.get(path)
        if old is None or new is None:
            found.append(f"{path}: {'unexpected' if old is None else 'missing'}")
        elif old.sha256 != new.sha256:
            found.append(f"{path}: byte {_first_byte(expected / path, actual / path)} is the first that differs")
        if old is not None and new is not None and old.mode != new.mode:
            found.append(f"{path}: mode {new.mode:o}, expected {old.mode:o}")
    packages = {parent for path in differing for parent in (path, *path.parents) if parent.suffix == _PACKAGE}
    for package in sorted(packages):
        try:
            found += _inside(expected / package, actual / package, package)
        except HTDemucsCoreMLError as error:
            found.append(f"{package}: {error}")
    return found


def _first_byte(expected: Path, actual: Path) -> int:
    """Offset of the first byte that differs; the shorter length where one file begins with the other."""
    old, new = (np.frombuffer(path.read_bytes(), np.uint8) for path in (expected, actual))
    length = min(len(old), len(new))
    unequal = np.flatnonzero(old[:length] != new[:length])
    return int(unequal[0]) if unequal.size else length


def _inside(expected: Path, actual: Path, package: PurePosixPath) -> Iterator[str]:
    old, new = list_damaged_contents(expected), list_damaged_contents(actual)
    named = [line for line in differences(old, new, most=len(old) + len(new)) if not line.startswith(_CONSEQUENCES)]
    constants = [line.split(":")[0].split(" ")[1] for line in named if line.startswith("constant ")]
    others = [line for line in named if not line.startswith("constant ")]
    read = [_Constants(path) for path in (expected, actual)]
    for line in (
        *(f"constant {name}: {_first_element(name, *read)}" for name in constants[:_MOST]),
        *([f"and {len(constants) - _MOST} constants more"] if len(constants) > _MOST else []),
        *others[:_MOST],
        *([f"and {len(others) - _MOST} more"] if len(others) > _MOST else []),
    ):
        yield f"{package}: {line}"


class _Constants:
    """The large constants of a package by their names."""

    def __init__(self, package: Path) -> None:
        model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
        self._weights = StoredWeights(package / WEIGHT_BIN)
        self._operations: dict[str, MIL_pb2.Operation] = {
            operation.outputs[0].name: operation
            for function in model.mlProgram.functions.values()
            for block in function.block_specializations.values()
            for operation in block.operations
            if operation.type == "const" and operation.attributes["val"].HasField("blobFileValue")
        }

    def find(self, name: str) -> tuple[StoredBlob, tuple[int, ...]] | None:
        """A constant's bytes and its shape; None if there is none of that name."""
        operation = self._operations.get(name)
        if operation is None:
            return None
        shape = tuple(dimension.constant.size for dimension in operation.outputs[0].type.tensorType.dimensions)
        return self._weights.blob(operation.attributes["val"].blobFileValue.offset), shape


def _first_element(name: str, expected: _Constants, actual: _Constants) -> str:
    old, new = expected.find(name), actual.find(name)
    if old is None or new is None:
        return "unexpected" if old is None else "missing"
    (old_blob, old_shape), (new_blob, new_shape) = old, new
    if (old_blob.element_type, old_shape) != (new_blob.element_type, new_shape):
        return (
            f"{new_blob.element_type.name.lower()}{list(new_shape)}, "
            f"expected {old_blob.element_type.name.lower()}{list(old_shape)}"
        )
    old_values, new_values = _elements(old_blob), _elements(new_blob)
    # Bits are compared: NaN differs from itself.
    bits = np.dtype(f"u{old_values.itemsize}")
    unequal = np.flatnonzero(old_values.view(bits) != new_values.view(bits))
    if not unequal.size:
        return "the same values in another place"
    first = int(unequal[0])
    packed = old_blob.element_type.bits < 8
    place = [first] if packed else [int(index) for index in np.unravel_index(first, old_shape)]
    unit = "byte" if packed else "element"
    return (
        f"{unit} {place} is {new_values[first]!s}, expected {old_values[first]!s}; "
        f"{unequal.size} of {old_values.size} {unit}s differ"
    )


def _elements(blob: StoredBlob) -> NDArray[np.generic]:
    """The elements of a constant; the bytes that hold them where they are narrower than one."""
    kind = blob.element_type.numpy if blob.element_type.bits >= 8 else np.dtype("u1")
    values: NDArray[np.generic] = np.frombuffer(blob.data, kind)
    return values
