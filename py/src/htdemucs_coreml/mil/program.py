"""The program in memory: what `reader.read_package` makes of a package, and all that the rest works on.

A program is one function in static single assignment form: every value is a function's input, a constant or
an output of exactly one earlier operation, and has a declared type.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from htdemucs_coreml.mil.blob import Blob
from htdemucs_coreml.mil.tensor_types import Array, TensorType


@dataclass(frozen=True)
class Value:
    """A named value that exists while the program runs: an input, or an output of an operation."""

    name: str
    type: TensorType


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that the package stores; compared by identity.

    Attributes
    ----------
    name : str
        Its name in the program, or ``result.parameter`` for one written into the operation that makes a
        result.
    type : TensorType
        Declared type.
    source : Blob or Array
        Where its elements are: a blob of the weight file, or elements that stood in the program itself.
    """

    name: str
    type: TensorType
    source: Blob | Array = field(repr=False)

    def array(self) -> Array:
        """Elements in the declared shape; not to be written to.

        Arrays of blobs are views of the mapped file where elements take whole bytes.
        """
        elements = self.source.elements() if isinstance(self.source, Blob) else self.source
        return elements.reshape(self.type.shape)


Argument = Value | Constant


@dataclass(frozen=True)
class Operation:
    """One operation: its type, its arguments by parameter name, and the values that it makes.

    Attributes
    ----------
    type : str
        Operation type, such as ``conv``.
    name : str
        Name given by the converter, else that of the first output.
    inputs : Mapping of str to tuple of Argument
        Arguments by parameter; more than one where a parameter takes a list (``concat``'s ``values``).
    outputs : tuple of Value
        What it makes, at least one value.
    """

    type: str
    name: str
    inputs: Mapping[str, tuple[Argument, ...]]
    outputs: tuple[Value, ...]

    def arguments(self) -> Iterator[Argument]:
        """All arguments of all parameters."""
        for arguments in self.inputs.values():
            yield from arguments

    def __str__(self) -> str:
        return f"operation '{self.name}' ({self.type})"


@dataclass(frozen=True)
class Function:
    """Straight-line code.

    Attributes
    ----------
    name, opset : str
        Its name and the operation set of its body, such as ``main`` and ``CoreML8``.
    inputs : tuple of Value
        What a caller provides.
    constants : Mapping of str to Constant
        Results of ``const`` operations by name.
    constant_expressions : tuple of Operation
        Operations (``constexpr_...``) that make constants out of stored ones when a program is loaded.
    operations : tuple of Operation
        All other operations, in the order of execution.
    outputs : tuple of Argument
        What a caller gets: results, or (rarely) inputs or constants passed through.
    """

    name: str
    opset: str
    inputs: tuple[Value, ...]
    constants: Mapping[str, Constant]
    constant_expressions: tuple[Operation, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Argument, ...]


@dataclass(frozen=True)
class Metadata:
    """What the package says of itself."""

    description: str
    author: str
    license: str
    version: str
    user_defined: Mapping[str, str]


@dataclass(frozen=True)
class Program:
    """A package that was read and found consistent.

    Attributes
    ----------
    path : Path
        The package.
    model_path : Path
        The file that holds the program.
    weight_paths : tuple of Path
        The blob files that it refers to, sorted; usually one, ``weight.bin``.
    specification_version : int
        Core ML's version of the file format; 9 belongs to iOS 18.
    metadata : Metadata
        Texts of the package.
    main : Function
        The only function.
    """

    path: Path
    model_path: Path
    weight_paths: tuple[Path, ...]
    specification_version: int
    metadata: Metadata
    main: Function
