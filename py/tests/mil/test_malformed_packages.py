"""Whatever is wrong with a package gives one clear error, and never another kind of exception."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder
from coremltools.proto import Model_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.mil import (
    Interpreter,
    MILError,
    PackageError,
    ProgramError,
    UnsupportedError,
    WeightsError,
    read_package,
)
from htdemucs_coreml.mil.package import open_package
from mil.packages import Values, write

_MODEL = "Data/com.apple.CoreML/model.mlmodel"
_WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
_INPUTS = {"x": np.linspace(-1, 1, 2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)}


def _body(values: Values) -> Any:
    """Blobs, lists, texts and numbers in one small program."""
    weight = np.linspace(-1, 1, 3 * 2 * 1 * 2, dtype=np.float32).reshape(3, 2, 1, 2)
    x = Builder.conv(x=values["x"], weight=weight, pad_type="custom", pad=[0, 0, 1, 0], name="first")
    x = Builder.gelu(x=Builder.reshape(x=x, shape=[1, 3, -1]), mode="EXACT", name="middle")
    x = Builder.linear(x=x, weight=np.eye(12, dtype=np.float32) * 2, name="last")
    return Builder.concat(values=[x, Builder.square(x=x)], axis=1, name="y")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sound package."""
    return write(tmp_path_factory.mktemp("intact") / "small.mlpackage", _body, _INPUTS)


@pytest.fixture
def package(intact: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(intact, tmp_path / "damaged.mlpackage"))


def _run(package: Path) -> dict[str, Any]:
    return Interpreter(read_package(package)).predict(_INPUTS)


def _edit_model(package: Path, edit: Callable[[Any], object]) -> None:
    model = Model_pb2.Model()
    model.ParseFromString((package / _MODEL).read_bytes())
    edit(model)
    (package / _MODEL).write_bytes(model.SerializeToString())


def _edit_manifest(package: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = package / "Manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def _block(model: Any) -> Any:
    return model.mlProgram.functions["main"].block_specializations["CoreML8"]


def _operation(model: Any, kind: str) -> Any:
    return next(operation for operation in _block(model).operations if operation.type == kind)


def _refused(package: Path, error: type[MILError], *parts: str) -> None:
    with pytest.raises(error) as caught:
        _run(package)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


def test_the_intact_package_runs(intact: Path) -> None:
    (result,) = _run(intact).values()
    assert result.shape == (1, 6, 12)
    assert np.isfinite(result).all()


# The folder and its manifest


def test_no_folder(tmp_path: Path) -> None:
    _refused(tmp_path / "absent.mlpackage", PackageError, "absent.mlpackage is not a package")


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "file.mlpackage"
    path.write_bytes(b"x")
    _refused(path, PackageError, "is not a package")


@pytest.mark.parametrize("missing", ["Manifest.json", _MODEL, _WEIGHTS])
def test_a_missing_file(package: Path, missing: str) -> None:
    (package / missing).unlink()
    _refused(package, PackageError, Path(missing).name)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"a": 1, "a": 2}', "[" * 100_000, '{"fileFormatVersion": "2.0.0"}', "\xff", "{\0}\0"],
)
def test_a_manifest_that_is_none(package: Path, text: str) -> None:
    (package / "Manifest.json").write_bytes(text.encode("latin-1"))
    _refused(package, PackageError, "Manifest.json")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "", ".", "a\\b", "a\0b"])
def test_a_manifest_that_leaves_the_package(package: Path, path: str) -> None:
    _edit_manifest(package, lambda m: m["itemInfoEntries"]["MODEL"].update(path=path))
    _refused(package, PackageError, "Manifest.json", "no plain path")


@pytest.mark.parametrize("root", [None, "OTHER", "WEIGHTS", ["MODEL"], 1])
def test_a_root_that_is_no_model_file(package: Path, root: object) -> None:
    _edit_manifest(package, lambda m: m.update(rootModelIdentifier=root))
    _refused(package, PackageError, "Manifest.json")


def test_weights_that_the_manifest_does_not_list(package: Path) -> None:
    _edit_manifest(package, lambda m: m["itemInfoEntries"].pop("WEIGHTS"))
    _refused(package, PackageError, "does not list", "weight.bin")


@pytest.mark.parametrize("name", ["../../outside.bin", "@model_path/../../../outside.bin", "/etc/passwd"])
def test_a_weight_reference_that_leaves_the_package(package: Path, name: str) -> None:
    def edit(model: Any) -> None:
        for operation in _block(model).operations:
            if operation.type == "const" and operation.attributes["val"].WhichOneof("value") == "blobFileValue":
                operation.attributes["val"].blobFileValue.fileName = name

    _edit_model(package, edit)
    _refused(package, PackageError, name.removeprefix("@model_path/"))


def test_a_weight_reference_that_no_file_can_have(package: Path) -> None:
    def edit(model: Any) -> None:
        for operation in _block(model).operations:
            if operation.type == "const" and operation.attributes["val"].WhichOneof("value") == "blobFileValue":
                operation.attributes["val"].blobFileValue.fileName = "@model_path/" + "a" * 300

    _edit_model(package, edit)
    _refused(package, PackageError, "lacks Data/com.apple.CoreML/aaa")


def test_a_pipe_in_place_of_the_manifest(package: Path) -> None:
    (package / "Manifest.json").unlink()
    os.mkfifo(package / "Manifest.json")
    _refused(package, PackageError, "Manifest.json cannot be read: it is no plain file")


def test_a_model_that_is_larger_than_any(package: Path) -> None:
    os.truncate(package / _MODEL, (1 << 30) + 1)
    _refused(package, PackageError, "model.mlmodel is larger than")


def test_reading_a_model_takes_the_memory_of_its_size(package: Path) -> None:
    files = open_package(package)
    tracemalloc.start()
    try:
        files.read_model()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("linked", [_WEIGHTS, "Data/com.apple.CoreML/weights", "Manifest.json"])
def test_a_symbolic_link(package: Path, tmp_path: Path, linked: str) -> None:
    target = tmp_path / "elsewhere"
    shutil.move(package / linked, target)
    (package / linked).symlink_to(target)
    _refused(package, PackageError, "symbolic link")


def test_a_link_to_a_whole_package_is_followed(intact: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mlpackage"
    link.symlink_to(intact)
    assert _run(link)


# The program


@pytest.mark.parametrize(
    ("edit", "error", "parts"),
    [
        (lambda m: setattr(m, "specificationVersion", 4), UnsupportedError, ["specification version 4"]),
        (lambda m: m.ClearField("mlProgram"), UnsupportedError, ["only mlProgram"]),
        (lambda m: setattr(m.mlProgram, "version", 2), UnsupportedError, ["version 2"]),
        (lambda m: m.mlProgram.functions["other"], UnsupportedError, ["functions", "other"]),
        (
            lambda m: setattr(m.mlProgram.functions["main"], "opset", "CoreML99"),
            UnsupportedError,
            ["operation set 'CoreML99'"],
        ),
        (lambda m: m.mlProgram.attributes["odd"], UnsupportedError, ["attribute 'odd'"]),
        (lambda m: _operation(m, "gelu").attributes["odd"], UnsupportedError, ["middle", "gelu", "'odd'"]),
        (lambda m: _operation(m, "gelu").blocks.add(), UnsupportedError, ["middle", "blocks"]),
        (lambda m: setattr(_operation(m, "gelu"), "type", "gelo"), UnsupportedError, ["middle", "gelo"]),
        (
            lambda m: _operation(m, "gelu").inputs["sharpness"].arguments.add(name="x"),
            UnsupportedError,
            ["middle", "gelu", "'sharpness'"],
        ),
        (
            lambda m: _operation(m, "gelu").inputs["mode"].arguments.add(name="x"),
            ProgramError,
            ["middle", "'mode'", "2 arguments"],
        ),
        (lambda m: _operation(m, "gelu").inputs.pop("x"), ProgramError, ["middle", "'x'", "missing"]),
        (
            lambda m: setattr(_operation(m, "gelu").inputs["x"].arguments[0], "name", "nothing"),
            ProgramError,
            ["middle", "'x'", "'nothing'"],
        ),
        (
            lambda m: setattr(_operation(m, "conv").inputs["x"].arguments[0], "name", "last"),
            ProgramError,
            ["first", "'last'", "nothing before it"],
        ),
        (
            lambda m: setattr(_operation(m, "linear").outputs[0], "name", "middle"),
            ProgramError,
            ["last", "'middle'", "made before"],
        ),
        (lambda m: _block(m).outputs.append("nothing"), ProgramError, ["outputs", "'nothing'"]),
        (lambda m: _block(m).outputs.append("y"), ProgramError, ["output twice"]),
        (lambda m: setattr(m.description.input[0], "name", "z"), ProgramError, ["inputs", "'z'", "'x'"]),
        (
            lambda m: m.description.input[0].type.multiArrayType.shape.append(3),
            ProgramError,
            ["input 'x'", "float32[1, 2, 3, 4, 3]"],
        ),
        (
            lambda m: m.description.output[0].type.imageType.SetInParent(),
            UnsupportedError,
            ["output 'y'", "imageType"],
        ),
    ],
)
def test_a_program_that_is_wrong_or_unsupported(
    package: Path, edit: Callable[[Any], object], error: type[MILError], parts: list[str]
) -> None:
    _edit_model(package, edit)
    _refused(package, error, *parts)


def _constant(model: Any, name: str) -> Any:
    return next(operation for operation in _block(model).operations if operation.outputs[0].name == name)


def test_an_unknown_element_type(package: Path) -> None:
    def edit(model: Any) -> None:
        _operation(model, "gelu").outputs[0].type.tensorType.dataType = 13

    _edit_model(package, edit)
    _refused(package, UnsupportedError, "middle", "BFLOAT16")


def test_a_flexible_shape(package: Path) -> None:
    def edit(model: Any) -> None:
        _operation(model, "gelu").outputs[0].type.tensorType.dimensions[0].unknown.variadic = False

    _edit_model(package, edit)
    _refused(package, UnsupportedError, "middle", "flexible shape")


def test_an_unsupported_parameter_value(package: Path) -> None:
    def edit(model: Any) -> None:
        mode = _operation(model, "gelu").inputs["mode"].arguments[0].name
        values = _constant(model, mode).attributes["val"].immediateValue.tensor.strings.values
        values[0] = "FASTEST"

    _edit_model(package, edit)
    _refused(package, UnsupportedError, "middle", "'mode'", "FASTEST", "TANH_APPROXIMATION")


def test_a_declared_shape_that_is_not_what_the_operation_makes(package: Path) -> None:
    def edit(model: Any) -> None:
        _operation(model, "gelu").outputs[0].type.tensorType.dimensions[1].constant.size = 4

    _edit_model(package, edit)
    _refused(package, MILError, "middle", "float32[1, 3, 12]", "float32[1, 4, 12]")


def test_a_declared_element_type_that_is_not_what_the_operation_makes(package: Path) -> None:
    def edit(model: Any) -> None:
        _operation(model, "gelu").outputs[0].type.tensorType.dataType = 10

    _edit_model(package, edit)
    _refused(package, MILError, "middle", "float32[1, 3, 12]", "float16[1, 3, 12]")


def test_a_constant_whose_blob_has_another_size(package: Path) -> None:
    def edit(model: Any) -> None:
        for operation in _block(model).operations:
            if operation.type == "const" and operation.attributes["val"].WhichOneof("value") == "blobFileValue":
                for declared in (operation.outputs[0].type, operation.attributes["val"].type):
                    declared.tensorType.dimensions[0].constant.size += 1

    _edit_model(package, edit)
    _refused(package, ProgramError, "the blob at offset 64")


def test_padding_that_would_take_all_memory_is_refused_before_it_does(package: Path) -> None:
    def edit(model: Any) -> None:
        pad = _operation(model, "conv").inputs["pad"].arguments[0].name
        _constant(model, pad).attributes["val"].immediateValue.tensor.ints.values[2] = 2**31 - 1

    _edit_model(package, edit)
    _refused(package, UnsupportedError, "first", "'pad'")


# Damage anywhere


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("file", ["Manifest.json", _MODEL, _WEIGHTS])
def test_a_truncated_file_is_refused(
    intact: Path, tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    package = Path(shutil.copytree(intact, tmp_path_factory.mktemp("cut") / "cut.mlpackage"))
    content = (package / file).read_bytes()
    (package / file).write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(MILError):
        _run(package)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("file", ["Manifest.json", _MODEL, _WEIGHTS])
def test_a_flipped_bit_gives_a_clear_error_or_other_numbers(
    intact: Path, tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    package = Path(shutil.copytree(intact, tmp_path_factory.mktemp("flip") / "flip.mlpackage"))
    content = bytearray((package / file).read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    (package / file).write_bytes(content)
    try:
        results = _run(package)
    except MILError as error:
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert all(isinstance(result, np.ndarray) for result in results.values())


@pytest.mark.parametrize("offset", [0, 4, 64, 68, 72, 80, 88])
def test_a_flipped_bit_in_the_structure_of_the_weights_is_refused(package: Path, offset: int) -> None:
    content = bytearray((package / _WEIGHTS).read_bytes())
    content[offset] ^= 1
    (package / _WEIGHTS).write_bytes(content)
    _refused(package, ProgramError if offset == 68 else WeightsError, "weight.bin", "offset")
