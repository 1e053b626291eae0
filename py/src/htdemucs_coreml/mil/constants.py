"""Constants as a program's operations take them: what they are unpacked to, and what the package stores for them."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from htdemucs_coreml.mil.blob import Blob
from htdemucs_coreml.mil.program import Argument, Constant, Function, Operation
from htdemucs_coreml.mil.tensor_types import TensorType


@dataclass(frozen=True)
class ConstantSize:
    """A constant and what it weighs.

    Attributes
    ----------
    name : str
        Name in the program, or ``result.parameter`` for one that is written into the operation that makes a result.
    type : TensorType
        What operations take: of a compressed constant, what it is unpacked to.
    stored_bytes : int
        What the package stores for it, elements narrower than a byte packed; 0 for texts, and for what was stored for a
        constant before it (two that are equal can share a blob).
    unpacked_by : tuple of str
        Types of the constant expressions that unpack it, the last first; empty for one that is stored as it is.
    """

    name: str
    type: TensorType
    stored_bytes: int
    unpacked_by: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Size of its elements once it is unpacked; 0 for texts."""
        return self.type.bytes


@dataclass(frozen=True)
class UsedConstant:
    """A constant, who uses it and what unpacks it.

    Attributes
    ----------
    size : ConstantSize
        What it weighs.
    user : str
        Name of the first operation that takes it; its own where none does.
    expressions : tuple of Operation
        The constant expressions that unpack it, as far as no constant before it has them.
    """

    size: ConstantSize
    user: str
    expressions: tuple[Operation, ...]


def used_constants(function: Function) -> tuple[UsedConstant, ...]:
    """Every constant once, in the order of use, then those that nothing uses.

    Every stored constant and every constant expression belongs to exactly one of them.
    """
    search = _Search(function)
    found = [
        used
        for operation in function.operations
        for argument in operation.arguments()
        for used in search.take(argument, operation.name)
    ]
    made = [value for expression in function.constant_expressions for value in expression.outputs]
    # What an expression needs stands before it: from the end, one that nothing uses takes its arguments along.
    left: tuple[Argument, ...] = (*reversed(made), *function.constants.values())
    for argument in left:
        if not search.is_part(argument):
            found.extend(search.take(argument, argument.name))
    return tuple(found)


def constant_expressions(constants: Iterable[UsedConstant]) -> tuple[Operation, ...]:
    """Return the expressions that unpack some constants."""
    return tuple(expression for constant in constants for expression in constant.expressions)


class _Search:
    """What was found so far: constants, what is counted of the package, and what belongs to a constant expression."""

    def __init__(self, function: Function) -> None:
        self._makers = {value.name: one for one in function.constant_expressions for value in one.outputs}
        self._found: set[Hashable] = set()
        self._counted: set[Hashable] = set()
        self._parts: set[Hashable] = set()

    def is_part(self, argument: Argument) -> bool:
        """Whether a constant expression that was found takes or makes it."""
        return _key(argument) in self._parts

    def take(self, argument: Argument, user: str) -> Iterator[UsedConstant]:
        """Yield the constant that `argument` is, unless it is none or was found before."""
        is_constant = isinstance(argument, Constant) or argument.name in self._makers
        if not is_constant or not _add(_key(argument), self._found):
            return
        stored = 0
        types: list[str] = []
        expressions: list[Operation] = []
        waiting = [argument]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Constant):
                stored += part.type.bytes if _add(_source(part), self._counted) else 0
                continue
            maker = self._makers[part.name]
            types.append(maker.type)
            if _add(_key(maker.outputs[0]), self._counted):
                expressions.append(maker)
                waiting.extend(maker.arguments())
                self._parts.update(map(_key, (*maker.outputs, *maker.arguments())))
        yield UsedConstant(ConstantSize(argument.name, argument.type, stored, tuple(types)), user, tuple(expressions))


def _add(key: Hashable, known: set[Hashable]) -> bool:
    """Add a key, and say whether it was new."""
    if key in known:
        return False
    known.add(key)
    return True


def _key(argument: Argument) -> Hashable:
    """What tells an argument from others; constants that are written into operations may share a name."""
    return id(argument) if isinstance(argument, Constant) else argument.name


def _source(constant: Constant) -> Hashable:
    """Where its elements are; equal for constants that share a blob."""
    source = constant.source
    return (source.path, source.offset) if isinstance(source, Blob) else id(constant)
