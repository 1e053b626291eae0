"""What the writer of weight files writes is read back; what departs from the format is refused."""

from pathlib import Path

import numpy as np
import pytest

from htdemucs_coreml.package.stored_weights import StoredWeights
from htdemucs_coreml.package.weight_file import ElementType, WeightFile, WeightFileError


def written(path: Path, *blobs: tuple[ElementType, int]) -> list[int]:
    """Write blobs of so many zeros, then ones where there is room; returns their offsets."""
    file = WeightFile()
    offsets = [file.add(kind, (np.arange(count) % 2).astype(kind.numpy)) for kind, count in blobs]
    path.write_bytes(b"".join(file.chunks()))
    return offsets


def test_every_type_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "weight.bin"
    offsets = written(path, *((kind, 11) for kind in ElementType))
    stored = StoredWeights(path)
    again = WeightFile()
    for kind, offset in zip(ElementType, offsets, strict=True):
        blob = stored.blob(offset)
        assert blob.element_type is kind
        assert blob.unused_bits == -11 * kind.bits % 8
        assert again.add_packed(kind, blob.data, blob.unused_bits) == offset
    assert b"".join(again.chunks()) == path.read_bytes()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_unused_bits_have_to_be_zero(tmp_path: Path, count: int) -> None:
    path = tmp_path / "weight.bin"
    (offset,) = written(path, (ElementType.UINT1, count))
    content = bytearray(path.read_bytes())
    content[-1] |= 0x80
    path.write_bytes(content)
    with pytest.raises(WeightFileError, match="unused bits of the last byte are not zero"):
        StoredWeights(path).blob(offset)


def test_a_file_that_ends_within_a_blob_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weight.bin"
    (offset,) = written(path, (ElementType.FLOAT32, 5))
    content = path.read_bytes()
    for length in range(64, len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(WeightFileError, match="at offset 64"):
            StoredWeights(path).blob(offset)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightFileError, match=r"absent\.bin cannot be read"):
        StoredWeights(tmp_path / "absent.bin")
