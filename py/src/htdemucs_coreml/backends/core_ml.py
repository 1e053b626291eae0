"""A package run by Core ML itself; macOS only."""

import platform
from collections.abc import Mapping
from pathlib import Path

import coremltools
import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.backends.base import BackendError, CheckedBackend
from htdemucs_coreml.core.contract import OUTPUT_NAMES, CoreContract, CoreOutputs
from htdemucs_coreml.package.metadata import PackageMetadata
from htdemucs_coreml.package.reader import read_package


class CoreMLBackend(CheckedBackend):
    """Predicts with Core ML on the CPU and GPU, the source design's first phase.

    Parameters
    ----------
    path : Path
        The ``.mlpackage``.

    Raises
    ------
    BackendError
        On another system than macOS.
    PackageError
        If the package is damaged.
    """

    def __init__(self, path: Path) -> None:
        if platform.system() != "Darwin":
            raise BackendError("Core ML predicts on macOS only; use --backend interpreter here")
        self.metadata: PackageMetadata = read_package(path).metadata
        self._model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit.CPU_AND_GPU)

    @property
    def contract(self) -> CoreContract:
        """Stems and segment length, from the package's metadata."""
        return self.metadata.contract

    @property
    def identity(self) -> str:
        """``coreml`` and the digests of the package's files."""
        return f"coreml {self.metadata.model_sha256} {self.metadata.weight_bin_sha256}"

    def _run(self, inputs: Mapping[str, Tensor]) -> CoreOutputs:
        try:
            outputs = self._model.predict({name: tensor.numpy() for name, tensor in inputs.items()})
        except RuntimeError as error:
            raise BackendError(f"Core ML failed to predict: {error}") from error
        return CoreOutputs(*(torch.from_numpy(np.ascontiguousarray(outputs[name])) for name in OUTPUT_NAMES))
