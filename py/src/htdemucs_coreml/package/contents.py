"""A readable listing of what a package holds, so that a difference between two packages has a name.

One line per item, in order: ``metadata KEY VALUE``, ``interface model DIGEST``, ``interface FUNCTION DIGEST``,
``operation NAME DIGEST`` and ``constant NAME TYPE DIGEST``, where a constant that stands in an operation is called
``OPERATION.PARAMETER``. Digests are the first 16 hexadecimal digits of a sha256: of an operation's serialised form with
its small constants, of a large constant's bytes in ``weight.bin``, of a function without its operations, and of the
model without its functions and its user-defined metadata. So every field of a ``model.mlmodel`` stands behind one of
the lines.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from coremltools.proto import MIL_pb2, Model_pb2

from htdemucs_coreml.package.files import read_package_files, require_sizes
from htdemucs_coreml.package.layout import MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import Package, parse_model
from htdemucs_coreml.package.stored_weights import StoredWeights
from htdemucs_coreml.package.weight_file import WeightFileError

_DIGEST_DIGITS = 16


def list_contents(package: Package) -> list[str]:
    """The listing of a package, a line per item.

    Raises
    ------
    PackageError
        If a constant does not lie inside ``weight.bin``.
    """
    return list(_lines(package.path, package.model, package.metadata.to_strings()))


def list_damaged_contents(path: Path) -> list[str]:
    """The listing of a package whose digests may be wrong, as far as it can be read at all.

    Raises
    ------
    PackageError
        If that is not far enough: a file is missing or too large, or ``model.mlmodel`` cannot be parsed.
    """
    files = read_package_files(path)
    require_sizes(path, files)
    try:
        model = parse_model(path, files[MODEL].read_bytes())
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    return list(_lines(path, model, dict(model.description.metadata.userDefined)))


def short_digest(content: bytes | memoryview) -> str:
    """As much of the sha256 of bytes as stands in a listing."""
    return hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]


def differences(
    expected: list[str], actual: list[str], most: int = 20, words: tuple[str, str] = ("expected", "got")
) -> Iterator[str]:
    """What differs between two listings, item by item, at most `most` lines; `words` stand before both values."""
    before, after = (dict(_keyed(lines)) for lines in (expected, actual))
    keys = [*before, *(key for key in after if key not in before)]
    found = [
        f"{key}: {words[0]} {_value(key, before.get(key))}, {words[1]} {_value(key, after.get(key))}"
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


def _lines(path: Path, model: Model_pb2.Model, metadata: Mapping[str, str]) -> Iterator[str]:
    weights = StoredWeights(path / WEIGHT_BIN)
    for key, value in sorted(metadata.items()):
        yield f"metadata {_one_line(key)} {_one_line(value)}"
    interface = Model_pb2.Model()
    interface.CopyFrom(model)
    interface.description.metadata.userDefined.clear()
    interface.mlProgram.functions.clear()
    yield f"interface model {short_digest(interface.SerializeToString(deterministic=True))}"
    for name, function in sorted(model.mlProgram.functions.items()):
        signature = MIL_pb2.Function()
        signature.CopyFrom(function)
        for block in signature.block_specializations.values():
            del block.operations[:]
        yield f"interface {_one_line(name)} {short_digest(signature.SerializeToString(deterministic=True))}"
        for _, block in sorted(function.block_specializations.items()):
            yield from _block_lines(path, block, weights)


def _block_lines(path: Path, block: MIL_pb2.Block, weights: StoredWeights) -> Iterator[str]:
    small_constants: dict[str, bytes] = {}
    for operation in block.operations:
        if not operation.outputs:
            raise PackageError(f"{path} holds an operation {operation.type} without a result; it is malformed")
        name = _one_line(operation.outputs[0].name)
        if operation.type != "const":
            bare = MIL_pb2.Operation()
            bare.CopyFrom(operation)
            # Where a constant lies says nothing about this operation.
            for parameter, value in _stored_parameters(bare):
                yield _constant_line(f"{name}.{_one_line(parameter)}", value.type, value, weights)
                value.blobFileValue.offset = 0
            used = [
                small_constants.get(_one_line(binding.name), b"")
                for _, argument in sorted(operation.inputs.items())
                for binding in argument.arguments
            ]
            yield f"operation {name} {short_digest(b''.join([bare.SerializeToString(deterministic=True), *used]))}"
        elif operation.attributes["val"].HasField("blobFileValue"):
            yield _constant_line(name, operation.outputs[0].type, operation.attributes["val"], weights)
        else:
            small_constants[name] = operation.SerializeToString(deterministic=True)


def _stored_parameters(operation: MIL_pb2.Operation) -> Iterator[tuple[str, MIL_pb2.Value]]:
    """Constants of ``weight.bin`` that stand in the operation itself, as those of compressed weights do."""
    for parameter, argument in sorted(operation.inputs.items()):
        for binding in argument.arguments:
            if binding.value.HasField("blobFileValue"):
                yield parameter, binding.value


def _constant_line(name: str, declared: MIL_pb2.ValueType, value: MIL_pb2.Value, weights: StoredWeights) -> str:
    try:
        content = weights.blob(value.blobFileValue.offset).data
    except WeightFileError as error:
        raise WeightFileError(f"constant {name} cannot be read: {error}") from error
    return f"constant {name} {_type_text(declared)} {short_digest(content)}"


def _one_line(text: str) -> str:
    """Escape line breaks and whatever else does not print; a listing would be read otherwise than it was written."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _type_text(declared: MIL_pb2.ValueType) -> str:
    tensor = declared.tensorType
    shape = "x".join(str(dimension.constant.size) for dimension in tensor.dimensions)
    known = MIL_pb2.DataType.values()
    name = MIL_pb2.DataType.Name(tensor.dataType).lower() if tensor.dataType in known else f"type{tensor.dataType}"
    return f"{name}[{shape}]"
