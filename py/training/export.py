"""Averaged weights as a file that upstream's reader and this project's both load."""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np
from torch import Tensor

from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.model_file import ALLOWED_CLASS
from htdemucs_coreml.weights.safetensors_file import write_safetensors
from training.configuration import Configuration, TrainingError


def export_weights(path: Path, tensors: Mapping[str, Tensor], configuration: Configuration) -> None:
    """Write weights as float16 safetensors; equal weights give equal bytes.

    Raises
    ------
    TrainingError
        If a weight is no number in float16.
    OSError
        If the file cannot be written.
    """
    rounded = {}
    for name, tensor in tensors.items():
        with np.errstate(over="ignore"):
            rounded[name] = tensor.numpy().astype(np.float16)
        if not np.isfinite(rounded[name]).all():
            raise TrainingError(f"{name} holds values that float16 has not; train with a lower learning rate")
    metadata = {
        "klass": ALLOWED_CLASS,
        "args": "[]",
        "kwargs": json.dumps(dict(configuration.architecture), default=_encoded, sort_keys=True),
    }
    write_safetensors(path, rounded, metadata)


def entry_of(configuration: Configuration) -> ModelEntry:
    """What is trained, as an entry of the registry, so that the project's own code runs it."""
    architecture = {name: value for name, value in configuration.architecture.items() if name != "sources"}
    return ModelEntry(
        name="nano",
        summary="Trained on the project's own songs",
        sources=configuration.sources,
        architecture=MappingProxyType(architecture),
        licence="MIT",
    )


def _encoded(value: object) -> dict[str, object]:
    if not isinstance(value, Fraction):
        raise TypeError(f"{value!r} has no form in a weights file's metadata")
    return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
