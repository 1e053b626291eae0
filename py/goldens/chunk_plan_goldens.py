"""Goldens of chunk plans: which samples of a track each segment reads and contributes to, and with what weights.

Written from the plans' definitions, not with the code that they judge. Source of ``demucs``: demucs 4.1.0,
``apply.apply_model`` with ``split=True`` and ``apply.TensorChunk.padded``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.goldens.grid import rounded_once
from htdemucs_coreml.goldens.manifest import AxisSlice
from htdemucs_coreml.goldens.writing import GoldenWriter

GENERATOR = "py/goldens/chunk_plan_goldens.py"
SHORT_SEGMENT_SAMPLES = 1000
# A prime, so that the positions kept of each ramp differ from segment to segment.
WEIGHT_STEP = 997
_SINE_SPREAD = 2.0**-50

Real = NDArray[np.float64]
Integers = NDArray[np.int64]
Weights = NDArray[np.float32]
Rise = Callable[[Real], Weights]

# How weights rise over 0 <= x < 1; they fall as the mirror image. Quotients and their rounding are exact by IEEE 754.
RAMPS: Mapping[str, Rise] = {
    "linear": lambda x: x.astype(np.float32),
    "cosine": lambda x: rounded_once(np.sin(np.pi / 2 * x), _SINE_SPREAD),
    "hann": lambda x: rounded_once(np.sin(np.pi / 2 * x) ** 2, _SINE_SPREAD),
}


@dataclass(frozen=True)
class Plan:
    """A chunk plan.

    Attributes
    ----------
    ramp : str or None
        A key of `RAMPS` for plan ``design``; None for plan ``demucs``.
    segment_samples, stride_samples : int
        Length of a segment, and the distance between the starts of neighbours.
    """

    ramp: str | None
    segment_samples: int
    stride_samples: int

    def outputs(self, track_samples: int) -> Integers:
        """First sample and the one after the last that each segment contributes to, ``[segments, 2]``."""
        starts = np.arange(0, track_samples, self.stride_samples, dtype=np.int64)
        return np.stack([starts, np.minimum(starts + self.segment_samples, track_samples)], axis=1)

    def reads(self, track_samples: int) -> Integers:
        """First sample and the one after the last that each segment reads, ``[segments, 2]``; the track starts at 0."""
        outputs = self.outputs(track_samples)
        starts = outputs[:, 0].copy()
        if self.ramp is None:
            starts -= (self.segment_samples - (outputs[:, 1] - outputs[:, 0])) // 2
        return np.stack([starts, starts + self.segment_samples], axis=1)

    def weights(self, track_samples: int) -> Weights:
        """Weights of all segments' outputs, one segment after another."""
        return np.concatenate(
            [
                self._triangle(stop - start) if self.ramp is None else self._flat(self.ramp, start, stop, track_samples)
                for start, stop in self.outputs(track_samples).tolist()
            ]
        )

    def _triangle(self, length: int) -> Weights:
        half = self.segment_samples // 2
        heights = np.concatenate([np.arange(1, half + 1), np.arange(self.segment_samples - half, 0, -1)])
        weights: Weights = (heights / heights.max()).astype(np.float32)
        return weights[:length]

    def _flat(self, ramp: str, start: int, stop: int, track_samples: int) -> Weights:
        ramp_samples = (self.segment_samples - self.stride_samples) // 2
        steps = np.arange(ramp_samples)
        weights = np.ones(stop - start, np.float32)
        if start > 0:
            rise = RAMPS[ramp](steps / ramp_samples)[: stop - start]
            weights[: len(rise)] = rise
        if stop < track_samples:
            weights[len(weights) - ramp_samples :] = RAMPS[ramp]((ramp_samples - steps) / ramp_samples)
        return weights


def add_chunk_plan_goldens(writer: GoldenWriter) -> None:
    """Add every golden of this module."""
    design = {ramp: Plan(ramp, 441_000, 352_800) for ramp in RAMPS}
    demucs = Plan(None, 343_980, 257_985)
    minutes = 3 * 60 * 44_100 + 123
    for track_samples in (1, 441_000, 441_001, minutes):
        _add_plan(writer, f"design_linear_{track_samples}", design["linear"], track_samples, WEIGHT_STEP)
    for ramp in ("cosine", "hann"):
        for track_samples in (441_001, 1_000_000):
            _add_plan(writer, f"design_{ramp}_{track_samples}", design[ramp], track_samples, WEIGHT_STEP)
    for track_samples in (1, 343_980, 343_981, minutes):
        _add_plan(writer, f"demucs_{track_samples}", demucs, track_samples, WEIGHT_STEP)
    for ramp in RAMPS:
        short = Plan(ramp, SHORT_SEGMENT_SAMPLES, 800)
        _add_plan(writer, f"design_{ramp}_short_segments_3333", short, 3333, weight_step=1)
    _add_plan(writer, "demucs_short_segments_3333", Plan(None, SHORT_SEGMENT_SAMPLES, 750), 3333, weight_step=1)


def _add_plan(writer: GoldenWriter, name: str, plan: Plan, track_samples: int, weight_step: int) -> None:
    folder = f"chunk_plan/{name}"
    writer.add(
        f"{folder}/parameters",
        np.array([plan.segment_samples, plan.stride_samples, track_samples], np.int64),
        axes=("parameter",),
        scale="segment, stride and track, in samples",
        generator=GENERATOR,
    )
    inputs = (f"{folder}/parameters",)
    for kind, ranges in (("reads", plan.reads(track_samples)), ("outputs", plan.outputs(track_samples))):
        writer.add(
            f"{folder}/{kind}",
            ranges,
            axes=("segment", "start_and_stop"),
            scale="samples from the track's start; the stop is one past the last",
            generator=GENERATOR,
            inputs=inputs,
        )
    weights = plan.weights(track_samples)
    writer.add(
        f"{folder}/weights",
        weights[::weight_step],
        axes=("weight",),
        scale="1 counts in full; the outputs' weights of all segments, one segment after another",
        generator=GENERATOR,
        kept=AxisSlice("weight", 0, len(weights), weight_step) if weight_step > 1 else None,
        inputs=inputs,
    )
