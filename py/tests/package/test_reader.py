import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.package.files import MAX_BYTES
from htdemucs_coreml.package.layout import FILES, MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata
from htdemucs_coreml.package.reader import read_package
from package_edits import edit_model


@pytest.fixture
def package(small_package: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.mlpackage"
    shutil.copytree(small_package, copy)
    return copy


def remove(relative: object) -> Callable[[Path], object]:
    return lambda package: (package / str(relative)).unlink()


def replace(relative: object, content: bytes) -> Callable[[Path], object]:
    return lambda package: (package / str(relative)).write_bytes(content)


def truncate(relative: object) -> Callable[[Path], object]:
    def cut(package: Path) -> None:
        file = package / str(relative)
        file.write_bytes(file.read_bytes()[:-7])

    return cut


def grow(file: PurePosixPath) -> Callable[[Path], object]:
    """One byte beyond what is read; the file is sparse and takes no room."""
    return lambda package: os.truncate(package / file, MAX_BYTES[file] + 1)


def link(package: Path) -> None:
    file = package / WEIGHT_BIN
    moved = package.parent / "weight.bin"
    file.rename(moved)
    file.symlink_to(moved)


@pytest.mark.parametrize(
    ("message", "damage"),
    [
        ("lacks Manifest.json", remove(MANIFEST)),
        ("lacks Data/com.apple.CoreML/model.mlmodel", remove(MODEL)),
        ("lacks Data/com.apple.CoreML/weights/weight.bin", remove(WEIGHT_BIN)),
        ("another Manifest.json", replace(MANIFEST, b"{")),
        ("another Manifest.json", truncate(MANIFEST)),
        ("another Manifest.json", lambda package: (package / MANIFEST).open("a").write(" ")),
        ("damaged Data/com.apple.CoreML/model.mlmodel", truncate(MODEL)),
        ("holds no ML program", replace(MODEL, b"")),
        ("weight.bin has sha256", truncate(WEIGHT_BIN)),
        ("no plain file", link),
        ("holds extra.txt, which is no part", lambda package: (package / "extra.txt").touch()),
        ("holds extra, which is no part", lambda package: (package / "extra" / "deep").mkdir(parents=True)),
        ("does not exist", shutil.rmtree),
        ("Manifest.json of 65537 bytes; more than 65536 are refused", grow(MANIFEST)),
        ("model.mlmodel of 268435457 bytes; more than 268435456 are refused", grow(MODEL)),
        ("weight.bin of 4294967297 bytes; more than 4294967296 are refused", grow(WEIGHT_BIN)),
    ],
)
def test_damage_is_named_in_one_sentence(package: Path, message: str, damage: Callable[[Path], object]) -> None:
    damage(package)
    with pytest.raises(PackageError, match=message) as error:
        read_package(package)
    assert "\n" not in str(error.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_refused(package: Path, data: st.DataObject) -> None:
    read_package(package)
    file = package / data.draw(st.sampled_from(FILES))
    original = file.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(original) - 1))
    changed = bytearray(original)
    changed[bit // 8] ^= 1 << bit % 8
    file.write_bytes(changed)
    try:
        with pytest.raises(PackageError):
            read_package(package)
    finally:
        file.write_bytes(original)


def test_no_bit_of_the_metadata_can_be_flipped(package: Path) -> None:
    """Names of stems and digests stand there: what a host shows and believes."""
    file = package / MODEL
    original = file.read_bytes()
    start = original.index(b"model_sha256") - 200
    for position in range(start, start + 400):
        changed = bytearray(original)
        changed[position] ^= 1 << position % 8
        file.write_bytes(changed)
        with pytest.raises(PackageError):
            read_package(package)


def test_a_package_that_tells_nothing_of_itself_is_named_so(package: Path) -> None:
    edit_model(package, lambda model: model.description.metadata.userDefined.clear())
    with pytest.raises(PackageError, match=r"copy\.mlpackage: the package's metadata lacks 'sources'"):
        read_package(package)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sources", "drums"),
        ("sources", "[]"),
        ("sources", "[1]"),
        ("sources", '["drums", "drums"]'),
        ("sources", '["../../drums"]'),
        ("sources", '["drums\\u001b[2J"]'),
        ("segment_samples", "ten seconds"),
        ("segment_samples", "100"),
        ("segment_samples", "2646001"),
        ("sources", json.dumps([f"stem{number}" for number in range(65)])),
        ("n_fft", "2048"),
        ("hop_length", "512"),
        ("sample_rate", "48000"),
        ("sample_rate", "44_100"),
        ("hop_length", " 1024"),
        ("segment_samples", "9" * 10),
        ("weights_sha256", "0" * 63),
        ("weight_bin_sha256", "G" * 64),
        # A reader that looks for it finds it everywhere, and takes 65 times the model's memory.
        ("model_sha256", ""),
    ],
)
def test_metadata_that_no_host_could_use_is_refused(small_package: Path, key: str, value: str) -> None:
    strings = read_package(small_package).metadata.to_strings()
    with pytest.raises(PackageError):
        PackageMetadata.from_strings({**strings, key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("segment_samples", "2646000"), ("sources", json.dumps([f"stem{number}" for number in range(64)]))],
)
def test_the_largest_metadata_are_read(small_package: Path, key: str, value: str) -> None:
    strings = read_package(small_package).metadata.to_strings()
    assert PackageMetadata.from_strings({**strings, key: value}).to_strings()[key] == value


def test_a_compiled_model_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "x.mlmodelc").mkdir()
    with pytest.raises(PackageError, match="is a compiled model, whose bytes cannot be checked"):
        read_package(tmp_path / "x.mlmodelc")


def test_missing_metadata_is_named(small_package: Path) -> None:
    strings = read_package(small_package).metadata.to_strings()
    del strings["weights_sha256"]
    with pytest.raises(PackageError, match="lacks 'weights_sha256'"):
        PackageMetadata.from_strings(strings)


def test_metadata_survives_its_strings(small_package: Path) -> None:
    metadata = read_package(small_package).metadata
    assert PackageMetadata.from_strings(metadata.to_strings()) == metadata
