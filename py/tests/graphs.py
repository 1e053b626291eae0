"""Spares tests coremltools' conversion of a graph that was converted before."""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import coremltools
import torch


@contextmanager
def each_graph_converted_once() -> Iterator[None]:
    """Within, a graph is converted once; variants of a core part where plans are applied to its program."""
    convert, limit = coremltools.convert, sys.getrecursionlimit()
    programs: dict[str, Any] = {}

    def converted(model: torch.jit.ScriptModule, **options: Any) -> Any:
        graph = str(model.inlined_graph)
        if graph not in programs:
            programs[graph] = convert(model, **options)
        return copy.deepcopy(programs[graph])

    coremltools.convert = converted
    # Each operation of a program refers to the next.
    sys.setrecursionlimit(1_000_000)
    try:
        yield
    finally:
        coremltools.convert = convert
        sys.setrecursionlimit(limit)
