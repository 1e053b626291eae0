"""How much error each unit of a core adds when it alone computes in float16, and how large its values become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.fidelity.scoring import stem_scores
from htdemucs_coreml.mil.emulation import Emulator
from htdemucs_coreml.segment import core_inputs, stem_waveforms

FLOAT16_MAXIMUM = 65504.0


@dataclass(frozen=True)
class Unit:
    """A block, or a part of one, that a plan gives one type.

    Attributes
    ----------
    name : str
        The pattern that names it in a plan.
    operations : frozenset of str
        Names of its operations.
    """

    name: str
    operations: frozenset[str]


@dataclass(frozen=True)
class Sensitivity:
    """What was measured of a unit on one signal.

    Attributes
    ----------
    worst_stem_db : float
        Score of the worst stem, against the float32 program, when the unit alone is float16.
    largest : float
        Largest magnitude among what the unit takes and makes, in float32.
    """

    worst_stem_db: float
    largest: float

    @property
    def headroom(self) -> float:
        """How many times larger values could be before they overflow."""
        return FLOAT16_MAXIMUM / self.largest if self.largest else float("inf")


def measure(emulator: Emulator, units: Sequence[Unit], mix: Tensor) -> Mapping[str, Sensitivity]:
    """Measure every unit on one signal.

    The operations before a unit compute the same as in float32, so each unit is run from its first operation on.

    Parameters
    ----------
    emulator : Emulator
        Of the float32 program.
    units : sequence of Unit
        What to measure; none shares an operation with another.
    mix : Tensor [2, samples]
        The signal.

    Returns
    -------
    Mapping of str to Sensitivity
        By the unit's name, in the order of `units`.
    """
    unit_of = {operation: unit.name for unit in units for operation in unit.operations}
    largest = dict.fromkeys((unit.name for unit in units), 0.0)
    estimates: dict[str, CoreOutputs] = {}
    values = core_inputs(mix)
    by_name = {unit.name: unit for unit in units}
    for index, operation in enumerate(emulator.operations):
        name = unit_of.get(operation.name)
        if name is None:
            emulator.advance(values, index)
            continue
        if name not in estimates:
            estimates[name] = CoreOutputs(**emulator.finish(values, index, by_name[name].operations))
        taken = [values[argument.name] for argument in operation.arguments() if argument.name in values]
        emulator.advance(values, index)
        made = [values[output.name] for output in operation.outputs if output.name in values]
        largest[name] = max([largest[name], *map(_largest, taken + made)])
    reference = stem_waveforms(CoreOutputs(**{name: values[name] for name in CoreOutputs._fields}))
    scores = {name: min(stem_scores(stem_waveforms(estimates[name]), reference, mix)) for name in by_name}
    return {name: Sensitivity(scores[name], largest[name]) for name in by_name}


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.is_floating_point() and tensor.numel() else 0.0
