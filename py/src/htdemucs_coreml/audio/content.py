"""Which decoder a file needs, told by what is in it and never by its name."""

from enum import Enum, auto
from typing import BinaryIO

_ID3_HEADER_BYTES = 10
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide")


class Content(Enum):
    """Kinds of file that need telling apart."""

    MP4 = auto()
    ADTS = auto()
    CAF = auto()
    OTHER = auto()


def content_of(stream: BinaryIO) -> tuple[Content, int]:
    """Tell what a file holds.

    An ID3v2 tag may precede AAC frames as it may MP3's. Sources: ISO/IEC 14496-12, section 4.2 (boxes);
    ISO/IEC 13818-7, section 6.2 (ADTS); Apple, "Core Audio Format Specification"; "ID3 tag version 2.4.0 - Main
    Structure", section 3.1.

    Parameters
    ----------
    stream : binary file
        At its start; its position is moved.

    Returns
    -------
    Content
        The kind.
    int
        Bytes of the tag before it.
    """
    header = stream.read(_ID3_HEADER_BYTES)
    skipped = 0
    if header[:3] == b"ID3" and len(header) == _ID3_HEADER_BYTES:
        size = 0
        for seven_bits in header[6:10]:
            size = size << 7 | seven_bits & 0x7F
        has_footer = bool(header[5] & 0x10)
        skipped = _ID3_HEADER_BYTES * (2 if has_footer else 1) + size
        stream.seek(skipped)
        header = stream.read(_ID3_HEADER_BYTES)
    # Twelve bits of synchronisation, one for the version, and two of layer, which MP3 never has at 0.
    if len(header) == _ID3_HEADER_BYTES and header[0] == 0xFF and header[1] & 0xF6 == 0xF0:
        return Content.ADTS, skipped
    if skipped == 0 and header[4:8] in _MP4_FIRST_BOXES:
        return Content.MP4, 0
    if skipped == 0 and header[:4] == b"caff":
        return Content.CAF, 0
    return Content.OTHER, 0
