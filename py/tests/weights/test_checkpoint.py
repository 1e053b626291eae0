import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.hf import load_safetensors_model
from numpy.typing import NDArray

from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.models.registry import PublishedFile, find_model
from htdemucs_coreml.weights.checkpoint import canonical_sha256, load_checkpoint
from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.fixture import fixture_tensors, write_fixture_weights
from htdemucs_coreml.weights.safetensors_file import read_safetensors, write_safetensors
from htdemucs_coreml.weights.source import load_weights
from small_model import SMALL_ENTRY

Tensors = dict[str, NDArray[Any]]
Change = Callable[[Tensors, dict[str, str]], None]


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    write_fixture_weights(path, SMALL_ENTRY)
    return path


def rewritten(path: Path, change: Change) -> Path:
    file = read_safetensors(path)
    tensors, metadata = dict(file.tensors), dict(file.metadata)
    change(tensors, metadata)
    changed = path.with_name("changed.safetensors")
    write_safetensors(changed, tensors, metadata)
    return changed


def set_argument(name: str, value: object) -> Change:
    def change(_: Tensors, metadata: dict[str, str]) -> None:
        metadata["kwargs"] = json.dumps({**json.loads(metadata["kwargs"]), name: value})

    return change


def set_metadata(name: str, value: str) -> Change:
    return lambda _, metadata: metadata.update({name: value})


def set_tensor(name: str, tensor: NDArray[Any]) -> Change:
    return lambda tensors, _: tensors.update({name: tensor})


def test_upstreams_own_reader_loads_the_same_weights(weights_file: Path) -> None:
    upstream = load_safetensors_model(weights_file).state_dict()
    ours = load_checkpoint(weights_file, SMALL_ENTRY)
    assert upstream.keys() == ours.tensors.keys()
    assert all(torch.equal(upstream[name], tensor) for name, tensor in ours.tensors.items())
    assert ours.sources == SMALL_ENTRY.sources


def test_weights_from_a_file_and_from_arithmetic_have_the_same_digest(tmp_path: Path) -> None:
    entry = find_model("fixture")
    write_fixture_weights(tmp_path / "f.safetensors", entry)
    assert load_weights(entry, tmp_path / "f.safetensors").sha256 == load_weights(entry, None).sha256


def test_the_digest_does_not_depend_on_byte_order_or_order_of_names() -> None:
    tensors = {"b": np.array([1.5, 2], ">f4"), "a": np.array([[3]], "<f4")}
    native = {name: tensor.astype(np.float32) for name, tensor in sorted(tensors.items())}
    assert canonical_sha256(tensors) == canonical_sha256(native)


@pytest.mark.parametrize("change", [{"a": [[1.0, 2.0]]}, {"b": [1.0, 2.0]}, {"a": [1.0, 2.0, 0.0]}, {"a": [1.0, -2.0]}])
def test_the_digest_depends_on_names_shapes_and_values(change: dict[str, Any]) -> None:
    before = canonical_sha256({"a": np.array([1, 2], np.float32)})
    assert canonical_sha256({name: np.array(value, np.float32) for name, value in change.items()}) != before


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("names the class 'os.system'", set_metadata("klass", "os.system")),
        ("names the class None", lambda _, metadata: metadata.pop("klass")),
        ("nested state", set_metadata("structure", "{}")),
        ("not valid JSON", set_metadata("kwargs", "{")),
        ("not valid JSON", set_metadata("kwargs", '{"segment": {"_type": "fraction", "numerator": 1}}')),
        ("gives no arguments", set_metadata("kwargs", "[]")),
        ("gives no arguments", set_metadata("args", "[1, 2]")),
        ("its channels is 48, not 8", set_argument("channels", 48)),
        ("its multi_freqs is", set_argument("multi_freqs", [0.5])),
        ("its t_sparse_self_attn is True", set_argument("t_sparse_self_attn", True)),
        ("its sources is", set_argument("sources", ["drums", "bass", "vocals", "other", "guitar", "piano"])),
        ("no argument `sources`", set_metadata("kwargs", "{}")),
        ("lacks encoder.0.conv.bias", lambda tensors, _: tensors.pop("encoder.0.conv.bias")),
        ("unknown tensor extra", set_tensor("extra", np.zeros(1, np.float16))),
        ("encoder.0.conv.bias has shape", set_tensor("encoder.0.conv.bias", np.zeros((8, 1), np.float16))),
        ("not finite", set_tensor("encoder.0.conv.bias", np.full(8, np.nan, np.float16))),
        ("not finite", set_tensor("encoder.0.conv.bias", np.full(8, np.inf, np.float32))),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(weights_file: Path, message: str, change: Change) -> None:
    with pytest.raises(WeightsError, match=message):
        load_checkpoint(rewritten(weights_file, change), SMALL_ENTRY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # As the published files have them; demucs 4.1.0's defaults are 0, None and 500.
        ("t_dropout", 0.02),
        ("multi_freqs", []),
        ("t_sparse_attn_window", 400),
        ("rescale", 0.5),
        ("an_argument_of_old_versions", 1),
    ],
)
def test_arguments_that_do_not_change_the_computation_may_differ(weights_file: Path, name: str, value: object) -> None:
    load_checkpoint(rewritten(weights_file, set_argument(name, value)), SMALL_ENTRY)


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.marker,)


def test_a_pickle_is_refused_and_its_code_never_runs(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "model.th"
    path.write_bytes(pickle.dumps({"klass": RunsCode(marker)}))
    with pytest.raises(WeightsError, match="is a pickle"):
        load_checkpoint(path, SMALL_ENTRY)
    assert not marker.exists()


def pinned(path: Path) -> PublishedFile:
    return PublishedFile(path.name, f"https://host/{path.name}", path.stat().st_size, sha256_file(path))


def with_a_flipped_bit(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    changed = path.with_name("changed.safetensors")
    changed.write_bytes(content)
    return changed


def test_published_weights_have_to_be_a_published_file(weights_file: Path) -> None:
    other = PublishedFile("first", "https://host/first", 1, "0" * 64)
    entry = replace(SMALL_ENTRY, weights=(other, pinned(weights_file)))
    load_checkpoint(weights_file, entry)
    with pytest.raises(WeightsError, match=r"but the published weights of fixture have 0{64} or "):
        load_checkpoint(with_a_flipped_bit(weights_file), entry)


def test_a_given_sha256_takes_the_place_of_the_registrys(weights_file: Path) -> None:
    own = with_a_flipped_bit(weights_file)
    entry = replace(SMALL_ENTRY, weights=(pinned(weights_file),))
    assert load_checkpoint(own, entry, sha256_file(own)).sha256 != load_checkpoint(weights_file, entry).sha256
    with pytest.raises(WeightsError, match="as it should"):
        load_checkpoint(weights_file, entry, sha256_file(own))
    with pytest.raises(WeightsError, match="as it should"):
        load_checkpoint(weights_file, SMALL_ENTRY, sha256_file(own))


def test_a_file_that_is_not_pinned_needs_a_given_sha256(weights_file: Path) -> None:
    published = PublishedFile("f", "https://host/f", open="nobody has confirmed it")
    entry = replace(SMALL_ENTRY, weights=(published,))
    with pytest.raises(WeightsError, match=r"none is pinned; f is not pinned, nobody has confirmed it; .* --sha256"):
        load_checkpoint(weights_file, entry)
    load_checkpoint(weights_file, entry, sha256_file(weights_file))


def test_a_header_whose_length_begins_like_a_pickle_is_none(weights_file: Path) -> None:
    length = int.from_bytes(weights_file.read_bytes()[:8], "little")
    padded = rewritten(weights_file, set_metadata("padding", "x" * ((0x80 - length) % 256 - len('"padding":"",'))))
    assert padded.read_bytes()[0] == 0x80
    load_checkpoint(padded, SMALL_ENTRY)


def test_published_weights_are_never_replaced_by_generated_ones() -> None:
    with pytest.raises(
        WeightsError,
        match=r"needs its published weights: run `htdemucs-coreml fetch htdemucs_6s` .* https://.*5c90dfd2\.safetensors",
    ):
        load_weights(find_model("htdemucs_6s"), None)


def test_other_weights_do_not_pass_for_the_fixtures(tmp_path: Path) -> None:
    entry = find_model("fixture")
    tensors = dict(fixture_tensors(entry))
    tensors["encoder.0.conv.bias"] = tensors["encoder.0.conv.bias"][::-1].copy()
    write_fixture_weights(tmp_path / "sound.safetensors", entry)
    changed = tmp_path / "changed.safetensors"
    write_safetensors(changed, tensors, read_safetensors(tmp_path / "sound.safetensors").metadata)
    with pytest.raises(WeightsError, match="holds other weights than fixture"):
        load_checkpoint(changed, entry)


def test_fixture_weights_are_not_taken_for_published_ones(weights_file: Path) -> None:
    with pytest.raises(WeightsError, match="but the published weights of htdemucs_6s have"):
        load_checkpoint(weights_file, find_model("htdemucs_6s"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        load_checkpoint(tmp_path / "nowhere.safetensors", SMALL_ENTRY)


def test_fractions_survive_the_metadata(weights_file: Path) -> None:
    kwargs = json.loads(read_safetensors(weights_file).metadata["kwargs"])
    assert kwargs["segment"] == {"_type": "fraction", "numerator": 39, "denominator": 5}
    assert SMALL_ENTRY.architecture["segment"] == Fraction(39, 5)


def test_every_tensor_of_the_file_is_float16(weights_file: Path) -> None:
    tensors = read_safetensors(weights_file).tensors
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype("<f2")}
    assert tensors.keys() == fixture_tensors(SMALL_ENTRY).keys()
