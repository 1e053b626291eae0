"""A strict reader of zip archives whose entries are stored as they are, which is what ``torch.save`` writes.

Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.4. Nothing is decompressed.
Sizes come from the central directory and have to lie inside the file; entries have names of their own, do not overlap,
and have the checksums that the directory gives.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from htdemucs_coreml.weights.content import FormError

SIGNATURE = b"PK\x03\x04"
MAX_ENTRIES = 1 << 14

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_DIRECTORY_HEADER = struct.Struct("<4s6H3I5H2I")
_DIRECTORY_END = struct.Struct("<4s4H2IH")
# What precedes that end in archives whose writer was ready for 64-bit sizes; the numbers are the same.
_DIRECTORY_END_64 = struct.Struct("<4sQ2H2I4Q4sIQI")

_SIZES_FOLLOW_FLAG = 0x0008
_UTF8_FLAG = 0x0800
_STORED_METHOD = 0
_FOLDER_ATTRIBUTE = 0x10


@dataclass(frozen=True)
class _Entry:
    name: bytes
    flags: int
    crc32: int
    size: int
    offset: int


def stored_entries(content: bytes) -> Mapping[str, memoryview]:
    """Contents of every entry by its name, as views of the archive.

    Raises
    ------
    FormError
        If the archive departs from the format, or compresses or encrypts an entry.
    """
    directory, count = _directory(content)
    entries = sorted(_directory_entries(content, directory, count), key=lambda entry: entry.offset)
    view = memoryview(content)
    contents: dict[str, memoryview] = {}
    for entry, following in zip(entries, [*(entry.offset for entry in entries[1:]), directory.start], strict=True):
        start = _data_start(content, entry)
        if start + entry.size > following:
            raise FormError("entries of its archive overlap or lie outside of it")
        name = _decoded(entry.name)
        if name in contents:
            raise FormError(f"its archive has two entries {name!r}")
        data = view[start : start + entry.size]
        if zlib.crc32(data) != entry.crc32:
            raise FormError(f"entry {name!r} of its archive has another checksum than the archive says")
        contents[name] = data
    return contents


def _directory(content: bytes) -> tuple[range, int]:
    """Where the central directory lies, and how many entries it has."""
    end = len(content) - _DIRECTORY_END.size
    if end < 0:
        raise FormError("its archive is cut off")
    signature, disk, first_disk, here, count, size, start, comment = _DIRECTORY_END.unpack_from(content, end)
    if signature != b"PK\x05\x06" or comment:
        raise FormError("its archive is cut off, or something follows it")
    if disk or first_disk or here != count or not 0 < count <= MAX_ENTRIES:
        raise FormError(f"its archive does not have 1 to {MAX_ENTRIES} entries in one file")
    directory = range(start, start + size)
    if directory.stop not in (end, end - _DIRECTORY_END_64.size):
        raise FormError("its archive's directory does not lie where the archive says")
    if directory.stop != end:
        _require_same_in_64_bits(content, directory, count)
    return directory, count


def _require_same_in_64_bits(content: bytes, directory: range, count: int) -> None:
    fields = _DIRECTORY_END_64.unpack_from(content, directory.stop)
    end, size, _, _, *numbers, locator, disk, offset, disks = fields
    expected = [0, 0, count, count, len(directory), directory.start]
    if (end, size, locator) != (b"PK\x06\x06", 44, b"PK\x06\x07") or (numbers, disk, offset, disks) != (
        expected,
        0,
        directory.stop,
        1,
    ):
        raise FormError("its archive's directory lies elsewhere in 64 bits than in 32")


def _directory_entries(content: bytes, directory: range, count: int) -> list[_Entry]:
    position = directory.start
    entries = []
    for _ in range(count):
        name_start = position + _DIRECTORY_HEADER.size
        if name_start > directory.stop:
            raise FormError("its archive's directory is cut off")
        fields = _DIRECTORY_HEADER.unpack_from(content, position)
        signature, _, _, flags, method, _, _, crc32, compressed, size, name_bytes, extra, comment, disk = fields[:14]
        name = content[name_start : name_start + name_bytes]
        position = name_start + name_bytes + extra + comment
        if signature != b"PK\x01\x02" or position > directory.stop or disk:
            raise FormError("its archive's directory is damaged")
        if method != _STORED_METHOD or flags & ~(_SIZES_FOLLOW_FLAG | _UTF8_FLAG) or compressed != size:
            raise FormError("an entry of its archive is compressed or encrypted, which torch.save never does")
        if fields[15] & _FOLDER_ATTRIBUTE or name.endswith(b"/"):
            # Readers that heed the attribute read nothing of such an entry.
            raise FormError("an entry of its archive is a folder, which torch.save never writes")
        entries.append(_Entry(name, flags, crc32, size, fields[16]))
    if position != directory.stop:
        raise FormError("its archive's directory is damaged")
    return entries


def _data_start(content: bytes, entry: _Entry) -> int:
    """Where an entry's bytes begin, after a header that repeats what the directory says."""
    name_start = entry.offset + _LOCAL_HEADER.size
    if name_start > len(content):
        raise FormError("entries of its archive overlap or lie outside of it")
    fields = _LOCAL_HEADER.unpack_from(content, entry.offset)
    signature, _, flags, method, _, _, crc32, compressed, size = fields[:9]
    name_bytes, extra_bytes = int(fields[9]), int(fields[10])
    repeated = (0, 0, 0) if flags & _SIZES_FOLLOW_FLAG else (entry.crc32, entry.size, entry.size)
    if (
        (signature, flags, method) != (SIGNATURE, entry.flags, _STORED_METHOD)
        or (crc32, compressed, size) != repeated
        or content[name_start : name_start + name_bytes] != entry.name
    ):
        raise FormError("an entry of its archive is described in two ways")
    return name_start + name_bytes + extra_bytes


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise FormError("an entry of its archive has a name that is not UTF-8") from error
