"""Palettes are the best there are, or as near to that as theory says."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.compress.palettes import BINS, Floats, best_palette, distinct, nearest_entries

weighted_values = st.lists(
    st.tuples(st.integers(-1000, 1000), st.integers(1, 50)), min_size=1, max_size=9, unique_by=lambda pair: pair[0]
).map(sorted)


def error_of(values: Floats, weights: Floats, palette: Floats) -> float:
    """Weighted squared error, each value replaced by the entry nearest to it."""
    return float(np.sum(weights * np.abs(values[:, None] - palette).min(axis=1) ** 2))


def least_error(values: Floats, weights: Floats, entries: int) -> float:
    """Of all partitions into intervals."""
    errors = []
    for borders in itertools.combinations(range(1, len(values)), min(entries, len(values)) - 1):
        parts = zip(np.split(values, borders), np.split(weights, borders), strict=True)
        errors.append(sum(float(np.sum(w * (v - np.average(v, weights=w)) ** 2)) for v, w in parts))
    return min(errors)


@given(weighted_values, st.integers(1, 9))
@settings(deadline=None)
def test_no_palette_of_as_many_entries_is_better(drawn: list[tuple[int, int]], entries: int) -> None:
    values, weights = (np.array(column, np.float64) for column in zip(*drawn, strict=True))
    palette = best_palette(values, weights, entries)
    assert len(palette) == min(entries, len(values))
    assert error_of(values, weights, palette) == pytest.approx(least_error(values, weights, entries), abs=1e-6)


@pytest.mark.parametrize(("bits", "theory_db"), [(1, 4.40), (2, 9.30), (3, 14.62), (4, 20.22), (6, 31.89)])
def test_many_normal_values_come_as_near_as_the_best_quantiser_of_a_normal_distribution(
    bits: int, theory_db: float
) -> None:
    """Figures: Max 1960, doi:10.1109/TIT.1960.1057548, and Panter and Dite for 6 bits."""
    elements = np.random.default_rng(bits).normal(size=200_000).astype(np.float32)
    values, weights = distinct(elements)
    assert len(values) > BINS
    palette = best_palette(values, weights, 2**bits)
    error = np.mean((elements - palette[nearest_entries(elements, palette)]) ** 2)
    assert 10 * np.log10(np.mean(elements**2) / error) == pytest.approx(theory_db, abs=0.12)


def test_more_weight_draws_entries_nearer() -> None:
    values: Floats = np.linspace(0, 1, 1001, dtype=np.float64)
    even = best_palette(values, np.ones(1001), 4)
    uneven = best_palette(values, np.where(values > 0.5, 100.0, 1.0), 4)
    assert np.sum(uneven > 0.5) > np.sum(even > 0.5)


@given(st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=30), st.integers(1, 5))
def test_elements_take_the_entry_nearest_to_them(elements: list[float], entries: int) -> None:
    array = np.array(elements, np.float16)
    palette = np.unique(np.array(elements[:entries], np.float64))
    chosen = palette[nearest_entries(array, palette)]
    np.testing.assert_array_equal(
        np.abs(chosen - array.astype(np.float64)), np.abs(array.astype(np.float64)[:, None] - palette).min(axis=1)
    )


def test_elements_are_counted_as_often_as_they_occur() -> None:
    values, counts = distinct(np.array([[2, 1], [2, 2]], np.float16))
    np.testing.assert_array_equal(values, [1, 2])
    np.testing.assert_array_equal(counts, [1, 3])
    _, weights = distinct(np.array([[2, 1], [2, 2]], np.float16), np.array([0.5, 4.0]))
    np.testing.assert_array_equal(weights, [4, 5])
