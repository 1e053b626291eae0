"""Sums, means, extrema, norms over some or all axes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder
from hypothesis import strategies as st

from mil.cases.case import Array, Case, CaseMaker, Draw, draw_array, draw_axes, draw_axis, draw_shape

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "reduce_mean": np.mean,
    "reduce_sum": np.sum,
    "reduce_prod": np.prod,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_sum_square": lambda x, **options: np.sum(x * x, **options),
    "reduce_l1_norm": lambda x, **options: np.sum(np.abs(x), **options),
    "reduce_l2_norm": lambda x, **options: np.sqrt(np.sum(x * x, **options)),
    "reduce_log_sum": lambda x, **options: np.log(np.sum(x, **options)),
    "reduce_log_sum_exp": lambda x, **options: np.log(np.sum(np.exp(x), **options)),
}


def _reduction(name: str) -> CaseMaker:
    function = _REDUCTIONS[name]

    def make(draw: Draw) -> Case:
        shape = draw_shape(draw)
        axes = draw(st.none()) if draw(st.booleans()) else draw_axes(draw, len(shape))
        keep_dims = draw(st.booleans())
        chosen = None if axes is None else tuple(axes)
        options: dict[str, Any] = {"keep_dims": keep_dims} if axes is None else {"axes": axes, "keep_dims": keep_dims}
        return Case(
            {"x": draw_array(draw, shape, 0.5, 1.5)},
            lambda v: getattr(Builder, name)(x=v["x"], **options),
            lambda v: function(v["x"], axis=chosen, keepdims=keep_dims),
        )

    return make


def _index(name: str, function: Callable[..., Any]) -> CaseMaker:
    def make(draw: Draw) -> Case:
        shape = draw_shape(draw)
        axis = draw_axis(draw, len(shape))
        keep_dims = draw(st.booleans())
        output_dtype = draw(st.sampled_from(["int32", "uint16"]))
        generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        different: Array = generator.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
        return Case(
            {"x": different},
            lambda v: Builder.cast(
                x=getattr(Builder, name)(x=v["x"], axis=axis, keep_dims=keep_dims, output_dtype=output_dtype),
                dtype="int32",
            ),
            lambda v: function(v["x"], axis=axis, keepdims=keep_dims),
        )

    return make


CASES: dict[str, CaseMaker] = {
    **{name: _reduction(name) for name in _REDUCTIONS},
    "reduce_argmax": _index("reduce_argmax", np.argmax),
    "reduce_argmin": _index("reduce_argmin", np.argmin),
}
