"""Gives every operation of a program the element type that a plan asks for, with casts only where types meet.

A float16 operation takes and makes float16 values; its constants are rounded once, here. Operations that only move
elements take the type that comes to them, so that no cast is needed on their account. A value is cast once to the other
type, however many operations ask for it, right before the first of them. A cast is named after the operation that makes
the value: ``frequency_encoder_0__mul__cast``.
"""

from collections.abc import Iterable

import numpy as np
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import Function, Operation, Program, Var, types

from htdemucs_coreml.convert.operation_names import SEPARATOR, block_of
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.precision.plans import FloatType, PlacedOperation, Plan

MOVING = frozenset({"concat", "expand_dims", "pad", "reshape", "slice_by_index", "split", "squeeze", "transpose"})
"""Types of operations that move elements and compute nothing."""

_TYPES = {FloatType.FLOAT16: types.fp16, FloatType.FLOAT32: types.fp32}
_CAST_NAMES = {FloatType.FLOAT16: "fp16", FloatType.FLOAT32: "fp32"}


class ElementTypeError(HTDemucsCoreMLError):
    """A program cannot be given the types that a plan asks for."""


def apply_plan(program: Program, plan: Plan, model: str | None = None) -> None:
    """Change a program to a plan's types, in place.

    Parameters
    ----------
    program : Program
        A float32 program whose operations are named after their blocks.
    plan : Plan
        Where it is float32 throughout, the program is left as it is.
    model : str, optional
        The model's name, for plans that are for certain models only.

    Raises
    ------
    PlanError
        If the plan names a block or an operation type that the program does not have.
    ElementTypeError
        If a finite constant is infinite in float16, or an output would not be float32.
    """
    plan.require_match(_placed_operations(program), model)
    if not plan.is_float32:
        for function in program.functions.values():
            _Typing(function, plan).apply()


def _placed_operations(program: Program) -> list[PlacedOperation]:
    """The operations as a plan sees them, those that only move elements left out."""
    return [
        PlacedOperation(block_of(operation.name), operation.op_type)
        for function in program.functions.values()
        for operation in function.operations
        if operation.op_type != "const" and operation.op_type not in MOVING
    ]


class _Typing:
    """Makes the operations of one function anew, one after the other.

    Parameters
    ----------
    function : Function
        Changed in place by `apply`.
    plan : Plan
        Types of its operations.
    """

    def __init__(self, function: Function, plan: Plan) -> None:
        self._function = function
        self._plan = plan
        self._made: dict[Var, Var] = {}
        self._other: dict[Var, Var] = {}
        self._rounded: dict[Var, Var] = {}

    def apply(self) -> None:
        operations = [operation for operation in self._function.operations if operation.op_type != "const"]
        with self._function:
            for operation in operations:
                self._replace(operation)
            self._function.set_outputs([self._made.get(output, output) for output in self._function.outputs])
            for output in self._function.outputs:
                if output.dtype != types.fp32:
                    raise ElementTypeError(f"output {output.name} would be float16; outputs have to be float32")
            replaced = [operation for operation in operations if any(var in self._made for var in operation.outputs)]
            self._function.remove_ops(replaced[::-1])
        self._drop_unused_constants()

    def _replace(self, operation: Operation) -> None:
        float_type = self._type_of(operation)
        inputs = {
            name: [self._typed(var, float_type, operation) for var in value]
            if isinstance(value, (list, tuple))
            else self._typed(value, float_type, operation)
            for name, value in operation.inputs.items()
            if value is not None
        }
        if all(_same(operation.inputs[name], value) for name, value in inputs.items()):
            return
        made = getattr(Builder, operation.op_type)(**inputs, name=operation.name, before_op=operation)
        results = made if isinstance(made, (list, tuple)) else [made]
        for old, new in zip(operation.outputs, results, strict=True):
            new.name = old.name
            new.op.scopes = operation.scopes
            self._made[old] = new

    def _type_of(self, operation: Operation) -> FloatType:
        planned = self._plan.type_of(PlacedOperation(block_of(operation.name), operation.op_type))
        if operation.op_type not in MOVING:
            return planned
        moved = {
            self._made.get(var, var).dtype for var in _variables(operation) if _is_float(var) and not _is_const(var)
        }
        return next((name for name, dtype in _TYPES.items() if moved == {dtype}), planned)

    def _typed(self, var: Var, float_type: FloatType, user: Operation) -> Var:
        """What `user` takes in place of a float32 program's value: the value as it is now, cast where necessary."""
        if not _is_float(var):
            return var
        if _is_const(var):
            return self._constant(var, user) if float_type is FloatType.FLOAT16 else var
        value = self._made.get(var, var)
        if value.dtype == _TYPES[float_type]:
            return value
        if value not in self._other:
            name = f"{value.name if value.op is None else _result_name(value)}{SEPARATOR}cast"
            dtype = Builder.const(val=_CAST_NAMES[float_type], name=f"{name}{SEPARATOR}dtype", before_op=user)
            self._other[value] = cast = Builder.cast(x=value, dtype=dtype, name=name, before_op=user)
            dtype.op.scopes = cast.op.scopes = (value.op or user).scopes
        return self._other[value]

    def _constant(self, var: Var, user: Operation) -> Var:
        if var not in self._rounded:
            with np.errstate(over="ignore", under="ignore"):
                rounded = np.asarray(var.val).astype(np.float16)
            if not np.array_equal(np.isfinite(rounded), np.isfinite(var.val)):
                raise ElementTypeError(
                    f"constant {var.name} of {user.name} has elements up to {np.abs(var.val).max():.6g}, beyond "
                    "float16; keep the operation in float32"
                )
            self._rounded[var] = Builder.const(
                val=rounded if rounded.ndim else np.float16(rounded), name=var.name, before_op=var.op
            )
            self._rounded[var].op.scopes = var.op.scopes
        return self._rounded[var]

    def _drop_unused_constants(self) -> None:
        """Remove float32 constants that only float16 operations used; rename the copies of the others."""
        for var, rounded in self._rounded.items():
            if var.child_ops:
                rounded.name = rounded.op.name = f"{var.name}{SEPARATOR}{FloatType.FLOAT16.value}"
            else:
                self._function.remove_ops([var.op])


def _variables(operation: Operation) -> Iterable[Var]:
    for value in operation.inputs.values():
        yield from value if isinstance(value, (list, tuple)) else [value]


def _is_float(var: object) -> bool:
    return isinstance(var, Var) and var.dtype == types.fp32


def _is_const(var: Var) -> bool:
    return var.op is not None and var.op.op_type == "const"


def _same(before: object, after: object) -> bool:
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        return all(map(_same, before, after))
    return before is after


def _result_name(value: Var) -> str:
    """Name of a value after its operation, which outputs of the program do not have of their own."""
    several = len(value.op.outputs) > 1
    return f"{value.op.name}{SEPARATOR}{value.op.outputs.index(value)}" if several else str(value.op.name)
