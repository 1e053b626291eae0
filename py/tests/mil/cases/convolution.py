"""Convolutions by their definition: a sum over kernel positions."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder
from hypothesis import strategies as st

from mil.cases.case import Array, Case, CaseMaker, Draw, draw_array

Pairs = Sequence[tuple[int, int]]


def _window(sizes: Sequence[int], position: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Any:
    """Elements that kernel position k meets at `sizes` places p: those at ``p * stride + k * dilation``."""
    return (
        ...,
        *(
            slice(k * dilation, k * dilation + (size - 1) * stride + 1, stride)
            for size, k, stride, dilation in zip(sizes, position, strides, dilations, strict=True)
        ),
    )


def _at(position: Sequence[int]) -> Any:
    return (..., *position)


def _convolve(
    x: Array, weight: Array, pad: Pairs, strides: Sequence[int], dilations: Sequence[int], groups: int
) -> Array:
    """Sum ``x[n, i, p * stride + k * dilation - before] * weight[o, i, k]`` to ``y[n, o, p]``, by groups."""
    x = np.pad(x, [(0, 0), (0, 0), *pad])
    kernel = weight.shape[2:]
    sizes = [
        (size - (k - 1) * dilation - 1) // stride + 1
        for size, k, dilation, stride in zip(x.shape[2:], kernel, dilations, strides, strict=True)
    ]
    y = np.zeros((x.shape[0], groups, weight.shape[0] // groups, *sizes))
    grouped_x = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    grouped_weight = weight.reshape(groups, -1, *weight.shape[1:])
    for position in itertools.product(*map(range, kernel)):
        met = grouped_x[_window(sizes, position, strides, dilations)]
        y += np.einsum("ngi...,goi->ngo...", met, grouped_weight[_at(position)])
    return y.reshape(x.shape[0], -1, *sizes)


def _convolve_transposed(
    x: Array, weight: Array, crop: Pairs, strides: Sequence[int], dilations: Sequence[int], groups: int
) -> Array:
    """Add ``x[n, i, p] * weight[i, o, k]`` to ``y[n, o, p * stride + k * dilation - before]``, by groups."""
    kernel = weight.shape[2:]
    sizes = [
        (size - 1) * stride + (k - 1) * dilation + 1
        for size, k, dilation, stride in zip(x.shape[2:], kernel, dilations, strides, strict=True)
    ]
    y = np.zeros((x.shape[0], groups, weight.shape[1], *sizes))
    grouped_x = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    grouped_weight = weight.reshape(groups, -1, *weight.shape[1:])
    for position in itertools.product(*map(range, kernel)):
        met = _window(x.shape[2:], position, strides, dilations)
        y[met] += np.einsum("ngi...,gio->ngo...", grouped_x, grouped_weight[_at(position)])
    y = y.reshape(x.shape[0], -1, *sizes)
    inside: Any = (..., *(slice(b, size - a) for (b, a), size in zip(crop, sizes, strict=True)))
    cropped: Array = y[inside]
    return cropped


def _with_bias(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(-1, *[1] * (y.ndim - 2))


def _draw_kernel(draw: Draw, dimensions: int) -> tuple[list[int], list[int], list[int]]:
    """Kernel sizes, strides, dilations."""
    kernel, strides, dilations = ([draw(st.integers(1, 3)) for _ in range(dimensions)] for _ in range(3))
    return kernel, strides, dilations


def _options(pad_type: str, pad: Pairs, **others: Any) -> dict[str, Any]:
    if pad_type == "custom" and not np.any(pad):
        pad_type = "valid"
    flat = {"pad": [size for pair in pad for size in pair]} if pad_type == "custom" else {}
    return {"pad_type": pad_type, **flat, **others}


def _conv(draw: Draw) -> Case:
    dimensions = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    kernel, strides, dilations = _draw_kernel(draw, dimensions)
    pad_type = draw(st.sampled_from(["valid", "custom", "same", "same_lower"]))
    if pad_type.startswith("same"):
        kernel, strides = [2 * ((size + 1) // 2) - 1 for size in kernel], [1] * dimensions
    before_after = {
        "valid": [(0, 0)] * dimensions,
        "custom": [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(dimensions)],
    }
    same = [((k - 1) * d // 2, (k - 1) * d // 2) for k, d in zip(kernel, dilations, strict=True)]
    pad = before_after.get(pad_type, same)
    sizes = [(k - 1) * d + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilations, strict=True)]
    inputs, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    constants = {"weight": draw_array(draw, (outputs, inputs // groups, *kernel), -1, 1)}
    if draw(st.booleans()):
        constants["bias"] = draw_array(draw, (outputs,))
    options = _options(pad_type, pad, strides=strides, dilations=dilations, groups=groups)
    return Case(
        {"x": draw_array(draw, (draw(st.integers(1, 2)), inputs, *sizes), -1, 1)},
        lambda v: Builder.conv(x=v["x"], weight=v["weight"], bias=v.get("bias"), **options),
        lambda v: _with_bias(_convolve(v["x"], v["weight"], pad, strides, dilations, groups), v.get("bias")),
        constants,
    )


def _conv_transpose(draw: Draw) -> Case:
    dimensions = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    kernel, strides, dilations = _draw_kernel(draw, dimensions)
    pad_type = draw(st.sampled_from(["valid", "custom", "custom", "same"]))
    if pad_type == "same":
        # Sizes at which as much is cropped before as after: kernel - stride is even.
        dilations = [1] * dimensions
        kernel = [stride + 2 * draw(st.integers(0, 1)) for stride in strides]
    full = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    custom = []
    for size in full:
        before = draw(st.integers(0, size))
        custom.append((before, draw(st.integers(0, size - before))))
    same = [((k - stride) // 2, (k - stride) // 2) for k, stride in zip(kernel, strides, strict=True)]
    crop = {"valid": [(0, 0)] * dimensions, "custom": custom, "same": same}[pad_type]
    inputs, outputs = groups * draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = draw_array(draw, (1, inputs, *[draw(st.integers(1, 4)) for _ in range(dimensions)]), -1, 1)
    weight = draw_array(draw, (inputs, outputs, *kernel), -1, 1)
    constants = {"weight": weight}
    if draw(st.booleans()):
        constants["bias"] = draw_array(draw, (outputs * groups,))
    options = _options(pad_type, crop, strides=strides, dilations=dilations, groups=groups)
    if draw(st.booleans()):
        shape = _convolve_transposed(x, weight, crop, strides, dilations, groups).shape
        options["output_shape"] = list(shape)
    return Case(
        {"x": x},
        lambda v: Builder.conv_transpose(x=v["x"], weight=v["weight"], bias=v.get("bias"), **options),
        lambda v: _with_bias(
            _convolve_transposed(v["x"], v["weight"], crop, strides, dilations, groups), v.get("bias")
        ),
        constants,
    )


CASES: dict[str, CaseMaker] = {"conv": _conv, "conv_transpose": _conv_transpose}
