"""Registry of operations: a function's signature declares an operation's parameters.

The name of each argument is the name of the parameter in the package, and its annotation says what it takes:

- ``Tensor``: any value; ``tuple[Tensor, ...]``: a list of them.
- ``int``, ``float``, ``bool``, ``str``, `Ints`, `Bools`: a constant, given to the function as Python values.
- ``Literal[...]``: a constant text out of the listed ones.
- `Constant`: a constant as it is stored, for operations that unpack weights.
- `TensorType`: no parameter, but the declared type of the result, for operations whose parameters say how
  much they make: they compare before they allocate.

``X | None`` and arguments with a default are optional. Whatever a package holds that the signature does not
allow is an error that names operation and parameter, so nothing is ever ignored or guessed.
"""

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from torch import Tensor

from htdemucs_coreml.mil.errors import ProgramError, UnsupportedError
from htdemucs_coreml.mil.program import Argument, Constant, Operation
from htdemucs_coreml.mil.tensor_types import DataType, TensorType

Ints = tuple[int, ...]
Bools = tuple[bool, ...]
Function = Callable[..., Any]
_F = TypeVar("_F", bound=Function)

_SCALARS = {int: "integer", float: "floating-point number", bool: "truth value", str: "text"}


class ParameterError(ValueError):
    """Raised by an operation's implementation: a parameter's value is not supported or makes no sense."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"parameter '{parameter}' {reason}")


def check_declared(parameter: str, shape: Sequence[int], declared: TensorType) -> None:
    """Compare the shape that a parameter leads to with the declared one, before memory is taken for it.

    Raises
    ------
    ParameterError
        If they differ.
    """
    if tuple(shape) != declared.shape:
        raise ParameterError(parameter, f"leads to the shape {list(shape)}; the result is declared {declared}")


@dataclass(frozen=True)
class _Parameter:
    """One argument of a function that implements an operation.

    Attributes
    ----------
    kind : type
        ``Tensor``, `Constant`, or the type of a Python value: ``int``, ``float``, ``bool``, ``str``.
    is_list : bool
        Whether it takes several of them.
    default : object
        ``inspect.Parameter.empty`` where it must be given.
    choices : tuple of str
        Allowed texts; empty where any value is.
    """

    name: str
    kind: Any
    is_list: bool
    default: Any
    choices: tuple[str, ...] = ()

    @property
    def is_tensor(self) -> bool:
        return self.kind is Tensor


@dataclass(frozen=True)
class Kernel:
    """How one type of operation is computed.

    Attributes
    ----------
    function : Callable
        Takes the parameters by name; returns a tensor or a tuple of them, arrays for `folds`.
    declared : tuple of str
        Arguments of the function that take the declared type of the first result.
    computes : bool
        Whether it does arithmetic: float16 arguments are then widened to float32 and results rounded to
        float16. Other operations only move elements and keep their type.
    folds : bool
        Whether it unpacks a stored constant, once, when a program is loaded.
    uniform : bool
        Whether all tensors must have one element type.
    """

    type: str
    function: Function
    declared: tuple[str, ...]
    parameters: Mapping[str, _Parameter]
    computes: bool
    folds: bool
    uniform: bool

    def bind(self, operation: Operation) -> tuple[dict[str, tuple[Argument, ...]], dict[str, Any]]:
        """Check an operation's arguments and split them.

        Returns
        -------
        tensors : dict of str to tuple of Argument
            Arguments for parameters that take tensors, in the order of the signature.
        constants : dict of str to object
            Python values, stored constants and defaults for all others.

        Raises
        ------
        UnsupportedError
            If the operation has a parameter that is not known, or one that would have to be constant is not.
        ProgramError
            If a parameter is missing or has a value of the wrong type.
        """
        for name in operation.inputs:
            if name not in self.parameters:
                raise UnsupportedError(f"{operation} has the parameter '{name}', which is not known")
        tensors: dict[str, tuple[Argument, ...]] = {}
        constants: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            place = f"{operation}, parameter '{name}',"
            if name not in operation.inputs:
                if parameter.default is inspect.Parameter.empty:
                    raise ProgramError(f"{place} is missing")
                continue
            arguments = operation.inputs[name]
            if len(arguments) != 1 and not (parameter.is_list and parameter.is_tensor):
                raise ProgramError(f"{place} has {len(arguments)} arguments; one is allowed")
            if parameter.is_tensor:
                tensors[name] = arguments
            else:
                constants[name] = _constant(arguments[0], parameter, place)
        self._check_element_types(operation, tensors)
        self._round_defaults(tensors, constants)
        constants.update(dict.fromkeys(self.declared, operation.outputs[0].type))
        return tensors, constants

    def is_list(self, parameter: str) -> bool:
        """Whether a parameter that takes tensors takes a list of them."""
        return self.parameters[parameter].is_list

    def _check_element_types(self, operation: Operation, tensors: Mapping[str, tuple[Argument, ...]]) -> None:
        found = {argument.type.dtype for arguments in tensors.values() for argument in arguments}
        if self.uniform and len(found) > 1:
            names = " and ".join(sorted(dtype.value.lower() for dtype in found))
            raise ProgramError(f"{operation} mixes the element types {names}; it takes one")

    def _round_defaults(self, tensors: Mapping[str, tuple[Argument, ...]], constants: dict[str, Any]) -> None:
        """Give omitted numbers the precision that they would be stored in: that of the first tensor."""
        first = next((arguments[0] for arguments in tensors.values()), None)
        if first is None or first.type.dtype is not DataType.FLOAT16:
            return
        for name, parameter in self.parameters.items():
            if name not in constants and parameter.kind is float and isinstance(parameter.default, float):
                constants[name] = float(np.float16(parameter.default))


_KERNELS: dict[str, Kernel] = {}


def operation(
    *, computes: bool = True, folds: bool = False, uniform: bool = False, name: str | None = None
) -> Callable[[_F], _F]:
    """Register a function as the implementation of the type of its name; see `Kernel` for the options."""

    def register(function: _F) -> _F:
        operation_type = name or function.__name__
        arguments = dict(_parameters(function))
        declared = tuple(name for name, argument in arguments.items() if argument.kind is TensorType)
        parameters = {name: argument for name, argument in arguments.items() if name not in declared}
        _KERNELS[operation_type] = Kernel(operation_type, function, declared, parameters, computes, folds, uniform)
        return function

    return register


def look_up(operation: Operation) -> Kernel:
    """Return the implementation of an operation.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    if operation.type not in _KERNELS:
        raise UnsupportedError(f"{operation} is of a type that is not implemented")
    return _KERNELS[operation.type]


def known_operations() -> tuple[str, ...]:
    """Types of all operations that are implemented, sorted."""
    return tuple(sorted(_KERNELS))


def _parameters(function: Function) -> Iterator[tuple[str, _Parameter]]:
    hints = typing.get_type_hints(function)
    for name, argument in inspect.signature(function).parameters.items():
        hint = hints[name]
        if isinstance(hint, types.UnionType):
            (hint,) = (member for member in typing.get_args(hint) if member is not types.NoneType)
        choices: tuple[str, ...] = ()
        is_list = typing.get_origin(hint) is tuple
        if is_list:
            hint = typing.get_args(hint)[0]
        elif typing.get_origin(hint) is Literal:
            choices, hint = typing.get_args(hint), str
        yield name, _Parameter(name, hint, is_list, argument.default, choices)


def _constant(argument: Argument, parameter: _Parameter, place: str) -> Any:
    if not isinstance(argument, Constant):
        raise UnsupportedError(f"{place} is computed by the program; only constants are supported")
    if parameter.kind is Constant:
        return argument
    dtype, rank = argument.type.dtype, len(argument.type.shape)
    fits = {
        float: dtype.is_float,
        bool: dtype is DataType.BOOL,
        str: dtype is DataType.STRING,
        int: not dtype.is_float and dtype not in (DataType.BOOL, DataType.STRING),
    }[parameter.kind]
    if not fits or rank != int(parameter.is_list):
        expected = f"a list of {_SCALARS[parameter.kind]}s" if parameter.is_list else f"one {_SCALARS[parameter.kind]}"
        raise ProgramError(f"{place} is {argument.type}; expected {expected}")
    value = argument.array().tolist()
    if parameter.choices and value not in parameter.choices:
        raise UnsupportedError(f"{place} is '{value}'; supported are {', '.join(parameter.choices)}")
    return tuple(value) if parameter.is_list else value
