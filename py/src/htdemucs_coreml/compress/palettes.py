"""Palettes: the few values that stand for all elements of a tensor with the least squared error.

In one dimension the best clusters are intervals of the sorted values, so that dynamic programming finds them (Wang and
Song 2011, "Ckmeans.1d.dp", doi:10.32614/RJ-2011-015). Here it runs over at most `BINS` groups of neighbours, and
Lloyd's algorithm over all values then moves the borders: up to `BINS` distinct values the palette is the best there is,
beyond that one whose every entry is the mean of the values nearest to it.

Only operations that IEEE 754 defines to the last bit take part, and sums run in one order: the palette is the same on
every machine.
"""

import numpy as np
from numpy.typing import NDArray

BINS = 256
_ROUNDS = 1000

Floats = NDArray[np.float64]


def distinct(elements: NDArray[np.floating], weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Distinct values of an array in ascending order, and how much each counts.

    Parameters
    ----------
    elements : array of float16 or float32
        Any shape, finite.
    weights : Floats, optional
        How much each element counts, broadcastable to `elements`; each once if left out.
    """
    values, inverse = np.unique(elements.reshape(-1), return_inverse=True)
    spread = None if weights is None else np.broadcast_to(weights, elements.shape).reshape(-1)
    # Counts are whole numbers, and a weighted `bincount` adds one element after the other.
    totals = np.bincount(inverse.reshape(-1), weights=spread, minlength=len(values))
    return values.astype(np.float64), totals.astype(np.float64)


def best_palette(values: Floats, weights: Floats, entries: int) -> Floats:
    """The entries of a palette.

    Parameters
    ----------
    values : Floats [n]
        Distinct values in ascending order.
    weights : Floats [n]
        How much each counts, positive.
    entries : int
        Size of the palette.

    Returns
    -------
    Floats [min(n, entries)]
        In ascending order.
    """
    if len(values) <= entries:
        return values
    weight, first = _cumulative(weights), _cumulative(weights * values)
    bins = _bins(values, weights)
    ends = np.append(bins, len(values))
    totals = np.diff(weight[ends])
    starts = bins[_best_intervals(np.diff(first[ends]) / totals, totals, entries)]
    return _refined(values, weight, first, starts)


def nearest_entries(elements: NDArray[np.floating], palette: Floats) -> NDArray[np.uint8]:
    """Number of the entry that is nearest to each element, of two equally near ones the lower; `palette` ascends."""
    borders = (palette[:-1] + palette[1:]) / 2
    return np.searchsorted(borders, elements.astype(np.float64)).astype(np.uint8)


def _cumulative(amounts: Floats) -> Floats:
    """Sums of the first 0, 1, ... amounts, added one after the other."""
    return np.concatenate([[0.0], np.cumsum(amounts)])


def _bins(values: Floats, weights: Floats) -> NDArray[np.intp]:
    """First value of each group of neighbours; groups are narrow where many values lie close together."""
    if len(values) <= BINS:
        return np.arange(len(values))
    # A good palette's density follows a root of the values' own. Cube roots are not rounded alike everywhere.
    extents = np.cumsum(np.sqrt(weights * np.gradient(values)))
    numbers = np.floor(extents * (BINS / extents[-1]))
    return np.flatnonzero(np.diff(numbers, prepend=-1.0))


def _best_intervals(values: Floats, weights: Floats, entries: int) -> NDArray[np.intp]:
    """First value of each interval of the best partition into so many intervals."""
    count = len(values)
    entries = min(entries, count)
    sums = [_cumulative(amounts) for amounts in (weights, weights * values, weights * values * values)]
    weight, first, second = (total[None, :] - total[:, None] for total in sums)
    above = np.triu(np.ones((count + 1, count + 1), np.bool_), 1)
    # cost[i, j]: squared error of the values i to j - 1 around their mean.
    cost = np.full((count + 1, count + 1), np.inf)
    cost[above] = second[above] - first[above] * first[above] / weight[above]
    best = cost[0]
    choices = []
    for _ in range(entries - 1):
        totals = best[:, None] + cost
        choice = np.argmin(totals, axis=0)
        best = np.take_along_axis(totals, choice[None], axis=0)[0]
        choices.append(choice)
    end, starts = count, []
    for choice in reversed(choices):
        end = int(choice[end])
        starts.append(end)
    return np.array([0, *reversed(starts)], np.intp)


def _refined(values: Floats, weight: Floats, first: Floats, starts: NDArray[np.intp]) -> Floats:
    """Lloyd's algorithm: borders halfway between means, means within borders, until nothing moves."""
    ends = np.append(starts, len(values))
    means: Floats = np.diff(first[ends]) / np.diff(weight[ends])
    for _ in range(_ROUNDS):
        moved = np.searchsorted(values, (means[:-1] + means[1:]) / 2, side="right")
        if np.array_equal(moved, ends[1:-1]) or not np.all(np.diff(moved, prepend=0, append=len(values)) > 0):
            break
        ends[1:-1] = moved
        means = np.diff(first[ends]) / np.diff(weight[ends])
    return means
