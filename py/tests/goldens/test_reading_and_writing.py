"""What is written is read back; whatever the manifest does not vouch for is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from htdemucs_coreml.goldens.errors import (
    GoldenDigestError,
    GoldenError,
    GoldenManifestError,
    GoldenNameError,
    GoldenPathError,
    GoldenShapeError,
    GoldenSizeError,
    GoldenTypeError,
    GoldenValueError,
)
from htdemucs_coreml.goldens.manifest import AxisSlice, format_manifest, parse_manifest
from htdemucs_coreml.goldens.reading import open_goldens
from htdemucs_coreml.goldens.writing import GoldenWriter, new_goldens

NAME = "stft/ramp/input"
FILE = "stft/ramp/input.f32"
VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)

names = st.from_regex(r"[a-z][a-z0-9_]{0,5}(/[a-z][a-z0-9_]{0,5}){0,2}", fullmatch=True)
values = st.sampled_from(["float32", "float64", "int64"]).flatmap(
    lambda dtype: arrays.arrays(
        dtype,
        arrays.array_shapes(min_dims=1, max_dims=3, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False} if dtype != "int64" else None,
    )
)


def add(writer: GoldenWriter, name: str, array: NDArray[Any], **options: Any) -> None:
    axes = [f"axis{number}" for number in range(array.ndim)]
    writer.add(name, array, axes=axes, scale="none", generator="py/tests/goldens", **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two goldens, the second computed from the first."""
    path = tmp_path / "goldens"
    with new_goldens(path) as writer:
        add(writer, NAME, VALUES)
        add(writer, "stft/ramp/sums", VALUES.sum(axis=1).astype(np.int64), inputs=[NAME])
    return path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest's fields of the first golden."""
    path = folder / "manifest.json"
    table = json.loads(path.read_text())
    change(table["goldens"][NAME])
    path.write_text(json.dumps(table))


@given(st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, goldens: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("written") / "goldens"
    with new_goldens(path) as writer:
        for name, array in goldens.items():
            add(writer, name, array)
    folder = open_goldens(path)
    folder.check()
    assert set(folder.entries) == set(goldens)
    for name, array in goldens.items():
        read = folder.load(name, array.dtype.type, array.shape)
        assert read.dtype == array.dtype
        assert read.tobytes() == array.tobytes()
        assert not read.flags.writeable


@given(st.permutations(["a", "b", "c/d"]))
def test_the_manifest_does_not_depend_on_the_order_of_writing(
    tmp_path_factory: pytest.TempPathFactory, order: list[str]
) -> None:
    path = tmp_path_factory.mktemp("order") / "goldens"
    with new_goldens(path) as writer:
        for name in order:
            add(writer, name, np.full(3, ord(name[0])))
    content = (path / "manifest.json").read_bytes()
    assert content == format_manifest(parse_manifest(content))
    assert list(json.loads(content)["goldens"]) == sorted(order)


def test_a_failed_writer_leaves_the_old_folder(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(GoldenValueError, match="not finite"), new_goldens(folder) as writer:
        add(writer, "other", np.array([np.nan]))
    assert (folder / "manifest.json").read_bytes() == before
    open_goldens(folder).check()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_writer_refuses_what_is_not_finite(tmp_path: Path, value: float) -> None:
    with pytest.raises(GoldenValueError, match="not finite"):
        add(GoldenWriter(tmp_path), "a", np.array([1, value]))


def test_a_writer_refuses_other_types_names_twice_and_unknown_inputs(tmp_path: Path) -> None:
    writer = GoldenWriter(tmp_path)
    add(writer, "a", VALUES)
    with pytest.raises(GoldenTypeError, match="int16"):
        add(writer, "b", VALUES.astype(np.int16))
    with pytest.raises(GoldenNameError, match="added before"):
        add(writer, "a", VALUES)
    with pytest.raises(GoldenNameError, match="computed from c"):
        add(writer, "b", VALUES, inputs=["c"])
    with pytest.raises(GoldenShapeError, match="its slice has 2"):
        add(writer, "b", VALUES, kept=AxisSlice("axis1", 0, 4, 2))
    with pytest.raises(GoldenPathError):
        add(writer, "../b", VALUES)
    assert list(writer.entries) == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.f32"]


def test_another_type_or_shape_than_asked_for_is_refused(folder: Path) -> None:
    goldens = open_goldens(folder)
    with pytest.raises(GoldenTypeError, match="float32, not float64"):
        goldens.load(NAME, np.float64)
    with pytest.raises(GoldenShapeError, match=r"\[2, 3\], not \[3, 2\]"):
        goldens.load(NAME, np.float32, (3, 2))
    with pytest.raises(GoldenNameError, match="stft/other"):
        goldens.load("stft/other", np.float32)


@given(position=st.integers(0, 8 * VALUES.nbytes - 1))
def test_one_flipped_bit_is_found_and_the_file_named(tmp_path_factory: pytest.TempPathFactory, position: int) -> None:
    path = tmp_path_factory.mktemp("flipped")
    writer = GoldenWriter(path)
    add(writer, NAME, VALUES)
    writer.write_manifest()
    content = bytearray((path / FILE).read_bytes())
    content[position // 8] ^= 1 << position % 8
    (path / FILE).write_bytes(content)
    with pytest.raises(GoldenDigestError, match=FILE):
        open_goldens(path).load(NAME, np.float32)
    with pytest.raises(GoldenDigestError, match=FILE):
        open_goldens(path).check()


@pytest.mark.parametrize("size", [0, 23, 25])
def test_another_size_is_refused(folder: Path, size: int) -> None:
    (folder / FILE).write_bytes(bytes(size))
    with pytest.raises(GoldenSizeError, match=f"{size} bytes, not 24"):
        open_goldens(folder).load(NAME, np.float32)


@pytest.mark.parametrize(
    ("shape", "axes"), [([1 << 52] * 400, [f"a{i}" for i in range(400)]), ([1 << 31] * 2, ["row", "column"])]
)
def test_a_shape_that_no_file_could_hold_is_refused(folder: Path, shape: list[int], axes: list[str]) -> None:
    table = json.loads((folder / "manifest.json").read_text())
    table["goldens"][NAME].update(shape=shape, axes=axes)
    with pytest.raises(GoldenShapeError, match="at most 16"):
        parse_manifest(json.dumps(table).encode())


def test_a_file_name_that_no_file_can_have_is_refused(folder: Path) -> None:
    table = json.loads((folder / "manifest.json").read_text())
    table["goldens"][NAME]["file"] = "a" * 300 + ".f32"
    (folder / "manifest.json").write_text(json.dumps(table))
    with pytest.raises(GoldenPathError, match="too long"):
        open_goldens(folder).load(NAME, np.float32)


def test_a_manifest_that_is_larger_than_any_is_refused(folder: Path) -> None:
    os.truncate(folder / "manifest.json", (1 << 24) + 1)
    with pytest.raises(GoldenSizeError, match="at most"):
        open_goldens(folder)


def test_a_missing_file_a_folder_and_a_pipe_are_refused(folder: Path) -> None:
    goldens = open_goldens(folder)
    (folder / FILE).unlink()
    with pytest.raises(GoldenPathError, match="No such file"):
        goldens.load(NAME, np.float32)
    (folder / FILE).mkdir()
    with pytest.raises(GoldenPathError, match="not a plain file"):
        goldens.load(NAME, np.float32)
    (folder / FILE).rmdir()
    os.mkfifo(folder / FILE)
    with pytest.raises(GoldenPathError, match="not a plain file"):
        goldens.load(NAME, np.float32)


@pytest.mark.parametrize("linked", [FILE, "stft", "manifest.json"])
def test_links_are_refused_even_where_they_lead_to_the_right_bytes(folder: Path, tmp_path: Path, linked: str) -> None:
    (folder / linked).rename(tmp_path / "elsewhere")
    (folder / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GoldenPathError, match="symbolic link"):
        open_goldens(folder).load(NAME, np.float32)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GoldenPathError, match=r"manifest\.json cannot be read"):
        open_goldens(tmp_path)


def test_files_of_no_golden_are_found(folder: Path) -> None:
    (folder / "stft" / "stray.f32").write_bytes(b"")
    with pytest.raises(GoldenPathError, match=r"stray\.f32 belongs to no golden"):
        open_goldens(folder).check()


@pytest.mark.parametrize(
    "file",
    [
        *("../input.f32", "/etc/input.f32", "stft/../../input.f32", "stft//input.f32", "./input.f32", "", ".f32"),
        *("stft\\input.f32", "c:input.f32", "input.f32\n", "input.f32\0", "input", "input.txt", "INPUT.f32"),
    ],
)
def test_a_file_outside_the_folder_or_of_another_form_is_refused(folder: Path, file: str) -> None:
    edit(folder, lambda golden: golden.update(file=file))
    with pytest.raises(GoldenPathError, match="cannot be the file of a golden"):
        open_goldens(folder)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"shape": [3, 2, 2]}, GoldenShapeError),
        ({"shape": [7], "axes": ["a"]}, GoldenShapeError),
        ({"shape": [0, 3], "bytes": 0}, GoldenShapeError),
        ({"shape": [-2, -3]}, GoldenShapeError),
        ({"shape": [2.0, 3]}, GoldenManifestError),
        ({"shape": [True, 6]}, GoldenManifestError),
        ({"shape": "6"}, GoldenManifestError),
        ({"axes": ["a", "a"]}, GoldenShapeError),
        ({"bytes": 23}, GoldenShapeError),
        ({"dtype": "float64"}, GoldenShapeError),
        ({"dtype": "float16"}, GoldenTypeError),
        ({"byte_order": "big"}, GoldenTypeError),
        ({"sha256": "0"}, GoldenManifestError),
        ({"inputs": {"stft/absent": "0" * 64}}, GoldenManifestError),
        ({"inputs": {"stft/ramp/sums": "0" * 64}}, GoldenManifestError),
        ({"slice": {"axis": "axis1", "start": 0, "stop": 7, "step": 3, "more": 0}}, GoldenManifestError),
        ({"slice": {"axis": "other", "start": 0, "stop": 3, "step": 1}}, GoldenShapeError),
        ({"slice": {"axis": "axis1", "start": 0, "stop": 3, "step": 2}}, GoldenShapeError),
        ({"slice": {"axis": "axis1", "start": 3, "stop": 0, "step": -1}}, GoldenShapeError),
        ({"slice": None}, GoldenManifestError),
        ({"unknown": 1}, GoldenManifestError),
        ({"file": "stft/ramp/sums.i64"}, GoldenManifestError),
    ],
)
def test_declarations_that_cannot_be_are_refused(
    folder: Path, change: dict[str, object], error: type[GoldenError]
) -> None:
    edit(folder, lambda golden: golden.update(change))
    with pytest.raises(error):
        open_goldens(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"version": 2, "goldens": {}}',
        b'{"version": true, "goldens": {}}',
        b'{"version": 1, "goldens": []}',
        b'{"version": 1, "goldens": {"a": null}}',
        b'{"version": 1, "goldens": {}, "goldens": {}}',
        b'{"version": 1, "goldens": {}, "more": 0}',
        b'{"version": NaN, "goldens": {}}',
    ],
)
def test_a_malformed_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(GoldenManifestError):
        parse_manifest(content)


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "A", "a.b", "", "a/"])
def test_a_name_of_another_form_is_refused(folder: Path, name: str) -> None:
    table = json.loads((folder / "manifest.json").read_text())
    table["goldens"] = {name: table["goldens"][NAME]}
    with pytest.raises(GoldenNameError):
        parse_manifest(json.dumps(table).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    key=st.sampled_from(["file", "sha256", "bytes", "dtype", "byte_order", "shape", "axes", "inputs"]),
    value=json_values,
)
def test_no_field_of_another_form_passes(key: str, value: object) -> None:
    fields = {
        "file": "a.f32",
        "sha256": "0" * 64,
        "bytes": 8,
        "dtype": "float32",
        "byte_order": "little",
        "shape": [2],
        "axes": ["sample"],
        "scale": "",
        "generator": "",
        "inputs": {"weights.a": "0" * 64},
    }
    # What another golden could well have there.
    assume(not isinstance(value, str) or key != "file")
    assume(not isinstance(value, list) or key != "axes")
    assume(value not in (fields[key], {}))
    content = json.dumps({"version": 1, "goldens": {"a": {**fields, key: value}}}).encode()
    with pytest.raises(GoldenError):
        parse_manifest(content)
