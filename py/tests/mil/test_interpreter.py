"""Running programs: inputs are checked, nothing is changed, nothing is kept longer than needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil import Builder

from htdemucs_coreml.mil import ExecutionError, InputError, Interpreter, analyse, read_package
from mil.packages import Values, write

_X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
_Y = np.linspace(0, 1, 4, dtype=np.float32)


def _body(values: Values) -> Any:
    product = Builder.mul(x=values["x"], y=values["y"], name="product")
    wide = Builder.concat(values=[product, values["x"], product], axis=0, name="wide")
    small = Builder.reduce_sum(x=wide, axes=[0], name="small")
    return Builder.add(x=small, y=values["y"], name="sum"), Builder.exp(x=product, name="exponential")


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    return Interpreter(read_package(write(tmp_path / "p.mlpackage", _body, {"x": _X, "y": _Y})))


def test_all_outputs_are_returned_by_name(interpreter: Interpreter) -> None:
    results = interpreter.predict({"x": _X, "y": _Y})
    assert list(results) == ["sum", "exponential"]
    np.testing.assert_allclose(results["sum"], (2 * _X * _Y + _X).sum(0) + _Y, rtol=1e-6)
    np.testing.assert_allclose(results["exponential"], np.exp(_X * _Y), rtol=1e-6)


def test_a_prediction_can_be_repeated(interpreter: Interpreter) -> None:
    first, second = (interpreter.predict({"x": _X, "y": _Y}) for _ in range(2))
    np.testing.assert_array_equal(first["sum"], second["sum"])


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"x": None}, ["'x'", "float32[3, 4]", "missing"]),
        ({"z": _X}, ["no input 'z'", "x, y"]),
        ({"x": _X[:2]}, ["'x'", "float32[2, 4]", "float32[3, 4]"]),
        ({"x": _X.astype(np.float64)}, ["'x'", "float64[3, 4]", "float32[3, 4]"]),
        ({"x": _X.astype(">f4")}, ["'x'", ">f4", "float32[3, 4]"]),
        ({"x": _X.tolist()}, ["'x'", "list"]),
        ({"x": torch.from_numpy(_X)}, ["'x'", "Tensor"]),
    ],
)
def test_other_inputs_than_declared_are_refused(
    interpreter: Interpreter, change: dict[str, Any], parts: list[str]
) -> None:
    inputs = {key: value for key, value in {"x": _X, "y": _Y, **change}.items() if value is not None}
    with pytest.raises(InputError) as caught:
        interpreter.predict(inputs)
    for part in parts:
        assert part in str(caught.value)


def test_read_only_and_strided_inputs_are_accepted_without_a_warning(
    interpreter: Interpreter, recwarn: pytest.WarningsRecorder
) -> None:
    read_only, strided = _X.copy(), np.repeat(_Y, 2)[::2]
    read_only.flags.writeable = False
    expected = interpreter.predict({"x": _X, "y": _Y})
    np.testing.assert_array_equal(interpreter.predict({"x": read_only, "y": strided})["sum"], expected["sum"])
    assert not recwarn.list


def test_outputs_share_no_memory_with_inputs_or_constants(tmp_path: Path) -> None:
    def body(values: Values) -> Any:
        kept = Builder.identity(x=np.arange(4, dtype=np.float32), name="stored")
        return Builder.reshape(x=values["x"], shape=[4, 3], name="same"), Builder.add(x=kept, y=values["y"], name="sum")

    interpreter = Interpreter(read_package(write(tmp_path / "p.mlpackage", body, {"x": _X, "y": _Y})))
    x = _X.copy()
    results = interpreter.predict({"x": x, "y": _Y})
    results["same"][:] = 0
    np.testing.assert_array_equal(x, _X)
    np.testing.assert_array_equal(interpreter.predict({"x": x, "y": _Y})["same"].reshape(3, 4), _X)


def test_a_float16_constant_can_be_computed_with_and_be_moved(tmp_path: Path) -> None:
    inputs = {"x": np.array([0.5, 1.5], np.float16)}
    stored = np.array([0.1, 0.2], np.float16)

    def body(values: Values) -> Any:
        kept = Builder.const(val=stored)
        total = Builder.add(x=values["x"], y=kept, name="sum")
        return total, Builder.concat(values=[kept, values["x"]], axis=0, name="joined")

    results = Interpreter(read_package(write(tmp_path / "p.mlpackage", body, inputs))).predict(inputs)
    np.testing.assert_array_equal(results["sum"], inputs["x"] + stored)
    np.testing.assert_array_equal(results["joined"], np.concatenate([stored, inputs["x"]]))


def test_infinities_and_nan_pass_through(interpreter: Interpreter) -> None:
    x = _X.copy()
    x[0, 1], x[1, 2] = np.inf, np.nan
    with np.errstate(all="ignore"):
        expected = np.exp(x * _Y)
    np.testing.assert_allclose(interpreter.predict({"x": x, "y": _Y})["exponential"], expected, rtol=1e-6)


def test_an_index_outside_its_axis_is_an_error(tmp_path: Path) -> None:
    inputs = {"x": _X, "indices": np.array([0, 3], np.int32)}
    package = write(
        tmp_path / "p.mlpackage",
        lambda values: Builder.gather(x=values["x"], indices=values["indices"], axis=0, name="taken"),
        inputs,
    )
    interpreter = Interpreter(read_package(package))
    with pytest.raises(ExecutionError, match=r"'taken' \(gather\)"):
        interpreter.predict(inputs)


def test_the_analysed_peak_memory_is_what_the_interpreter_holds(interpreter: Interpreter) -> None:
    held: dict[str, int] = {}

    def observe(operation: Any, alive: Any) -> None:
        held[operation.name] = sum(value.numel() * value.element_size() for value in alive.values())

    interpreter.predict({"x": _X, "y": _Y}, observe)
    peak = analyse(interpreter.program).peak_memory
    assert max(held.values()) == peak.bytes
    assert held[peak.operation] == peak.bytes
    # By hand: x 48, y 16, product 48, wide 144 bytes while 'wide' is made.
    assert (peak.operation, peak.bytes) == ("wide", 256)


def test_values_are_released_after_their_last_use(interpreter: Interpreter) -> None:
    alive_after: dict[str, set[str]] = {}
    interpreter.predict({"x": _X, "y": _Y}, lambda operation, alive: alive_after.update({operation.name: set(alive)}))
    assert alive_after == {
        "product": {"x", "y", "product"},
        "wide": {"x", "y", "product", "wide"},
        "small": {"y", "product", "wide", "small"},
        "sum": {"y", "product", "small", "sum"},
        "exponential": {"product", "sum", "exponential"},
    }


def test_reading_needs_neither_coremltools_itself_nor_the_rest_of_the_project(tmp_path: Path) -> None:
    package = write(tmp_path / "p.mlpackage", _body, {"x": _X, "y": _Y})
    script = (
        "import sys\n"
        "from htdemucs_coreml.mil import Interpreter, read_package\n"
        "Interpreter(read_package(sys.argv[1]))\n"
        "loaded = [n for n in sys.modules if n.startswith('htdemucs_coreml.')"
        " and not n.startswith('htdemucs_coreml.mil')]\n"
        "assert 'coremltools' not in sys.modules and not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(package)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(sys.modules["htdemucs_coreml"].__path__[0]).parent)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_schema_can_be_loaded_before_coremltools(tmp_path: Path) -> None:
    package = write(tmp_path / "p.mlpackage", _body, {"x": _X, "y": _Y})
    script = (
        "import sys\n"
        "from htdemucs_coreml.mil import read_package\n"
        "read_package(sys.argv[1])\n"
        "from coremltools.proto import Model_pb2\n"
        "Model_pb2.Model().ParseFromString(open(sys.argv[1] + '/Data/com.apple.CoreML/model.mlmodel', 'rb').read())\n"
        "read_package(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(package)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(sys.modules["htdemucs_coreml"].__path__[0]).parent)},
    )
    assert done.returncode == 0, done.stderr
