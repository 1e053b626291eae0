"""Forms in which a tensor is stored: a palette of 2 to 256 values, or 8-bit integers with scales."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.feedback import fed_back
from htdemucs_coreml.compress.layout import WeightLayout, matrix_of, tensor_of
from htdemucs_coreml.compress.palettes import best_palette, distinct, nearest_entries

PALETTE_BITS = (1, 2, 3, 4, 6, 8)
"""Widths of a palette's indices that Core ML knows (iOS 18)."""
BLOCK = 32
"""Inputs that share a scale of ``int8-block``; fewer where their number is no multiple of it."""
_LARGEST = 127

Tensor = NDArray[Any]


@dataclass(frozen=True)
class Palettized:
    """A tensor as numbers of a palette's entries.

    Attributes
    ----------
    indices : array of uint8
        In the tensor's shape.
    palette : array [2 ** bits]
        Entries in the tensor's type, in ascending order; the last one is repeated where there are too few.
    """

    indices: NDArray[np.uint8]
    palette: Tensor

    @property
    def bits(self) -> int:
        """Width of an index."""
        return len(self.palette).bit_length() - 1

    def dense(self) -> Tensor:
        """The tensor that is computed with."""
        return self.palette[self.indices]


@dataclass(frozen=True)
class Scaled:
    """A tensor as integers from -127 to 127, and scales that blocks of them share.

    Attributes
    ----------
    integers : array of int8
        In the tensor's shape.
    scales : array
        In the tensor's type and rank; along each axis, as many neighbours share one as make the sizes fit.
    """

    integers: NDArray[np.int8]
    scales: Tensor

    def dense(self) -> Tensor:
        """The tensor that is computed with: products rounded to its type."""
        spread = _spread(self.scales.astype(np.float64), self.integers.shape)
        return (self.integers * spread).astype(self.scales.dtype)


Compressed = Palettized | Scaled


@dataclass(frozen=True)
class PaletteForm:
    """One palette for the whole tensor.

    Attributes
    ----------
    bits : int
        One of `PALETTE_BITS`.
    """

    bits: int

    def __str__(self) -> str:
        return f"palette{self.bits}"


@dataclass(frozen=True)
class Int8Form:
    """Symmetric 8-bit integers with one scale for each output, or for each block of an output's inputs.

    Attributes
    ----------
    by_block : bool
        Whether `BLOCK` neighbouring inputs have a scale of their own.
    """

    by_block: bool

    def __str__(self) -> str:
        return "int8-block" if self.by_block else "int8-channel"


Form = PaletteForm | Int8Form
NO_FORM = "none"
"""What a plan calls constants that stay as they are."""


def form_of(name: str) -> Form | None:
    """A form by its name in a plan; None of `NO_FORM`.

    Raises
    ------
    ValueError
        If there is no such form.
    """
    forms: dict[str, Form | None] = {str(form): form for form in (Int8Form(False), Int8Form(True))}
    forms |= {str(PaletteForm(bits)): PaletteForm(bits) for bits in PALETTE_BITS}
    forms[NO_FORM] = None
    if name not in forms:
        raise ValueError(f"there is no form {name!r}; known are {', '.join(sorted(forms))}")
    return forms[name]


def compressed(
    tensor: Tensor, form: Form, layout: WeightLayout, moments: NDArray[np.float64] | None = None
) -> Compressed:
    """Bring a tensor into a form.

    Parameters
    ----------
    tensor : array of float16 or float32
        A weight.
    form : Form
        The form.
    layout : WeightLayout
        Which axes of it are which.
    moments : array of float64 [inputs, inputs], optional
        Second moments of what the weight is multiplied with, as columns of its matrix. Palettes then keep results near
        to what they were; without them, elements. Integers are rounded to the nearest either way.

    Raises
    ------
    CompressionError
        If an element is not finite.
    """
    if not np.isfinite(tensor).all():
        raise CompressionError(f"a {tensor.dtype} tensor of shape {list(tensor.shape)} is not finite everywhere")
    if isinstance(form, Int8Form):
        return _scaled(tensor, layout, form.by_block)
    if moments is None:
        palette = _entries(best_palette(*distinct(tensor), 2**form.bits), tensor.dtype)
        return Palettized(nearest_entries(tensor, palette.astype(np.float64)), _filled(palette, form.bits))
    matrix = matrix_of(tensor.astype(np.float64), layout)
    indices, palette = fed_back(
        matrix, moments, lambda values, weights: _entries(best_palette(values, weights, 2**form.bits), tensor.dtype)
    )
    return Palettized(tensor_of(indices, tensor.shape, layout), _filled(palette, form.bits))


def _entries(palette: NDArray[np.float64], dtype: np.dtype[Any]) -> Tensor:
    """Entries rounded to a type, each once."""
    entries: Tensor = np.unique(palette.astype(dtype))
    return entries


def _filled(entries: Tensor, bits: int) -> Tensor:
    return np.concatenate([entries, np.repeat(entries[-1:], 2**bits - len(entries))])


def _scaled(tensor: Tensor, layout: WeightLayout, by_block: bool) -> Scaled:
    groups = [1] * tensor.ndim
    groups[layout.outputs] = tensor.shape[layout.outputs]
    if by_block:
        inputs = tensor.shape[layout.inputs]
        groups[layout.inputs] = inputs // math.gcd(inputs, BLOCK)
    largest = np.abs(tensor)
    for axis, count in enumerate(groups):
        shape = [*largest.shape[:axis], count, -1, *largest.shape[axis + 1 :]]
        largest = largest.reshape(shape).max(axis=axis + 1)
    scales = (largest.astype(np.float64) / _LARGEST).astype(tensor.dtype)
    # A scale of zero would do as well, but nothing can be divided by it.
    scales[scales == 0] = np.finfo(tensor.dtype).tiny
    steps = np.rint(tensor.astype(np.float64) / _spread(scales.astype(np.float64), tensor.shape))
    return Scaled(np.clip(steps, -_LARGEST, _LARGEST).astype(np.int8), scales)


def _spread(scales: Tensor, shape: tuple[int, ...]) -> Tensor:
    for axis, size in enumerate(shape):
        scales = scales.repeat(size // scales.shape[axis], axis)
    return scales
