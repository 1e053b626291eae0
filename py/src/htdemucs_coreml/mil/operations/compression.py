"""Operations that unpack stored constants, once, when a program is loaded (iOS 18 forms)."""

import numpy as np

from htdemucs_coreml.mil.operations.registry import ParameterError, operation
from htdemucs_coreml.mil.program import Constant
from htdemucs_coreml.mil.tensor_types import Array, DataType


@operation(folds=True)
def constexpr_lut_to_dense(indices: Constant, lut: Constant, vector_axis: int | None = None) -> Array:
    """Look up palette entries.

    `lut` has the shape ``[*groups, palette entries, vector size]``: along each axis, the indices fall into as
    many equal groups as that axis of `lut` has entries. Each index stands for ``vector size`` elements along
    `vector_axis`.
    """
    table = lut.array()
    shape, groups, (entries, vector_size) = indices.type.shape, table.shape[:-2], table.shape[-2:]
    _check_groups("lut", groups, shape)
    if indices.type.dtype.is_signed or entries != 2**indices.type.dtype.bits:
        raise ParameterError("lut", f"has {entries} entries per palette, which does not fit {indices.type.dtype.value}")
    if vector_size != 1 and vector_axis is None:
        raise ParameterError("vector_axis", f"is missing, though palette entries hold {vector_size} elements")
    # One row per palette; every index is moved to the row of its group.
    palettes = table.reshape(-1, vector_size)
    group_numbers = _spread(np.arange(len(palettes) // entries, dtype=np.int32).reshape(groups), shape)
    dense = palettes[group_numbers * np.int32(entries) + indices.array()]
    if vector_size == 1 or vector_axis is None:
        return dense[..., 0]
    axis = vector_axis % len(shape) if -len(shape) <= vector_axis < len(shape) else None
    if axis is None:
        raise ParameterError("vector_axis", f"is {vector_axis}, which is no axis of a tensor of rank {len(shape)}")
    joined = [size * vector_size if position == axis else size for position, size in enumerate(shape)]
    return np.moveaxis(dense, -1, axis + 1).reshape(joined)


@operation(folds=True)
def constexpr_blockwise_shift_scale(data: Constant, scale: Constant, offset: Constant | None = None) -> Array:
    """Compute ``scale * (data - offset)`` in the type of `scale`.

    Along each axis, as many neighbours of `data` share an entry of `scale` and `offset` as make the sizes
    fit.
    """
    shape, factors = data.type.shape, scale.array()
    _check_groups("scale", factors.shape, shape)
    values = data.array().astype(np.float32)
    if offset is not None:
        if offset.type.shape != scale.type.shape:
            raise ParameterError("offset", f"is {offset.type}, and scale {scale.type}; expected one shape")
        values = _rounded(values - _spread(offset.array().astype(np.float32), shape), scale)
    return _rounded(values * _spread(factors.astype(np.float32), shape), scale).astype(factors.dtype)


@operation(folds=True)
def constexpr_sparse_to_dense(nonzero_data: Constant, mask: Constant) -> Array:
    """Place stored elements, in row-major order, where `mask` is 1; all others are zero."""
    places = mask.array().astype(np.bool_)
    if mask.type.dtype is not DataType.UINT1 or nonzero_data.type.shape != (np.count_nonzero(places),):
        raise ParameterError("mask", f"is {mask.type} with {np.count_nonzero(places)} ones for {nonzero_data.type}")
    dense: Array = np.zeros(places.shape, nonzero_data.type.dtype.numpy)
    dense[places] = nonzero_data.array()
    return dense


def _check_groups(name: str, groups: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if len(groups) != len(shape) or any(
        size % group if group else size for size, group in zip(shape, groups, strict=True)
    ):
        raise ParameterError(name, f"has groups of shape {list(groups)}, which does not divide {list(shape)}")


def _spread(values: Array, shape: tuple[int, ...]) -> Array:
    """Repeat each entry over its block of a tensor of `shape`."""
    for axis, size in enumerate(shape):
        if 1 < values.shape[axis] < size:
            values = values.repeat(size // values.shape[axis], axis)
    return np.broadcast_to(values, shape)


def _rounded(values: Array, scale: Constant) -> Array:
    return values.astype(scale.type.dtype.numpy).astype(np.float32)
