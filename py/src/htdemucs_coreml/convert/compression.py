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

from htdemucs_coreml.compress.forms import Compressed, Palettized, compressed
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
    """A constant that may be compressed, and the operation that multiplies with it."""

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

    Parameters
    ----------
    program : Program
        A program with the element types that it is to have, named after its blocks.
    plan : CompressionPlan
        Forms of its weights.
    model : str, optional
        The model's name, for plans that are for certain models only.
    moments : Mapping of tuple of str to array, optional
        Second moments of what each block takes, for a calibrated plan.

    Raises
    ------
    CompressionPlanError
        If the plan names a block without weights.
    CompressionError
        If a weight cannot be compressed.
    """
    weights = list(_weights(program))
    plan.require_match((weight.block for weight in weights), model)
    for weight in weights:
        form = plan.form_for(weight.block)
        if form is not None:
            known = moments[weight.block] if plan.calibrated and moments is not None else None
            _replace(weight, compressed(weight.constant.val, form, weight.layout, known))


def _weights(program: Program) -> Iterator[_Weight]:
    """Every weight once, with the first operation that uses it."""
    known: set[Var] = set()
    for function in program.functions.values():
        for operation in function.operations:
            constant = operation.inputs.get(WEIGHT) if operation.op_type in _WEIGHTED else None
            if constant is None or constant in known or constant.op is None or constant.op.op_type != "const":
                continue
            if constant.val.size >= MINIMUM_ELEMENTS:
                known.add(constant)
                yield _Weight(constant, operation)


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
