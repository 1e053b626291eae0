"""What a fuzzing target is."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

MutateBytes = Callable[[bytes, int], bytes]
"""Changes bytes without knowing what they mean, to at most so many."""

Mutate = Callable[[bytes, int, Random, MutateBytes], bytes]
"""Changes an input and keeps its structure: the input, the most bytes, the source of chance, the way for mere bytes."""


class SlowInputError(Exception):
    """An input took more time than its target allows."""


@dataclass(frozen=True)
class Target:
    """A parser, and how it is fed.

    Attributes
    ----------
    name : str
        Name of the target and of its folder in ``corpus``.
    run : Callable
        Feeds the parser with one input and checks what it makes of it.
    errors : tuple of exception types
        What the parser's documentation lets it raise.
    weight : int
        Its share of a run's executions, as a ratio to those of others.
    mutate : Mutate or None
        How its inputs are changed; None changes bytes alone.
    maximum_bytes : int
        Longest input.
    maximum_seconds : float
        Processor time that one input may take.
    """

    name: str
    run: Callable[[bytes], None]
    errors: tuple[type[Exception], ...] = ()
    weight: int = 10
    mutate: Mutate | None = None
    maximum_bytes: int = 1 << 13
    maximum_seconds: float = 2.0

    def check(self, data: bytes) -> None:
        """Run one input; whatever is raised is a finding.

        Raises
        ------
        SlowInputError
            If the input took more processor time than allowed.
        AssertionError
            If an error says nothing, or what was read lacks a property that it must have.
        """
        start = time.process_time()
        try:
            self.run(data)
        except self.errors as error:
            assert str(error).strip(), f"{type(error).__name__} says nothing"
        seconds = time.process_time() - start
        if seconds > self.maximum_seconds:
            raise SlowInputError(f"{self.name}: {len(data)} bytes took {seconds:.1f} s")
