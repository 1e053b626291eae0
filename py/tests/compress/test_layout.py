"""A weight's matrix, multiplied with what a layer takes, gives what the layer makes."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from htdemucs_coreml.compress.layout import WeightLayout, matrix_of, tensor_of


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_a_matrix_becomes_the_weight_that_it_was_made_of(
    outputs: int, inputs: int, stride: int, taps: int, transposed: bool
) -> None:
    channels = (inputs, outputs) if transposed else (outputs, inputs)
    weight = np.random.default_rng(0).normal(size=(*channels, stride * taps, 1))
    layout = WeightLayout(1, 0, stride) if transposed else WeightLayout(0, 1)
    np.testing.assert_array_equal(tensor_of(matrix_of(weight, layout), weight.shape, layout), weight)


def test_a_transposed_convolution_is_a_product_with_the_inputs_of_each_place() -> None:
    generator = np.random.default_rng(1)
    weight, taken = generator.normal(size=(3, 2, 8)), generator.normal(size=(1, 3, 10))
    made = functional.conv_transpose1d(torch.from_numpy(taken), torch.from_numpy(weight), stride=4)[0].numpy()
    matrix = matrix_of(weight, WeightLayout(1, 0, 4))
    padded = np.pad(taken[0], ((0, 0), (1, 1)))
    # At each place, every channel's earlier input and then the one there.
    vectors = np.stack([padded[:, place : place + 2].reshape(-1) for place in range(11)], axis=1)
    products = (matrix @ vectors).reshape(2, 4, 11).transpose(0, 2, 1).reshape(2, 44)
    np.testing.assert_allclose(products, made, atol=1e-12)
