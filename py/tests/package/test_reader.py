import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.package.layout import FILES, MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError, PackageMetadata
from htdemucs_coreml.package.reader import read_package


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
        ("malformed Manifest.json", replace(MANIFEST, b"{")),
        ("malformed Manifest.json", replace(MANIFEST, b"[]")),
        ("malformed Manifest.json", replace(MANIFEST, b'{"itemInfoEntries": {}, "rootModelIdentifier": "a"}')),
        ("damaged Data/com.apple.CoreML/model.mlmodel", truncate(MODEL)),
        ("holds no ML program", replace(MODEL, b"")),
        ("weight.bin has sha256", truncate(WEIGHT_BIN)),
        ("no plain file", link),
        ("more than 16 files", lambda package: [(package / f"{index}").touch() for index in range(20)]),
        ("does not exist", shutil.rmtree),
    ],
)
def test_damage_is_named_in_one_sentence(package: Path, message: str, damage: Callable[[Path], object]) -> None:
    damage(package)
    with pytest.raises(PackageError, match=message) as error:
        read_package(package)
    assert "\n" not in str(error.value)


def test_a_manifest_that_points_elsewhere_is_refused(package: Path) -> None:
    manifest = (package / MANIFEST).read_text(encoding="utf-8")
    (package / MANIFEST).write_text(manifest.replace("com.apple.CoreML/weights", "../../weights"), encoding="utf-8")
    with pytest.raises(PackageError, match="lists other items"):
        read_package(package)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_noticed_or_changes_the_digest(package: Path, data: st.DataObject) -> None:
    expected = read_package(package).digest
    file = package / data.draw(st.sampled_from(FILES))
    content = bytearray(file.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    original = file.read_bytes()
    file.write_bytes(content)
    try:
        changed = read_package(package).digest
    except PackageError:
        changed = "refused"
    finally:
        file.write_bytes(original)
    assert changed != expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sources", "drums"),
        ("sources", "[]"),
        ("sources", "[1]"),
        ("segment_samples", "ten seconds"),
        ("segment_samples", "100"),
        ("n_fft", "2048"),
        ("hop_length", "512"),
        ("sample_rate", "48000"),
    ],
)
def test_metadata_that_no_host_could_use_is_refused(small_package: Path, key: str, value: str) -> None:
    strings = read_package(small_package).metadata.to_strings()
    with pytest.raises(PackageError):
        PackageMetadata.from_strings({**strings, key: value})


def test_missing_metadata_is_named(small_package: Path) -> None:
    strings = read_package(small_package).metadata.to_strings()
    del strings["weights_sha256"]
    with pytest.raises(PackageError, match="lacks 'weights_sha256'"):
        PackageMetadata.from_strings(strings)


def test_metadata_survives_its_strings(small_package: Path) -> None:
    metadata = read_package(small_package).metadata
    assert PackageMetadata.from_strings(metadata.to_strings()) == metadata
