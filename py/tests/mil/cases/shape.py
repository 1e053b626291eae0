"""Operations that only move elements."""

import math
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder
from hypothesis import strategies as st

from mil.cases.case import Array, Case, CaseMaker, Draw, draw_array, draw_axes, draw_axis, draw_integers, draw_shape


def _reshape(draw: Draw) -> Case:
    shape = draw_shape(draw)
    elements = math.prod(shape)
    divisors = [size for size in range(1, elements + 1) if elements % size == 0]
    first = draw(st.sampled_from(divisors))
    target = draw(
        st.sampled_from(
            [
                [first, elements // first],
                [first, -1],
                [-1, 1, first],
                [0] * len(shape),
                [0, *shape[1:]],
            ]
        )
    )
    result = [-1] if target[0] == 0 else target
    final = shape if target[0] == 0 else result
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.reshape(x=v["x"], shape=target),
        lambda v: v["x"].reshape(final),
    )


def _transpose(draw: Draw) -> Case:
    shape = draw_shape(draw, maximum_rank=5, maximum_size=3)
    order = draw(st.permutations(range(len(shape))))
    perm = [axis - len(shape) if draw(st.booleans()) else axis for axis in order]
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.transpose(x=v["x"], perm=perm),
        lambda v: np.transpose(v["x"], order),
    )


def _expand_dims(draw: Draw) -> Case:
    shape = draw_shape(draw, maximum_rank=3)
    added = draw(st.integers(1, 2))
    axes = draw(st.lists(st.integers(0, len(shape) + added - 1), unique=True, min_size=added, max_size=added))
    signed = [axis - len(shape) - added if draw(st.booleans()) else axis for axis in axes]
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.expand_dims(x=v["x"], axes=signed),
        lambda v: np.expand_dims(v["x"], tuple(axes)),
    )


def _squeeze(draw: Draw) -> Case:
    shape = tuple(draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=2, max_size=5)))
    axes = draw_axes(draw, len(shape)) if draw(st.booleans()) else None
    removed = {axis % len(shape) for axis in (range(len(shape)) if axes is None else axes)}
    kept = [size for axis, size in enumerate(shape) if size != 1 or axis not in removed]
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.squeeze(x=v["x"], axes=axes),
        lambda v: v["x"].reshape(kept),
    )


def _reverse(draw: Draw) -> Case:
    shape = draw_shape(draw)
    axes = draw_axes(draw, len(shape)) if draw(st.booleans()) else None
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.reverse(x=v["x"], axes=axes),
        lambda v: np.flip(v["x"], None if axes is None else tuple(axes)),
    )


def _slice_by_index(draw: Draw) -> Case:
    shape = draw_shape(draw, maximum_size=6)
    begin, end, stride, chosen = [], [], [], []
    masks: dict[str, list[bool]] = {"begin_mask": [], "end_mask": [], "squeeze_mask": []}
    for size in shape:
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        low, high = sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=2)))
        low, high = (low, low + 1) if low == high and low < size else (min(low, size - 1), high)
        first, last = (low, high) if step > 0 else (high - 1, low - 1)
        squeezed = draw(st.booleans()) and draw(st.booleans())
        open_begin = not squeezed and draw(st.booleans())
        # A reversed slice that reaches index 0 can only be written with an open end.
        open_end = draw(st.booleans()) or last < 0
        begin.append(first - size if draw(st.booleans()) else first)
        end.append(last)
        stride.append(step)
        masks["begin_mask"].append(open_begin)
        masks["end_mask"].append(open_end)
        masks["squeeze_mask"].append(squeezed)
        chosen.append(first if squeezed else slice(None if open_begin else first, None if open_end else last, step))
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.slice_by_index(x=v["x"], begin=begin, end=end, stride=stride, **masks),
        lambda v: v["x"][tuple(chosen)],
    )


def _slice_by_size(draw: Draw) -> Case:
    shape = draw_shape(draw)
    begin = [draw(st.integers(0, size - 1)) for size in shape]
    size = [draw(st.sampled_from([-1, 1, length - start])) for start, length in zip(begin, shape, strict=True)]
    chosen = tuple(
        slice(start, None if length == -1 else start + length) for start, length in zip(begin, size, strict=True)
    )
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.slice_by_size(x=v["x"], begin=begin, size=size),
        lambda v: v["x"][chosen],
    )


def _split(draw: Draw) -> Case:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    even = draw(st.booleans())
    sizes = [sizes[0]] * len(sizes) if even else sizes
    others = list(draw_shape(draw, maximum_rank=3))
    axis = draw(st.integers(0, len(others)))
    shape = (*others[:axis], sum(sizes), *others[axis:])
    signed = axis - len(shape) if draw(st.booleans()) else axis
    how: dict[str, Any] = {"num_splits": len(sizes)} if even else {"split_sizes": sizes}
    if not even and draw(st.booleans()):
        how["num_splits"] = len(sizes)
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.split(x=v["x"], axis=signed, **how),
        lambda v: tuple(np.split(v["x"], np.cumsum(sizes)[:-1], axis)),
    )


def _concat(draw: Draw) -> Case:
    shape = draw_shape(draw)
    axis = draw_axis(draw, len(shape))
    interleave = draw(st.booleans())
    count = draw(st.integers(1, 3))
    inputs = {}
    for name in ("a", "b", "c")[:count]:
        sizes = list(shape)
        if not interleave:
            sizes[axis] = draw(st.integers(1, 4))
        inputs[name] = draw_array(draw, tuple(sizes))

    def reference(v: Any) -> Array:
        if not interleave:
            return np.concatenate([v[name] for name in inputs], axis)
        joined = np.empty([size * count if place == axis % len(shape) else size for place, size in enumerate(shape)])
        for index, name in enumerate(inputs):
            place = (slice(None),) * (axis % len(shape)) + (slice(index, None, count),)
            joined[place] = v[name]
        return joined

    return Case(
        inputs,
        lambda v: Builder.concat(values=[v[name] for name in inputs], axis=axis, interleave=interleave),
        reference,
    )


def _stack(draw: Draw) -> Case:
    shape = draw_shape(draw)
    axis = draw(st.integers(-len(shape), len(shape)))
    inputs = {name: draw_array(draw, shape) for name in ("a", "b")}
    # A negative axis counts from the end of the result.
    return Case(
        inputs,
        lambda v: Builder.stack(values=[v["a"], v["b"]], axis=axis),
        lambda v: np.stack([v["a"], v["b"]], axis),
    )


def _tile(draw: Draw) -> Case:
    shape = draw_shape(draw)
    reps = [draw(st.integers(1, 3)) for _ in shape]
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.tile(x=v["x"], reps=reps),
        lambda v: np.tile(v["x"], reps),
    )


def _fill(draw: Draw) -> Case:
    shape = draw_shape(draw)
    value = draw(st.integers(-8, 8)) / 4
    return Case(
        {"x": draw_array(draw, shape)},
        lambda _: Builder.fill(shape=shape, value=value),
        lambda _: np.full(shape, value),
    )


def _fill_like(draw: Draw) -> Case:
    shape = draw_shape(draw)
    value = draw(st.integers(-8, 8)) / 4
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.fill_like(ref_tensor=v["x"], value=value),
        lambda v: np.full(v["x"].shape, value),
    )


def _pad(draw: Draw) -> Case:
    shape = draw_shape(draw)
    mode = draw(st.sampled_from(["constant", "reflect", "replicate"]))
    padded = draw(st.integers(1, len(shape)))
    spare = {"constant": 3, "reflect": -1, "replicate": 0}[mode]
    pairs = []
    for size in shape[len(shape) - padded :]:
        limit = st.integers(0, spare if mode == "constant" else size + spare)
        pairs.append((draw(limit), draw(limit)))
    value = draw(st.integers(-8, 8)) / 4
    every = [(0, 0)] * (len(shape) - padded) + pairs
    options: dict[str, Any] = {"mode": "edge" if mode == "replicate" else mode}
    if mode == "constant":
        options["constant_values"] = value
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.pad(
            x=v["x"],
            pad=[size for pair in pairs for size in pair],
            mode=mode,
            constant_val=v["value"],
        ),
        lambda v: np.pad(v["x"], every, **options),
        {"value": np.float32(value)},
    )


def _crop(draw: Draw) -> Case:
    shape = draw_shape(draw, minimum_rank=3, maximum_rank=4)
    height, width = (
        [before := draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1 - before))] for size in shape[-2:]
    )
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.crop(x=v["x"], crop_height=height, crop_width=width),
        lambda v: v["x"][..., height[0] : shape[-2] - height[1], width[0] : shape[-1] - width[1]],
    )


def _gather(draw: Draw) -> Case:
    shape = draw_shape(draw, maximum_rank=3)
    axis = draw_axis(draw, len(shape))
    indices = draw_integers(draw, draw_shape(draw, maximum_rank=2), -shape[axis], shape[axis] - 1)
    return Case(
        {"x": draw_array(draw, shape), "indices": indices},
        lambda v: Builder.gather(x=v["x"], indices=v["indices"], axis=axis),
        lambda v: np.take(v["x"], v["indices"].astype(int), axis),
    )


def _gather_along_axis(draw: Draw) -> Case:
    shape = draw_shape(draw, maximum_rank=3)
    axis = draw_axis(draw, len(shape))
    taken = [draw(st.integers(1, 4)) if place == axis % len(shape) else size for place, size in enumerate(shape)]
    indices = draw_integers(draw, tuple(taken), -shape[axis], shape[axis] - 1)
    return Case(
        {"x": draw_array(draw, shape), "indices": indices},
        lambda v: Builder.gather_along_axis(x=v["x"], indices=v["indices"], axis=axis),
        lambda v: np.take_along_axis(v["x"], v["indices"].astype(int), axis),
    )


CASES: dict[str, CaseMaker] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "reverse": _reverse,
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "split": _split,
    "concat": _concat,
    "stack": _stack,
    "tile": _tile,
    "fill": _fill,
    "fill_like": _fill_like,
    "pad": _pad,
    "crop": _crop,
    "gather": _gather,
    "gather_along_axis": _gather_along_axis,
}
