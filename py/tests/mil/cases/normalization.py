"""Normalisations."""

import numpy as np
from coremltools.converters.mil import Builder
from hypothesis import strategies as st

from mil.cases.case import Array, Case, CaseMaker, Draw, draw_array, draw_axes, draw_shape

_EPSILONS = st.sampled_from([np.float32(1e-5), np.float32(0.125)])


def _normalize(x: Array, axes: tuple[int, ...], epsilon: Array) -> Array:
    centred = x - x.mean(axes, keepdims=True)
    result: Array = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + epsilon)
    return result


def _affine(draw: Draw, shape: tuple[int, ...]) -> dict[str, Array]:
    """Both of gamma and beta, or neither."""
    if not draw(st.booleans()):
        return {}
    return {"gamma": draw_array(draw, shape, 0.5, 2), "beta": draw_array(draw, shape)}


def _layer_norm(draw: Draw) -> Case:
    shape = draw_shape(draw)
    axes = draw_axes(draw, len(shape)) if draw(st.booleans()) else list(range(len(shape)))
    normalized = sorted(axis % len(shape) for axis in axes)
    affine = _affine(draw, tuple(shape[axis] for axis in normalized))
    broadcast = [size if axis in normalized else 1 for axis, size in enumerate(shape)]
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.layer_norm(
            x=v["x"], axes=axes, gamma=v.get("gamma"), beta=v.get("beta"), epsilon=v["epsilon"]
        ),
        lambda v: (
            _normalize(v["x"], tuple(normalized), v["epsilon"])
            * v.get("gamma", np.ones(1)).reshape(broadcast if affine else [1])
            + v.get("beta", np.zeros(1)).reshape(broadcast if affine else [1])
        ),
        {"epsilon": draw(_EPSILONS), **affine},
    )


def _per_channel(values: Array, rank: int) -> Array:
    return values.reshape(-1, *[1] * (rank - 2))


def _instance_norm(draw: Draw) -> Case:
    shape = draw_shape(draw, minimum_rank=3)
    affine = _affine(draw, shape[1:2])
    rank = len(shape)
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.instance_norm(x=v["x"], gamma=v.get("gamma"), beta=v.get("beta"), epsilon=v["epsilon"]),
        lambda v: (
            _normalize(v["x"], tuple(range(2, rank)), v["epsilon"]) * _per_channel(v.get("gamma", np.ones(1)), rank)
            + _per_channel(v.get("beta", np.zeros(1)), rank)
        ),
        {"epsilon": draw(_EPSILONS), **affine},
    )


def _batch_norm(draw: Draw) -> Case:
    shape = draw_shape(draw, minimum_rank=3, maximum_rank=5, maximum_size=4)
    affine = _affine(draw, shape[1:2])
    constants = {
        "mean": draw_array(draw, shape[1:2]),
        "variance": draw_array(draw, shape[1:2], 0.5, 2),
        "epsilon": draw(_EPSILONS),
        **affine,
    }
    rank = len(shape)
    return Case(
        {"x": draw_array(draw, shape)},
        lambda v: Builder.batch_norm(
            x=v["x"],
            mean=v["mean"],
            variance=v["variance"],
            gamma=v.get("gamma"),
            beta=v.get("beta"),
            epsilon=v["epsilon"],
        ),
        lambda v: (
            (v["x"] - _per_channel(v["mean"], rank))
            / np.sqrt(_per_channel(v["variance"], rank) + v["epsilon"])
            * _per_channel(v.get("gamma", np.ones(1)), rank)
            + _per_channel(v.get("beta", np.zeros(1)), rank)
        ),
        constants,
    )


def _l2_norm(draw: Draw) -> Case:
    shape = draw_shape(draw, minimum_rank=3, maximum_rank=5, maximum_size=3)
    return Case(
        {"x": draw_array(draw, shape, 0.5, 3)},
        lambda v: Builder.l2_norm(x=v["x"], epsilon=v["epsilon"]),
        lambda v: v["x"] / np.sqrt((v["x"] ** 2).sum((-3, -2, -1), keepdims=True) + v["epsilon"]),
        {"epsilon": np.float32(draw(st.sampled_from([1e-6, 0.125])))},
    )


CASES: dict[str, CaseMaker] = {
    "layer_norm": _layer_norm,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "l2_norm": _l2_norm,
}
