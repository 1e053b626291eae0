"""A readable listing of what a package holds, so that a difference between two packages has a name.

One line per metadata entry, operation and large constant, in order: ``metadata KEY VALUE``, ``operation NAME DIGEST``
and ``constant NAME TYPE DIGEST``. Digests are the first 16 hexadecimal digits of a sha256: of an operation's serialised
form with its small constants, or of a constant's bytes in ``weight.bin``.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from coremltools.proto import MIL_pb2

from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import Package
from htdemucs_coreml.package.stored_weights import StoredWeights

_DIGEST_DIGITS = 16


def list_contents(package: Package) -> list[str]:
    """The listing of a package, a line per item.

    Raises
    ------
    PackageError
        If a constant does not lie inside ``weight.bin``.
    """
    weights = StoredWeights(package.path / WEIGHT_BIN)
    lines = [f"metadata {key} {_one_line(value)}" for key, value in sorted(package.metadata.to_strings().items())]
    for function in package.model.mlProgram.functions.values():
        for block in function.block_specializations.values():
            lines.extend(_block_lines(package.path, block, weights))
    return lines


def differences(expected: list[str], actual: list[str], most: int = 20) -> Iterator[str]:
    """What differs between two listings, item by item, at most `most` lines."""
    before, after = (dict(_keyed(lines)) for lines in (expected, actual))
    keys = [*before, *(key for key in after if key not in before)]
    found = [
        f"{key}: expected {_value(key, before.get(key))}, got {_value(key, after.get(key))}"
        for key in keys
        if before.get(key) != after.get(key)
    ]
    yield from found[:most]
    if len(found) > most:
        yield f"and {len(found) - most} more"


def _keyed(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each line by its kind and name; a line of another form by all of it."""
    for line in lines:
        yield " ".join(line.split(" ", 2)[:2]), line


def _value(key: str, line: str | None) -> str:
    return "none" if line is None else line[len(key) + 1 :]


def _block_lines(path: Path, block: MIL_pb2.Block, weights: StoredWeights) -> Iterator[str]:
    small_constants: dict[str, bytes] = {}
    for operation in block.operations:
        if not operation.outputs:
            raise PackageError(f"{path} holds an operation {operation.type} without a result; it is malformed")
        name = _one_line(operation.outputs[0].name)
        if operation.type != "const":
            digest = hashlib.sha256(operation.SerializeToString(deterministic=True))
            for _, argument in sorted(operation.inputs.items()):
                for binding in argument.arguments:
                    digest.update(small_constants.get(_one_line(binding.name), b""))
            yield f"operation {name} {digest.hexdigest()[:_DIGEST_DIGITS]}"
        elif operation.attributes["val"].HasField("blobFileValue"):
            content = weights.blob(operation.attributes["val"].blobFileValue.offset).data
            yield f"constant {name} {_type_text(operation)} {hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]}"
        else:
            small_constants[name] = operation.SerializeToString(deterministic=True)


def _one_line(text: str) -> str:
    """Escape line breaks and whatever else does not print; a listing would be read otherwise than it was written."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _type_text(operation: MIL_pb2.Operation) -> str:
    tensor = operation.outputs[0].type.tensorType
    shape = "x".join(str(dimension.constant.size) for dimension in tensor.dimensions)
    known = MIL_pb2.DataType.values()
    name = MIL_pb2.DataType.Name(tensor.dataType).lower() if tensor.dataType in known else f"type{tensor.dataType}"
    return f"{name}[{shape}]"
