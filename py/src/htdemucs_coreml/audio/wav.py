"""The chunks of WAV files that are written, around the samples.

They are the project's own because libsndfile writes the time of day into floating-point files (chunk ``PEAK``).
Sources: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" and "New Multimedia Data
Types", 1994, for WAV; EBU Tech 3306 for RF64.
"""

import struct

from htdemucs_coreml.audio.tags import Tags

_CHANNELS = 2
_LARGEST_RIFF_BYTES = 0xFFFFFFFF
# ITRK is not in the specification; libsndfile and FFmpeg read it as the track's number.
_INFO_NAMES = {
    "title": b"INAM",
    "artist": b"IART",
    "album": b"IPRD",
    "date": b"ICRD",
    "track_number": b"ITRK",
    "genre": b"IGNR",
    "comment": b"ICMT",
    "copyright": b"ICOP",
}


def wav_header(integer_bits: int | None, sample_rate_hz: int, frames: int, trailing_bytes: int = 0) -> bytes:
    """Return what precedes the samples of a stereo WAV file, or of an RF64 file if it is longer than 4 GiB.

    Parameters
    ----------
    integer_bits : int, optional
        Bits of a sample; None for float32.
    sample_rate_hz, frames : int
        Rate and length.
    trailing_bytes : int
        Length of the chunks that follow the samples.
    """
    is_float = integer_bits is None
    sample_bytes = 4 if integer_bits is None else integer_bits // 8
    frame_bytes = _CHANNELS * sample_bytes
    data_bytes = frames * frame_bytes
    layout = struct.pack(
        "<HHIIHH",
        3 if is_float else 1,
        _CHANNELS,
        sample_rate_hz,
        sample_rate_hz * frame_bytes,
        frame_bytes,
        8 * sample_bytes,
    )
    chunks = _chunk(b"fmt ", layout + bytes(2) if is_float else layout)
    if is_float:
        chunks += _chunk(b"fact", struct.pack("<I", min(frames, 0xFFFFFFFF)))
    riff_bytes = len(b"WAVE") + len(chunks) + 8 + data_bytes + trailing_bytes
    if riff_bytes <= _LARGEST_RIFF_BYTES:
        return struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE") + chunks + struct.pack("<4sI", b"data", data_bytes)
    riff_bytes += 8 + 28
    sizes = _chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, frames, 0))
    unknown = 0xFFFFFFFF
    return struct.pack("<4sI4s", b"RF64", unknown, b"WAVE") + sizes + chunks + struct.pack("<4sI", b"data", unknown)


def wav_info(tags: Tags) -> bytes:
    """Return the chunk ``LIST`` that follows the samples; nothing if there are no tags.

    Texts are UTF-8, which the specification leaves open and readers expect, and end with a NUL. Stereo samples
    take an even number of bytes, so that no padding comes between.
    """
    texts = b"".join(_chunk(_INFO_NAMES[name], text.encode() + b"\0") for name, text in tags.items())
    return _chunk(b"LIST", b"INFO" + texts) if texts else b""


def _chunk(name: bytes, content: bytes) -> bytes:
    """Chunks begin at even positions; the padding does not count as content."""
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)
