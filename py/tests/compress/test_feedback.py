"""Error feedback: the arithmetic is exact, and results come nearer than by rounding to the nearest."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.feedback import GRID_BITS, Matrix, exact_product, fed_back, on_grid, upper_factor
from htdemucs_coreml.compress.palettes import best_palette, distinct, nearest_entries

seeds = st.integers(0, 2**32 - 1)


def correlated_moments(generator: np.random.Generator, size: int) -> Matrix:
    inputs = np.cumsum(generator.normal(size=(size, 4 * size)), axis=0)
    moments: Matrix = inputs @ inputs.T
    return moments


def sixteen_entries(values: Matrix, weights: Matrix) -> NDArray[np.float32]:
    return best_palette(values, weights, 16).astype(np.float32)


def error_in_results(matrix: Matrix, other: Matrix, moments: Matrix) -> float:
    difference = matrix - other
    return float(np.einsum("ij,jk,ik->", difference, moments, difference))


@given(seeds, st.integers(1, 200))
@settings(max_examples=20, deadline=None)
def test_the_factor_gives_the_moments_again(seed: int, size: int) -> None:
    moments = correlated_moments(np.random.default_rng(seed), size)
    upper, pivots = upper_factor(moments)
    assert np.all(pivots > 0)
    np.testing.assert_array_equal(np.tril(upper), 0)
    unit = upper + np.eye(size)
    # Products are rounded to 20 bits on the way.
    np.testing.assert_allclose(unit @ np.diag(pivots) @ unit.T, moments, atol=1e-4 * np.abs(moments).max())


@given(seeds, st.integers(-40, 40))
@settings(max_examples=20, deadline=None)
def test_products_on_grids_are_exact_and_so_do_not_depend_on_the_order_of_sums(seed: int, exponent: int) -> None:
    generator = np.random.default_rng(seed)
    # Rows and columns of very different sizes.
    left = on_grid(generator.normal(size=(2, 4096)) * np.array([[1.0], [2.0**exponent]]), axis=1)
    right = on_grid(generator.normal(size=(4096, 2)) * np.array([1e-9, 1.0]), axis=0)
    product = exact_product(left, right)
    for row, column in itertools.product(range(2), range(2)):
        terms = zip(left[row], right[:, column], strict=True)
        assert Fraction(product[row, column]) == sum(Fraction(a) * Fraction(b) for a, b in terms)
    shuffled = generator.permutation(4096)
    np.testing.assert_array_equal(exact_product(left[:, shuffled], right[shuffled]), product)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_grid_is_as_fine_as_its_bits_say(one: float, other: float) -> None:
    values = np.array([[one], [other]])
    step = 2.0 ** max(math.frexp(np.abs(values).max())[1] - GRID_BITS, -1022)
    rounded = on_grid(values, axis=0)
    assert np.all(rounded == np.rint(rounded / step) * step)
    assert np.all(np.abs(rounded - values) <= step / 2)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_results_are_much_nearer_where_inputs_are_correlated(seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix, moments = generator.normal(size=(40, 150)), correlated_moments(generator, 150)
    indices, palette = fed_back(matrix, moments, sixteen_entries)
    plain = sixteen_entries(*distinct(matrix)).astype(np.float64)
    nearest = error_in_results(matrix, plain[nearest_entries(matrix, plain)], moments)
    assert error_in_results(matrix, palette.astype(np.float64)[indices], moments) < nearest / 8


def test_without_correlation_every_weight_takes_the_nearest_entry() -> None:
    matrix = np.random.default_rng(3).normal(size=(20, 100))
    indices, palette = fed_back(matrix, np.eye(100), sixteen_entries)
    np.testing.assert_array_equal(indices, nearest_entries(matrix, palette.astype(np.float64)))


def test_moments_that_cannot_be_any_are_refused() -> None:
    with pytest.raises(CompressionError, match="not positive definite"):
        upper_factor(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    matrix = np.random.default_rng(4).normal(size=(5, 10))
    indices, palette = fed_back(matrix, np.zeros((10, 10)), sixteen_entries)
    assert np.abs(palette[indices] - matrix).max() < 1
