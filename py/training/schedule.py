"""What a step is like: its phase and its learning rate, functions of its number."""

import math

from training.configuration import Phase, Schedule


def phase_of(step: int, schedule: Schedule) -> Phase:
    """The phase that a step, counted from 0, belongs to."""
    return schedule.main if step < schedule.main.steps else schedule.final


def rate_factor(step: int, schedule: Schedule) -> float:
    """Learning rate of a step over the highest one: rising, then 1, then falling towards 0 as ``1 - sqrt``.

    A flat rate lets a run be prolonged: only its last part hangs on where it ends. Source: Hägele et al., "Scaling Laws
    and Compute-Optimal Training Beyond Fixed Training Durations", NeurIPS 2024, section 3.
    """
    if step < schedule.main.steps:
        return min(1.0, (step + 1) / schedule.warm_up)
    return 1.0 - math.sqrt((step - schedule.main.steps + 1) / (schedule.final.steps + 1))
