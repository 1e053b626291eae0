"""When values come to life and when they are last used."""

from htdemucs_coreml.mil.program import Function, Value


def last_uses(function: Function) -> tuple[tuple[str, ...], ...]:
    """Names of the values that nothing needs any more after each operation.

    Parameters
    ----------
    function : Function
        Straight-line code.

    Returns
    -------
    tuple of tuple of str
        For each of ``function.operations``, the inputs of the function and results of operations (its own
        included, where nothing uses them) that die with it. The function's outputs never do; constants are
        not considered.
    """
    lasting = {argument.name for argument in function.outputs}
    lasting.update(value.name for operation in function.constant_expressions for value in operation.outputs)
    last: dict[str, int] = {value.name: 0 for value in function.inputs}
    for index, operation in enumerate(function.operations):
        for value in (*operation.arguments(), *operation.outputs):
            if isinstance(value, Value):
                last[value.name] = index
    dying: list[list[str]] = [[] for _ in function.operations]
    for name, index in last.items():
        if name not in lasting and dying:
            dying[index].append(name)
    return tuple(map(tuple, dying))


def held_bytes(function: Function) -> tuple[int, ...]:
    """Bytes that values take while each operation executes.

    Parameters
    ----------
    function : Function
        Straight-line code; it is taken to execute in its own order.

    Returns
    -------
    tuple of int
        For each of ``function.operations``, the size of all values that are alive then, its arguments and its
        results among them, each with its declared type, as if no operation returned a view of its argument.
        Inputs count until their last use, outputs to the end; constants do not count.
    """
    alive = {value.name: value.type.bytes for value in function.inputs}
    held = sum(alive.values())
    during = []
    for operation, dying in zip(function.operations, last_uses(function), strict=True):
        for output in operation.outputs:
            alive[output.name] = output.type.bytes
            held += output.type.bytes
        during.append(held)
        held -= sum(alive.pop(name) for name in dying)
    return tuple(during)
