"""Matrix products and attention."""

import math
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder
from hypothesis import strategies as st

from mil.cases.case import Array, Case, CaseMaker, Draw, draw_array, draw_shape


def _linear(draw: Draw) -> Case:
    shape = draw_shape(draw, maximum_rank=3)
    outputs = draw(st.integers(1, 5))
    constants = {"weight": draw_array(draw, (outputs, shape[-1]))}
    if draw(st.booleans()):
        constants["bias"] = draw_array(draw, (outputs,))
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.linear(x=v["x"], weight=v["weight"], bias=v.get("bias")),
        lambda v: v["x"] @ v["weight"].T + v.get("bias", np.zeros(())),
        constants,
    )


def _matmul(draw: Draw) -> Case:
    rows, inner, columns = (draw(st.integers(1, 4)) for _ in range(3))
    stack = draw_shape(draw, minimum_rank=0, maximum_rank=2)
    stacks = [tuple(size if draw(st.booleans()) else 1 for size in stack) for _ in range(2)]
    transpose_x, transpose_y = draw(st.booleans()), draw(st.booleans())
    x = draw_array(draw, (*stacks[0], *((inner, rows) if transpose_x else (rows, inner))))
    y = draw_array(draw, (*stacks[1], *((columns, inner) if transpose_y else (inner, columns))))
    return Case(
        {"x": x, "y": y},
        lambda v: Builder.matmul(x=v["x"], y=v["y"], transpose_x=transpose_x, transpose_y=transpose_y),
        lambda v: (
            (np.swapaxes(v["x"], -1, -2) if transpose_x else v["x"])
            @ (np.swapaxes(v["y"], -1, -2) if transpose_y else v["y"])
        ),
    )


def _attend(query: Array, key: Array, value: Array, added: Array | float) -> Array:
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1]) + added
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    result: Array = weights / weights.sum(-1, keepdims=True) @ value
    return result


def _attention(draw: Draw) -> Case:
    leading = draw_shape(draw, maximum_rank=2, maximum_size=3)
    targets, sources, width, value_width = (draw(st.integers(1, 5)) for _ in range(4))
    inputs = {
        "query": draw_array(draw, (*leading, targets, width)),
        "key": draw_array(draw, (*leading, sources, width)),
        "value": draw_array(draw, (*leading, sources, value_width)),
    }
    mask = draw(st.sampled_from(["none", "added", "boolean"]))
    if mask != "none":
        inputs["mask"] = draw_array(draw, (targets, sources))
    if mask == "boolean":
        inputs["mask"][:, 0] = 1.0  # something must take part

    def operation(v: Any) -> Any:
        given = {name: v[name] for name in ("query", "key", "value")}
        if mask == "added":
            given["attn_mask"] = v["mask"]
        if mask == "boolean":
            given["attn_mask"] = Builder.cast(x=Builder.relu(x=v["mask"]), dtype="bool")
        return Builder.scaled_dot_product_attention(**given)

    def reference(v: Any) -> Array:
        added: Array | float = 0.0
        if mask == "added":
            added = v["mask"]
        if mask == "boolean":
            added = np.where(v["mask"] > 0, 0.0, -np.inf)
        return _attend(v["query"], v["key"], v["value"], added)

    return Case(inputs, operation, reference)


CASES: dict[str, CaseMaker] = {
    "linear": _linear,
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
}
