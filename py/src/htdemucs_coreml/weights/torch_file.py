"""A strict reader of demucs' legacy weights files: a pickle and storages in a zip archive, written by ``torch.save``.

Upstream reads them with Python's unpickler (facebookresearch/demucs 4.1.0, ``demucs/states.py``), which runs whatever
the file says. Here the pickle is run by `htdemucs_coreml.weights.pickle_machine`, and the names that it may hold are
those of the table below: stand-ins, none of which is imported or called because a file says so.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.weights.content import MAX_RANK, FormError, WeightsError
from htdemucs_coreml.weights.pickle_machine import run_pickle
from htdemucs_coreml.weights.stored_zip import stored_entries

HTDEMUCS = ("demucs.htdemucs", "HTDemucs")

_MAX_ARGUMENT_VALUES = 1000
_MAX_ARGUMENT_DEPTH = 8
_VERSION = re.compile(rb"[0-9]{1,4}\n?")
_FRACTION_TEXT = re.compile(r"(-?[0-9]{1,18})(?:/([0-9]{1,18}))?", re.ASCII)


class _Name(Enum):
    """Names that a file may hold."""

    HTDEMUCS = HTDEMUCS
    ORDERED_DICT = ("collections", "OrderedDict")
    FRACTION = ("fractions", "Fraction")
    TENSOR = ("torch._utils", "_rebuild_tensor_v2")
    HALF_STORAGE = ("torch", "HalfStorage")
    FLOAT_STORAGE = ("torch", "FloatStorage")
    # The scores of the training in upstream's files are scalars of numpy, old and new, which nothing here reads.
    NUMPY_SCALAR = ("numpy.core.multiarray", "scalar")
    NUMPY_2_SCALAR = ("numpy._core.multiarray", "scalar")
    NUMPY_DTYPE = ("numpy", "dtype")
    BYTES = ("_codecs", "encode")


_DTYPES: Mapping[_Name, np.dtype[Any]] = {
    _Name.HALF_STORAGE: np.dtype("<f2"),
    _Name.FLOAT_STORAGE: np.dtype("<f4"),
}
_UNREAD = frozenset({_Name.NUMPY_SCALAR, _Name.NUMPY_2_SCALAR, _Name.NUMPY_DTYPE, _Name.BYTES})


@dataclass(frozen=True)
class TorchFile:
    """What a legacy weights file holds.

    Attributes
    ----------
    positional : list
        Arguments of ``demucs.htdemucs.HTDemucs`` without a name: plain values and fractions, tuples as lists.
    named : Mapping[str, object]
        Those with a name.
    tensors : Mapping[str, NDArray]
        Arrays by name, float16 or float32, read-only views of the file.
    """

    positional: list[object]
    named: Mapping[str, object]
    tensors: Mapping[str, NDArray[Any]]


def parse_torch_file(content: bytes, path: Path) -> TorchFile:
    """Parse the bytes of a legacy weights file; `path` is named in errors.

    Raises
    ------
    WeightsError
        If they depart from what ``torch.save`` writes of a demucs model, or name anything that is no part of one.
    """
    try:
        return _model(_package(content))
    except FormError as error:
        raise WeightsError(
            f"{path} is not a valid PyTorch weights file: {error}; get it again from where it came"
        ) from error


def _package(content: bytes) -> object:
    """The value that the archive's pickle describes."""
    entries = stored_entries(content)
    folder = next(iter(entries)).partition("/")[0]
    records = {name.removeprefix(f"{folder}/"): data for name, data in entries.items() if name.startswith(f"{folder}/")}
    if len(records) != len(entries) or "data.pkl" not in records:
        raise FormError("its archive is not one that torch.save writes")
    if _VERSION.fullmatch(records.get("version", b"")) is None:
        raise FormError("its archive does not say which version of torch.save's form it has")
    if records.get("byteorder", b"little") != b"little":
        raise FormError("its values are not in little-endian order")
    return run_pickle(bytes(records["data.pkl"]), _Torch(records))


def _model(package: object) -> TorchFile:
    match package:
        case {"klass": klass, "args": tuple(args), "kwargs": dict(kwargs), "state": dict(state)}:
            pass
        case _:
            raise FormError("it holds no demucs model (klass, args, kwargs and state)")
    if klass is not _Name.HTDEMUCS:
        raise FormError(f"its class is not {'.'.join(HTDEMUCS)}")
    if not all(type(name) is str and type(tensor) is np.ndarray for name, tensor in state.items()):
        raise FormError("its state is no table of tensors by name")
    if not all(type(name) is str for name in kwargs):
        raise FormError("an argument of its model has no name")
    copier = _ArgumentCopier()
    return TorchFile([copier.copy(value) for value in args], {k: copier.copy(v) for k, v in kwargs.items()}, state)


class _Unread:
    """A value that nothing reads."""


class _OrderedDict(dict[object, object]):
    """A table that may be given attributes, which nothing reads."""


@dataclass(frozen=True)
class _Storage:
    dtype: np.dtype[Any]
    data: memoryview
    count: int


class _Torch:
    """What the names in a pickle of ``torch.save`` stand for."""

    def __init__(self, records: Mapping[str, memoryview]) -> None:
        self._records = records
        self._storages: dict[str, _Storage] = {}

    def named(self, module: str, name: str) -> object:
        try:
            return _Name((module, name))
        except ValueError:
            if module == "torch" and name.endswith("Storage"):
                raise FormError(f"it holds a {module}.{name}; only float16 and float32 are read") from None
            raise FormError(f"it names {module}.{name}, which is no part of a model; nothing of it was run") from None

    def constructed(self, callee: object, arguments: tuple[object, ...]) -> object:
        # Compared by identity: comparing an array would give an array.
        if callee is _Name.TENSOR:
            return _tensor(arguments)
        if callee is _Name.ORDERED_DICT and not arguments:
            return _OrderedDict()
        if callee is _Name.FRACTION:
            return _fraction(arguments)
        if isinstance(callee, _Name) and callee in _UNREAD:
            return _Unread()
        raise FormError("it calls what no model of torch.save calls; nothing of it was run")

    def persistent(self, identifier: object) -> object:
        match identifier:
            case (str(what), _Name() as kind, str(key), str(), int(count)) if what == "storage" and kind in _DTYPES:
                return self._storage(_DTYPES[kind], key, count)
            case _:
                raise FormError("it refers to data that is no tensor's")

    def set_state(self, target: object, state: object) -> None:
        if not isinstance(target, _Unread | _OrderedDict) or type(state) not in (dict, tuple):
            raise FormError("it gives a state to what has none")

    def _storage(self, dtype: np.dtype[Any], key: str, count: int) -> _Storage:
        data = self._records.get(f"data/{key}")
        if data is None:
            raise FormError(f"the values of storage {key!r:.100} are missing")
        if count * dtype.itemsize != len(data):
            raise FormError(f"storage {key!r:.100} has {len(data)} bytes, which are not {count} values of {dtype}")
        storage = self._storages.setdefault(key, _Storage(dtype, data, count))
        if storage.dtype != dtype:
            raise FormError(f"storage {key!r:.100} is used as two types")
        return storage


def _tensor(arguments: tuple[object, ...]) -> NDArray[Any]:
    """A view of a storage, as ``torch._utils._rebuild_tensor_v2`` makes one."""
    match arguments:
        case (_Storage() as storage, int(offset), tuple(sizes), tuple(strides), bool(), dict() as hooks) if not hooks:
            pass
        case _:
            raise FormError("it holds a tensor that is described in an unknown way")
    if len(sizes) > MAX_RANK or len(sizes) != len(strides):
        raise FormError(f"it holds a tensor that does not have 0 to {MAX_RANK} axes")
    if not all(_is_int(size, 1) for size in sizes) or not all(_is_int(value, 0) for value in (offset, *strides)):
        raise FormError("it holds a tensor whose sizes, strides or offset are no valid numbers")
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if last >= storage.count or math.prod(sizes) > storage.count:
        raise FormError(f"it holds a tensor of shape {sizes} that does not fit its storage of {storage.count} values")
    itemsize = storage.dtype.itemsize
    # A stride along an axis of one value means nothing, and may be any number.
    steps = [stride * itemsize if size > 1 else 0 for size, stride in zip(sizes, strides, strict=True)]
    return np.ndarray(sizes, storage.dtype, storage.data, offset * itemsize, steps)


def _fraction(arguments: tuple[object, ...]) -> Fraction:
    """A fraction, from two numbers or, as Python before 3.11 writes one, from text."""
    match arguments:
        case (str(text),) if (found := _FRACTION_TEXT.fullmatch(text)) is not None:
            numerator, denominator = int(found[1]), int(found[2] or 1)
        case (int(numerator), int(denominator)):
            pass
        case _:
            raise FormError("it holds a fraction without its numbers")
    if denominator <= 0:
        raise FormError("it holds a fraction with a denominator that is not positive")
    return Fraction(numerator, denominator)


class _ArgumentCopier:
    """Copies the few arguments of a model; in a hostile file, values that are shared can stand for endlessly many."""

    def __init__(self) -> None:
        self._left = _MAX_ARGUMENT_VALUES

    def copy(self, value: object, depth: int = 0) -> object:
        """A value, tuples turned into lists as in the metadata of a safetensors file."""
        self._left -= 1
        if self._left < 0 or depth > _MAX_ARGUMENT_DEPTH:
            raise FormError("its model has more arguments than any model has")
        match value:
            case list() | tuple():
                return [self.copy(item, depth + 1) for item in value]
            case dict():
                return {key: self.copy(item, depth + 1) for key, item in value.items()}
            case None | bool() | int() | float() | str() | Fraction():
                return value
            case _:
                raise FormError("its model has an argument that is no plain value")


def _is_int(value: object, least: int) -> bool:
    return type(value) is int and value >= least
