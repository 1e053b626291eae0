"""Weight files are read exactly, and refused wherever they depart from the format."""

import struct
from pathlib import Path

import numpy as np
import pytest
from coremltools.libmilstoragepython import _BlobStorageWriter as BlobStorageWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from htdemucs_coreml.mil.blob import BlobFile, unpack
from htdemucs_coreml.mil.errors import WeightsError
from htdemucs_coreml.mil.tensor_types import Array, DataType

_HEADER_BYTES = 64


def _write(path: Path, *arrays: Array) -> list[int]:
    """A weight file by coremltools' own writer; returns the offsets that programs would refer to."""
    writer = BlobStorageWriter(str(path))
    methods = {
        "float32": writer.write_float_data,
        "uint8": writer.write_uint8_data,
        "int8": writer.write_int8_data,
        "int32": writer.write_int32_data,
    }
    offsets = [methods[array.dtype.name](array) for array in arrays]
    del writer
    return offsets


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of two blobs: 5 float32 numbers at offset 64, 3 bytes at 192."""
    path = tmp_path / "weight.bin"
    offsets = _write(path, np.arange(5, dtype=np.float32), np.array([7, 8, 9], np.uint8))
    assert offsets == [64, 192]
    return path


def _patch(path: Path, offset: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


def test_blobs_of_the_native_writer_are_read_back(weights: Path) -> None:
    file = BlobFile(weights)
    numbers, bytes_ = file.blob(64), file.blob(192)
    assert (numbers.dtype, numbers.count) == (DataType.FLOAT32, 5)
    np.testing.assert_array_equal(numbers.elements(), [0, 1, 2, 3, 4])
    assert (bytes_.dtype, bytes_.count) == (DataType.UINT8, 3)
    np.testing.assert_array_equal(bytes_.elements(), [7, 8, 9])


def test_mapped_elements_are_not_copied_and_writes_do_not_reach_the_file(weights: Path) -> None:
    before = weights.read_bytes()
    elements = BlobFile(weights).blob(64).elements()
    elements[:] = 0
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("offset", "data", "reason"),
    [
        (0, struct.pack("<I", 3), "truncated"),
        (0, struct.pack("<I", 1), "follow the last"),
        (4, struct.pack("<I", 1), "version is 1"),
        (9, b"\x01", "reserved"),
        (64, b"\x00", "begins with"),
        (68, struct.pack("<I", 99), "element type 99"),
        (68, struct.pack("<I", 5), "element type 5"),
        (72, struct.pack("<Q", 19), "no whole number"),
        (72, struct.pack("<Q", 1 << 60), "truncated"),
        (80, struct.pack("<Q", 0), "said to be at 0"),
        (88, struct.pack("<Q", 3), "no whole number"),
        (88, struct.pack("<Q", 64), "no whole number"),
        (100, b"\x01", "reserved"),
        (150, b"\x01", "between blobs"),
    ],
)
def test_a_damaged_header_is_refused_with_file_and_offset(weights: Path, offset: int, data: bytes, reason: str) -> None:
    _patch(weights, offset, data)
    with pytest.raises(WeightsError, match=reason) as caught:
        BlobFile(weights)
    assert str(weights) in str(caught.value)


def test_every_truncation_is_refused(weights: Path) -> None:
    content = weights.read_bytes()
    # Zeros that only fill up the last 64 bytes of a file may be missing.
    for length in range(192 + _HEADER_BYTES + 3):
        weights.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="truncated"):
            BlobFile(weights)


def test_bytes_behind_the_last_blob_are_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes() + bytes(200))
    with pytest.raises(WeightsError, match="follow the last of 2 blobs"):
        BlobFile(weights)


def test_a_reference_to_no_blob_is_refused(weights: Path) -> None:
    with pytest.raises(WeightsError, match="at offset 128: no blob begins there"):
        BlobFile(weights).blob(128)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        BlobFile(tmp_path / "absent.bin")


@pytest.mark.parametrize("dtype", [dtype for dtype in DataType if 0 < dtype.bits < 8])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_narrow_elements_are_unpacked_from_the_least_significant_bit(dtype: DataType, data: st.DataObject) -> None:
    low = -(2 ** (dtype.bits - 1)) if dtype.is_signed else 0
    values = data.draw(st.lists(st.integers(low, low + 2**dtype.bits - 1), max_size=40))
    # All elements as one long number, the first in its lowest bits.
    number = sum((value % 2**dtype.bits) << (index * dtype.bits) for index, value in enumerate(values))
    packed = np.frombuffer(number.to_bytes(-(-len(values) * dtype.bits // 8), "little"), np.uint8)
    np.testing.assert_array_equal(unpack(packed, dtype, len(values)), values)


def test_unused_bits_must_be_zero(tmp_path: Path) -> None:
    path = tmp_path / "weight.bin"
    writer = BlobStorageWriter(str(path))
    offset = writer.write_uint4_data(np.array([1, 2, 3], np.uint8))
    del writer
    assert BlobFile(path).blob(offset).count == 3
    np.testing.assert_array_equal(BlobFile(path).blob(offset).elements(), [1, 2, 3])
    _patch(path, offset + _HEADER_BYTES + 1, b"\x13")
    with pytest.raises(WeightsError, match="unused bits"):
        BlobFile(path)


@given(array=hnp.arrays(np.int32, hnp.array_shapes(max_dims=1, max_side=70)))
@settings(max_examples=20, deadline=None)
def test_blobs_of_any_length_are_read_back(tmp_path_factory: pytest.TempPathFactory, array: Array) -> None:
    path = tmp_path_factory.mktemp("blob") / "weight.bin"
    offsets = _write(path, array, array[::-1].copy())
    file = BlobFile(path)
    np.testing.assert_array_equal(file.blob(offsets[0]).elements(), array)
    np.testing.assert_array_equal(file.blob(offsets[1]).elements(), array[::-1])
