"""The operations that the interpreter executes, by type.

Each module registers one kind of operation; see `registry` for how a function's signature declares an
operation.
"""

from htdemucs_coreml.mil.operations import (
    attention,
    compression,
    convolution,
    elementwise,
    linear,
    normalization,
    reduction,
    shape,
)
from htdemucs_coreml.mil.operations.registry import Kernel, known_operations, look_up

__all__ = [
    "Kernel",
    "attention",
    "compression",
    "convolution",
    "elementwise",
    "known_operations",
    "linear",
    "look_up",
    "normalization",
    "reduction",
    "shape",
]
