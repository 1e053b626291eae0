"""What runs the core: the interpreter, PyTorch or Core ML; or several cores as a bag."""

from htdemucs_coreml.backends.base import BackendError, CoreBackend
from htdemucs_coreml.backends.loading import BACKEND_NAMES, load_backend

__all__ = ["BACKEND_NAMES", "BackendError", "CoreBackend", "load_backend"]
