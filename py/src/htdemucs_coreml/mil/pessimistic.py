"""Execution of a program by a pessimistic machine, whose float16 operations have float16 accumulators.

Core ML does not say how wide the accumulators of the Neural Engine are. The interpreter takes them to be wide enough;
here they are as narrow as can be: `htdemucs_coreml.mil.float16_sums` says how a float16 operation sums. All else,
float32 operations among it, is computed as the interpreter does. What a device gives lies between the two.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from htdemucs_coreml.mil.float16_sums import SUMMING
from htdemucs_coreml.mil.interpreter import Interpreter
from htdemucs_coreml.mil.program import Operation, Program
from htdemucs_coreml.mil.steps import Step


class PessimisticInterpreter(Interpreter):
    """An `Interpreter` whose float16 operations sum in float16.

    Parameters
    ----------
    program : Program
        What `read_package` returned.
    chosen : Callable, optional
        Which of the operations that are float16 and sum do so in float16; all if left out.

    Attributes
    ----------
    summing : tuple of Operation
        Those that do, in the order of execution.

    Raises
    ------
    UnsupportedError, ProgramError
        As an `Interpreter` does.
    """

    def __init__(self, program: Program, chosen: Callable[[Operation], bool] = lambda _: True) -> None:
        super().__init__(program)
        steps = self._steps
        self._steps = tuple(_pessimistic(step) if _sums(step) and chosen(step.operation) else step for step in steps)
        self.summing = tuple(
            step.operation for step, before in zip(self._steps, steps, strict=True) if step is not before
        )


def _sums(step: Step) -> bool:
    return step.narrows and step.operation.type in SUMMING


def _pessimistic(step: Step) -> Step:
    return replace(step, function=partial(SUMMING[step.operation.type], **step.function.keywords))
