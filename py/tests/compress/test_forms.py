"""Forms keep a tensor's shape and type, and come nearer with more bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.forms import (
    PALETTE_BITS,
    Int8Form,
    PaletteForm,
    Palettized,
    Scaled,
    compressed,
    form_of,
)
from htdemucs_coreml.compress.layout import WeightLayout

CONV = WeightLayout(outputs=0, inputs=1)
TRANSPOSED = WeightLayout(outputs=1, inputs=0, stride=4)
types = st.sampled_from([np.float16, np.float32])


def weights(seed: int, shape: tuple[int, ...], dtype: type[np.floating]) -> NDArray[np.floating]:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def snr_db(tensor: NDArray[np.floating], dense: NDArray[np.floating]) -> float:
    exact, error = tensor.astype(np.float64), tensor.astype(np.float64) - dense
    return float(10 * np.log10(np.sum(exact**2) / np.sum(error**2)))


@pytest.mark.parametrize("layout", [CONV, TRANSPOSED])
@pytest.mark.parametrize("calibrated", [False, True])
def test_more_bits_come_nearer(layout: WeightLayout, calibrated: bool) -> None:
    tensor = weights(0, (48, 32, 8), np.float16)
    moments = np.eye(48 * 2 if layout is TRANSPOSED else 32 * 8) if calibrated else None
    found = [snr_db(tensor, compressed(tensor, PaletteForm(bits), layout, moments).dense()) for bits in PALETTE_BITS]
    for bits, score in zip(PALETTE_BITS, found, strict=True):
        assert score == pytest.approx(6.02 * bits - 4.35 + 4.35 * 2.0**-bits, abs=2.2)


@given(st.integers(0, 1000), types, st.sampled_from(PALETTE_BITS), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_palette_has_the_tensors_shape_and_type_and_all_its_entries(
    seed: int, dtype: type[np.floating], bits: int, calibrated: bool
) -> None:
    tensor = weights(seed, (4, 3, 2), dtype)
    made = compressed(tensor, PaletteForm(bits), CONV, np.eye(6) if calibrated else None)
    assert isinstance(made, Palettized)
    assert (made.indices.shape, made.palette.dtype, len(made.palette)) == (tensor.shape, tensor.dtype, 2**bits)
    assert np.all(np.diff(made.palette) >= 0)
    assert (made.dense().shape, made.dense().dtype) == (tensor.shape, tensor.dtype)
    if 2**bits >= tensor.size:
        np.testing.assert_array_equal(made.dense(), tensor)


@given(st.integers(0, 1000), types, st.booleans(), st.sampled_from([1, 24, 32, 96]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_integers_are_within_half_a_step_of_their_own_scale(
    seed: int, dtype: type[np.floating], by_block: bool, inputs: int, transposed: bool
) -> None:
    layout = TRANSPOSED if transposed else CONV
    tensor = weights(seed, (inputs, 5, 4) if transposed else (5, inputs, 4), dtype)
    made = compressed(tensor, Int8Form(by_block), layout)
    assert isinstance(made, Scaled)
    blocks = {1: 1, 24: 3, 32: 1, 96: 3}[inputs] if by_block else 1
    assert (made.scales.shape[layout.outputs], made.scales.shape[layout.inputs]) == (5, blocks)
    steps = made.scales.astype(np.float64)
    for axis, size in enumerate(tensor.shape):
        steps = steps.repeat(size // steps.shape[axis], axis)
    # Rounding the scale and the product to the type comes on top.
    slack = np.abs(tensor) * (2.0**-9 if dtype is np.float16 else 2.0**-22)
    assert np.all(np.abs(made.dense() - tensor.astype(np.float64)) <= 0.5 * steps + slack)


def test_rows_without_weights_stay_zero() -> None:
    tensor = np.zeros((2, 3), np.float16)
    tensor[1] = 1
    np.testing.assert_array_equal(compressed(tensor, Int8Form(by_block=False), CONV).dense(), tensor)


@pytest.mark.parametrize("form", [PaletteForm(4), Int8Form(by_block=True)])
def test_elements_that_are_not_finite_are_refused(form: PaletteForm | Int8Form) -> None:
    with pytest.raises(CompressionError, match=r"a float32 tensor of shape \[2, 2\] is not finite everywhere"):
        compressed(np.array([[1, np.inf], [0, 0]], np.float32), form, CONV)


def test_forms_are_known_by_their_names() -> None:
    for form in (PaletteForm(3), Int8Form(by_block=True), Int8Form(by_block=False)):
        assert form_of(str(form)) == form
    assert form_of("none") is None
    with pytest.raises(ValueError, match="there is no form 'palette5'; known are int8-block"):
        form_of("palette5")
