"""The seam between pipeline and network: three tensors in, three out."""

from typing import Protocol

from torch import Tensor

from htdemucs_coreml.core.contract import CoreContract, CoreOutputs
from htdemucs_coreml.errors import HTDemucsCoreMLError


class BackendError(HTDemucsCoreMLError):
    """A core could not be loaded or failed to predict."""


class CoreBackend(Protocol):
    """Something that runs the core on one segment: the interpreter, PyTorch or Core ML."""

    @property
    def contract(self) -> CoreContract:
        """Stems and segment length; shapes follow from them."""
        ...

    def predict(self, spectrogram_real: Tensor, spectrogram_imag: Tensor, waveform: Tensor) -> CoreOutputs:
        """Run the core on one segment of float32 CPU tensors, shaped as the contract says.

        Raises
        ------
        BackendError
            If an input has another shape or the prediction fails.
        """
        ...
