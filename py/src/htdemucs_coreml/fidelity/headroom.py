"""How large the float16 values of a program become."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.mil import Program
from htdemucs_coreml.mil.program import Constant, Operation
from htdemucs_coreml.mil.steps import unpacked_constants
from htdemucs_coreml.mil.tensor_types import DataType


class LargestFloat16:
    """The largest magnitude among a program's float16 constants and, as an observer of predictions, its values.

    What an operation makes only inside itself, such as the sums of a norm or the scores of attention, does not count.
    NaN counts as infinite.

    Parameters
    ----------
    program : Program
        Its constants are looked at when the object is made.

    Attributes
    ----------
    magnitude : float
        Largest so far; 0 where nothing is float16.
    name : str
        Name of the value or constant; empty where nothing is float16.
    """

    def __init__(self, program: Program) -> None:
        self.magnitude, self.name = 0.0, ""
        unpacked = unpacked_constants(program.main)
        for operation in program.main.operations:
            for argument in operation.arguments():
                constant = argument if isinstance(argument, Constant) else unpacked.get(argument.name)
                if constant is not None and constant.type.dtype is DataType.FLOAT16 and constant.type.elements:
                    self._take(constant.name, float(np.abs(constant.array()).max()))

    def __call__(self, operation: Operation, values: Mapping[str, Tensor]) -> None:
        """Take the results of an operation into account."""
        for output in operation.outputs:
            value = values[output.name]
            if value.dtype is torch.float16 and value.numel():
                self._take(output.name, float(value.abs().max()))

    def _take(self, name: str, magnitude: float) -> None:
        magnitude = magnitude if magnitude == magnitude else float("inf")
        if magnitude > self.magnitude:
            self.magnitude, self.name = magnitude, name
