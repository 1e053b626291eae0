import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htdemucs_coreml.fidelity.allocation import BudgetError, Option, allocate, total_bytes, total_noise

Weights = dict[str, dict[str, Option]]
options = st.builds(Option, st.integers(1, 1000), st.floats(1e-6, 1))
weights = st.lists(st.lists(options, min_size=1, max_size=4), min_size=1, max_size=8).map(
    lambda drawn: {
        f"block_{index}": {f"form_{number}": option for number, option in enumerate(forms)}
        for index, forms in enumerate(drawn)
    }
)


def smallest(drawn: Weights) -> int:
    return sum(min(option.bytes for option in forms.values()) for forms in drawn.values())


@given(weights, st.integers(0, 5000))
def test_the_budget_is_kept_and_no_step_that_helps_still_fits(drawn: Weights, beyond: int) -> None:
    budget = smallest(drawn) + beyond
    chosen = allocate(drawn, budget)
    assert set(chosen) == set(drawn)
    left = budget - total_bytes(drawn, chosen)
    assert left >= 0
    for name, form in chosen.items():
        now = drawn[name][form]
        for other in drawn[name].values():
            assert other.noise >= now.noise or other.bytes - now.bytes > left or other.bytes <= now.bytes


@given(weights, st.integers(1, 1000))
def test_a_budget_too_small_for_the_smallest_forms_is_an_error(drawn: Weights, missing: int) -> None:
    with pytest.raises(BudgetError, match=f"weights take {smallest(drawn)} bytes at least"):
        allocate(drawn, smallest(drawn) - missing)


@given(weights, st.integers(0, 5000), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_weights(drawn: Weights, beyond: int, random: object) -> None:
    names = sorted(drawn, key=lambda name: hash((name, str(random))))
    budget = smallest(drawn) + beyond
    assert allocate({name: drawn[name] for name in names}, budget) == allocate(drawn, budget)


def test_bytes_go_where_they_remove_most_error() -> None:
    forms = {"small": Option(10, 0.4), "large": Option(20, 0.1)}
    drawn = {"sensitive": {"small": Option(10, 4.0), "large": Option(20, 1.0)}, "other": forms, "third": forms}
    chosen = allocate(drawn, 40)
    assert chosen["sensitive"] == "large"
    assert total_bytes(drawn, chosen) == 40
    assert math.isclose(total_noise(drawn, chosen), 1.8)
