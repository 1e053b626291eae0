"""Figures as they stand on a page."""

import math

_MINUS = "\N{MINUS SIGN}"
_INFINITY = "\N{INFINITY}"
_NONE = "\N{EN DASH}"


def decibels(value: float | None) -> str:
    """One digit after the point; a dash where there is no figure."""
    if value is None:
        return _NONE
    if math.isinf(value):
        return _INFINITY if value > 0 else _MINUS + _INFINITY
    # Adding zero makes minus zero plus zero.
    return _typeset(f"{round(value, 1) + 0.0:.1f}")


def change(value: float) -> str:
    """A change in decibels, with its sign and two digits."""
    return _typeset(f"{round(value, 2) + 0.0:+.2f}")


def error(value: float) -> str:
    """A figure of any magnitude, with two digits in all."""
    return _INFINITY if math.isinf(value) else _typeset(f"{value:.1e}")


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"


def _typeset(figure: str) -> str:
    return figure.replace("-", _MINUS)
