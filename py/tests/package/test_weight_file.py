"""Weight files are, byte for byte, what coremltools' native writer makes of the same arrays."""

from pathlib import Path

import numpy as np
import pytest
from coremltools.libmilstoragepython import _BlobStorageWriter as NativeWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from htdemucs_coreml.package.digests import sha256_bytes
from htdemucs_coreml.package.weight_file import ElementType, WeightFile, WeightFileError

NATIVE_METHODS = {
    ElementType.FLOAT16: "write_fp16_data",
    ElementType.FLOAT32: "write_float_data",
    **{
        element_type: f"write_{element_type.name.lower()}_data"
        for element_type in ElementType
        if element_type.name.startswith(("INT", "UINT"))
    },
}
UNKNOWN_TO_THE_NATIVE_WRITER = {ElementType.BFLOAT16, ElementType.FLOAT8E4M3FN, ElementType.FLOAT8E5M2}
CODES = {"BFLOAT16": 5, "FLOAT8E4M3FN": 16, "FLOAT8E5M2": 17}


def native_bytes(path: Path, blobs: list[tuple[ElementType, NDArray[np.generic]]]) -> tuple[bytes, list[int]]:
    """What the native writer writes, and the offsets that it returns."""
    path.unlink(missing_ok=True)
    writer = NativeWriter(str(path))
    offsets = []
    for element_type, elements in blobs:
        given_as = elements.view(np.uint16) if element_type is ElementType.FLOAT16 else elements
        offsets.append(getattr(writer, NATIVE_METHODS[element_type])(given_as))
    del writer
    return path.read_bytes(), offsets


def some_elements(element_type: ElementType, count: int) -> NDArray[np.generic]:
    """Arbitrary bits, as far as the type has them."""
    octets = np.random.default_rng(count).bytes(count * element_type.numpy.itemsize)
    elements = np.frombuffer(octets, element_type.numpy).copy()
    if element_type.bits >= 8:
        return elements
    unused = 8 - element_type.bits
    return (elements << unused) >> unused


blobs_of_any_type = st.lists(
    st.builds(
        lambda element_type, count: (element_type, some_elements(element_type, count)),
        st.sampled_from(list(NATIVE_METHODS)),
        st.integers(0, 200),
    ),
    min_size=1,
    max_size=6,
)


def test_every_type_of_the_format_is_known_to_the_native_writer_but_three() -> None:
    assert set(ElementType) == {*NATIVE_METHODS, *UNKNOWN_TO_THE_NATIVE_WRITER}
    assert {name: ElementType[name].code for name in CODES} == CODES


@settings(max_examples=100, deadline=None)
@given(blobs=blobs_of_any_type)
def test_bytes_and_offsets_are_the_native_writers(
    tmp_path_factory: pytest.TempPathFactory, blobs: list[tuple[ElementType, NDArray[np.generic]]]
) -> None:
    ours = WeightFile()
    offsets = [ours.add(element_type, elements) for element_type, elements in blobs]
    content = b"".join(ours.chunks())
    assert (content, offsets) == native_bytes(tmp_path_factory.mktemp("native") / "weight.bin", blobs)
    assert ours.sha256() == sha256_bytes(content)


@pytest.mark.parametrize("element_type", [ElementType.UINT3, ElementType.UINT6, ElementType.INT4])
def test_long_blobs_are_packed_piece_by_piece_without_a_seam(tmp_path: Path, element_type: ElementType) -> None:
    elements = some_elements(element_type, (2 << 20) + 5)
    ours = WeightFile()
    ours.add(element_type, elements)
    assert b"".join(ours.chunks()) == native_bytes(tmp_path / "weight.bin", [(element_type, elements)])[0]


def test_arrays_are_stored_in_row_major_order_whatever_their_layout() -> None:
    elements = np.arange(24, dtype=np.float32).reshape(4, 6)
    stored = []
    for array in (elements, np.asfortranarray(elements), np.repeat(elements, 2, axis=1)[:, ::2]):
        file = WeightFile()
        file.add(ElementType.FLOAT32, array)
        stored.append(b"".join(file.chunks())[-elements.nbytes :])
    assert stored == [elements.tobytes()] * 3


def test_contiguous_arrays_are_not_copied() -> None:
    elements = np.zeros(1000, np.float32)
    file = WeightFile()
    file.add(ElementType.FLOAT32, elements)
    elements[0] = 1
    assert np.float32(1).tobytes() in b"".join(file.chunks())


@pytest.mark.parametrize("element_type", [type_ for type_ in ElementType if type_.bits < 8])
@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_value_that_needs_more_bits_is_refused(element_type: ElementType, beyond: int) -> None:
    lowest, count = (-8, 16) if element_type is ElementType.INT4 else (0, 1 << element_type.bits)
    value = lowest - 1 if beyond < 0 else lowest + count
    elements = np.array([value % 256], np.uint8).view(element_type.numpy)
    with pytest.raises(WeightFileError, match=f"{element_type.name} holds {lowest} to {lowest + count - 1}"):
        WeightFile().add(element_type, elements)


def test_another_type_of_array_is_refused_not_converted() -> None:
    with pytest.raises(WeightFileError, match="float64 elements cannot be stored as FLOAT32"):
        WeightFile().add(ElementType.FLOAT32, np.zeros(3))
