"""Changes to a package on disk that keep its own digests right, as somebody with bad intent would make them."""

from collections.abc import Callable
from pathlib import Path

from coremltools.proto import MIL_pb2, Model_pb2

from htdemucs_coreml.package.digests import UNSIGNED, sha256_bytes
from htdemucs_coreml.package.layout import MODEL, WEIGHT_BIN


def edit_model(package: Path, edit: Callable[[Model_pb2.Model], object] = Model_pb2.Model.IsInitialized) -> None:
    """Change a package's model, by default not at all, and give it right digests again."""
    model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
    edit(model)
    strings = model.description.metadata.userDefined
    strings["weight_bin_sha256"] = sha256_bytes((package / WEIGHT_BIN).read_bytes())
    strings["model_sha256"] = UNSIGNED
    strings["model_sha256"] = sha256_bytes(model.SerializeToString(deterministic=True))
    (package / MODEL).write_bytes(model.SerializeToString(deterministic=True))


def operation(model: Model_pb2.Model, name: str) -> MIL_pb2.Operation:
    """The operation of a model whose first result has a name."""
    (function,) = model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return next(operation for operation in block.operations if operation.outputs[0].name == name)


def first_value_offset(package: Path, constant: str) -> int:
    """Where the data of a constant begins in a package's ``weight.bin``."""
    model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
    record = operation(model, constant).attributes["val"].blobFileValue.offset
    return int.from_bytes((package / WEIGHT_BIN).read_bytes()[record + 16 : record + 24], "little")
