"""Files of weights."""

import functools
import json
from dataclasses import replace
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from fuzz.json_mutation import mutate_json
from fuzz.parts import any_bytes
from fuzz.scratch import written
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.models.architecture import parameter_shapes
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.weights import checkpoint
from htdemucs_coreml.weights.checkpoint import canonical_sha256, load_checkpoint
from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.model_file import ALLOWED_CLASS
from htdemucs_coreml.weights.safetensors_file import (
    SafetensorsFile,
    parse_safetensors,
    read_safetensors,
    write_safetensors,
)

_LENGTH_BYTES = 8

TINY_ENTRY = replace(
    find_model("fixture"),
    sources=("drums", "bass"),
    architecture=MappingProxyType({"segment": Fraction(39, 5), "channels": 8, "t_layers": 1, "t_heads": 1}),
    weights_sha256=None,
)
"""The model that checkpoints are read for."""


def safetensors_file(data: bytes) -> None:
    """A safetensors file; what is read and written again reads as the same."""
    path = written("weights.safetensors", data)
    file = parse_safetensors(data, path)
    header = data[_LENGTH_BYTES:][: int.from_bytes(data[:_LENGTH_BYTES], "little")]
    assert isinstance(json.loads(header.decode("utf-8")), dict)
    write_safetensors(path, file.tensors, file.metadata)
    again = read_safetensors(path)
    assert again.metadata == file.metadata
    assert _values(again) == _values(file)
    # Two files of one content: the writer's own form stays as it is.
    first = path.read_bytes()
    write_safetensors(path, again.tensors, again.metadata)
    assert path.read_bytes() == first


def _values(file: SafetensorsFile) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (tensor.dtype.str, tensor.shape, tensor.tobytes()) for name, tensor in file.tensors.items()}


def _mutate_header(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change the header as JSON, or a file's bytes, and mostly give the header's length right."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    header, tensors = data[_LENGTH_BYTES:][:length], data[_LENGTH_BYTES:][length:]
    if random.random() < 0.1 or len(tensors) + _LENGTH_BYTES >= maximum:
        return mutate_bytes(data, maximum)
    if random.random() < 0.15:
        tensors = any_bytes(tensors or b"\0", max(1, maximum - _LENGTH_BYTES - len(header)), random, mutate_bytes)
    else:
        header = mutate_json(header, maximum - _LENGTH_BYTES - len(tensors), random, mutate_bytes)
    return (len(header).to_bytes(_LENGTH_BYTES, "little") + header + tensors)[:maximum]


@functools.cache
def _tiny_tensors() -> tuple[dict[str, dict[str, Any]], bytes, dict[str, NDArray[np.float32]]]:
    """Header and payload of the tiny model's tensors, all ones, and the tensors."""
    header: dict[str, dict[str, Any]] = {}
    end = 0
    tensors = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(TINY_ENTRY).items()}
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    return header, b"".join(tensor.tobytes() for tensor in tensors.values()), tensors


def checkpoint_metadata(data: bytes) -> None:
    """What a checkpoint says of its model: JSON of ``metadata``, and of ``tensors`` that it describes otherwise."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(table, dict) or not isinstance(table.get("tensors"), dict):
        return
    described, payload, tensors = _tiny_tensors()
    header = {**described, **table["tensors"], "__metadata__": table.get("metadata")}
    try:
        encoded = json.dumps({name: fields for name, fields in header.items() if fields is not None}).encode()
    except RecursionError:
        return
    path = written("checkpoint.safetensors", len(encoded).to_bytes(_LENGTH_BYTES, "little") + encoded + payload)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    # To ask demucs for the shapes takes longer than all the rest.
    with mock.patch.object(checkpoint, "parameter_shapes", lambda _: shapes):
        read = load_checkpoint(path, TINY_ENTRY)
    assert table["metadata"]["klass"] == ALLOWED_CLASS
    assert read.sources == TINY_ENTRY.sources
    assert read.sha256 == canonical_sha256(tensors)


TARGETS = (
    Target("safetensors", safetensors_file, (WeightsError,), weight=12, mutate=_mutate_header),
    Target("checkpoint", checkpoint_metadata, (WeightsError,), weight=8, mutate=mutate_json),
)
