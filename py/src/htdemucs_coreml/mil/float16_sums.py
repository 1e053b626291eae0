"""Operations that sum, as a machine with float16 accumulators would compute them.

A sum is cut into partial sums of at most 64 terms, in order. Terms are products of float32 (exact, of float16 factors)
and are summed in float32; each partial sum is rounded to float16 and added to the partial sums before it, in order,
and each of these additions is rounded to float16, too. What is beyond 65504 becomes infinite, as in a float16 register.

Terms are in the order of

- input channels for `linear` and `matmul`;
- input channels for convolutions, whole channels only: as many as make at most 64 products for one element of the
  result, over all kernel positions that reach it, or a single one;
- row-major elements for reductions and norms.

A bias is one more partial sum, the last. What a norm, a softmax or an attention computes between its sums is rounded
to float16 after every step: a mean, differences from it, their squares' mean, the root's reciprocal; scores before and
after they are divided by the root of the width, differences from their maximum, exponentials, quotients.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.mil.operations import convolution, linear
from htdemucs_coreml.mil.operations.registry import Ints, ParameterError

TERMS = 64
"""Terms of a partial sum."""


def _rounded(x: Tensor) -> Tensor:
    return x.half().float()


def _total(partial_sums: Iterable[Tensor], bias: Tensor | None = None) -> Tensor:
    """Sum of partial sums, rounded to float16 one by one; float32."""
    total: Tensor | None = None
    for partial_sum in partial_sums:
        total = partial_sum.half() if total is None else total + partial_sum.half()
    if total is None:
        raise ParameterError("x", "has no elements to sum")
    return (total if bias is None else total + bias.half()).float()


def _sum(x: Tensor, axes: Iterable[int]) -> Tensor:
    """Sum over axes that are kept with size 1."""
    positions = sorted(axis % x.ndim for axis in axes)
    others = [axis for axis in range(x.ndim) if axis not in positions]
    flat = x.permute(others + positions).reshape(*(x.shape[axis] for axis in others), -1)
    padded = torch.nn.functional.pad(flat, (0, -flat.shape[-1] % TERMS))
    partial_sums = padded.unflatten(-1, (-1, TERMS)).sum(-1).half().numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        # NumPy's `accumulate` adds in order and rounds each sum, which `sum` does not.
        total = np.add.accumulate(partial_sums, axis=-1)[..., -1]
    kept = [1 if axis in positions else size for axis, size in enumerate(x.shape)]
    return torch.from_numpy(np.asarray(total)).float().reshape(kept)


def _blocks(size: int, block: int = TERMS) -> Iterator[tuple[int, int]]:
    """Starts and lengths of consecutive blocks."""
    return ((start, min(block, size - start)) for start in range(0, size, block))


def _product(x: Tensor, y: Tensor) -> Tensor:
    """Matrix product over the last axis of `x` and the last but one of `y`, or its only one."""
    axis = max(y.ndim - 2, 0)
    blocks = _blocks(x.shape[-1])
    return _total(torch.matmul(x.narrow(-1, *block), y.narrow(axis, *block)) for block in blocks)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    blocks = _blocks(x.shape[-1])
    return _total((linear.linear(x.narrow(-1, *block), weight.narrow(1, *block)) for block in blocks), bias)


def _matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    return _product(*linear.transposed(x, y, transpose_x, transpose_y))


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1, **options: Any) -> Tensor:
    block = _channels_of_a_block(math.prod(weight.shape[2:]))
    parts = (
        convolution.conv(_of_groups(x, 1, groups, cut), weight.narrow(1, *cut), groups=groups, **options)
        for cut in _blocks(weight.shape[1], block)
    )
    return _total(parts, _per_channel(bias, x))


def _conv_transpose(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1, strides: Ints | None = None, **options: Any
) -> Tensor:
    steps = strides or (1,) * (weight.ndim - 2)
    # So many positions of a kernel reach one element of the result.
    reaching = (math.ceil(size / step) for size, step in zip(weight.shape[2:], steps, strict=False))
    block = _channels_of_a_block(math.prod(reaching))
    parts = (
        convolution.conv_transpose(
            _of_groups(x, 1, groups, cut), _of_groups(weight, 0, groups, cut), groups=groups, strides=strides, **options
        )
        for cut in _blocks(weight.shape[0] // groups, block)
    )
    return _total(parts, _per_channel(bias, x))


def _channels_of_a_block(products: int) -> int:
    """How many channels, each with so many products, make a partial sum."""
    return max(1, TERMS // products)


def _of_groups(x: Tensor, axis: int, groups: int, cut: tuple[int, int]) -> Tensor:
    """The same channels of every group."""
    grouped = x.reshape(*x.shape[:axis], groups, -1, *x.shape[axis + 1 :])
    return grouped.narrow(axis + 1, *cut).flatten(axis, axis + 1)


def _per_channel(values: Tensor | None, x: Tensor) -> Tensor | None:
    return None if values is None else values.reshape(-1, *[1] * (x.ndim - 2))


def _softmax(x: Tensor, axis: int = -1) -> Tensor:
    exponentials = _rounded(torch.exp(_rounded(x - x.amax(axis, keepdim=True))))
    return exponentials / _sum(exponentials, (axis,))


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    scores = _rounded(_product(query, key.mT) / math.sqrt(query.shape[-1]))
    if attn_mask is not None:
        masked = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        scores = _rounded(masked)
    return _product(_rounded(_softmax(scores)), value)


def _normalised(x: Tensor, axes: Ints, epsilon: float) -> Tensor:
    count = math.prod(x.shape[axis] for axis in axes)
    centred = _rounded(x - _rounded(_sum(x, axes) / count))
    variance = _rounded(_sum(torch.square(centred), axes) / count)
    return _rounded(centred * _rounded(torch.rsqrt(_rounded(variance + epsilon))))


def _layer_norm(
    x: Tensor,
    axes: Ints | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    positions = tuple(sorted(axis % x.ndim for axis in (range(x.ndim) if axes is None else axes)))
    shape = [x.shape[axis] if axis in positions else 1 for axis in range(x.ndim)]
    gamma, beta = (None if values is None else values.reshape(shape) for values in (gamma, beta))
    return _affine(_normalised(x, positions, epsilon), gamma, beta)


def _instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    normalised = _normalised(x, tuple(range(2, x.ndim)), epsilon)
    return _affine(normalised, _per_channel(gamma, x), _per_channel(beta, x))


def _affine(x: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    scaled = x if gamma is None else _rounded(x * gamma)
    return scaled if beta is None else scaled + beta


def _l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    return x / _rounded(torch.sqrt(_rounded(_sum(torch.square(x), (-3, -2, -1)) + epsilon)))


def _reduction(before: Callable[[Tensor], Tensor], after: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
        positions = tuple(range(x.ndim)) if axes is None else axes
        total = after(_sum(before(x), positions), math.prod(x.shape[axis] for axis in positions))
        return total if keep_dims else total.squeeze(positions)

    return reduce


def _log_sum_exp(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    positions = tuple(range(x.ndim)) if axes is None else axes
    greatest = x.amax(positions, keepdim=True)
    exponentials = _rounded(torch.exp(_rounded(x - greatest)))
    result = greatest + _rounded(torch.log(_sum(exponentials, positions)))
    return result if keep_dims else result.squeeze(positions)


SUMMING: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "conv": _conv,
        "conv_transpose": _conv_transpose,
        "instance_norm": _instance_norm,
        "l2_norm": _l2_norm,
        "layer_norm": _layer_norm,
        "linear": _linear,
        "matmul": _matmul,
        "reduce_l1_norm": _reduction(torch.abs, lambda total, _: total),
        "reduce_l2_norm": _reduction(torch.square, lambda total, _: torch.sqrt(total)),
        "reduce_log_sum": _reduction(lambda x: x, lambda total, _: torch.log(total)),
        "reduce_log_sum_exp": _log_sum_exp,
        "reduce_mean": _reduction(lambda x: x, lambda total, count: total / count),
        "reduce_sum": _reduction(lambda x: x, lambda total, _: total),
        "reduce_sum_square": _reduction(torch.square, lambda total, _: total),
        "scaled_dot_product_attention": _attention,
        "softmax": _softmax,
    }
)
"""Every operation that sums, by its type, with the parameters of the interpreter's own.

They take float32 tensors of float16 values and return float32 that is yet to be rounded.
"""
