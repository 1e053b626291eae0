"""Static figures of programs whose figures can be counted by hand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder
from hypothesis import given
from hypothesis import strategies as st

from htdemucs_coreml.mil import Analysis, analyse, read_package
from htdemucs_coreml.mil.analysis import Costs, PeakMemory
from htdemucs_coreml.mil.blob import Blob
from htdemucs_coreml.mil.constants import ConstantSize
from htdemucs_coreml.mil.program import Argument, Constant, Function, Metadata, Operation, Program, Value
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
    (weight,) = (constant for constant in found.constants if constant.type.dtype is DataType.FLOAT32)
    assert weight == ConstantSize(weight.name, TensorType(DataType.FLOAT32, (6, 2, 3)), 6 * 2 * 3 * 4, ())
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


FLOATS = (DataType.FLOAT16, DataType.FLOAT32)


def _program(
    inputs: Sequence[Value],
    operations: Sequence[Operation],
    outputs: Sequence[Argument],
    expressions: Sequence[Operation] = (),
    constants: Sequence[Constant] = (),
) -> Program:
    named = {constant.name: constant for constant in constants}
    main = Function("main", "CoreML8", tuple(inputs), named, tuple(expressions), tuple(operations), tuple(outputs))
    return Program(Path("p"), Path("m"), (), 9, Metadata("", "", "", "", {}), main)


def _constant(name: str, dtype: DataType, *shape: int) -> Constant:
    tensor = TensorType(dtype, shape)
    return Constant(name, tensor, np.zeros(tensor.elements, dtype.numpy))


def _value(name: str, dtype: DataType, *shape: int) -> Value:
    return Value(name, TensorType(dtype, shape))


def _block_of(name: str) -> str:
    return name.split("__")[0]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Operations of a few blocks, with values and constants of any size, each taken any number of times."""

    def value(name: str) -> Value:
        return _value(name, draw(st.sampled_from(FLOATS)), draw(st.integers(0, 50)), 3)

    inputs = [value(f"input_{index}") for index in range(draw(st.integers(1, 3)))]
    constants = [_constant(f"constant_{index}", DataType.FLOAT16, index, 3) for index in range(draw(st.integers(0, 3)))]
    expressions = []
    for index in range(draw(st.integers(0, 3)) if constants else 0):
        taken = draw(st.lists(st.sampled_from(constants), min_size=1, max_size=2))
        made = value(f"unpacked_{index}")
        expressions.append(Operation("constexpr_lut_to_dense", made.name, {"indices": tuple(taken)}, (made,)))
    known: list[Argument] = [*inputs, *constants, *(one.outputs[0] for one in expressions)]
    operations = []
    for index in range(draw(st.integers(0, 12))):
        name = f"block_{draw(st.integers(0, 3))}__{index}"
        outputs = tuple(value(f"{name}__{part}") for part in range(draw(st.integers(1, 2))))
        arguments = draw(st.lists(st.sampled_from(known), min_size=2, max_size=2))
        kind = draw(st.sampled_from(("cast", "linear", "add")))
        operations.append(Operation(kind, name, {"x": (arguments[0],), "weight": (arguments[1],)}, outputs))
        known.extend(outputs)
    returned = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique_by=id))
    return _program(inputs, operations, returned, expressions, constants)


def _alive(program: Program, index: int) -> dict[str, Value]:
    """What has to be there while an operation runs: made by then, and returned or not yet used for the last time."""
    function = program.main
    later = {argument.name for argument in function.outputs}
    for operation in function.operations[index:]:
        later.update(argument.name for argument in operation.arguments())
    # Whoever calls gives inputs at the start, wanted or not.
    made = [*function.inputs] if index == 0 else [value for value in function.inputs if value.name in later]
    for operation in function.operations[:index]:
        made.extend(value for value in operation.outputs if value.name in later)
    return {value.name: value for value in (*made, *function.operations[index].outputs)}


@given(programs())
def test_memory_is_that_of_all_values_that_are_needed(program: Program) -> None:
    assert list(analyse(program).held_bytes) == [
        sum(value.type.bytes for value in _alive(program, index).values())
        for index in range(len(program.main.operations))
    ]


@given(programs())
def test_blocks_add_up_to_the_program(program: Program) -> None:
    analysis = analyse(program, _block_of)
    blocks = analysis.blocks.values()
    for figure in ("operations", "casts", "constant_bytes", "unpacked_constant_bytes"):
        assert sum(getattr(costs, figure) for costs in blocks) == getattr(analysis, figure)
    for mapping in ("operations_by_type", "operations_by_dtype", "multiply_adds", "multiply_adds_by_dtype"):
        counts: Counter[Any] = Counter()
        for costs in blocks:
            counts.update(getattr(costs, mapping))
        assert counts == Counter(getattr(analysis, mapping))
    assert sorted(constant.name for costs in blocks for constant in costs.constants) == [
        constant.name for constant in analysis.constants
    ]
    if program.main.operations:
        assert max(costs.peak_memory.bytes for costs in blocks) == analysis.peak_memory.bytes
        assert analysis.peak_memory.bytes == max(analysis.held_bytes)


@given(programs())
def test_everything_stored_and_every_expression_counts_once(program: Program) -> None:
    function = program.main
    analysis = analyse(program)
    assert analysis.constant_bytes == sum(constant.type.bytes for constant in function.constants.values())
    assert analysis.operations == len(function.operations) + len(function.constant_expressions)


def test_a_program_without_operations_holds_its_inputs() -> None:
    x = _value("x", DataType.FLOAT32, 5)
    analysis = analyse(_program([x], [], [x]), _block_of)
    assert (analysis.peak_memory, analysis.held_bytes, dict(analysis.blocks)) == (PeakMemory(20, ""), (), {})


def _by_hand() -> Mapping[str, Costs]:
    """Two blocks that share a compressed weight; each has a cast."""
    x = _value("x", DataType.FLOAT32, 2, 4)
    indices = _constant("indices", DataType.UINT4, 8, 4)
    lut = _constant("lut", DataType.FLOAT16, 1, 1, 16, 1)
    weight = _value("weight", DataType.FLOAT16, 8, 4)
    half, wide = _value("a__cast", DataType.FLOAT16, 2, 4), _value("a__linear", DataType.FLOAT16, 2, 8)
    again, full = _value("b__linear", DataType.FLOAT16, 2, 8), _value("b__cast", DataType.FLOAT32, 2, 8)
    unpack = Operation("constexpr_lut_to_dense", "weight", {"indices": (indices,), "lut": (lut,)}, (weight,))
    operations = [
        Operation("cast", half.name, {"x": (x,)}, (half,)),
        Operation("linear", wide.name, {"x": (half,), "weight": (weight,)}, (wide,)),
        Operation("linear", again.name, {"x": (half,), "weight": (weight,)}, (again,)),
        Operation("cast", full.name, {"x": (again,)}, (full,)),
    ]
    return analyse(_program([x], operations, [full, wide], [unpack], [indices, lut]), _block_of).blocks


def test_a_compressed_constant_has_a_stored_and_an_unpacked_size_in_the_block_that_takes_it_first() -> None:
    blocks = _by_hand()
    # 32 indices of 4 bits and 16 float16 entries; unpacked 32 float16.
    expected = ConstantSize("weight", TensorType(DataType.FLOAT16, (8, 4)), 16 + 32, ("constexpr_lut_to_dense",))
    assert blocks["a"].constants == (expected,)
    assert (blocks["a"].constant_bytes, blocks["a"].unpacked_constant_bytes) == (48, 64)
    assert blocks["b"].constants == ()
    assert (blocks["a"].operations, blocks["b"].operations) == (3, 2)


def test_what_a_block_costs_can_be_counted_by_hand() -> None:
    blocks = _by_hand()
    assert list(blocks) == ["a", "b"]
    assert blocks["a"].multiply_adds == {("linear", DataType.FLOAT16): 2 * 8 * 4}
    assert (blocks["a"].casts, blocks["b"].casts) == (1, 1)
    assert blocks["a"].float16_share == 1
    # x 32 and half 16 bytes; half and wide 32; half, wide and again 32; wide, again and full 64.
    assert blocks["a"].peak_memory == PeakMemory(48, "a__cast")
    assert blocks["b"].peak_memory == PeakMemory(128, "b__cast")


def test_the_share_in_float16_is_of_multiply_adds_and_none_without_them() -> None:
    x, weight = _value("x", DataType.FLOAT32, 1, 6), _constant("weight", DataType.FLOAT32, 1, 6)
    half = _value("half", DataType.FLOAT16, 1, 2)
    operations = [
        Operation("linear", "full", {"x": (x,), "weight": (weight,)}, (_value("full", DataType.FLOAT32, 1, 1),)),
        Operation("linear", "half", {"x": (half,), "weight": (_constant("w", DataType.FLOAT16, 1, 2),)}, (half,)),
        Operation("add", "sum", {"x": (half,), "y": (half,)}, (_value("sum", DataType.FLOAT16, 1, 2),)),
    ]
    analysis = analyse(_program([x], operations, [half]), lambda name: name)
    assert analysis.float16_share == 4 / 10
    assert analysis.blocks["sum"].float16_share is None


def test_constants_that_share_a_blob_are_stored_once() -> None:
    x = _value("x", DataType.FLOAT32, 1, 6)
    data = np.zeros(6 * 4, np.uint8)
    first, second, other = (
        Constant(name, TensorType(DataType.FLOAT32, (1, 6)), Blob(Path(file), 64, DataType.FLOAT32, 6, data))
        for name, file in (("first", "weight.bin"), ("second", "weight.bin"), ("other", "other.bin"))
    )
    operations = [
        Operation("add", f"{taken.name}__add", {"x": (x,), "y": (taken,)}, (_value(taken.name, x.type.dtype, 1, 6),))
        for taken in (first, second, other)
    ]
    blocks = analyse(_program([x], operations, [x], [], [first, second, other]), _block_of).blocks
    assert {name: costs.constant_bytes for name, costs in blocks.items()} == {"first": 24, "second": 0, "other": 24}
    assert {costs.unpacked_constant_bytes for costs in blocks.values()} == {24}
