"""What can be said of a program without executing it: operations, multiply-adds, sizes, memory.

Constant expressions (``constexpr_...``) count as operations of their own kind; they are unpacked when a
program is loaded and take part in nothing else here.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from htdemucs_coreml.mil.constants import ConstantSize, UsedConstant, constant_expressions, used_constants
from htdemucs_coreml.mil.errors import ProgramError
from htdemucs_coreml.mil.liveness import held_bytes
from htdemucs_coreml.mil.program import Argument, Constant, Operation, Program
from htdemucs_coreml.mil.tensor_types import DataType, TensorType


@dataclass(frozen=True)
class PeakMemory:
    """The moment at which the values of a running program take most memory.

    Attributes
    ----------
    bytes : int
        Size of all values that are alive then; see `held_bytes`.
    operation : str
        Name of the operation that is executing, the first one if it is so during several; empty where there
        is none.
    """

    bytes: int
    operation: str


@dataclass(frozen=True)
class Costs:
    """Static figures of a program or of a part of it; its mappings are sorted by key.

    Attributes
    ----------
    operations_by_type : Mapping of str to int
        Number of operations of each type, constants not counted.
    operations_by_dtype : Mapping of DataType to int
        Number of operations by the element type of their first result.
    multiply_adds : Mapping of (str, DataType) to int
        Multiplications with an addition, by operation type and element type of the result, in convolutions,
        matrix products and attention; other operations have none.
    constants : tuple of ConstantSize
        All constants by name, those written into operations included.
    peak_memory : PeakMemory
        Memory for all values of the program, at its most while these operations run.
    """

    operations_by_type: Mapping[str, int]
    operations_by_dtype: Mapping[DataType, int]
    multiply_adds: Mapping[tuple[str, DataType], int]
    constants: tuple[ConstantSize, ...]
    peak_memory: PeakMemory

    @property
    def operations(self) -> int:
        """Number of operations, constants not counted."""
        return sum(self.operations_by_type.values())

    @property
    def casts(self) -> int:
        """Number of operations that only change the element type."""
        return self.operations_by_type.get("cast", 0)

    @property
    def multiply_adds_by_dtype(self) -> Mapping[DataType, int]:
        """Multiply-adds by the element type of the result."""
        counts: Counter[DataType] = Counter()
        for (_, dtype), count in self.multiply_adds.items():
            counts[dtype] += count
        return _sorted_by_dtype(counts)

    @property
    def float16_share(self) -> float | None:
        """Share of the multiply-adds whose result is float16, 0 to 1; ``None`` if there are none."""
        total = sum(self.multiply_adds.values())
        return self.multiply_adds_by_dtype.get(DataType.FLOAT16, 0) / total if total else None

    @property
    def constant_bytes(self) -> int:
        """What the package stores of the constants; a blob that several of them share counts once."""
        return sum(constant.stored_bytes for constant in self.constants)

    @property
    def unpacked_constant_bytes(self) -> int:
        """Size of the constants as operations take them, compressed ones unpacked."""
        return sum(constant.bytes for constant in self.constants)


@dataclass(frozen=True)
class Analysis(Costs):
    """Static figures of a program, and of each of its blocks.

    Attributes
    ----------
    inputs, outputs : Mapping of str to TensorType
        What the program takes and returns.
    held_bytes : tuple of int
        Memory for values during each operation, in the order of execution.
    blocks : Mapping of str to Costs
        Of each block, in the order in which they begin. A constant belongs to the block of the first operation
        that takes it, so that all counts and bytes add up to those of the program.
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    held_bytes: tuple[int, ...]
    blocks: Mapping[str, Costs]


def analyse(program: Program, block_of: Callable[[str], str] = lambda _: "") -> Analysis:
    """Describe a program.

    Parameters
    ----------
    program : Program
        What `read_package` returned; operations that the interpreter does not know are counted like others.
    block_of : callable
        The block to which an operation belongs, by its name. By default all are of one.

    Raises
    ------
    ProgramError
        If a convolution, product or attention lacks a parameter or an axis.
    """
    function = program.main
    held = held_bytes(function)
    running = tuple(zip(function.operations, held, strict=True))
    constants = used_constants(function)

    operations_of: dict[str, list[tuple[Operation, int]]] = defaultdict(list)
    constants_of: dict[str, list[UsedConstant]] = defaultdict(list)
    for operation, bytes_held in running:
        operations_of[block_of(operation.name)].append((operation, bytes_held))
    for constant in constants:
        constants_of[block_of(constant.user)].append(constant)
    whole = _costs(running, constants)
    return Analysis(
        whole.operations_by_type,
        whole.operations_by_dtype,
        whole.multiply_adds,
        whole.constants,
        # Without operations, inputs are held all the same.
        whole.peak_memory if running else PeakMemory(sum(value.type.bytes for value in function.inputs), ""),
        inputs={value.name: value.type for value in function.inputs},
        outputs={argument.name: argument.type for argument in function.outputs},
        held_bytes=held,
        blocks={
            block: _costs(operations_of.get(block, ()), constants_of.get(block, ()))
            for block in dict.fromkeys((*operations_of, *constants_of))
        },
    )


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


def _costs(running: Sequence[tuple[Operation, int]], constants: Iterable[UsedConstant]) -> Costs:
    """Costs of operations, each with the bytes that are held while it runs, and of constants."""
    constants = tuple(constants)
    counted = (*constant_expressions(constants), *(operation for operation, _ in running))
    multiply_adds: Counter[tuple[str, DataType]] = Counter()
    for operation, _ in running:
        if count := operation_multiply_adds(operation):
            multiply_adds[operation.type, _dtype(operation)] += count
    peak = PeakMemory(0, "")
    for operation, held in running:
        if held > peak.bytes:
            peak = PeakMemory(held, operation.name)
    return Costs(
        operations_by_type=dict(sorted(Counter(operation.type for operation in counted).items())),
        operations_by_dtype=_sorted_by_dtype(Counter(map(_dtype, counted))),
        multiply_adds=dict(sorted(multiply_adds.items(), key=lambda item: (item[0][0], item[0][1].value))),
        constants=tuple(sorted((constant.size for constant in constants), key=lambda size: size.name)),
        peak_memory=peak,
    )


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


def _sorted_by_dtype(counts: Mapping[DataType, int]) -> Mapping[DataType, int]:
    return dict(sorted(counts.items(), key=lambda item: item[0].value))


def _dtype(operation: Operation) -> DataType:
    return operation.outputs[0].type.dtype


def _shape(operation: Operation, parameter: str) -> tuple[int, ...]:
    return operation.inputs[parameter][0].type.shape


def _is_true(operation: Operation, parameter: str) -> bool:
    arguments: tuple[Argument, ...] = operation.inputs.get(parameter, ())
    return any(isinstance(argument, Constant) and bool(argument.array().any()) for argument in arguments)
