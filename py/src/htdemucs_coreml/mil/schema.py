"""The protobuf schema of Core ML models, taken from coremltools without importing coremltools.

``import coremltools`` loads its converters, takes seconds, and on Linux warns about native libraries that
only exist on macOS. Its folder ``proto`` needs none of that: it is loaded by its path, under a name of its
own, unless it was imported already. Protobuf registers a message type once per process, so both ways give the
same classes.
"""

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from htdemucs_coreml.mil.errors import MILError

_COREMLTOOLS = "coremltools"
_ALIAS = f"{__name__}_coremltools_proto"


@cache
def _proto_package() -> str:
    """Name under which the modules of ``coremltools.proto`` can be imported."""
    if f"{_COREMLTOOLS}.proto" in sys.modules:
        return f"{_COREMLTOOLS}.proto"
    found = importlib.util.find_spec(_COREMLTOOLS)
    if found is None or not found.submodule_search_locations:
        raise MILError("coremltools is not installed; its protobuf schema is needed to read packages")
    folder = Path(found.submodule_search_locations[0]) / "proto"
    package = ModuleType(_ALIAS)
    package.__path__ = [str(folder)]
    sys.modules[_ALIAS] = package
    return _ALIAS


def _module(name: str) -> Any:
    return importlib.import_module(f"{_proto_package()}.{name}")


def parse_model(data: bytes) -> Any:
    """Message ``CoreML.Specification.Model`` from its bytes.

    Raises
    ------
    ValueError
        If the bytes are no such message.
    """
    decode_error: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError
    model = _module("Model_pb2").Model()
    try:
        model.ParseFromString(data)
    except (decode_error, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    return model


def data_type_name(number: int) -> str:
    """Name of a member of MIL's enum ``DataType``, or a text that holds the number of an unknown one."""
    values = _module("MIL_pb2").DataType.DESCRIPTOR.values_by_number
    return str(values[number].name) if number in values else f"number {number}"


def array_type_name(number: int) -> str:
    """Name of a member of the features' enum ``ArrayDataType``, or a text that holds the number."""
    values = _module("FeatureTypes_pb2").ArrayFeatureType.ArrayDataType.DESCRIPTOR.values_by_number
    return str(values[number].name) if number in values else f"number {number}"
