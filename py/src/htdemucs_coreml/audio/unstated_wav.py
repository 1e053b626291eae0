"""WAV files whose writer could not go back to fill in the sizes and left zeros."""

import io
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

_MOST_CHUNKS = 10_000
_UNKNOWN_SIZE = struct.pack("<I", 0xFFFFFFFF)


def with_stated_size(path: Path, stack: ExitStack) -> io.RawIOBase | None:
    """Open a WAV file whose samples are stated to take 0 bytes, but follow, as if their size were unknown.

    libsndfile reads to the end of a file that states the largest size there is, and reads nothing of one that
    states 0. A file whose outer chunk goes beyond the empty ``data`` is one without samples. Source: Microsoft
    and IBM, "Multimedia Programming Interface and Data Specifications 1.0".

    Parameters
    ----------
    path : Path
        A regular file.
    stack : ExitStack
        Closes the stream.

    Returns
    -------
    binary file or None
        None if this is no such file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        position = _empty_data_size_at(file)
    if position is None:
        return None
    return stack.enter_context(_Patched(stack.enter_context(path.open("rb")), position, _UNKNOWN_SIZE))


def _empty_data_size_at(file: BinaryIO) -> int | None:
    """Find where the size of such a file's samples stands."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    outer = file.read(12)
    if outer[:4] != b"RIFF" or outer[8:] != b"WAVE":
        return None
    stated_end = 8 + int.from_bytes(outer[4:8], "little")
    position = len(outer)
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return None
        chunk_bytes = int.from_bytes(header[4:], "little")
        if header[:4] == b"data":
            samples_start = position + 8
            ends_with_data = stated_end <= samples_start or stated_end == 8 + 0xFFFFFFFF
            return position + 4 if chunk_bytes == 0 and ends_with_data and size > samples_start else None
        position += 8 + chunk_bytes + chunk_bytes % 2
    return None


class _Patched(io.RawIOBase):
    """A file with a few bytes replaced."""

    def __init__(self, file: BinaryIO, position: int, replacement: bytes) -> None:
        self._file = file
        self._position = position
        self._replacement = replacement

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    # The type of any buffer has no name before Python 3.12.
    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        start = self._file.tell()
        content = bytearray(self._file.read(len(buffer)))
        for index, byte in enumerate(self._replacement, self._position - start):
            if 0 <= index < len(content):
                content[index] = byte
        buffer[: len(content)] = content
        return len(content)
