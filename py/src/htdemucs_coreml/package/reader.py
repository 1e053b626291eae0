"""Reading a package strictly: its layout, its metadata and its digests."""

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coremltools.proto import Model_pb2
from google.protobuf.message import DecodeError

from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata

MAX_MODEL_BYTES = 256 << 20
MAX_FILES = 16


@dataclass(frozen=True)
class Package:
    """A package on disk whose layout, metadata and weights were checked.

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


def read_package_files(path: Path) -> dict[PurePosixPath, Path]:
    """The files of a package by their path inside it.

    Raises
    ------
    PackageError
        If it is missing, holds a link or a file that is not part of the format, or too many of them.
    """
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise PackageError(f"{path} {problem}; give the path of an .mlpackage")
    files: dict[PurePosixPath, Path] = {}
    for item in _items(path):
        mode = item.lstat().st_mode
        relative = PurePosixPath(item.relative_to(path).as_posix())
        if stat.S_ISREG(mode):
            files[relative] = item
        elif not stat.S_ISDIR(mode):
            raise PackageError(
                f"{path} holds {relative}, which is no plain file: Core ML refuses links; copy the package"
            )
    for required in (MANIFEST, MODEL, WEIGHT_BIN):
        if required not in files:
            raise PackageError(f"{path} lacks {required}; the package is incomplete, make or get it again")
    return files


def read_package(path: Path) -> Package:
    """Read a package and check everything that can be checked without running it.

    Raises
    ------
    PackageError
        If its layout, manifest, model or metadata is malformed, or ``weight.bin`` is not the file that the metadata
        names.
    """
    try:
        files = read_package_files(path)
        size = sum(file.stat().st_size for file in files.values())
        digests = {relative: sha256_file(file) for relative, file in files.items()}
        _require_manifest(path, files[MANIFEST])
        model = _parsed(path, files[MODEL])
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    metadata = PackageMetadata.from_strings(model.description.metadata.userDefined)
    if digests[WEIGHT_BIN] != metadata.weight_bin_sha256:
        raise PackageError(
            f"{path} is damaged: {WEIGHT_BIN} has sha256 {digests[WEIGHT_BIN]}, but its metadata says "
            f"{metadata.weight_bin_sha256}; make or get the package again"
        )
    _require_features(path, model, metadata)
    return Package(path, metadata, model, digests, size)


def tree_sha256(digests: Mapping[PurePosixPath, str]) -> str:
    """Digest of a folder: sha256 over a line ``<sha256>  <path>`` for each file in order of the paths."""
    lines = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests, key=str))
    return hashlib.sha256(lines.encode()).hexdigest()


def _items(path: Path) -> Iterator[Path]:
    for count, item in enumerate(sorted(path.rglob("*"))):
        if count >= MAX_FILES:
            raise PackageError(
                f"{path} holds more than {MAX_FILES} files and folders; it is no package of this project"
            )
        yield item


def _require_manifest(path: Path, file: Path) -> None:
    if file.stat().st_size > MAX_MODEL_BYTES:
        raise PackageError(f"{path} has a {MANIFEST} of {file.stat().st_size} bytes; it is no package of this project")
    try:
        table = json.loads(file.read_bytes())
        items = {item["path"] for item in table["itemInfoEntries"].values()}
        root = table["itemInfoEntries"][table["rootModelIdentifier"]]["path"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackageError(f"{path} has a malformed {MANIFEST} ({error}); make or get the package again") from error
    data = PurePosixPath("Data")
    if data / root != MODEL or items != {
        str(MODEL.relative_to(data)),
        str(WEIGHT_BIN.parent.relative_to(data)),
    }:
        raise PackageError(f"{path} has a {MANIFEST} that lists other items than its model and weights")


def _parsed(path: Path, file: Path) -> Model_pb2.Model:
    if file.stat().st_size > MAX_MODEL_BYTES:
        raise PackageError(
            f"{path} has a {MODEL} of {file.stat().st_size} bytes; more than {MAX_MODEL_BYTES} are refused"
        )
    try:
        model = Model_pb2.Model.FromString(file.read_bytes())
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
