"""Chunk plans: where segments lie in a track and how they are blended.

A plan is data. For a track of a given length it lists segments; each says which samples the core reads (its
context, which may reach beyond the track, where there are zeros), which samples of the track it contributes
to, and with what weights. The stems are the weighted sum of the segments' stems divided by the sum of the
weights.

``design``
    Segments of 441,000 samples (10 s) at every 352,800 (8 s). Weights are 1 but for a ramp ``i / 44100`` over
    the first and ``1 - i / 44100`` over the last 44,100 samples; none at the track's start and end.
    Neighbours share 88,200 samples, twice the ramp.
``demucs``
    Segments of 343,980 samples (7.8 s) at every 257,985, with triangular weights. A segment that the track's
    end cuts short is centred in its context, which reaches back into the track. The track is standardised
    before and the stems are scaled back after. Source: demucs 4.1.0, ``apply.apply_model`` with ``shifts=0,
    split=True, overlap=0.25``, ``apply.TensorChunk.padded``, ``utils.center_trim`` and
    ``api.Separator.separate_tensor``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import assert_never

import torch
from torch import Tensor

from htdemucs_coreml.convert.variants import default_variant
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.errors import HTDemucsCoreMLError


class ChunkPlanError(HTDemucsCoreMLError):
    """A plan's options contradict each other, or the plan does not fit the core or the track."""


class PlanName(StrEnum):
    """The chunk plans there are."""

    DESIGN = "design"
    DEMUCS = "demucs"


class Ramp(StrEnum):
    """How the weights of a `DesignPlan` rise from 0 to 1 over ``0 <= x < 1``; they fall as the mirror image.

    ``linear``: ``x``. ``cosine``: ``sin(pi x / 2)``, whose squares add up to 1. ``hann``: ``sin(pi x /
    2)^2``, smooth at both ends. All are computed in float64 and rounded once.
    """

    LINEAR = "linear"
    COSINE = "cosine"
    HANN = "hann"


@dataclass(frozen=True)
class Segment:
    """One run of the core: what it reads, what it contributes to and with what weights.

    Attributes
    ----------
    index : int
        Its place in the plan, from 0.
    context_start : int
        Position in the track of the first sample that the core reads; it reads the plan's `segment_samples`.
        Positions before 0 and from the track's length on are zeros.
    start, stop : int
        Samples of the track that it contributes to, ``[start, stop)``; they lie within its context.
    weights : Tensor [stop - start], float32
        Weight of each sample, >= 0.
    """

    index: int
    context_start: int
    start: int
    stop: int
    weights: Tensor

    @property
    def in_context(self) -> slice:
        """Where ``[start, stop)`` lies in the core's output."""
        return slice(self.start - self.context_start, self.stop - self.context_start)


@dataclass(frozen=True)
class ChunkPlan(ABC):
    """Segments of a track of any length.

    Attributes
    ----------
    segment_samples : int
        What the core reads at once.
    stride_samples : int
        Distance between the starts of neighbouring segments.
    """

    segment_samples: int
    stride_samples: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride_samples <= self.segment_samples:
            raise ChunkPlanError(
                f"segments of {self.segment_samples} samples cannot lie {self.stride_samples} samples apart"
            )

    @property
    @abstractmethod
    def name(self) -> PlanName:
        """Name of the plan, as the command-line tools call it."""

    @property
    @abstractmethod
    def standardises_track(self) -> bool:
        """Whether the core sees the track scaled so that its mono mix has mean 0 and standard deviation 1."""

    @abstractmethod
    def _segment(self, index: int, start: int, stop: int, track_samples: int) -> Segment: ...

    def segment_count(self, track_samples: int) -> int:
        """Return how many segments a track has: one at every stride that lies within it."""
        return -(-track_samples // self.stride_samples)

    def segments(self, track_samples: int) -> Iterator[Segment]:
        """List the segments of a track in order; neither their starts nor their contexts ever move back.

        Raises
        ------
        ChunkPlanError
            If the track has no sample.
        """
        if track_samples < 1:
            raise ChunkPlanError(f"a track of {track_samples} samples has no segments")
        for index in range(self.segment_count(track_samples)):
            start = index * self.stride_samples
            stop = min(start + self.segment_samples, track_samples)
            yield self._segment(index, start, stop, track_samples)

    def require_segment_samples(self, segment_samples: int) -> None:
        """Check that a core reads as many samples at once as this plan gives it.

        Raises
        ------
        ChunkPlanError
            If it does not; the message names the variant and the plan that would fit.
        """
        if segment_samples == self.segment_samples:
            return
        needed = _STANDARD_VARIANTS.get(self.segment_samples)
        fitting = _STANDARD_PLANS.get(segment_samples)
        remedies = [f"take a package of variant {needed}"] if needed else []
        remedies += [f"take plan {fitting}"] if fitting else []
        raise ChunkPlanError(
            f"chunk plan {self.name} needs segments of {_described(self.segment_samples)}, "
            f"but this package's have {_described(segment_samples)}"
            f"{': ' if remedies else ''}{' or '.join(remedies)}"
        )


@dataclass(frozen=True)
class DesignPlan(ChunkPlan):
    """Plan ``design``: flat weights with ramps, segments padded with zeros at the track's end.

    Attributes
    ----------
    ramp : Ramp
        Shape of the ramps. Each is half as long as what neighbours share, so that at overlaps of up to a half
        every sample has a segment that counts in full.
    """

    ramp: Ramp = Ramp.LINEAR

    @property
    def name(self) -> PlanName:
        """``design``."""
        return PlanName.DESIGN

    @property
    def standardises_track(self) -> bool:
        """False."""
        return False

    @property
    def ramp_samples(self) -> int:
        """Length of each ramp."""
        return (self.segment_samples - self.stride_samples) // 2

    @cached_property
    def _rise(self) -> Tensor:
        return _ramp_weights(self.ramp, range(self.ramp_samples), self.ramp_samples)

    @cached_property
    def _fall(self) -> Tensor:
        return _ramp_weights(self.ramp, range(self.ramp_samples, 0, -1), self.ramp_samples)

    def _segment(self, index: int, start: int, stop: int, track_samples: int) -> Segment:
        weights = torch.ones(stop - start)
        if start > 0:
            rise = self._rise[: stop - start]
            weights[: len(rise)] = rise
        if stop < track_samples:
            weights[len(weights) - self.ramp_samples :] = self._fall
        return Segment(index, context_start=start, start=start, stop=stop, weights=weights)


@dataclass(frozen=True)
class DemucsPlan(ChunkPlan):
    """Plan ``demucs``: triangular weights, segments centred on real context, as upstream does."""

    @property
    def name(self) -> PlanName:
        """``demucs``."""
        return PlanName.DEMUCS

    @property
    def standardises_track(self) -> bool:
        """True."""
        return True

    @cached_property
    def _triangle(self) -> Tensor:
        half = self.segment_samples // 2
        rise = torch.arange(1, half + 1)
        fall = torch.arange(self.segment_samples - half, 0, -1)
        heights = torch.cat([rise, fall])
        return heights / heights.max()

    def _segment(self, index: int, start: int, stop: int, track_samples: int) -> Segment:
        del track_samples
        missing = self.segment_samples - (stop - start)
        return Segment(
            index,
            context_start=start - missing // 2,
            start=start,
            stop=stop,
            weights=self._triangle[: stop - start],
        )


DESIGN_SEGMENT_SAMPLES = 441_000
DESIGN_OVERLAP = 0.2
DEMUCS_SEGMENT_SAMPLES = 343_980
DEMUCS_OVERLAP = 0.25

_STANDARD_PLANS = {DESIGN_SEGMENT_SAMPLES: PlanName.DESIGN, DEMUCS_SEGMENT_SAMPLES: PlanName.DEMUCS}
_STANDARD_VARIANTS = {
    variant.segment_samples: variant.name for variant in (default_variant(), default_variant(short=True))
}


def design_plan(
    overlap: float = DESIGN_OVERLAP,
    ramp: Ramp = Ramp.LINEAR,
    segment_samples: int = DESIGN_SEGMENT_SAMPLES,
) -> DesignPlan:
    """Plan ``design``.

    Parameters
    ----------
    overlap : float
        Share of a segment that it has in common with the next, ``0 <= overlap < 1``. The ramps are half of
        that: at 0 segments abut without blending, above a half more than two segments meet.
    ramp : Ramp
        Shape of the ramps.
    segment_samples : int
        Length of a segment.

    Raises
    ------
    ChunkPlanError
        If `overlap` is out of range.
    """
    return DesignPlan(segment_samples, _stride_samples(segment_samples, overlap), ramp)


def demucs_plan(overlap: float = DEMUCS_OVERLAP, segment_samples: int = DEMUCS_SEGMENT_SAMPLES) -> DemucsPlan:
    """Plan ``demucs``.

    Parameters
    ----------
    overlap : float
        Share of a segment that it has in common with the next, ``0 <= overlap < 1``.
    segment_samples : int
        Length of a segment.

    Raises
    ------
    ChunkPlanError
        If `overlap` is out of range.
    """
    return DemucsPlan(segment_samples, _stride_samples(segment_samples, overlap))


def chunk_plan_for(segment_samples: int, name: PlanName | None = None, overlap: float | None = None) -> ChunkPlan:
    """Return the plan for a core whose segments have `segment_samples` samples.

    Parameters
    ----------
    segment_samples : int
        What the core reads at once.
    name : PlanName, optional
        By default the plan made for that length: 441,000: ``design``, 343,980: ``demucs``.
    overlap : float, optional
        By default the plan's own.

    Raises
    ------
    ChunkPlanError
        If the plan does not fit the length, no plan does, or `overlap` is out of range.
    """
    if name is None:
        name = _STANDARD_PLANS.get(segment_samples)
    if name is None:
        raise ChunkPlanError(
            f"no chunk plan is made for this package's segments of {_described(segment_samples)}; "
            f"take a package of variant {' or '.join(_STANDARD_VARIANTS.values())}"
        )
    plan: ChunkPlan
    match name:
        case PlanName.DESIGN:
            plan = design_plan(DESIGN_OVERLAP if overlap is None else overlap)
        case PlanName.DEMUCS:
            plan = demucs_plan(DEMUCS_OVERLAP if overlap is None else overlap)
        case _:
            assert_never(name)
    plan.require_segment_samples(segment_samples)
    return plan


def _stride_samples(segment_samples: int, overlap: float) -> int:
    stride_samples = int((1 - overlap) * segment_samples) if 0 <= overlap < 1 else 0
    if stride_samples < 1:
        raise ChunkPlanError(f"overlap {overlap} is out of range: give at least 0 and less than 1")
    return stride_samples


def _ramp_weights(ramp: Ramp, steps: range, ramp_samples: int) -> Tensor:
    """Weights at ``x = step / ramp_samples``; a fall counts its steps down from `ramp_samples`."""
    positions = torch.tensor(steps, dtype=torch.float64) / max(ramp_samples, 1)
    match ramp:
        case Ramp.LINEAR:
            weights = positions
        case Ramp.COSINE:
            weights = torch.sin(math.pi / 2 * positions)
        case Ramp.HANN:
            weights = torch.sin(math.pi / 2 * positions).square()
        case _:
            assert_never(ramp)
    return weights.to(torch.float32)


def _described(samples: int) -> str:
    return f"{samples} samples ({samples / SAMPLE_RATE_HZ:g} s)"
