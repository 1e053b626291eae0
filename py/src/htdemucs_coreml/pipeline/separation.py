"""A track through a core, segment by segment, to stems: the heart of the pipeline, without files."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from htdemucs_coreml.backends.base import CoreBackend
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.pipeline.chunk_plan import ChunkPlan, Segment
from htdemucs_coreml.pipeline.overlap_add import OverlapAdd
from htdemucs_coreml.pipeline.standardisation import IDENTITY, standardisation_of
from htdemucs_coreml.pipeline.track import ForwardReader, TensorTrack, Track
from htdemucs_coreml.segment import core_inputs, stem_waveforms


class SeparationError(HTDemucsCoreMLError):
    """A track could not be separated."""


class UnknownStemError(SeparationError):
    """A stem was asked for that the model does not separate, or asked for twice."""


class Progress(Protocol):
    """Told of each segment that is done."""

    def __call__(self, segments_done: int, segments_total: int, /) -> None:
        """Take note; called with 0 before the first segment, and last with both numbers equal."""
        ...


def separate(
    samples: Tensor,
    backend: CoreBackend,
    plan: ChunkPlan,
    *,
    stems: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Separate a track that is in memory.

    Parameters
    ----------
    samples : Tensor [2, n], float32
        At 44.1 kHz, at least one sample, finite. Not changed.
    backend : CoreBackend
        Runs the core.
    plan : ChunkPlan
        Must fit the core's segment length.
    stems : sequence of str, optional
        Which stems, in which order; by default all, in the order of ``backend.contract.sources``.
    progress : Progress, optional
        Told of each segment.

    Returns
    -------
    Tensor [stems, 2, n], float32

    Raises
    ------
    TrackError, ChunkPlanError, UnknownStemError, SeparationError, BackendError
        See `separate_track`.
    """
    pieces = separate_track(TensorTrack(samples), backend, plan, stems=stems, progress=progress)
    return torch.cat(list(pieces), dim=-1)


def separate_track(
    track: Track,
    backend: CoreBackend,
    plan: ChunkPlan,
    *,
    stems: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[Tensor]:
    """Separate a track piece by piece, with memory that does not grow with its length.

    Parameters
    ----------
    track : Track
        What to separate; read once, or twice where the plan standardises it.
    backend, plan, stems, progress
        As for `separate`.

    Returns
    -------
    iterator of Tensor [stems, 2, n], float32
        Consecutive pieces, together as long as the track. The work is done as they are taken.

    Raises
    ------
    ChunkPlanError
        If the plan does not fit the core or the track has no sample.
    UnknownStemError
        If a stem is asked for that the core does not give, or twice.
    SeparationError
        On taking a piece: if the core gives a value that is NaN or infinite.
    TrackError, BackendError
        On taking a piece: if reading the track or running the core fails.
    """
    plan.require_segment_samples(backend.contract.segment_samples)
    indices = stem_indices(backend.contract.sources, stems)
    segments = plan.segments(track.samples)
    return _pieces(track, backend, plan, segments, indices, progress)


def stem_indices(sources: Sequence[str], stems: Sequence[str] | None) -> list[int]:
    """Find where the stems that were asked for lie among a model's sources.

    Parameters
    ----------
    sources : sequence of str
        The model's stems, in the order of its output.
    stems : sequence of str, optional
        Those asked for; by default all.

    Raises
    ------
    UnknownStemError
        If one is not among the sources or there twice.
    """
    if stems is None:
        return list(range(len(sources)))
    unknown = [stem for stem in stems if stem not in sources]
    if unknown or not stems:
        asked = f"stem {', '.join(unknown)}" if unknown else "no stem at all"
        raise UnknownStemError(f"{asked} was asked for, but this model separates {', '.join(sources)}")
    if len(set(stems)) != len(stems):
        raise UnknownStemError(f"a stem was asked for twice: {', '.join(stems)}")
    return [list(sources).index(stem) for stem in stems]


def _pieces(
    track: Track,
    backend: CoreBackend,
    plan: ChunkPlan,
    segments: Iterator[Segment],
    indices: list[int],
    progress: Progress | None,
) -> Iterator[Tensor]:
    total = plan.segment_count(track.samples)
    if progress is not None:
        progress(0, total)
    # Zeros beyond the track are zeros of the standardised track, as upstream's are: it pads after
    # standardising.
    standardisation = standardisation_of(track.blocks()) if plan.standardises_track else IDENTITY
    reader = ForwardReader(standardisation.apply(block) for block in track.blocks())
    accumulated = OverlapAdd(len(indices))
    for segment in segments:
        if segment.start > 0:
            yield standardisation.undo(accumulated.take_until(segment.start))
        context = reader.read(segment.context_start, segment.context_start + plan.segment_samples)
        stems = _stems_of_segment(context, backend, indices)
        _require_finite(stems, segment, [backend.contract.sources[index] for index in indices])
        accumulated.add(segment, stems[..., segment.in_context])
        if progress is not None:
            progress(segment.index + 1, total)
    yield standardisation.undo(accumulated.take_until(track.samples))


@torch.no_grad()
def _stems_of_segment(waveform: Tensor, backend: CoreBackend, indices: list[int]) -> Tensor:
    """STFT, core and inverse STFT: ``[2, L]`` to ``[stems, 2, L]``."""
    return stem_waveforms(backend.predict(**core_inputs(waveform)), indices)


def _require_finite(stems: Tensor, segment: Segment, names: list[str]) -> None:
    for name, stem in zip(names, stems, strict=True):
        if not bool(torch.isfinite(stem).all()):
            raise SeparationError(
                f"the model returned NaN or infinity for stem {name} in segment {segment.index}, "
                f"which starts at {segment.start / SAMPLE_RATE_HZ:.1f} s; "
                "if the package is of a lower precision, take variant float32"
            )
