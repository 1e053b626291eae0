"""The seam between pipeline and network: three tensors in, three out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, float32

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

    @property
    def identity(self) -> str:
        """What the outputs depend on beside the inputs: the kind of backend, and digests of what it runs."""
        ...

    def predict(self, spectrogram_real: Tensor, spectrogram_imag: Tensor, waveform: Tensor) -> CoreOutputs:
        """Run the core on one segment of float32 CPU tensors, shaped as the contract says.

        Raises
        ------
        BackendError
            If an input has another shape or the prediction fails.
        """
        ...


class CheckedBackend(ABC):
    """A `CoreBackend` that refuses inputs which are not float32 or not shaped as its contract says."""

    @property
    @abstractmethod
    def contract(self) -> CoreContract:
        """Stems and segment length."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """The kind of backend, and digests of what it runs."""

    @abstractmethod
    def _run(self, inputs: Mapping[str, Tensor]) -> CoreOutputs:
        """Run the core on inputs that were checked, by their names in the contract."""

    def predict(self, spectrogram_real: Tensor, spectrogram_imag: Tensor, waveform: Tensor) -> CoreOutputs:
        """Run the core on one segment; see `CoreBackend.predict`.

        Raises
        ------
        BackendError
            If an input has another shape or type, or the prediction fails.
        """
        inputs = {"spectrogram_real": spectrogram_real, "spectrogram_imag": spectrogram_imag, "waveform": waveform}
        for name, shape in self.contract.input_shapes.items():
            tensor = inputs[name]
            if tuple(tensor.shape) != shape or tensor.dtype != float32:
                raise BackendError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}; the core takes float32 {shape}")
        return self._run(inputs)
