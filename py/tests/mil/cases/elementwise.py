"""Arithmetic, comparisons, activations, selection."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder
from hypothesis import strategies as st

from mil.cases.case import Array, Case, CaseMaker, Draw, draw_array, draw_axis, draw_shape

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


# Reference, and the range of arguments where it is defined and well-conditioned.
_UNARY: dict[str, tuple[Callable[[Array], Any], float, float]] = {
    "abs": (np.abs, -3, 3),
    "acos": (np.arccos, -0.9, 0.9),
    "asin": (np.arcsin, -0.9, 0.9),
    "atan": (np.arctan, -3, 3),
    "atanh": (np.arctanh, -0.9, 0.9),
    "ceil": (np.ceil, -3, 3),
    "cos": (np.cos, -3, 3),
    "cosh": (np.cosh, -3, 3),
    "erf": (_erf, -3, 3),
    "exp": (np.exp, -3, 3),
    "exp2": (np.exp2, -3, 3),
    "floor": (np.floor, -3, 3),
    "relu": (lambda x: np.maximum(x, 0), -3, 3),
    "relu6": (lambda x: np.minimum(np.maximum(x, 0), 6), -9, 9),
    "round": (np.round, -3, 3),
    "sigmoid": (_sigmoid, -8, 8),
    "sign": (np.sign, -3, 3),
    "silu": (lambda x: x * _sigmoid(x), -8, 8),
    "sin": (np.sin, -3, 3),
    "sinh": (np.sinh, -3, 3),
    "softplus": (lambda x: np.log(1 + np.exp(x)), -8, 8),
    "softsign": (lambda x: x / (1 + np.abs(x)), -3, 3),
    "sqrt": (np.sqrt, 0, 9),
    "square": (np.square, -3, 3),
    "tan": (np.tan, -1.2, 1.2),
    "tanh": (np.tanh, -3, 3),
}

_ARITHMETIC: dict[str, tuple[Callable[[Array, Array], Any], float, float]] = {
    "add": (np.add, -3, 3),
    "floor_div": (np.floor_divide, 1, 9),
    "maximum": (np.maximum, -3, 3),
    "minimum": (np.minimum, -3, 3),
    "mod": (np.mod, 1, 9),
    "mul": (np.multiply, -3, 3),
    "pow": (np.power, 0.5, 3),
    "real_div": (np.divide, 0.5, 3),
    "sub": (np.subtract, -3, 3),
}

_COMPARISONS: dict[str, Callable[[Array, Array], Any]] = {
    "equal": np.equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "not_equal": np.not_equal,
}

_LOGICAL: dict[str, Callable[[Array, Array], Any]] = {
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


def _as_number(x: Any) -> Any:
    """Truth values cannot leave a package; 0 and 1 can."""
    return Builder.cast(x=x, dtype="int32")


def _is_positive(x: Any) -> Any:
    return Builder.cast(x=Builder.relu(x=x), dtype="bool")


def _broadcast_pair(draw: Draw, low: float, high: float) -> dict[str, Array]:
    """Two arrays whose shapes broadcast: some axes of each are 1, and one may lack leading axes."""
    shape = draw_shape(draw)
    shapes = [tuple(size if draw(st.booleans()) else 1 for size in shape) for _ in range(2)]
    missing = draw(st.integers(0, len(shape) - 1))
    return {"x": draw_array(draw, shapes[0], low, high), "y": draw_array(draw, shapes[1][missing:], low, high)}


def _unary(name: str) -> CaseMaker:
    function, low, high = _UNARY[name]

    def make(draw: Draw) -> Case:
        x = draw_array(draw, draw_shape(draw), low, high)
        return Case({"x": x}, lambda v: getattr(Builder, name)(x=v["x"]), lambda v: function(v["x"]))

    return make


def _arithmetic(name: str) -> CaseMaker:
    function, low, high = _ARITHMETIC[name]

    def make(draw: Draw) -> Case:
        pair = _broadcast_pair(draw, low, high)
        if name in ("floor_div", "mod"):
            # Keep quotients away from whole numbers, where any rounding is a jump.
            pair["x"] = np.floor(pair["x"] * 2) + np.float32(0.25)
            pair["y"] = np.floor(pair["y"]) * np.where(pair["y"] > 5, -1, 1).astype(np.float32)
        return Case(pair, lambda v: getattr(Builder, name)(x=v["x"], y=v["y"]), lambda v: function(v["x"], v["y"]))

    return make


def _comparison(name: str) -> CaseMaker:
    function = _COMPARISONS[name]

    def make(draw: Draw) -> Case:
        pair = {key: np.round(array) for key, array in _broadcast_pair(draw, -2, 2).items()}
        return Case(
            pair,
            lambda v: _as_number(getattr(Builder, name)(x=v["x"], y=v["y"])),
            lambda v: function(v["x"], v["y"]),
        )

    return make


def _logical(name: str) -> CaseMaker:
    function = _LOGICAL[name]

    def make(draw: Draw) -> Case:
        return Case(
            _broadcast_pair(draw, -1, 1),
            lambda v: _as_number(getattr(Builder, name)(x=_is_positive(v["x"]), y=_is_positive(v["y"]))),
            lambda v: function(v["x"] > 0, v["y"] > 0),
        )

    return make


def _logical_not(draw: Draw) -> Case:
    return Case(
        {"x": draw_array(draw, draw_shape(draw))},
        lambda v: _as_number(Builder.logical_not(x=_is_positive(v["x"]))),
        lambda v: v["x"] <= 0,
    )


def _parameters(name: str, function: Callable[..., Any], *ranges: tuple[float, float]) -> CaseMaker:
    """Activation whose parameters ``alpha``, then ``beta``, are drawn from ranges, in steps that float16 has."""

    def make(draw: Draw) -> Case:
        names = ("alpha", "beta")[: len(ranges)]
        steps = [draw(st.integers(int(low * 8), int(high * 8))) for low, high in ranges]
        return Case(
            {"x": draw_array(draw, draw_shape(draw))},
            lambda v: getattr(Builder, name)(x=v["x"], **{key: v[key] for key in names}),
            lambda v: function(v["x"], *[v[key] for key in names]),
            {key: np.float32(step / 8) for key, step in zip(names, steps, strict=True)},
        )

    return make


def _epsilon(name: str, function: Callable[[Array], Any], default: float) -> CaseMaker:
    def make(draw: Draw) -> Case:
        return Case(
            {"x": draw_array(draw, draw_shape(draw), 0.5, 5)},
            lambda v: getattr(Builder, name)(x=v["x"], epsilon=v["epsilon"]),
            lambda v: function(v["x"] + v["epsilon"]),
            {"epsilon": np.float32(draw(st.sampled_from([default, 0.25])))},
        )

    return make


def _gelu(draw: Draw) -> Case:
    modes: Mapping[str, Callable[[Array], Any]] = {
        "EXACT": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
        "TANH_APPROXIMATION": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "SIGMOID_APPROXIMATION": lambda x: x * _sigmoid(1.702 * x),
    }
    mode = draw(st.sampled_from(sorted(modes)))
    return Case(
        {"x": draw_array(draw, draw_shape(draw))},
        lambda v: Builder.gelu(x=v["x"], mode=mode),
        lambda v: modes[mode](v["x"]),
    )


def _softmax(draw: Draw) -> Case:
    shape = draw_shape(draw)
    axis = draw_axis(draw, len(shape))
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.softmax(x=v["x"], axis=axis),
        lambda v: np.exp(v["x"]) / np.exp(v["x"]).sum(axis, keepdims=True),
    )


def _cast(draw: Draw) -> Case:
    dtype = draw(st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "bool", "fp16", "fp32"]))
    low = 0 if dtype.startswith("u") else -100
    final = {"fp16": "fp16", "fp32": "fp32"}.get(dtype, "int32")
    references: dict[str, Callable[[Array], Any]] = {"bool": lambda x: x != 0, "fp16": np.array, "fp32": np.array}
    reference = references.get(dtype, np.trunc)
    return Case(
        {"x": draw_array(draw, draw_shape(draw), low, 100)},
        lambda v: Builder.cast(x=Builder.cast(x=v["x"], dtype=dtype), dtype=final),
        lambda v: reference(v["x"]),
    )


def _select(draw: Draw) -> Case:
    pair = _broadcast_pair(draw, -3, 3)
    condition = draw_array(draw, pair["x"].shape)
    return Case(
        {"condition": condition, **pair},
        lambda v: Builder.select(cond=_is_positive(v["condition"]), a=v["x"], b=v["y"]),
        lambda v: np.where(v["condition"] > 0, v["x"], v["y"]),
    )


def _identity(draw: Draw) -> Case:
    return Case({"x": draw_array(draw, draw_shape(draw))}, lambda v: Builder.identity(x=v["x"]), lambda v: v["x"])


CASES: dict[str, CaseMaker] = {
    **{name: _unary(name) for name in _UNARY},
    **{name: _arithmetic(name) for name in _ARITHMETIC},
    **{name: _comparison(name) for name in _COMPARISONS},
    **{name: _logical(name) for name in _LOGICAL},
    "logical_not": _logical_not,
    "log": _epsilon("log", np.log, 1e-45),
    "rsqrt": _epsilon("rsqrt", lambda x: 1 / np.sqrt(x), 1e-12),
    "inverse": _epsilon("inverse", lambda x: 1 / x, 1e-4),
    "clip": _parameters("clip", np.clip, (-2, -0.125), (0.125, 2)),
    "elu": _parameters("elu", lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)), (0.5, 2)),
    "leaky_relu": _parameters("leaky_relu", lambda x, alpha: np.where(x >= 0, x, alpha * x), (0, 1)),
    "linear_activation": _parameters("linear_activation", lambda x, alpha, beta: alpha * x + beta, (-2, 2), (-2, 2)),
    "gelu": _gelu,
    "softmax": _softmax,
    "cast": _cast,
    "select": _select,
    "identity": _identity,
}
