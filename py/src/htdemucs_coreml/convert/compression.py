"""Stores the weights of a program in the forms that a compression plan gives them.

A weight becomes the result of an operation that Core ML evaluates when it loads a package (iOS 18 forms):
``constexpr_lut_to_dense`` for a palette, ``constexpr_blockwise_shift_scale`` for integers. It keeps its name and its
type: palettes and scales have the type that the weight's consumer takes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import Operation, Program, Var, types
from numpy.typing import NDArray

from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.forms import Compressed, Form, Palettized, compressed
from htdemucs_coreml.compress.layout import WeightLayout
from htdemucs_coreml.compress.plans import MINIMUM_ELEMENTS, Block, CompressionPlan
from htdemucs_coreml.convert.operation_names import SEPARATOR, block_of

WEIGHT = "weight"
_WEIGHTED = frozenset({"conv", "conv_transpose", "linear"})

_INDEX_TYPES = {
    1: types.np_uint1_dtype,
    2: types.np_uint2_dtype,
    3: types.np_uint3_dtype,
    4: types.np_uint4_dtype,
    6: types.np_uint6_dtype,
    8: np.dtype(np.uint8),
}


@dataclass(frozen=True)
class _Weight:
    """A constant that may be compressed, and an operation that multiplies with it."""

    constant: Var
    user: Operation

    @property
    def block(self) -> Block:
        return block_of(self.user.name)

    @property
    def layout(self) -> WeightLayout:
        if self.user.op_type == "conv_transpose":
            return WeightLayout(outputs=1, inputs=0, stride=int(self.user.strides.val[0]))
        return WeightLayout(outputs=0, inputs=1)


def apply_compression(
    program: Program,
    plan: CompressionPlan,
    model: str | None = None,
    moments: Mapping[Block, NDArray[np.float64]] | None = None,
) -> None:
    """Compress a program's weights, in place.

    A weight that several operations share is compressed for the first of them.

    Parameters
    ----------
    program : Program
        A program with the element types that it is to have, named after its blocks.
    plan : CompressionPlan
        Forms of its weights.
    model : str, optional
        The model's name, for plans that are for certain models only.
    moments : Mapping of tuple of str to array, optional
        Second moments of what each block takes, for a calibrated plan; others do not look at them.

    Raises
    ------
    CompressionPlanError
        If the plan names a block without weights.
    CompressionError
        If a weight cannot be compressed, or moments that a calibrated plan asks for are not given.
    """
    weights = list(_weights(program))
    plan.require_match((weight.block for weight in weights), model)
    if plan.calibrated and moments is None:
        raise CompressionError(f"plan {plan.name} is calibrated, and no moments are given; compute them of the core")
    done: set[Var] = set()
    for weight in weights:
        form = plan.form_for(weight.block)
        if weight.constant not in done and form is not None:
            known = _known(weight.block, moments) if plan.calibrated and moments is not None else None
            _replace(weight, _compressed(weight, form, known))
        done.add(weight.constant)


def _weights(program: Program) -> Iterator[_Weight]:
    """Every weight with every operation that uses it, in the program's order."""
    for function in program.functions.values():
        for operation in function.operations:
            constant = operation.inputs.get(WEIGHT) if operation.op_type in _WEIGHTED else None
            if constant is None or constant.op is None or constant.op.op_type != "const":
                continue
            if constant.val.size >= MINIMUM_ELEMENTS:
                yield _Weight(constant, operation)


def _known(block: Block, moments: Mapping[Block, NDArray[np.float64]]) -> NDArray[np.float64]:
    if block not in moments:
        raise CompressionError(f"there are no moments of what {'.'.join(block)} takes; compute them of the same core")
    return moments[block]


def _compressed(weight: _Weight, form: Form, moments: NDArray[np.float64] | None) -> Compressed:
    try:
        return compressed(weight.constant.val, form, weight.layout, moments)
    except CompressionError as error:
        raise CompressionError(f"the weight of {'.'.join(weight.block)} cannot be compressed: {error}") from error


def _replace(weight: _Weight, form: Compressed) -> None:
    constant = weight.constant.op
    name, block = constant.name, constant.enclosing_block

    def stored(part: str, elements: NDArray[np.generic]) -> Var:
        made = Builder.const(val=elements, name=f"{name}{SEPARATOR}{part}", before_op=constant)
        made.op.scopes = constant.scopes
        return made

    with block:
        if isinstance(form, Palettized):
            indices = stored("indices", form.indices.astype(_INDEX_TYPES[form.bits]))
            palette = stored("lut", form.palette.reshape([1] * form.indices.ndim + [-1, 1]))
            made = Builder.constexpr_lut_to_dense(indices=indices, lut=palette, name=name, before_op=constant)
        else:
            integers, scales = stored("data", form.integers), stored("scale", form.scales)
            made = Builder.constexpr_blockwise_shift_scale(data=integers, scale=scales, name=name, before_op=constant)
        made.op.scopes = constant.scopes
        block.replace_uses_of_var_after_op(
            anchor_op=constant, old_var=weight.constant, new_var=made, no_check_var_types=True
        )
        block.remove_ops([constant])
    made.name = name
