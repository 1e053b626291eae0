"""Packages of this project, and the lock."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from coremltools.proto import Model_pb2
from google.protobuf.message import DecodeError

from fuzz.json_mutation import mutate_json
from fuzz.parts import mutation, split
from fuzz.scratch import folder, written
from fuzz.target import MutateBytes, Target
from fuzz.targets.mil_packages import MUTATE_PACKAGE
from htdemucs_coreml.package.canonical import write_package
from htdemucs_coreml.package.canonicalisation import canonicalise
from htdemucs_coreml.package.contents import differences, list_contents
from htdemucs_coreml.package.digests import UNSIGNED, sha256_bytes
from htdemucs_coreml.package.files import package_files
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN, manifest
from htdemucs_coreml.package.lock import LockError, compare_with_lock, digest_artefact, read_lock
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.package.weight_file import WeightFile

_MAXIMUM_LINES = 64


def metadata(data: bytes) -> None:
    """The strings of a package, a JSON table; what is read and written again reads as the same."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(table, dict):
        return
    read = PackageMetadata.from_strings({key: value for key, value in table.items() if isinstance(value, str)})
    assert PackageMetadata.from_strings(read.to_strings()) == read
    assert read.contract.input_shapes["waveform"] == (1, 2, read.segment_samples)
    # Every number and digest has one form.
    assert {**table, **read.to_strings(), "sources": table["sources"]} == table


def package(data: bytes) -> None:
    """A model and a weight file, as they are and with right digests; a package that is read is written as the same."""
    model, weights = split(data)
    signed = _signed(model, weights)
    for serialised in (signed, model) if signed is not None else (model,):
        _package(serialised, weights)


def canonical_form(data: bytes) -> None:
    """Any program's package; the canonical form of its canonical form is the same."""
    source = _written("source.mlpackage", *split(data))
    first, second = folder() / "first.mlpackage", folder() / "second.mlpackage"
    canonicalise(source, first)
    canonicalise(first, second)
    assert _bytes(first) == _bytes(second)


def _bytes(path: Path) -> dict[str, bytes]:
    return {str(relative): file.read_bytes() for relative, file in package_files(path).items()}


def _written(name: str, model: bytes, weights: bytes) -> Path:
    for file, content in ((MANIFEST, manifest()), (MODEL, model), (WEIGHT_BIN, weights)):
        written(f"{name}/{file}", content)
    return folder() / name


def _package(model: bytes, weights: bytes) -> None:
    read = read_package(_written("own.mlpackage", model, weights))
    listing = list_contents(read)
    assert not list(differences(listing, listing))
    assert all(line.isprintable() for line in listing)
    if read.model.SerializeToString(deterministic=True) == model:
        again = folder() / "again.mlpackage"
        write_package(again, read.model, _StoredWeights(weights))
        assert read_package(again).digest == read.digest


class _StoredWeights(WeightFile):
    """A weight file of any content."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = content

    @property
    def is_empty(self) -> bool:
        return False

    def chunks(self) -> Iterator[bytes | memoryview]:
        yield self._content


def _signed(serialised: bytes, weights: bytes) -> bytes | None:
    """The model with right digests, as somebody with bad intent would give it; None where it is no model."""
    try:
        model = Model_pb2.Model.FromString(serialised)
    except (DecodeError, UnicodeDecodeError):
        return None
    strings = model.description.metadata.userDefined
    strings["weight_bin_sha256"] = sha256_bytes(weights)
    strings["model_sha256"] = UNSIGNED
    strings["model_sha256"] = sha256_bytes(model.SerializeToString(deterministic=True))
    signed: bytes = model.SerializeToString(deterministic=True)
    return signed


def lock(data: bytes) -> None:
    """A lock; its entries are compared with a file, and written again they read as the same."""
    path = written("lock.json", data)
    read = read_lock(path)
    artefact, contents = written("artefact", b"artefact"), written("contents.txt", b"")
    fields: dict[str, Any] = {}
    for name, entry in read.artefacts.items():
        verdict = compare_with_lock(artefact, entry, contents)
        assert verdict.confirmed == (entry.files == digest_artefact(artefact))
        assert entry.files is not None
        fields[name] = {"files": {str(file): digest for file, digest in entry.files.items()}}
    for name, reason in read.unconfirmed.items():
        assert (found := read.find(name)) is not None
        assert found.reason == (None if name in fields else reason)
    table = {"version": 2, "artefacts": fields, "unconfirmed": dict(read.unconfirmed)}
    path.write_text(json.dumps(table), encoding="utf-8")
    assert read_lock(path) == read


def listing(data: bytes) -> None:
    """Two listings of contents: what differs is said of those that differ, and not of others."""
    before, after = (part.decode("utf-8", "replace").splitlines()[:_MAXIMUM_LINES] for part in split(data))
    found = list(differences(before, after))
    assert not list(differences(before, before))
    if sorted(set(before)) != sorted(set(after)) and len(set(before)) == len(before) and len(set(after)) == len(after):
        assert found or _ambiguous(before) or _ambiguous(after)


def _ambiguous(lines: list[str]) -> bool:
    keys = [line.split(" ", 2)[:2] for line in lines]
    return len({tuple(key) for key in keys}) != len(keys)


def _mutate_lines(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    lines = data.split(b"\n")
    index = random.randrange(len(lines))
    choice = random.randrange(4)
    if choice == 0:
        del lines[index]
    elif choice == 1:
        lines.insert(index, random.choice(lines))
    else:
        lines[index] = mutate_bytes(lines[index] or b" ", len(lines[index]) + 16)
    return b"\n".join(lines)[:maximum]


TARGETS = (
    Target("package_metadata", metadata, (PackageError,), weight=8, mutate=mutate_json),
    Target("package", package, (PackageError,), weight=3, mutate=MUTATE_PACKAGE),
    Target("canonical_form", canonical_form, (PackageError,), weight=3, mutate=MUTATE_PACKAGE),
    Target("lock", lock, (LockError,), weight=8, mutate=mutate_json),
    Target("contents", listing, (), weight=6, mutate=mutation(_mutate_lines, _mutate_lines, of_first=0.5)),
)
