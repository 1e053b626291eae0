"""Writer of ``weight.bin``: the large constants of a program, "MIL blob storage" version 2.

Everything is little-endian. A header of 64 bytes says how many blobs follow and which version the format has. Each blob
is a header of 64 bytes, at a multiple of 64, and its data behind it: sentinel, element type, bytes of data, their
offset, and how many bits of the last byte are unused. What lies between is zero; behind the last blob there is nothing.
Elements narrower than a byte are packed from the least significant bit upwards. A program refers to a blob by the
offset of its header.

Sources: apple/coremltools, ``mlmodel/src/MILBlob/Blob/StorageFormat.hpp`` (layout), ``BlobDataType.hpp`` (element
types). The bytes are those of coremltools' own writer, which is compiled for few platforms.
"""

import hashlib
import struct
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.package.metadata import PackageError

ALIGNMENT = 64
VERSION = 2
SENTINEL = 0xDEADBEEF
FILE_HEADER = struct.Struct("<II56x")
BLOB_HEADER = struct.Struct("<IIQQQ32x")
_ELEMENTS_AT_ONCE = 1 << 20


class WeightFileError(PackageError):
    """Values that a weight file cannot hold, or a weight file that is malformed."""


class ElementType(Enum):
    """Element types of the format, by the names that they have in a program (``MIL_pb2.DataType``).

    Attributes
    ----------
    code : int
        What stands for the type in the file.
    bits : int
        Width of an element.
    numpy : np.dtype
        What elements are given as. Types that NumPy lacks are given as the bits that make them up; those narrower
        than a byte as one byte each.
    """

    FLOAT16 = (1, 16, "<f2")
    FLOAT32 = (2, 32, "<f4")
    UINT8 = (3, 8, "u1")
    INT8 = (4, 8, "i1")
    BFLOAT16 = (5, 16, "<u2")
    INT16 = (6, 16, "<i2")
    UINT16 = (7, 16, "<u2")
    INT4 = (8, 4, "i1")
    UINT1 = (9, 1, "u1")
    UINT2 = (10, 2, "u1")
    UINT4 = (11, 4, "u1")
    UINT3 = (12, 3, "u1")
    UINT6 = (13, 6, "u1")
    INT32 = (14, 32, "<i4")
    UINT32 = (15, 32, "<u4")
    FLOAT8E4M3FN = (16, 8, "u1")
    FLOAT8E5M2 = (17, 8, "u1")

    def __init__(self, code: int, bits: int, numpy: str) -> None:
        self.code = code
        self.bits = bits
        self.numpy = np.dtype(numpy)


class WeightFile:
    """A weight file that is being put together; its data stays in the arrays that it is given.

    Arrays must not change until the file is written.
    """

    def __init__(self) -> None:
        self._blobs: list[tuple[bytes, memoryview]] = []
        self._size = ALIGNMENT

    def add(self, element_type: ElementType, elements: NDArray[Any]) -> int:
        """Append a blob.

        Parameters
        ----------
        element_type : ElementType
            Type that the elements have in the file.
        elements : array
            Values of `element_type`'s NumPy type, of any shape, in row-major order.

        Returns
        -------
        int
            The offset that programs refer to.

        Raises
        ------
        WeightFileError
            If the array has another type, or a value does not fit its width.
        """
        if elements.dtype != element_type.numpy:
            raise WeightFileError(
                f"{elements.dtype} elements cannot be stored as {element_type.name}, which are given as "
                f"{element_type.numpy}; convert them first"
            )
        flat = np.ascontiguousarray(elements).reshape(-1)
        data = flat.view(np.uint8) if element_type.bits >= 8 else _packed(element_type, flat)
        return self.add_packed(element_type, data.data, -flat.size * element_type.bits % 8)

    def add_packed(self, element_type: ElementType, data: memoryview, unused_bits: int) -> int:
        """Append a blob whose data already has its form in the file; `unused_bits` of the last byte are zero."""
        offset = -(-self._size // ALIGNMENT) * ALIGNMENT
        start = offset + BLOB_HEADER.size
        header = BLOB_HEADER.pack(SENTINEL, element_type.code, data.nbytes, start, unused_bits)
        self._blobs.append((bytes(offset - self._size) + header, data))
        self._size = start + data.nbytes
        return offset

    @property
    def is_empty(self) -> bool:
        """Whether there is no blob."""
        return not self._blobs

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The file's bytes from the beginning, in pieces that are not copied."""
        yield FILE_HEADER.pack(len(self._blobs), VERSION)
        for header, data in self._blobs:
            yield header
            yield data

    def sha256(self) -> str:
        """Hexadecimal sha256 of the file."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def _packed(element_type: ElementType, flat: NDArray[Any]) -> NDArray[np.uint8]:
    lowest = -(1 << (element_type.bits - 1)) if flat.dtype.kind == "i" else 0
    highest = lowest + (1 << element_type.bits) - 1
    if flat.size and not lowest <= int(flat.min()) <= int(flat.max()) <= highest:
        raise WeightFileError(f"{element_type.name} holds {lowest} to {highest}, not {flat.min()} to {flat.max()}")
    packed = np.empty(-(-flat.size * element_type.bits // 8), np.uint8)
    end = 0
    # Pieces of a multiple of eight elements end on a whole byte. The bits of all at once would take much memory.
    for first in range(0, flat.size, _ELEMENTS_AT_ONCE):
        octets = flat[first : first + _ELEMENTS_AT_ONCE].view(np.uint8)
        bits = np.unpackbits(octets[:, None], axis=1, count=element_type.bits, bitorder="little")
        piece = np.packbits(bits.reshape(-1), bitorder="little")
        packed[end : end + piece.size] = piece
        end += piece.size
    return packed
