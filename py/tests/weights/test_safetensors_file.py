import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.safetensors_file import (
    MAX_HEADER_BYTES,
    read_safetensors,
    write_safetensors,
)

Tensors = dict[str, NDArray[Any]]

tensors = st.dictionaries(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=12),
    stnp.arrays(st.sampled_from([np.float16, np.float32]), stnp.array_shapes(min_dims=0, max_side=5)),
    max_size=5,
)
metadata = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3)


def raw_file(header: object, body: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + body


def described(shape: list[int], start: int, stop: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def assert_same(actual: Any, expected: Tensors) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype
        np.testing.assert_array_equal(actual[name], tensor)


@given(tensors, metadata)
def test_what_is_written_is_read_back_by_us_and_by_the_reference_library(
    tmp_path_factory: pytest.TempPathFactory, tensors: Tensors, metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("written") / "w.safetensors"
    write_safetensors(path, tensors, metadata)
    read = read_safetensors(path)
    assert_same(read.tensors, tensors)
    assert dict(read.metadata) == metadata
    with safe_open(str(path), framework="np") as file:
        names = file.keys()
        assert_same({name: file.get_tensor(name) for name in names}, tensors)


@given(tensors)
def test_what_the_reference_library_writes_is_read(tmp_path_factory: pytest.TempPathFactory, tensors: Tensors) -> None:
    path = tmp_path_factory.mktemp("reference") / "w.safetensors"
    save_file(tensors, path, {"key": "value"})
    read = read_safetensors(path)
    assert_same(read.tensors, tensors)
    assert dict(read.metadata) == {"key": "value"}


@given(tensors, metadata)
def test_the_bytes_depend_on_the_contents_alone(
    tmp_path_factory: pytest.TempPathFactory, tensors: Tensors, metadata: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("twice")
    write_safetensors(folder / "a", tensors, metadata)
    write_safetensors(folder / "b", dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


@given(tensors, st.data())
def test_a_damaged_file_is_read_or_refused_but_never_another_error(
    tmp_path_factory: pytest.TempPathFactory, tensors: Tensors, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "w.safetensors"
    write_safetensors(path, tensors, {"a": "b"})
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[position:]
    path.write_bytes(content)
    with suppress(WeightsError):
        read_safetensors(path)


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("header's length", b""),
        ("header's length", b"\x01\0\0"),
        ("header's length", (1 << 40).to_bytes(8, "little") + b"{}"),
        ("header's length", (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * (MAX_HEADER_BYTES + 1)),
        ("not valid JSON", raw_file(b"{")),
        ("not valid JSON", raw_file(b"[" * 100_000)),
        ("not valid JSON", raw_file("{}".encode("utf-16-le"))),
        ("not a table", raw_file([1])),
        ("occurs twice", raw_file(b'{"a":1,"a":2}')),
        ("not a table of strings", raw_file({"__metadata__": {"a": 1}})),
        ("no valid description", raw_file({"a": 1})),
        ("no valid description", raw_file({"a": described([-1], 0, 4)})),
        ("no valid description", raw_file({"a": described([True], 0, 4)}, bytes(4))),
        ("no valid description", raw_file({"a": described([1], 4, 0)}, bytes(4))),
        ("no valid description", raw_file({"a": described([0, 1 << 30, 1 << 30], 0, 0)})),
        ("no valid description", raw_file({"a": described([1] * 70, 0, 4)}, bytes(4))),
        ("no valid description", raw_file({"a": {**described([1], 0, 4), "data_offsets": [False, 4]}}, bytes(4))),
        ("is I64", raw_file({"a": described([1], 0, 8, "I64")}, bytes(8))),
        ("does not fit", raw_file({"a": described([2], 0, 4)}, bytes(4))),
        ("does not fit", raw_file({"a": described([1], 0, 4)}, bytes(2))),
        ("does not fit", raw_file({"a": described([1], 0, 4), "b": described([1], 0, 4)}, bytes(4))),
        ("does not fit", raw_file({"a": described([1], 0, 4), "b": described([1], 8, 12)}, bytes(12))),
        ("belong to no tensor", raw_file({"a": described([1], 0, 4)}, bytes(5))),
        ("belong to no tensor", raw_file({}, bytes(1))),
    ],
)
def test_departures_from_the_format_are_named(tmp_path: Path, reason: str, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        read_safetensors(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors cannot be read"):
        read_safetensors(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("path", [Path("/dev/null"), Path("/")])
def test_what_is_no_plain_file_is_not_read(path: Path) -> None:
    with pytest.raises(WeightsError, match="no plain file"):
        read_safetensors(path)


def test_other_types_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="int64"):
        write_safetensors(tmp_path / "w", {"a": np.zeros(1, np.int64)}, {})
    assert not list(tmp_path.iterdir())
