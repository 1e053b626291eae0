"""Any ML program's package in canonical form, whoever saved it.

What is kept is what the package computes and says: program, constants, descriptions, metadata. What varies from one
save to the next is fixed or left out: identifiers, the order of maps, the date of conversion, build strings, gaps in
``weight.bin`` and constants in it that the program does not use, modes of files.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from coremltools.proto import MIL_pb2, Model_pb2
from google.protobuf.message import Message

from htdemucs_coreml.package.canonical import BUILD_INFO, require_target, write_package
from htdemucs_coreml.package.digests import model_sha256
from htdemucs_coreml.package.files import package_files, require_sizes
from htdemucs_coreml.package.layout import (
    MANIFEST,
    MODEL,
    PACKAGE_ITEMS,
    ROOT_MODEL,
    WEIGHT_BIN,
    WEIGHT_REFERENCE,
)
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata
from htdemucs_coreml.package.reader import parse_model
from htdemucs_coreml.package.stored_weights import StoredWeights
from htdemucs_coreml.package.weight_file import ALIGNMENT, WeightFile, WeightFileError

_CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"
_SOURCE = "com.github.apple.coremltools.source"
_COMPONENT = "coremltools-component-"
_WITHOUT_CONSTANTS = frozenset({MIL_pb2.ValueType.DESCRIPTOR.full_name, MIL_pb2.NamedValueType.DESCRIPTOR.full_name})


def canonicalise(source: Path, target: Path) -> None:
    """Write the canonical form of a package.

    Parameters
    ----------
    source : Path
        A package of an ML program, of this project or any other.
    target : Path
        The ``.mlpackage`` to write, whole or not at all; it may be `source`.

    Raises
    ------
    PackageError
        If `source` is malformed or no ML program, holds links or files that are no part of a package, or is one of this
        project's whose digests do not fit; or if `target` cannot be written.
    """
    require_target(target)
    files = package_files(source)
    require_sizes(source, files)
    _require_root_model(source, files[MANIFEST])
    model = parse_model(source, _content(source, files[MODEL]))
    _remove_what_varies(model)
    weights = _used_weights(source, files, model)
    _require_own_digests(source, model, weights)
    write_package(target, model, weights)


def _require_root_model(source: Path, file: Path) -> None:
    try:
        table = json.loads(_content(source, file))
        items = {identifier: str(item["path"]) for identifier, item in table["itemInfoEntries"].items()}
        root = items[table["rootModelIdentifier"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackageError(
            f"{source} has a malformed {MANIFEST} ({type(error).__name__}); make or get the package again"
        ) from error
    if root != ROOT_MODEL or not set(items.values()) <= PACKAGE_ITEMS.keys():
        raise PackageError(
            f"{source} has a {MANIFEST} with another root than {ROOT_MODEL}, or with items that no ML program has; "
            "save it anew with coremltools"
        )


def _content(source: Path, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PackageError(f"{source} cannot be read: {error.strerror}") from error


def _remove_what_varies(model: Model_pb2.Model) -> None:
    strings = model.description.metadata.userDefined
    strings.pop(_CONVERSION_DATE, None)
    if _SOURCE in strings:
        strings[_SOURCE] = _without_build(strings[_SOURCE])
    attributes = model.mlProgram.attributes
    if BUILD_INFO in attributes:
        pairs = attributes[BUILD_INFO].immediateValue.dictionary.values
        for pair in pairs:
            if any(key.startswith(_COMPONENT) for key in pair.key.immediateValue.tensor.strings.values):
                versions = pair.value.immediateValue.tensor.strings.values
                versions[:] = [_without_build(version) for version in versions]
        pairs.sort(key=_order_of_pair)


def _order_of_pair(pair: MIL_pb2.DictionaryValue.KeyValuePair) -> tuple[list[str], bytes]:
    return list(pair.key.immediateValue.tensor.strings.values), pair.SerializeToString(deterministic=True)


def _without_build(version: str) -> str:
    """``torch==2.7.0`` for ``torch==2.7.0+cpu``: what stands behind the plus depends on the platform (PEP 440)."""
    return version.partition("+")[0]


def _used_weights(source: Path, files: Mapping[PurePosixPath, Path], model: Model_pb2.Model) -> WeightFile:
    """The constants that a program uses, in their order, and the program's references set to them."""
    weights = WeightFile()
    references = list(_references(model.mlProgram))
    if not references:
        return weights
    if any(reference.fileName != WEIGHT_REFERENCE for reference in references):
        raise PackageError(f"{source} takes constants from another file than its {WEIGHT_BIN}; save it anew")
    if WEIGHT_BIN not in files:
        raise PackageError(f"{source} lacks {WEIGHT_BIN}; the package is incomplete, make or get it again")
    stored = StoredWeights(files[WEIGHT_BIN])
    moved: dict[int, int] = {}
    end = ALIGNMENT
    for offset in sorted({reference.offset for reference in references}):
        blob = stored.blob(offset)
        if offset < end:
            raise WeightFileError(f"{files[WEIGHT_BIN]} at offset {offset}: the blob lies inside another one")
        end = offset + ALIGNMENT + blob.data.nbytes
        moved[offset] = weights.add_packed(blob.element_type, blob.data, blob.unused_bits)
    for reference in references:
        reference.offset = moved[reference.offset]
    return weights


def _references(program: MIL_pb2.Program) -> Iterator[MIL_pb2.Value.BlobFileValue]:
    """Every reference to a weight file, however deep in a program's blocks and values."""
    waiting: list[Message] = [program]
    while waiting:
        message = waiting.pop()
        if isinstance(message, MIL_pb2.Value.BlobFileValue):
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is None or field.message_type.full_name in _WITHOUT_CONSTANTS:
                continue
            if not field.is_repeated:
                waiting.append(value)
            elif field.message_type.GetOptions().map_entry:
                waiting.extend(entry for entry in value.values() if isinstance(entry, Message))
            else:
                waiting.extend(value)


def _require_own_digests(source: Path, model: Model_pb2.Model, weights: WeightFile) -> None:
    """Bless no damaged or edited package of this project: what it says of itself has to hold for what is written."""
    try:
        metadata = PackageMetadata.from_strings(dict(model.description.metadata.userDefined))
    except PackageError:
        return
    serialised = model.SerializeToString(deterministic=True)
    if (metadata.weight_bin_sha256, metadata.model_sha256) != (
        weights.sha256(),
        model_sha256(serialised, metadata.model_sha256),
    ):
        raise PackageError(
            f"{source} was made by this project, but is not what its metadata says; convert the model again"
        )
