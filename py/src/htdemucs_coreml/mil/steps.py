"""From operations to steps that are ready to execute: parameters checked, constants unpacked and in place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.mil.errors import MILError, ProgramError, UnsupportedError
from htdemucs_coreml.mil.liveness import last_uses
from htdemucs_coreml.mil.operations import Kernel, look_up
from htdemucs_coreml.mil.operations.registry import ParameterError
from htdemucs_coreml.mil.program import Argument, Constant, Function, Operation, Value
from htdemucs_coreml.mil.tensor_types import DataType

_FAILURES = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError)


@dataclass(frozen=True)
class TensorSource:
    """What a parameter takes: names of values, or constants."""

    parameter: str
    is_list: bool
    items: tuple[str | Tensor, ...]


@dataclass(frozen=True)
class Step:
    """An operation made ready to execute.

    Attributes
    ----------
    operation : Operation
        What it executes.
    function : Callable
        The implementation, with all parameters but tensors in place.
    tensors : tuple of TensorSource
        Where its tensors come from; float16 constants are widened already where `widens` is true.
    widens, narrows : bool
        Whether float16 arguments become float32, and float32 results become float16.
    dying : tuple of str
        Names of values that nothing needs after it.
    """

    operation: Operation
    function: partial[Any]
    tensors: tuple[TensorSource, ...]
    widens: bool
    narrows: bool
    dying: tuple[str, ...]


def prepare(function: Function) -> tuple[tuple[Step, ...], Mapping[str, Tensor]]:
    """Make all operations of a function ready.

    Returns
    -------
    steps : tuple of Step
        One for each of ``function.operations``.
    constant_outputs : Mapping of str to Tensor
        Those outputs of the function that are constants.

    Raises
    ------
    UnsupportedError
        If an operation or a parameter is not known, or is not a constant where it has to be.
    ProgramError
        If a parameter is missing or of the wrong type, or a stored constant cannot be unpacked as declared.
    """
    preparation = _Preparation()
    for operation in function.constant_expressions:
        preparation.unpack(operation)
    steps = tuple(map(preparation.step, function.operations, last_uses(function)))
    outputs = (preparation.resolve(argument) for argument in function.outputs)
    return steps, {output.name: preparation.tensor(output) for output in outputs if isinstance(output, Constant)}


def unpacked_constants(function: Function) -> Mapping[str, Constant]:
    """What a function's constant expressions make, by the names of their results.

    Raises
    ------
    UnsupportedError, ProgramError
        As `prepare`.
    """
    preparation = _Preparation()
    for operation in function.constant_expressions:
        preparation.unpack(operation)
    return preparation.unpacked


def guarded(operation: Operation, error: type[MILError], function: Callable[[], Any]) -> Any:
    """Call an implementation and turn what it raises into an error that names the operation.

    Raises
    ------
    UnsupportedError
        If a parameter's value is not supported.
    MILError
        Of the given type, if anything else fails.
    """
    try:
        return function()
    except ParameterError as cause:
        raise UnsupportedError(f"{operation}: {cause}") from cause
    except _FAILURES as cause:
        reason = str(cause).strip().split("\n")[0]
        raise error(f"{operation} cannot be computed: {reason}") from cause


class _Preparation:
    """Unpacked constants by name, and tensors of constants, each made once."""

    def __init__(self) -> None:
        self.unpacked: dict[str, Constant] = {}
        self._tensors: dict[tuple[Constant, bool], Tensor] = {}

    def resolve(self, argument: Argument) -> Argument:
        """Replace the result of a constant expression by the constant that it was unpacked to."""
        return self.unpacked.get(argument.name, argument) if isinstance(argument, Value) else argument

    def unpack(self, operation: Operation) -> None:
        """Evaluate a constant expression."""
        kernel = look_up(operation)
        _, parameters = kernel.bind(self._resolved(operation))
        array = guarded(operation, ProgramError, partial(kernel.function, **parameters))
        if len(operation.outputs) != 1:
            raise ProgramError(f"{operation} declares {len(operation.outputs)} outputs; it makes one")
        (output,) = operation.outputs
        if array.shape != output.type.shape or array.dtype != output.type.dtype.numpy:
            raise ProgramError(f"{operation} makes {array.dtype}{list(array.shape)}; declared is {output.type}")
        self.unpacked[output.name] = Constant(output.name, output.type, array.reshape(-1))

    def step(self, operation: Operation, dying: tuple[str, ...]) -> Step:
        """Bind an operation's parameters."""
        kernel = look_up(operation)
        tensors, parameters = kernel.bind(self._resolved(operation))
        sources = tuple(
            TensorSource(name, kernel.is_list(name), tuple(self._source(item, kernel) for item in arguments))
            for name, arguments in tensors.items()
        )
        for output in operation.outputs:
            if output.type.dtype is DataType.STRING:
                raise UnsupportedError(f"{operation} makes the text '{output.name}', which cannot be computed")
        dtypes = [argument.type.dtype for arguments in tensors.values() for argument in arguments]
        floats = [dtype for dtype in dtypes if dtype.is_float]
        return Step(
            operation,
            partial(kernel.function, **parameters),
            sources,
            widens=kernel.computes and DataType.FLOAT16 in floats,
            narrows=kernel.computes and floats[:1] == [DataType.FLOAT16],
            dying=dying,
        )

    def tensor(self, constant: Constant, widen: bool = False) -> Tensor:
        """Return a constant as a tensor; float16 as float32 if widened."""
        widen = widen and constant.type.dtype is DataType.FLOAT16
        key = (constant, widen)
        if key not in self._tensors:
            if constant.type.dtype is DataType.STRING:
                raise UnsupportedError(f"constant '{constant.name}' is a text, which cannot be computed with")
            tensor = torch.from_numpy(np.require(constant.array(), requirements=["C", "W"]))
            self._tensors[key] = tensor.float() if widen else tensor
        return self._tensors[key]

    def _resolved(self, operation: Operation) -> Operation:
        inputs = {parameter: tuple(map(self.resolve, arguments)) for parameter, arguments in operation.inputs.items()}
        return Operation(operation.type, operation.name, inputs, operation.outputs)

    def _source(self, argument: Argument, kernel: Kernel) -> str | Tensor:
        return self.tensor(argument, kernel.computes) if isinstance(argument, Constant) else argument.name
