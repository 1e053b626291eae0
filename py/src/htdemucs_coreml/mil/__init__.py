"""An interpreter of Core ML's ML programs, to check the bytes of a package where Core ML does not exist.

`read_package` reads an ``.mlpackage`` into a `Program`; `Interpreter` executes it on the CPU in the types
that it declares. It fails on whatever it does not know exactly, and shares no code with what makes packages:
it imports nothing of the project outside its folder.
"""

from htdemucs_coreml.mil.analysis import Analysis, analyse
from htdemucs_coreml.mil.errors import (
    ExecutionError,
    InputError,
    MILError,
    PackageError,
    ProgramError,
    UnsupportedError,
    WeightsError,
)
from htdemucs_coreml.mil.interpreter import Interpreter
from htdemucs_coreml.mil.program import Program
from htdemucs_coreml.mil.reader import read_package

__all__ = [
    "Analysis",
    "ExecutionError",
    "InputError",
    "Interpreter",
    "MILError",
    "PackageError",
    "Program",
    "ProgramError",
    "UnsupportedError",
    "WeightsError",
    "analyse",
    "read_package",
]
