"""Execution of a program by a pessimistic machine, whose float16 operations have float16 accumulators.

Core ML does not say how wide the accumulators of the Neural Engine are. The interpreter takes them to be wide enough;
here they are as narrow as can be: `htdemucs_coreml.mil.float16_sums` says how a float16 operation sums. All else,
float32 operations among it, is computed as the interpreter does. What a device gives lies between the two.
"""

from dataclasses import replace
from functools import partial

from htdemucs_coreml.mil.float16_sums import SUMMING
from htdemucs_coreml.mil.interpreter import Interpreter
from htdemucs_coreml.mil.program import Program
from htdemucs_coreml.mil.steps import Step


class PessimisticInterpreter(Interpreter):
    """An `Interpreter` whose float16 operations sum in float16.

    Parameters
    ----------
    program : Program
        What `read_package` returned.

    Raises
    ------
    UnsupportedError, ProgramError
        As an `Interpreter` does.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._steps = tuple(map(_pessimistic, self._steps))


def _pessimistic(step: Step) -> Step:
    sums = SUMMING.get(step.operation.type)
    if sums is None or not step.narrows:
        return step
    return replace(step, function=partial(sums, **step.function.keywords))
