"""Listings of artefacts of every kind, in the form of `contents`: what an artefact holds, a line per item.

A folder is a package. Of single files, ``*.safetensors`` are weights (``tensor NAME TYPE DIGEST``), ``*.txt`` are wheel
locks (``wheel NAME VERSION ENVIRONMENT DIGEST``) and ``manifest.json`` is the index of a folder of goldens (``golden
NAME TYPE DIGEST``). Digests are as there: of a tensor's bytes, of a wheel's sha256 and file name, of all that the index
says of a golden, its file's sha256 included.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.goldens.manifest import MANIFEST_FILE, parse_manifest
from htdemucs_coreml.package.contents import list_contents, list_damaged_contents, short_digest
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.weights.safetensors_file import read_safetensors

MAX_TEXT_BYTES = 16 << 20
"""Far more than any wheel lock or index of goldens has."""

_WHEEL = re.compile(r"([^ =]+)==([^ ]+) --hash=sha256:([0-9a-f]{64}) # (runtime|development): ([^ ]+)")


class ListingError(HTDemucsCoreMLError):
    """A file is not what its name says, so that nobody can say what it holds."""


def list_artefact(path: Path) -> tuple[list[str], str | None]:
    """The listing of an artefact, and what is wrong with it where something is.

    Parameters
    ----------
    path : Path
        A package or a single file. What cannot be read at all has an empty listing, as a file of another kind has.
    """
    try:
        return _listed(path), None
    except HTDemucsCoreMLError as error:
        damage = str(error)
    try:
        return (list_damaged_contents(path) if path.is_dir() else []), damage
    except PackageError as error:
        return [], f"{damage}\n{error}" if str(error) != damage else damage


def _listed(path: Path) -> list[str]:
    if path.is_dir():
        return list_contents(read_package(path))
    if path.name.endswith(MANIFEST_FILE):
        return list(_goldens(path))
    match path.suffix:
        case ".safetensors":
            return list(_tensors(path))
        case ".txt":
            return list(_wheels(path))
    return []


def _tensors(path: Path) -> Iterator[str]:
    file = read_safetensors(path)
    for key, value in sorted(file.metadata.items()):
        yield f"metadata {key} {short_digest(value.encode())}"
    for name, tensor in sorted(file.tensors.items()):
        shape = "x".join(map(str, tensor.shape))
        yield f"tensor {name} {tensor.dtype.name}[{shape}] {short_digest(tensor.tobytes())}"


def _wheels(path: Path) -> Iterator[str]:
    # Other characters that end a line for str.splitlines have no place in a lock.
    for number, line in enumerate(_text(path).removesuffix("\n").split("\n"), 1):
        fields = _WHEEL.fullmatch(line)
        if fields is None:
            raise ListingError(f"{path} has a line {number} that `just relock-wheels` does not write; run it again")
        name, version, sha256, environment, file = fields.groups()
        yield f"wheel {name} {version} {environment} {short_digest(f'{sha256} {file}'.encode())}"


def _goldens(path: Path) -> Iterator[str]:
    text = _text(path)
    entries = parse_manifest(text.encode())
    for name, fields in sorted(json.loads(text)["goldens"].items()):
        shape = "x".join(map(str, entries[name].shape))
        said = json.dumps(fields, sort_keys=True)
        yield f"golden {name} {entries[name].dtype}[{shape}] {short_digest(said.encode())}"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
        if len(content) > MAX_TEXT_BYTES:
            raise ListingError(f"{path} is larger than {MAX_TEXT_BYTES} bytes; it is no lock and no index")
        return content.decode()
    except OSError as error:
        raise ListingError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ListingError(f"{path} is not UTF-8 text ({error}); get it again from where it came") from error
