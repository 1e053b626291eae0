"""A strict reader and a deterministic writer of safetensors files.

Format: 8 bytes little-endian length, a JSON header, then the tensors' bytes
(https://github.com/huggingface/safetensors, "Format"). The reader trusts nothing: sizes are bounded before anything is
allocated, names are unique, and the tensors tile the buffer exactly, without gaps or overlaps.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.weights.content import MAX_FILE_BYTES, MAX_RANK, WeightsError, read_weights_file

MAX_HEADER_BYTES = 4 << 20

_LENGTH_BYTES = 8
_DTYPES: Mapping[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_METADATA_KEY = "__metadata__"


@dataclass(frozen=True)
class SafetensorsFile:
    """What a safetensors file holds.

    Attributes
    ----------
    metadata : Mapping[str, str]
        The header's free-form strings.
    tensors : Mapping[str, NDArray]
        Arrays by name, float16 or float32, read-only views of the file.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, NDArray[Any]]


def read_safetensors(path: Path) -> SafetensorsFile:
    """Read a safetensors file of float16 and float32 tensors.

    Raises
    ------
    WeightsError
        If the file cannot be read, is larger than `MAX_FILE_BYTES`, or departs from the format in any way.
    """
    return parse_safetensors(read_weights_file(path), path)


def parse_safetensors(content: bytes, path: Path) -> SafetensorsFile:
    """Parse the bytes of a safetensors file; `path` is named in errors.

    Raises
    ------
    WeightsError
        If they depart from the format in any way.
    """
    header, buffer = _split(path, content)
    metadata = header.pop(_METADATA_KEY, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _malformed(path, "its metadata is not a table of strings")
    tensors: dict[str, NDArray[Any]] = {}
    end = 0
    for name, (dtype, shape, start, stop) in sorted(
        ((name, _described(path, name, fields)) for name, fields in header.items()),
        key=lambda item: item[1][2:],
    ):
        if start != end or stop - start != math.prod(shape) * dtype.itemsize or stop > len(buffer):
            raise _malformed(
                path,
                f"tensor {name} lies at bytes {start} to {stop}, which does not fit its neighbours or shape",
            )
        tensors[name] = np.frombuffer(buffer, dtype, math.prod(shape), start).reshape(shape)
        end = stop
    if end != len(buffer):
        raise _malformed(path, f"{len(buffer) - end} bytes belong to no tensor")
    return SafetensorsFile(MappingProxyType(metadata), MappingProxyType(tensors))


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write float16 and float32 tensors in order of their names; the bytes depend on the arguments alone.

    Raises
    ------
    WeightsError
        If a tensor has another type.
    OSError
        If the file cannot be written.
    """
    header: dict[str, Any] = {_METADATA_KEY: dict(sorted(metadata.items()))}
    offset = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        dtype = tensor.dtype.newbyteorder("<")
        if dtype not in _DTYPE_NAMES:
            raise WeightsError(f"tensor {name} is {tensor.dtype}; only float16 and float32 weights are written")
        header[name] = {
            "dtype": _DTYPE_NAMES[dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % _LENGTH_BYTES)
    with atomic_file(path) as partial, partial.open("wb") as stream:
        stream.write(len(encoded).to_bytes(_LENGTH_BYTES, "little"))
        stream.write(encoded)
        for name in sorted(tensors):
            stream.write(np.ascontiguousarray(tensors[name], tensors[name].dtype.newbyteorder("<")).tobytes())


def _split(path: Path, content: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) < _LENGTH_BYTES or length > min(MAX_HEADER_BYTES, len(content) - _LENGTH_BYTES):
        raise _malformed(path, "its header's length does not fit the file")
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length].decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, f"its header is not valid JSON ({error})") from error
    if not isinstance(header, dict):
        raise _malformed(path, "its header is not a table")
    return header, memoryview(content)[_LENGTH_BYTES + length :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _described(path: Path, name: str, fields: object) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    match fields:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, stop], **rest} if not rest:
            sizes_are_valid = len(shape) <= MAX_RANK and all(_is_int(size, 1) for size in shape)
            if sizes_are_valid and _is_int(start, 0) and _is_int(stop, start):
                if dtype not in _DTYPES:
                    raise _malformed(path, f"tensor {name} is {dtype}; only {' and '.join(_DTYPES)} are read")
                return _DTYPES[dtype], tuple(shape), start, stop
    raise _malformed(path, f"tensor {name} has no valid description")


def _is_int(value: object, least: int) -> bool:
    """Whether a value is an integer (JSON's true and false are not) from `least` to the largest file."""
    return type(value) is int and least <= value <= MAX_FILE_BYTES


def _malformed(path: Path, reason: str) -> WeightsError:
    return WeightsError(f"{path} is not a valid safetensors file: {reason}; get it again from where it came")
