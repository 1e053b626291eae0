"""Compressed constants are unpacked to the very numbers that coremltools unpacks them to."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import pytest
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import types
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.mil import Interpreter, MILError, UnsupportedError, analyse, read_package
from mil.cases.case import Array, draw_array
from mil.packages import Values, build, write

_INDEX_TYPES = {
    1: types.np_uint1_dtype,
    2: types.np_uint2_dtype,
    3: types.np_uint3_dtype,
    4: types.np_uint4_dtype,
    6: types.np_uint6_dtype,
    8: np.dtype(np.uint8),
}
_examples = settings(max_examples=25, deadline=None)


def _unpacked(constant: Callable[[], Any], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A constant as the interpreter unpacks it, and as coremltools does."""
    inputs = {"x": np.zeros(shape, np.float32)}

    def body(values: Values) -> Any:
        weights = constant()
        same_type = values["x"] if weights.dtype == types.fp32 else Builder.cast(x=values["x"], dtype="fp16")
        return Builder.add(x=same_type, y=weights)

    (operation,) = (
        operation
        for operation in build(body, inputs).functions["main"].operations
        if operation.op_type.startswith("constexpr_")
    )
    with tempfile.TemporaryDirectory() as folder:
        package = write(Path(folder) / "p.mlpackage", body, inputs)
        (result,) = Interpreter(read_package(package)).predict(inputs).values()
    return result, operation.materialized_val_inference()


def _draw_groups(draw: Callable[..., Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(draw(st.sampled_from([count for count in range(1, size + 1) if size % count == 0])) for size in shape)


@pytest.mark.parametrize("bits", sorted(_INDEX_TYPES))
@given(data=st.data())
@_examples
def test_palettes(bits: int, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    vector_size = data.draw(st.integers(1, 3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    groups = _draw_groups(data.draw, shape)
    lut = draw_array(data.draw, (*groups, 2**bits, vector_size))
    lut = lut.astype(data.draw(st.sampled_from([np.float16, np.float32])))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    indices = generator.integers(0, 2**bits, shape).astype(_INDEX_TYPES[bits])
    options = {"vector_axis": axis} if vector_size > 1 or data.draw(st.booleans()) else {}
    full = tuple(size * vector_size if place == axis % len(shape) else size for place, size in enumerate(shape))
    result, expected = _unpacked(lambda: Builder.constexpr_lut_to_dense(indices=indices, lut=lut, **options), full)
    np.testing.assert_array_equal(result, expected)


@given(data=st.data())
@_examples
def test_blocks_with_scale_and_offset(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    stored, low, high = data.draw(
        st.sampled_from(
            [
                (types.np_int4_dtype, -8, 7),
                (types.np_uint4_dtype, 0, 15),
                (np.dtype(np.int8), -128, 127),
                (np.dtype(np.uint8), 0, 255),
            ]
        )
    )
    groups = _draw_groups(data.draw, shape)
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = generator.integers(low, high, shape, endpoint=True).astype(stored)
    scale = draw_array(data.draw, groups, 0.01, 0.5).astype(data.draw(st.sampled_from([np.float16, np.float32])))
    options = {}
    if data.draw(st.booleans()):
        options["offset"] = generator.integers(low, high, groups, endpoint=True).astype(stored)
    result, expected = _unpacked(
        lambda: Builder.constexpr_blockwise_shift_scale(data=values, scale=scale, **options), shape
    )
    np.testing.assert_array_equal(result, expected)


@given(data=st.data())
@_examples
def test_sparse_constants(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    mask = generator.integers(0, 2, shape).astype(types.np_uint1_dtype)
    mask.flat[0] = 1
    nonzero = draw_array(data.draw, (int(np.count_nonzero(mask)),))
    result, expected = _unpacked(lambda: Builder.constexpr_sparse_to_dense(nonzero_data=nonzero, mask=mask), shape)
    np.testing.assert_array_equal(result, expected)


def test_a_model_compressed_by_coremltools_gives_what_its_decompressed_weights_give(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(64, 64)).astype(np.float32)
    x = generator.normal(size=(1, 64)).astype(np.float32)
    program = build(lambda values: Builder.linear(x=values["x"], weight=weight, name="y"), {"x": x})
    model = ct.convert(
        program,
        convert_to="mlprogram",
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
    configuration = cto.OptimizationConfig(
        global_config=cto.OpPalettizerConfig(mode="uniform", nbits=6, weight_threshold=1)
    )
    palettized = cto.palettize_weights(model, configuration)
    palettized.save(str(tmp_path / "small.mlpackage"))
    cto.decompress_weights(palettized).save(str(tmp_path / "large.mlpackage"))

    programs = {name: read_package(tmp_path / f"{name}.mlpackage") for name in ("small", "large")}
    results = {name: Interpreter(program).predict({"x": x})["y"] for name, program in programs.items()}
    np.testing.assert_array_equal(results["small"], results["large"])
    assert 10 < np.linalg.norm(results["small"]) / np.linalg.norm(results["small"] - x @ weight.T) < 1000

    stored = analyse(programs["small"])
    assert stored.operations_by_type["constexpr_lut_to_dense"] == 1
    assert stored.constant_bytes < 64 * 64 + 64 * 4 + 400
    assert analyse(programs["large"]).constant_bytes >= 64 * 64 * 4


@pytest.mark.parametrize(
    ("change", "part"),
    [("type", "constexpr_lut_to_sparse"), ("parameter", "'lot'")],
)
def test_an_unknown_constant_expression_is_refused(tmp_path: Path, change: str, part: str) -> None:
    lut = np.zeros((1, 4, 1), np.float32)
    indices = np.zeros(12, types.np_uint2_dtype)
    x = np.zeros(12, np.float32)
    package = write(
        tmp_path / "p.mlpackage",
        lambda values: Builder.add(x=values["x"], y=Builder.constexpr_lut_to_dense(indices=indices, lut=lut)),
        {"x": x},
    )
    path = package / "Data/com.apple.CoreML/model.mlmodel"
    model = ct.proto.Model_pb2.Model()
    model.ParseFromString(path.read_bytes())
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    (operation,) = (item for item in block.operations if item.type == "constexpr_lut_to_dense")
    if change == "type":
        operation.type = "constexpr_lut_to_sparse"
    else:
        operation.inputs["lot"].CopyFrom(operation.inputs.pop("lut") or operation.inputs["indices"])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MILError, match=part) as caught:
        Interpreter(read_package(package))
    assert isinstance(caught.value, UnsupportedError)


def test_constants_within_operations_are_told_apart_whatever_the_operations_are_called(tmp_path: Path) -> None:
    indices = np.array([0, 1], types.np_uint1_dtype)
    tables = [np.array([[[low], [low + 1]]], np.float32) for low in (1, 5)]
    x = np.zeros(2, np.float32)

    def body(values: Values) -> Any:
        first, second = (Builder.constexpr_lut_to_dense(indices=indices, lut=lut) for lut in tables)
        return Builder.add(x=Builder.add(x=values["x"], y=first), y=Builder.mul(x=values["x"], y=second), name="y")

    package = write(tmp_path / "p.mlpackage", body, {"x": x})
    path = package / "Data/com.apple.CoreML/model.mlmodel"
    model = ct.proto.Model_pb2.Model()
    model.ParseFromString(path.read_bytes())
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    for operation in block.operations:
        operation.attributes["name"].immediateValue.tensor.strings.values[0] = "same"
    path.write_bytes(model.SerializeToString())
    (result,) = Interpreter(read_package(package)).predict({"x": x + 1}).values()
    np.testing.assert_array_equal(result, [1 + 1 + 5, 1 + 2 + 6])
