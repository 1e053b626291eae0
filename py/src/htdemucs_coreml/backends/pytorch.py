"""The core in PyTorch, with upstream's own operations: the reference that packages are compared with."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from htdemucs_coreml.backends.base import CheckedBackend
from htdemucs_coreml.core.contract import CoreContract, CoreOutputs
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights


class TorchBackend(CheckedBackend):
    """Runs the extracted core, without rewrites, on the CPU.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    segment_samples : int
        Length of a segment.
    """

    def __init__(self, checkpoint: Checkpoint, segment_samples: int) -> None:
        self._weights_sha256 = checkpoint.sha256
        self._core = extract_inner_model(build_network(checkpoint.entry, checkpoint.tensors), segment_samples)

    @classmethod
    def load(
        cls, entry: ModelEntry, weights: Path | None, segment_samples: int, sha256: str | None = None
    ) -> "TorchBackend":
        """Load a model of the registry; `weights` and `sha256` as in `htdemucs_coreml.weights.source.load_weights`.

        Raises
        ------
        WeightsError, ModelExtractionError
            If the weights are missing or do not fit.
        """
        return cls(load_weights(entry, weights, sha256), segment_samples)

    @property
    def contract(self) -> CoreContract:
        """Stems and segment length."""
        return self._core.contract

    @property
    def identity(self) -> str:
        """``torch``, the digest of the weights and the segment's length."""
        return f"torch {self._weights_sha256} {self.contract.segment_samples}"

    def _run(self, inputs: Mapping[str, Tensor]) -> CoreOutputs:
        with torch.inference_mode():
            outputs: CoreOutputs = self._core(**inputs)
        return outputs
