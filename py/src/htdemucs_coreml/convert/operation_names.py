"""Names operations after the blocks that they belong to.

coremltools numbers its names, so that any change to the graph renames everything behind it. Here an operation's name is
the path of its module, its type and, where a module has several of a type, a number:
``frequency_encoder_0__dconv__1__3__conv``. A constant is named after the first operation that uses it and the
parameter: ``frequency_encoder_0__dconv__1__3__conv__weight``. Plans and differences can then speak of blocks.
"""

from collections import Counter
from collections.abc import Iterator

from coremltools.converters.mil.mil import Function, Operation, Program, Var
from coremltools.converters.mil.mil.scope import ScopeSource

SEPARATOR = "__"
CORE_SCOPE = "core"


def name_operations(program: Program) -> None:
    """Rename every operation of `program` and its outputs; inputs and outputs of the program keep their names."""
    for function in program.functions.values():
        _name_function(function)


def block_of(name: str) -> tuple[str, ...]:
    """Path of the block that an operation is named after, outermost first; empty for what stands outside of blocks."""
    *modules, _ = name.split(SEPARATOR)
    return () if modules == [CORE_SCOPE] else tuple(modules)


def _name_function(function: Function) -> None:
    kept = {*function.inputs, *(output.name for output in function.outputs)}
    taken: Counter[str] = Counter(kept)
    for operation in function.operations:
        if operation.op_type != "const":
            operation.name = _unique(SEPARATOR.join([*_block(operation), operation.op_type]), taken)
            _name_outputs(operation, kept)
    for operation in function.operations:
        for parameter, constant in _constants(operation):
            if constant.op.name not in taken:
                constant.op.name = _unique(f"{operation.name}{SEPARATOR}{parameter}", taken)
                constant.name = constant.op.name


def _block(operation: Operation) -> list[str]:
    """Names of the modules around an operation, outermost first; the scope's last entry is the traced value's own."""
    *modules, _ = operation.scopes.get(ScopeSource.TORCHSCRIPT_MODULE_NAME) or [CORE_SCOPE]
    return modules or [CORE_SCOPE]


def _name_outputs(operation: Operation, kept: set[str]) -> None:
    several = len(operation.outputs) > 1
    for index, output in enumerate(operation.outputs):
        if output.name not in kept:
            output.name = f"{operation.name}{SEPARATOR}{index}" if several else operation.name


def _constants(operation: Operation) -> Iterator[tuple[str, Var]]:
    for parameter, value in operation.inputs.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        for constant in values:
            if isinstance(constant, Var) and constant.op is not None and constant.op.op_type == "const":
                yield parameter, constant


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else _unique(f"{name}_{taken[name]}", taken)
