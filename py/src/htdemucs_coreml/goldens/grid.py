"""Rounding computed values to a grid, so that every machine writes the same bits.

A float64 computation gives results that differ between processors in their last bits. Rounded to a grid whose step is
millions of times that spread they agree, unless a value lies just where rounding switches. Such a value is refused
rather than rounded, so that what is written does not depend on the machine that writes it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.goldens.errors import GoldenValueError

Values = NDArray[np.float64]

# Just off the middle of a step: sums of few numbers, such as an inverse STFT where the window is 0, 1/2 and 1, lie
# exactly in the middle now and then, but never here.
_BOUNDARY = 0.5 + 1 / 97


def step_exponent(peak: float, bits_below_peak: int) -> int:
    """Exponent of the coarsest step ``2^e`` that is at most ``2^-bits_below_peak`` of `peak`.

    Parameters
    ----------
    peak : float
        Largest absolute value, > 0. Its last bits, which differ between machines, do not matter.
    bits_below_peak : int
        27 keeps 162 dB below the peak.
    """
    # A peak that is a power of two but for its last bits counts as just below that power on every machine.
    _, exponent = math.frexp(peak * (1 - 2.0**-40))
    return exponent - 1 - bits_below_peak


def on_grid(values: Values, exponent: int, spread: float) -> Values:
    """Round to a multiple of ``2^exponent``, at most 0.511 steps away.

    Parameters
    ----------
    values : NDArray[np.float64]
        Finite.
    exponent : int
        Of the step.
    spread : float
        By how much two machines' values may differ; values must lie further than this from a rounding boundary.

    Returns
    -------
    NDArray[np.float64]
        Of the same shape; no negative zeros.

    Raises
    ------
    GoldenValueError
        If a value is not finite or too near to a boundary.
    """
    if not np.isfinite(values).all():
        raise GoldenValueError("a golden has values that are not finite")
    steps = np.ldexp(values, -exponent)
    below = np.floor(steps)
    above_boundary = steps - below - _BOUNDARY
    rounded = below + (above_boundary > 0)
    to_boundary = np.ldexp(np.abs(above_boundary), exponent)
    if not to_boundary.min(initial=math.inf) > spread:
        raise GoldenValueError(
            f"{np.count_nonzero(~(to_boundary > spread))} values lie within {spread} of a rounding boundary of the "
            f"grid 2^{exponent}: take another grid or another slice"
        )
    # Adding zero turns -0 into 0.
    gridded: Values = np.ldexp(rounded, exponent) + 0.0
    return gridded


def rounded_once(values: Values, relative_spread: float) -> NDArray[np.float32]:
    """Round to the nearest float32.

    Parameters
    ----------
    values : NDArray[np.float64]
        Finite.
    relative_spread : float
        By how much of a value two machines may differ.

    Returns
    -------
    NDArray[np.float32]

    Raises
    ------
    GoldenValueError
        If a value is not finite, or so near to a boundary that machines may round it differently.
    """
    if not np.isfinite(values).all():
        raise GoldenValueError("a golden has values that are not finite")
    lower, upper = ((values * factor).astype(np.float32) for factor in (1 - relative_spread, 1 + relative_spread))
    if not np.array_equal(lower, upper):
        raise GoldenValueError(
            f"{np.count_nonzero(lower != upper)} values lie within {relative_spread} of themselves of a rounding "
            "boundary of float32: take another slice"
        )
    return lower
