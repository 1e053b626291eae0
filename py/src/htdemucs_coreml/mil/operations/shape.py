"""Operations that move elements and compute none: reshaping, slicing, joining, padding, gathering."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.mil.operations.registry import Bools, Ints, ParameterError, check_declared, operation
from htdemucs_coreml.mil.tensor_types import TensorType


@operation(computes=False)
def reshape(x: Tensor, shape: Ints) -> Tensor:
    """Give another shape; one size of -1 is inferred, 0 keeps the size of the same axis if the rank stays."""
    if 0 in shape and x.numel() and len(shape) != x.ndim:
        raise ParameterError("shape", f"is {list(shape)}; 0 is allowed only where the rank ({x.ndim}) stays")
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])


@operation(computes=False)
def transpose(x: Tensor, perm: Ints) -> Tensor:
    """Put axis ``perm[i]`` in place i."""
    return x.permute(perm)


@operation(computes=False)
def expand_dims(x: Tensor, axes: Ints) -> Tensor:
    """Insert axes of size 1; `axes` are positions in the result."""
    rank = x.ndim + len(axes)
    positions = sorted(_axis("axes", axis, rank) for axis in axes)
    if len(set(positions)) != len(positions):
        raise ParameterError("axes", f"is {list(axes)}, which names an axis twice")
    for position in positions:
        x = x.unsqueeze(position)
    return x


@operation(computes=False)
def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Remove axes of size 1; axes of other sizes stay, as in torch."""
    return x.squeeze() if axes is None else x.squeeze(axes)


@operation(computes=False)
def reverse(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Turn axes around, all of them unless `axes` says which."""
    return x.flip(tuple(range(x.ndim)) if axes is None else axes)


@operation(computes=False)
def slice_by_index(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Bools | None = None,
    end_mask: Bools | None = None,
    squeeze_mask: Bools | None = None,
) -> Tensor:
    """Slice each axis as NumPy does with ``begin:end:stride``.

    Ends whose mask is true are open; axes to be squeezed are indexed by `begin`.
    """
    rank = x.ndim
    strides = (1,) * rank if stride is None else stride
    masks = [(False,) * rank if mask is None else mask for mask in (begin_mask, end_mask, squeeze_mask)]
    if {len(begin), len(end), len(strides), *map(len, masks)} != {rank}:
        raise ParameterError("begin", f"and the other lists must have one entry per axis of x, which has {rank}")
    open_begin, open_end, squeezed = masks
    for axis in reversed(range(rank)):
        if squeezed[axis]:
            x = x.select(axis, 0 if open_begin[axis] else begin[axis])
            continue
        if strides[axis] == 0:
            raise ParameterError("stride", "holds 0")
        chosen = slice(None if open_begin[axis] else begin[axis], None if open_end[axis] else end[axis], strides[axis])
        x = _slice(x, axis, chosen)
    return x


def _slice(x: Tensor, axis: int, chosen: slice) -> Tensor:
    indices = range(x.shape[axis])[chosen]
    if indices.step > 0:
        index = (slice(None),) * axis + (slice(indices.start, indices.stop, indices.step),)
        return x[index]
    # torch has no negative steps: the same elements in ascending order, then turned around.
    ascending = indices[::-1]
    return _slice(x, axis, slice(ascending.start, ascending.stop, ascending.step)).flip(axis)


@operation(computes=False)
def slice_by_size(x: Tensor, begin: Ints, size: Ints) -> Tensor:
    """Take `size` elements from `begin` on along each axis; a size of -1 takes all that remain."""
    if len(begin) != x.ndim or len(size) != x.ndim:
        raise ParameterError("begin", f"and size must have one entry per axis of x, which has {x.ndim}")
    for axis, (start, length) in enumerate(zip(begin, size, strict=True)):
        start = start + x.shape[axis] if start < 0 else start
        x = x.narrow(axis, start, x.shape[axis] - start if length == -1 else length)
    return x


@operation(computes=False)
def split(x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None) -> tuple[Tensor, ...]:
    """Cut along `axis` into equal parts, or into parts of the given sizes."""
    if split_sizes is None:
        if num_splits is None:
            raise ParameterError("num_splits", "is missing, and so is split_sizes")
        if num_splits < 1 or x.shape[axis] % num_splits:
            raise ParameterError("num_splits", f"is {num_splits}, which does not divide {x.shape[axis]}")
        return tuple(torch.split(x, x.shape[axis] // num_splits, axis))
    if num_splits not in (None, len(split_sizes)):
        raise ParameterError("num_splits", f"is {num_splits}, but split_sizes has {len(split_sizes)} entries")
    return tuple(torch.split(x, list(split_sizes), axis))


@operation(computes=False, uniform=True)
def concat(values: tuple[Tensor, ...], axis: int, interleave: bool = False) -> Tensor:
    """Join along `axis`; interleaved, the first elements of all come first, then the second ones."""
    if not interleave:
        return torch.cat(values, axis)
    axis = _axis("axis", axis, values[0].ndim)
    return torch.stack(values, axis + 1).flatten(axis, axis + 1)


@operation(computes=False, uniform=True)
def stack(values: tuple[Tensor, ...], axis: int) -> Tensor:
    """Join along a new axis."""
    return torch.stack(values, axis)


@operation(computes=False)
def tile(x: Tensor, reps: Ints, declared: TensorType) -> Tensor:
    """Repeat the whole tensor along each axis."""
    if len(reps) != x.ndim or min(reps, default=1) < 1:
        raise ParameterError("reps", f"is {list(reps)}; expected {x.ndim} numbers of at least 1")
    check_declared("reps", [size * count for size, count in zip(x.shape, reps, strict=True)], declared)
    return x.repeat(reps)


@operation(computes=False)
def fill(shape: Ints, value: Tensor | None = None) -> Tensor:
    """Make a tensor of one value, 0 in float32 by default."""
    return (torch.zeros(()) if value is None else value).expand(shape)


@operation(computes=False)
def fill_like(ref_tensor: Tensor, value: Tensor | None = None) -> Tensor:
    """Make a tensor of one value in the shape of another."""
    return (torch.zeros(()) if value is None else value).expand(ref_tensor.shape)


@operation(computes=False)
def pad(
    x: Tensor,
    pad: Ints,
    declared: TensorType,
    mode: Literal["constant", "reflect", "replicate"] = "constant",
    constant_val: float = 0.0,
) -> Tensor:
    """Pad the last ``len(pad) / 2`` axes; `pad` holds pairs, before and after, the last axis last."""
    if len(pad) % 2 or len(pad) > 2 * x.ndim or min(pad, default=0) < 0:
        raise ParameterError("pad", f"is {list(pad)}; expected at most {x.ndim} pairs of numbers of at least 0")
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    first = x.ndim - len(pairs)
    padded = [size + sum(pair) for size, pair in zip(x.shape[first:], pairs, strict=True)]
    check_declared("pad", [*x.shape[:first], *padded], declared)
    if mode == "constant":
        return functional.pad(x, [size for pair in reversed(pairs) for size in pair], value=constant_val)
    for axis, (before, after) in enumerate(pairs, start=first):
        x = _pad_axis(x, axis, before, after, mode)
    return x


def _pad_axis(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    if not before and not after:
        return x
    size = x.shape[axis]
    if max(before, after) > (size - 1 if mode == "reflect" else size):
        raise ParameterError(
            "pad", f"of {before} and {after} is too much for axis {axis} of size {size} in mode {mode}"
        )
    # functional.pad knows these modes for the last axis of a tensor of three axes.
    moved = x.movedim(axis, -1)
    padded = functional.pad(moved.reshape(1, -1, size), (before, after), mode=mode)
    return padded.reshape(*moved.shape[:-1], -1).movedim(-1, axis)


@operation(computes=False)
def crop(x: Tensor, crop_height: Ints, crop_width: Ints) -> Tensor:
    """Cut off elements before and after on the last two axes."""
    if x.ndim < 3 or len(crop_height) != 2 or len(crop_width) != 2 or min(*crop_height, *crop_width) < 0:
        raise ParameterError("crop_height", "and crop_width must be pairs of at least 0, and x of rank 3 or more")
    for axis, (before, after) in ((-2, crop_height), (-1, crop_width)):
        x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x


@operation(computes=False)
def gather(x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """Take slices along `axis`; indices outside it are an error whatever `validate_indices` says."""
    del validate_indices
    if batch_dims:
        raise ParameterError("batch_dims", f"is {batch_dims}; only 0 is supported")
    axis = _axis("axis", axis, x.ndim)
    taken = x.index_select(axis, _wrapped(indices, x.shape[axis]).reshape(-1))
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


@operation(computes=False)
def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False) -> Tensor:
    """Take elements along `axis`; indices outside it are an error whatever `validate_indices` says."""
    del validate_indices
    axis = _axis("axis", axis, x.ndim)
    others = [[size for other, size in enumerate(t.shape) if other != axis] for t in (x, indices)]
    if others[0] != others[1]:
        raise ParameterError(
            "indices", f"has the shape {list(indices.shape)}, x {list(x.shape)}; only axis {axis} may differ"
        )
    return x.gather(axis, _wrapped(indices, x.shape[axis]))


def _wrapped(indices: Tensor, size: int) -> Tensor:
    indices = indices.to(torch.int64)
    return torch.where(indices < 0, indices + size, indices)


def _axis(name: str, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ParameterError(name, f"holds {axis}, which is no axis of a tensor of rank {rank}")
    return axis % rank
