"""The canonical form of a package: its bytes depend on the model, the variant and the locked dependencies alone.

coremltools leaves the clock, the time zone, random identifiers, the PyTorch build and, through the order of protobuf
maps, the layout of the address space in a package. Here they are fixed or left out.
"""

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from coremltools.proto import MIL_pb2, Model_pb2

from htdemucs_coreml.files import atomic_directory
from htdemucs_coreml.package.digests import UNSIGNED, sha256_bytes
from htdemucs_coreml.package.files import package_files
from htdemucs_coreml.package.layout import FILE_MODE, FOLDER_MODE, MANIFEST, MODEL, WEIGHT_BIN, manifest
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata
from htdemucs_coreml.package.weight_file import WeightFile

BUILD_INFO = "buildInfo"
"""Name of the program's attribute that says what made it."""
_MODEL_DIGEST = "model_sha256"
_DESCRIPTIONS: Mapping[str, str] = {
    "spectrogram_real": "Real part of the mix's STFT: channel, bin, frame; n_fft 4096, hop 1024, Hann, scaled by 1/64",
    "spectrogram_imag": "Imaginary part of the mix's STFT",
    "waveform": "The mix: channel, sample at 44,100 Hz, full scale 1.0",
    "stems_real": "Real part of each stem's STFT: stem in the order of the metadata's sources, channel, bin, frame",
    "stems_imag": "Imaginary part of each stem's STFT",
    "stems_waveform": "What is added to the inverse STFT of each stem: stem, channel, sample",
}


def canonical_model(model: Model_pb2.Model, metadata: PackageMetadata, summary: str, licence: str) -> Model_pb2.Model:
    """A copy of a converted model with the project's metadata and nothing that varies between builds.

    Parameters
    ----------
    model : Model_pb2.Model
        As coremltools gives it.
    metadata : PackageMetadata
        What the package says of itself; its `model_sha256` is replaced by the copy's own.
    summary, licence : str
        Short description and licence, as Xcode shows them.
    """
    canonical = Model_pb2.Model()
    canonical.CopyFrom(model)
    description = canonical.description
    for feature in (*description.input, *description.output):
        feature.shortDescription = _DESCRIPTIONS[feature.name]
    description.metadata.shortDescription = summary
    description.metadata.license = licence
    strings = description.metadata.userDefined
    strings.clear()
    for key, value in metadata.to_strings().items():
        strings[key] = value
    canonical.mlProgram.attributes[BUILD_INFO].CopyFrom(_build_info())
    strings[_MODEL_DIGEST] = UNSIGNED
    strings[_MODEL_DIGEST] = sha256_bytes(canonical.SerializeToString(deterministic=True))
    return canonical


def write_package(path: Path, model: Model_pb2.Model, weights: WeightFile) -> None:
    """Write a package, whole or not at all, replacing one that is there.

    Parameters
    ----------
    path : Path
        The ``.mlpackage`` folder.
    model : Model_pb2.Model
        A canonical model.
    weights : WeightFile
        The large constants that it refers to; without any, the package has no ``weight.bin``.

    Raises
    ------
    PackageError
        If the folder cannot be written, or something that is no package stands in its place.
    """
    require_target(path)
    contents: dict[PurePosixPath, Iterable[bytes | memoryview]] = {
        MANIFEST: [manifest(has_weights=not weights.is_empty)],
        MODEL: [model.SerializeToString(deterministic=True)],
    }
    if not weights.is_empty:
        contents[WEIGHT_BIN] = weights.chunks()
    try:
        with atomic_directory(path) as folder:
            for relative, chunks in contents.items():
                target = folder / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as stream:
                    stream.writelines(chunks)
                target.chmod(FILE_MODE)
            for parent in (folder, *(item for item in folder.rglob("*") if item.is_dir())):
                parent.chmod(FOLDER_MODE)
    except OSError as error:
        raise PackageError(f"{path} cannot be written: {error.strerror}; choose another place") from error


def require_target(path: Path) -> None:
    """Refuse a place where a package cannot be written, before anything is spent on making it.

    Raises
    ------
    PackageError
        If the parent is no folder that can be written to, or what stands at `path` is not a package.
    """
    parent = path.absolute().parent
    if not parent.is_dir():
        raise PackageError(f"{path} cannot be written: {parent} is not a folder; make it first")
    if not os.access(parent, os.W_OK):
        raise PackageError(f"{path} cannot be written: {parent} is not yours to write to; choose another place")
    if path.is_symlink() or path.exists():
        try:
            is_package = not path.is_symlink() and bool(package_files(path))
        except PackageError:
            is_package = False
        if not is_package:
            raise PackageError(f"{path} is there, but is no package to be replaced; move it away first")


def _build_info() -> MIL_pb2.Value:
    """Versions of what made the package, without build strings that differ between platforms."""
    versions = {
        "coremltools-component-torch": version("torch").partition("+")[0],
        "coremltools-version": version("coremltools"),
    }
    text = MIL_pb2.ValueType()
    text.tensorType.dataType = MIL_pb2.STRING
    info = MIL_pb2.Value()
    info.type.dictionaryType.keyType.CopyFrom(text)
    info.type.dictionaryType.valueType.CopyFrom(text)
    for key, value in sorted(versions.items()):
        pair = info.immediateValue.dictionary.values.add()
        for member, string in ((pair.key, key), (pair.value, value)):
            member.type.CopyFrom(text)
            member.immediateValue.tensor.strings.values.append(string)
    return info
