"""Static figures of programs whose figures can be counted by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder

from htdemucs_coreml.mil import Analysis, analyse, read_package
from htdemucs_coreml.mil.tensor_types import Array, DataType, TensorType
from mil.packages import Values, write

_X = np.zeros((1, 4, 10), np.float32)


def _analyse(folder: Path, body: Any, **inputs: Array) -> Analysis:
    return analyse(read_package(write(folder / "p.mlpackage", body, inputs)))


def _body(values: Values) -> Any:
    weight = np.ones((6, 2, 3), np.float32)
    y = Builder.conv(x=values["x"], weight=weight, strides=[2], groups=2, pad_type="valid", name="y")
    half = Builder.cast(x=y, dtype="fp16", name="half")
    return Builder.square(x=half, name="squares"), Builder.square(x=y, name="more")


def test_inputs_outputs_and_operations(tmp_path: Path) -> None:
    found = _analyse(tmp_path, _body, x=_X)
    assert found.inputs == {"x": TensorType(DataType.FLOAT32, (1, 4, 10))}
    assert found.outputs == {
        "squares": TensorType(DataType.FLOAT16, (1, 6, 4)),
        "more": TensorType(DataType.FLOAT32, (1, 6, 4)),
    }
    assert found.operations == 4
    assert found.operations_by_type == {"cast": 1, "conv": 1, "square": 2}
    assert found.operations_by_dtype == {DataType.FLOAT16: 2, DataType.FLOAT32: 2}


def test_constants_are_listed_with_their_bytes(tmp_path: Path) -> None:
    found = _analyse(tmp_path, _body, x=_X)
    blobs = [constant for constant in found.constants if constant.blob_offset is not None]
    assert [(constant.bytes, constant.blob_offset) for constant in blobs] == [(6 * 2 * 3 * 4, 64)]
    # Beside the weight, 4-byte integers: strides, dilations, groups, and 2 of pad; texts count nothing.
    assert found.constant_bytes == 144 + 4 * (1 + 1 + 1 + 2)


@pytest.mark.parametrize(
    ("name", "shape", "body", "expected"),
    [
        # Every output takes a kernel of 3 over 4 / 2 channels.
        ("conv", (1, 4, 10), _body, 6 * 4 * 2 * 3),
        # Every input is spread by a kernel of 3 over 5 channels.
        (
            "conv_transpose",
            (1, 4, 10),
            lambda v: Builder.conv_transpose(x=v["x"], weight=np.ones((4, 5, 3), np.float32), strides=[2]),
            4 * 10 * 5 * 3,
        ),
        ("linear", (2, 3, 10), lambda v: Builder.linear(x=v["x"], weight=np.ones((7, 10), np.float32)), 6 * 7 * 10),
        ("matmul", (2, 3, 10), lambda v: Builder.matmul(x=v["x"], y=v["x"], transpose_y=True), 2 * 3 * 3 * 10),
        ("matmul", (2, 3, 10), lambda v: Builder.matmul(x=v["x"], y=v["x"], transpose_x=True), 2 * 10 * 10 * 3),
        # Scores and weighted sum: 3 targets by 3 sources by 10, twice, for each of 2.
        (
            "scaled_dot_product_attention",
            (2, 3, 10),
            lambda v: Builder.scaled_dot_product_attention(query=v["x"], key=v["x"], value=v["x"]),
            2 * 2 * 3 * 3 * 10,
        ),
    ],
)
def test_multiply_adds(tmp_path: Path, name: str, shape: tuple[int, ...], body: Any, expected: int) -> None:
    found = _analyse(tmp_path, body, x=np.zeros(shape, np.float32))
    assert found.multiply_adds == {(name, DataType.FLOAT32): expected}


def test_narrow_elements_count_as_packed() -> None:
    assert TensorType(DataType.UINT3, (3, 3)).bytes == 4
    assert TensorType(DataType.FLOAT16, ()).bytes == 2


def test_operations_unknown_to_the_interpreter_are_counted(tmp_path: Path) -> None:
    found = _analyse(tmp_path, lambda v: Builder.cumsum(x=v["x"], axis=1), x=_X)
    assert found.operations_by_type == {"cumsum": 1}
