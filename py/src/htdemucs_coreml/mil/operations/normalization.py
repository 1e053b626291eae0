"""Normalisation by mean and variance; the variance is the biased one throughout."""

import torch
from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.mil.operations.registry import Ints, ParameterError, operation


@operation()
def layer_norm(
    x: Tensor,
    axes: Ints | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalise over `axes` together; `gamma` and `beta` have the sizes of those axes, in ascending order."""
    normalized = sorted(axis + x.ndim if axis < 0 else axis for axis in (range(x.ndim) if axes is None else axes))
    if len(set(normalized)) != len(normalized) or not all(0 <= axis < x.ndim for axis in normalized):
        raise ParameterError("axes", f"is {axes}, which does not name axes of x (rank {x.ndim}) once each")
    sizes = [x.shape[axis] for axis in normalized]
    others = [axis for axis in range(x.ndim) if axis not in normalized]
    order = others + normalized
    if order == sorted(order):
        return functional.layer_norm(x, sizes, gamma, beta, epsilon)
    inverse = sorted(range(x.ndim), key=order.__getitem__)
    return functional.layer_norm(x.permute(order), sizes, gamma, beta, epsilon).permute(inverse)


@operation()
def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """Normalise each channel (axis 1) of each example over all further axes."""
    if x.ndim not in (3, 4):
        raise ParameterError("x", f"has rank {x.ndim}; expected 3 or 4")
    result = functional.layer_norm(x, x.shape[2:], eps=epsilon)
    if gamma is not None:
        result = result * _per_channel(gamma, x)
    if beta is not None:
        result = result + _per_channel(beta, x)
    return result


@operation()
def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalise each channel (axis 1) by a given mean and variance."""
    return functional.batch_norm(x, mean, variance, gamma, beta, training=False, eps=epsilon)


@operation()
def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Divide by the root of the sum of squares over the last three axes."""
    if x.ndim < 3:
        raise ParameterError("x", f"has rank {x.ndim}; expected at least 3")
    return x / torch.sqrt(torch.sum(torch.square(x), (-3, -2, -1), keepdim=True) + epsilon)


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 2))
