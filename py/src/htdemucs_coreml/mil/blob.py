"""Reader of weight files (``weight.bin``, "MIL blob storage" version 2).

Everything is little-endian. A file header of 64 bytes holds the number of blobs (u32), the version (u32) and
zeros. Then, for each blob, at a multiple of 64: a header of 64 bytes with a sentinel (u32), the element type
(u32), the size of its data in bytes (u64), the offset of its data in the file (u64), the number of unused
bits at the end of the data (u64) and zeros; the data follows. Gaps are zero. Programs refer to a blob by the
offset of its header. Elements narrower than a byte are packed from the least significant bit upwards.

Sources: apple/coremltools@f391218:mlmodel/src/MILBlob/Blob/BlobDataType.hpp (element types);
apple/coremltools@2e27bd6:mlmodel/src/MILBlob/Blob/StorageFormat.hpp (layout).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from htdemucs_coreml.mil.errors import WeightsError
from htdemucs_coreml.mil.tensor_types import Array, DataType

_ALIGNMENT = 64
_VERSION = 2
_SENTINEL = 0xDEADBEEF
_FILE_HEADER = struct.Struct("<II56s")
_BLOB_HEADER = struct.Struct("<IIQQQ32s")

_DATA_TYPES = {
    1: DataType.FLOAT16,
    2: DataType.FLOAT32,
    3: DataType.UINT8,
    4: DataType.INT8,
    6: DataType.INT16,
    7: DataType.UINT16,
    8: DataType.INT4,
    9: DataType.UINT1,
    10: DataType.UINT2,
    11: DataType.UINT4,
    12: DataType.UINT3,
    13: DataType.UINT6,
    14: DataType.INT32,
    15: DataType.UINT32,
}


@dataclass(frozen=True)
class Blob:
    """One tensor's data in a weight file.

    Attributes
    ----------
    path : Path
        The weight file.
    offset : int
        Offset of the blob's header in the file, in bytes.
    dtype : DataType
        Element type.
    count : int
        Number of elements.
    data : Array
        Its bytes (uint8), mapped from the file; a write would stay in this process.
    """

    path: Path
    offset: int
    dtype: DataType
    count: int
    data: Array = field(repr=False, compare=False)

    def elements(self) -> Array:
        """All elements in one dimension: a view for types of whole bytes, else an unpacked copy."""
        if self.dtype.bits >= 8:
            return self.data.view(self.dtype.numpy)
        return unpack(self.data, self.dtype, self.count)


def unpack(data: Array, dtype: DataType, count: int) -> Array:
    """Elements narrower than a byte, packed from the least significant bit upwards, one to a byte.

    Parameters
    ----------
    data : Array
        Packed bytes (uint8), at least ``ceil(count * dtype.bits / 8)`` of them.
    dtype : DataType
        A type of fewer than 8 bits.
    count : int
        Number of elements.

    Returns
    -------
    Array [shape=(count,)]
        uint8, or int8 for signed types.
    """
    bits = np.unpackbits(data, count=count * dtype.bits, bitorder="little").reshape(count, dtype.bits)
    unsigned = np.packbits(bits, axis=1, bitorder="little")[:, 0] if count else np.zeros(0, np.uint8)
    if not dtype.is_signed:
        return unsigned
    unused = 8 - dtype.bits
    extended: Array = (unsigned << unused).view(np.int8) >> unused
    return extended


class BlobFile:
    """A weight file, mapped into memory and checked from end to end when it is opened.

    Raises
    ------
    WeightsError
        If the file cannot be read or departs anywhere from the format; the message names the file and the
        offset.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            size = path.stat().st_size
            if size < _ALIGNMENT:
                raise WeightsError(f"{path} is truncated: {size} bytes are no blob file")
            self._bytes: Array = np.asarray(np.memmap(path, np.uint8, mode="c"))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read: {error}") from error
        self._blobs = self._read_all()

    def blob(self, offset: int) -> Blob:
        """Return the blob whose header stands at `offset` bytes.

        Raises
        ------
        WeightsError
            If none does.
        """
        if offset not in self._blobs:
            raise self._error(offset, "no blob begins there, though the program refers to it")
        return self._blobs[offset]

    def _error(self, offset: int, what: str) -> WeightsError:
        return WeightsError(f"{self._path} at offset {offset}: {what}")

    def _read_all(self) -> Mapping[int, Blob]:
        count, version, reserved = _FILE_HEADER.unpack(self._bytes[:_ALIGNMENT].tobytes())
        if version != _VERSION:
            raise self._error(4, f"the format's version is {version}; only {_VERSION} is known")
        if any(reserved):
            raise self._error(8, "reserved bytes are not zero")
        blobs: dict[int, Blob] = {}
        offset = _ALIGNMENT
        for _ in range(count):
            blobs[offset] = blob = self._read(offset)
            end = offset + _ALIGNMENT + blob.data.size
            offset = self._skip_gap(end)
        if offset < self._bytes.size:
            raise self._error(offset, f"{self._bytes.size - offset} bytes follow the last of {count} blobs")
        return blobs

    def _skip_gap(self, end: int) -> int:
        following = -(-end // _ALIGNMENT) * _ALIGNMENT
        if self._bytes[end:following].any():
            raise self._error(end, "bytes between blobs are not zero")
        return following

    def _read(self, offset: int) -> Blob:
        start = offset + _ALIGNMENT
        if start > self._bytes.size:
            raise self._error(offset, "the file ends before the blob's header does; it is truncated")
        sentinel, code, size, data_offset, unused_bits, reserved = _BLOB_HEADER.unpack(
            self._bytes[offset:start].tobytes()
        )
        if sentinel != _SENTINEL:
            raise self._error(offset, f"the blob's header begins with {sentinel:#x}, not {_SENTINEL:#x}")
        if code not in _DATA_TYPES:
            raise self._error(offset, f"the blob's element type {code} is not known")
        if data_offset != start:
            raise self._error(offset, f"the blob's data is said to be at {data_offset}, not behind its header")
        if any(reserved):
            raise self._error(offset, "reserved bytes of the blob's header are not zero")
        if size > self._bytes.size - start:
            raise self._error(
                offset,
                f"{size} bytes of data do not fit into the {self._bytes.size - start} left; it is truncated",
            )
        dtype = _DATA_TYPES[code]
        data = self._bytes[start : start + size]
        if unused_bits >= 8 or (size * 8 - unused_bits) % dtype.bits or (unused_bits and not size):
            raise self._error(
                offset,
                f"{size} bytes with {unused_bits} unused bits hold no whole number of {dtype.value} elements",
            )
        if unused_bits and int(data[-1]) >> (8 - unused_bits):
            raise self._error(offset, "the unused bits of the blob's last byte are not zero")
        return Blob(self._path, offset, dtype, (size * 8 - unused_bits) // dtype.bits, data)
