"""What is read of audio files without a library."""

import struct
from random import Random

from fuzz.scratch import written
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.audio.truncation import ogg_pages_missing, stated_bytes_missing

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
)
