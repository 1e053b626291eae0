"""Which units of a core compute in float16, for a share of its multiply-adds and the least error.

Errors of different units are independent, so their energies add up on every signal. The error of a choice is that on
its worst signal.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A unit that may become float16.

    Attributes
    ----------
    name : str
        The unit.
    multiply_adds : int
        What it would compute in float16, a segment.
    noise : Mapping of str to float
        Energy of its error relative to the worst stem's, by signal.
    """

    name: str
    multiply_adds: int
    noise: Mapping[str, float]


def energy(score_db: float) -> float:
    """Energy of an error relative to the signal's, of a score in dB."""
    return math.pow(10, -score_db / 10)


def predicted_db(chosen: Iterable[Candidate]) -> float:
    """Score of a choice on its worst signal, as the sum of its units' errors says; infinite for none."""
    sums: dict[str, float] = {}
    for candidate in chosen:
        for signal, noise in candidate.noise.items():
            sums[signal] = sums.get(signal, 0.0) + noise
    worst = max(sums.values(), default=0.0)
    return -10 * math.log10(worst) if worst > 0 else math.inf


def select(candidates: Iterable[Candidate], total: int, share: float) -> tuple[Candidate, ...]:
    """Choose units that make up a share of all multiply-adds.

    Units are taken by their error for each multiply-add, the least first, until the share is reached; then those
    without which it still is are left out, the worst first.

    Parameters
    ----------
    candidates : iterable of Candidate
        Units that may be chosen; those without multiply-adds never are.
    total : int
        Multiply-adds of the whole core.
    share : float
        Share of `total` to reach, 0 to 1.

    Returns
    -------
    tuple of Candidate
        Sorted by name.

    Raises
    ------
    ValueError
        If all candidates together do not reach the share.
    """
    usable = [candidate for candidate in candidates if candidate.multiply_adds > 0]
    chosen: list[Candidate] = []
    for candidate in sorted(usable, key=lambda one: (_worst(one) / one.multiply_adds, one.name)):
        if _share(chosen, total) >= share:
            break
        chosen.append(candidate)
    if _share(chosen, total) < share:
        raise ValueError(f"all units together are {_share(chosen, total):.1%} of the multiply-adds, not {share:.1%}")
    for candidate in sorted(chosen, key=lambda one: (-_worst(one), one.name)):
        others = [other for other in chosen if other is not candidate]
        if _share(others, total) >= share:
            chosen = others
    return tuple(sorted(chosen, key=lambda one: one.name))


def _worst(candidate: Candidate) -> float:
    return max(candidate.noise.values())


def _share(chosen: Iterable[Candidate], total: int) -> float:
    return sum(candidate.multiply_adds for candidate in chosen) / total
