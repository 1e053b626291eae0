"""Convolution and transposed convolution over one to three spatial dimensions.

Parameters are per spatial dimension; ``pad`` holds pairs, before and after, from the first spatial dimension
to the last.
"""

from typing import Literal

from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.mil.operations.registry import Ints, ParameterError, check_declared, operation
from htdemucs_coreml.mil.tensor_types import TensorType

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}

Pairs = list[tuple[int, int]]


@operation()
def conv(
    x: Tensor,
    weight: Tensor,
    declared: TensorType,
    bias: Tensor | None = None,
    strides: Ints | None = None,
    pad_type: Literal["valid", "custom", "same", "same_lower"] = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolve (cross-correlate) with kernels of shape ``[C_out, C_in / groups, *kernel]``."""
    dimensions = _spatial_dimensions(x, weight)
    strides = _per_dimension("strides", strides, dimensions)
    dilations = _per_dimension("dilations", dilations, dimensions)
    if pad_type in ("same", "same_lower"):
        pairs = _same_padding(pad_type, weight, strides, dilations)
    else:
        pairs = _pairs(pad_type, pad, dimensions)
    spatial = [
        (size + sum(pair) - (kernel - 1) * dilation - 1) // stride + 1
        for size, pair, kernel, dilation, stride in zip(
            x.shape[2:], pairs, weight.shape[2:], dilations, strides, strict=True
        )
    ]
    check_declared("pad", [x.shape[0], weight.shape[0], *spatial], declared)
    padding = [before for before, _ in pairs]
    if any(before != after for before, after in pairs):
        # functional.pad counts dimensions from the last one.
        x = functional.pad(x, [size for pair in reversed(pairs) for size in pair])
        padding = [0] * dimensions
    return _CONVOLUTIONS[dimensions](x, weight, bias, strides, padding, dilations, groups)


@operation()
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    declared: TensorType,
    bias: Tensor | None = None,
    pad: Ints | None = None,
    output_shape: Ints | None = None,
    pad_type: Literal["valid", "custom", "same"] = "valid",
    strides: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Transpose a convolution by kernels of shape ``[C_in, C_out / groups, *kernel]`` and crop `pad` off."""
    dimensions = _spatial_dimensions(x, weight)
    strides = _per_dimension("strides", strides, dimensions)
    dilations = _per_dimension("dilations", dilations, dimensions)
    same = pad_type == "same"
    pairs = _same_crop(weight, strides, dilations) if same else _pairs(pad_type, pad, dimensions)
    spatial = [
        (size - 1) * stride + (kernel - 1) * dilation + 1 - sum(pair)
        for size, pair, kernel, dilation, stride in zip(
            x.shape[2:], pairs, weight.shape[2:], dilations, strides, strict=True
        )
    ]
    shape = (x.shape[0], weight.shape[1] * groups, *spatial)
    if output_shape is not None and output_shape != shape:
        raise ParameterError("output_shape", f"is {list(output_shape)}, but the other parameters lead to {list(shape)}")
    check_declared("pad", shape, declared)
    padding = [before for before, _ in pairs]
    asymmetric = any(before != after for before, after in pairs)
    if asymmetric:
        padding = [0] * dimensions
    result = _TRANSPOSED[dimensions](x, weight, bias, strides, padding, 0, groups, dilations)
    if asymmetric:
        for axis, (before, after) in enumerate(pairs, start=2):
            result = result.narrow(axis, before, result.shape[axis] - before - after)
    return result


def _spatial_dimensions(x: Tensor, weight: Tensor) -> int:
    dimensions = x.ndim - 2
    if dimensions not in _CONVOLUTIONS or weight.ndim != x.ndim:
        raise ParameterError("weight", f"has rank {weight.ndim} and x has rank {x.ndim}; both must have 3, 4 or 5")
    return dimensions


def _per_dimension(name: str, values: Ints | None, dimensions: int) -> Ints:
    if values is None:
        return (1,) * dimensions
    if len(values) != dimensions or min(values) < 1:
        raise ParameterError(name, f"is {list(values)}; expected {dimensions} numbers of at least 1")
    return values


def _pairs(pad_type: str, pad: Ints | None, dimensions: int) -> Pairs:
    # With "valid", converters write a pad of zeros.
    if pad is None:
        if pad_type == "custom":
            raise ParameterError("pad", "is missing, though pad_type is 'custom'")
        return [(0, 0)] * dimensions
    if len(pad) != 2 * dimensions or min(pad) < 0:
        raise ParameterError("pad", f"is {list(pad)}; expected {2 * dimensions} numbers of at least 0")
    if pad_type != "custom" and any(pad):
        raise ParameterError("pad", f"is {list(pad)}, though pad_type is '{pad_type}'")
    return list(zip(pad[::2], pad[1::2], strict=True))


def _same_padding(pad_type: str, weight: Tensor, strides: Ints, dilations: Ints) -> Pairs:
    """Pad so that sizes stay, where all descriptions of it agree: for stride 1 and odd kernels.

    For others, coremltools' documentation and its type inference describe different paddings.
    """
    kernels = [(size - 1) * dilation + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True)]
    if any(stride != 1 for stride in strides) or any(kernel % 2 == 0 for kernel in kernels):
        raise ParameterError(
            "pad_type",
            f"is '{pad_type}', which is supported for strides of 1 and odd kernels only; use 'custom'",
        )
    return [(kernel // 2, kernel // 2) for kernel in kernels]


def _same_crop(weight: Tensor, strides: Ints, dilations: Ints) -> Pairs:
    """Crop so that sizes are ``input * stride``, where both ends are cropped alike; else nothing says how."""
    pairs = []
    for size, dilation, stride in zip(weight.shape[2:], dilations, strides, strict=True):
        excess = (size - 1) * dilation + 1 - stride
        if excess < 0 or excess % 2:
            raise ParameterError(
                "pad_type",
                "is 'same', which is supported only where both ends are cropped alike; use 'custom'",
            )
        pairs.append((excess // 2, excess // 2))
    return pairs
