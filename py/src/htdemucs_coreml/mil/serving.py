"""A server of predictions for one package, over one stream: ``python -m htdemucs_coreml.mil.serving PACKAGE``.

The host reads from the server's standard output and writes to its standard input, pipes or a socket. Messages
are those of `messages`. Their tables:

===========  ================================================================  ==========================
from         table                                                             arrays
===========  ================================================================  ==========================
server       ``{"ready": {"inputs": [VALUE...], "outputs": [VALUE...]}}``      none
host         ``{"inputs": [VALUE with "bytes"...]}``                           every input, contiguous
server       ``{"outputs": [VALUE with "strides" and "bytes"...]}``            every output, rows padded
server       ``{"error": "one sentence"}``                                     none
===========  ================================================================  ==========================

A *VALUE* is ``{"name": "x", "dtype": "float32", "shape": [1, 2, 3]}``, its type one of ``float16``, ``float32``
and ``int32``; ``bytes`` is the size of its array in the message. An output's ``strides`` count elements, as
Core ML's do. As there, its rows (along the last axis) begin at multiples of 64 bytes, and what lies between
them is no data (here, NaN or -1): hosts have to respect strides.

The server speaks first: ready, or an error if the package cannot be served, and then it ends. Requests are
answered in order. An error that a request's inputs cause leaves the server ready for the next; one of the
protocol itself, after which the stream cannot be understood any more, is said and ends the server with status 1.
It ends quietly, with status 0, when the host closes the stream, also in the middle of a prediction.

Nothing but messages gets into the stream: whatever else is written to standard output goes to standard error.
SIGINT is ignored, because a terminal sends it to the host too, and the host decides.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from htdemucs_coreml.mil.errors import InputError, MessageError, MILError, UnsupportedError
from htdemucs_coreml.mil.interpreter import Interpreter
from htdemucs_coreml.mil.messages import read_into, read_table, write_message
from htdemucs_coreml.mil.program import Argument
from htdemucs_coreml.mil.reader import read_package
from htdemucs_coreml.mil.tensor_types import Array

ROW_BYTES = 64
"""Rows of outputs begin at multiples of this many bytes."""

_TYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float16", "float32", "int32")}
_MAXIMUM_RANK = 32
_MAXIMUM_REQUEST_BYTES = 1 << 32
_DISCARD_BYTES = 1 << 20


@dataclass(frozen=True)
class _Announced:
    """An input as a request announces it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


class Server:
    """Answers requests for predictions until the host closes the stream.

    Parameters
    ----------
    interpreter : Interpreter
        The program to execute.
    requests, replies : int
        File descriptors to read requests from and to write replies to; they may be the same.

    Raises
    ------
    UnsupportedError
        If an input or output has a type that the protocol lacks.
    """

    def __init__(self, interpreter: Interpreter, requests: int, replies: int) -> None:
        self._interpreter = interpreter
        self._requests = requests
        self._replies = replies
        main = interpreter.program.main
        self._inputs = {value.name: value.type for value in main.inputs}
        self._ready = {"inputs": [_value(v) for v in main.inputs], "outputs": [_value(v) for v in main.outputs]}

    def run(self) -> None:
        """Say ready, then answer requests until the stream ends.

        Raises
        ------
        MessageError
            If a request is not of the protocol.
        OSError
            If the stream fails; `BrokenPipeError` or `ConnectionResetError` if the host is gone.
        """
        write_message(self._replies, {"ready": self._ready})
        while (table := read_table(self._requests)) is not None:
            inputs = self._read_inputs(_announced(table))
            try:
                outputs = self._interpreter.predict(self._accept(inputs))
            except MILError as error:
                write_message(self._replies, {"error": str(error)})
            else:
                self._write_outputs(outputs)

    def _read_inputs(self, announced: list[_Announced]) -> list[tuple[_Announced, Array | None]]:
        """Read every array, those that do not fit into nothing, so that the stream stays in step."""
        inputs: list[tuple[_Announced, Array | None]] = []
        for item in announced:
            declared = self._inputs.get(item.name)
            if declared is None or item.shape != declared.shape or _TYPES[item.dtype] != declared.dtype.numpy:
                _discard(self._requests, item.bytes)
                inputs.append((item, None))
            else:
                array = np.empty(item.shape, _TYPES[item.dtype])
                read_into(self._requests, _bytes(array))
                inputs.append((item, array))
        return inputs

    def _accept(self, inputs: list[tuple[_Announced, Array | None]]) -> dict[str, Array]:
        accepted: dict[str, Array] = {}
        for item, array in inputs:
            if item.name not in self._inputs:
                raise InputError(f"there is no input '{item.name}'; the program has {', '.join(self._inputs)}")
            if array is None:
                raise InputError(
                    f"input '{item.name}' is {item.dtype}{list(item.shape)}; expected {self._inputs[item.name]}"
                )
            if item.name in accepted:
                raise InputError(f"input '{item.name}' is given twice")
            accepted[item.name] = array
        return accepted

    def _write_outputs(self, outputs: Mapping[str, Array]) -> None:
        values: list[dict[str, Any]] = []
        arrays: list[memoryview] = []
        for name, output in outputs.items():
            padded, strides = pad_rows(output)
            values.append(
                {
                    "name": name,
                    "dtype": output.dtype.name,
                    "shape": list(output.shape),
                    "strides": list(strides),
                    "bytes": padded.nbytes,
                }
            )
            arrays.append(_bytes(padded))
        write_message(self._replies, {"outputs": values}, arrays)


def pad_rows(array: Array) -> tuple[Array, tuple[int, ...]]:
    """Copy an array so that rows begin at multiples of `ROW_BYTES`.

    Parameters
    ----------
    array : Array
        Elements, whose size divides `ROW_BYTES`.

    Returns
    -------
    padded : Array
        ``[..., row]``, contiguous, with what lies between rows set to NaN (integers: -1).
    strides : tuple of int
        Distance in elements between neighbours along every axis.
    """
    if array.ndim == 0:
        return array.reshape(1).copy(), ()
    row = -(-array.shape[-1] * array.itemsize // ROW_BYTES) * ROW_BYTES // array.itemsize
    padded = np.empty((*array.shape[:-1], row), array.dtype)
    padded[..., : array.shape[-1]] = array
    padded[..., array.shape[-1] :] = np.nan if array.dtype.kind == "f" else -1
    return padded, tuple(stride // array.itemsize for stride in padded.strides)


def _value(value: Argument) -> dict[str, Any]:
    dtype = value.type.dtype.numpy.name
    if dtype not in _TYPES:
        raise UnsupportedError(f"'{value.name}' is {value.type}; only {', '.join(_TYPES)} can be served")
    return {"name": value.name, "dtype": dtype, "shape": list(value.type.shape)}


def _announced(table: dict[str, Any]) -> list[_Announced]:
    """Inputs that a request announces.

    Raises
    ------
    MessageError
        If the table is no request, so that nobody knows how many bytes follow.
    """
    items = table.get("inputs")
    if not isinstance(items, list):
        raise MessageError("a request has no list of inputs")
    announced = [_announced_item(item) for item in items]
    total = sum(item.bytes for item in announced)
    if total > _MAXIMUM_REQUEST_BYTES:
        raise MessageError(f"a request announces {total} bytes; at most {_MAXIMUM_REQUEST_BYTES} are accepted")
    return announced


def _announced_item(item: Any) -> _Announced:
    if not isinstance(item, dict):
        raise MessageError("an input of a request is not a JSON table")
    name, dtype, shape, size = (item.get(key) for key in ("name", "dtype", "shape", "bytes"))
    if not isinstance(name, str):
        raise MessageError("an input of a request has no name")
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise MessageError(f"input '{name}' has the type {dtype!r}; expected one of {', '.join(_TYPES)}")
    if (
        not isinstance(shape, list)
        or len(shape) > _MAXIMUM_RANK
        or any(type(length) is not int or not 0 <= length <= _MAXIMUM_REQUEST_BYTES for length in shape)
    ):
        raise MessageError(f"input '{name}' has no shape that is a list of lengths")
    expected = _TYPES[dtype].itemsize
    for length in shape:
        expected *= length
    if type(size) is not int or size != expected:
        raise MessageError(f"input '{name}' announces {size!r} bytes; {dtype}{shape} takes {expected}")
    return _Announced(name, dtype, tuple(shape), expected)


def _bytes(array: Array) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _discard(descriptor: int, count: int) -> None:
    buffer = memoryview(bytearray(min(count, _DISCARD_BYTES)))
    while count > 0:
        part = min(count, len(buffer))
        read_into(descriptor, buffer[:part])
        count -= part


def _take_stream() -> tuple[int, int]:
    """Keep the standard streams' descriptors for messages, and put harmless ones in their places."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _end_when_closed(replies: int) -> None:
    """End the process as soon as nobody can read replies any more; a prediction would otherwise go on for nobody."""

    def watch() -> None:
        poll = select.poll()
        poll.register(replies, 0)  # hang-ups and errors are always reported
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Serve a package until the host closes the stream.

    Parameters
    ----------
    arguments : list of str
        The package's path.

    Returns
    -------
    int
        Exit status: 0 once the stream is closed, 1 after an error that was said, 2 for wrong usage.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if len(arguments) != 1:
        sys.stderr.write("Usage: python -m htdemucs_coreml.mil.serving PACKAGE\n")
        return 2
    requests, replies = _take_stream()
    _end_when_closed(replies)
    try:
        try:
            Server(Interpreter(read_package(Path(arguments[0]))), requests, replies).run()
        except MILError as error:
            write_message(replies, {"error": str(error)})
            return 1
    except (BrokenPipeError, ConnectionResetError):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
