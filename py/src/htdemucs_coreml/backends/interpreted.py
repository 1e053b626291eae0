"""A package run by the project's interpreter, with the types that it declares."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from htdemucs_coreml.backends.base import CheckedBackend
from htdemucs_coreml.core.contract import OUTPUT_NAMES, CoreContract, CoreOutputs
from htdemucs_coreml.mil import Interpreter
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.package.metadata import PackageMetadata
from htdemucs_coreml.package.reader import read_package


class InterpreterBackend(CheckedBackend):
    """Executes the bytes of a package on the CPU.

    Parameters
    ----------
    path : Path
        The ``.mlpackage``.

    Raises
    ------
    PackageError, MILError
        If the package is damaged or holds an operation that the interpreter does not know.
    """

    def __init__(self, path: Path) -> None:
        self.metadata: PackageMetadata = read_package(path).metadata
        self._interpreter = Interpreter(read_program(path))

    @property
    def contract(self) -> CoreContract:
        """Stems and segment length, from the package's metadata."""
        return self.metadata.contract

    @property
    def identity(self) -> str:
        """``interpreter`` and the digests of the package's files."""
        return f"interpreter {self.metadata.model_sha256} {self.metadata.weight_bin_sha256}"

    def _run(self, inputs: Mapping[str, Tensor]) -> CoreOutputs:
        outputs = self._interpreter.predict({name: tensor.numpy() for name, tensor in inputs.items()})
        return CoreOutputs(*(torch.from_numpy(outputs[name]) for name in OUTPUT_NAMES))
