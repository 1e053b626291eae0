"""A single flipped bit of an artefact of any kind is found, and what it belongs to is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from committed_goldens import REPOSITORY, SMALL_GOLDENS
from htdemucs_coreml.goldens.errors import GoldenError
from htdemucs_coreml.goldens.reading import open_goldens
from htdemucs_coreml.package.files import read_package_files
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.lock import compare_with_lock, read_lock, update_lock
from htdemucs_coreml.weights.safetensors_file import write_safetensors

Flip = Callable[[float, int], tuple[str, ...]]
"""Flips a bit, at a share of the file's length, and returns what the comparison with the lock says."""


def flipping(artefact: Path, file: Path, folder: Path) -> Flip:
    lock, contents = folder / "lock.json", folder / "contents.txt"
    lock.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {}}))
    update_lock(artefact, "an.artefact", lock, contents)
    entry = read_lock(lock).find("an.artefact")
    assert entry is not None
    content = file.read_bytes()

    def flip(place: float, bit: int) -> tuple[str, ...]:
        position = min(int(place * len(content)), len(content) - 1)
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        file.write_bytes(changed)
        verdict = compare_with_lock(artefact, entry, contents)
        assert not verdict.confirmed
        return verdict.differences

    return flip


places = st.floats(0, 1, exclude_max=True)
bits = st.integers(0, 7)


@pytest.mark.parametrize("file", [MODEL, WEIGHT_BIN, MANIFEST], ids=lambda file: file.name)
def test_of_a_package(small_package: Path, tmp_path: Path, file: PurePosixPath) -> None:
    package = tmp_path / "copy.mlpackage"
    shutil.copytree(small_package, package)
    flip = flipping(package, read_package_files(package)[file], tmp_path)

    # Each takes a tenth of a second: everything that the package holds is listed.
    @settings(max_examples=25)
    @given(places, bits)
    def check(place: float, bit: int) -> None:
        named, *rest = flip(place, bit)
        assert named.startswith(f"file {file}: ")
        assert rest

    check()


def test_of_weights(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    tensors = {name: np.arange(50, dtype=np.float32).reshape(5, 10) for name in ("first", "second", "third")}
    write_safetensors(weights, tensors, {"klass": "demucs.htdemucs.HTDemucs"})
    header = 8 + int.from_bytes(weights.read_bytes()[:8], "little")
    size = weights.stat().st_size
    flip = flipping(weights, weights, tmp_path)

    @given(places, bits)
    def check(place: float, bit: int) -> None:
        named, *rest = flip(place, bit)
        assert named.startswith("file .: ")
        position = int(place * size)
        if position >= header:
            tensor = sorted(tensors)[(position - header) // 200]
            assert [line.split(":")[0] for line in rest] == [f"tensor {tensor}"]

    check()


@pytest.mark.parametrize("system", ["aarch64-darwin", "aarch64-linux", "x86_64-linux"])
def test_of_a_wheel_lock(tmp_path: Path, system: str) -> None:
    locked = tmp_path / f"{system}.txt"
    shutil.copy(REPOSITORY / "nix" / "locks" / locked.name, locked)
    flip = flipping(locked, locked, tmp_path)
    size = locked.stat().st_size
    lines = locked.read_text().splitlines(keepends=True)

    @given(places, bits)
    def check(place: float, bit: int) -> None:
        named, *rest = flip(place, bit)
        assert named.startswith("file .: ")
        position = number = 0
        while (position := position + len(lines[number])) <= int(place * size):
            number += 1
        name = lines[number].partition("==")[0]
        said = "\n".join(rest)
        assert f"wheel {name}: " in said or f"line {number + 1} " in said or "UTF-8" in said

    check()


def test_of_an_index_of_goldens(tmp_path: Path) -> None:
    index = tmp_path / "manifest.json"
    shutil.copy(SMALL_GOLDENS / "manifest.json", index)
    flip = flipping(index, index, tmp_path)

    @given(places, bits)
    def check(place: float, bit: int) -> None:
        named, *rest = flip(place, bit)
        assert named.startswith("file .: ")
        assert rest

    check()


def test_of_a_golden(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(SMALL_GOLDENS, folder)
    entries = {name: entry for name, entry in open_goldens(folder).entries.items() if entry.dtype == "float32"}

    @given(st.sampled_from(sorted(entries)), places, bits)
    def check(name: str, place: float, bit: int) -> None:
        file = folder / entries[name].file
        content = file.read_bytes()
        changed = bytearray(content)
        changed[int(place * len(content))] ^= 1 << bit
        file.write_bytes(changed)
        with pytest.raises(GoldenError, match=entries[name].file):
            open_goldens(folder).load(name, np.float32)
        file.write_bytes(content)

    check()
