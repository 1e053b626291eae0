import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htdemucs_coreml.fidelity.selection import Candidate, energy, predicted_db, select

SIGNALS = ("music", "quiet")
scores = st.fixed_dictionaries(dict.fromkeys(SIGNALS, st.floats(20, 120)))
candidates = st.lists(st.tuples(st.integers(0, 1000), scores), min_size=1, max_size=12).map(
    lambda drawn: [
        Candidate(f"unit_{index}", count, {name: energy(score) for name, score in by_signal.items()})
        for index, (count, by_signal) in enumerate(drawn)
    ]
)


def share_of(chosen: tuple[Candidate, ...], total: int) -> float:
    return sum(candidate.multiply_adds for candidate in chosen) / total


@given(candidates, st.floats(0, 1))
def test_the_share_is_reached_and_no_unit_could_be_left_out(drawn: list[Candidate], share: float) -> None:
    total = sum(candidate.multiply_adds for candidate in drawn) or 1
    if sum(candidate.multiply_adds for candidate in drawn) < share * total:
        return
    chosen = select(drawn, total, share)
    assert share_of(chosen, total) >= share
    for candidate in chosen:
        assert share_of(tuple(one for one in chosen if one is not candidate), total) < share


@given(candidates, st.permutations(range(12)))
def test_the_choice_does_not_depend_on_the_order_of_candidates(drawn: list[Candidate], order: list[int]) -> None:
    total = sum(candidate.multiply_adds for candidate in drawn) or 1
    shuffled = [drawn[index] for index in order if index < len(drawn)]
    share = min(0.5, sum(candidate.multiply_adds for candidate in drawn) / total)
    assert select(drawn, total, share) == select(shuffled, total, share)


def test_the_unit_with_less_error_for_each_multiply_add_comes_first() -> None:
    cheap, dear = (Candidate(name, 10, {"music": energy(db)}) for name, db in (("cheap", 80), ("dear", 60)))
    assert select([dear, cheap], 20, 0.5) == (cheap,)


def test_a_unit_is_judged_by_its_worst_signal() -> None:
    uneven = Candidate("uneven", 10, {"music": energy(100), "quiet": energy(50)})
    even = Candidate("even", 10, {"music": energy(60), "quiet": energy(60)})
    assert select([uneven, even], 20, 0.5) == (even,)


def test_errors_add_up_on_each_signal() -> None:
    one = Candidate("one", 1, {"music": energy(60), "quiet": energy(90)})
    other = Candidate("other", 1, {"music": energy(60), "quiet": energy(90)})
    assert predicted_db([one, other]) == pytest.approx(60 - 10 * math.log10(2))
    assert predicted_db([]) == math.inf


def test_a_share_out_of_reach_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"all units together are 50.0% of the multiply-adds, not 60.0%"):
        select([Candidate("one", 1, {"music": 0.1})], 2, 0.6)
