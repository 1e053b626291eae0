"""What can be said of a program without executing it: operations, multiply-adds, sizes, memory.

Constant expressions (``constexpr_...``) count as operations of their own kind; they are unpacked when a
program is loaded and take part in nothing else here.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from htdemucs_coreml.mil.blob import Blob
from htdemucs_coreml.mil.errors import ProgramError
from htdemucs_coreml.mil.liveness import last_uses
from htdemucs_coreml.mil.program import Argument, Constant, Function, Operation, Program
from htdemucs_coreml.mil.tensor_types import DataType, TensorType


@dataclass(frozen=True)
class StoredConstant:
    """A constant's place and size in the package.

    Attributes
    ----------
    name : str
        Name in the program, or ``result.parameter``.
    type : TensorType
        Declared type.
    blob_offset : int or None
        Offset of its blob in the weight file; ``None`` if it stands in the program itself.
    """

    name: str
    type: TensorType
    blob_offset: int | None

    @property
    def bytes(self) -> int:
        """Size of its elements; 0 for texts."""
        return self.type.bytes


@dataclass(frozen=True)
class PeakMemory:
    """The moment at which the values of a running program take most memory.

    Attributes
    ----------
    bytes : int
        Size of all values that are alive then, each counted with its declared type, as if no operation
        returned a view of its argument. Inputs count until their last use, outputs to the end; constants do
        not count.
    operation : str
        Name of the operation that is executing; its arguments and results are both alive.
    """

    bytes: int
    operation: str


@dataclass(frozen=True)
class Analysis:
    """Static figures of a program; its mappings are sorted by key, its constants by name.

    Attributes
    ----------
    inputs, outputs : Mapping of str to TensorType
        What the program takes and returns.
    operations_by_type : Mapping of str to int
        Number of operations of each type, constants not counted.
    operations_by_dtype : Mapping of DataType to int
        Number of operations by the element type of their first result.
    multiply_adds : Mapping of (str, DataType) to int
        Multiplications with an addition, by operation type and element type of the result, in convolutions,
        matrix products and attention; other operations have none.
    constants : tuple of StoredConstant
        All constants, those written into operations included.
    peak_memory : PeakMemory
        Memory for values while the program runs.
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    operations_by_type: Mapping[str, int]
    operations_by_dtype: Mapping[DataType, int]
    multiply_adds: Mapping[tuple[str, DataType], int]
    constants: tuple[StoredConstant, ...]
    peak_memory: PeakMemory

    @property
    def operations(self) -> int:
        """Number of operations, constants not counted."""
        return sum(self.operations_by_type.values())

    @property
    def constant_bytes(self) -> int:
        """Stored bytes of all constants; a blob that several of them share counts once."""
        shared = {constant.blob_offset: constant.bytes for constant in self.constants}
        shared.pop(None, None)
        immediate = sum(constant.bytes for constant in self.constants if constant.blob_offset is None)
        return sum(shared.values()) + immediate


def analyse(program: Program) -> Analysis:
    """Describe a program.

    Parameters
    ----------
    program : Program
        What `read_package` returned; operations that the interpreter does not know are counted like others.

    Raises
    ------
    ProgramError
        If a convolution, product or attention lacks a parameter or an axis.
    """
    function = program.main
    operations = (*function.constant_expressions, *function.operations)
    multiply_adds: Counter[tuple[str, DataType]] = Counter()
    for operation in function.operations:
        if count := operation_multiply_adds(operation):
            multiply_adds[operation.type, _dtype(operation)] += count
    return Analysis(
        inputs={value.name: value.type for value in function.inputs},
        outputs={argument.name: argument.type for argument in function.outputs},
        operations_by_type=dict(sorted(Counter(operation.type for operation in operations).items())),
        operations_by_dtype=dict(sorted(Counter(map(_dtype, operations)).items(), key=lambda item: item[0].value)),
        multiply_adds=dict(sorted(multiply_adds.items(), key=lambda item: (item[0][0], item[0][1].value))),
        constants=tuple(sorted(_constants(function), key=lambda constant: constant.name)),
        peak_memory=peak_memory(function),
    )


def peak_memory(function: Function) -> PeakMemory:
    """Find the operation during which most memory is taken by values; see `PeakMemory`."""
    alive = {value.name: value.type.bytes for value in function.inputs}
    held = sum(alive.values())
    peak = PeakMemory(held, "")
    for operation, dying in zip(function.operations, last_uses(function), strict=True):
        for output in operation.outputs:
            alive[output.name] = output.type.bytes
            held += output.type.bytes
        if held > peak.bytes:
            peak = PeakMemory(held, operation.name)
        held -= sum(alive.pop(name) for name in dying)
    return peak


def operation_multiply_adds(operation: Operation) -> int:
    """Multiplications with an addition that an operation takes when computed as defined, without shortcuts.

    Raises
    ------
    ProgramError
        If it lacks a parameter or an axis that its type demands.
    """
    try:
        return _multiply_adds(operation)
    except (KeyError, IndexError) as error:
        raise ProgramError(f"{operation} lacks a parameter or an axis that it must have: {error}") from error


def _multiply_adds(operation: Operation) -> int:
    output = operation.outputs[0].type
    match operation.type:
        case "conv":
            return output.elements * math.prod(_shape(operation, "weight")[1:])
        case "conv_transpose":
            return math.prod(_shape(operation, "x")) * math.prod(_shape(operation, "weight")[1:])
        case "linear":
            return output.elements * _shape(operation, "weight")[-1]
        case "matmul":
            transposed = _is_true(operation, "transpose_x")
            return output.elements * _shape(operation, "x")[-2 if transposed else -1]
        case "scaled_dot_product_attention":
            query, key = _shape(operation, "query"), _shape(operation, "key")
            return (math.prod(query) + output.elements) * key[-2]
        case _:
            return 0


def _dtype(operation: Operation) -> DataType:
    return operation.outputs[0].type.dtype


def _shape(operation: Operation, parameter: str) -> tuple[int, ...]:
    return operation.inputs[parameter][0].type.shape


def _is_true(operation: Operation, parameter: str) -> bool:
    arguments: tuple[Argument, ...] = operation.inputs.get(parameter, ())
    return any(isinstance(argument, Constant) and bool(argument.array().any()) for argument in arguments)


def _constants(function: Function) -> Iterator[StoredConstant]:
    """Every stored constant once, those that only stand in an operation's parameters too."""
    found = dict.fromkeys(function.constants.values())
    for operation in (*function.constant_expressions, *function.operations):
        found.update(dict.fromkeys(item for item in operation.arguments() if isinstance(item, Constant)))
    for constant in found:
        offset = constant.source.offset if isinstance(constant.source, Blob) else None
        yield StoredConstant(constant.name, constant.type, offset)
