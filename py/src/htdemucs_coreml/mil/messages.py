"""Messages on a stream of bytes: JSON that announces arrays, and the arrays.

A message is the length of its JSON in bytes, an 8-byte little-endian integer; then that many bytes of UTF-8,
one JSON table; then the bytes of the arrays that the table announces, in its order, with nothing between them.
Elements are little-endian. `serving` says which tables there are.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

from htdemucs_coreml.mil.errors import MessageError

_LENGTH_BYTES = 8
_MAXIMUM_JSON_BYTES = 1 << 20


def read_table(descriptor: int) -> dict[str, Any] | None:
    """Read the JSON table of a message.

    Parameters
    ----------
    descriptor : int
        File descriptor to read from.

    Returns
    -------
    dict of str to Any, or None
        None where the stream ends before a message begins.

    Raises
    ------
    MessageError
        If the stream ends within the message, or the JSON is too long or no table.
    OSError
        If the stream cannot be read.
    """
    length_bytes = bytearray(_LENGTH_BYTES)
    if not read_into(descriptor, memoryview(length_bytes), may_end=True):
        return None
    length = int.from_bytes(length_bytes, "little")
    if length > _MAXIMUM_JSON_BYTES:
        raise MessageError(f"a message announces {length} bytes of JSON; at most {_MAXIMUM_JSON_BYTES} are accepted")
    text = bytearray(length)
    read_into(descriptor, memoryview(text))
    try:
        table = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"a message is not JSON: {error}") from error
    if not isinstance(table, dict):
        raise MessageError("a message is not a JSON table")
    return table


def read_into(descriptor: int, buffer: memoryview, may_end: bool = False) -> bool:
    """Fill a buffer of bytes from a stream.

    Parameters
    ----------
    descriptor : int
        File descriptor to read from.
    buffer : memoryview
        What is filled, contiguous bytes.
    may_end : bool
        Whether the stream may end here, before the first byte.

    Returns
    -------
    bool
        False where the stream ended before the first byte and may.

    Raises
    ------
    MessageError
        If the stream ends early otherwise.
    """
    filled = 0
    while filled < len(buffer):
        count = os.readv(descriptor, [buffer[filled:]])
        if count == 0:
            if filled == 0 and may_end:
                return False
            raise MessageError(f"the stream ended {len(buffer) - filled} bytes early")
        filled += count
    return True


def write_message(descriptor: int, table: dict[str, Any], arrays: Sequence[memoryview] = ()) -> None:
    """Write a message.

    Parameters
    ----------
    descriptor : int
        File descriptor to write to.
    table : dict of str to Any
        What is written as JSON.
    arrays : sequence of memoryview
        Bytes that follow, each contiguous.

    Raises
    ------
    OSError
        If the stream cannot be written to; `BrokenPipeError` or `ConnectionResetError` if the peer is gone.
    """
    text = json.dumps(table, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    for part in (memoryview(len(text).to_bytes(_LENGTH_BYTES, "little") + text), *arrays):
        written = 0
        while written < len(part):
            written += os.write(descriptor, part[written:])
