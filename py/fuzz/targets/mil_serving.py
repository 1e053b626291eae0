"""The protocol of predictions over a stream."""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

import numpy as np

from fuzz.json_mutation import mutate_json
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.mil.errors import MessageError
from htdemucs_coreml.mil.interpreter import Interpreter
from htdemucs_coreml.mil.messages import read_table, write_message
from htdemucs_coreml.mil.program import Constant, Function, Metadata, Operation, Program, Value
from htdemucs_coreml.mil.serving import Server
from htdemucs_coreml.mil.tensor_types import Array, DataType, TensorType

_LENGTH_BYTES = 8


@functools.cache
def _interpreter() -> Interpreter:
    """Doubles three numbers, and passes two through."""
    x, y = Value("x", TensorType(DataType.FLOAT32, (3,))), Value("y", TensorType(DataType.INT32, (1, 2)))
    doubled = Value("doubled", x.type)
    two = Constant("two", TensorType(DataType.FLOAT32, ()), np.full(1, 2, np.float32))
    doubling = Operation("mul", "doubling", {"x": (x,), "y": (two,)}, (doubled,))
    main = Function("main", "CoreML8", (x, y), {}, (), (doubling,), (doubled, y))
    return Interpreter(Program(Path("none"), Path("none"), (), 9, Metadata("", "", "", "", {}), main))


def requests(data: bytes) -> None:
    """A stream of requests: each that is whole has one reply, and nothing else is written."""
    incoming, outgoing = os.memfd_create("requests"), os.memfd_create("replies")
    try:
        os.write(incoming, data)
        os.lseek(incoming, 0, os.SEEK_SET)
        try:
            Server(_interpreter(), incoming, outgoing).run()
        finally:
            _check_replies(outgoing)
    finally:
        os.close(incoming)
        os.close(outgoing)


def _check_replies(descriptor: int) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    tables = []
    while (table := read_table(descriptor)) is not None:
        tables.append(table)
        for value in table.get("outputs", []):
            assert len(os.read(descriptor, value["bytes"])) == value["bytes"]
    assert list(tables[0]) == ["ready"]
    assert all(list(table) in (["outputs"], ["error"]) for table in tables[1:])


def _mutate_requests(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change one message's table as JSON and give its length right, or repeat a message, or change bytes alone."""
    if random.random() < 0.15:
        return mutate_bytes(data, maximum)
    messages = _messages(data)
    index = random.randrange(len(messages))
    table, arrays = messages[index]
    choice = random.randrange(8)
    if choice == 0:
        messages.insert(index, (table, arrays))
    elif choice == 1 and len(messages) > 1:
        del messages[index]
    elif choice == 2:
        messages[index] = (table, mutate_bytes(arrays or b"\0", len(arrays) + 16))
    else:
        messages[index] = (mutate_json(table, len(table) + 4096, random, mutate_bytes), arrays)
    return b"".join(len(table).to_bytes(_LENGTH_BYTES, "little") + table + arrays for table, arrays in messages)[
        :maximum
    ]


def _messages(data: bytes) -> list[tuple[bytes, bytes]]:
    """Tables with the bytes that follow each, as far as they can be told apart."""
    found: list[tuple[bytes, bytes]] = []
    position = 0
    while position < len(data) or not found:
        length = int.from_bytes(data[position : position + _LENGTH_BYTES], "little")
        start = position + _LENGTH_BYTES
        table = data[start : start + length]
        end = start + len(table) + _announced(table)
        found.append((table, data[start + len(table) : end]))
        position = end
    return found


def _announced(table: bytes) -> int:
    try:
        sizes = [item["bytes"] for item in json.loads(table)["inputs"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return sum(size for size in sizes if type(size) is int and 0 <= size < 1 << 16)


def message(inputs: Mapping[str, Array]) -> bytes:
    """A request as a host sends it."""
    descriptor = os.memfd_create("message")
    table = {
        "inputs": [
            {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.nbytes}
            for name, array in inputs.items()
        ]
    }
    write_message(descriptor, table, [memoryview(array.tobytes()) for array in inputs.values()])
    os.lseek(descriptor, 0, os.SEEK_SET)
    content = os.read(descriptor, 1 << 20)
    os.close(descriptor)
    return content


TARGETS = (Target("mil_requests", requests, (MessageError,), weight=12, mutate=_mutate_requests),)
