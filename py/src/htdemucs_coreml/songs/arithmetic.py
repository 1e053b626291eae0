"""Sines and powers of two from additions and multiplications alone, so that every processor gives the same bits.

numpy's own ``sin`` and ``exp2`` take other code, with other last bits, on other processors. IEEE 754 fixes the results
of ``+ - * /``, square roots, rounding and conversions; whatever a song's samples come from is made of these and of
integers.
"""

import math

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_LOG2_OF_10 = 3.321928094887362


def _terms(base: float, orders: range) -> tuple[float, ...]:
    """``base^k / k!`` for each order, by multiplication: a power would be the C library's."""
    terms = [1.0]
    for order in range(1, orders.stop):
        terms.append(terms[-1] * base / order)
    return tuple(terms[order] for order in orders)


_SINE_TERMS = tuple(term * (-1) ** place for place, term in enumerate(_terms(2 * math.pi, range(1, 20, 2))))
_EXP2_TERMS = _terms(0.6931471805599453, range(15))


def sine(turns: Doubles) -> Doubles:
    """The sine of an angle in turns, to 1e-13: its Taylor series within a quarter turn.

    Parameters
    ----------
    turns : NDArray[np.float64] [...]
        Angles; 1 is a whole turn.

    Returns
    -------
    NDArray[np.float64] [...]
    """
    rest = turns - np.rint(turns)
    folded = np.where(np.abs(rest) > 0.25, np.copysign(0.5, rest) - rest, rest)
    square = folded * folded
    series = np.full_like(folded, _SINE_TERMS[-1])
    for term in reversed(_SINE_TERMS[:-1]):
        series = series * square + term
    product: Doubles = series * folded
    return product


def exp2(exponents: Doubles) -> Doubles:
    """Two to the power of each exponent, to 1e-14 of the result: the Taylor series of the fractional part.

    Parameters
    ----------
    exponents : NDArray[np.float64] [...]

    Returns
    -------
    NDArray[np.float64] [...]
    """
    whole = np.floor(exponents)
    rest = exponents - whole
    series = np.full_like(rest, _EXP2_TERMS[-1])
    for term in reversed(_EXP2_TERMS[:-1]):
        series = series * rest + term
    scaled: Doubles = np.ldexp(series, whole.astype(np.int32))
    return scaled


def power_of_two(exponent: float) -> float:
    """Two to the power of one exponent; the same series as `exp2`."""
    whole = math.floor(exponent)
    rest = exponent - whole
    series = _EXP2_TERMS[-1]
    for term in reversed(_EXP2_TERMS[:-1]):
        series = series * rest + term
    return math.ldexp(series, whole)


def gain(decibels: float) -> float:
    """The factor of amplitude that a level stands for."""
    return power_of_two(decibels * _LOG2_OF_10 / 20)


def frequency_hz(pitch: float) -> float:
    """Frequency of a MIDI pitch: 69 is 440 Hz, twelve an octave."""
    return 440 * power_of_two((pitch - 69) / 12)
