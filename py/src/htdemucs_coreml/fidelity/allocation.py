"""Which form each weight gets, so that all fit a number of bytes with the least error.

Errors of different weights are independent, so their energies add up. Every weight starts in its smallest form; again
and again the step to a larger form is taken that removes most error for each byte, among those that still fit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from htdemucs_coreml.errors import HTDemucsCoreMLError


class BudgetError(HTDemucsCoreMLError):
    """Nothing fits a budget."""


@dataclass(frozen=True)
class Option:
    """A form that a weight may get.

    Attributes
    ----------
    bytes : int
        What is stored of the weight.
    noise : float
        Energy of the error in the stems when it alone has this form, relative to theirs.
    """

    bytes: int
    noise: float


def allocate(weights: Mapping[str, Mapping[str, Option]], budget: int) -> dict[str, str]:
    """Choose a form for every weight.

    Parameters
    ----------
    weights : Mapping of str to Mapping of str to Option
        Options by the names of forms, by the names of weights; at least one for each weight.
    budget : int
        Bytes that all weights may take together.

    Returns
    -------
    dict of str to str
        The form of each weight, in the order of `weights`.

    Raises
    ------
    BudgetError
        If the smallest forms do not fit; the message says what they take.
    """
    chosen = {
        name: min(options, key=lambda form: (options[form].bytes, options[form].noise, form))
        for name, options in weights.items()
    }
    left = budget - total_bytes(weights, chosen)
    if left < 0:
        raise BudgetError(f"weights take {budget - left} bytes at least, and {max(budget, 0)} are left for them")
    while True:
        steps = [step for name in weights for step in _steps(name, weights[name], chosen[name], left)]
        if not steps:
            return chosen
        _, name, form = max(steps, key=lambda step: (step[0], step[1], step[2]))
        left -= weights[name][form].bytes - weights[name][chosen[name]].bytes
        chosen[name] = form


def total_bytes(weights: Mapping[str, Mapping[str, Option]], chosen: Mapping[str, str]) -> int:
    """Bytes of all weights in the forms that were chosen."""
    return sum(weights[name][form].bytes for name, form in chosen.items())


def total_noise(weights: Mapping[str, Mapping[str, Option]], chosen: Mapping[str, str]) -> float:
    """Energy of all errors, as their sum says."""
    return sum(weights[name][form].noise for name, form in chosen.items())


def _steps(name: str, options: Mapping[str, Option], now: str, left: int) -> Iterable[tuple[float, str, str]]:
    """Steps to larger forms that fit and help: error removed for each byte, the weight, the form."""
    for form, option in options.items():
        added, removed = option.bytes - options[now].bytes, options[now].noise - option.noise
        if 0 < added <= left and removed > 0:
            yield removed / added, name, form
