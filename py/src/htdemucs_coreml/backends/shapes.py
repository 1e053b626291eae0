"""The check of inputs that every backend makes."""

from torch import Tensor, float32

from htdemucs_coreml.backends.base import BackendError
from htdemucs_coreml.core.contract import CoreContract


def require_inputs(contract: CoreContract, inputs: dict[str, Tensor]) -> None:
    """Refuse inputs that are not float32 or not shaped as the contract says.

    Raises
    ------
    BackendError
        Naming the first input that does not fit.
    """
    for name, shape in contract.input_shapes.items():
        tensor = inputs[name]
        if tuple(tensor.shape) != shape or tensor.dtype != float32:
            raise BackendError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}; the core takes float32 {shape}")
