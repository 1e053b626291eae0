"""Operations that reduce axes to one value: sums, means, extrema, norms."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from htdemucs_coreml.mil.operations.registry import Ints, operation
from htdemucs_coreml.mil.tensor_types import DataType

_Reduction = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _sum(x: Tensor, axes: tuple[int, ...], keep_dims: bool) -> Tensor:
    return torch.sum(x, axes, keepdim=keep_dims, dtype=x.dtype)


def _product(x: Tensor, axes: tuple[int, ...], keep_dims: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = torch.prod(x, axis, keepdim=keep_dims, dtype=x.dtype)
    return x


_REDUCTIONS: dict[str, _Reduction] = {
    "reduce_mean": lambda x, axes, keep_dims: torch.mean(x, axes, keepdim=keep_dims),
    "reduce_sum": _sum,
    "reduce_prod": _product,
    "reduce_max": lambda x, axes, keep_dims: torch.amax(x, axes, keepdim=keep_dims),
    "reduce_min": lambda x, axes, keep_dims: torch.amin(x, axes, keepdim=keep_dims),
    "reduce_sum_square": lambda x, axes, keep_dims: _sum(torch.square(x), axes, keep_dims),
    "reduce_l1_norm": lambda x, axes, keep_dims: _sum(torch.abs(x), axes, keep_dims),
    "reduce_l2_norm": lambda x, axes, keep_dims: torch.sqrt(_sum(torch.square(x), axes, keep_dims)),
    "reduce_log_sum": lambda x, axes, keep_dims: torch.log(_sum(x, axes, keep_dims)),
    "reduce_log_sum_exp": lambda x, axes, keep_dims: torch.logsumexp(x, axes, keepdim=keep_dims),
}


def _register(name: str, function: _Reduction) -> None:
    @operation(name=name)
    def reduce(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
        return function(x, tuple(range(x.ndim)) if axes is None else axes, keep_dims)


for _name, _function in _REDUCTIONS.items():
    _register(_name, _function)

_IndexType = Literal["int32", "uint16"]
_INDEX_TYPES = {"int32": DataType.INT32, "uint16": DataType.UINT16}


@operation(computes=False)
def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: _IndexType = "int32") -> Tensor:
    """Find the index of the greatest element along `axis`."""
    return torch.argmax(x, axis, keepdim=keep_dims).to(_INDEX_TYPES[output_dtype].torch)


@operation(computes=False)
def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: _IndexType = "int32") -> Tensor:
    """Find the index of the least element along `axis`."""
    return torch.argmin(x, axis, keepdim=keep_dims).to(_INDEX_TYPES[output_dtype].torch)
