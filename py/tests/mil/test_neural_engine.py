"""Rules of the Neural Engine: a program that breaks one is reported, and one at its limit is not."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder

from htdemucs_coreml.mil import ProgramError, read_package
from htdemucs_coreml.mil.neural_engine import Rule, check, rules
from htdemucs_coreml.mil.program import Argument, Constant, Function, Metadata, Operation, Program, Value
from htdemucs_coreml.mil.tensor_types import DataType, TensorType
from mil.packages import Values, write

PAGE = Path(__file__).parents[3] / "docs" / "inspect.md"
HALF = DataType.FLOAT16


def _value(*shape: int, dtype: DataType = HALF) -> Value:
    return Value(f"x{shape}", TensorType(dtype, shape))


def _integers(name: str, entries: Sequence[int]) -> Constant:
    return Constant(name, TensorType(DataType.INT32, (len(entries),)), np.array(entries, np.int32))


def _operation(
    kind: str, x: Value, result: Value, weight: Argument | None = None, **parameters: Sequence[int]
) -> Operation:
    inputs: dict[str, tuple[Argument, ...]] = {"x": (x,)} | ({} if weight is None else {"weight": (weight,)})
    inputs |= {name: (_integers(name, entries),) for name, entries in parameters.items()}
    return Operation(kind, "it", inputs, (Value("result", result.type),))


def _elementwise(*shape: int, dtype: DataType = HALF) -> Operation:
    return _operation("relu", _value(*shape, dtype=dtype), _value(*shape, dtype=dtype))


def _convolution(kind: str, kernel: Sequence[int], **parameters: Sequence[int]) -> Operation:
    shape = (1, 32, *(64 for _ in kernel))
    elements = 32 * 32 * int(np.prod(kernel))
    weight = Constant("weight", TensorType(HALF, (32, 32, *kernel)), np.zeros(elements, np.float16))
    return _operation(kind, _value(*shape), _value(*shape), weight, **parameters)


def _palettized(stride: int) -> Operation:
    return _operation(
        "conv", _value(1, 32, 64), _value(1, 32, 64), Value("palette", _value(32, 32, 3).type), strides=[stride]
    )


# For each rule, an operation at its limit and one beyond.
CASES: Mapping[str, tuple[Operation, Operation]] = {
    "float32": (_elementwise(1, 32, 64), _elementwise(1, 32, 64, dtype=DataType.FLOAT32)),
    "integers": (_elementwise(1, 32, 64, dtype=DataType.INT16), _elementwise(1, 32, 64, dtype=DataType.INT32)),
    "rank": (_elementwise(1, 1, 1, 1, 32), _elementwise(1, 1, 1, 1, 1, 32)),
    "width": (_elementwise(1, 2, 16384), _elementwise(1, 2, 16385)),
    "height": (_elementwise(1, 1, 16384, 32), _elementwise(1, 1, 16385, 32)),
    "channels": (_elementwise(1, 65536, 1, 1), _elementwise(1, 65537, 1, 1)),
    "batch": (_elementwise(65536, 1, 1), _elementwise(65537, 1, 1)),
    "kernel-width": (_convolution("conv", [13]), _convolution("conv", [14])),
    "kernel-height": (_convolution("conv", [29, 1]), _convolution("conv_transpose", [30, 1])),
    "deconvolution-kernel": (
        _convolution("conv_transpose", [7], strides=[4]),
        _convolution("conv_transpose", [8], strides=[2]),
    ),
    "deconvolution-stride": (
        _convolution("conv_transpose", [4, 4], strides=[4, 4]),
        _convolution("conv_transpose", [8, 1], strides=[8, 1]),
    ),
    "deconvolution-evenness": (
        _convolution("conv_transpose", [4, 4], strides=[4, 4]),
        _convolution("conv_transpose", [4, 1], strides=[4, 1]),
    ),
    "padding": (
        _operation("pad", _value(1, 32, 64), _value(1, 32, 66), pad=[0, 0, 0, 0, 1, 1]),
        _operation("pad", _value(1, 32, 64), _value(1, 33, 64), pad=[0, 1, 0, 0]),
    ),
    "recurrence": (_elementwise(1, 32, 64), _operation("lstm", _value(1, 32, 64), _value(1, 32, 64))),
    "no-path": (_elementwise(1, 32, 64), _operation("scatter_nd", _value(1, 32, 64), _value(1, 32, 64))),
    "attention": (
        _operation("softmax", _value(1, 8, 64, 64), _value(1, 8, 64, 64)),
        _operation("scaled_dot_product_attention", _value(1, 8, 64, 64), _value(1, 8, 64, 64)),
    ),
    "linear": (_convolution("conv", [1, 1]), _operation("linear", _value(1, 32, 64), _value(1, 32, 64))),
    "stride-factors": (_convolution("conv", [3, 3], strides=[12, 1]), _convolution("conv", [3, 3], strides=[1, 5])),
    "palette-stride": (_palettized(2), _palettized(4)),
    "dilation": (_convolution("conv", [3], dilations=[3]), _convolution("conv", [3], dilations=[4])),
    "rewriting": (
        _operation("transpose", _value(1, 8, 4, 32), _value(1, 4, 8, 32), perm=[0, 2, 1, -1]),
        _operation("reshape", _value(1, 8, 64), _value(1, 16, 32), shape=[1, 16, 32]),
    ),
    "working-set": (_elementwise(1, 1024, 1024), _elementwise(1, 1024, 1025)),
    "narrowness": (_elementwise(1, 4, 32), _elementwise(1, 4, 31)),
}
# Beside the case of its rule, an operation that breaks it in another way.
OTHERS = [
    ("float32", _operation("relu", _value(1, 4, 32, dtype=DataType.FLOAT32), _value(1, 4, 32))),
    ("kernel-width", _convolution("conv_transpose", [1, 14])),
    ("stride-factors", _convolution("conv_transpose", [3], strides=[7])),
    ("dilation", _convolution("conv_transpose", [3, 3], dilations=[1, 8])),
    ("rewriting", _operation("transpose", _value(1, 8, 32), _value(1, 32, 8), perm=[0, 2, 1])),
    ("channels", _elementwise(1, 65537, 1)),
]
# Operations that no rule is about, though they look like it.
HARMLESS = [
    ("float32", _operation("cast", _value(1, 4, 32, dtype=DataType.FLOAT32), _value(1, 4, 32))),
    ("height", _elementwise(1, 16385, 32)),
    ("kernel-height", _convolution("conv", [40])),
    ("deconvolution-kernel", _convolution("conv_transpose", [13], strides=[1])),
    ("deconvolution-evenness", _convolution("conv", [4, 4], strides=[4, 1])),
    ("palette-stride", _convolution("conv", [8], strides=[4])),
    ("narrowness", _elementwise()),
]


def _program(operation: Operation) -> Program:
    palette = Value("palette", _value(32, 32, 3).type)
    indices = Constant("indices", TensorType(DataType.UINT4, (32, 32, 3)), np.zeros(32 * 32 * 3, np.uint8))
    unpack = Operation("constexpr_lut_to_dense", "palette", {"indices": (indices,)}, (palette,))
    inputs = tuple(one for one in operation.arguments() if isinstance(one, Value) and one.name != "palette")
    main = Function("main", "CoreML8", inputs, {}, (unpack,), (operation,), operation.outputs)
    return Program(Path("p"), Path("m"), (), 9, Metadata("", "", "", "", {}), main)


def _broken(operation: Operation) -> set[str]:
    return {finding.rule.id for finding in check(_program(operation)) if finding.operations == ("it",)}


def test_every_rule_has_a_case() -> None:
    assert [rule.id for rule in rules()] == list(CASES)


@pytest.mark.parametrize("rule", CASES)
def test_an_operation_at_the_limit_keeps_a_rule_and_one_beyond_breaks_it(rule: str) -> None:
    at_limit, beyond = CASES[rule]
    assert rule not in _broken(at_limit)
    assert rule in _broken(beyond)


@pytest.mark.parametrize(("rule", "operation"), OTHERS)
def test_a_rule_covers_all_that_it_speaks_of(rule: str, operation: Operation) -> None:
    assert rule in _broken(operation)


@pytest.mark.parametrize(("rule", "operation"), HARMLESS)
def test_a_rule_covers_nothing_else(rule: str, operation: Operation) -> None:
    assert rule not in _broken(operation)


def test_a_package_that_was_read_is_judged_alike(tmp_path: Path) -> None:
    def body(values: Values) -> Any:
        half = Builder.cast(x=values["x"], dtype="fp16", name="half")
        wide = Builder.conv(
            x=half, weight=np.ones((1, 1, 14), np.float16), strides=[5], pad_type="valid", dilations=[4], name="wide"
        )
        return Builder.conv(x=wide, weight=np.ones((1, 1, 13), np.float16), pad_type="valid", name="narrow")

    program = read_package(write(tmp_path / "p.mlpackage", body, {"x": np.zeros((1, 1, 20000), np.float32)}))
    found = {finding.rule.id: finding.operations for finding in check(program) if finding.operations}
    assert found == {
        "width": ("half", "wide"),
        "kernel-width": ("wide",),
        "stride-factors": ("wide",),
        "dilation": ("wide",),
    }


def test_operations_are_named_in_the_order_of_execution() -> None:
    program = _program(_elementwise(1, 2, 32))
    first, second = (
        Operation("linear", name, {}, (Value(name, _value(1, 32).type),))
        for name in ("second by name", "first by name")
    )
    main = Function("main", "CoreML8", (), {}, (), (first, second), ())
    (linear,) = (found for found in check(Program(**{**vars(program), "main": main})) if found.rule.id == "linear")
    assert linear.operations == ("second by name", "first by name")


def test_a_parameter_without_end_is_refused() -> None:
    with pytest.raises(ProgramError, match=r"'it' \(conv\) has int32\[65\] as its parameter 'strides'"):
        check(_program(_convolution("conv", [3], strides=[1] * 65)))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_says_what_holds_who_says_so_and_where(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]*", rule.id)
    assert rule.statement.endswith(".")
    assert rule.measures
    assert rule.origin in ("Apple", "users")
    assert rule.effect in ("elsewhere", "slower", "larger")
    assert rule.sources
    assert all(source.startswith("https://") for source in (*rule.sources, *rule.contested))
    assert sum((rule.at_most is not None, rule.at_least is not None, bool(rule.none_of))) == 1
    known = {dtype.value.lower() for dtype in DataType}
    assert rule.measure != "element types" or set(rule.none_of) <= known


def _row(rule: Rule) -> str:
    sources = ", ".join(f"[{index}]({source})" for index, source in enumerate(rule.sources, start=1))
    contested = ", ".join(f"[{index}]({source})" for index, source in enumerate(rule.contested, start=1))
    said = f"{rule.origin}: {sources}" + (f"; the contrary: {contested}" if contested else "")
    return f"| `{rule.id}` | {rule.statement} | {rule.measures} | {rule.effect} | {said} |"


def test_the_documentation_has_the_rules_as_they_are() -> None:
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| `[a-z0-9-]+` \| .* \| \w+ \| ", line)
    ]
    assert rows == [_row(rule) for rule in rules()]
