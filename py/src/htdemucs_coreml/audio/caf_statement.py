"""What a Core Audio file states of compressed sound: how many bytes it has, and which frames are played.

Source: Apple, "Core Audio Format Specification 1.0": chunks ``data`` and ``pakt``.
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from htdemucs_coreml.audio.errors import AudioError

_MOST_CHUNKS = 10_000


class CAFError(AudioError):
    """The chunks are damaged; the message does not name the file."""


@dataclass(frozen=True)
class PacketTable:
    """What the chunks say.

    Attributes
    ----------
    packets : int
        Number of packets.
    packet_bytes : int
        Bytes of all packets.
    first_frame, frames : int
        The part that is played: what precedes it is the encoder's delay, what follows is padding.
    """

    packets: int
    packet_bytes: int
    first_frame: int
    frames: int


def read_packet_table(stream: BinaryIO) -> PacketTable:
    """Read the statement of a file of compressed sound.

    Raises
    ------
    CAFError
        If a chunk is missing, or states more than the file holds.
    """
    file_bytes = stream.seek(0, io.SEEK_END)
    position = 8
    data_bytes: int | None = None
    table: tuple[int, int, int, int] | None = None
    for _ in range(_MOST_CHUNKS):
        if position + 12 > file_bytes or (data_bytes is not None and table is not None):
            break
        stream.seek(position)
        kind, size = struct.unpack(">4sq", stream.read(12))
        content = position + 12
        if kind == b"data" and size == -1:
            size = file_bytes - content
        if size < 0 or content + size > file_bytes:
            raise CAFError("the file is truncated or damaged: a chunk ends after the file")
        if kind == b"data":
            if size < 4:
                raise CAFError("the file is damaged: its samples are shorter than the number before them")
            # The first four bytes number the edits.
            data_bytes = size - 4
        if kind == b"pakt":
            if size < 24:
                raise CAFError("the file is damaged: its table of packets is too short")
            table = struct.unpack(">qqii", stream.read(24))
        position = content + size
    if data_bytes is None or table is None:
        raise CAFError("the file is truncated or damaged: it has no samples, or no table of packets")
    packets, frames, first_frame, remainder = table
    if not 0 <= packets <= file_bytes or min(frames, first_frame, remainder) < 0:
        raise CAFError(f"the file is damaged: it states {packets} packets and has {file_bytes} bytes")
    return PacketTable(packets, data_bytes, first_frame, frames)
