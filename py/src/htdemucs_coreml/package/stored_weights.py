"""Reader of single blobs in a ``weight.bin`` that nobody vouches for; `weight_file` says how the file is laid out."""

import mmap
from dataclasses import dataclass
from pathlib import Path

from htdemucs_coreml.package.weight_file import (
    ALIGNMENT,
    BLOB_HEADER,
    FILE_HEADER,
    SENTINEL,
    VERSION,
    ElementType,
    WeightFileError,
)

_ELEMENT_TYPES = {element_type.code: element_type for element_type in ElementType}


@dataclass(frozen=True)
class StoredBlob:
    """One constant as it lies in a weight file.

    Attributes
    ----------
    element_type : ElementType
        Type of its elements.
    data : memoryview
        Its bytes, mapped from the file.
    unused_bits : int
        How many bits of the last byte belong to no element; they are zero.
    """

    element_type: ElementType
    data: memoryview
    unused_bits: int


class StoredWeights:
    """A weight file, mapped into memory; blobs are checked when they are asked for.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    WeightFileError
        If it cannot be read, or is no weight file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as stream:
                self._bytes = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise WeightFileError(f"{path} cannot be read: {error}") from error
        if len(self._bytes) < ALIGNMENT or FILE_HEADER.unpack_from(self._bytes)[1] != VERSION:
            raise WeightFileError(f"{path} is no weight file of version {VERSION}; make or get the package again")

    def blob(self, offset: int) -> StoredBlob:
        """The blob whose header stands at an offset in bytes.

        Raises
        ------
        WeightFileError
            If there is none, or it is malformed.
        """
        start = offset + BLOB_HEADER.size
        if offset < ALIGNMENT or offset % ALIGNMENT or start > len(self._bytes):
            raise self._malformed(offset, "no blob can begin there, though the program refers to it")
        sentinel, code, size, data_offset, unused_bits = BLOB_HEADER.unpack_from(self._bytes, offset)
        if sentinel != SENTINEL:
            raise self._malformed(offset, "no blob begins there, though the program refers to it")
        element_type = _ELEMENT_TYPES.get(code)
        if element_type is None:
            raise self._malformed(offset, f"the element type {code} is not known")
        if data_offset != start or size > len(self._bytes) - start:
            raise self._malformed(offset, f"{size} bytes of data at {data_offset} do not lie behind the blob's header")
        data = self._bytes[start : start + size]
        if unused_bits >= 8 or (size * 8 - unused_bits) % element_type.bits or (unused_bits and not size):
            raise self._malformed(
                offset, f"{size} bytes with {unused_bits} unused bits hold no whole number of {element_type.name}"
            )
        if unused_bits and data[-1] >> (8 - unused_bits):
            raise self._malformed(offset, "the unused bits of the last byte are not zero")
        return StoredBlob(element_type, data, unused_bits)

    def _malformed(self, offset: int, what: str) -> WeightFileError:
        return WeightFileError(f"{self._path} at offset {offset}: {what}; make or get the package again")
