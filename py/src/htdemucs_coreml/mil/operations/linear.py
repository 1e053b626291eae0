"""Matrix products."""

import torch
from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.mil.operations.registry import ParameterError, operation


@operation()
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``x @ weight.T + bias``."""
    return functional.linear(x, weight, bias)


@operation()
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Multiply matrices, or stacks of them, after transposing their last two axes where asked for."""
    return torch.matmul(*transposed(x, y, transpose_x, transpose_y))


def transposed(x: Tensor, y: Tensor, transpose_x: bool, transpose_y: bool) -> tuple[Tensor, Tensor]:
    """Transpose the last two axes of two matrices, or stacks of them, where asked for.

    Raises
    ------
    ParameterError
        If a vector is to be transposed.
    """
    for name, matrix, transpose in (("transpose_x", x, transpose_x), ("transpose_y", y, transpose_y)):
        if transpose and matrix.ndim < 2:
            raise ParameterError(name, "is true for a vector")
    return x.mT if transpose_x else x, y.mT if transpose_y else y
