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
