"""Reading a package strictly: its layout, its metadata and its digests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coremltools.proto import Model_pb2
from google.protobuf.message import DecodeError

from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.package.digests import model_sha256, tree_sha256
from htdemucs_coreml.package.files import read_package_files, require_sizes
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN, manifest
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata


@dataclass(frozen=True)
class Package:
    """A package on disk whose layout, metadata and digests were checked.

    Attributes
    ----------
    path : Path
        The ``.mlpackage`` folder.
    metadata : PackageMetadata
        What it says of itself.
    model : Model_pb2.Model
        The parsed ``model.mlmodel``.
    sha256 : Mapping[PurePosixPath, str]
        Digest of each file by its path inside the package.
    bytes : int
        Size of all files together.
    """

    path: Path
    metadata: PackageMetadata
    model: Model_pb2.Model
    sha256: Mapping[PurePosixPath, str]
    bytes: int

    @property
    def digest(self) -> str:
        """One digest for the whole package; see `tree_sha256`."""
        return tree_sha256(self.sha256)


def read_package(path: Path) -> Package:
    """Read a package and check everything that can be checked without running it.

    Raises
    ------
    PackageError
        If its layout, manifest, model or metadata is malformed, or ``model.mlmodel`` or ``weight.bin`` is not the
        file that the metadata names.
    """
    if path.suffix == ".mlmodelc":
        raise PackageError(f"{path} is a compiled model, whose bytes cannot be checked; give the .mlpackage itself")
    files = read_package_files(path)
    size = require_sizes(path, files)
    try:
        _require_manifest(path, files[MANIFEST])
        serialised = files[MODEL].read_bytes()
        digests = {relative: sha256_file(file) for relative, file in files.items()}
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    model = parse_model(path, serialised)
    try:
        metadata = PackageMetadata.from_strings(dict(model.description.metadata.userDefined))
    except PackageError as error:
        raise PackageError(f"{path}: {error}") from error
    for file, expected, actual in (
        (MODEL, metadata.model_sha256, model_sha256(serialised, metadata.model_sha256)),
        (WEIGHT_BIN, metadata.weight_bin_sha256, digests[WEIGHT_BIN]),
    ):
        if actual != expected:
            raise PackageError(
                f"{path} is damaged: {file} has sha256 {actual}, but its metadata says {expected}; "
                "make or get the package again"
            )
    _require_features(path, model, metadata)
    return Package(path, metadata, model, digests, size)


def _require_manifest(path: Path, file: Path) -> None:
    expected = manifest()
    with file.open("rb") as stream:
        if stream.read(len(expected) + 1) != expected:
            raise PackageError(f"{path} has another {MANIFEST} than packages of this project; make or get it again")


def parse_model(path: Path, serialised: bytes) -> Model_pb2.Model:
    """Parse the ``model.mlmodel`` of the package at `path`.

    Raises
    ------
    PackageError
        If it is damaged or holds no ML program.
    """
    try:
        model = Model_pb2.Model.FromString(serialised)
    except DecodeError as error:
        raise PackageError(f"{path} has a damaged {MODEL} ({error}); make or get the package again") from error
    if model.WhichOneof("Type") != "mlProgram":
        raise PackageError(f"{path} is a Core ML package, but holds no ML program")
    return model


def _require_features(path: Path, model: Model_pb2.Model, metadata: PackageMetadata) -> None:
    contract = metadata.contract
    for features, shapes in (
        (model.description.input, contract.input_shapes),
        (model.description.output, contract.output_shapes),
    ):
        actual = {feature.name: tuple(feature.type.multiArrayType.shape) for feature in features}
        if actual != shapes:
            raise PackageError(f"{path} takes or gives {actual}, but its metadata promises {shapes}")
