"""Choosing a backend by its name, and finding the package or the weights that it runs.

Backends are imported when they are chosen: each brings in large libraries that the others do not need.
"""

import os
from pathlib import Path
from typing import Literal

from htdemucs_coreml.backends.base import BackendError, CoreBackend
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, find_model

BACKEND_NAMES = ("interpreter", "torch", "coreml")
PACKAGES_VARIABLE = "HTDEMUCS_COREML_PACKAGES"

Segment = Literal["10s", "7.8s"]
_VARIANT_OF_SEGMENT: dict[Segment, str] = {"10s": "float32", "7.8s": "float32-7_8s"}
_DEFAULT_SEGMENT: Segment = "10s"


def load_backend(
    name: str,
    *,
    model: str | None,
    package: Path | None,
    weights: Path | None,
    segment: Segment | None,
    sha256: str | None = None,
) -> CoreBackend:
    """Load a backend.

    Parameters
    ----------
    name : str
        One of `BACKEND_NAMES`.
    model : str or None
        A model of the registry; its package is looked for in the folder that HTDEMUCS_COREML_PACKAGES names.
    package : Path or None
        A package, in place of `model`. With PyTorch, which model and segment it was made for.
    weights : Path or None
        Weights for PyTorch.
    segment : "10s", "7.8s" or None
        Which segment a model's package or core has; None is 10 s, or the package's own.
    sha256 : str or None
        Hexadecimal sha256 that the weights file must have, in place of the registry's.

    Raises
    ------
    HTDemucsCoreMLError
        If the backend is unknown or what it needs is missing or does not fit.
    """
    match name:
        case "torch":
            return _torch_backend(model, package, weights, segment, sha256)
        case "interpreter":
            from htdemucs_coreml.backends.interpreted import InterpreterBackend

            return InterpreterBackend(package or find_package(model, segment))
        case "coreml":
            from htdemucs_coreml.backends.core_ml import CoreMLBackend

            return CoreMLBackend(package or find_package(model, segment))
        case _:
            raise BackendError(f"there is no backend {name!r}; choose one of {', '.join(BACKEND_NAMES)}")


def find_package(model: str | None, segment: Segment | None) -> Path:
    """The package of a model with a segment; see `find_package_of_variant`."""
    return find_package_of_variant(model or EMBEDDED_MODEL, _VARIANT_OF_SEGMENT[segment or _DEFAULT_SEGMENT])


def find_package_of_variant(model: str, variant: str) -> Path:
    """The package of a model among those that were built beside this installation.

    Raises
    ------
    UnknownModelError
        If the registry has no such model.
    BackendError
        If there is no such package; the message says how to make one.
    """
    entry = find_model(model)
    file = f"{entry.name}.{variant}.mlpackage"
    folder = os.environ.get(PACKAGES_VARIABLE)
    if folder is not None and (Path(folder) / file).is_dir():
        return (Path(folder) / file).resolve()
    fetch = f"fetch its weights with `htdemucs-coreml fetch {entry.name}`, " if entry.weights else ""
    raise BackendError(
        f"no package of {entry.name} is at hand: {fetch}make one with `htdemucs-coreml convert --model {entry.name} "
        f"--variant {variant} -o {file}` and give it with --package {file}"
    )


def _torch_backend(
    model: str | None, package: Path | None, weights: Path | None, segment: Segment | None, sha256: str | None
) -> CoreBackend:
    from htdemucs_coreml.backends.pytorch import TorchBackend

    if package is not None:
        from htdemucs_coreml.package.reader import read_package

        metadata = read_package(package).metadata
        return TorchBackend.load(find_model(metadata.model), weights, metadata.segment_samples, sha256)
    samples = variants()[_VARIANT_OF_SEGMENT[segment or _DEFAULT_SEGMENT]].segment_samples
    return TorchBackend.load(find_model(model or EMBEDDED_MODEL), weights, samples, sha256)
