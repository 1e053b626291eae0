"""Separation blends as upstream does, in memory that does not grow, and stops at what is not finite."""

import gc
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import torch
from demucs.apply import apply_model
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fake_cores import (
    BothWaysCore,
    FakeCore,
    context_dependent_core,
    context_dependent_stems,
    gains_core,
)
from htdemucs_coreml.audio.blocks import equal_blocks
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.pipeline import separation
from htdemucs_coreml.pipeline.chunk_plan import (
    ChunkPlan,
    ChunkPlanError,
    Ramp,
    demucs_plan,
    design_plan,
)
from htdemucs_coreml.pipeline.separation import (
    SeparationError,
    UnknownStemError,
    separate,
    separate_track,
)
from htdemucs_coreml.pipeline.standardisation import IDENTITY
from htdemucs_coreml.pipeline.track import (
    BLOCK_SAMPLES,
    ForwardReader,
    TensorTrack,
    TrackError,
)
from htdemucs_coreml.spectrogram import spectrogram, waveform_from_spectrogram

SEGMENT = 4096
DESIGN = design_plan(segment_samples=SEGMENT)
DEMUCS = demucs_plan(segment_samples=SEGMENT)
small_plans = st.one_of(
    st.builds(design_plan, st.floats(0, 0.8), st.sampled_from(Ramp), st.just(SEGMENT)),
    st.builds(demucs_plan, st.floats(0, 0.8), st.just(SEGMENT)),
)
both_plans = pytest.mark.parametrize("plan", [DESIGN, DEMUCS], ids=["design", "demucs"])


def noise(samples: int, seed: int = 0) -> Tensor:
    """Stereo noise at a modest level and with an offset, which standardising has to undo."""
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed)) + 0.02


class ContextDependentModel(nn.Module):
    """What demucs' `apply_model` asks of a model, around the same stems as `context_dependent_core`'s."""

    samplerate = 44_100
    audio_channels = 2

    def __init__(self, segment_samples: int) -> None:
        super().__init__()
        self.sources = ["first", "second"]
        self.segment = Fraction(segment_samples, self.samplerate)
        self.segment_samples = segment_samples

    def valid_length(self, length: int) -> int:
        return max(length, self.segment_samples)

    def forward(self, mix: Tensor) -> Tensor:
        return context_dependent_stems(mix[0])[None]


def upstream_stems(samples: Tensor, segment_samples: int, overlap: float = 0.25) -> Tensor:
    """Separate as demucs 4.1.0's `api.Separator.separate_tensor` does with ``shifts=0``."""
    mono = samples.mean(0)
    mean, deviation = mono.mean(), mono.std() + 1e-8
    model = ContextDependentModel(segment_samples)
    standardised = ((samples - mean) / deviation)[None]
    return upstream_blend(model, standardised, overlap) * deviation + mean


def upstream_blend(model: nn.Module, mix: Tensor, overlap: float) -> Tensor:
    # Upstream's annotation names its own three models; it asks no more than `ContextDependentModel` has.
    apply: Any = apply_model
    stems: Tensor = apply(model, mix, shifts=0, split=True, overlap=overlap)
    return stems[0]


@pytest.mark.parametrize("length", [2, 343_979, 343_980, 343_981, 257_984, 257_985, 257_986, 700_001])
def test_plan_demucs_gives_what_upstream_gives(length: int) -> None:
    samples = noise(length, seed=length)
    stems = separate(samples, context_dependent_core(343_980), demucs_plan())
    assert snr_db(stems, upstream_stems(samples, 343_980)) >= 130


@settings(deadline=None, max_examples=60)
@given(length=st.integers(2, 5 * SEGMENT), overlap=st.floats(0, 0.9))
def test_plan_demucs_gives_what_upstream_gives_at_any_length_and_overlap(length: int, overlap: float) -> None:
    samples = noise(length, seed=length)
    stems = separate(samples, context_dependent_core(SEGMENT), demucs_plan(overlap, SEGMENT))
    assert snr_db(stems, upstream_stems(samples, SEGMENT, overlap)) >= 125


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 5 * SEGMENT), overlap=st.floats(0, 0.9))
def test_segments_are_placed_and_blended_bit_for_bit_as_upstream_does(length: int, overlap: float) -> None:
    samples = noise(length, seed=length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separation, "standardisation_of", lambda _: IDENTITY)
        stems = separate(samples, context_dependent_core(SEGMENT), demucs_plan(overlap, SEGMENT))
    assert torch.equal(stems, upstream_blend(ContextDependentModel(SEGMENT), samples[None], overlap))


def source_design_stems(samples: Tensor, segment_samples: int, ramp_samples: int) -> Tensor:
    """The source design's loop, in float64 and all in memory."""
    length = samples.shape[1]
    stride_samples = segment_samples - 2 * ramp_samples
    sums = torch.zeros(2, 2, length, dtype=torch.float64)
    weights = torch.zeros(length, dtype=torch.float64)
    for start in range(0, length, stride_samples):
        stop = min(start + segment_samples, length)
        segment = torch.zeros(2, segment_samples)
        segment[:, : stop - start] = samples[:, start:stop]
        window = torch.ones(stop - start, dtype=torch.float64)
        for step in range(ramp_samples):
            if start > 0 and step < stop - start:
                window[step] = step / ramp_samples
            if stop < length:
                window[segment_samples - ramp_samples + step] = 1 - step / ramp_samples
        sums[..., start:stop] += context_dependent_stems(segment)[..., : stop - start] * window
        weights[start:stop] += window
    return sums / weights


@settings(deadline=None, max_examples=25)
@given(length=st.integers(1, 5 * SEGMENT))
def test_plan_design_gives_what_the_source_design_describes(length: int) -> None:
    samples = noise(length, seed=length)
    plan = design_plan(overlap=0.25, segment_samples=SEGMENT)
    stems = separate(samples, context_dependent_core(SEGMENT), plan)
    assert snr_db(stems, source_design_stems(samples, SEGMENT, ramp_samples=512)) >= 130


EDGE_LENGTHS = [
    1,
    2,
    SEGMENT - 1,
    SEGMENT,
    SEGMENT + 1,
    *(DESIGN.stride_samples + step for step in (-1, 0, 1)),
]


@both_plans
@pytest.mark.parametrize("length", [*EDGE_LENGTHS, BLOCK_SAMPLES, BLOCK_SAMPLES + 1])
def test_a_core_that_returns_the_mix_gives_the_mix(plan: ChunkPlan, length: int) -> None:
    samples = noise(length)
    stems = separate(samples, gains_core({"all": 1.0, "half": 0.5}, SEGMENT), plan)
    assert stems.shape == (2, 2, length)
    assert stems.dtype == torch.float32
    assert (stems[0] - samples).abs().max() <= 1e-6
    if not plan.standardises_track:
        assert (stems[1] - samples / 2).abs().max() <= 1e-6


@settings(deadline=None, max_examples=40)
@given(plan=small_plans, length=st.integers(1, 4 * SEGMENT))
def test_a_core_that_returns_the_mix_gives_the_mix_whatever_the_plan(plan: ChunkPlan, length: int) -> None:
    samples = noise(length, seed=length)
    stems = separate(samples, gains_core({"all": 1.0}, SEGMENT), plan)
    assert (stems[0] - samples).abs().max() <= 1e-6


def test_a_stem_is_the_sum_of_its_spectrogram_and_its_waveform() -> None:
    samples = noise(SEGMENT)
    core = BothWaysCore({"twice": 2.0, "minus": -1.0}, SEGMENT)
    stems = separate(samples, core, design_plan(overlap=0, segment_samples=SEGMENT))
    back = waveform_from_spectrogram(spectrogram(samples), SEGMENT)
    torch.testing.assert_close(stems[0], 2 * back + samples, rtol=0, atol=1e-6)
    torch.testing.assert_close(stems[1], -back + samples, rtol=0, atol=1e-6)


@both_plans
def test_silence_stays_silence(plan: ChunkPlan) -> None:
    assert not separate(torch.zeros(2, 10_000), context_dependent_core(SEGMENT), plan).any()


@both_plans
def test_the_callers_samples_are_not_changed(plan: ChunkPlan) -> None:
    def destructive(waveform: Tensor) -> Tensor:
        return waveform.mul_(0)[None]

    samples = noise(10_000)
    separate(samples, FakeCore(("none",), SEGMENT, destructive), plan)
    assert torch.equal(samples, noise(10_000))


@settings(deadline=None, max_examples=25)
@given(
    length=st.integers(1, 3 * BLOCK_SAMPLES),
    block_samples=st.integers(1000, 100_000),
    plan=st.sampled_from([DESIGN, DEMUCS]),
)
def test_streaming_gives_the_bits_of_working_in_memory(length: int, block_samples: int, plan: ChunkPlan) -> None:
    samples = noise(length, seed=length)

    class StreamedTrack:
        samples = length

        def blocks(self) -> Iterator[Tensor]:
            return equal_blocks((block.clone() for block in samples.split(block_samples, 1)), BLOCK_SAMPLES)

    pieces = list(separate_track(StreamedTrack(), context_dependent_core(SEGMENT), plan))
    assert len(pieces) == plan.segment_count(length)
    assert torch.equal(torch.cat(pieces, dim=-1), separate(samples, context_dependent_core(SEGMENT), plan))


def live_samples() -> int:
    return sum(item.numel() for item in gc.get_objects() if type(item) is Tensor)


@both_plans
def test_memory_does_not_grow_with_the_track(plan: ChunkPlan) -> None:
    class LongTrack:
        def __init__(self, samples: int) -> None:
            self.samples = samples

        def blocks(self) -> Iterator[Tensor]:
            for start in range(0, self.samples, BLOCK_SAMPLES):
                yield torch.full((2, min(BLOCK_SAMPLES, self.samples - start)), 0.1)

    held: list[int] = []

    def note(segments_done: int, _: int) -> None:
        if segments_done % 64 == 1:
            held.append(live_samples())

    before = live_samples()
    track = LongTrack(40 * BLOCK_SAMPLES)
    for _ in separate_track(track, gains_core({"a": 1.0, "b": 1.0}, SEGMENT), plan, progress=note):
        pass
    window_and_block = 2 * (SEGMENT + BLOCK_SAMPLES)
    assert len(held) >= 10
    assert max(held) - before <= 3 * window_and_block


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_model_that_returns_nan_is_an_error_that_names_stem_and_segment(bad: float) -> None:
    def failing_in_the_third_segment(waveform: Tensor) -> Tensor:
        stems = torch.stack([waveform, waveform.clone()])
        if core.predictions == 3:
            stems[1, 0, 17] = bad
        return stems

    core = FakeCore(("drums", "bass"), SEGMENT, failing_in_the_third_segment)
    with pytest.raises(SeparationError, match=r"stem bass in segment 2, which starts at 0\.1 s"):
        separate(noise(5 * SEGMENT), core, DESIGN)


def test_a_nan_in_a_stem_that_nobody_asked_for_is_no_error() -> None:
    core = gains_core({"drums": math.nan, "bass": 1.0}, SEGMENT)
    assert separate(noise(100), core, DESIGN, stems=["bass"]).isfinite().all()


def test_stems_come_in_the_order_asked_for() -> None:
    samples = noise(10_000)
    core = gains_core({"drums": 1.0, "bass": 2.0, "vocals": 3.0}, SEGMENT)
    everything = separate(samples, core, DESIGN)
    chosen = separate(samples, core, DESIGN, stems=["vocals", "drums"])
    assert torch.equal(chosen, everything[[2, 0]])


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        (["vocal"], "stem vocal was asked for, but this model separates drums, bass"),
        (["drums", "x", "y"], "stem x, y was asked for"),
        (["drums", "drums"], "asked for twice"),
        ([], "no stem at all"),
    ],
)
def test_stems_that_the_model_does_not_separate_are_refused(stems: list[str], message: str) -> None:
    with pytest.raises(UnknownStemError, match=message):
        separate(noise(100), gains_core({"drums": 1.0, "bass": 1.0}, SEGMENT), DESIGN, stems=stems)


def test_a_plan_that_does_not_fit_the_core_is_refused_before_any_work() -> None:
    core = gains_core({"all": 1.0}, SEGMENT)
    with pytest.raises(ChunkPlanError, match="mixed-7_8s"):
        separate_track(TensorTrack(noise(100)), core, demucs_plan())
    assert core.predictions == 0


@both_plans
def test_progress_counts_every_segment(plan: ChunkPlan) -> None:
    told: list[tuple[int, int]] = []
    separate(
        noise(4 * SEGMENT),
        gains_core({"all": 1.0}, SEGMENT),
        plan,
        progress=lambda segments_done, segments_total: told.append((segments_done, segments_total)),
    )
    total = plan.segment_count(4 * SEGMENT)
    assert told == [(done, total) for done in range(total + 1)]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(1, 100), r"shape \(1, 100\)"),
        (torch.zeros(100), r"shape \(100,\)"),
        (torch.zeros(2, 100, dtype=torch.float64), "float64"),
        (torch.tensor([[0.0, math.nan], [0.0, 0.0]]), "NaN or infinite"),
    ],
)
def test_what_is_no_track_is_refused(samples: Tensor, message: str) -> None:
    with pytest.raises(TrackError, match=message):
        separate(samples, gains_core({"all": 1.0}, SEGMENT), DESIGN)


@given(
    lengths=st.lists(st.integers(0, 30), max_size=8),
    starts=st.lists(st.integers(-20, 200), min_size=1, max_size=8),
    width=st.integers(1, 50),
)
def test_a_forward_reader_gives_windows_of_the_stream_with_zeros_around(
    lengths: list[int], starts: list[int], width: int
) -> None:
    stream = torch.arange(1.0, sum(lengths) + 1).expand(2, -1)
    reader = ForwardReader(stream.split(lengths, dim=1) if lengths else [])
    padded = torch.nn.functional.pad(stream, (20, 300))
    for start in sorted(starts):
        assert torch.equal(reader.read(start, start + width), padded[:, start + 20 : start + 20 + width])


def test_a_forward_reader_does_not_go_back() -> None:
    reader = ForwardReader([torch.zeros(2, 10)])
    reader.read(5, 8)
    with pytest.raises(TrackError, match="let go"):
        reader.read(4, 8)


@given(lengths=st.lists(st.integers(0, 30), max_size=8), size=st.integers(1, 20))
def test_equal_blocks_are_equal_and_lose_nothing(lengths: list[int], size: int) -> None:
    stream = torch.arange(float(sum(lengths))).expand(2, -1)
    blocks = list(equal_blocks(stream.split(lengths, dim=1) if lengths else [], size))
    assert all(block.shape == (2, size) for block in blocks[:-1])
    assert all(1 <= block.shape[1] <= size for block in blocks[-1:])
    assert torch.equal(torch.cat(blocks, dim=1) if blocks else torch.zeros(2, 0), stream)
