"""Palettes that keep an operation's results, rather than its weights, near to what they were.

A layer multiplies a weight matrix W [outputs, inputs] with vectors x. Of a compressed matrix V the error in its results
is ``trace((W - V) H (W - V)^T)``, where H = mean(x x^T) are the second moments of what the layer takes. Columns are
rounded one after the other, and what rounding has cost so far is made good, as far as inputs are correlated, by the
columns to come: with H = (U + I) D (U + I)^T, U strictly upper triangular, column k is rounded from
``W_k + (W - V)[:, :k] U[:k, k]``, and the error is ``sum_k D_k |rounding error of column k|^2``. Columns with the
largest moments come first. Sources: Frantar et al. 2023, "GPTQ" (arXiv:2210.17323); Chee et al. 2023, "QuIP"
(arXiv:2307.13304), for this form of it, there called LDLQ.

Roundings decide over later roundings, so that a difference in any last bit could spread over the whole tensor. There
is none between machines: operations on single elements are those that IEEE 754 defines to the last bit, and sums of
products are sums of whole multiples of one power of two that stay below 2^53, which are exact in whatever order a
library adds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.palettes import distinct, nearest_entries

Matrix = NDArray[np.float64]

DAMPING = 0.03
"""What is added to the diagonal of the moments, relative to its mean: inputs that no signal had may occur."""
ROUNDS = 2
_BLOCK = 64
# Products of two have 40 bits, and sums of 2^12 of them 52.
GRID_BITS = 20
_LONGEST_SUM = 1 << 12


def on_grid(values: Matrix, axis: int) -> Matrix:
    """Values rounded to whole multiples of powers of two, one for each row or column.

    Parameters
    ----------
    values : Matrix
        Finite.
    axis : int
        The axis along which values share a step: the largest of them has `GRID_BITS` bits.
    """
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    # No step is smaller than the least normal number, through which values can still be divided.
    steps = np.ldexp(1.0, np.maximum(np.frexp(largest)[1] - GRID_BITS, -1022))
    rounded: Matrix = np.rint(values / steps) * steps
    return rounded


def exact_product(left: Matrix, right: Matrix) -> Matrix:
    """Product of a matrix on a grid for each row and one on a grid for each column, the same bits on every machine."""
    total = np.zeros((left.shape[0], right.shape[1]))
    for first in range(0, left.shape[1], _LONGEST_SUM):
        total += left[:, first : first + _LONGEST_SUM] @ right[first : first + _LONGEST_SUM]
    return total


def upper_factor(moments: Matrix) -> tuple[Matrix, Matrix]:
    """Unit upper triangular factor and diagonal of a positive definite matrix, ``(U + I) D (U + I)^T``.

    Parameters
    ----------
    moments : Matrix [n, n]
        Symmetric.

    Returns
    -------
    U : Matrix [n, n]
        Strictly upper triangular.
    D : Matrix [n]
        Positive.

    Raises
    ------
    CompressionError
        If the matrix is not positive definite.
    """
    # Read backwards, the factor is the lower triangular one of the matrix read backwards.
    lower, pivots = _lower_factor(moments[::-1, ::-1].copy())
    return lower[::-1, ::-1], pivots[::-1]


def _lower_factor(rest: Matrix) -> tuple[Matrix, Matrix]:
    """Strictly lower triangular factor and diagonal of ``(L + I) D (L + I)^T``; `rest` is overwritten."""
    size = len(rest)
    lower, pivots = np.zeros_like(rest), np.empty(size)
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        panel = rest[start:, start:end].copy()
        for column in range(end - start):
            pivots[start + column] = pivot = panel[column, column]
            if not pivot > 0:
                raise CompressionError("the moments of a layer's inputs are not positive definite; damp them more")
            factor = panel[column + 1 :, column] / pivot
            lower[start + column + 1 :, start + column] = factor
            width = end - start - column - 1
            panel[column + 1 :, column + 1 :] -= factor[:, None] * panel[column + 1 : column + 1 + width, column]
        if end < size:
            roots = np.sqrt(pivots[start:end])
            below = on_grid(lower[end:, start:end] * roots, axis=1)
            rest[end:, end:] -= below @ below.T
    return lower, pivots


def fed_back(
    matrix: Matrix, moments: Matrix, palette_for: Callable[[Matrix, Matrix], NDArray[Any]]
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Choose a palette and the entry of each weight.

    Parameters
    ----------
    matrix : Matrix [outputs, inputs]
        Weights.
    moments : Matrix [inputs, inputs]
        Second moments of the inputs, up to a factor.
    palette_for : Callable
        Gives a palette, ascending and rounded as it is stored, for distinct values and how much each counts.

    Returns
    -------
    indices : array of uint8 [outputs, inputs]
        Numbers of entries.
    palette : array
        What `palette_for` gave last.
    """
    diagonal = np.diagonal(moments)
    order = np.argsort(-diagonal, kind="stable")
    damping = DAMPING * (np.cumsum(diagonal)[-1] / len(diagonal)) or 1.0
    upper, pivots = upper_factor(moments[np.ix_(order, order)] + damping * np.eye(len(order)))
    upper = on_grid(upper, axis=0)
    weights = matrix[:, order]
    targets = weights
    for _ in range(ROUNDS):
        palette = palette_for(*distinct(targets, pivots))
        indices, targets = _rounded_in_order(weights, upper, palette.astype(np.float64))
    result = np.empty_like(indices)
    result[:, order] = indices
    return result, palette


def _rounded_in_order(weights: Matrix, upper: Matrix, palette: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    """Indices, and what each weight was when it was rounded."""
    indices = np.empty(weights.shape, np.uint8)
    targets = np.empty_like(weights)
    errors = np.empty_like(weights)
    for start in range(0, weights.shape[1], _BLOCK):
        end = min(start + _BLOCK, weights.shape[1])
        block = weights[:, start:end].copy()
        if start:
            block += exact_product(on_grid(errors[:, :start], axis=1), upper[:start, start:end])
        for column in range(start, end):
            target = targets[:, column] = block[:, column - start]
            chosen = indices[:, column] = nearest_entries(target, palette)
            error = errors[:, column] = weights[:, column] - palette[chosen]
            block[:, column - start + 1 :] += error[:, None] * upper[column, column + 1 : end]
    return indices, targets
