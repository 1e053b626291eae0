"""What is read of audio files without a library, and the checks around the libraries."""

import io
import struct
from contextlib import ExitStack
from random import Random

from fuzz.scratch import written
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.audio.caf_statement import CAFError, read_packet_table
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.mp4_statement import MP4Error, read_sound_track
from htdemucs_coreml.audio.truncation import ogg_pages_missing, stated_bytes_missing
from htdemucs_coreml.audio.unstated_wav import with_stated_size

_PAGE_HEADER_BYTES = 27
_LAST_PAGE = 0x04


def ogg_pages(data: bytes) -> None:
    """An Ogg file: one that is whole ends with a last page, and lacks pages when it is cut before that page's end."""
    missing = ogg_pages_missing(written("audio.ogg", data))
    end, ends_with_last_page = _walk(data)
    if missing:
        return
    assert end == 0 or ends_with_last_page
    if end:
        assert ogg_pages_missing(written("audio.ogg", data[: end - 1]))


def _walk(data: bytes) -> tuple[int, bool]:
    """Where the last whole page ends, and whether it is marked as a stream's last."""
    position, last = 0, False
    while data[position : position + 4] == b"OggS" and len(data) >= position + _PAGE_HEADER_BYTES:
        segments = data[position + _PAGE_HEADER_BYTES - 1]
        table = data[position + _PAGE_HEADER_BYTES : position + _PAGE_HEADER_BYTES + segments]
        end = position + _PAGE_HEADER_BYTES + segments + sum(table)
        if end > len(data):
            break
        last = bool(data[position + 5] & _LAST_PAGE)
        position = end
    return position, last


def ogg_page(flags: int, serial: int, number: int, body: bytes) -> bytes:
    """A page with one packet; its checksum is left out."""
    segments = [255] * (len(body) // 255) + [len(body) % 255]
    header = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, number, 0, len(segments))
    return header + bytes(segments) + body


def libsndfile_log(data: bytes) -> None:
    """What libsndfile says of a file: never a negative number of bytes is missing."""
    assert stated_bytes_missing(data.decode("utf-8", "replace")) >= 0


def mp4_statement(data: bytes) -> None:
    """The boxes of an MP4 file: what is stated fits in the file, and no part of negative length is played."""
    track = read_sound_track(io.BytesIO(data))
    assert 0 <= track.packet_bytes <= len(data)
    assert track.ticks_per_second > 0
    assert track.ticks >= 0
    if track.edit is not None:
        first, ticks = track.edit
        assert first >= 0
        assert ticks >= 0


def caf_statement(data: bytes) -> None:
    """The chunks of a Core Audio file: what is stated fits in the file."""
    table = read_packet_table(io.BytesIO(data))
    assert 0 <= table.packet_bytes <= len(data)
    assert 0 <= table.packets <= len(data)
    assert table.first_frame >= 0
    assert table.frames >= 0


def unstated_wav(data: bytes) -> None:
    """A WAV file whose size is left open: read in any pieces, it is the file but for that size."""
    with ExitStack() as stack:
        stream = with_stated_size(written("unstated.wav", data), stack)
        if stream is None:
            return
        whole = stream.read()
        assert whole is not None
        assert len(whole) == len(data)
        different = [position for position in range(len(data)) if data[position] != whole[position]]
        assert len(different) == 4
        assert whole[different[0] : different[3] + 1] == b"\xff" * 4
        stream.seek(different[0] - 1)
        pieces = b"".join(iter(lambda: stream.read(3) or b"", b""))
        assert pieces == whole[different[0] - 1 :]


def audio_file(data: bytes) -> None:
    """A file of any kind, decoded by the libraries and checked around them: finite samples, as many as are counted."""
    file = AudioFile(written("audio", data))
    frames = 0
    for block in file.blocks(1000):
        assert block.shape[0] == file.channels
        assert bool(block.isfinite().all())
        frames += block.shape[1]
    assert frames == file.frames > 0
    assert all(text.isprintable() or " " in text for _, text in file.tags.items())


def _mutate_boxes(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change a 32-bit number of an MP4 or Core Audio file, or bytes alone."""
    if len(data) < 16 or random.random() < 0.4:
        return mutate_bytes(data, maximum)
    changed = bytearray(data)
    at = 4 * random.randrange(len(data) // 4)
    value = int.from_bytes(changed[at : at + 4], "big")
    value = random.choice((value + 1, value - 1, value * 2, 0, 1, 8, len(data), 2**31, 2**32 - 1))
    changed[at : at + 4] = (value % 2**32).to_bytes(4, "big")
    return bytes(changed[:maximum])


def _mutate_pages(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Repeat, drop or exchange pages, or change bytes alone."""
    starts = [position for position in range(len(data)) if data.startswith(b"OggS", position)]
    if len(starts) < 2 or random.random() < 0.5:
        return mutate_bytes(data, maximum)
    pages = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    index, other = random.randrange(len(pages)), random.randrange(len(pages))
    choice = random.randrange(3)
    if choice == 0:
        del pages[index]
    elif choice == 1:
        pages.insert(other, pages[index])
    else:
        pages[index], pages[other] = pages[other], pages[index]
    return b"".join(pages)[:maximum]


TARGETS = (
    Target("ogg_pages", ogg_pages, weight=10, mutate=_mutate_pages),
    Target("libsndfile_log", libsndfile_log, weight=6),
    Target("mp4_statement", mp4_statement, (MP4Error,), weight=10, mutate=_mutate_boxes),
    Target("caf_statement", caf_statement, (CAFError,), weight=8, mutate=_mutate_boxes),
    Target("unstated_wav", unstated_wav, weight=8),
    Target("audio_file", audio_file, (AudioError,), weight=3, mutate=_mutate_boxes),
)
