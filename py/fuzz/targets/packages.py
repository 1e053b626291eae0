"""Packages of this project, and the lock."""

import json
from random import Random
from typing import Any

from coremltools.proto import Model_pb2
from google.protobuf.message import DecodeError

from fuzz.json_mutation import mutate_json
from fuzz.parts import mutation, split
from fuzz.protobuf_mutation import mutation_of
from fuzz.scratch import folder, written
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.package.contents import differences, list_contents
from htdemucs_coreml.package.digests import UNSIGNED, sha256_bytes
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN, manifest
from htdemucs_coreml.package.lock import LockError, compare_with_lock, digest_artefact, read_lock
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata
from htdemucs_coreml.package.reader import read_package

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
    """A model and a weight file, as they are and with right digests."""
    model, weights = split(data)
    signed = _signed(model, weights)
    for serialised in (signed, model) if signed is not None else (model,):
        _package(serialised, weights)


def _package(model: bytes, weights: bytes) -> None:
    path = folder() / "own.mlpackage"
    for file, content in ((MANIFEST, manifest()), (MODEL, model), (WEIGHT_BIN, weights)):
        written(f"own.mlpackage/{file}", content)
    read = read_package(path)
    listing = list_contents(read)
    assert not list(differences(listing, listing))
    assert all(line.isprintable() for line in listing)


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
    entries = read_lock(path)
    artefact, contents = written("artefact", b"artefact"), written("contents.txt", b"")
    fields: dict[str, Any] = {}
    for name, entry in entries.items():
        verdict = compare_with_lock(artefact, entry, contents)
        assert verdict.confirmed == (entry.files == digest_artefact(artefact))
        fields[name] = (
            {"files": None, "reason": entry.reason}
            if entry.files is None
            else {"files": {str(file): digest for file, digest in entry.files.items()}}
        )
    path.write_text(json.dumps({"version": 1, "artefacts": fields}), encoding="utf-8")
    assert read_lock(path) == entries


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


_MUTATE_PACKAGE = mutation(mutation_of(Model_pb2.Model), lambda d, m, _, mutate: mutate(d, m), of_first=0.9)

TARGETS = (
    Target("package_metadata", metadata, (PackageError,), weight=8, mutate=mutate_json),
    Target("package", package, (PackageError,), weight=8, mutate=_MUTATE_PACKAGE),
    Target("lock", lock, (LockError,), weight=8, mutate=mutate_json),
    Target("contents", listing, (), weight=6, mutate=mutation(_mutate_lines, _mutate_lines, of_first=0.5)),
)
