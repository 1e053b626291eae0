"""Whether a file of samples ends before its container says so.

libsndfile reads what there is of a cut file and says nothing. These checks find the cut before any sample is
read; a compressed file that states its length (FLAC, most MP3) is checked by counting instead, see
`AudioFile.frames`.
"""

import re
import struct
from pathlib import Path

_STATED_SIZE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d{1,20}) \(should be (\d{1,20})\)", re.MULTILINE | re.ASCII
)
_UNKNOWN_SIZES = (range(0x7FFFF000, 0x80000000), range(0xFFFFF000, 0x100000000))

_OGG_PAGE_HEADER = struct.Struct("<4s B B q I I I B")
_OGG_CAPTURE = b"OggS"
_OGG_LAST_PAGE = 0x04


def stated_bytes_missing(libsndfile_log: str) -> int:
    """Count the bytes that an uncompressed file's header states beyond what the file holds.

    Parameters
    ----------
    libsndfile_log : str
        ``SoundFile.extra_info``: where libsndfile 1.2 found another size than stated, it says ``(should be
        N)``. Covers WAV, AIFF, AU, W64 and RF64; a wrong size of a WAV's outer chunk alone does not count,
        since no sample is missing.

    Returns
    -------
    int
        0 for a file that is whole, or that was written to a pipe: writers then state the largest size there
        is.
    """
    for stated, present in _STATED_SIZE.findall(libsndfile_log):
        if int(stated) > int(present) and not any(int(stated) in sizes for sizes in _UNKNOWN_SIZES):
            return int(stated) - int(present)
    return 0


def ogg_pages_missing(path: Path) -> bool:
    """Tell whether an Ogg file lacks pages, the one that is marked as a stream's last included.

    What follows a last page and is no page, such as a tag that another program appended, does not matter.
    Source of the layout: RFC 3533, section 6.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    size = path.stat().st_size
    next_number: dict[int, int] = {}
    between_streams = False
    with path.open("rb") as file:
        while len(header := file.read(_OGG_PAGE_HEADER.size)) == _OGG_PAGE_HEADER.size:
            capture, _, flags, _, serial, number, _, segments = _OGG_PAGE_HEADER.unpack(header)
            if capture != _OGG_CAPTURE:
                break
            page_end = file.tell() + segments + sum(file.read(segments))
            if number != next_number.get(serial, number) or page_end > size:
                return True
            next_number[serial] = number + 1
            between_streams = bool(flags & _OGG_LAST_PAGE)
            file.seek(page_end)
    cut_within_header = 0 < len(header) < _OGG_PAGE_HEADER.size and _OGG_CAPTURE.startswith(header[:4])
    return cut_within_header or not between_streams
