"""The learning rate rises, stays and falls; where it falls is all that hangs on a run's end."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from training.configuration import Phase, Schedule
from training.schedule import phase_of, rate_factor

SCHEDULES = st.builds(
    lambda warm_up, main, final: Schedule(warm_up, Phase(main, 1.0, 2), Phase(final, 4.0, 1)),
    st.integers(1, 50),
    st.integers(50, 500),
    st.integers(1, 500),
)


@given(SCHEDULES)
def test_the_rate_rises_to_one_stays_and_falls_to_almost_nothing(schedule: Schedule) -> None:
    factors = [rate_factor(step, schedule) for step in range(schedule.steps)]
    warm, flat, falling = (
        factors[: schedule.warm_up],
        factors[schedule.warm_up : schedule.main.steps],
        factors[schedule.main.steps :],
    )
    assert warm == sorted(warm) and warm[0] > 0 and warm[-1] == 1
    assert set(flat) <= {1.0}
    assert falling == sorted(falling, reverse=True) and falling[0] < 1 and 0 < falling[-1] < 0.5


@given(SCHEDULES, st.integers(1, 500))
def test_prolonging_a_run_changes_nothing_before_the_rate_fell(schedule: Schedule, more: int) -> None:
    longer = dataclasses.replace(schedule, main=dataclasses.replace(schedule.main, steps=schedule.main.steps + more))
    for step in range(schedule.main.steps):
        assert rate_factor(step, longer) == rate_factor(step, schedule)
        assert phase_of(step, longer).seconds == phase_of(step, schedule).seconds
    assert phase_of(schedule.main.steps, schedule) is schedule.final
    assert phase_of(schedule.main.steps, longer) is longer.main
