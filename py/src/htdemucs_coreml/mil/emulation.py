"""Execution of a float32 program as if some of its operations were float16.

An operation that is emulated takes its arguments and constants rounded to float16, computes in float32 and rounds its
results, which is what the interpreter does with a float16 operation between casts. No program has to be made for every
choice of operations, and choices that agree on the first operations can share what those compute.
"""

from collections.abc import Mapping, Set

import torch
from torch import Tensor

from htdemucs_coreml.mil.errors import ExecutionError, UnsupportedError
from htdemucs_coreml.mil.operations import look_up
from htdemucs_coreml.mil.program import Operation, Program
from htdemucs_coreml.mil.steps import Step, guarded, prepare
from htdemucs_coreml.mil.tensor_types import DataType


class Emulator:
    """Executes a float32 program, some operations rounded to float16.

    Parameters
    ----------
    program : Program
        What `read_package` returned.

    Raises
    ------
    UnsupportedError
        If the program holds float16 values, an output is a constant, or the interpreter does not know an operation.
    ProgramError
        If an operation's parameters or declared types contradict each other.
    """

    def __init__(self, program: Program) -> None:
        for operation in program.main.operations:
            for output in operation.outputs:
                if output.type.dtype is DataType.FLOAT16:
                    raise UnsupportedError(f"{operation} is float16 already; only float32 programs can be emulated")
        with torch.inference_mode():
            self._steps, constant_outputs = prepare(program.main)
        if constant_outputs:
            raise UnsupportedError(f"output '{next(iter(constant_outputs))}' is a constant, which is not emulated")
        self._outputs = tuple(output.name for output in program.main.outputs)
        self._rounded: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is executed, in order."""
        return tuple(step.operation for step in self._steps)

    def advance(self, values: dict[str, Tensor], index: int, rounded: bool = False) -> None:
        """Execute one operation.

        Parameters
        ----------
        values : dict of str to Tensor
            All values that are alive, the program's inputs to begin with. Results are added, what nothing needs
            any more is removed; a copy of the dict is a state to come back to.
        index : int
            Number of the operation.
        rounded : bool
            Whether it computes in float16. Operations that only move elements do not round.

        Raises
        ------
        ExecutionError
            If the operation fails.
        """
        step = self._steps[index]
        rounds = rounded and look_up(step.operation).computes
        with torch.inference_mode():
            values.update(self._results(step, values, rounds))
        for name in step.dying:
            del values[name]

    def finish(self, values: Mapping[str, Tensor], first: int, rounded: Set[str]) -> dict[str, Tensor]:
        """Execute all operations from one on.

        Parameters
        ----------
        values : Mapping of str to Tensor
            What is alive before operation `first`; not changed.
        first : int
            Number of an operation.
        rounded : set of str
            Names of the operations that compute in float16.

        Returns
        -------
        dict of str to Tensor
            The program's outputs by name.

        Raises
        ------
        ExecutionError
            If an operation fails.
        """
        alive = dict(values)
        for index in range(first, len(self._steps)):
            self.advance(alive, index, self._steps[index].operation.name in rounded)
        return {name: alive[name] for name in self._outputs}

    def _results(self, step: Step, values: Mapping[str, Tensor], rounds: bool) -> dict[str, Tensor]:
        arguments: dict[str, Tensor | tuple[Tensor, ...]] = {}
        for source in step.tensors:
            tensors = [values[item] if isinstance(item, str) else item for item in source.items]
            if rounds:
                tensors = [
                    _rounded(tensor) if isinstance(item, str) else self._rounded_constant(tensor)
                    for item, tensor in zip(source.items, tensors, strict=True)
                ]
            arguments[source.parameter] = tuple(tensors) if source.is_list else tensors[0]
        made = guarded(step.operation, ExecutionError, lambda: step.function(**arguments))
        results = made if isinstance(made, tuple) else (made,)
        return {
            output.name: _rounded(result) if rounds else result
            for output, result in zip(step.operation.outputs, results, strict=True)
        }

    def _rounded_constant(self, constant: Tensor) -> Tensor:
        known = self._rounded.get(id(constant))
        if known is None:
            # The constant is kept with its rounded form, so that no other can take its identity.
            known = self._rounded[id(constant)] = (constant, _rounded(constant))
        return known[1]


def _rounded(tensor: Tensor) -> Tensor:
    return tensor.half().float() if tensor.dtype is torch.float32 else tensor
