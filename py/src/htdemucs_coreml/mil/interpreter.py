"""Execution of a program on the CPU, in the types that it declares.

float32 operations compute in float32. float16 values are held as float16; an operation on them computes in
float32 and rounds its results, as if every operation had float16 inputs and outputs and an exact enough
interior. Infinities and NaN pass through: hosts decide what they mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.mil.errors import ExecutionError, InputError, MILError, ProgramError, UnsupportedError
from htdemucs_coreml.mil.liveness import last_uses
from htdemucs_coreml.mil.operations import Kernel, look_up
from htdemucs_coreml.mil.program import Argument, Constant, Operation, Program
from htdemucs_coreml.mil.tensor_types import Array, DataType

from .operations.registry import ParameterError

Observer = Callable[[Operation, Mapping[str, Tensor]], None]

_FAILURES = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError, NotImplementedError)


@dataclass(frozen=True)
class _Tensors:
    """What a parameter takes: names of values, or constants."""

    parameter: str
    is_list: bool
    items: tuple[str | Tensor, ...]


@dataclass(frozen=True)
class _Step:
    """An operation made ready to execute.

    Attributes
    ----------
    function : Callable
        The implementation, with all parameters but tensors in place.
    tensors : tuple of _Tensors
        Where its tensors come from.
    widens, narrows : bool
        Whether float16 arguments become float32, and float32 results become float16.
    dying : tuple of str
        Names of values that nothing needs after it.
    """

    operation: Operation
    function: Callable[..., Any]
    tensors: tuple[_Tensors, ...]
    widens: bool
    narrows: bool
    dying: tuple[str, ...]


class Interpreter:
    """Executes a program; one instance may serve any number of predictions.

    Making one checks that all operations and their parameters are known, and unpacks constants. What an
    operation makes is compared with what the program declares whenever it is executed.

    Parameters
    ----------
    program : Program
        What `read_package` returned.

    Raises
    ------
    UnsupportedError
        If an operation, a parameter or a parameter's value is not implemented exactly.
    ProgramError
        If an operation's parameters or declared types contradict each other.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._function = program.main
        self._constants: dict[str, Constant] = dict(self._function.constants)
        self._tensors: dict[tuple[str, bool], Tensor] = {}
        with torch.inference_mode():
            for operation in self._function.constant_expressions:
                self._fold(operation)
            self._steps = tuple(map(self._make_step, self._function.operations, last_uses(self._function)))

    @property
    def program(self) -> Program:
        """The program that it executes."""
        return self._program

    def predict(self, inputs: Mapping[str, Array], observe: Observer | None = None) -> dict[str, Array]:
        """Run the program once.

        Parameters
        ----------
        inputs : Mapping of str to Array
            Every input by its name, in the declared shape and type; they are not changed.
        observe : Callable, optional
            Called after each operation with it and with all values that are alive then: the operation's
            inputs and results and whatever later operations need. It must not change them.

        Returns
        -------
        dict of str to Array
            Every output by its name, in the declared shape and type, in arrays of their own.

        Raises
        ------
        InputError
            If an input is missing, unknown or of another shape or type.
        ExecutionError
            If an operation fails, or makes a value of another shape or type than declared.
        UnsupportedError
            If a parameter of an operation has a value that is not supported for the shapes at hand.
        """
        with torch.inference_mode():
            values = self._accept(inputs)
            for step in self._steps:
                _execute(step, values)
                if observe is not None:
                    observe(step.operation, values)
                for name in step.dying:
                    del values[name]
            return {argument.name: self._result(argument, values) for argument in self._function.outputs}

    def _accept(self, inputs: Mapping[str, Array]) -> dict[str, Tensor]:
        declared = {value.name: value.type for value in self._function.inputs}
        for name in inputs:
            if name not in declared:
                raise InputError(f"there is no input '{name}'; the program has {', '.join(declared)}")
        values: dict[str, Tensor] = {}
        for name, tensor_type in declared.items():
            if name not in inputs:
                raise InputError(f"input '{name}' ({tensor_type}) is missing")
            array = inputs[name]
            if not isinstance(array, np.ndarray):
                raise InputError(f"input '{name}' is a {type(array).__name__}; expected an array, {tensor_type}")
            if array.shape != tensor_type.shape or array.dtype != tensor_type.dtype.numpy:
                raise InputError(f"input '{name}' is {array.dtype}{list(array.shape)}; expected {tensor_type}")
            values[name] = torch.from_numpy(np.require(array, requirements=["C", "W"]))
        return values

    def _result(self, argument: Argument, values: Mapping[str, Tensor]) -> Array:
        constant = self._constants.get(argument.name)
        tensor = values[argument.name] if constant is None else self._tensor(constant)
        return np.array(tensor.numpy(), order="C")

    def _fold(self, operation: Operation) -> None:
        """Unpack a stored constant and treat its result as a constant from then on."""
        kernel = look_up(operation)
        _, parameters = kernel.bind(self._with_constants(operation))
        array = _guarded(operation, ProgramError, partial(kernel.function, **parameters))
        if len(operation.outputs) != 1:
            raise ProgramError(f"{operation} declares {len(operation.outputs)} outputs; it makes one")
        (output,) = operation.outputs
        if array.shape != output.type.shape or array.dtype != output.type.dtype.numpy:
            raise ProgramError(f"{operation} makes {array.dtype}{list(array.shape)}; declared is {output.type}")
        self._constants[output.name] = Constant(output.name, output.type, array.reshape(-1))

    def _with_constants(self, operation: Operation) -> Operation:
        """Replace references to unpacked constants by those."""
        inputs = {
            parameter: tuple(self._constants.get(argument.name, argument) for argument in arguments)
            for parameter, arguments in operation.inputs.items()
        }
        return Operation(operation.type, operation.name, inputs, operation.outputs)

    def _make_step(self, operation: Operation, dying: tuple[str, ...]) -> _Step:
        kernel = look_up(operation)
        tensors, parameters = kernel.bind(self._with_constants(operation))
        sources = tuple(
            _Tensors(name, kernel.is_list(name), tuple(self._source(argument, kernel) for argument in arguments))
            for name, arguments in tensors.items()
        )
        dtypes = [argument.type.dtype for arguments in tensors.values() for argument in arguments]
        floats = [dtype for dtype in dtypes if dtype.is_float]
        return _Step(
            operation,
            partial(kernel.function, **parameters),
            sources,
            widens=kernel.computes and DataType.FLOAT16 in floats,
            narrows=kernel.computes and floats[:1] == [DataType.FLOAT16],
            dying=dying,
        )

    def _source(self, argument: Argument, kernel: Kernel) -> str | Tensor:
        return self._tensor(argument, kernel.computes) if isinstance(argument, Constant) else argument.name

    def _tensor(self, constant: Constant, widen: bool = False) -> Tensor:
        """Return a constant as a tensor, made once; float16 as float32 if widened."""
        widen = widen and constant.type.dtype is DataType.FLOAT16
        key = (constant.name, widen)
        if key not in self._tensors:
            if constant.type.dtype is DataType.STRING:
                raise UnsupportedError(f"constant '{constant.name}' is a text, which cannot be computed with")
            tensor = torch.from_numpy(np.require(constant.array(), requirements=["C", "W"]))
            self._tensors[key] = tensor.float() if widen else tensor
        return self._tensors[key]


def _execute(step: _Step, values: dict[str, Tensor]) -> None:
    """Execute one operation: read its arguments from `values`, write its results there."""
    arguments: dict[str, Tensor | tuple[Tensor, ...]] = {}
    for source in step.tensors:
        tensors = tuple(values[item] if isinstance(item, str) else item for item in source.items)
        if step.widens:
            tensors = tuple(tensor.float() if tensor.dtype is torch.float16 else tensor for tensor in tensors)
        arguments[source.parameter] = tensors if source.is_list else tensors[0]
    made = _guarded(step.operation, ExecutionError, partial(step.function, **arguments))
    results: tuple[Tensor, ...] = made if isinstance(made, tuple) else (made,)
    outputs = step.operation.outputs
    if len(results) != len(outputs):
        raise ExecutionError(f"{step.operation} makes {len(results)} values; declared are {len(outputs)}")
    for output, result in zip(outputs, results, strict=True):
        if step.narrows and result.dtype is torch.float32:
            result = result.half()
        if result.dtype is not output.type.dtype.torch or tuple(result.shape) != output.type.shape:
            made_type = f"{str(result.dtype).removeprefix('torch.')}{list(result.shape)}"
            raise ExecutionError(f"{step.operation} makes {made_type}; declared for '{output.name}' is {output.type}")
        values[output.name] = result


def _guarded(operation: Operation, error: type[MILError], function: Callable[[], Any]) -> Any:
    """Call an implementation and turn what it raises into an error that names the operation."""
    try:
        return function()
    except ParameterError as cause:
        raise UnsupportedError(f"{operation}: {cause}") from cause
    except _FAILURES as cause:
        reason = str(cause).strip().split("\n")[0]
        raise error(f"{operation} cannot be computed: {reason}") from cause
