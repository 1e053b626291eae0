"""Packages for tests, made by coremltools' builder and exporter, and so not by anything under test."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import numpy.typing as npt
from coremltools.converters.mil import Builder
from coremltools.converters.mil.backend.mil.load import load
from coremltools.converters.mil.mil import Function, Program, types

Array = npt.NDArray[Any]
Values = Mapping[str, Any]

_SPECIFICATION_VERSION = 9
_ELEMENT_TYPES = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32}


def build(body: Callable[[Values], Any], inputs: Mapping[str, Array]) -> Program:
    """Program for iOS 18 whose inputs are like arrays in name, shape and type, its operations made by `body`."""
    placeholders = {
        name: Builder.placeholder(array.shape, _ELEMENT_TYPES[array.dtype.name]) for name, array in inputs.items()
    }
    with Function(placeholders, opset_version=ct.target.iOS18) as function:
        results = body(function.inputs)
        function.set_outputs(list(results) if isinstance(results, (list, tuple)) else [results])
    program = Program()
    program.add_function("main", function)
    return program


def model(program: Program, weights: Path, omit_defaults: bool = False) -> Any:
    """Model message of a program, its weights written to a folder.

    The builder writes defaults out; `omit_defaults` takes them away again, so that the interpreter's own are
    used.
    """
    message = load(program, str(weights), specification_version=_SPECIFICATION_VERSION)
    if omit_defaults:
        _omit_defaults(program, message)
    return message


def save(message: Any, folder: Path) -> Path:
    """Finish a package: the model file beside weights that are already in ``Data``, and a manifest."""
    data = folder / "Data" / "com.apple.CoreML"
    data.mkdir(parents=True, exist_ok=True)
    (data / "model.mlmodel").write_bytes(message.SerializeToString())
    paths = {"MODEL": "com.apple.CoreML/model.mlmodel"}
    if any((data / "weights").glob("*")):
        paths["WEIGHTS"] = "com.apple.CoreML/weights"
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            identifier: {"author": "com.apple.CoreML", "description": "", "name": "", "path": path}
            for identifier, path in paths.items()
        },
        "rootModelIdentifier": "MODEL",
    }
    (folder / "Manifest.json").write_text(json.dumps(manifest))
    return folder


def weights_folder(folder: Path) -> Path:
    """Where a package keeps its weights; made if it is not there."""
    weights = folder / "Data" / "com.apple.CoreML" / "weights"
    weights.mkdir(parents=True)
    return weights


def write(
    folder: Path, body: Callable[[Values], Any], inputs: Mapping[str, Array], omit_defaults: bool = False
) -> Path:
    """Build a program and save it as a package."""
    return save(model(build(body, inputs), weights_folder(folder), omit_defaults), folder)


def _omit_defaults(program: Program, message: Any) -> None:
    defaults = {
        operation.outputs[0].name: {
            name
            for name, value in operation.default_inputs().items()
            if value is not None and name in operation.inputs and _equal(operation.inputs[name].val, value)
        }
        for operation in program.functions["main"].operations
        if operation.op_type != "const"
    }
    (block,) = message.mlProgram.functions["main"].block_specializations.values()
    for operation in block.operations:
        for name in defaults.get(operation.outputs[0].name, ()):
            operation.inputs.pop(name, None)


def _equal(value: Any, default: Any) -> bool:
    expected = list(default) if isinstance(default, range) else default
    return value is not None and np.array_equal(np.asarray(value), np.asarray(expected, np.asarray(value).dtype))
