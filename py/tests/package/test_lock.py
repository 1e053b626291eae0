import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from coremltools.proto import Model_pb2

from htdemucs_coreml.package.canonical import sha256_bytes
from htdemucs_coreml.package.contents import list_contents
from htdemucs_coreml.package.layout import MODEL, WEIGHT_BIN
from htdemucs_coreml.package.lock import LockEntry, LockError, compare_with_lock, read_lock, update_lock
from htdemucs_coreml.package.reader import read_package

NAME = "mlpackages.fixture.float32"
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"version": 1, "artefacts": {"other": {"files": None, "reason": "no"}}}))
    return path


@pytest.fixture
def contents(tmp_path: Path) -> Path:
    return tmp_path / "contents" / f"{NAME}.txt"


@pytest.fixture
def package(small_package: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.mlpackage"
    shutil.copytree(small_package, copy)
    return copy


def change_model(package: Path, model: Model_pb2.Model) -> None:
    (package / MODEL).write_bytes(model.SerializeToString(deterministic=True))


def test_a_package_agrees_with_the_entry_made_from_it(package: Path, lock: Path, contents: Path) -> None:
    digest = update_lock(package, NAME, lock, contents)
    verdict = compare_with_lock(package, read_lock(lock)[NAME], contents)
    assert verdict.confirmed
    assert verdict.differences == ()
    assert verdict.sha256 == digest == read_package(package).digest


def test_updating_one_entry_keeps_the_others(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)
    assert read_lock(lock)["other"] == LockEntry(files=None, reason="no")


def test_a_changed_weight_is_named_by_its_constant(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)
    weights = bytearray((package / WEIGHT_BIN).read_bytes())
    value = read_package(package).model.mlProgram
    (function,) = value.functions.values()
    (block,) = function.block_specializations.values()
    changed = next(op for op in block.operations if op.outputs[0].name == "time_decoder_0__rewrite__conv__weight")
    offset = changed.attributes["val"].blobFileValue.offset
    start = int(np.frombuffer(weights, "<u8", 1, offset + 16)[0])
    weights[start + 3] ^= 1
    (package / WEIGHT_BIN).write_bytes(weights)
    model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
    model.description.metadata.userDefined["weight_bin_sha256"] = sha256_bytes(bytes(weights))
    change_model(package, model)

    differences = "\n".join(compare_with_lock(package, read_lock(lock)[NAME], contents).differences)
    assert "file Data/com.apple.CoreML/weights/weight.bin: expected sha256" in differences
    assert "constant time_decoder_0__rewrite__conv__weight: expected float32[" in differences
    assert "constant time_decoder_1" not in differences


def test_a_changed_operation_is_named(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)
    model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
    (function,) = model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    mode = next(op for op in block.operations if op.outputs[0].name == "time_encoder_0__gelu__mode")
    mode.attributes["val"].immediateValue.tensor.strings.values[0] = "TANH_APPROXIMATION"
    change_model(package, model)

    differences = compare_with_lock(package, read_lock(lock)[NAME], contents).differences
    assert [line for line in differences if line.startswith("operation time_encoder_0__gelu:")]


def test_an_entry_without_digests_is_unconfirmed_and_says_why(package: Path, lock: Path, contents: Path) -> None:
    verdict = compare_with_lock(package, read_lock(lock)["other"], contents)
    assert not verdict.confirmed
    assert verdict.differences == ()
    assert verdict.reason == "no"


def test_a_single_file_can_be_locked(lock: Path, contents: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"1")
    update_lock(file, "weights", lock, contents)
    assert compare_with_lock(file, read_lock(lock)["weights"], contents).confirmed
    file.write_bytes(b"2")
    assert not compare_with_lock(file, read_lock(lock)["weights"], contents).confirmed


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 2, "artefacts": {}}', '{"version": 1}'])
def test_a_malformed_lock_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    with pytest.raises(LockError, match="not a valid lock"):
        read_lock(tmp_path / "lock.json")


def test_the_committed_lock_lists_the_contents_of_every_confirmed_package() -> None:
    goldens = REPOSITORY / "goldens"
    for name, entry in read_lock(goldens / "lock.json").items():
        listed = (goldens / "contents" / f"{name}.txt").exists()
        assert listed == (name.startswith("mlpackages.") and entry.files is not None)


def test_a_listing_names_every_operation_once(package: Path) -> None:
    keys = [line.split(" ", 2)[:2] for line in list_contents(read_package(package))]
    assert len({tuple(key) for key in keys}) == len(keys)
