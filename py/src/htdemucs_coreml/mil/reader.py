"""From a package's bytes to a checked `Program`."""

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from htdemucs_coreml.mil.blob import BlobFile, unpack
from htdemucs_coreml.mil.errors import PackageError, ProgramError, UnsupportedError
from htdemucs_coreml.mil.package import PackageFiles, open_package
from htdemucs_coreml.mil.program import Argument, Constant, Function, Metadata, Operation, Program, Value
from htdemucs_coreml.mil.schema import array_type_name, data_type_name, parse_model
from htdemucs_coreml.mil.tensor_types import Array, DataType, TensorType

_SPECIFICATION_VERSIONS = range(6, 10)  # iOS 15 to iOS 18
_OPSETS = ("CoreML5", "CoreML6", "CoreML7", "CoreML8")
_PROGRAM_VERSION = 1
_MAIN = "main"
_CONSTANT_EXPRESSION = "constexpr_"
_MAXIMUM_SIZE = 2**31 - 1
_MAXIMUM_ELEMENTS = 2**40

# Fields of TensorValue; "bytes" holds all other types (coremltools 9.0, backend/mil/helper.py).
_IMMEDIATE_FIELDS = {
    DataType.BOOL: "bools",
    DataType.STRING: "strings",
    DataType.FLOAT32: "floats",
    DataType.INT16: "ints",
    DataType.INT32: "ints",
    DataType.UINT16: "ints",
}


def read_package(path: str | Path) -> Program:
    """Read an ML program package (``.mlpackage``).

    Weights are mapped, not loaded: the package must stay as it is while the program is in use.

    Parameters
    ----------
    path : str or Path
        The package's folder.

    Returns
    -------
    Program
        With every name resolved and every constant's type checked against its stored data. Whether its
        operations are known is the interpreter's question, so that unknown ones can still be counted.

    Raises
    ------
    PackageError
        If the folder, its manifest or a file is missing, unreadable or malformed.
    WeightsError
        If a weight file is damaged or does not hold what the program refers to.
    ProgramError
        If the program contradicts itself.
    UnsupportedError
        If it uses a feature of the format that the interpreter does not have, such as flexible shapes.
    """
    files = open_package(Path(path))
    try:
        model = parse_model(files.read_model())
    except ValueError as error:
        raise PackageError(f"{files.model} is not a Core ML model; it may be truncated: {error}") from error
    return _ModelReader(files).program(model)


class _ModelReader:
    """Turns one model message into a program; holds the files that constants refer to."""

    def __init__(self, files: PackageFiles) -> None:
        self._files = files
        self._blob_files: dict[Path, BlobFile] = {}

    def program(self, model: Any) -> Program:
        source = self._files.model
        version = model.specificationVersion
        if version not in _SPECIFICATION_VERSIONS:
            raise UnsupportedError(f"{source} has specification version {version}; 6 (iOS 15) to 9 (iOS 18) are known")
        kind = model.WhichOneof("Type")
        if kind != "mlProgram":
            raise UnsupportedError(f"{source} holds a model of kind {kind}; only mlProgram is supported")
        if model.mlProgram.version != _PROGRAM_VERSION:
            raise UnsupportedError(f"{source} holds a program of version {model.mlProgram.version}; only 1 is known")
        if model.isUpdatable:
            raise UnsupportedError(f"{source} is updatable, which is not supported")
        _refuse_others(model.mlProgram.attributes, ("buildInfo",), f"{source}: the program")
        functions = model.mlProgram.functions
        if list(functions) != [_MAIN]:
            raise UnsupportedError(f"{source} has functions {sorted(functions)}; only one, '{_MAIN}', is supported")
        main = self._function(functions[_MAIN])
        _check_description(model.description, main, source)
        text = model.description.metadata
        metadata = Metadata(
            text.shortDescription,
            text.author,
            text.license,
            text.versionString,
            dict(sorted(text.userDefined.items())),
        )
        weight_paths = tuple(sorted(self._blob_files))
        return Program(self._files.path, source, weight_paths, version, metadata, main)

    def _function(self, function: Any) -> Function:
        place = f"function '{_MAIN}'"
        _refuse_others(function.attributes, (), place)
        if function.opset not in _OPSETS:
            raise UnsupportedError(f"{place} uses operation set '{function.opset}'; known are {', '.join(_OPSETS)}")
        if list(function.block_specializations) != [function.opset]:
            raise UnsupportedError(f"{place} has bodies for other operation sets than its own, '{function.opset}'")
        block = function.block_specializations[function.opset]
        _refuse_others(block.attributes, (), place)
        if block.inputs:
            raise UnsupportedError(f"{place} has a body with inputs of its own")

        names: dict[str, Argument] = {}
        inputs = tuple(_value(named, place) for named in function.inputs)
        for value in inputs:
            _define(names, value, place)
        constants: dict[str, Constant] = {}
        constant_expressions: list[Operation] = []
        made_constant: set[str] = set()
        operations: list[Operation] = []
        for message in block.operations:
            if message.type == "const":
                constant = self._const(message)
                _define(names, constant, f"constant '{constant.name}'")
                constants[constant.name] = constant
                continue
            operation = self._operation(message, names)
            if operation.type.startswith(_CONSTANT_EXPRESSION):
                _check_constant(operation, made_constant)
                constant_expressions.append(operation)
                made_constant.update(value.name for value in operation.outputs)
            else:
                operations.append(operation)
            for value in operation.outputs:
                _define(names, value, str(operation))
        if not block.outputs:
            raise ProgramError(f"{place} has no outputs")
        if len(set(block.outputs)) != len(block.outputs):
            raise ProgramError(f"{place} lists an output twice")
        outputs = tuple(_resolve(names, name, f"the outputs of {place}") for name in block.outputs)
        return Function(
            _MAIN, function.opset, inputs, constants, tuple(constant_expressions), tuple(operations), outputs
        )

    def _const(self, message: Any) -> Constant:
        if len(message.outputs) != 1 or message.inputs or message.blocks:
            raise ProgramError("a const operation has inputs, blocks, or not exactly one output")
        declared = _value(message.outputs[0], "a const operation")
        place = f"constant '{declared.name}'"
        _refuse_others(message.attributes, ("name", "val"), place)
        if "val" not in message.attributes:
            raise ProgramError(f"{place} has no value")
        constant = self._constant(message.attributes["val"], declared.name, place)
        if constant.type != declared.type:
            raise ProgramError(f"{place} is declared {declared.type} but holds {constant.type}")
        return constant

    def _operation(self, message: Any, names: Mapping[str, Argument]) -> Operation:
        if not message.outputs:
            raise ProgramError(f"an operation of type '{message.type}' has no outputs")
        name = _operation_name(message)
        place = f"operation '{name}' ({message.type})"
        _refuse_others(message.attributes, ("name",), place)
        if message.blocks:
            raise UnsupportedError(f"{place} has blocks of its own (control flow), which is not supported")
        inputs: dict[str, tuple[Argument, ...]] = {}
        for parameter, argument in sorted(message.inputs.items()):
            bindings = argument.arguments
            where = f"{place}, parameter '{parameter}'"
            if not bindings:
                raise ProgramError(f"{where}, has no argument")
            label = f"{message.outputs[0].name}.{parameter}"
            labels = [label] if len(bindings) == 1 else [f"{label}.{index}" for index in range(len(bindings))]
            inputs[parameter] = tuple(
                self._argument(binding, names, label, where) for binding, label in zip(bindings, labels, strict=True)
            )
        outputs = tuple(_value(named, place) for named in message.outputs)
        return Operation(message.type, name, inputs, outputs)

    def _argument(self, binding: Any, names: Mapping[str, Argument], label: str, place: str) -> Argument:
        kind = binding.WhichOneof("binding")
        if kind == "name":
            return _resolve(names, binding.name, place)
        if kind == "value":
            return self._constant(binding.value, label, place)
        raise ProgramError(f"{place}, is neither a name nor a value")

    def _constant(self, value: Any, name: str, place: str) -> Constant:
        tensor_type = _tensor_type(value.type, place)
        kind = value.WhichOneof("value")
        if kind == "blobFileValue":
            return self._blob_constant(value.blobFileValue, name, tensor_type, place)
        if kind == "immediateValue":
            return Constant(name, tensor_type, _immediate(value.immediateValue, tensor_type, place))
        raise ProgramError(f"{place} has no value")

    def _blob_constant(self, reference: Any, name: str, tensor_type: TensorType, place: str) -> Constant:
        path = self._files.weight_file(reference.fileName)
        if path not in self._blob_files:
            self._blob_files[path] = BlobFile(path)
        blob = self._blob_files[path].blob(reference.offset)
        if blob.dtype is not tensor_type.dtype or blob.count != tensor_type.elements:
            raise ProgramError(
                f"{place} is declared {tensor_type}, but the blob at offset {blob.offset} of {path} holds"
                f" {blob.count} elements of {blob.dtype.value.lower()}"
            )
        return Constant(name, tensor_type, blob)


def _check_constant(operation: Operation, made: Set[str]) -> None:
    for argument in operation.arguments():
        if isinstance(argument, Value) and argument.name not in made:
            raise ProgramError(f"{operation} depends on '{argument.name}', which is not constant")


def _operation_name(message: Any) -> str:
    if "name" not in message.attributes:
        return str(message.outputs[0].name)
    place = f"the name of the operation that makes '{message.outputs[0].name}'"
    value = message.attributes["name"]
    tensor_type = _tensor_type(value.type, place)
    if tensor_type != TensorType(DataType.STRING, ()) or value.WhichOneof("value") != "immediateValue":
        raise ProgramError(f"{place} is not a text")
    return str(_immediate(value.immediateValue, tensor_type, place)[0])


def _define(names: dict[str, Argument], value: Argument, place: str) -> None:
    if not value.name:
        raise ProgramError(f"{place} makes a value without a name")
    if value.name in names:
        raise ProgramError(f"{place} makes '{value.name}', which was made before")
    names[value.name] = value


def _resolve(names: Mapping[str, Argument], name: str, place: str) -> Argument:
    if name not in names:
        raise ProgramError(f"{place}, refers to '{name}', which nothing before it makes")
    return names[name]


def _refuse_others(attributes: Iterable[str], known: Sequence[str], place: str) -> None:
    unknown = sorted(set(attributes) - set(known))
    if unknown:
        raise UnsupportedError(f"{place} has the attribute '{unknown[0]}', which is not known")


def _value(named: Any, place: str) -> Value:
    return Value(named.name, _tensor_type(named.type, f"{place}, value '{named.name}',"))


def _tensor_type(value_type: Any, place: str) -> TensorType:
    kind = value_type.WhichOneof("type")
    if kind != "tensorType":
        raise UnsupportedError(f"{place} has a type of kind {kind}; only tensorType is supported")
    tensor_type = value_type.tensorType
    _refuse_others(tensor_type.attributes, (), f"{place} whose type")
    type_name = data_type_name(tensor_type.dataType)
    if type_name not in DataType.__members__:
        raise UnsupportedError(f"{place} has elements of type {type_name}, which is not supported")
    if tensor_type.rank != len(tensor_type.dimensions):
        raise ProgramError(f"{place} has rank {tensor_type.rank} but {len(tensor_type.dimensions)} dimensions")
    for dimension in tensor_type.dimensions:
        if dimension.WhichOneof("dimension") != "constant":
            raise UnsupportedError(f"{place} has a flexible shape, which is not supported")
    result = TensorType(DataType[type_name], tuple(d.constant.size for d in tensor_type.dimensions))
    if any(size > _MAXIMUM_SIZE for size in result.shape) or result.elements > _MAXIMUM_ELEMENTS:
        raise ProgramError(f"{place} has the shape {result.shape}, which is unreasonably large")
    return result


def _immediate(value: Any, tensor_type: TensorType, place: str) -> Array:
    """Elements in one dimension, in the type of `DataType.numpy`; texts as Python's."""
    kind = value.WhichOneof("value")
    if kind != "tensor":
        raise UnsupportedError(f"{place} has a value of kind {kind}; only tensor is supported")
    dtype, count = tensor_type.dtype, tensor_type.elements
    expected = _IMMEDIATE_FIELDS.get(dtype, "bytes")
    field = value.tensor.WhichOneof("value")
    if field != expected:
        raise ProgramError(f"{place} of type {tensor_type} is stored as {field}, not as {expected}")
    values = getattr(value.tensor, field).values
    stored = len(values)
    if stored != (tensor_type.bytes if field == "bytes" else count):
        raise ProgramError(f"{place} of type {tensor_type} is stored as {stored} {field}, which does not fit")
    if field == "bytes":
        data: Array = np.frombuffer(bytearray(values), np.uint8)
        return unpack(data, dtype, count) if dtype.bits < 8 else data.view(dtype.numpy)
    try:
        return np.array(values, dtype.numpy)
    except OverflowError as error:
        raise ProgramError(f"{place} holds a number that is outside the range of {dtype.value.lower()}") from error


def _check_description(description: Any, main: Function, source: Path) -> None:
    """Compare what hosts see (features) with the function's inputs and outputs."""
    if description.functions or description.state:
        raise UnsupportedError(f"{source} describes several functions or states, which is not supported")
    _check_features("input", description.input, main.inputs, source)
    _check_features("output", description.output, main.outputs, source)


def _check_features(kind: str, features: Any, arguments: Sequence[Argument], source: Path) -> None:
    described = [feature.name for feature in features]
    declared = [argument.name for argument in arguments]
    if sorted(described) != sorted(declared):
        raise ProgramError(f"{source} describes the {kind}s {described}, but its program has {declared}")
    types = {argument.name: argument.type for argument in arguments}
    for feature in features:
        place = f"{source}: the description of {kind} '{feature.name}'"
        feature_kind = feature.type.WhichOneof("Type")
        if feature_kind != "multiArrayType":
            raise UnsupportedError(f"{place} has the kind {feature_kind}; only multiArrayType is supported")
        if feature.type.isOptional:
            raise UnsupportedError(f"{place} is optional, which is not supported")
        array = feature.type.multiArrayType
        if array.WhichOneof("ShapeFlexibility") is not None:
            raise UnsupportedError(f"{place} has a flexible shape, which is not supported")
        shape, dtype_name = tuple(array.shape), array_type_name(array.dataType)
        declared_type = types[feature.name]
        if shape != declared_type.shape or dtype_name != declared_type.dtype.value:
            raise ProgramError(f"{place} says {dtype_name.lower()}{list(shape)}; the program says {declared_type}")
