"""Which operations of a program break public rules of Apple's Neural Engine; ``neural_engine.toml`` has the rules."""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from htdemucs_coreml.mil.errors import ProgramError
from htdemucs_coreml.mil.program import Constant, Operation, Program, Value
from htdemucs_coreml.mil.tensor_types import DataType, TensorType

_RULES = "neural_engine.toml"
_PALETTE = "constexpr_lut_to_dense"
_CONVOLUTIONS = ("conv", "conv_transpose")
_INTEGERS = (DataType.INT8, DataType.INT16, DataType.INT32, DataType.UINT8, DataType.UINT16, DataType.UINT32)
# Parameters have an entry or two for each axis.
_MAXIMUM_ENTRIES = 64


@dataclass(frozen=True)
class Rule:
    """Something that is said of the Neural Engine; see the head of ``neural_engine.toml`` for what stands in a rule.

    Attributes
    ----------
    id, statement, measures, measure, effect, origin : str
        Texts of the file.
    sources, contested : tuple of str
        Addresses of pages that say it, and of pages that say the contrary.
    at_most, at_least : int or None
        Bounds of what is measured.
    none_of : tuple of str
        What must not be measured.
    """

    id: str
    statement: str
    measures: str
    measure: str
    effect: str
    origin: str
    sources: tuple[str, ...]
    contested: tuple[str, ...] = ()
    at_most: int | None = None
    at_least: int | None = None
    none_of: tuple[str, ...] = ()

    def is_broken_by(self, measured: int | str) -> bool:
        """Whether something that was measured of an operation is out of bounds."""
        if isinstance(measured, str):
            return measured in self.none_of
        return (self.at_most is not None and measured > self.at_most) or (
            self.at_least is not None and measured < self.at_least
        )


@dataclass(frozen=True)
class Finding:
    """A rule, and the names of the operations that break it, in the order of execution."""

    rule: Rule
    operations: tuple[str, ...]


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules, in the order of the file."""
    read = tuple(map(_rule, tomllib.loads((files(__package__) / _RULES).read_text(encoding="utf-8"))["rule"]))
    unknown = sorted({rule.measure for rule in read} - set(_MEASURES))
    if unknown:
        raise ValueError(f"{_RULES} names a measure that does not exist: {', '.join(unknown)}")
    return read


def _rule(table: Mapping[str, Any]) -> Rule:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Rule(**values)


def check(program: Program) -> tuple[Finding, ...]:
    """Find the operations that break each rule.

    Constant expressions are not looked at: they run when a program is loaded.

    Parameters
    ----------
    program : Program
        What `read_package` returned; its operations need not be known to the interpreter.

    Returns
    -------
    tuple of Finding
        One for each rule, in their order; without operations where the program keeps the rule.

    Raises
    ------
    ProgramError
        If a parameter such as a stride has more entries than any tensor has axes.
    """
    palettes = {
        value.name
        for expression in program.main.constant_expressions
        for value in expression.outputs
        if expression.type == _PALETTE
    }
    subjects = [_Subject(operation, palettes) for operation in program.main.operations]
    return tuple(Finding(rule, tuple(_breaking(rule, subjects))) for rule in rules())


@dataclass(frozen=True)
class _Subject:
    """An operation to measure; `palettes` are the names of all values that are unpacked from palettes."""

    operation: Operation
    palettes: Set[str]

    @property
    def types(self) -> Iterator[TensorType]:
        """Types of arguments and results, constants aside."""
        for value in (*self.operation.arguments(), *self.operation.outputs):
            if isinstance(value, Value):
                yield value.type

    @property
    def kernel(self) -> tuple[int, ...]:
        """Axes of a convolution's kernel, the width last; empty for other operations."""
        weights = self.operation.inputs.get("weight", ()) if self.operation.type in _CONVOLUTIONS else ()
        return weights[0].type.shape[2:] if weights else ()

    def integers(self, parameter: str) -> tuple[int, ...]:
        """Entries of a constant parameter; none if it is missing, computed, or of another kind."""
        entries: list[int] = []
        for argument in self.operation.inputs.get(parameter, ()):
            if isinstance(argument, Constant) and argument.type.dtype in _INTEGERS:
                if argument.type.elements > _MAXIMUM_ENTRIES:
                    raise ProgramError(f"{self.operation} has {argument.type} as its parameter '{parameter}'")
                entries.extend(map(int, argument.array().reshape(-1)))
        return tuple(entries)

    def strides(self, *types: str) -> tuple[int, ...]:
        """Strides, if the operation is of one of these types."""
        return self.integers("strides") if self.operation.type in types else ()


def _breaking(rule: Rule, subjects: Iterable[_Subject]) -> Iterator[str]:
    measure = _MEASURES[rule.measure]
    for subject in subjects:
        if any(map(rule.is_broken_by, measure(subject))):
            yield subject.operation.name


Measure = Callable[[_Subject], Iterable[int | str]]


def _element_types(subject: _Subject) -> Iterator[str]:
    if subject.operation.type != "cast":
        for tensor in subject.types:
            yield tensor.dtype.value.lower()


def _axis(position: int, minimum_rank: int) -> Measure:
    """Measure the length of an axis of tensors that have so many."""
    return lambda subject: (tensor.shape[position] for tensor in subject.types if len(tensor.shape) >= minimum_rank)


def _channels(subject: _Subject) -> Iterator[int]:
    for tensor in subject.types:
        if len(tensor.shape) >= 3:
            yield tensor.shape[max(-3, 1 - len(tensor.shape))]


def _strided_deconvolution_kernel_width(subject: _Subject) -> Iterator[int]:
    strides = subject.strides("conv_transpose")
    if strides and strides[-1] > 1:
        yield from subject.kernel[-1:]


def _stride_difference(subject: _Subject) -> Iterator[int]:
    if strides := subject.strides("conv_transpose"):
        yield max(strides) - min(strides)


def _stride_remainders(subject: _Subject) -> Iterator[int]:
    for stride in subject.strides(*_CONVOLUTIONS):
        remainder = max(stride, 1)
        for factor in (2, 3):
            while remainder % factor == 0:
                remainder //= factor
        yield remainder


def _palettized_strides(subject: _Subject) -> tuple[int, ...]:
    weights = subject.operation.inputs.get("weight", ())
    return subject.strides(*_CONVOLUTIONS) if any(weight.name in subject.palettes for weight in weights) else ()


def _outer_padding(subject: _Subject) -> Iterator[int]:
    """Entries of ``pad`` are in pairs, of the last axes; the first two axes are batch and channels."""
    padding = subject.integers("pad") if subject.operation.type == "pad" else ()
    rank = len(subject.operation.outputs[0].type.shape)
    outer = 2 - (rank - len(padding) // 2)
    if rank >= 3:
        yield from padding[: 2 * max(outer, 0)]


def _rewriting(subject: _Subject) -> Iterator[str]:
    operation, result = subject.operation, subject.operation.outputs[0].type.shape
    if operation.type == "transpose":
        order = subject.integers("perm")
        if order and order[-1] not in (-1, len(result) - 1):
            yield operation.type
    arguments = operation.inputs.get("x", ()) if operation.type == "reshape" else ()
    if any(argument.type.shape[-1:] != result[-1:] for argument in arguments):
        yield operation.type


_MEASURES: Mapping[str, Measure] = {
    "batch": _axis(0, 3),
    "channels": _channels,
    "deconvolution stride": lambda subject: subject.strides("conv_transpose"),
    "deconvolution stride difference": _stride_difference,
    "dilation": lambda subject: subject.integers("dilations") if subject.operation.type in _CONVOLUTIONS else (),
    "element types": _element_types,
    "elements": lambda subject: (tensor.elements for tensor in subject.types),
    "height": _axis(-2, 4),
    "kernel height": lambda subject: subject.kernel[-2:-1],
    "kernel width": lambda subject: subject.kernel[-1:],
    "operation type": lambda subject: (subject.operation.type,),
    "outer padding": _outer_padding,
    "palettized stride": _palettized_strides,
    "rank": lambda subject: (len(tensor.shape) for tensor in subject.types),
    "rewriting operation type": _rewriting,
    "stride remainder": _stride_remainders,
    "strided deconvolution kernel width": _strided_deconvolution_kernel_width,
    "width": _axis(-1, 1),
}
