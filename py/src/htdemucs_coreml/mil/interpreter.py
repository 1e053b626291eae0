"""Execution of a program on the CPU, in the types that it declares.

float32 operations compute in float32. float16 values are held as float16; an operation on them computes in
float32 and rounds its results, as if every operation had float16 inputs and outputs and an exact enough
interior. Infinities and NaN pass through: hosts decide what they mean.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.mil.errors import ExecutionError, InputError
from htdemucs_coreml.mil.program import Operation, Program
from htdemucs_coreml.mil.steps import Step, guarded, prepare
from htdemucs_coreml.mil.tensor_types import Array

Observer = Callable[[Operation, Mapping[str, Tensor]], None]


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
        with torch.inference_mode():
            self._steps, self._constant_outputs = prepare(self._function)

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
            values.update(self._constant_outputs)
            return {output.name: np.array(values[output.name].numpy(), order="C") for output in self._function.outputs}

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


def _execute(step: Step, values: dict[str, Tensor]) -> None:
    """Execute one operation: read its arguments from `values`, write its results there."""
    arguments: dict[str, Tensor | tuple[Tensor, ...]] = {}
    for source in step.tensors:
        tensors = tuple(values[item] if isinstance(item, str) else item for item in source.items)
        if step.widens:
            tensors = tuple(tensor.float() if tensor.dtype is torch.float16 else tensor for tensor in tensors)
        arguments[source.parameter] = tensors if source.is_list else tensors[0]
    made = guarded(step.operation, ExecutionError, partial(step.function, **arguments))
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
