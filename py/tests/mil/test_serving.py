"""The server of predictions: what it says on the stream, and that nothing a host does confuses it."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder

from htdemucs_coreml.core.contract import INPUT_NAMES, OUTPUT_NAMES
from htdemucs_coreml.mil import Interpreter, UnsupportedError, read_package
from htdemucs_coreml.mil.program import Value
from htdemucs_coreml.mil.serving import Server, pad_rows
from htdemucs_coreml.mil.tensor_types import Array, DataType, TensorType
from mil.packages import Values, write

_TIMEOUT = 60
_X = np.linspace(-2, 2, 2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
_Y = np.arange(5, dtype=np.int32)
_SUM = _X + _Y.astype(np.float32)


def _body(values: Values) -> Any:
    shift = Builder.cast(x=values["y"], dtype="fp32", name="shift")
    return Builder.add(x=values["x"], y=shift, name="sum"), Builder.identity(x=values["y"], name="same")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("served") / "p.mlpackage", _body, {"x": _X, "y": _Y})


class Host:
    """The other end of the stream: one socket, as hosts use it."""

    def __init__(self, package: Path, code: str | None = None) -> None:
        self.stream, theirs = socket.socketpair()
        self.stream.settimeout(_TIMEOUT)
        command = ["-m", "htdemucs_coreml.mil.serving"] if code is None else ["-c", code]
        self.process = subprocess.Popen(
            [sys.executable, *command, str(package)],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(Path(sys.modules["htdemucs_coreml"].__path__[0]).parent)},
        )
        theirs.close()

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.stream.recv(count - len(data))
            if not part:
                raise EOFError(f"{count - len(data)} bytes are missing")
            data += part
        return bytes(data)

    def receive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """A message and the arrays in it, seen through their strides."""
        (length,) = struct.unpack("<Q", self.read(8))
        table = json.loads(self.read(length))
        arrays = {}
        for value in table.get("outputs", []):
            flat = np.frombuffer(self.read(value["bytes"]), value["dtype"])
            strides = [stride * flat.itemsize for stride in value["strides"]]
            arrays[value["name"]] = np.lib.stride_tricks.as_strided(flat, value["shape"], strides)
        return table, arrays

    def send_table(self, table: Any) -> None:
        text = json.dumps(table).encode()
        self.stream.sendall(struct.pack("<Q", len(text)) + text)

    def request(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Any], dict[str, Array]]:
        self.send_table({"inputs": [_announcement(name, array) for name, array in inputs.items()]})
        for array in inputs.values():
            self.stream.sendall(array.tobytes())
        return self.receive()

    def end(self) -> tuple[int, str]:
        """Close the stream, and give the server's status and what it wrote to standard error."""
        self.stream.close()
        _, errors = self.process.communicate(timeout=_TIMEOUT)
        return self.process.returncode, errors.decode()


def _announcement(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.nbytes}


@pytest.fixture
def host(package: Path) -> Iterator[Host]:
    host = Host(package)
    yield host
    host.process.kill()
    host.process.communicate()
    host.stream.close()


@pytest.fixture
def ready(host: Host) -> Host:
    host.receive()
    return host


def test_ready_says_inputs_and_outputs(host: Host) -> None:
    table, _ = host.receive()
    assert table == {
        "ready": {
            "inputs": [
                {"name": "x", "dtype": "float32", "shape": [2, 3, 5]},
                {"name": "y", "dtype": "int32", "shape": [5]},
            ],
            "outputs": [
                {"name": "sum", "dtype": "float32", "shape": [2, 3, 5]},
                {"name": "same", "dtype": "int32", "shape": [5]},
            ],
        }
    }
    assert host.end() == (0, "")


def test_predictions_are_those_of_the_interpreter(small_package: Path) -> None:
    interpreter = Interpreter(read_package(small_package))
    generator = np.random.default_rng(1)
    shapes = {value.name: value.type.shape for value in interpreter.program.main.inputs}
    host = Host(small_package)
    table, _ = host.receive()
    assert [value["name"] for value in table["ready"]["inputs"]] == list(INPUT_NAMES)
    assert [value["name"] for value in table["ready"]["outputs"]] == list(OUTPUT_NAMES)
    for _ in range(2):
        inputs = {name: generator.normal(size=shapes[name]).astype(np.float32) for name in INPUT_NAMES}
        _, served = host.request(inputs)
        expected = interpreter.predict(inputs)
        assert list(served) == list(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(served[name], array)
    assert host.end() == (0, "")


def test_rows_of_outputs_begin_at_multiples_of_64_bytes_with_nan_between_them(ready: Host) -> None:
    table, arrays = ready.request({"x": _X, "y": _Y})
    output = table["outputs"][0]
    assert (output["strides"], output["bytes"]) == ([48, 16, 1], 2 * 3 * 64)
    np.testing.assert_array_equal(arrays["sum"], _SUM)
    rows = np.lib.stride_tricks.as_strided(arrays["sum"], (6, 16), (64, 4))
    assert np.isnan(rows[:, 5:]).all()


@pytest.mark.parametrize(
    ("shape", "dtype", "strides", "size"),
    [
        ((2, 16), "float32", (16, 1), 128),
        ((2, 17), "float32", (32, 1), 256),
        ((2, 17), "float16", (32, 1), 128),
        ((3,), "int32", (1,), 64),
        ((), "float32", (), 4),
        ((2, 0), "float32", None, 0),
    ],
)
def test_padded_rows(shape: tuple[int, ...], dtype: str, strides: tuple[int, ...] | None, size: int) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    padded, found = pad_rows(array)
    assert padded.nbytes == size
    if strides is not None:
        assert found == strides
        in_bytes = [stride * array.itemsize for stride in found]
        np.testing.assert_array_equal(np.lib.stride_tricks.as_strided(padded, shape, in_bytes), array)


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({"x": _X}, ["'y'", "missing"]),
        ({}, ["'x'", "missing"]),
        ({"x": _X, "y": _Y, "z": _X}, ["no input 'z'", "x, y"]),
        ({"x": np.zeros((700, 1000), np.float32), "y": _Y}, ["'x'", "[700, 1000]", "float32[2, 3, 5]"]),
        ({"x": _X.astype(np.float16), "y": _Y}, ["'x'", "float16[2, 3, 5]", "float32[2, 3, 5]"]),
    ],
)
def test_wrong_inputs_are_an_error_of_that_request_only(
    ready: Host, inputs: dict[str, Array], parts: list[str]
) -> None:
    table, _ = ready.request(inputs)
    assert list(table) == ["error"]
    for part in parts:
        assert part in table["error"]
    _, arrays = ready.request({"x": _X, "y": _Y})
    np.testing.assert_array_equal(arrays["sum"], _SUM)


def test_an_input_twice_is_an_error(ready: Host) -> None:
    ready.send_table({"inputs": [_announcement("y", _Y)] * 2})
    ready.stream.sendall(_Y.tobytes() * 2)
    assert "'y' is given twice" in ready.receive()[0]["error"]


_X_ANNOUNCED = _announcement("x", _X)


@pytest.mark.parametrize(
    ("request_bytes", "part"),
    [
        (struct.pack("<Q", 1 << 40), "announces 1099511627776 bytes of JSON"),
        (struct.pack("<Q", 4) + b"\xff{}}", "not JSON"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "not JSON"),
        ([1], "not a JSON table"),
        ({}, "no list of inputs"),
        ({"inputs": {"x": 1}}, "no list of inputs"),
        ({"inputs": [1]}, "not a JSON table"),
        ({"inputs": [{**_X_ANNOUNCED, "name": 1}]}, "no name"),
        ({"inputs": [{**_X_ANNOUNCED, "dtype": "float64"}]}, "'float64'"),
        ({"inputs": [{**_X_ANNOUNCED, "dtype": ["float32"]}]}, "expected one of float16, float32, int32"),
        ({"inputs": [{**_X_ANNOUNCED, "shape": [-2, -3, 5]}]}, "'x' has no shape"),
        ({"inputs": [{**_X_ANNOUNCED, "shape": [True]}]}, "'x' has no shape"),
        ({"inputs": [{**_X_ANNOUNCED, "bytes": 119}]}, "announces 119 bytes; float32[2, 3, 5] takes 120"),
        ({"inputs": [{**_X_ANNOUNCED, "shape": [1 << 32], "bytes": 1 << 34}]}, "at most 4294967296"),
    ],
)
def test_what_is_no_request_is_said_and_ends_the_server(ready: Host, request_bytes: Any, part: str) -> None:
    if isinstance(request_bytes, bytes):
        ready.stream.sendall(request_bytes)
    else:
        ready.send_table(request_bytes)
    assert part in ready.receive()[0]["error"]
    assert ready.stream.recv(1) == b""
    assert ready.end() == (1, "")


def test_a_request_that_is_cut_short_is_said(ready: Host) -> None:
    ready.send_table({"inputs": [_X_ANNOUNCED]})
    ready.stream.sendall(b"1234")
    ready.stream.shutdown(socket.SHUT_WR)
    assert ready.receive()[0] == {"error": "the stream ended 116 bytes early"}
    # A host that goes away before the server has ended is no error.
    assert ready.stream.recv(1) == b""
    assert ready.end() == (1, "")


def test_a_package_that_cannot_be_served_is_one_error(tmp_path: Path) -> None:
    host = Host(tmp_path / "absent.mlpackage")
    assert "absent.mlpackage is not a package" in host.receive()[0]["error"]
    assert host.stream.recv(1) == b""
    assert host.end() == (1, "")


def test_types_that_the_protocol_lacks_are_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = Interpreter(read_package(package))
    odd = Value("odd", TensorType(DataType.BOOL, (2, 3)))
    program = replace(interpreter.program, main=replace(interpreter.program.main, outputs=(odd,)))
    monkeypatch.setattr(Interpreter, "program", program)
    with pytest.raises(UnsupportedError, match=r"'odd' is bool\[2, 3\]; only float16, float32, int32"):
        Server(interpreter, 0, 1)


@pytest.mark.parametrize("already_ready", [False, True])
def test_it_ends_quietly_when_the_host_goes_away(host: Host, already_ready: bool) -> None:
    if already_ready:
        host.receive()
    assert host.end() == (0, "")


_SLOW = """
import sys, time
from htdemucs_coreml.mil import serving
def predict(self, inputs):
    time.sleep(600)
serving.Interpreter.predict = predict
sys.exit(serving.main(sys.argv[1:]))
"""


def test_it_ends_at_once_when_the_host_goes_away_during_a_prediction(package: Path) -> None:
    host = Host(package, _SLOW)
    host.receive()
    host.send_table({"inputs": []})
    time.sleep(0.2)
    start = time.monotonic()
    assert host.end() == (0, "")
    assert time.monotonic() - start < 10


_CHATTY = """
import os, sys
from htdemucs_coreml.mil import serving
def predict(self, inputs):
    print("printed", flush=True)
    os.write(1, b"written")
    assert sys.stdin.read() == ""
    return {"y": inputs["y"]}
serving.Interpreter.predict = predict
sys.exit(serving.main(sys.argv[1:]))
"""


def test_whatever_else_is_printed_stays_out_of_the_stream(package: Path) -> None:
    host = Host(package, _CHATTY)
    host.receive()
    _, arrays = host.request({"x": _X, "y": _Y})
    np.testing.assert_array_equal(arrays["y"], _Y)
    assert host.end() == (0, "printed\nwritten")


def test_sigint_is_the_hosts_business(ready: Host) -> None:
    os.kill(ready.process.pid, signal.SIGINT)
    _, arrays = ready.request({"x": _X, "y": _Y})
    np.testing.assert_array_equal(arrays["same"], _Y)
    assert ready.end() == (0, "")


def test_two_pipes_serve_as_well_as_a_socket(package: Path) -> None:
    text = json.dumps({"inputs": [_announcement("x", _X), _announcement("y", _Y)]}).encode()
    done = subprocess.run(
        [sys.executable, "-m", "htdemucs_coreml.mil.serving", str(package)],
        input=struct.pack("<Q", len(text)) + text + _X.tobytes() + _Y.tobytes(),
        capture_output=True,
        timeout=_TIMEOUT,
        check=True,
        env={"PYTHONPATH": str(Path(sys.modules["htdemucs_coreml"].__path__[0]).parent)},
    )
    assert done.stderr == b""
    assert done.stdout.count(b'"outputs"') == 2


def test_without_a_package_it_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "htdemucs_coreml.mil.serving"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(sys.modules["htdemucs_coreml"].__path__[0]).parent)},
    )
    assert done.returncode == 2
    assert done.stderr == "Usage: python -m htdemucs_coreml.mil.serving PACKAGE\n"
