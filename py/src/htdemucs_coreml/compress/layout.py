"""Weights of convolutions and linear layers as matrices that are multiplied with what the layer takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]


@dataclass(frozen=True)
class WeightLayout:
    """What the axes of a weight stand for.

    Attributes
    ----------
    outputs, inputs : int
        Axes of the channels that an operation makes, and of those that it takes: 0 and 1, or 1 and 0 of a transposed
        convolution.
    stride : int
        Of a transposed convolution along its first spatial axis, which has all of its kernel; 1 of others.
    """

    outputs: int
    inputs: int
    stride: int = 1


def matrix_of(tensor: Tensor, layout: WeightLayout) -> Tensor:
    """A weight as a matrix [outputs, inputs]; an input is a channel at one place of the kernel.

    A transposed convolution makes ``stride`` neighbouring outputs of each channel from the same ``kernel / stride``
    neighbouring inputs: each is a row. Earlier inputs come first.
    """
    if layout.outputs == 0:
        return tensor.reshape(tensor.shape[0], -1)
    inputs, outputs = tensor.shape[:2]
    taps = tensor.reshape(inputs, outputs, -1, layout.stride)[:, :, ::-1]
    return taps.transpose(1, 3, 0, 2).reshape(outputs * layout.stride, -1)


def tensor_of(matrix: Tensor, shape: tuple[int, ...], layout: WeightLayout) -> Tensor:
    """The weight of a matrix: the inverse of `matrix_of`."""
    if layout.outputs == 0:
        return matrix.reshape(shape)
    inputs, outputs = shape[:2]
    taps = matrix.reshape(outputs, layout.stride, inputs, -1).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(taps[:, :, ::-1]).reshape(shape)
